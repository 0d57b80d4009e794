#include "agon/ranking/next_pairs.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <cmath>
#include <limits>
#include <numeric>
#include <utility>

#include "agon/base/check.h"
#include "agon/base/parallel.h"
#include "agon/ranking/paired_kernel.h"
#include "agon/stats/normal.h"

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

// What one vote on a pair tells: up to three directions a_r over these parameters.
struct Information {
  std::array<std::size_t, 4> at{};  // i, j, and the tie parameter and the threshold where there are any
  std::size_t parameters = 2, rank = 0;
  std::array<std::array<double, 4>, 3> along{};
};

struct Candidate {
  std::uint32_t i, j;
  std::uint64_t votes = 0;
};

// The expected information of every pair by the model of a fit, kept as the six numbers of its Cholesky
// factor by (u, v, t), or by half-win ties, where one number does.
class Tell {
 public:
  Tell(const std::vector<double>& s, double tie_share, const std::vector<Candidate>& pairs) {
    for (const Candidate& c : pairs) half_.push_back(vote_information(s[c.i] - s[c.j], tie_share));
  }
  Tell(const PairedFit& fit, const std::vector<Candidate>& pairs)
      : tie_(fit.layout.tie), bad_(fit.layout.bad) {
    const paired::Shape shape = paired::shape_of(fit);
    paired::LocalTerms terms;
    for (const Candidate& c : pairs) {
      paired::local_terms(shape.model, shape.point(fit.parameters, c.i, c.j), terms);
      const auto probability = outcome_probabilities(fit, c.i, c.j);
      std::array<std::array<double, 3>, 3> h{};
      for (std::size_t k = 0; k < kBattleClasses; ++k)
        if (probability[k] > 0)
          for (std::size_t a = 0; a < 3; ++a)
            for (std::size_t b = 0; b < 3; ++b)
              h[a][b] += probability[k] * terms.gradient[k][a] * terms.gradient[k][b];
      factors_.push_back(factor(h));
    }
  }
  [[nodiscard]] bool half_wins() const { return !half_.empty(); }
  [[nodiscard]] double half_win(std::size_t pair) const { return half_[pair]; }
  [[nodiscard]] Information operator()(const Candidate& c, std::size_t pair) const {
    Information out{{c.i, c.j}, 2, 1, {}};
    if (!half_.empty()) {
      const double root = std::sqrt(half_[pair]);
      out.along[0] = {root, -root, 0, 0};
      return out;
    }
    std::size_t tie = 0, bad = 0;
    if (tie_ >= 0) out.at[tie = out.parameters++] = static_cast<std::size_t>(tie_);
    if (bad_ >= 0) out.at[bad = out.parameters++] = static_cast<std::size_t>(bad_);
    const auto& [l00, l10, l20, l11, l21, l22] = factors_[pair];
    out.rank = 0;
    const std::array<std::array<double, 3>, 3> columns = {{{l00, l10, l20}, {0, l11, l21}, {0, 0, l22}}};
    for (const auto& [u, v, t] : columns) {
      if (u == 0 && v == 0 && t == 0) continue;
      std::array<double, 4>& along = out.along[out.rank++];
      along[0] = u;
      along[1] = v;
      if (tie > 0) along[tie] = t;
      if (bad > 0) along[bad] = -(u + v);  // u and v are strengths against the threshold
    }
    return out;
  }

 private:
  // Of a positive semidefinite matrix; directions without information have zeros.
  static std::array<double, 6> factor(std::array<std::array<double, 3>, 3> h) {
    std::array<std::array<double, 3>, 3> l{};
    const double smallest = 1e-12 * (h[0][0] + h[1][1] + h[2][2]);
    for (std::size_t k = 0; k < 3; ++k) {
      if (!(h[k][k] > smallest)) continue;
      const double root = std::sqrt(h[k][k]);
      for (std::size_t a = k; a < 3; ++a) l[a][k] = h[a][k] / root;
      for (std::size_t a = k; a < 3; ++a)
        for (std::size_t b = k; b < 3; ++b) h[a][b] -= l[a][k] * l[b][k];
    }
    return {l[0][0], l[1][0], l[2][0], l[1][1], l[2][1], l[2][2]};
  }

  std::vector<double> half_;
  std::vector<std::array<double, 6>> factors_;
  int tie_ = -1, bad_ = -1;
};

// The covariance of all parameters and, where the goal is about all strengths, beside it Q = C S C with S the
// identity of the strengths: the gain of a pair is then a matter of lookups.
class Greedy {
 public:
  Greedy(Matrix c, std::size_t strengths, std::vector<Contrast> contrasts, bool all)
      : c_(std::move(c)), strengths_(strengths), contrasts_(std::move(contrasts)) {
    if (!all) return;
    Matrix some(c_.rows, strengths_);
    for (std::size_t i = 0; i < c_.rows; ++i)
      for (std::size_t j = 0; j < strengths_; ++j) some(i, j) = c_(i, j);
    square_ = multiply(some, transpose(some));
  }
  [[nodiscard]] const Matrix& covariance() const { return c_; }

  // tr((1 + A' C A)^-1 A' C G C A), with A the directions of `votes` votes and G what the goal weighs.
  [[nodiscard]] double gain(const Information& one, double votes) const {
    std::array<std::array<double, 3>, 3> w{}, s{};
    std::array<std::array<double, 4>, 4> c, q;
    for (std::size_t x = 0; x < one.parameters; ++x)
      for (std::size_t y = 0; y < one.parameters; ++y) {
        c[x][y] = c_(one.at[x], one.at[y]);
        if (square_.rows > 0) q[x][y] = square_(one.at[x], one.at[y]) * contrasts_[0].weight;
      }
    const auto product = [&](const auto& m, std::size_t r, std::size_t t) {
      double sum = 0;
      for (std::size_t x = 0; x < one.parameters; ++x)
        for (std::size_t y = 0; y < one.parameters; ++y) sum += one.along[r][x] * m[x][y] * one.along[t][y];
      return votes * sum;
    };
    for (std::size_t r = 0; r < one.rank; ++r)
      for (std::size_t t = 0; t <= r; ++t) {
        w[r][t] = w[t][r] = product(c, r, t) + (r == t);
        if (square_.rows > 0) s[r][t] = s[t][r] = product(q, r, t);
      }
    if (square_.rows == 0)
      for (const Contrast& k : contrasts_) {
        std::array<double, 3> seen{};
        for (std::size_t r = 0; r < one.rank; ++r)
          for (std::size_t x = 0; x < one.parameters; ++x)
            seen[r] +=
                one.along[r][x] * (c_(k.plus, one.at[x]) - (k.difference ? c_(k.minus, one.at[x]) : 0.0));
        for (std::size_t r = 0; r < one.rank; ++r)
          for (std::size_t t = 0; t < one.rank; ++t) s[r][t] += votes * k.weight * seen[r] * seen[t];
      }
    // Gauss's elimination of one direction after the other; w is positive definite.
    double sum = 0;
    for (std::size_t k = 0; k < one.rank; ++k) {
      sum += s[k][k] / w[k][k];
      std::array<double, 3> f{};
      for (std::size_t r = k + 1; r < one.rank; ++r) f[r] = w[r][k] / w[k][k];
      for (std::size_t r = k + 1; r < one.rank; ++r)
        for (std::size_t t = k + 1; t < one.rank; ++t) {
          s[r][t] += f[r] * f[t] * s[k][k] - f[r] * s[k][t] - f[t] * s[r][k];
          w[r][t] -= f[r] * f[t] * w[k][k];
        }
    }
    return sum;
  }
  // The same for one direction sqrt(information) (1_i - 1_j), as all are with half-win ties.
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
  void add(const Information& one, double votes) {
    for (std::size_t r = 0; r < one.rank; ++r) add(one, one.along[r], votes);
  }

 private:
  void add(const Information& one, const std::array<double, 4>& along, double votes) {
    const std::size_t n = c_.rows;
    std::vector<double> u(n, 0), v(n, 0);
    double length = 0, inside = 0;
    for (std::size_t x = 0; x < one.parameters; ++x)
      for (std::size_t r = 0; r < n; ++r) u[r] += along[x] * c_(r, one.at[x]);
    for (std::size_t x = 0; x < one.parameters; ++x) inside += along[x] * u[one.at[x]];
    const double a = votes / (1 + votes * inside);
    if (square_.rows > 0) {
      // C' S C' with C' = C - a u u': v = C S u = Q times the direction, read off before Q changes.
      for (std::size_t x = 0; x < one.parameters; ++x)
        for (std::size_t r = 0; r < n; ++r) v[r] += along[x] * square_(r, one.at[x]);
      for (std::size_t r = 0; r < strengths_; ++r) length += u[r] * u[r];
      for (std::size_t r = 0; r < n; ++r)
        for (std::size_t t = 0; t < n; ++t)
          square_(r, t) += a * a * length * u[r] * u[t] - a * (v[r] * u[t] + u[r] * v[t]);
    }
    for (std::size_t r = 0; r < n; ++r)
      for (std::size_t t = 0; t < n; ++t) c_(r, t) -= a * u[r] * u[t];
  }

  Matrix c_, square_;
  std::size_t strengths_;
  std::vector<Contrast> contrasts_;
};

// Covariances after any number of votes spread evenly. With F F' = C and F' M F = V diag(l) V', M the
// information of one such vote, they are F V diag(1 / (1 + votes l)) V' F': one decomposition serves all.
class Uniform {
 public:
  Uniform(const Matrix& c, const std::vector<Candidate>& candidates, const Tell& tell) {
    Matrix m(c.rows, c.rows);
    for (std::size_t k = 0; k < candidates.size(); ++k) {
      const Information one = tell(candidates[k], k);
      for (std::size_t r = 0; r < one.rank; ++r)
        for (std::size_t x = 0; x < one.parameters; ++x)
          for (std::size_t y = 0; y < one.parameters; ++y)
            m(one.at[x], one.at[y]) += one.along[r][x] * one.along[r][y];
    }
    for (double& x : m.values) x /= static_cast<double>(candidates.size());
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

namespace {

std::vector<Candidate> candidates_of(std::size_t n, const NextOptions& options) {
  const auto asked = [&](std::size_t i) { return options.left_out.empty() || !options.left_out[i]; };
  std::vector<Candidate> out;
  for (std::uint32_t i = 0; i < n; ++i)
    for (std::uint32_t j = i + 1; j < n; ++j)
      if (asked(i) && asked(j)) out.push_back({i, j, 0});
  AGON_CHECK(!out.empty());
  return out;
}

// `covariance` is that of all parameters; `tell` what a vote on each candidate tells.
NextPlan plan_pairs(const std::vector<double>& s, const Matrix& covariance, double tie_share,
                    const NextOptions& options, std::vector<Candidate> candidates, const Tell& tell) {
  const std::size_t n = s.size();
  AGON_CHECK(covariance.rows >= n && n >= 2);
  NextPlan plan;
  plan.options = options;
  plan.tie_share = tie_share;
  const std::vector<Contrast> contrasts = contrasts_of(s, covariance, options);
  plan.before = goal_of(covariance, contrasts);

  Greedy greedy(covariance, n, contrasts, options.goal == NextGoal::kAll);
  const std::uint64_t steps =
      std::clamp<std::uint64_t>((tell.half_wins() ? kMostLooks : kMostLooks / 10) / candidates.size(),
                                tell.half_wins() ? 50 : 20, kMostSteps);
  const std::uint64_t step = std::max<std::uint64_t>(1, (options.votes + steps - 1) / steps);
  for (std::uint64_t given = 0; given < options.votes;) {
    const std::uint64_t votes = std::min(step, options.votes - given);
    std::size_t best = 0;
    double most = -1;
    for (std::size_t k = 0; k < candidates.size(); ++k) {
      const Candidate& c = candidates[k];
      const double gain = tell.half_wins()
                              ? greedy.gain(c.i, c.j, tell.half_win(k) * static_cast<double>(votes))
                              : greedy.gain(tell(c, k), static_cast<double>(votes));
      // Equal gains go to the pair asked least so far, so that equals are treated alike.
      if (gain > most * (1 + 1e-9) ||
          (gain > most * (1 - 1e-9) && candidates[k].votes < candidates[best].votes)) {
        most = gain;
        best = k;
      }
    }
    Candidate& chosen = candidates[best];
    greedy.add(tell(chosen, best), static_cast<double>(votes));
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

  const Uniform uniform(covariance, candidates, tell);
  const auto votes = static_cast<double>(options.votes);
  plan.uniform = uniform.goal(contrasts, votes);
  plan.uniform_votes = options.votes > 0 ? votes_to_reach(uniform, contrasts, plan.after, votes) : 0;
  for (const Contrast& k : contrasts)
    plan.widths.push_back({k.plus, k.difference ? k.minus : k.plus, half(variance(covariance, k)),
                           half(variance(after, k)), half(uniform.variance_of(k, votes))});
  return plan;
}

}  // namespace

NextPlan plan_next_pairs(const std::vector<double>& s, const Matrix& covariance, double tie_share,
                         const NextOptions& options) {
  std::vector<Candidate> pairs = candidates_of(s.size(), options);
  const Tell tell(s, tie_share, pairs);
  return plan_pairs(s, covariance, tie_share, options, std::move(pairs), tell);
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
  model.ties = options.ties;
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
    const double both_bad =
        options.drop_both_bad && options.ties != TieModel::kBadThreshold ? 0 : p.weight[3];
    ties += p.weight[2] + both_bad;
    votes += (p.weight[0] + p.weight[1]) + (p.weight[2] + both_bad);
  }
  // A sandwich is too small where hardly a vote stands behind it; there the ridge's information is the guide.
  const Covariance covariance = ridge.empty() ? sandwich_covariance(*fit, pairs) : model_covariance(*fit);
  const double tie_share = votes > 0 ? ties / votes : 0;
  // Without a tie among the votes the other models are plain Bradley-Terry.
  const bool half = paired::shape_of(*fit).model == TieModel::kHalf;
  NextPlan plan;
  if (half) {
    plan = plan_next_pairs(fit->strengths(), covariance.strengths(), tie_share, options);
  } else {
    std::vector<Candidate> candidates = candidates_of(competitors, options);
    const Tell tell(*fit, candidates);
    plan = plan_pairs(fit->strengths(), covariance.matrix, tie_share, options, std::move(candidates), tell);
  }
  plan.ridge = std::move(ridge);
  return plan;
}

}  // namespace agon
