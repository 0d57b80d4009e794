// What `agon evaluate` says: figures overall and by slice, against baselines, and the rows that surprise.
#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <vector>

#include "agon/data/vote.h"
#include "agon/stats/metrics.h"

namespace agon {

struct Slice {
  std::string dimension;  ///< "language", "turns", "length", "code", or the name of an extra column
  std::string value;      ///< "en", "2", "short" ...
  Metrics metrics;
  Estimate vs_prior;  ///< paired difference of log loss from the prior baseline, negative is better
};

struct SurprisingRow {
  std::size_t index = 0;  ///< into the votes evaluated
  double loss = 0;
};

struct Evaluation {
  Metrics overall;
  Metrics prior, length_only;  ///< the baselines on the same rows
  Estimate vs_prior, vs_length_only;
  std::vector<Slice> slices;  ///< only values with at least `min_slice_rows` rows, largest first
  std::vector<ReliabilityBin> reliability_a, reliability_b, reliability_tie;
  std::vector<SurprisingRow> surprising;
};

struct EvaluationOptions {
  BootstrapOptions bootstrap;
  std::size_t min_slice_rows = 30;
  std::size_t max_values_per_dimension = 12;
  std::size_t surprising_rows = 20;
};

/// `predictions`, `prior` and `length_only` are aligned with `votes`; votes without a label are left
/// out. `clusters` gives each vote's prompt group (see data/prompt_groups.h).
[[nodiscard]] Evaluation evaluate(std::span<const Vote> votes, const std::vector<std::string>& extra_names,
                                  std::span<const Prediction> predictions, std::span<const Prediction> prior,
                                  std::span<const Prediction> length_only,
                                  std::span<const std::uint32_t> clusters, const EvaluationOptions& options);

}  // namespace agon
