// How uncertain the strengths are: covariance matrices and intervals.
//
// All covariances are those of strengths that sum to zero, together with the other parameters (the
// pseudo-inverse of the information in that constraint). An anchor ("mixtral is 1114") only shifts points:
// it moves every rating by one constant that is chosen, not estimated. Intervals are therefore computed
// for the strength against the mean of all and moved along with it. Fixing the anchored model's strength
// at zero variance instead, as some boards do, would make its interval vanish and put its noise into
// everyone else's. Whoever wants "A against the anchor" asks for the difference.
#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "agon/base/error.h"
#include "agon/data/battles.h"
#include "agon/ranking/matrix.h"
#include "agon/ranking/paired_model.h"

namespace agon {

enum class CovarianceKind : std::uint8_t {
  kModel,      ///< inverse of the observed information: right when the model is and votes are independent
  kSandwich,   ///< Huber-White: right for independent votes even when the model is only an approximation
  kClustered,  ///< sandwich over clusters: right also when votes of a voter (or on a prompt) go together
};

struct Covariance {
  CovarianceKind kind = CovarianceKind::kModel;
  ParameterLayout layout;
  Matrix matrix;               ///< of all parameters; rows of the strengths sum to zero
  std::uint64_t clusters = 0;  ///< kClustered: how many stood behind it

  /// Standard error of a strength (log odds; sum-zero contrast).
  [[nodiscard]] double se(std::size_t i) const;
  /// Of s_i - s_j.
  [[nodiscard]] double se_difference(std::size_t i, std::size_t j) const;
  /// Of s_i against the weighted mean of all strengths; weights are normalised to sum 1.
  [[nodiscard]] double se_against_mean(std::size_t i, std::span<const double> weights) const;
  /// The strengths' block only.
  [[nodiscard]] Matrix strengths() const;
};

/// Inverse information.
[[nodiscard]] Covariance model_covariance(const PairedFit& fit);
/// Huber-White from the table that was fitted: H^-1 (sum w^2 g g') H^-1.
[[nodiscard]] Covariance sandwich_covariance(const PairedFit& fit, const PairTable& pairs);
/// Sandwich with the scores added up by cluster first; `cluster` has one code a battle and battles with
/// CodeColumn::kNone stand alone. `rows` are the battles that were fitted (all when empty), numbered as
/// the fit numbers competitors. Multiplied by G / (G - 1) for G clusters (Liang and Zeger 1986). An Error
/// with fewer than two clusters.
[[nodiscard]] Result<Covariance> clustered_covariance(const PairedFit& fit, const BattleRows& battles,
                                                      std::span<const std::uint32_t> cluster,
                                                      std::span<const std::uint32_t> rows = {});

/// A rating on a public scale: base + scale * (strength - strength of the anchor).
struct RatingScale {
  double scale = kEloScale;
  double base = 1000;  ///< rating of the anchor, or of the mean strength without one
  int anchor = -1;     ///< competitor, or -1
};
struct Rating {
  double rating = 0, low = 0, high = 0, se = 0;
};
/// Ratings and their intervals of `level` by `z` (a critical value, 1.96 or a simultaneous one). The width
/// never depends on the anchor.
[[nodiscard]] std::vector<Rating> rate(std::span<const double> strengths, const Covariance& covariance,
                                       const RatingScale& scale, double z);

/// The interval of one strength (sum-zero) by profile likelihood: all values whose best log-likelihood
/// lies within half the chi-square quantile of the optimum (Venzon and Moolgavkar 1988 solve the same).
/// `fit` must be the fit of `pairs`.
struct ProfileInterval {
  std::uint32_t competitor = 0;
  double low = 0, high = 0;  ///< -inf or inf when the likelihood stays above the line that far (20 log odds)
  bool converged = false;
};
[[nodiscard]] Result<std::vector<ProfileInterval>> profile_likelihood(
    const PairedFit& fit, const PairTable& pairs, std::span<const std::uint32_t> competitors,
    double level = 0.95);

}  // namespace agon
