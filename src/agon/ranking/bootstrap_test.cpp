#include "agon/ranking/bootstrap.h"

#include <gtest/gtest.h>

#include <cmath>

#include "agon/base/parallel.h"
#include "agon/ranking/draws.h"
#include "agon/ranking/lanes.h"
#include "agon/ranking/test_tables.h"

namespace agon {
namespace {

using ranking_test::add;
using ranking_test::count_rows;
using ranking_test::kModels;
using ranking_test::random_rows;

TEST(Lanes, LogisticAgreesWithTheLibrary) {
  for (double x = -720; x < 720; x += 0.37) {
    alignas(64) double in[8], share[8], small[8];
    for (int k = 0; k < 8; ++k) in[k] = x + 0.01 * k;
    lanes::Doubles d, s, e;
    lanes::load(in, d);
    lanes::logistic(d, s, e);
    lanes::store(share, s);
    lanes::store(small, e);
    for (int k = 0; k < 8; ++k) {
      const double expected = 1 / (1 + std::exp(-in[k]));
      EXPECT_NEAR(share[k], expected, 4e-16 * expected + 1e-300);
      EXPECT_NEAR(small[k], std::exp(-std::abs(in[k])), 5e-16 * std::exp(-std::abs(in[k])) + 1e-300);
    }
  }
}

TEST(PoissonDraws, EightAtATimeAreTheSame) {
  const UnitPoisson eight;
  const Poisson one(1);
  Random random(23);
  double most = 0;
  for (int d = 0; d < 400000; ++d) {
    lanes::Doubles uniform, got;
    Random copy = random;
    for (std::size_t v = 0; v < lanes::kWidth; ++v) uniform[v] = random.uniform();
    eight(uniform, got);
    for (std::size_t v = 0; v < lanes::kWidth; ++v) {
      ASSERT_EQ(got[v], one(copy));
      most = std::max(most, got[v]);
    }
  }
  EXPECT_GE(most, 9);  // past the eight that are looked at together
  lanes::Doubles got;
  eight(lanes::Doubles{} + (1 - 0x1p-53), got);
  EXPECT_LE(got[0], 21);
}

// Chi-square against the Poisson probabilities on both sides of the change of method.
TEST(PoissonDraws, HaveTheirProbabilities) {
  for (const double mean : {0.3, 1.0, 5.0, 11.9, 12.1, 40.0, 300.0}) {
    const Poisson poisson(mean);
    Random random(17, static_cast<std::uint64_t>(mean * 10));
    constexpr int kDraws = 200000;
    std::vector<double> seen(1000, 0);
    double sum = 0, squares = 0;
    for (int d = 0; d < kDraws; ++d) {
      const double k = poisson(random);
      ASSERT_GE(k, 0);
      ASSERT_EQ(k, std::floor(k));
      ++seen[static_cast<std::size_t>(k)];
      sum += k;
      squares += (k - mean) * (k - mean);
    }
    EXPECT_NEAR(sum / kDraws, mean, 5 * std::sqrt(mean / kDraws));
    EXPECT_NEAR(squares / kDraws / mean, 1, 0.03);
    double chi = 0, cells = 0;
    for (std::size_t k = 0; k < seen.size(); ++k) {
      const double x = static_cast<double>(k);
      const double expected = kDraws * std::exp(x * std::log(mean) - mean - std::lgamma(x + 1));
      if (expected < 20) continue;
      chi += (seen[k] - expected) * (seen[k] - expected) / expected;
      ++cells;
    }
    EXPECT_LT(chi, cells + 5 * std::sqrt(2 * cells)) << mean;
  }
}

// With many draws the spread is the sandwich's standard error, up to terms of the next order.
TEST(Bootstrap, SpreadsAsTheSandwichSays) {
  const BattleRows rows = random_rows(5, 5, 3000);
  const PairTable table = count_rows(rows);
  for (const TieModel model : kModels) {
    const auto fit = fit_paired(table, 5, {.ties = model, .position = true}).value();
    const auto boot = bootstrap_battles(fit, table, {.draws = 4000}).value();
    EXPECT_EQ(boot.failed, 0U);
    const Covariance expected = sandwich_covariance(fit, table), got = boot.covariance();
    for (std::size_t k = 0; k < fit.layout.size(); ++k)
      EXPECT_NEAR(std::sqrt(got.matrix(k, k) / expected.matrix(k, k)), 1, 0.05) << tie_model_name(model) << k;
    const Estimate interval = boot.interval(fit, 0, 0.95);
    EXPECT_NEAR(interval.high - interval.low, 2 * 1.96 * expected.se(0), 0.1 * 4 * expected.se(0));
  }
}

TEST(Bootstrap, ClustersSpreadAsTheClusteredSandwichSays) {
  BattleRows rows = random_rows(6, 4, 4000);
  // Voters who always cast the same vote twenty times.
  std::vector<std::uint32_t> voter;
  for (std::size_t r = 0; r < rows.size(); ++r) {
    rows.a[r] = rows.a[r / 20 * 20];
    rows.b[r] = rows.b[r / 20 * 20];
    rows.outcome[r] = rows.outcome[r / 20 * 20];
    voter.push_back(static_cast<std::uint32_t>(r / 20));
  }
  const PairTable table = count_rows(rows);
  const auto fit = fit_paired(table, 4).value();
  const auto boot = bootstrap_clusters(fit, rows, voter, {.draws = 3000}).value();
  EXPECT_EQ(boot.clusters, 200U);
  const Covariance clustered = clustered_covariance(fit, rows, voter).value(),
                   naive = sandwich_covariance(fit, table);
  for (std::size_t i = 0; i < 4; ++i) {
    EXPECT_NEAR(boot.covariance().se(i) / clustered.se(i), 1, 0.1);
    EXPECT_GT(clustered.se(i), 4 * naive.se(i));
  }
}

// Each draw is the optimum of its own weights: drawn again by the same stream and refitted from scratch.
TEST(Bootstrap, EveryDrawIsAnOptimum) {
  BattleRows rows = random_rows(7, 6, 900);
  std::vector<std::uint32_t> prompt;
  Random random(3);
  rows.share.assign(rows.size(), NAN);
  for (std::size_t r = 0; r < rows.size(); ++r) {
    prompt.push_back(static_cast<std::uint32_t>(r / 3));
    rows.weight.push_back(1 + static_cast<double>(random.below(3)));
    if (random.below(4) == 0) {
      rows.outcome[r] = BattleOutcome::kShare;
      rows.share[r] = static_cast<float>(random.below(5)) / 4;
    }
  }
  for (const TieModel model : kModels) {
    const auto fit = fit_paired(count_rows(rows), 6, {.ties = model, .position = true}).value();
    const auto boot = bootstrap_clusters(fit, rows, prompt, {.draws = 10, .seed = 4}).value();
    for (std::uint64_t b = 0; b < 10; ++b) {
      Random stream(4, b);
      const Poisson one(1);
      BattleRows drawn = rows;
      for (std::size_t g = 0; g < 300; ++g) {
        const double times = one(stream);
        for (std::size_t r = 3 * g; r < 3 * g + 3; ++r) drawn.weight[r] *= times;
      }
      const auto again = fit_paired(count_rows(drawn), 6, fit.options).value();
      for (std::size_t k = 0; k < fit.layout.size(); ++k)
        EXPECT_NEAR(boot.draws(b, k), again.parameters[k], 2 * kBootstrapTolerance) << tie_model_name(model);
    }
  }
}

TEST(Bootstrap, SeedDecidesAndThreadsDoNot) {
  const BattleRows rows = random_rows(8, 5, 500);
  const PairTable table = count_rows(rows);
  const auto fit = fit_paired(table, 5).value();
  set_thread_count(1);
  const auto one = bootstrap_battles(fit, table, {.draws = 60, .seed = 2}).value().draws.values;
  set_thread_count(4);
  const auto four = bootstrap_battles(fit, table, {.draws = 60, .seed = 2}).value().draws.values;
  set_thread_count(0);
  EXPECT_EQ(one, four);
  EXPECT_NE(bootstrap_battles(fit, table, {.draws = 60, .seed = 3}).value().draws.values, one);
}

TEST(Bootstrap, AModelWithoutTiesAtItsBoundaryStillDraws) {
  BattleRows rows = random_rows(9, 4, 800);
  for (auto& o : rows.outcome)
    if (o == BattleOutcome::kTie) o = BattleOutcome::kBothBad;
  const PairTable table = count_rows(rows);
  const auto fit = fit_paired(table, 4, {.ties = TieModel::kBadThreshold}).value();
  ASSERT_TRUE(fit.tie_at_boundary);
  const auto boot = bootstrap_battles(fit, table, {.draws = 2000}).value();
  EXPECT_EQ(boot.failed, 0U);
  EXPECT_NEAR(boot.covariance().se(0) / sandwich_covariance(fit, table).se(0), 1, 0.08);
}

TEST(Bootstrap, DrawsWithoutAnOptimumAreCounted) {
  PairTable t;
  add(t, 0, 1, {20, 1, 0, 0});  // the one loss is missing from a third of the draws
  const auto fit = fit_paired(t, 2).value();
  const auto boot = bootstrap_battles(fit, t, {.draws = 1000}).value();
  EXPECT_NEAR(static_cast<double>(boot.failed), 368, 60);
  EXPECT_TRUE(std::isfinite(boot.interval(fit, 0, 0.95).low));
  t[0].cross = 0.5;
  EXPECT_FALSE(bootstrap_battles(fit, t));
}

}  // namespace
}  // namespace agon
