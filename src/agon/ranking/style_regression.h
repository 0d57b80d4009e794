// Style control: Bradley-Terry strengths with covariates of the two answers, battle by battle.
//
// log odds of A = s_a - s_b + sum over f of beta_f x_f, ties half a win. A covariate is a difference "A minus
// B", so that swapping a battle's sides changes its sign. LMArena's style control (Li et al. 2024, "Does
// style matter?") takes (a - b) / (a + b) of each count, standardised.
//
// Battles are sorted by pair once. The strength difference is then one number over each run, everything a
// Newton step needs of a run (sums of residuals, of p (1 - p), and their products with the covariates) is a
// plain sum over neighbouring rows, and the competitors' block is filled from the pairs' sums.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <span>
#include <string>
#include <vector>

#include "agon/base/error.h"
#include "agon/data/battles.h"
#include "agon/ranking/covariance.h"
#include "agon/ranking/matrix.h"

namespace agon {

/// A number a battle (as long as the battles, whichever rows are fitted). NAN: unknown; such rows are left
/// out and counted.
struct Covariate {
  std::string name;
  std::vector<float> value;
};

/// How a number of each answer becomes a covariate.
struct StyleScale {
  /// (a - b) / (a + b), 0 where both are 0; else a - b.
  bool relative = true;
  /// Adds one to the denominator, as LMArena's notebook does to avoid 0 / 0; shrinks small counts.
  bool add_one = false;
  /// Subtracts the mean before dividing by the standard deviation, as LMArena does. That favours a side by
  /// -beta mean / sd, so by default values are divided by their root mean square about zero instead, and
  /// sides stay alike.
  bool centre = false;
};
/// A covariate from a column of the answers, standardised over `rows` (all when empty), so that its
/// coefficient is log odds for one standard deviation. An Error for a column without differences or with an
/// infinite value, or, for relative ones, with a negative value.
[[nodiscard]] Result<Covariate> style_covariate(const PairedColumn& column, const StyleScale& scale = {},
                                                std::span<const std::uint32_t> rows = {});
/// The home-like effect of a judge for its own kind: +1 when only A's group is the voter's, -1 when only
/// B's is, else 0. `competitor_group` and `voter_group` give a group (an organisation) a competitor and a
/// code of the voter column; CodeColumn::kNone stands for none.
[[nodiscard]] Covariate home_covariate(const BattleRows& battles, const CodeColumn& voter,
                                       std::span<const std::uint32_t> competitor_group,
                                       std::span<const std::uint32_t> voter_group,
                                       std::string name = "same organisation");

struct StyleOptions {
  bool drop_both_bad = false;  ///< else ties
  bool position = false;       ///< one more covariate, "first position": 1 for every battle
  double tolerance = 1e-9;     ///< of the largest gradient component, a vote
  int max_iterations = 50;
};

struct StyleFit {
  ParameterLayout layout;               ///< strengths only; coefficients follow them
  std::vector<std::string> covariates;  ///< names in order, "first position" last
  std::vector<double> parameters;       ///< strengths (sum-zero, at covariates of 0), then coefficients
  Matrix hessian;                       ///< of the negative log-likelihood
  double votes = 0, log_likelihood = 0, gradient_norm = 0;
  std::uint64_t left_out = 0;  ///< rows without a covariate
  bool converged = false;
  int iterations = 0;

  [[nodiscard]] std::size_t competitors() const { return layout.competitors; }
  [[nodiscard]] std::vector<double> strengths() const {
    return {parameters.begin(), parameters.begin() + static_cast<std::ptrdiff_t>(layout.competitors)};
  }
  [[nodiscard]] double coefficient(std::size_t f) const { return parameters[layout.competitors + f]; }
  [[nodiscard]] double loss() const { return votes > 0 ? -log_likelihood / votes : 0; }
};

/// Battles sorted for fitting; keeps its own copy of what it needs besides the battles' codes.
class StyleRegression {
 public:
  /// Errors: fewer than two competitors, covariates of another length than the battles, a graph of votes
  /// without finite strengths, nothing left to fit.
  [[nodiscard]] static Result<StyleRegression> prepare(const BattleRows& battles, std::size_t competitors,
                                                       const std::vector<Covariate>& covariates,
                                                       const StyleOptions& options = {},
                                                       std::span<const std::uint32_t> rows = {},
                                                       const std::vector<std::string>& names = {});
  StyleRegression(StyleRegression&&) noexcept;
  StyleRegression& operator=(StyleRegression&&) noexcept;
  ~StyleRegression();

  /// Newton's method with a line search to the exact optimum. An Error when covariates depend on each other
  /// or on the strengths, or decide votes perfectly, so that no single finite optimum exists.
  [[nodiscard]] Result<StyleFit> fit(const StyleFit* start = nullptr) const;

  /// Covariances over (strengths, coefficients); strengths sum to zero. `se(i)` of a coefficient is that of
  /// place competitors + f.
  [[nodiscard]] Covariance model_covariance(const StyleFit& fit) const;
  [[nodiscard]] Covariance sandwich_covariance(const StyleFit& fit) const;
  /// `cluster` has one code a battle, numbered as the battles were at prepare().
  [[nodiscard]] Result<Covariance> clustered_covariance(const StyleFit& fit,
                                                        std::span<const std::uint32_t> cluster) const;

 private:
  struct Rows;
  explicit StyleRegression(std::unique_ptr<Rows> rows);
  std::unique_ptr<Rows> rows_;
};

}  // namespace agon
