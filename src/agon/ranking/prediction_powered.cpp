#include "agon/ranking/prediction_powered.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <map>
#include <span>
#include <utility>

#include "agon/base/check.h"
#include "agon/ranking/paired_kernel.h"
#include "agon/ranking/paired_model.h"

namespace agon {
namespace {

constexpr double kTolerance = 1e-12;
constexpr int kMostIterations = 100;
constexpr double kBeyond = 40;  // log odds: on the way to infinity

// Sums over the battles of an unordered pair, i < j, shares being i's.
struct Cell {
  std::uint32_t i = 0, j = 0;
  double n = 0, y = 0, yy = 0, f = 0, ff = 0, yf = 0;  // voted
  double m = 0, g = 0, gg = 0;                         // unvoted: count, predictions and their squares
  bool matched = true;
};

Status check(const PredictedBattles& battles, std::size_t competitors, bool voted) {
  const char* what = voted ? "voted" : "unvoted";
  if (battles.b.size() != battles.size() || battles.predicted.size() != battles.size() ||
      battles.share.size() != (voted ? battles.size() : 0))
    return fail(fmt::format("the {} battles have columns of different lengths", what));
  for (std::size_t r = 0; r < battles.size(); ++r) {
    if (battles.a[r] >= competitors || battles.b[r] >= competitors || battles.a[r] == battles.b[r])
      return fail(fmt::format("{} battle {} of competitors {} and {}, of {}", what, r + 1, battles.a[r],
                              battles.b[r], competitors));
    if (!(battles.predicted[r] >= 0 && battles.predicted[r] <= 1))
      return fail(fmt::format("{} battle {}: a predicted share of {}", what, r + 1, battles.predicted[r]));
    if (voted && !(battles.share[r] >= 0 && battles.share[r] <= 1))
      return fail(fmt::format("voted battle {}: a share of {}", r + 1, battles.share[r]));
  }
  return {};
}

class Rectified {
 public:
  Rectified(const PredictedBattles& voted, const PredictedBattles& unvoted, std::size_t competitors,
            bool match)
      : match_(match), n_(static_cast<double>(voted.size())), m_(static_cast<double>(unvoted.size())) {
    layout_.competitors = competitors;
    std::map<std::pair<std::uint32_t, std::uint32_t>, Cell> cells;
    const auto at = [&](std::uint32_t a, std::uint32_t b) -> Cell& {
      Cell& cell = cells[{std::min(a, b), std::max(a, b)}];
      cell.i = std::min(a, b);
      cell.j = std::max(a, b);
      return cell;
    };
    for (std::size_t r = 0; r < voted.size(); ++r) {
      Cell& c = at(voted.a[r], voted.b[r]);
      const bool turned = voted.a[r] > voted.b[r];
      const double y = turned ? 1 - voted.share[r] : voted.share[r];
      const double f = turned ? 1 - voted.predicted[r] : voted.predicted[r];
      ++c.n;
      c.y += y;
      c.yy += y * y;
      c.f += f;
      c.ff += f * f;
      c.yf += y * f;
    }
    for (std::size_t r = 0; r < unvoted.size(); ++r) {
      Cell& c = at(unvoted.a[r], unvoted.b[r]);
      const double f = unvoted.a[r] > unvoted.b[r] ? 1 - unvoted.predicted[r] : unvoted.predicted[r];
      ++c.m;
      c.g += f;
      c.gg += f * f;
    }
    for (auto& [pair, cell] : cells) {
      // A variance needs two.
      cell.matched = !match_ || (cell.n >= 1 && cell.m >= 2);
      cells_.push_back(cell);
    }
  }

  [[nodiscard]] std::span<const Cell> cells() const { return cells_; }
  [[nodiscard]] const ParameterLayout& layout() const { return layout_; }

  // The loss by its weight and wins of each pair: W log(1 + e^d) - Y d, d = s_i - s_j.
  double evaluate(double lambda, std::span<const double> s, std::vector<double>* gradient,
                  Matrix* hessian) const {
    const std::size_t k = layout_.competitors;
    if (gradient != nullptr) gradient->assign(k, 0);
    if (hessian != nullptr) *hessian = Matrix(k, k);
    double value = 0;
    for (const Cell& c : cells_) {
      double weight = c.n / n_, wins = c.y / n_;
      if (lambda > 0 && c.matched) {
        if (match_) {
          wins += lambda * (c.n / n_) * (c.g / c.m - c.f / c.n);
        } else {
          weight += lambda * (c.m / m_ - c.n / n_);
          wins += lambda * (c.g / m_ - c.f / n_);
        }
      }
      const double d = s[c.i] - s[c.j], p = 1 / (1 + std::exp(-d));
      value += weight * (std::max(d, 0.0) + std::log1p(std::exp(-std::abs(d)))) - wins * d;
      if (gradient != nullptr) {
        (*gradient)[c.i] += weight * p - wins;
        (*gradient)[c.j] -= weight * p - wins;
      }
      if (hessian != nullptr) add(*hessian, c, weight * p * (1 - p));
    }
    return value;
  }

  // Variance of the gradient at s: scores u d of votes and v d of unvoted battles, means taken out in the
  // plain form, those of pairs in the matched one.
  [[nodiscard]] Matrix meat(double lambda, std::span<const double> s) const {
    const std::size_t k = layout_.competitors;
    Matrix out(k, k);
    std::vector<double> mean(k, 0), mean_unvoted(k, 0);
    for (const Cell& c : cells_) {
      const double p = 1 / (1 + std::exp(-(s[c.i] - s[c.j])));
      const double l = c.matched ? lambda : 0;
      // u = base - y + l f
      double base = p, unvoted = 0;
      if (l > 0 && match_) {
        base -= l * c.g / c.m;
        const double spread = std::max(0.0, c.gg - c.g * c.g / c.m) / (c.m - 1);
        unvoted = l * l * (c.n / n_) * (c.n / n_) * spread / c.m;
      } else if (l > 0) {
        base -= l * p;
        unvoted = l * l * (c.m * p * p - 2 * p * c.g + c.gg) / (m_ * m_);
        mean_unvoted[c.i] += l * (c.m * p - c.g) / m_;
        mean_unvoted[c.j] -= l * (c.m * p - c.g) / m_;
        const double sum = c.n * base - c.y + l * c.f;
        mean[c.i] += sum / n_;
        mean[c.j] -= sum / n_;
      }
      const double squares =
          c.n * base * base + c.yy + l * l * c.ff - 2 * base * c.y + 2 * base * l * c.f - 2 * l * c.yf;
      add(out, c, squares / (n_ * n_) + unvoted);
    }
    for (std::size_t a = 0; a < k; ++a)
      for (std::size_t b = 0; b < k; ++b) {
        out(a, b) -= mean[a] * mean[b] / n_;
        if (m_ > 0) out(a, b) -= mean_unvoted[a] * mean_unvoted[b] / m_;
      }
    return out;
  }

 private:
  static void add(Matrix& to, const Cell& c, double x) {
    to(c.i, c.i) += x;
    to(c.j, c.j) += x;
    to(c.i, c.j) -= x;
    to(c.j, c.i) -= x;
  }

  bool match_;
  double n_, m_;
  ParameterLayout layout_;
  std::vector<Cell> cells_;
};

double largest(std::span<const double> x) {
  double out = 0;
  for (const double v : x) out = std::max(out, std::abs(v));
  return out;
}

// Newton's method from where s is; fills the bread too.
Status minimise(const Rectified& loss, double lambda, std::vector<double>& s, Matrix& inverse,
                PredictionPowered& out) {
  std::vector<double> gradient, trial(s.size());
  Matrix hessian;
  double value = loss.evaluate(lambda, s, &gradient, &hessian);
  out.converged = false;
  for (out.iterations = 0;; ++out.iterations) {
    auto bread = paired::sum_zero_inverse(hessian, loss.layout());
    if (!bread) return fail("the rectified votes do not tie all competitors together");
    inverse = std::move(*bread);
    out.gradient_norm = largest(gradient);
    if (out.gradient_norm <= kTolerance) {
      out.converged = true;
      return {};
    }
    if (out.iterations == kMostIterations) return {};
    std::vector<double> step(s.size(), 0);
    double slope = 0;
    for (std::size_t a = 0; a < s.size(); ++a) {
      for (std::size_t b = 0; b < s.size(); ++b) step[a] -= inverse(a, b) * gradient[b];
      slope += step[a] * gradient[a];
    }
    double share = std::min(1.0, 5 / std::max(largest(step), 1e-300));
    bool moved = false;
    for (int halving = 0; halving < 40 && !moved; ++halving, share *= 0.5) {
      for (std::size_t a = 0; a < s.size(); ++a) trial[a] = s[a] + share * step[a];
      const double trial_value = loss.evaluate(lambda, trial, nullptr, nullptr);
      // Near the minimum the value's rounding hides its decrease.
      moved = trial_value <= value + 1e-4 * share * slope + 1e-15 * std::abs(value);
    }
    if (!moved) return {};
    s = trial;
    if (largest(s) > kBeyond)
      return fail("the rectified votes have no finite optimum: a smaller lambda, or more human votes");
    value = loss.evaluate(lambda, s, &gradient, &hessian);
  }
}

double trace(const Matrix& m) {
  double sum = 0;
  for (std::size_t i = 0; i < m.rows; ++i) sum += m(i, i);
  return sum;
}

}  // namespace

Result<PredictionPowered> fit_prediction_powered(const PredictedBattles& voted,
                                                 const PredictedBattles& unvoted, std::size_t competitors,
                                                 const PredictionPoweredOptions& options) {
  AGON_TRY(check(voted, competitors, true));
  AGON_TRY(check(unvoted, competitors, false));
  if (options.lambda && !(*options.lambda >= 0 && *options.lambda <= 1))
    return fail(fmt::format("a lambda of {}, beyond 0 to 1", *options.lambda));
  if (unvoted.size() == 0 && options.lambda.value_or(1) > 0)
    return fail("no unvoted battles, so predictions can't help");
  const Rectified loss(voted, unvoted, competitors, options.match_pairs);

  // Human votes alone: says why when there are no finite ratings.
  PairTable table;
  for (const Cell& c : loss.cells()) {
    if (c.n == 0) continue;
    PairCount pair;
    pair.first = c.i;
    pair.second = c.j;
    pair.battles = static_cast<std::uint64_t>(c.n);
    pair.weight = {c.y, c.n - c.y, 0, 0};
    table.push_back(pair);
  }
  AGON_ASSIGN(const PairedFit plain, fit_paired(table, competitors));

  PredictionPowered out;
  out.voted = voted.size();
  out.unvoted = unvoted.size();
  for (const Cell& c : loss.cells()) {
    if (!c.matched) continue;
    out.used_voted += static_cast<std::uint64_t>(c.n);
    out.used_unvoted += static_cast<std::uint64_t>(c.m);
  }
  const auto covariance = [&](double lambda, const std::vector<double>& s, const Matrix& bread) {
    return Covariance{CovarianceKind::kSandwich, loss.layout(), sandwich(bread, loss.meat(lambda, s)), 0};
  };
  out.classical = plain.strengths();
  Matrix bread;
  AGON_TRY(minimise(loss, 0, out.classical, bread, out));
  out.classical_covariance = covariance(0, out.classical, bread);
  if (options.lambda) {
    out.lambda = *options.lambda;
  } else {
    // The trace is a parabola in lambda at given strengths and bread; three points are the plug-in formula.
    double at[3];
    for (int k = 0; k < 3; ++k) at[k] = trace(covariance(0.5 * k, out.classical, bread).matrix);
    const double curve = 2 * (at[0] - 2 * at[1] + at[2]), slope = 4 * at[1] - 3 * at[0] - at[2];
    out.lambda = curve > 0 ? std::clamp(-slope / (2 * curve), 0.0, 1.0) : 0;
  }
  out.strengths = out.classical;
  if (out.lambda > 0) AGON_TRY(minimise(loss, out.lambda, out.strengths, bread, out));
  out.covariance = covariance(out.lambda, out.strengths, bread);
  out.effective_votes =
      static_cast<double>(out.voted) * trace(out.classical_covariance.matrix) / trace(out.covariance.matrix);
  return out;
}

}  // namespace agon
