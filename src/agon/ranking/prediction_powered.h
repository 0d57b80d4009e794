// Prediction-powered boards: few human votes, many battles on which a model (a preference model, a judge)
// only predicts what people would say, and intervals that are honest whatever the predictions are worth.
//
// PPI++ (Angelopoulos, Duchi and Zrnic 2023, "PPI++: efficient prediction-powered inference", eq. 3) for
// Bradley-Terry with ties as half wins. With L the mean loss on the n human votes, L_f the same loss with
// predicted shares in place of the votes, on those n battles or on the N unvoted ones, strengths minimise
//
//   L_n + lambda (L_f,N - L_f,n)
//
// Predictions that err alike on voted and unvoted battles cancel: a biased judge costs width, never
// coverage. lambda = 0 is the plain fit of the human votes; the default minimises the trace of the
// covariance by its plug-in estimate (their proposition 2), kept within [0, 1]. The covariance is the
// sandwich of the rectified loss.
//
// All rests on both sets of battles being alike. Where the unvoted ones have other pairs than the voted (a
// new model is asked about more, say), L_f,N and L_f,n differ for that reason alone. `match_pairs`, the
// default, therefore rectifies pair by pair, as stratified PPI does (Fisch, Maynez, Hofer, Dhingra,
// Globerson and Cohen 2024, "Stratified prediction-powered inference"): unvoted battles weigh as their pair
// does among the human votes, and the predictions of pairs that only one of the sets has (or that have
// fewer than two unvoted battles) are left out of both.
#pragma once

#include <cstdint>
#include <optional>
#include <vector>

#include "agon/base/error.h"
#include "agon/ranking/covariance.h"

namespace agon {

/// What A gets of the win when probabilities of A, B and a tie are predicted.
[[nodiscard]] inline double expected_share(double a, double tie) { return a + 0.5 * tie; }

/// Battles with a predicted share for A, and the people's one where there is a vote. Vectors of one length.
struct PredictedBattles {
  std::vector<std::uint32_t> a, b;
  std::vector<double> predicted;  ///< in [0, 1]
  std::vector<double> share;      ///< 1, 0, 0.5 for a tie, or graded; empty for unvoted battles

  [[nodiscard]] std::size_t size() const { return a.size(); }
};

struct PredictionPoweredOptions {
  std::optional<double> lambda = {};  ///< in [0, 1]; empty: tuned
  bool match_pairs = true;
};

struct PredictionPowered {
  double lambda = 0;
  std::vector<double> strengths, classical;     ///< log odds, sum zero; `classical` by human votes alone
  Covariance covariance, classical_covariance;  ///< sandwiches
  std::uint64_t voted = 0, unvoted = 0;
  std::uint64_t used_voted = 0, used_unvoted = 0;  ///< whose predictions took part
  /// Human votes that would have given as small a mean variance without predictions.
  double effective_votes = 0;
  bool converged = false;
  int iterations = 0;
  double gradient_norm = 0;  ///< largest component at the end, a vote
};

/// Errors: those of fit_paired on the human votes; a share or prediction that is not in [0, 1]; vectors of
/// different lengths; no unvoted battles unless lambda is 0; a lambda beyond [0, 1]; a rectified loss without
/// a finite minimum.
[[nodiscard]] Result<PredictionPowered> fit_prediction_powered(const PredictedBattles& voted,
                                                               const PredictedBattles& unvoted,
                                                               std::size_t competitors,
                                                               const PredictionPoweredOptions& options = {});

}  // namespace agon
