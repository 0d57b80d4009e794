// What a model file holds and what running it takes, for people: `agon info model.gguf`.
#pragma once

#include <cstdint>
#include <string>
#include <utility>
#include <vector>

#include "agon/llm/gguf/file.h"
#include "agon/llm/model/config.h"
#include "agon/report/table.h"

namespace agon::llm {

/// All tensors of one format together.
struct FormatShare {
  gguf::TensorType type;
  std::uint64_t tensors = 0, parameters = 0, bytes = 0;
};

struct Description {
  std::vector<std::pair<std::string, std::string>> facts;   ///< Architecture, sizes, tokenizer, template, ...
  std::vector<FormatShare> formats;                         ///< Most bytes first.
  std::vector<std::pair<std::string, std::string>> memory;  ///< Empty when the model can't run here.
};

/// Describes any well-formed file. One that this program can't run (another architecture, a vocabulary alone)
/// has a fact "runs here" that says why. `context` is the number of tokens that memory is given for; 0: the
/// model's own context. It may exceed that.
[[nodiscard]] Description describe(const gguf::File& file, int context = 0);

/// The same as text: facts, a table of formats, memory.
[[nodiscard]] std::string description_text(const Description& description, const std::string& name,
                                           const Table::TerminalOptions& options);

/// Bytes of keys and values of one sequence in a cache of so many bytes a number (as KvCache stores them):
/// all `tokens` positions in every layer, and only those that a later token can still see (at most the window
/// in layers that have one).
struct CacheBytes {
  std::uint64_t all = 0, seen = 0;
};
[[nodiscard]] CacheBytes cache_bytes(const ModelConfig& config, int tokens, int number_bytes = 2);

}  // namespace agon::llm
