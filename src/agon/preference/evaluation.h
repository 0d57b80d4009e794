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
  /// Only values with at least `min_slice_rows` rows; by dimension, in it the largest first. Dimensions:
  /// language (data/vote_facts.h), turns (1, 2, 3+), length (characters of both answers: short below
  /// kShortAnswers, long from kLongAnswers on), code (code, no code) and the extra columns. A numeric
  /// column of many values is cut at its quartiles; of a text column of many values the most frequent
  /// are kept when they cover half the rows, else it is left out, as is a column named like an id.
  std::vector<Slice> slices;
  std::vector<ReliabilityBin> reliability_a, reliability_b, reliability_tie;
  std::vector<SurprisingRow> surprising;  ///< highest loss first
  std::vector<std::string> notes;         ///< which extra columns were cut or left out, and why
};

/// Terciles of the length of both answers together, in characters, on 1,500 votes of the Arena.
inline constexpr std::size_t kShortAnswers = 1200, kLongAnswers = 3000;

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
