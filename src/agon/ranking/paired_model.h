// Bradley-Terry strengths from pair counts by maximum likelihood, with four ways to treat ties.
//
// Competitor i has a log-odds strength s_i. With u = s_first + position/2 and v = s_second - position/2:
//
//   kHalf          P(A) = 1 / (1 + e^(v-u)); a tie is half a win each (a quasi-likelihood: it has no
//                  probability for a tie, so its likelihood is no rival to the others')
//   kDavidson      P(A) : P(B) : P(tie) = e^u : e^v : nu e^((u+v)/2)         (Davidson 1970, eq. 2.2)
//   kRaoKupper     P(A) = e^u / (e^u + theta e^v), P(B) likewise, the rest is a tie; eta = log theta >= 0
//                  (Rao and Kupper 1967, eq. 2.1)
//   kBadThreshold  all four outcomes, with c the strength of an answer that is barely acceptable:
//                  P(A) = e^u / (e^u + theta e^v + e^c), P(B) likewise, P(both bad) = e^c / (e^u + e^v +
//                  e^c), the rest is a tie. This is the "grounded Rao-Kupper" form of Frick et al. 2025,
//                  "Prompt-to-Leaderboard", with c free and the strengths summing to zero instead.
//
// The first three log-likelihoods are concave in the parameters used here (strengths, log nu, eta,
// position), so the optimum found is the optimum. The fourth is safeguarded by the expected information.
//
// Strengths are identified by summing to zero. 400 / ln 10 times a strength is Elo's scale.
#pragma once

#include <array>
#include <cstdint>
#include <string>
#include <vector>

#include "agon/base/error.h"
#include "agon/data/battles.h"
#include "agon/ranking/matrix.h"

namespace agon {

/// Rating points a unit of log odds: 400 / ln(10).
inline constexpr double kEloScale = 173.71779276130073;

enum class TieModel : std::uint8_t { kHalf, kDavidson, kRaoKupper, kBadThreshold };
/// "half", "davidson", "rao-kupper", "bad-threshold".
[[nodiscard]] const char* tie_model_name(TieModel model);

struct PairedOptions {
  TieModel ties = TieModel::kHalf;
  /// Leave out "both bad" votes instead of reading them as ties. kBadThreshold always keeps them apart.
  bool drop_both_bad = false;
  bool position = false;  ///< estimate an advantage of being shown first
  /// Adds ridge/2 times the sum of squared strengths to the negative log-likelihood, in votes. For graphs
  /// without a finite optimum; named in every output.
  double ridge = 0;
  /// Firth's (1993) penalised likelihood: adds half the log determinant of the information (Jeffreys'
  /// prior). Finite under separation, but not for a graph that is not connected. kHalf only.
  bool firth = false;
  double tolerance = 1e-9;  ///< of the largest gradient component, a vote
  int max_iterations = 100;
};

/// A vector of parameters: strengths first, then those of these that the fit has.
struct ParameterLayout {
  std::size_t competitors = 0;
  int tie = -1, bad = -1, position = -1;  ///< place in the vector; -1 when there is none
  [[nodiscard]] std::size_t size() const { return competitors + (tie >= 0) + (bad >= 0) + (position >= 0); }
};

struct PairedFit {
  PairedOptions options;
  ParameterLayout layout;
  std::vector<double> parameters;  ///< as the layout says: strengths, log nu or eta, c, position
  Matrix hessian;    ///< of the negative log-likelihood (observed information, with the ridge) at the optimum
  double votes = 0;  ///< sum of the weights fitted
  double log_likelihood = 0;  ///< without penalties
  bool converged = false;
  int iterations = 0;
  double gradient_norm = 0;  ///< largest component at the end, a vote
  /// No tie (no "both bad") was among the votes: the parameter lies at its boundary (nu = 0, eta = 0, c =
  /// -inf) and is not fitted.
  bool tie_at_boundary = false, bad_at_boundary = false;

  [[nodiscard]] std::size_t competitors() const { return layout.competitors; }
  /// Log-odds strength, summing to zero over all competitors.
  [[nodiscard]] double strength(std::size_t i) const { return parameters[i]; }
  [[nodiscard]] std::vector<double> strengths() const {
    return {parameters.begin(), parameters.begin() + static_cast<std::ptrdiff_t>(layout.competitors)};
  }
  [[nodiscard]] double nu() const;             ///< Davidson; NaN for others
  [[nodiscard]] double eta() const;            ///< Rao-Kupper and bad threshold; NaN for others
  [[nodiscard]] double bad_threshold() const;  ///< c; NaN for others
  [[nodiscard]] double position() const;       ///< log-odds advantage of the first; 0 when not fitted
  /// Negative log-likelihood a vote.
  [[nodiscard]] double loss() const { return votes > 0 ? -log_likelihood / votes : 0; }
  /// "Firth's penalty", "ridge 0.01", or "" for plain maximum likelihood.
  [[nodiscard]] std::string penalty() const;
};

/// Probabilities of A, B, tie and both bad when `first` is shown as A. kHalf gives A and B only.
[[nodiscard]] std::array<double, kBattleClasses> outcome_probabilities(const PairedFit& fit,
                                                                       std::size_t first, std::size_t second);

/// Fits by Newton's method with a line search, to the exact optimum: after the gradient is below the
/// tolerance, iteration goes on until the strengths stand still (a step below 1e-9), since a competitor
/// with few votes has a small gradient far from its optimum.
///
/// `start`, when given with the same competitors (or fewer: the new ones are numbered after) and the same
/// options, is where iteration begins: a refit after a few more votes takes one or two steps.
///
/// Errors: fewer than two competitors, no votes, a number beyond `competitors`, a weight that is negative
/// or not finite, an optimum that is not finite (the message says by which groups; ridge or Firth cure it),
/// only ties with a model that estimates a tie parameter, Firth with other than kHalf or with a ridge.
[[nodiscard]] Result<PairedFit> fit_paired(const PairTable& pairs, std::size_t competitors,
                                           const PairedOptions& options = {},
                                           const PairedFit* start = nullptr,
                                           const std::vector<std::string>& names = {});

}  // namespace agon
