#include "agon/stats/lbfgs.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>

namespace agon {
namespace {

TEST(Lbfgs, FindsTheMinimumOfAnIllConditionedQuadratic) {
  // Curvatures from 1 to 1,000 in a basis turned by coupling neighbours.
  constexpr std::size_t n = 30;
  const auto centre = [](std::size_t i) { return std::sin(static_cast<double>(i)); };
  const Objective f = [&](std::span<const double> x, std::span<double> g) {
    double value = 0;
    std::ranges::fill(g, 0);
    for (std::size_t i = 0; i < n; ++i) {
      const double scale = std::pow(1000.0, static_cast<double>(i) / (n - 1));
      const double d = x[i] - centre(i);
      value += 0.5 * scale * d * d;
      g[i] += scale * d;
      if (i + 1 < n) {
        const double e = d - (x[i + 1] - centre(i + 1));
        value += 0.5 * e * e;
        g[i] += e;
        g[i + 1] -= e;
      }
    }
    return value;
  };
  std::vector<double> x(n);
  const LbfgsResult r = minimise(f, x, {.max_iterations = 500, .history = 6, .tolerance = 1e-10});
  EXPECT_TRUE(r.converged);
  EXPECT_LT(r.iterations, 500);
  for (std::size_t i = 0; i < n; ++i) EXPECT_NEAR(x[i], centre(i), 1e-6) << i;
  EXPECT_NEAR(r.value, 0, 1e-9);
}

TEST(Lbfgs, WalksTheBentValleyOfRosenbrock) {
  const Objective f = [](std::span<const double> x, std::span<double> g) {
    const double u = 1 - x[0], v = x[1] - x[0] * x[0];
    g[0] = -2 * u - 400 * x[0] * v;
    g[1] = 200 * v;
    return u * u + 100 * v * v;
  };
  std::vector<double> x{-1.2, 1};
  const LbfgsResult r = minimise(f, x, {.max_iterations = 200, .history = 6, .tolerance = 1e-9});
  EXPECT_TRUE(r.converged);
  EXPECT_NEAR(x[0], 1, 1e-5);
  EXPECT_NEAR(x[1], 1, 1e-5);
}

TEST(Lbfgs, LogisticInterceptIsTheLogOddsInClosedForm) {
  // 70 successes of 100 without penalty: the intercept is ln(0.7 / 0.3).
  const Objective f = [](std::span<const double> x, std::span<double> g) {
    const double p = 1 / (1 + std::exp(-x[0]));
    g[0] = 100 * p - 70;
    return -70 * std::log(p) - 30 * std::log(1 - p);
  };
  std::vector<double> x{0};
  EXPECT_TRUE(minimise(f, x, {.max_iterations = 100, .history = 6, .tolerance = 1e-10}).converged);
  EXPECT_NEAR(x[0], std::log(7.0 / 3.0), 1e-8);
}

TEST(Lbfgs, StopsAtOnceAtAMinimumAndSaysWhenItDidNotGetThere) {
  const Objective bowl = [](std::span<const double> x, std::span<double> g) {
    double value = 0;
    for (std::size_t i = 0; i < x.size(); ++i) {
      const double scale = std::pow(10.0, static_cast<double>(i));
      g[i] = scale * (x[i] - 1);
      value += 0.5 * scale * (x[i] - 1) * (x[i] - 1);
    }
    return value;
  };
  std::vector<double> there(5, 1.0), far(5, -3.0), none;
  const LbfgsResult at_once = minimise(bowl, there, {});
  EXPECT_TRUE(at_once.converged);
  EXPECT_EQ(at_once.iterations, 0);
  const LbfgsResult cut = minimise(bowl, far, {.max_iterations = 2, .history = 6, .tolerance = 1e-10});
  EXPECT_FALSE(cut.converged);
  EXPECT_EQ(cut.iterations, 2);
  EXPECT_TRUE(minimise(bowl, none, {}).converged);  // no variables: nothing to do
}

}  // namespace
}  // namespace agon
