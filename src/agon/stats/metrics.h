// How good three-way predictions are, with honest intervals: a bootstrap clustered by prompt.
#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "agon/data/vote.h"
#include "agon/stats/bootstrap.h"

namespace agon {

/// One labelled, predicted row. Rows of one cluster (same or near-same prompt) are drawn together.
struct ScoredRow {
  Prediction p;
  Outcome outcome = Outcome::kTie;  ///< never kUnknown
  double weight = 1.0;
  std::uint32_t cluster = 0;
};

struct Metrics {
  std::uint64_t rows = 0, clusters = 0;
  Estimate log_loss;                              ///< mean of -ln p(outcome), nats
  Estimate log_loss_a, log_loss_b, log_loss_tie;  ///< mean over the rows of that outcome
  Estimate
      accuracy;    ///< share of rows whose most likely class is the outcome; k equal best classes share 1/k
  Estimate auc;    ///< A against B over decided rows, score p.a - p.b; ties in score count half
  Estimate brier;  ///< mean of sum over the classes of (p - y)^2, 0 to 2
  /// Expected calibration error: the mean over the three classes, each in 15 equal-mass bins fixed from
  /// the full sample. Noise counts as miscalibration, and a resample has more of it, so the draws are
  /// shifted to centre on the value before the percentiles are taken.
  Estimate ece;
  double ece_by_chance = 0;  ///< what perfectly calibrated predictions would show on as few rows
};

/// Everything above, weighted by the rows' weights; percentile bootstrap over clusters, deterministic
/// in the seed and the same on any number of threads. Figures of no rows are NaN.
[[nodiscard]] Metrics measure(std::span<const ScoredRow> rows, const BootstrapOptions& options);

/// Mean log loss of `p` minus that of `q` on the same rows, with a clustered bootstrap interval.
[[nodiscard]] Estimate paired_log_loss_difference(std::span<const ScoredRow> rows,
                                                  std::span<const Prediction> q,
                                                  const BootstrapOptions& options);

/// -ln p(outcome) of one row, nats. p below 1e-15 counts as 1e-15, so that one row cannot be infinite.
[[nodiscard]] double log_loss(const Prediction& p, Outcome outcome);

/// One bin of a reliability diagram: mean predicted, observed share with a Wilson 95 % interval.
struct ReliabilityBin {
  double predicted = 0, observed = 0, low = 0, high = 0;
  std::uint64_t n = 0;
};
/// Equal-mass bins of one class's probability (kA, kB or kTie), ascending; empty bins are left out. The
/// Wilson interval takes Kish's effective number of rows when weights differ.
[[nodiscard]] std::vector<ReliabilityBin> reliability(std::span<const ScoredRow> rows, Outcome cls,
                                                      int bins = 15);

}  // namespace agon
