// Hidden states of texts.
#pragma once

#include <span>
#include <string>
#include <vector>

#include "agon/base/error.h"
#include "agon/llm/engine/engine.h"

namespace agon::llm {

enum class Pooling : std::uint8_t {
  kMean,  ///< Mean over all tokens.
  kLast,  ///< The last token.
  kNone,  ///< Every token.
  kRank,  ///< The outputs of the model's classification head for the last token.
};

/// E numbers (for kNone: tokens * E, for kRank: one an output of the head) a text.
using Embedding = std::vector<float>;

/// Hidden states after `layer` layers of the residual stream (0: the embeddings; -1: all layers), before the
/// final norm. Only these layers are run, and the vocabulary is never touched. Texts are token lists, none of
/// them empty or longer than the model's context. Pooling::kRank needs all layers and a model with a head. An
/// error when a number is not finite.
[[nodiscard]] Result<std::vector<Embedding>> embed(Engine& engine, std::span<const std::vector<Token>> texts,
                                                   int layer, Pooling pooling);

}  // namespace agon::llm
