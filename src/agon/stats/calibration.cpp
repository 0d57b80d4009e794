#include "agon/stats/calibration.h"

#include <algorithm>
#include <cmath>
#include <limits>
#include <numbers>
#include <numeric>

#include "agon/base/check.h"
#include "agon/stats/metrics.h"

namespace agon {

std::vector<std::uint32_t> equal_mass_bins(std::span<const double> values, std::span<const double> weights,
                                           std::uint32_t bins) {
  AGON_CHECK(values.size() == weights.size() && bins > 0);
  std::vector<std::size_t> order(values.size());
  std::iota(order.begin(), order.end(), std::size_t{0});
  std::stable_sort(order.begin(), order.end(),
                   [&](std::size_t i, std::size_t j) { return values[i] < values[j]; });
  const double total = std::accumulate(weights.begin(), weights.end(), 0.0);
  std::vector<std::uint32_t> bin_of(values.size(), 0);
  double before = 0;
  for (std::size_t begin = 0; begin < order.size();) {
    std::size_t end = begin;
    double mass = 0;
    while (end < order.size() && values[order[end]] == values[order[begin]]) mass += weights[order[end++]];
    const double middle = total > 0 ? (before + mass / 2) / total : 0;
    const auto bin = std::min(bins - 1, static_cast<std::uint32_t>(middle * bins));
    for (std::size_t k = begin; k < end; ++k) bin_of[order[k]] = bin;
    before += mass;
    begin = end;
  }
  return bin_of;
}

Interval wilson_interval(double share, double n, double z) {
  if (!(n > 0)) return {};
  const double z2n = z * z / n;
  const double centre = (share + z2n / 2) / (1 + z2n);
  const double half = z * std::sqrt(share * (1 - share) / n + z2n / (4 * n)) / (1 + z2n);
  return {std::max(0.0, centre - half), std::min(1.0, centre + half)};
}

CalibrationTable::CalibrationTable(std::span<const CalibrationRow> rows, std::uint32_t bins) {
  std::vector<double> predicted, weights;
  for (const CalibrationRow& row : rows) {
    AGON_CHECK(!std::isnan(row.predicted));
    predicted.push_back(row.predicted);
    weights.push_back(row.weight);
  }
  const std::vector<std::uint32_t> bin_of = equal_mass_bins(predicted, weights, bins);
  std::vector<std::size_t> order(rows.size());
  std::iota(order.begin(), order.end(), std::size_t{0});
  std::stable_sort(order.begin(), order.end(),
                   [&](std::size_t i, std::size_t j) { return bin_of[i] < bin_of[j]; });
  double variance = 0, chance = 0, total = 0;
  for (std::size_t k = 0; k < order.size(); ++k) {
    const CalibrationRow& row = rows[order[k]];
    const double p = row.predicted, w = row.weight;
    const bool last = k + 1 == order.size() || bin_of[order[k + 1]] != bin_of[order[k]];
    entries_.push_back({w * ((row.happened ? 1.0 : 0.0) - p), w, row.cluster, last});
    variance += w * w * p * (1 - p);
    total += w;
    if (!last) continue;
    chance += std::sqrt(2 / std::numbers::pi * std::max(0.0, variance));
    variance = 0;
  }
  by_chance_ = total > 0 ? chance / total : std::numeric_limits<double>::quiet_NaN();
}

namespace {

template <class Entries, class Times>
double calibration_error(const Entries& entries, const Times& times_of) {
  double residual = 0, error = 0, total = 0;
  for (const auto& entry : entries) {
    const double times = times_of(entry.cluster);
    residual += times * entry.residual;
    total += times * entry.weight;
    if (!entry.ends_bin) continue;
    error += std::abs(residual);
    residual = 0;
  }
  return total > 0 ? error / total : std::numeric_limits<double>::quiet_NaN();
}

}  // namespace

double CalibrationTable::value() const {
  return calibration_error(entries_, [](std::uint32_t) { return 1.0; });
}

double CalibrationTable::of_draw(Multiplicities times) const {
  return calibration_error(entries_, [&](std::uint32_t c) { return static_cast<double>(times[c]); });
}

std::vector<ReliabilityBin> reliability(std::span<const ScoredRow> rows, Outcome cls, int bins) {
  AGON_CHECK(cls != Outcome::kUnknown && bins > 0);
  struct Sum {
    double weight = 0, squares = 0, predicted = 0, happened = 0;
    std::uint64_t n = 0;
  };
  std::vector<double> predicted, weights;
  for (const ScoredRow& row : rows) {
    const Prediction& p = row.p;
    predicted.push_back(cls == Outcome::kA ? p.a : cls == Outcome::kB ? p.b : p.tie);
    weights.push_back(row.weight);
  }
  const auto bin_of = equal_mass_bins(predicted, weights, static_cast<std::uint32_t>(bins));
  std::vector<Sum> sums(static_cast<std::size_t>(bins));
  for (std::size_t i = 0; i < rows.size(); ++i) {
    Sum& sum = sums[bin_of[i]];
    const double w = weights[i];
    sum.weight += w;
    sum.squares += w * w;
    sum.predicted += w * predicted[i];
    if (rows[i].outcome == cls) sum.happened += w;
    ++sum.n;
  }
  std::vector<ReliabilityBin> out;
  for (const Sum& sum : sums) {
    if (sum.n == 0 || !(sum.weight > 0)) continue;
    ReliabilityBin bin;
    bin.predicted = sum.predicted / sum.weight;
    bin.observed = sum.happened / sum.weight;
    // Kish's effective number of rows: equals n when the weights are equal.
    const Interval wilson = wilson_interval(bin.observed, sum.weight * sum.weight / sum.squares);
    bin.low = wilson.low;
    bin.high = wilson.high;
    bin.n = sum.n;
    out.push_back(bin);
  }
  return out;
}

}  // namespace agon
