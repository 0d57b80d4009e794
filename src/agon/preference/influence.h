// What a predictor looks at: how much worse it gets without a column, and how a column moves its predictions.
#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <span>
#include <vector>

#include "agon/base/error.h"
#include "agon/preference/model.h"
#include "agon/preference/report_page.h"

namespace agon {

/// A predictor over rows of numbers, row-major.
struct RowPredictor {
  /// Contributions of every column to ln(p_a / p_b) and to the tie's logit, laid out as the rows are.
  std::function<Status(std::span<const float> rows, std::vector<double>& direction, std::vector<double>& tie)>
      pushes;
  std::function<Result<std::vector<Prediction>>(std::span<const float> rows)> predict;
};

/// Rows that are shuffled at most: enough for a ranking, and each column costs a prediction of them all.
inline constexpr std::size_t kShuffledRows = 2000;

struct ShuffledLosses {
  std::size_t rows = 0;
  std::map<std::size_t, double> rise;  ///< of the summed loss, by column
};
/// Rise of the summed loss when a column is shuffled among the rows, for the 40 columns that push predictions
/// most. Shuffling breaks what a column says about a row and keeps its distribution (Breiman 2001).
[[nodiscard]] Result<ShuffledLosses> shuffled_losses(const RowPredictor& predictor, std::vector<float> rows,
                                                     std::span<const Outcome> outcomes, std::uint64_t seed);
/// The mean rise a row over all `parts`, largest first; columns whose shuffling does no harm are left out.
[[nodiscard]] std::vector<FeatureImportance> ranked_importances(std::span<const ShuffledLosses> parts,
                                                                std::span<const Column> columns);

/// The same for a finished model on labelled votes, evenly spaced ones where there are more than
/// kShuffledRows.
[[nodiscard]] Result<std::vector<FeatureImportance>> importances(const PreferenceModel& model,
                                                                 std::span<const Vote> votes,
                                                                 std::uint64_t seed);

/// How each of the `most` important columns moves the prediction of the final model over `votes`.
[[nodiscard]] Result<std::vector<EffectCurve>> effect_curves(const PreferenceModel& model,
                                                             std::span<const Vote> votes,
                                                             std::span<const FeatureImportance> importances,
                                                             std::size_t most);

}  // namespace agon
