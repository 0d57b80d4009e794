// The bootstrap of strengths: refit after drawing battles, or whole clusters of them, again and again.
//
// Battles are drawn by a Poisson bootstrap: every battle (or cluster) counts a Poisson(1) number of times,
// independently (Hanley and MacGibbon 2006; the multinomial draw conditioned on nothing). The number of
// battles then varies a little from draw to draw, which strengths do not see. Its beauty is that sums of
// equal battles are Poisson again: n equal votes of a pair are one draw of mean n, exact and without a pass
// over the battles. Only clusters of two and more are drawn one by one.
//
// Each draw is refitted from the full optimum by steps with the full fit's Hessian ("chord" Newton), which
// shrink by a factor of some tens each when the draw resembles the data; a draw for which they do not
// settle gets Newton's method of its own.
#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "agon/base/error.h"
#include "agon/data/battles.h"
#include "agon/ranking/covariance.h"
#include "agon/ranking/matrix.h"
#include "agon/ranking/paired_model.h"
#include "agon/stats/bootstrap.h"

namespace agon {

/// Refitted parameters of every draw.
struct BootstrapFits {
  ParameterLayout layout;
  Matrix draws;                ///< draws x parameters; a draw without a finite optimum is a row of NaN
  std::uint64_t failed = 0;    ///< such draws
  std::uint64_t clusters = 0;  ///< 0: battles were drawn

  /// Percentile interval of a strength (sum-zero), or of the difference of two. NaN when more than half
  /// of the draws failed. `fit` gives the value.
  [[nodiscard]] Estimate interval(const PairedFit& fit, std::size_t i, double level) const;
  [[nodiscard]] Estimate difference(const PairedFit& fit, std::size_t i, std::size_t j, double level) const;
  /// Covariance of the draws that did not fail, for simultaneous intervals.
  [[nodiscard]] Covariance covariance() const;
};

/// Steps end when no parameter moves by more than this (log odds): 1/50,000 of an Elo point.
inline constexpr double kBootstrapTolerance = 1e-7;

/// Draws battles. Where weights of one pair and outcome differ, they are taken as equal ones of the same sum
/// and sum of squares. An Error for graded votes (their two halves go together, which counts do not say: use
/// the clustered form with no clusters), and for a fit with Firth's penalty.
[[nodiscard]] Result<BootstrapFits> bootstrap_battles(const PairedFit& fit, const PairTable& pairs,
                                                      const BootstrapOptions& options = {});
/// Draws whole clusters; `cluster` as in clustered_covariance, and empty for every battle on its own.
[[nodiscard]] Result<BootstrapFits> bootstrap_clusters(const PairedFit& fit, const BattleRows& battles,
                                                       std::span<const std::uint32_t> cluster,
                                                       const BootstrapOptions& options = {},
                                                       std::span<const std::uint32_t> rows = {});

}  // namespace agon
