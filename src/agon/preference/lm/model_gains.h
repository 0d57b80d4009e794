// What the language model of a finished predictor brings on labelled votes.
#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "agon/base/error.h"
#include "agon/preference/lm/block_gains.h"
#include "agon/preference/model.h"

namespace agon {

struct ModelGains {
  std::vector<BlockGain> gains;  ///< Empty for a predictor without a language model.
  double log_loss_without = 0;
};
/// `rows` are PreferenceModel::rows() of the votes, `clusters` those of their prompts.
[[nodiscard]] Result<ModelGains> model_gains(const PreferenceModel& model, std::span<const Vote> votes,
                                             std::vector<float> rows,
                                             std::span<const std::uint32_t> clusters);

}  // namespace agon
