#include "agon/preference/models/odd_even.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <array>
#include <cmath>
#include <numeric>

#include "agon/base/random.h"

namespace agon {
namespace {

struct Problem {
  FeatureMatrix x;
  std::vector<Parity> parity;
  std::vector<Outcome> outcomes;
  std::vector<double> weights;
  std::vector<std::uint32_t> rows;

  [[nodiscard]] TrainingRows training() const { return {&x, parity, rows, outcomes, weights}; }
};

/// Two odd and two even columns, one constant; weights differ and every third row is left out.
Problem sample(std::size_t n) {
  Problem p;
  p.x = {.rows = n, .columns = 5, .values = {}};
  p.parity = {Parity::kOdd, Parity::kEven, Parity::kOdd, Parity::kEven, Parity::kEven};
  Random random(5);
  for (std::size_t i = 0; i < n; ++i) {
    const double a = random.uniform() * 4 - 2, b = random.uniform() - 0.5, e = random.uniform() * 10,
                 f = random.uniform();
    for (const double v : {a, e, b, f, 3.0}) p.x.values.push_back(static_cast<float>(v));
    const Prediction q = davidson(0.9 * a - b, 0.1 * e - 1 + f);
    const double u = random.uniform();
    p.outcomes.push_back(u < q.a ? Outcome::kA : u < q.a + q.b ? Outcome::kB : Outcome::kTie);
    p.weights.push_back(0.5 + random.uniform());
    if (i % 3 != 0) p.rows.push_back(static_cast<std::uint32_t>(i));
  }
  return p;
}

/// The documented model, written again without sharing code: scaling, logits, penalised loss.
struct Twin {
  const Problem& p;
  double l2_odd, l2_even, clip;
  std::array<double, 5> centre{}, scale{};

  Twin(const Problem& problem, double odd, double even, double cut)
      : p(problem), l2_odd(odd), l2_even(even), clip(cut) {
    for (std::size_t j = 0; j < 5; ++j) {
      double sum = 0, squares = 0, n = 0;  // rows count by weight
      for (const auto r : p.rows) {
        const double v = p.x.row(r)[j], w = p.weights[r];
        sum += w * v;
        squares += w * v * v;
        n += w;
      }
      const double mean = sum / n;
      const bool is_odd = p.parity[j] == Parity::kOdd;
      centre[j] = is_odd ? 0 : mean;
      const double variance = squares / n - (is_odd ? 0 : mean * mean);
      scale[j] = variance > 1e-12 ? 1 / std::sqrt(variance) : 0;
    }
  }
  [[nodiscard]] std::array<double, 3> probabilities(std::span<const float> row,
                                                    std::span<const double> theta) const {
    double d = 0, t = theta[5];
    for (std::size_t j = 0; j < 5; ++j) {
      const double z = std::max(-clip, std::min(clip, (row[j] - centre[j]) * scale[j]));
      (p.parity[j] == Parity::kOdd ? d : t) += theta[j] * z;
    }
    const double a = std::exp(d / 2), b = std::exp(-d / 2), tie = std::exp(t), sum = a + b + tie;
    return {a / sum, b / sum, tie / sum};
  }
  [[nodiscard]] double loss(std::span<const double> theta) const {
    double sum = 0.5e-6 * theta[5] * theta[5];
    for (std::size_t j = 0; j < 5; ++j)
      sum += 0.5 * (p.parity[j] == Parity::kOdd ? l2_odd : l2_even) * theta[j] * theta[j];
    for (const auto r : p.rows)
      sum -=
          p.weights[r] * std::log(probabilities(p.x.row(r), theta)[static_cast<std::size_t>(p.outcomes[r])]);
    return sum;
  }
  [[nodiscard]] std::vector<double> gradient(std::span<const double> theta) const {
    std::vector<double> at(theta.begin(), theta.end()), out;
    for (double& x : at) {
      const double kept = x, h = 1e-5;
      x = kept + h;
      const double up = loss(at);
      x = kept - h;
      out.push_back((up - loss(at)) / (2 * h));
      x = kept;
    }
    return out;
  }
};

/// The fitted parameters, read out of contributions and predictions.
std::vector<double> parameters(const OddEvenModel& model, const Twin& twin) {
  std::vector<double> theta;
  for (std::size_t j = 0; j < 5; ++j) {
    std::vector<float> row(5);
    std::vector<double> out(5);
    if (twin.scale[j] == 0) {
      theta.push_back(0);
      continue;
    }
    row[j] = static_cast<float>(twin.centre[j] + 1 / twin.scale[j]);  // one unit when scaled, nearly
    model.contributions(row, out);
    theta.push_back(out[j] / ((row[j] - twin.centre[j]) * twin.scale[j]));
  }
  std::vector<float> centre;
  for (const double c : twin.centre) centre.push_back(static_cast<float>(c));
  const Prediction p = model.predict(centre);
  theta.push_back(std::log(p.tie / p.a));
  return theta;
}

TEST(OddEvenModel, GradientOfAnIndependentTwinIsZeroAtTheFit) {
  const Problem problem = sample(400);
  for (const auto& [odd, even] : {std::pair{2.0, 7.0}, std::pair{300.0, 300.0}, std::pair{1e-3, 1e-3}}) {
    const OddEvenModel model =
        OddEvenModel::fit(problem.training(), {.l2_odd = odd, .l2_even = even, .clip = 1.5});
    EXPECT_TRUE(model.converged());
    EXPECT_LT(model.gradient_norm(), 1e-9);
    const Twin twin(problem, odd, even, 1.5);
    const std::vector<double> theta = parameters(model, twin);
    for (const double g : twin.gradient(theta)) EXPECT_NEAR(g, 0, 2e-3) << odd;  // float centres
    for (const std::uint32_t r : {0U, 1U, 2U, 3U}) {
      const Prediction p = model.predict(problem.x.row(r));
      const auto q = twin.probabilities(problem.x.row(r), theta);
      EXPECT_NEAR(p.a, q[0], 1e-6);
      EXPECT_NEAR(p.b, q[1], 1e-6);
      EXPECT_NEAR(p.tie, q[2], 1e-6);
    }
  }
}

TEST(OddEvenModel, GradientDescentOnATinyProblemEndsAtTheSamePlace) {
  const Problem problem = sample(30);
  const OddEvenModel model = OddEvenModel::fit(problem.training(), {.l2_odd = 3, .l2_even = 3, .clip = 3});
  const Twin twin(problem, 3, 3, 3);
  std::vector<double> theta(6);
  for (int step = 0; step < 4000; ++step) {
    const std::vector<double> g = twin.gradient(theta);
    for (std::size_t j = 0; j < 6; ++j) theta[j] -= 0.03 * g[j];
  }
  const std::vector<double> fitted = parameters(model, twin);
  for (std::size_t j = 0; j < 6; ++j) EXPECT_NEAR(fitted[j], theta[j], 1e-5) << j;
}

TEST(OddEvenModel, ScoreColumnsHaveAPenaltyOfTheirOwn) {
  const Problem problem = sample(200);
  const auto direction = [&](double l2_scores, std::size_t score_columns) {
    const OddEvenModel model = OddEvenModel::fit(
        problem.training(),
        {.l2_odd = 10, .l2_even = 10, .l2_scores = l2_scores, .score_columns = score_columns});
    std::vector<float> row{1, 0, 1, 0, 0};
    std::vector<double> out(5);
    model.contributions(row, out);
    return std::pair(out[0], out[2]);
  };
  // Column 2 is among the last three, column 0 is not.
  const auto [first_loose, third_loose] = direction(0.1, 3);
  const auto [first_tight, third_tight] = direction(1e6, 3);
  EXPECT_GT(std::fabs(third_loose), 0.1);
  EXPECT_LT(std::fabs(third_tight), 1e-3);
  EXPECT_GT(std::fabs(first_tight), 0.1);
  EXPECT_EQ(direction(1e6, 0), direction(0.1, 0));
}

TEST(OddEvenModel, SwapsExactly) {
  const Problem problem = sample(100);
  const OddEvenModel model = OddEvenModel::fit(problem.training(), {.l2_odd = 1, .l2_even = 1});
  for (std::size_t i = 0; i < problem.x.rows; ++i) {
    std::vector<float> back(problem.x.row(i).begin(), problem.x.row(i).end());
    for (std::size_t j = 0; j < 5; ++j)
      if (problem.parity[j] == Parity::kOdd) back[j] = -back[j];
    const Prediction p = model.predict(problem.x.row(i)), q = model.predict(back);
    EXPECT_EQ(p.a, q.b);
    EXPECT_EQ(p.b, q.a);
    EXPECT_EQ(p.tie, q.tie);
  }
}

TEST(OddEvenModel, OneClassAndConstantColumnsStayFinite) {
  Problem problem = sample(20);
  for (const Outcome only : {Outcome::kA, Outcome::kB, Outcome::kTie}) {
    problem.outcomes.assign(20, only);
    const OddEvenModel model = OddEvenModel::fit(problem.training(), {.l2_odd = 1, .l2_even = 1});
    const Prediction p = model.predict(problem.x.row(0));
    EXPECT_TRUE(std::isfinite(p.a) && std::isfinite(p.b) && std::isfinite(p.tie));
    EXPECT_NEAR(p.a + p.b + p.tie, 1, 1e-12);
  }
  std::ranges::fill(problem.x.values, 0.0F);
  problem.outcomes.assign(20, Outcome::kTie);
  for (std::size_t i = 0; i < 20; i += 2) problem.outcomes[i] = Outcome::kA;
  const OddEvenModel model = OddEvenModel::fit(problem.training(), {});
  EXPECT_EQ(model.predict(problem.x.row(0)).a, model.predict(problem.x.row(0)).b);
}

TEST(OddEvenModel, ReadsBackWhatItSaves) {
  const Problem problem = sample(60);
  const OddEvenModel model = OddEvenModel::fit(problem.training(), {.l2_odd = 1, .l2_even = 1});
  ByteWriter out;
  model.save(out);
  ByteReader in(out.bytes());
  const OddEvenModel again = OddEvenModel::load(in);
  ASSERT_TRUE(in.ok());
  EXPECT_EQ(in.left(), 0U);
  for (std::size_t i = 0; i < problem.x.rows; ++i) {
    EXPECT_EQ(model.predict(problem.x.row(i)).a, again.predict(problem.x.row(i)).a);
    EXPECT_EQ(model.predict(problem.x.row(i)).tie, again.predict(problem.x.row(i)).tie);
  }
  ByteWriter twice;
  again.save(twice);
  EXPECT_EQ(out.bytes(), twice.bytes());
  for (std::size_t n = 0; n < out.bytes().size(); ++n) {
    ByteReader cut(std::string_view(out.bytes()).substr(0, n));
    (void)OddEvenModel::load(cut);
    EXPECT_FALSE(cut.ok()) << n;
  }
}

TEST(Davidson, AgreesWithHisPaperAndNeverOverflows) {
  // Davidson 1970: P(A) : P(B) : P(tie) = pi_a : pi_b : nu sqrt(pi_a pi_b), with d = ln(pi_a / pi_b).
  const double pi_a = 3, pi_b = 0.5, nu = 0.7, tie = nu * std::sqrt(pi_a * pi_b), sum = pi_a + pi_b + tie;
  const Prediction p = davidson(std::log(pi_a / pi_b), std::log(nu));
  EXPECT_NEAR(p.a, pi_a / sum, 1e-15);
  EXPECT_NEAR(p.b, pi_b / sum, 1e-15);
  EXPECT_NEAR(p.tie, tie / sum, 1e-15);
  for (const double d : {0.0, 1e-300, 0.3, 40.0, 1e4, 1e12})
    for (const double t : {-1e12, -3.0, 0.0, 700.0, 1e12}) {
      const Prediction q = davidson(d, t), back = davidson(-d, t);
      EXPECT_EQ(q.a, back.b);
      EXPECT_EQ(q.b, back.a);
      EXPECT_EQ(q.tie, back.tie);
      EXPECT_NEAR(q.a + q.b + q.tie, 1, 1e-12);
    }
}

TEST(OddEven, APathEndsWhereSingleFitsEnd) {
  const Problem p = sample(300);
  const OddEvenOptions options{.l2_odd = 20, .l2_even = 30, .max_iterations = 50};
  const std::vector<double> multiples = {1, 0.1, 10};
  const auto path = OddEvenModel::fit_path(p.training(), options, multiples);
  ASSERT_EQ(path.size(), 3U);
  for (std::size_t m = 0; m < 3; ++m) {
    OddEvenOptions single = options;
    single.l2_odd *= multiples[m];
    single.l2_even *= multiples[m];
    const OddEvenModel alone = OddEvenModel::fit(p.training(), single);
    EXPECT_TRUE(path[m].converged());
    for (const std::uint32_t r : p.rows)
      EXPECT_NEAR(path[m].predict(p.x.row(r)).a, alone.predict(p.x.row(r)).a, 1e-8);
  }
}

}  // namespace
}  // namespace agon
