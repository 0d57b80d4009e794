// The truth: a plain forward pass in double precision over the dequantised weights, one position after
// another. Slow on purpose; everything fast is measured against it.
#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "agon/llm/gguf/file.h"
#include "agon/llm/model/config.h"

namespace agon::llm {

/// A sequence being read by the reference model. Keys and values are kept in double, unlimited by windows.
class ReferenceModel {
 public:
  /// `file` must outlive this. Dequantises all weights (8 bytes each would be much: floats are kept, exact).
  static Result<ReferenceModel> load(const gguf::File& file);

  /// Reads the tokens of a fresh sequence and returns the logits after each: tokens.size() * V doubles.
  [[nodiscard]] std::vector<double> logits(std::span<const std::int32_t> tokens) const;
  /// Hidden states after `layer` layers (0: the embeddings): tokens.size() * E doubles, before the final
  /// norm.
  [[nodiscard]] std::vector<double> hidden(std::span<const std::int32_t> tokens, int layer) const;

  [[nodiscard]] const ModelConfig& config() const;
};

}  // namespace agon::llm
