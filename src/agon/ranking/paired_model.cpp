#include "agon/ranking/paired_model.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <limits>

#include "agon/ranking/graph.h"
#include "agon/ranking/paired_kernel.h"

namespace agon {
namespace {

using paired::Cell;
using paired::Shape;

constexpr double kNan = std::numeric_limits<double>::quiet_NaN();
// Odds of e^40: whatever goes there is on its way to infinity.
constexpr double kBeyond = 40;
// A dense information matrix of this many competitors takes 800 MB.
constexpr std::size_t kMostCompetitors = 10000;

std::unexpected<Error> refuse(std::string message, std::string expected = {},
                              ErrorKind kind = ErrorKind::kData) {
  Error error;
  error.message = std::move(message);
  error.expected = std::move(expected);
  error.kind = kind;
  return std::unexpected(std::move(error));
}

std::unexpected<Error> runs_off() {
  return refuse("the votes have no finite optimum under this model: a parameter runs off to infinity",
                "more votes, a ridge, or a model with fewer parameters");
}

Status check_table(const PairTable& pairs, std::size_t competitors) {
  if (competitors < 2) return fail("a ranking needs at least two competitors");
  if (competitors > kMostCompetitors)
    return fail(fmt::format("{} competitors are more than can be ranked at once (at most {})", competitors,
                            kMostCompetitors));
  double total = 0;
  for (const PairCount& p : pairs) {
    if (p.first >= competitors || p.second >= competitors || p.first == p.second)
      return fail(fmt::format("a pair of competitors {} and {} of {}", p.first, p.second, competitors));
    for (const double w : p.weight) {
      if (!std::isfinite(w) || w < 0)
        return refuse(fmt::format("weight {} of a pair", w), "a finite number of at least 0");
      total += w;
    }
  }
  if (!(total > 0)) return fail("there are no votes to rank by");
  return {};
}

// With wins in one direction only along every gap, the tie parameter and the strengths can grow together:
// wins need a gap of at least a tie's half width, ties one of at most that. Such a direction is a solution
// of difference constraints, which exists when the graph has no negative cycle (Bellman 1958).
bool ties_run_off(std::span<const Cell> cells, std::size_t competitors) {
  struct Bound {
    std::uint32_t from, to;
    double length;  // x[to] <= x[from] + length
  };
  std::vector<Bound> bounds;
  for (const Cell& c : cells) {
    if (c.weight[0] > 0 && c.weight[1] > 0) return false;
    if (c.weight[0] > 0) bounds.push_back({c.first, c.second, -1});
    if (c.weight[1] > 0) bounds.push_back({c.second, c.first, -1});
    if (c.weight[2] > 0) {
      bounds.push_back({c.first, c.second, 1});
      bounds.push_back({c.second, c.first, 1});
    }
  }
  std::vector<double> x(competitors, 0);
  for (std::size_t round = 0; round <= competitors; ++round) {
    bool moved = false;
    for (const Bound& b : bounds) {
      if (x[b.from] + b.length >= x[b.to]) continue;
      x[b.to] = x[b.from] + b.length;
      moved = true;
    }
    if (!moved) return true;
  }
  return false;
}

// Sets up the layout and a point to start from; says why there is no finite optimum.
Result<Shape> prepare(PairedFit& fit, const PairTable& pairs, std::span<const Cell> cells,
                      const std::vector<std::string>& names) {
  const PairedOptions& options = fit.options;
  std::array<double, kBattleClasses> sum{};
  for (const Cell& c : cells)
    for (std::size_t k = 0; k < kBattleClasses; ++k) sum[k] += c.weight[k];
  fit.votes = (sum[0] + sum[1]) + (sum[2] + sum[3]);
  if (!(fit.votes > 0)) return fail("there are no votes to rank by, besides \"both bad\"");

  ParameterLayout& layout = fit.layout;
  int next = static_cast<int>(layout.competitors);
  if (options.ties != TieModel::kHalf) {
    fit.tie_at_boundary = sum[2] == 0;
    if (!fit.tie_at_boundary) layout.tie = next++;
  }
  if (options.ties == TieModel::kBadThreshold) {
    fit.bad_at_boundary = sum[3] == 0;
    if (!fit.bad_at_boundary) layout.bad = next++;
  }
  if (options.position) layout.position = next++;
  const Shape shape = paired::shape_of(fit);

  if (layout.tie >= 0 && sum[0] + sum[1] == 0)
    return fail(
        fmt::format("no vote prefers an answer, so the {} model has no finite optimum (half-win ties have)",
                    tie_model_name(options.ties)));
  const BothBadAs both_bad = layout.bad >= 0         ? BothBadAs::kThreshold
                             : options.drop_both_bad ? BothBadAs::kNothing
                                                     : BothBadAs::kTie;
  if (options.ridge == 0) {
    if (options.firth) {
      if (meeting_components(pairs, layout.competitors).count > 1)
        return fail(explain_separation(pairs, layout.competitors, both_bad, names));
    } else if (std::string why = explain_separation(pairs, layout.competitors, both_bad, names);
               !why.empty()) {
      return refuse(std::move(why), "more votes, a ridge, or Firth's penalty");
    }
    if (layout.tie >= 0 && ties_run_off(cells, layout.competitors))
      return fail(
          fmt::format("no competitor ever lost to one it beat, directly or by a round trip, so the {} "
                      "model has no finite optimum (half-win ties may have)",
                      tie_model_name(options.ties)));
  }

  fit.parameters.assign(layout.size(), 0);
  if (layout.tie >= 0) {
    const double share = std::clamp(sum[2] / (sum[0] + sum[1] + sum[2]), 0.001, 0.999);
    // What two equals would need.
    fit.parameters[static_cast<std::size_t>(layout.tie)] =
        shape.model == TieModel::kDavidson ? std::log(2 * share / (1 - share)) : 2 * std::atanh(share);
  }
  if (layout.bad >= 0) {
    const double share = std::clamp(sum[3] / fit.votes, 0.001, 0.999);
    fit.parameters[static_cast<std::size_t>(layout.bad)] = std::log(2 * share / (1 - share));
  }
  return shape;
}

void take_start(PairedFit& fit, const PairedFit* start) {
  if (start == nullptr || start->options.ties != fit.options.ties || start->competitors() > fit.competitors())
    return;
  std::copy_n(start->parameters.begin(), start->competitors(), fit.parameters.begin());
  const auto carry = [&](int to, int from) {
    if (to >= 0 && from >= 0)
      fit.parameters[static_cast<std::size_t>(to)] = start->parameters[static_cast<std::size_t>(from)];
  };
  carry(fit.layout.tie, start->layout.tie);
  carry(fit.layout.bad, start->layout.bad);
  carry(fit.layout.position, start->layout.position);
}

// The objective with its penalty: negative log-likelihood, ridge, Firth.
class Objective {
 public:
  Objective(const Shape& shape, std::span<const Cell> cells, const PairedOptions& options)
      : shape_(shape), cells_(cells), options_(options) {}

  // Fills gradient and a matrix to step by when asked: the Hessian, or what stands in for it.
  double operator()(std::span<const double> x, std::vector<double>* gradient, Matrix* hessian,
                    bool expected) const {
    if (options_.firth) return firth(x, gradient, hessian);
    double value = expected ? paired::evaluate_plainly(shape_, cells_, x, gradient, hessian, true)
                            : paired::evaluate(shape_, cells_, x, gradient, hessian);
    add_ridge(x, value, gradient, hessian);
    return value;
  }

 private:
  void add_ridge(std::span<const double> x, double& value, std::vector<double>* gradient,
                 Matrix* hessian) const {
    if (options_.ridge == 0) return;
    for (std::size_t i = 0; i < shape_.layout.competitors; ++i) {
      value += 0.5 * options_.ridge * x[i] * x[i];
      if (gradient != nullptr) (*gradient)[i] += options_.ridge * x[i];
      if (hessian != nullptr) (*hessian)(i, i) += options_.ridge;
    }
  }

  // Firth (1993): for logistic likelihoods the modified score is that of data in which each cell has h/2
  // wins more on either side, h its leverage. The matrix returned takes h as given; that is close to the
  // true derivative, so steps by it converge fast, if not quadratically.
  double firth(std::span<const double> x, std::vector<double>* gradient, Matrix* hessian) const {
    Matrix information;
    double value = paired::evaluate(shape_, cells_, x, gradient, &information);
    const std::size_t m = shape_.layout.competitors;
    const double kappa = paired::gauge_of(information, m);
    Matrix regular = information;
    paired::fix_gauge(regular, m, kappa);
    const auto factor = Cholesky::of(std::move(regular));
    if (!factor) return std::numeric_limits<double>::infinity();
    // The gauge adds one eigenvalue, kappa m, that moves with x: take it out again.
    value -= 0.5 * (factor->log_determinant() - std::log(kappa * static_cast<double>(m)));
    if (gradient == nullptr && hessian == nullptr) return value;
    const auto covariance = paired::sum_zero_inverse(information, shape_.layout);
    if (!covariance) return std::numeric_limits<double>::infinity();
    std::vector<Cell> added;
    for (const Cell& cell : cells_) {
      const double n = (cell.weight[0] + cell.weight[1]) + cell.weight[2];
      paired::LocalTerms terms;
      paired::local_terms(TieModel::kHalf, shape_.point(x, cell.first, cell.second), terms);
      const int position = shape_.layout.position;
      double quadratic = (*covariance)(cell.first, cell.first) + (*covariance)(cell.second, cell.second) -
                         2 * (*covariance)(cell.first, cell.second);
      if (position >= 0) {
        const auto p = static_cast<std::size_t>(position);
        quadratic += 2 * ((*covariance)(cell.first, p) - (*covariance)(cell.second, p)) + (*covariance)(p, p);
      }
      const double h = n * terms.gradient[0][0] * -terms.gradient[1][0] * quadratic;
      Cell more{cell.first, cell.second, {}};
      more.weight[2] = h;
      added.push_back(more);
    }
    std::vector<double> more_gradient;
    Matrix more_hessian;
    paired::evaluate(shape_, added, x, &more_gradient, &more_hessian);
    if (gradient != nullptr)
      for (std::size_t i = 0; i < gradient->size(); ++i) (*gradient)[i] += more_gradient[i];
    if (hessian != nullptr) {
      *hessian = std::move(information);
      for (std::size_t k = 0; k < hessian->values.size(); ++k) hessian->values[k] += more_hessian.values[k];
    }
    return value;
  }

  const Shape& shape_;
  std::span<const Cell> cells_;
  const PairedOptions& options_;
};

double largest(std::span<const double> x) {
  double out = 0;
  for (const double v : x) out = std::isnan(v) ? kNan : std::max(out, std::abs(v));
  return out;
}

// The Newton step -H^-1 g, or by the expected information where H is not positive definite (the threshold
// model far from its optimum).
std::optional<std::vector<double>> newton_step(const Objective& objective, std::span<const double> x,
                                               const std::vector<double>& gradient, const Matrix& hessian,
                                               std::size_t competitors) {
  const auto solve = [&](Matrix matrix) -> std::optional<std::vector<double>> {
    paired::fix_gauge(matrix, competitors, paired::gauge_of(matrix, competitors));
    const auto factor = Cholesky::of(std::move(matrix));
    if (!factor) return std::nullopt;
    std::vector<double> step(gradient);
    factor->solve(step);
    for (double& s : step) s = -s;
    return step;
  };
  if (auto step = solve(hessian)) return step;
  std::vector<double> unused;
  Matrix expected;
  objective(x, &unused, &expected, true);
  return solve(std::move(expected));
}

}  // namespace

const char* tie_model_name(TieModel model) {
  switch (model) {
    case TieModel::kHalf:
      return "half";
    case TieModel::kDavidson:
      return "davidson";
    case TieModel::kRaoKupper:
      return "rao-kupper";
    case TieModel::kBadThreshold:
      return "bad-threshold";
  }
  return "";
}

double PairedFit::nu() const {
  if (options.ties != TieModel::kDavidson) return kNan;
  return layout.tie >= 0 ? std::exp(parameters[static_cast<std::size_t>(layout.tie)]) : 0;
}
double PairedFit::eta() const {
  if (options.ties != TieModel::kRaoKupper && options.ties != TieModel::kBadThreshold) return kNan;
  return layout.tie >= 0 ? parameters[static_cast<std::size_t>(layout.tie)] : 0;
}
double PairedFit::bad_threshold() const {
  if (options.ties != TieModel::kBadThreshold) return kNan;
  return layout.bad >= 0 ? parameters[static_cast<std::size_t>(layout.bad)]
                         : -std::numeric_limits<double>::infinity();
}
double PairedFit::position() const {
  return layout.position >= 0 ? parameters[static_cast<std::size_t>(layout.position)] : 0;
}

std::string PairedFit::penalty() const {
  if (options.firth) return "Firth's penalty";
  return options.ridge > 0 ? fmt::format("ridge {:g}", options.ridge) : "";
}

std::array<double, kBattleClasses> outcome_probabilities(const PairedFit& fit, std::size_t first,
                                                         std::size_t second) {
  const Shape shape = paired::shape_of(fit);
  paired::LocalTerms terms;
  paired::local_terms(shape.model, shape.point(fit.parameters, first, second), terms);
  std::array<double, kBattleClasses> out{};
  out[0] = std::exp(terms.log_p[0]);
  out[1] = std::exp(terms.log_p[1]);
  if (fit.layout.tie >= 0) out[2] = std::exp(terms.log_p[2]);
  if (fit.layout.bad >= 0) out[3] = std::exp(terms.log_p[3]);
  return out;
}

Result<PairedFit> fit_paired(const PairTable& pairs, std::size_t competitors, const PairedOptions& options,
                             const PairedFit* start, const std::vector<std::string>& names) {
  AGON_TRY(check_table(pairs, competitors));
  if (options.firth && options.ties != TieModel::kHalf)
    return refuse("Firth's penalty goes with half-win ties only", "half-win ties, or a ridge",
                  ErrorKind::kUsage);
  if (options.firth && options.ridge > 0)
    return refuse("Firth's penalty and a ridge exclude each other", "one of them", ErrorKind::kUsage);
  if (!(options.ridge >= 0) || !std::isfinite(options.ridge))
    return refuse(fmt::format("a ridge of {}", options.ridge), "a finite number of at least 0",
                  ErrorKind::kUsage);
  PairedFit fit;
  fit.options = options;
  fit.layout.competitors = competitors;
  const std::vector<Cell> cells = paired::cells_of(pairs, options);
  AGON_ASSIGN(const Shape shape, prepare(fit, pairs, cells, names));
  take_start(fit, start);
  paired::centre(fit.parameters, fit.layout);

  const Objective objective(shape, cells, fit.options);
  const auto tie = static_cast<std::size_t>(fit.layout.tie);
  const bool tie_positive = fit.layout.tie >= 0 && shape.model != TieModel::kDavidson;
  std::vector<double> gradient;
  double value = objective(fit.parameters, &gradient, &fit.hessian, false);
  double last_step = std::numeric_limits<double>::infinity();
  for (;;) {
    fit.gradient_norm = largest(gradient) / fit.votes;
    const auto step = newton_step(objective, fit.parameters, gradient, fit.hessian, competitors);
    if (!step || !std::isfinite(value)) {
      if (fit.gradient_norm <= options.tolerance) fit.converged = true;
      break;
    }
    const double length = largest(*step);
    // A gradient that fades while steps stay long: the optimum lies at infinity.
    if (options.ridge == 0 && fit.gradient_norm <= options.tolerance && length > 1e-4 &&
        length > 0.5 * last_step)
      return runs_off();
    // The last bits: the gradient is down, and steps are down or, in a flat valley, stand still.
    if (fit.gradient_norm <= options.tolerance && (length <= 1e-9 || length > 0.5 * last_step)) {
      fit.converged = true;
      break;
    }
    if (fit.iterations >= options.max_iterations) break;
    last_step = length;
    ++fit.iterations;
    double slope = 0;
    for (std::size_t i = 0; i < gradient.size(); ++i) slope += gradient[i] * (*step)[i];
    double share = std::min(1.0, 10 / std::max(length, 1e-300));
    // eta stays positive: at most nine tenths of the way to its boundary.
    if (tie_positive && fit.parameters[tie] + share * (*step)[tie] <= 0.1 * fit.parameters[tie])
      share = std::min(share, -0.9 * fit.parameters[tie] / (*step)[tie]);
    std::vector<double> trial(fit.parameters), trial_gradient;
    Matrix trial_hessian;
    bool moved = false;
    for (int halving = 0; halving < 40; ++halving, share *= 0.5) {
      for (std::size_t i = 0; i < trial.size(); ++i) trial[i] = fit.parameters[i] + share * (*step)[i];
      paired::centre(trial, fit.layout);
      const double trial_value = objective(trial, &trial_gradient, &trial_hessian, false);
      // Near the optimum the value's rounding hides its decrease; there the gradient decides.
      const double noise = 1e-12 * std::abs(value);
      if (trial_value <= value + 1e-4 * share * slope ||
          (std::abs(slope) <= noise && trial_value <= value + noise &&
           largest(trial_gradient) <= largest(gradient))) {
        value = trial_value;
        moved = true;
        break;
      }
    }
    if (!moved) {
      fit.converged = fit.gradient_norm <= options.tolerance;
      break;
    }
    fit.parameters.swap(trial);
    gradient.swap(trial_gradient);
    std::swap(fit.hessian, trial_hessian);
    if (options.ridge == 0 && largest(fit.parameters) > kBeyond) return runs_off();
  }
  fit.log_likelihood = -value;
  if (options.firth || options.ridge > 0)
    fit.log_likelihood =
        -paired::evaluate(shape, cells, fit.parameters, nullptr, options.firth ? &fit.hessian : nullptr);
  return fit;
}

}  // namespace agon
