// The meeting point of all pillars: one comparison of two answers to one prompt.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

namespace agon {

/// Who was preferred. kUnknown is a row without a label (the competition's test form).
enum class Outcome : std::uint8_t { kA = 0, kB = 1, kTie = 2, kUnknown = 3 };

/// One turn of a conversation. Null turns occur in real files: kept as empty text and marked.
struct Turn {
  std::string text;  ///< Valid UTF-8; lone surrogates and invalid bytes are U+FFFD.
  bool null = false;
};
using Turns = std::vector<Turn>;

struct Vote {
  std::string id;                ///< As in the file; row number when the file has none.
  std::string model_a, model_b;  ///< Empty in the test form. Never an input of the predictor.
  Turns prompt, response_a, response_b;
  Outcome outcome = Outcome::kUnknown;
  bool both_bad = false;            ///< A tie where both answers were called bad.
  double weight = 1.0;              ///< Weight of its file (times a weight column, when there is one); > 0.
  std::vector<std::string> extras;  ///< Values of the extra columns, aligned with VoteSet::extra_names.
  std::uint32_t source = 0;         ///< Index into VoteSet::sources.
  std::uint64_t row = 0;            ///< 1-based record number in its file.
};

/// Three probabilities, in the competition's order; each in (0, 1), sum 1.
struct Prediction {
  double a = 1.0 / 3, b = 1.0 / 3, tie = 1.0 / 3;
};

/// A and B exchanged: prompts stay, answers, names and outcome change places.
[[nodiscard]] Vote swapped(const Vote& vote);
[[nodiscard]] inline Prediction swapped(const Prediction& p) { return {p.b, p.a, p.tie}; }

}  // namespace agon
