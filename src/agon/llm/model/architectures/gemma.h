// What Gemma 2 and 3 have in common.
#pragma once

#include <cmath>

#include "agon/llm/model/config.h"

namespace agon::llm {

/// Norms after the blocks, GELU, and embeddings scaled by sqrt(E), a factor rounded to float as llama.cpp has
/// it. (The converter has added the 1 to the norms' weights.)
/// `large_layers`: the layer count of the 27B model, the only one whose scores are scaled by E/H instead of
/// the key length (query_pre_attn_scalar, for which files have no key).
inline void set_gemma(ModelConfig& config, int large_layers) {
  config.activation = ModelConfig::Activation::kGeluTanh;
  config.post_norms = true;
  config.embedding_scale = static_cast<double>(std::sqrt(static_cast<float>(config.embedding)));
  const double divisor = config.layer_count() == large_layers
                             ? static_cast<double>(config.embedding) / config.heads
                             : static_cast<double>(config.key_length);
  config.attention_scale = 1.0 / std::sqrt(divisor);
}

}  // namespace agon::llm
