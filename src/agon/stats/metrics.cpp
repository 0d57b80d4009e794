#include "agon/stats/metrics.h"

#include <algorithm>
#include <array>
#include <cmath>
#include <limits>
#include <numeric>

#include "agon/base/check.h"
#include "agon/stats/auc.h"
#include "agon/stats/calibration.h"

namespace agon {
namespace {

constexpr std::uint32_t kEceBins = 15;
constexpr double kNan = std::numeric_limits<double>::quiet_NaN();

double probability(const Prediction& p, std::size_t cls) { return cls == 0 ? p.a : cls == 1 ? p.b : p.tie; }

/// 1 when the outcome is the most likely class, 1/k when k classes share the top, else 0.
double credit(const Prediction& p, Outcome outcome) {
  const double top = std::max({p.a, p.b, p.tie});
  if (probability(p, static_cast<std::size_t>(outcome)) < top) return 0;
  return 1.0 / ((p.a == top) + (p.b == top) + (p.tie == top));
}

double squared_error(const Prediction& p, Outcome outcome) {
  double sum = 0;
  for (std::size_t c = 0; c < 3; ++c) {
    const double d = probability(p, c) - (c == static_cast<std::size_t>(outcome) ? 1.0 : 0.0);
    sum += d * d;
  }
  return sum;
}

/// All that the mean-like figures need of one cluster; one cache line.
struct alignas(64) Sums {
  std::array<double, 3> loss{}, weight{};  ///< by outcome
  double correct = 0, brier = 0;

  void add(const Sums& other, double times) {
    for (std::size_t c = 0; c < 3; ++c) {
      loss[c] += times * other.loss[c];
      weight[c] += times * other.weight[c];
    }
    correct += times * other.correct;
    brier += times * other.brier;
  }
};

enum Figure { kLogLoss, kLossA, kLossB, kLossTie, kAccuracy, kBrier, kAuc, kEce, kFigures };
using Figures = std::array<double, kFigures>;

void mean_figures(const Sums& sums, Figures& out) {
  const double total = sums.weight[0] + sums.weight[1] + sums.weight[2];
  const auto ratio = [](double sum, double weight) { return weight > 0 ? sum / weight : kNan; };
  out[kLogLoss] = ratio(sums.loss[0] + sums.loss[1] + sums.loss[2], total);
  for (std::size_t c = 0; c < 3; ++c) out[kLossA + c] = ratio(sums.loss[c], sums.weight[c]);
  out[kAccuracy] = ratio(sums.correct, total);
  out[kBrier] = ratio(sums.brier, total);
}

std::vector<std::uint32_t> labels_of(std::span<const ScoredRow> rows) {
  std::vector<std::uint32_t> labels;
  labels.reserve(rows.size());
  for (const ScoredRow& row : rows) labels.push_back(row.cluster);
  return labels;
}

void check_row(const ScoredRow& row) {
  AGON_CHECK(row.outcome != Outcome::kUnknown);
  AGON_CHECK(std::isfinite(row.p.a) && std::isfinite(row.p.b) && std::isfinite(row.p.tie));
  AGON_CHECK(std::isfinite(row.weight) && row.weight >= 0);
}

/// The rows in the shapes that resampling is quick on.
class Sample {
 public:
  Sample(std::span<const ScoredRow> rows, const DenseClusters& clusters)
      : sums_(clusters.count),
        auc_(decided(rows, clusters)),
        calibration_{calibration_of(rows, clusters, 0), calibration_of(rows, clusters, 1),
                     calibration_of(rows, clusters, 2)} {
    for (std::size_t i = 0; i < rows.size(); ++i) {
      const ScoredRow& row = rows[i];
      const auto c = static_cast<std::size_t>(row.outcome);
      Sums& sums = sums_[clusters.of_row[i]];
      sums.loss[c] += row.weight * log_loss(row.p, row.outcome);
      sums.weight[c] += row.weight;
      sums.correct += row.weight * credit(row.p, row.outcome);
      sums.brier += row.weight * squared_error(row.p, row.outcome);
    }
  }

  [[nodiscard]] Figures value() const {
    Figures out{};
    Sums sums;
    for (const Sums& cluster : sums_) sums.add(cluster, 1);
    mean_figures(sums, out);
    out[kAuc] = auc_.value();
    out[kEce] = (calibration_[0].value() + calibration_[1].value() + calibration_[2].value()) / 3;
    return out;
  }
  [[nodiscard]] Figures of_draw(Multiplicities times) const {
    Figures out{};
    Sums sums;
    for (std::size_t c = 0; c < sums_.size(); ++c) sums.add(sums_[c], times[c]);
    mean_figures(sums, out);
    out[kAuc] = auc_.of_draw(times);
    out[kEce] =
        (calibration_[0].of_draw(times) + calibration_[1].of_draw(times) + calibration_[2].of_draw(times)) /
        3;
    return out;
  }
  [[nodiscard]] double ece_by_chance() const {
    return (calibration_[0].by_chance() + calibration_[1].by_chance() + calibration_[2].by_chance()) / 3;
  }

 private:
  static AucTable decided(std::span<const ScoredRow> rows, const DenseClusters& clusters) {
    std::vector<AucRow> out;
    for (std::size_t i = 0; i < rows.size(); ++i) {
      if (rows[i].outcome == Outcome::kTie) continue;
      out.push_back(
          {rows[i].p.a - rows[i].p.b, rows[i].outcome == Outcome::kA, rows[i].weight, clusters.of_row[i]});
    }
    return AucTable(out);
  }
  static CalibrationTable calibration_of(std::span<const ScoredRow> rows, const DenseClusters& clusters,
                                         std::size_t cls) {
    std::vector<CalibrationRow> out;
    out.reserve(rows.size());
    for (std::size_t i = 0; i < rows.size(); ++i)
      out.push_back({probability(rows[i].p, cls), static_cast<std::size_t>(rows[i].outcome) == cls,
                     rows[i].weight, clusters.of_row[i]});
    return {out, kEceBins};
  }

  std::vector<Sums> sums_;  ///< by cluster
  AucTable auc_;
  std::array<CalibrationTable, 3> calibration_;
};

}  // namespace

double log_loss(const Prediction& p, Outcome outcome) {
  AGON_CHECK(outcome != Outcome::kUnknown);
  constexpr double kFloor = 1e-15;
  return -std::log(std::clamp(probability(p, static_cast<std::size_t>(outcome)), kFloor, 1.0));
}

Metrics measure(std::span<const ScoredRow> rows, const BootstrapOptions& options) {
  std::array<std::uint64_t, 3> n{};
  for (const ScoredRow& row : rows) {
    check_row(row);
    ++n[static_cast<std::size_t>(row.outcome)];
  }
  const DenseClusters clusters = dense_clusters(labels_of(rows));
  const Sample sample(rows, clusters);
  const Figures value = sample.value();

  const auto draws = static_cast<std::size_t>(clusters.count < 2 ? 0 : options.draws);
  std::array<std::vector<double>, kFigures> drawn;
  for (auto& figure : drawn) figure.resize(draws);
  if (draws > 0)
    for_each_draw(clusters.count, options, [&](std::size_t draw, Multiplicities times) {
      const Figures figures = sample.of_draw(times);
      for (std::size_t f = 0; f < kFigures; ++f) drawn[f][draw] = figures[f];
    });
  if (draws > 0) {
    const double mean = std::accumulate(drawn[kEce].begin(), drawn[kEce].end(), 0.0) / double(draws);
    for (double& ece : drawn[kEce]) ece = std::max(0.0, ece - (mean - value[kEce]));
  }

  Metrics out;
  out.rows = rows.size();
  out.clusters = clusters.count;
  const auto estimate = [&](Figure f, std::uint64_t count) {
    return percentile_interval(value[f], std::move(drawn[f]), options.level, count);
  };
  out.log_loss = estimate(kLogLoss, rows.size());
  out.log_loss_a = estimate(kLossA, n[0]);
  out.log_loss_b = estimate(kLossB, n[1]);
  out.log_loss_tie = estimate(kLossTie, n[2]);
  out.accuracy = estimate(kAccuracy, rows.size());
  out.brier = estimate(kBrier, rows.size());
  out.auc = estimate(kAuc, n[0] + n[1]);
  out.ece = estimate(kEce, rows.size());
  out.ece_by_chance = sample.ece_by_chance();
  return out;
}

Estimate paired_log_loss_difference(std::span<const ScoredRow> rows, std::span<const Prediction> q,
                                    const BootstrapOptions& options) {
  AGON_CHECK(rows.size() == q.size());
  struct Sum {
    double difference = 0, weight = 0;
  };
  const DenseClusters clusters = dense_clusters(labels_of(rows));
  std::vector<Sum> sums(clusters.count);
  for (std::size_t i = 0; i < rows.size(); ++i) {
    check_row(rows[i]);
    Sum& sum = sums[clusters.of_row[i]];
    sum.difference +=
        rows[i].weight * (log_loss(rows[i].p, rows[i].outcome) - log_loss(q[i], rows[i].outcome));
    sum.weight += rows[i].weight;
  }
  const auto mean = [&](const auto& times_of) {
    Sum all;
    for (std::size_t c = 0; c < sums.size(); ++c) {
      const double times = times_of(c);
      all.difference += times * sums[c].difference;
      all.weight += times * sums[c].weight;
    }
    return all.weight > 0 ? all.difference / all.weight : kNan;
  };
  std::vector<double> drawn(static_cast<std::size_t>(clusters.count < 2 ? 0 : options.draws));
  if (!drawn.empty())
    for_each_draw(clusters.count, options, [&](std::size_t draw, Multiplicities times) {
      drawn[draw] = mean([&](std::size_t c) { return static_cast<double>(times[c]); });
    });
  return percentile_interval(mean([](std::size_t) { return 1.0; }), std::move(drawn), options.level,
                             rows.size());
}

}  // namespace agon
