#include "agon/preference/lm/model_gains.h"

#include <algorithm>

namespace agon {

Result<ModelGains> model_gains(const PreferenceModel& model, std::span<const Vote> votes,
                               std::vector<float> rows, std::span<const std::uint32_t> clusters) {
  ModelGains out;
  if (model.language_model() == nullptr || votes.empty()) return out;
  const std::vector<std::string>& blocks = model.language_model()->blocks;
  const std::size_t width = model.columns().size(), shifts_width = 2 * blocks.size();
  std::vector<std::vector<Shift>> shifts;
  std::vector<Outcome> outcomes;
  for (std::size_t i = 0; i < votes.size(); ++i) {
    outcomes.push_back(votes[i].outcome);
    const auto columns = std::span(rows).subspan((i + 1) * width - shifts_width, shifts_width);
    shifts.push_back(shifts_in(columns));
    std::ranges::fill(columns, 0.0F);
  }
  AGON_ASSIGN(const std::vector<Prediction> without, model.predict_rows(rows));
  BlockGains gains(blocks, clusters);
  const std::vector<bool> kept(blocks.size(), true);
  gains.add_drawing({without, shifts, outcomes}, std::vector<std::uint32_t>(votes.size(), 0), {&kept, 1});
  gains.add_fit(model.corrections(), kept);
  out.gains = gains.result();
  out.log_loss_without = gains.log_loss_without().front();
  return out;
}

}  // namespace agon
