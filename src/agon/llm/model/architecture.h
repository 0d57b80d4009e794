// What tells one architecture from another. To add one: a file in architectures/ that defines an entry, and
// its name in the list of architecture.cpp.
#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <string_view>

#include "agon/base/error.h"
#include "agon/llm/gguf/file.h"
#include "agon/llm/model/config.h"

namespace agon::llm {

/// The metadata of one architecture: keys are given without its name ("block_count" for
/// "llama.block_count"). Errors name file, key, value and the range that was expected.
class Keys {
 public:
  Keys(const gguf::File& file, std::string architecture)
      : file_(&file), architecture_(std::move(architecture)) {}

  [[nodiscard]] bool has(std::string_view key) const;
  /// An integer in [low, high].
  [[nodiscard]] Result<int> integer(std::string_view key, std::int64_t low, std::int64_t high) const;
  [[nodiscard]] Result<int> integer_or(std::string_view key, int fallback, std::int64_t low,
                                       std::int64_t high) const;
  /// The same where the file may give a list with one number a layer: all must be equal.
  [[nodiscard]] Result<int> uniform_integer(std::string_view key, std::int64_t low, std::int64_t high) const;
  /// A finite number in [low, high].
  [[nodiscard]] Result<double> real(std::string_view key, double low, double high) const;
  [[nodiscard]] Result<double> real_or(std::string_view key, double fallback, double low, double high) const;
  [[nodiscard]] Result<std::string> string_or(std::string_view key, std::string fallback) const;

  [[nodiscard]] const gguf::File& file() const { return *file_; }
  [[nodiscard]] std::string full(std::string_view key) const;

 private:
  const gguf::File* file_;
  std::string architecture_;
};

struct Architecture {
  std::string_view name;
  RopeConfig::Pairing pairing;
  /// Sets what differs from the common part, which has been read into `config` (one rope, no windows).
  Status (*read)(const Keys& keys, ModelConfig& config);
  bool fused_gate_up = false;  ///< ffn_up.weight holds the gate's rows, then those of up.
};

extern const Architecture kLlama, kQwen2, kQwen3, kGemma2, kGemma3, kPhi3;

[[nodiscard]] std::span<const Architecture* const> architectures();
/// Null when it is not known.
[[nodiscard]] const Architecture* find_architecture(std::string_view name);

/// Reads "attention.sliding_window_pattern" (every how many layers one sees all, the last of each group; or
/// a list of flags) and gives all other layers `window` and the rope with that index.
[[nodiscard]] Status set_windows(const Keys& keys, ModelConfig& config, int window, int pattern, int rope);

/// Reads rope.* and the divisors, under the options; also sets config.context. In rope.cpp.
[[nodiscard]] Status read_rope(const Keys& keys, const Architecture& architecture,
                               const ConfigOptions& options, ModelConfig& config);

/// Reads what there is of a classification head: pooling_type, classifier.output_labels and the tensors'
/// shapes. In head.cpp.
[[nodiscard]] Status read_head(const Keys& keys, ModelConfig& config);

}  // namespace agon::llm
