#include "agon/preference/influence.h"

#include <algorithm>
#include <cmath>
#include <numeric>

#include "agon/base/check.h"
#include "agon/base/random.h"
#include "agon/stats/metrics.h"

namespace agon {
namespace {

constexpr std::size_t kCandidates = 40;

/// Every k-th vote, so that the sample does not depend on chance.
std::vector<Vote> spaced(std::span<const Vote> votes, std::size_t most) {
  std::vector<Vote> sample;
  const std::size_t step = std::max<std::size_t>(1, votes.size() / most);
  for (std::size_t i = 0; i < votes.size() && sample.size() < most; i += step) sample.push_back(votes[i]);
  return sample;
}

double summed_loss(std::span<const Prediction> predictions, std::span<const Outcome> outcomes) {
  double sum = 0;
  for (std::size_t i = 0; i < outcomes.size(); ++i) sum += log_loss(predictions[i], outcomes[i]);
  return sum;
}

}  // namespace

Result<ShuffledLosses> shuffled_losses(const RowPredictor& predictor, std::vector<float> rows,
                                       std::span<const Outcome> outcomes, std::uint64_t seed) {
  const std::size_t n = outcomes.size();
  ShuffledLosses out{.rows = n, .rise = {}};
  if (n == 0) return out;
  const std::size_t width = rows.size() / n;
  AGON_CHECK(rows.size() == n * width);
  std::vector<double> direction, tie;
  AGON_TRY(predictor.pushes(rows, direction, tie));
  std::vector<double> push(width);
  for (std::size_t i = 0; i < n; ++i)
    for (std::size_t j = 0; j < width; ++j)
      push[j] += std::fabs(direction[i * width + j]) + std::fabs(tie[i * width + j]);
  std::vector<std::size_t> order(width);
  std::iota(order.begin(), order.end(), std::size_t{0});
  std::ranges::stable_sort(order, std::ranges::greater{}, [&](std::size_t j) { return push[j]; });
  order.resize(std::min(width, kCandidates));
  AGON_ASSIGN(const auto as_is, predictor.predict(rows));
  const double base = summed_loss(as_is, outcomes);
  for (const std::size_t j : order) {
    std::vector<float> column(n), kept(n);
    for (std::size_t i = 0; i < n; ++i) kept[i] = column[i] = rows[i * width + j];
    Random(seed, j).shuffle(std::span(column));
    for (std::size_t i = 0; i < n; ++i) rows[i * width + j] = column[i];
    AGON_ASSIGN(const auto shuffled, predictor.predict(rows));
    out.rise[j] = summed_loss(shuffled, outcomes) - base;
    for (std::size_t i = 0; i < n; ++i) rows[i * width + j] = kept[i];
  }
  return out;
}

std::vector<FeatureImportance> ranked_importances(std::span<const ShuffledLosses> parts,
                                                  std::span<const Column> columns) {
  std::map<std::size_t, double> total;
  std::size_t rows = 0;
  for (const ShuffledLosses& part : parts) {
    rows += part.rows;
    for (const auto& [column, rise] : part.rise) total[column] += rise;
  }
  std::vector<FeatureImportance> out;
  for (const auto& [j, rise] : total)
    out.push_back({columns[j].name, columns[j].description,
                   rise / static_cast<double>(std::max<std::size_t>(1, rows)),
                   columns[j].parity == Parity::kEven});
  std::ranges::stable_sort(out, std::ranges::greater{}, &FeatureImportance::importance);
  std::erase_if(out, [](const FeatureImportance& f) { return f.importance <= 0; });
  return out;
}

Result<std::vector<FeatureImportance>> importances(const PreferenceModel& model, std::span<const Vote> votes,
                                                   std::uint64_t seed) {
  const std::vector<Vote> sample = spaced(votes, kShuffledRows);
  std::vector<Outcome> outcomes;
  for (const Vote& vote : sample) outcomes.push_back(vote.outcome);
  AGON_ASSIGN(std::vector<float> sample_rows, model.rows(sample));
  AGON_ASSIGN(
      const ShuffledLosses losses,
      shuffled_losses(
          {.pushes = [&](std::span<const float> rows, std::vector<double>& direction,
                         std::vector<double>& tie) { return model.contributions(rows, direction, tie); },
           .predict = [&](std::span<const float> rows) { return model.predict_rows(rows); }},
          std::move(sample_rows), outcomes, seed));
  return ranked_importances(std::span(&losses, 1), model.columns());
}

Result<std::vector<EffectCurve>> effect_curves(const PreferenceModel& model, std::span<const Vote> votes,
                                               std::span<const FeatureImportance> importances,
                                               std::size_t most) {
  constexpr std::size_t kRows = 300, kPoints = 15;
  const std::vector<Vote> sample = spaced(votes, kRows);
  AGON_ASSIGN(const std::vector<float> rows, model.rows(sample));
  const std::size_t width = model.columns().size(), n = sample.size();
  std::vector<EffectCurve> curves;
  for (const FeatureImportance& f : importances) {
    if (curves.size() == most) break;
    const auto found = std::ranges::find(model.columns(), f.name, &Column::name);
    if (found == model.columns().end()) continue;
    const auto j = static_cast<std::size_t>(found - model.columns().begin());
    std::vector<float> values;
    for (std::size_t i = 0; i < n; ++i) values.push_back(rows[i * width + j]);
    std::ranges::sort(values);
    double low = values[n / 50], high = values[n - 1 - n / 50];
    if (found->parity == Parity::kOdd) {
      high = std::max(std::fabs(low), std::fabs(high));
      low = -high;
    }
    if (!(high > low)) continue;
    EffectCurve curve{.name = f.name, .x = {}, .mean = {}, .histogram = std::vector<double>(kPoints)};
    std::vector<float> moved = rows;
    for (std::size_t k = 0; k < kPoints; ++k) {
      const double x = low + (high - low) * static_cast<double>(k) / (kPoints - 1);
      for (std::size_t i = 0; i < n; ++i) moved[i * width + j] = static_cast<float>(x);
      AGON_ASSIGN(const auto predictions, model.predict_rows(moved));
      Prediction mean{0, 0, 0};
      for (const Prediction& p : predictions) {
        mean.a += p.a / static_cast<double>(n);
        mean.b += p.b / static_cast<double>(n);
        mean.tie += p.tie / static_cast<double>(n);
      }
      curve.x.push_back(x);
      curve.mean.push_back(mean);
    }
    for (const float v : values) {
      const double at = std::clamp((v - low) / (high - low) * (kPoints - 1), 0.0, kPoints - 1.0);
      curve.histogram[static_cast<std::size_t>(std::lround(at))] += 1.0 / static_cast<double>(n);
    }
    curves.push_back(std::move(curve));
  }
  return curves;
}

}  // namespace agon
