// How large a constraint may become. Sources come from strangers: each bound is checked before memory is
// taken, and crossing one is an Error that names it.
#pragma once

#include <cstddef>
#include <cstdint>

namespace agon::llm::constrain {

constexpr std::size_t kMaxPattern = std::size_t{32} << 10;     ///< Bytes of a regular expression.
constexpr std::size_t kMaxSchema = std::size_t{256} << 10;     ///< Bytes of a JSON Schema.
constexpr std::size_t kMaxChoices = 10'000;                    ///< Texts to choose from,
constexpr std::size_t kMaxChoiceBytes = std::size_t{1} << 20;  ///< and bytes of all of them.
constexpr std::uint32_t kMaxRepeats = 1'000'000;               ///< In one repetition of a regular expression.
constexpr int kMaxGroups = 100;       ///< Groups inside groups in a regular expression.
constexpr int kMaxSchemaDepth = 100;  ///< Levels of brackets in a JSON Schema.
constexpr int kMaxNesting = 64;       ///< Rules inside rules in a generated text: open JSON values, mostly.
constexpr std::size_t kMaxReadings = 32;        ///< Readings of one text that are followed side by side.
constexpr std::size_t kMaxSteps = 1'000'000;    ///< States and edges before they are made deterministic,
constexpr std::size_t kMaxStates = 100'000;     ///< states from then on,
constexpr std::size_t kMaxCells = 8'000'000;    ///< entries of their table,
constexpr std::size_t kMaxWork = 20'000'000;    ///< edges looked at to get there,
constexpr std::size_t kMaxMembers = 5'000'000;  ///< and numbers held meanwhile.
constexpr std::size_t kMemory = std::size_t{64} << 20;  ///< Bytes remembered before all is forgotten.
/// Digits of a number: all of them fit into 64 bits, or a double.
constexpr int kDigits = 18;

}  // namespace agon::llm::constrain
