// Classification heads: what a reward model or a reranker says of a text.
#pragma once

#include <span>
#include <vector>

#include "agon/base/error.h"
#include "agon/llm/model/config.h"

namespace agon::llm {

/// The outputs for a hidden state behind the final norm, E floats: tanh(W x + b) if the head begins so, then
/// the last matrix, then shares of one if the head says so. Sums are in double precision, over the inputs in
/// order, whatever the machine. An error when an output is not finite.
[[nodiscard]] Result<std::vector<float>> apply_head(const HeadConfig& config, const HeadTensors& head,
                                                    std::span<const float> normed);

}  // namespace agon::llm
