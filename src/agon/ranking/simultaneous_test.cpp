#include "agon/ranking/simultaneous.h"

#include <gtest/gtest.h>

#include <cmath>

#include "agon/base/parallel.h"
#include "agon/ranking/test_tables.h"
#include "agon/stats/normal.h"

namespace agon {
namespace {

// Independent errors of unit variance, projected to sum zero.
Covariance independent(std::size_t m, double variance = 1) {
  Covariance c;
  c.layout.competitors = m;
  c.matrix = Matrix(m, m);
  for (std::size_t i = 0; i < m; ++i)
    for (std::size_t j = 0; j < m; ++j)
      c.matrix(i, j) = variance * ((i == j ? 1.0 : 0.0) - 1.0 / static_cast<double>(m));
  return c;
}

TEST(Simultaneous, CriticalValuesAreThoseOfTheTables) {
  // Two competitors: one difference, so nothing to correct for.
  const std::vector<double> two = {0.5, -0.5};
  const Simultaneous pair = simultaneous(two, independent(2), {.draws = 200000});
  EXPECT_NEAR(pair.z_strengths, 1.960, 0.012);
  EXPECT_NEAR(pair.z_differences, 1.960, 0.012);
  // The studentised range with infinite degrees of freedom, divided by the root of two: Tukey's q_.05 is
  // 3.314 for 3, 3.858 for 5 and 4.474 for 10.
  for (const auto& [m, q] : {std::pair<std::size_t, double>{3, 3.314}, {5, 3.858}, {10, 4.474}}) {
    const std::vector<double> level(m, 0.0);
    EXPECT_NEAR(simultaneous(level, independent(m), {.draws = 100000}).z_differences, q / std::sqrt(2.0),
                0.02);
  }
}

TEST(Simultaneous, RanksOfClearAndOfEqualCompetitors) {
  const std::vector<double> clear = {30, 10, 20, 0};
  const Simultaneous apart = simultaneous(clear, independent(4));
  EXPECT_EQ(apart.ranks, (std::vector<RankRange>{{1, 1}, {3, 3}, {2, 2}, {4, 4}}));
  EXPECT_EQ(apart.marginal_ranks, apart.ranks);
  EXPECT_NEAR(apart.better(0, 1), 1, 1e-9);
  EXPECT_GT(apart.better_corrected(0, 1), 0.999);
  const Simultaneous equal = simultaneous(std::vector<double>(4, 0.0), independent(4));
  for (const RankRange& r : equal.ranks) EXPECT_EQ(r, (RankRange{1, 4}));
  EXPECT_EQ(equal.better(0, 1), 0.5);
  EXPECT_EQ(equal.better_corrected(0, 1), 0);
}

// A naive twin: the step-down test written from the definition, with a matrix of hypotheses.
TEST(Simultaneous, StepDownAgreesWithANaiveTwin) {
  for (std::uint64_t seed = 1; seed <= 5; ++seed) {
    Random random(seed);
    const std::size_t m = 6;
    std::vector<double> s(m);
    for (double& x : s) x = 6 * random.uniform();
    const Covariance c = independent(m);
    const Simultaneous got = simultaneous(s, c, {.draws = 40000, .seed = seed});
    // Its own draws: errors of each competitor are independent, and the mean drops out of differences.
    constexpr std::size_t kDraws = 40000;
    std::vector<float> e(kDraws * m);
    Random stream(seed + 99);
    draw_normals(stream, e);
    std::vector<std::vector<bool>> shown(m, std::vector<bool>(m, false));
    const double se = std::sqrt(2.0);
    for (bool more = true; more;) {
      std::vector<double> top(kDraws, -1e9);
      for (std::size_t b = 0; b < kDraws; ++b)
        for (std::size_t i = 0; i < m; ++i)
          for (std::size_t j = 0; j < m; ++j)
            if (i != j && !shown[i][j]) top[b] = std::max(top[b], (e[b * m + i] - e[b * m + j]) / se);
      std::sort(top.begin(), top.end());
      const double critical = top[static_cast<std::size_t>(0.95 * kDraws)];
      more = false;
      for (std::size_t i = 0; i < m; ++i)
        for (std::size_t j = 0; j < m; ++j)
          if (i != j && !shown[i][j] && (s[i] - s[j]) / se > critical) shown[i][j] = more = true;
    }
    for (std::size_t i = 0; i < m; ++i) {
      RankRange expected{1, m};
      for (std::size_t j = 0; j < m; ++j) {
        expected.worst -= shown[i][j];
        expected.best += shown[j][i];
      }
      EXPECT_EQ(got.ranks[i], expected) << seed << " " << i;
      // One's own: the same steps over both directions of its own differences.
      RankRange own{1, m};
      std::vector<bool> told(m, false);
      for (bool go_on = true; go_on;) {
        std::vector<double> top(kDraws, 0);
        for (std::size_t b = 0; b < kDraws; ++b)
          for (std::size_t j = 0; j < m; ++j) {
            if (j == i) continue;
            const double error = (e[b * m + i] - e[b * m + j]) / se;
            const bool above = s[i] > s[j];
            if (!told[j] || !above) top[b] = std::max(top[b], error);
            if (!told[j] || above) top[b] = std::max(top[b], -error);
          }
        std::sort(top.begin(), top.end());
        const double critical = top[static_cast<std::size_t>(0.95 * kDraws)];
        go_on = false;
        for (std::size_t j = 0; j < m; ++j) {
          if (j == i || told[j] || !(std::abs(s[i] - s[j]) / se > critical)) continue;
          told[j] = go_on = true;
          s[i] > s[j] ? --own.worst : ++own.best;
        }
      }
      EXPECT_EQ(got.marginal_ranks[i], own) << seed << " " << i;
      // One's own range is at least as sharp as the one that holds together with all others.
      EXPECT_GE(got.marginal_ranks[i].best, got.ranks[i].best);
      EXPECT_LE(got.marginal_ranks[i].worst, got.ranks[i].worst);
    }
  }
}

TEST(Simultaneous, CorrectionOnlyEverWeakensClaims) {
  const PairTable table = ranking_test::count_rows(ranking_test::random_rows(4, 7, 900));
  const auto fit = fit_paired(table, 7).value();
  const Covariance c = sandwich_covariance(fit, table);
  const Simultaneous s = simultaneous(fit.strengths(), c);
  EXPECT_GT(s.z_strengths, 1.96);
  EXPECT_GT(s.z_differences, s.z_strengths);
  for (std::size_t i = 0; i < 7; ++i)
    for (std::size_t j = 0; j < 7; ++j) {
      EXPECT_LE(s.better_corrected(i, j), s.better(i, j));
      EXPECT_NEAR(s.better(i, j) + s.better(j, i), 1, 1e-12);
    }
}

// More competitors than a vector has places, in a scrambled order, and enough for the other factor.
TEST(Simultaneous, ALadderOfManyIsTheSameWhateverItsOrder) {
  for (const std::size_t m : {37UL, 410UL}) {
    std::vector<double> ladder(m);
    for (std::size_t i = 0; i < m; ++i) ladder[i] = 2.2 * static_cast<double>(i * 7 % m);
    const Simultaneous got = simultaneous(ladder, independent(m), {.draws = 4000});
    for (std::size_t i = 0; i < m; ++i) {
      const auto place = static_cast<std::uint32_t>(m - i * 7 % m);
      // Steps of 1.56 standard errors: a neighbour or two on either side can't be told apart.
      EXPECT_LE(got.ranks[i].best, place);
      EXPECT_GE(got.ranks[i].worst, place);
      EXPECT_EQ(got.ranks[i].best, place < 4 ? 1 : place - (m > 100 ? 3 : 2)) << m << " " << place;
      EXPECT_LE(got.marginal_ranks[i].worst, got.ranks[i].worst);
    }
    double worst = 0;
    for (std::size_t i = 0; i < m; ++i)
      for (std::size_t j = 0; j < m; ++j) {
        const double t = (ladder[i] - ladder[j]) / std::sqrt(2.0);
        worst = std::max(worst, std::abs(got.better(i, j) - normal_cdf(t)));
        if (t <= 0) {
          EXPECT_EQ(got.better_corrected(i, j), 0);
        }
      }
    EXPECT_LT(worst, 1e-7);
  }
}

TEST(Simultaneous, ThreadsDoNotChangeABit) {
  const PairTable table = ranking_test::count_rows(ranking_test::random_rows(4, 7, 900));
  const auto fit = fit_paired(table, 7).value();
  const Covariance c = sandwich_covariance(fit, table);
  set_thread_count(1);
  const Simultaneous one = simultaneous(fit.strengths(), c);
  set_thread_count(3);
  const Simultaneous three = simultaneous(fit.strengths(), c);
  set_thread_count(0);
  EXPECT_EQ(one.z_differences, three.z_differences);
  EXPECT_EQ(one.better_corrected.values, three.better_corrected.values);
  EXPECT_EQ(one.ranks, three.ranks);
}

}  // namespace
}  // namespace agon
