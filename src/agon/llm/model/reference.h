// The truth: a plain forward pass in double precision over the dequantised weights. Slow on purpose;
// everything fast is measured against it.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <vector>

#include "agon/llm/gguf/file.h"
#include "agon/llm/model/config.h"

namespace agon::llm {

/// A model read at full precision. Weights are the floats that gguf::dequantize defines; they stay in the
/// file and are expanded a few rows at a time. Everything else is double: sums go over the inputs in order,
/// without fused multiply-adds, so that the results are the same on every machine and with any number of
/// threads (but for the last bit of libm's exp, sin, cos and tanh).
///
/// Positions of a sequence are computed together, layer by layer. Memory: a few times tokens * (E + F)
/// doubles a layer, and tokens * V for logits. Time: about 2 operations a weight and token.
class ReferenceModel {
 public:
  /// `file` must outlive this.
  static Result<ReferenceModel> load(const gguf::File& file, const ConfigOptions& options = {});

  /// Reads the tokens of a fresh sequence (ids within the vocabulary) and returns the logits after each:
  /// tokens.size() * V doubles.
  [[nodiscard]] std::vector<double> logits(std::span<const std::int32_t> tokens) const;
  /// Hidden states after `layer` layers (0: the embeddings, scaled): tokens.size() * E doubles, before the
  /// final norm.
  [[nodiscard]] std::vector<double> hidden(std::span<const std::int32_t> tokens, int layer) const;
  /// Final norm, output matrix and soft-cap for any number of hidden states of the last layer, E doubles
  /// each: as many times V logits. For long texts: a few positions at a time need no giant buffer.
  [[nodiscard]] std::vector<double> output(std::span<const double> hidden) const;

  /// The outputs of the classification head after the last of the tokens; the model must have one.
  [[nodiscard]] std::vector<double> head(std::span<const std::int32_t> tokens) const;

  [[nodiscard]] const ModelConfig& config() const { return config_; }

 private:
  ReferenceModel(ModelConfig config, ModelTensors tensors)
      : config_(std::move(config)), tensors_(std::move(tensors)) {}

  void attend(int layer, std::size_t tokens, std::span<double> hidden) const;
  void feed_forward(int layer, std::size_t tokens, std::span<double> hidden) const;

  ModelConfig config_;
  ModelTensors tensors_;
};

}  // namespace agon::llm
