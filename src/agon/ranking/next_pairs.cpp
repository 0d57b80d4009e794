#include "agon/ranking/next_pairs.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <limits>
#include <numeric>
#include <utility>

#include "agon/base/check.h"
#include "agon/base/parallel.h"
#include "agon/ranking/normal.h"

namespace agon {
namespace {

constexpr std::size_t kMostCompetitors = 3000;  // dense matrices and all pairs at every step
constexpr double kRidge = 0.1;
// Bounds the work: every step looks at all pairs. More votes, or more pairs, go out some at a time.
constexpr std::uint64_t kMostSteps = 2000, kMostLooks = 500'000'000;

// A contrast c's that the goal weighs: strengths[plus] - strengths[minus], or one strength.
struct Contrast {
  std::uint32_t plus = 0, minus = 0;
  bool difference = false;
  double weight = 1;
};

double variance(const Matrix& c, const Contrast& k) {
  return k.difference ? c(k.plus, k.plus) + c(k.minus, k.minus) - 2 * c(k.plus, k.minus) : c(k.plus, k.plus);
}

std::vector<Contrast> contrasts_of(const std::vector<double>& s, const Matrix& c, const NextOptions& o) {
  std::vector<Contrast> out;
  const std::size_t n = s.size();
  switch (o.goal) {
    case NextGoal::kAll:
      for (std::uint32_t i = 0; i < n; ++i) out.push_back({i, i, false, 1 / static_cast<double>(n)});
      break;
    case NextGoal::kModel:
      out.push_back({o.a, o.a, false, 1});
      break;
    case NextGoal::kBetween:
      out.push_back({o.a, o.b, true, 1});
      break;
    case NextGoal::kTop: {
      std::vector<std::uint32_t> order(n);
      std::iota(order.begin(), order.end(), 0U);
      std::stable_sort(order.begin(), order.end(),
                       [&](std::uint32_t a, std::uint32_t b) { return s[a] > s[b]; });
      for (std::size_t k = 0; k < o.top && k + 1 < n; ++k) {
        Contrast one{order[k], order[k + 1], true, 1};
        const double gap = s[one.plus] - s[one.minus];
        one.weight = 1 / std::max(gap * gap, variance(c, one));
        out.push_back(one);
      }
      break;
    }
  }
  return out;
}

double goal_of(const Matrix& c, const std::vector<Contrast>& contrasts) {
  double sum = 0;
  for (const Contrast& k : contrasts) sum += k.weight * variance(c, k);
  return sum;
}

// The covariance with a square beside it where the goal is about all strengths: the gain of a pair is then a
// lookup, e ||C d||^2 / (1 + e d' C d).
class Greedy {
 public:
  Greedy(Matrix c, std::vector<Contrast> contrasts, bool all)
      : c_(std::move(c)), contrasts_(std::move(contrasts)) {
    if (all) square_ = multiply(c_, c_);
  }
  [[nodiscard]] const Matrix& covariance() const { return c_; }
  [[nodiscard]] double gain(std::size_t i, std::size_t j, double information) const {
    double shrink = 0;
    if (square_.rows > 0) {
      shrink = (square_(i, i) + square_(j, j) - 2 * square_(i, j)) * contrasts_[0].weight;
    } else {
      for (const Contrast& k : contrasts_) {
        const double along = k.difference
                                 ? (c_(k.plus, i) - c_(k.plus, j)) - (c_(k.minus, i) - c_(k.minus, j))
                                 : c_(k.plus, i) - c_(k.plus, j);
        shrink += k.weight * along * along;
      }
    }
    return information * shrink / (1 + information * (c_(i, i) + c_(j, j) - 2 * c_(i, j)));
  }
  void add(std::size_t i, std::size_t j, double information) {
    const std::size_t n = c_.rows;
    std::vector<double> u(n), v(n);
    for (std::size_t r = 0; r < n; ++r) u[r] = c_(r, i) - c_(r, j);
    const double a = information / (1 + information * (u[i] - u[j]));
    if (square_.rows > 0) {
      // (C - a u u')^2 = C^2 - a (v u' + u v') + a^2 (u'u) u u', v = C u = C^2 d.
      double length = 0;
      for (std::size_t r = 0; r < n; ++r) {
        v[r] = square_(r, i) - square_(r, j);
        length += u[r] * u[r];
      }
      // v is C (C d), read off the square before it changes.
      for (std::size_t r = 0; r < n; ++r)
        for (std::size_t q = 0; q < n; ++q)
          square_(r, q) += a * a * length * u[r] * u[q] - a * (v[r] * u[q] + u[r] * v[q]);
    }
    for (std::size_t r = 0; r < n; ++r)
      for (std::size_t q = 0; q < n; ++q) c_(r, q) -= a * u[r] * u[q];
  }

 private:
  Matrix c_, square_;
  std::vector<Contrast> contrasts_;
};

// Covariances after any number of votes spread evenly. With F F' = C and F' M F = V diag(l) V', M the
// information of one such vote, they are F V diag(1 / (1 + votes l)) V' F': one decomposition serves all.
class Uniform {
 public:
  Uniform(const std::vector<double>& s, const Matrix& c, double tie_share, const std::vector<bool>& asked) {
    const std::size_t n = s.size();
    Matrix m(n, n);
    double pairs = 0;
    for (std::size_t i = 0; i < n; ++i)
      for (std::size_t j = i + 1; j < n; ++j) {
        if (!asked[i] || !asked[j]) continue;
        ++pairs;
        const double e = vote_information(s[i] - s[j], tie_share);
        m(i, i) += e;
        m(j, j) += e;
        m(i, j) -= e;
        m(j, i) -= e;
      }
    for (double& x : m.values) x /= pairs;
    const Matrix half = half_of(c);
    const Spectrum spectrum = symmetric_eigen(sandwich(transpose(half), m), true);
    values_ = spectrum.values;
    axes_ = multiply(half, spectrum.vectors);
  }
  [[nodiscard]] double variance_of(const Contrast& k, double votes) const {
    double sum = 0;
    for (std::size_t q = 0; q < values_.size(); ++q) {
      const double along = axes_(k.plus, q) - (k.difference ? axes_(k.minus, q) : 0);
      sum += along * along / (1 + votes * std::max(0.0, values_[q]));
    }
    return sum;
  }
  [[nodiscard]] double goal(const std::vector<Contrast>& contrasts, double votes) const {
    double sum = 0;
    for (const Contrast& k : contrasts) sum += k.weight * variance_of(k, votes);
    return sum;
  }

 private:
  std::vector<double> values_;
  Matrix axes_;
};

// Votes spread evenly until the goal's figure is as low as `target`.
double votes_to_reach(const Uniform& uniform, const std::vector<Contrast>& contrasts, double target,
                      double votes) {
  double high = votes;
  while (uniform.goal(contrasts, high) > target) {
    high *= 2;
    if (high > 1e15) return std::numeric_limits<double>::infinity();
  }
  double low = 0;
  for (int step = 0; step < 100 && high - low > 1e-6 * high; ++step) {
    const double middle = 0.5 * (low + high);
    (uniform.goal(contrasts, middle) > target ? low : high) = middle;
  }
  return high;
}

}  // namespace

double vote_information(double difference, double tie_share) {
  // Of two who are far apart nearly all votes are decided: ties are at most twice the weaker's share.
  const double weaker = 1 / (1 + std::exp(std::abs(difference)));
  const double w = weaker * (1 - weaker);
  const double ties = std::min(tie_share, 2 * weaker);
  return w * w / std::max(w - 0.25 * ties, 0.25 * w);
}

NextPlan plan_next_pairs(const std::vector<double>& s, const Matrix& covariance, double tie_share,
                         const NextOptions& options) {
  const std::size_t n = s.size();
  AGON_CHECK(covariance.rows == n && n >= 2);
  std::vector<bool> asked(n, true);
  if (!options.left_out.empty())
    for (std::size_t i = 0; i < n; ++i) asked[i] = !options.left_out[i];
  NextPlan plan;
  plan.options = options;
  plan.tie_share = tie_share;
  const std::vector<Contrast> contrasts = contrasts_of(s, covariance, options);
  plan.before = goal_of(covariance, contrasts);

  struct Candidate {
    std::uint32_t i, j;
    double information;
    std::uint64_t votes = 0;
  };
  std::vector<Candidate> candidates;
  for (std::uint32_t i = 0; i < n; ++i)
    for (std::uint32_t j = i + 1; j < n; ++j)
      if (asked[i] && asked[j]) candidates.push_back({i, j, vote_information(s[i] - s[j], tie_share), 0});
  AGON_CHECK(!candidates.empty());
  Greedy greedy(covariance, contrasts, options.goal == NextGoal::kAll);
  const std::uint64_t steps = std::clamp<std::uint64_t>(kMostLooks / candidates.size(), 50, kMostSteps);
  const std::uint64_t step = std::max<std::uint64_t>(1, (options.votes + steps - 1) / steps);
  for (std::uint64_t given = 0; given < options.votes;) {
    const std::uint64_t votes = std::min(step, options.votes - given);
    std::size_t best = 0;
    double most = -1;
    for (std::size_t k = 0; k < candidates.size(); ++k) {
      const Candidate& c = candidates[k];
      const double gain = greedy.gain(c.i, c.j, c.information * static_cast<double>(votes));
      // Equal gains go to the pair asked least so far, so that equals are treated alike.
      if (gain > most * (1 + 1e-9) ||
          (gain > most * (1 - 1e-9) && candidates[k].votes < candidates[best].votes)) {
        most = gain;
        best = k;
      }
    }
    Candidate& chosen = candidates[best];
    greedy.add(chosen.i, chosen.j, chosen.information * static_cast<double>(votes));
    chosen.votes += votes;
    given += votes;
  }
  const Matrix& after = greedy.covariance();
  plan.after = goal_of(after, contrasts);
  const double z = critical_value(options.level);
  const auto half = [&](double v) { return z * std::sqrt(std::max(0.0, v)); };
  for (const Candidate& c : candidates) {
    if (c.votes == 0) continue;
    const Contrast k{c.i, c.j, true, 1};
    plan.pairs.push_back({c.i, c.j, c.votes, half(variance(covariance, k)), half(variance(after, k))});
  }
  std::stable_sort(plan.pairs.begin(), plan.pairs.end(),
                   [](const PairToAsk& a, const PairToAsk& b) { return a.votes > b.votes; });

  const Uniform uniform(s, covariance, tie_share, asked);
  const auto votes = static_cast<double>(options.votes);
  plan.uniform = uniform.goal(contrasts, votes);
  plan.uniform_votes = options.votes > 0 ? votes_to_reach(uniform, contrasts, plan.after, votes) : 0;
  for (const Contrast& k : contrasts)
    plan.widths.push_back({k.plus, k.difference ? k.minus : k.plus, half(variance(covariance, k)),
                           half(variance(after, k)), half(uniform.variance_of(k, votes))});
  return plan;
}

Result<NextPlan> plan_next_pairs(const PairTable& pairs, std::size_t competitors,
                                 const NextOptions& options) {
  if (competitors > kMostCompetitors)
    return fail(fmt::format("{} competitors are more than can be planned for (at most {})", competitors,
                            kMostCompetitors));
  if (options.a >= competitors || options.b >= competitors ||
      (!options.left_out.empty() && options.left_out.size() != competitors))
    return fail("a competitor beyond those of the votes");
  if (options.goal == NextGoal::kBetween && options.a == options.b)
    return fail("the difference of a competitor to itself is zero without asking");
  const auto out = std::count(options.left_out.begin(), options.left_out.end(), true);
  if (competitors < static_cast<std::size_t>(out) + 2)
    return fail("fewer than two competitors can be asked about");

  PairedOptions model;
  model.drop_both_bad = options.drop_both_bad;
  std::string ridge;
  auto fit = fit_paired(pairs, competitors, model);
  if (!fit) {
    ridge = fmt::format("{}; planned with a ridge of {:g}", fit.error().message, kRidge);
    model.ridge = kRidge;
    fit = fit_paired(pairs, competitors, model);
    if (!fit) return std::unexpected(fit.error());
  }
  double ties = 0, votes = 0;
  for (const PairCount& p : pairs) {
    const double both_bad = options.drop_both_bad ? 0 : p.weight[3];
    ties += p.weight[2] + both_bad;
    votes += (p.weight[0] + p.weight[1]) + (p.weight[2] + both_bad);
  }
  // A sandwich is too small where hardly a vote stands behind it; there the ridge's information is the guide.
  const Covariance covariance = ridge.empty() ? sandwich_covariance(*fit, pairs) : model_covariance(*fit);
  NextPlan plan =
      plan_next_pairs(fit->strengths(), covariance.strengths(), votes > 0 ? ties / votes : 0, options);
  plan.ridge = std::move(ridge);
  return plan;
}

}  // namespace agon
