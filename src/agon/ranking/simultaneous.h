// Statements about all competitors at once: intervals, ranks and comparisons that hold together.
//
// An interval that covers its own competitor in 95 % of studies leaves out some competitor of a hundred in
// nearly every study. The max-t method replaces 1.96 by the quantile of the largest of all studentised
// errors, drawn from the normal distribution with the estimated covariance (Hothorn, Bretz and Westfall
// 2008, section 3), which costs less than Bonferroni since errors of strengths hang together.
//
// Ranks follow Mogstad, Romano, Shaikh and Wilhelm (2024, "Inference for ranks with applications to
// mobility across neighbourhoods and academic achievement across countries", Review of Economic Studies 91,
// algorithm 3.3 and section 3.2): a competitor's best possible rank is one more than the number of those
// shown to be better, its worst is all minus those shown to be worse, where "shown" comes from a step-down
// max-t test (Romano and Wolf 2005) of all one-sided differences that controls the chance of any false
// claim. The same for a single competitor's differences gives the marginal rank range.
#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "agon/ranking/covariance.h"
#include "agon/ranking/matrix.h"

namespace agon {

struct SimultaneousOptions {
  double level = 0.95;
  int draws = 10000;
  std::uint64_t seed = 1;
};

/// A range of ranks, 1 the best: "rank 1 to 3".
struct RankRange {
  std::uint32_t best = 1, worst = 1;
  bool operator==(const RankRange&) const = default;
};

struct Simultaneous {
  double z_strengths = 0;    ///< critical value for all strengths (sum-zero) at once: strength +- z se
  double z_differences = 0;  ///< for all pairwise differences at once
  /// By all competitors' ranges at once (step-down), and each competitor's own.
  std::vector<RankRange> ranks, marginal_ranks;
  /// (i, j): P(Z <= t) for the studentised difference s_i - s_j, the confidence that i is better than j when
  /// this is the only question asked. 0.5 on the diagonal.
  Matrix better;
  /// (i, j): the same after correction for all pairs and both directions: one minus the single-step max-t
  /// p-value of "i is not better than j". At least `level` means shown at that level among all claims.
  Matrix better_corrected;
};

/// `strengths` with the strengths' block of `covariance`. Deterministic by seed, on any number of threads.
[[nodiscard]] Simultaneous simultaneous(std::span<const double> strengths, const Covariance& covariance,
                                        const SimultaneousOptions& options = {});

}  // namespace agon
