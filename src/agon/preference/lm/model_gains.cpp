#include "agon/preference/lm/model_gains.h"

#include <algorithm>

namespace agon {

Result<ModelGains> model_gains(const PreferenceModel& model, std::span<const Vote> votes,
                               std::span<const std::uint32_t> clusters) {
  ModelGains out;
  if (model.language_model() == nullptr || votes.empty()) return out;
  const std::vector<std::string>& blocks = model.language_model()->blocks;
  AGON_ASSIGN(std::vector<float> rows, model.rows(votes));
  const std::size_t width = model.columns().size(), first = width - 2 * blocks.size();
  std::vector<std::vector<Shift>> shifts(votes.size());
  std::vector<Outcome> outcomes;
  for (std::size_t i = 0; i < votes.size(); ++i) {
    outcomes.push_back(votes[i].outcome);
    for (std::size_t j = i * width + first; j < (i + 1) * width; j += 2) {
      shifts[i].push_back({static_cast<double>(rows[j]), static_cast<double>(rows[j + 1])});
      rows[j] = rows[j + 1] = 0;
    }
  }
  AGON_ASSIGN(const std::vector<Prediction> without, model.predict_rows(rows));
  BlockGains gains(blocks, clusters);
  gains.add_drawing(without, shifts, outcomes);
  gains.add_fit(model.corrections());
  out.gains = gains.result();
  out.log_loss_without = gains.log_loss_without().front();
  return out;
}

}  // namespace agon
