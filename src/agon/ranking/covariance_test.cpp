#include "agon/ranking/covariance.h"

#include <gtest/gtest.h>
#include <rapidcheck/gtest.h>

#include <cmath>

#include "agon/base/parallel.h"
#include "agon/ranking/paired_kernel.h"
#include "agon/ranking/test_tables.h"
#include "agon/stats/normal.h"

namespace agon {
namespace {

using ranking_test::add;
using ranking_test::count_rows;
using ranking_test::kModels;
using ranking_test::random_rows;

TEST(Normal, QuantilesInvertTheCdf) {
  EXPECT_NEAR(critical_value(0.95), 1.959963984540054, 1e-12);
  EXPECT_NEAR(normal_quantile(0.001), -3.090232306167813, 1e-11);
  EXPECT_NEAR(normal_quantile(1e-12), -7.034483825301131, 1e-9);
  EXPECT_EQ(normal_quantile(0), -std::numeric_limits<double>::infinity());
}

// For two competitors: var of the log odds is 1/wins + 1/losses, and each strength is half of it.
TEST(Covariance, TwoCompetitorsHaveClosedForms) {
  PairTable t;
  add(t, 0, 1, {30, 20, 0, 0});
  const auto fit = fit_paired(t, 2).value();
  const Covariance model = model_covariance(fit), robust = sandwich_covariance(fit, t);
  const double se = std::sqrt(1.0 / 30 + 1.0 / 20);
  EXPECT_NEAR(model.se_difference(0, 1), se, 1e-12);
  EXPECT_NEAR(robust.se_difference(0, 1), se, 1e-12);  // saturated: both agree
  EXPECT_NEAR(model.se(0), se / 2, 1e-12);
  // Ties counted as half wins vary less than wins; only the sandwich knows.
  t[0].weight = t[0].weight_sq = {20, 10, 20, 0};
  const auto tied = fit_paired(t, 2).value();
  const double n = 50, p = 0.6, var = (20 * 0.16 + 10 * 0.36 + 20 * 0.01) / n;
  EXPECT_NEAR(sandwich_covariance(tied, t).se_difference(0, 1), std::sqrt(var / n) / (p * (1 - p)), 1e-12);
  EXPECT_NEAR(model_covariance(tied).se_difference(0, 1), std::sqrt(1 / (n * p * (1 - p))), 1e-12);
}

TEST(Covariance, BaseballStandardErrorsOfBradleyTerry2) {
  const auto fit = fit_paired(ranking_test::baseball(), 7).value();
  const Covariance c = model_covariance(fit);
  // The vignette's table, Baltimore as reference.
  const std::array expected = {0.3339, 0.3319, 0.3396, 0.3433, 0.3359, 0.3367};
  for (std::size_t i = 1; i < 7; ++i) EXPECT_NEAR(c.se_difference(i, 0), expected[i - 1], 5e-5);
}

// Sum over rows of outer products of scores by differences, and an inverse in the space without the first
// strength: a twin that shares no code with the library but the fit.
TEST(Covariance, SandwichesAgreeWithARowByRowTwin) {
  BattleRows rows = random_rows(21, 5, 400);
  rows.share.assign(rows.size(), NAN);
  Random random(4);
  std::vector<std::uint32_t> voter;
  for (std::size_t r = 0; r < rows.size(); ++r) {
    rows.weight.push_back(0.5 + random.uniform());
    voter.push_back(random.below(20) == 0 ? CodeColumn::kNone : static_cast<std::uint32_t>(random.below(40)));
    if (random.below(5) == 0) {
      rows.outcome[r] = BattleOutcome::kShare;
      rows.share[r] = static_cast<float>(random.uniform());
    }
  }
  const PairTable table = count_rows(rows);
  for (const TieModel model : kModels) {
    const auto fit = fit_paired(table, 5, {.ties = model, .position = true}).value();
    const std::size_t n = fit.layout.size();
    const paired::Shape shape = paired::shape_of(fit);
    const auto row_log_p = [&](std::size_t r, const std::vector<double>& x) {
      paired::LocalTerms terms;
      paired::local_terms(model, shape.point(x, rows.a[r], rows.b[r]), terms);
      if (rows.outcome[r] == BattleOutcome::kShare) {
        const double s = static_cast<double>(rows.share[r]);
        return rows.weight[r] * (s * terms.log_p[0] + (1 - s) * terms.log_p[1]);
      }
      auto k = static_cast<std::size_t>(rows.outcome[r]);
      if (k == 3 && model != TieModel::kBadThreshold) k = 2;
      return rows.weight[r] * terms.log_p[k];
    };
    std::vector<std::vector<double>> score(rows.size(), std::vector<double>(n));
    for (std::size_t k = 0; k < n; ++k) {
      auto up = fit.parameters, down = fit.parameters;
      up[k] += 1e-5;
      down[k] -= 1e-5;
      for (std::size_t r = 0; r < rows.size(); ++r)
        score[r][k] = (row_log_p(r, up) - row_log_p(r, down)) / 2e-5;
    }
    for (const bool clustered : {false, true}) {
      std::vector<std::vector<double>> sums;
      if (!clustered) {
        sums = score;
      } else {
        std::vector<std::vector<double>> by(40, std::vector<double>(n, 0));
        std::vector<bool> seen(40, false);
        for (std::size_t r = 0; r < rows.size(); ++r) {
          if (voter[r] == CodeColumn::kNone) {
            sums.push_back(score[r]);
            continue;
          }
          seen[voter[r]] = true;
          for (std::size_t k = 0; k < n; ++k) by[voter[r]][k] += score[r][k];
        }
        for (std::size_t v = 0; v < 40; ++v)
          if (seen[v]) sums.push_back(by[v]);
      }
      Matrix meat(n - 1, n - 1), information(n - 1, n - 1);
      for (std::size_t i = 1; i < n; ++i)
        for (std::size_t j = 1; j < n; ++j) {
          information(i - 1, j - 1) = fit.hessian(i, j);
          for (const auto& s : sums) meat(i - 1, j - 1) += s[i] * s[j];
        }
      const Matrix expected = sandwich(Cholesky::of(information)->inverse(), meat);
      const double g = static_cast<double>(sums.size()), factor = clustered ? g / (g - 1) : 1;
      const Covariance got =
          clustered ? clustered_covariance(fit, rows, voter).value() : sandwich_covariance(fit, table);
      EXPECT_EQ(got.clusters, clustered ? sums.size() : 0U);
      // Differences do not depend on which constraint identifies the strengths.
      for (std::size_t i = 1; i < 5; ++i) {
        EXPECT_NEAR(got.se_difference(i, 0), std::sqrt(factor * expected(i - 1, i - 1)), 1e-6);
        for (std::size_t j = 1; j < i; ++j)
          EXPECT_NEAR(got.se_difference(i, j),
                      std::sqrt(factor * (expected(i - 1, i - 1) + expected(j - 1, j - 1) -
                                          2 * expected(i - 1, j - 1))),
                      1e-6);
      }
      for (std::size_t k = 5; k < n; ++k) {
        // The threshold stands among the strengths, so it is told against their mean in either constraint.
        std::vector<double> contrast(n - 1, 0);
        contrast[k - 1] = 1;
        if (static_cast<int>(k) == fit.layout.bad)
          for (std::size_t i = 0; i < 4; ++i) contrast[i] = -0.2;
        double variance = 0;
        for (std::size_t i = 0; i + 1 < n; ++i)
          for (std::size_t j = 0; j + 1 < n; ++j) variance += contrast[i] * contrast[j] * expected(i, j);
        EXPECT_NEAR(got.matrix(k, k), factor * variance, 1e-6);
      }
    }
  }
}

TEST(Covariance, ClustersOfOneAreThePlainSandwich) {
  const BattleRows rows = random_rows(8, 6, 500);
  const PairTable table = count_rows(rows);
  const auto fit = fit_paired(table, 6).value();
  const std::vector<std::uint32_t> nobody(rows.size(), CodeColumn::kNone);
  const Covariance plain = sandwich_covariance(fit, table);
  const Covariance clustered = clustered_covariance(fit, rows, nobody).value();
  for (std::size_t k = 0; k < plain.matrix.values.size(); ++k)
    EXPECT_NEAR(clustered.matrix.values[k] * 499 / 500, plain.matrix.values[k], 1e-12);
  const std::vector<std::uint32_t> one(rows.size(), 0);
  EXPECT_FALSE(clustered_covariance(fit, rows, one));
}

TEST(Covariance, ThreadsDoNotChangeABit) {
  const BattleRows rows = random_rows(9, 8, 3000);
  std::vector<std::uint32_t> voter;
  for (std::size_t r = 0; r < rows.size(); ++r) voter.push_back(static_cast<std::uint32_t>(r % 170));
  const auto fit = fit_paired(count_rows(rows), 8).value();
  set_thread_count(1);
  const auto one = clustered_covariance(fit, rows, voter).value().matrix.values;
  set_thread_count(4);
  const auto four = clustered_covariance(fit, rows, voter).value().matrix.values;
  set_thread_count(0);
  EXPECT_EQ(one, four);
}

RC_GTEST_PROP(CovarianceProperty, AnAnchorMovesPointsAndNeverWidths, (std::uint64_t seed)) {
  const BattleRows rows = random_rows(seed, 6, 300);
  const PairTable table = count_rows(rows);
  const auto fit = fit_paired(table, 6);
  RC_ASSERT(fit);
  const Covariance c = sandwich_covariance(*fit, table);
  const auto strengths = fit->strengths();
  const auto free = rate(strengths, c, {.base = 1000}, 1.96);
  const auto anchored = rate(strengths, c, {.base = 1114, .anchor = static_cast<int>(seed % 6)}, 1.96);
  RC_ASSERT(std::abs(anchored[seed % 6].rating - 1114) < 1e-9);
  const double moved = anchored[0].rating - free[0].rating;
  for (std::size_t i = 0; i < 6; ++i) {
    RC_ASSERT(std::abs(anchored[i].low - free[i].low - moved) < 1e-9);
    RC_ASSERT(std::abs(anchored[i].high - free[i].high - moved) < 1e-9);
    RC_ASSERT(anchored[i].se == free[i].se);
  }
  // Equal weights are the sum-zero contrast, and all weight on one is a difference.
  const std::vector<double> equal(6, 1.0), lone = {1, 0, 0, 0, 0, 0};
  for (std::size_t i = 0; i < 6; ++i) {
    RC_ASSERT(std::abs(c.se_against_mean(i, equal) - c.se(i)) < 1e-12);
    RC_ASSERT(std::abs(c.se_against_mean(i, lone) - c.se_difference(i, 0)) < 1e-12);
  }
}

// For two competitors the profile of the difference is the binomial likelihood itself.
TEST(ProfileLikelihood, EndsWhereTheBinomialLikelihoodHasFallen) {
  PairTable t;
  add(t, 0, 1, {9, 3, 0, 0});
  const auto fit = fit_paired(t, 2).value();
  const auto interval = profile_likelihood(fit, t, std::vector<std::uint32_t>{0}, 0.95).value()[0];
  ASSERT_TRUE(interval.converged);
  const double z = critical_value(0.95);
  for (const double end : {interval.low, interval.high}) {
    const double p = 1 / (1 + std::exp(-2 * end));  // strengths sum to zero
    const double fall = 2 * (fit.log_likelihood - (9 * std::log(p) + 3 * std::log(1 - p)));
    EXPECT_NEAR(fall, z * z, 1e-5);
  }
}

// Against a refit with a wall: a huge ridge around the wanted value is a constraint. Written out as a
// search over the other strengths by coordinate ascent.
TEST(ProfileLikelihood, NoOtherPointAtItsEndIsBetter) {
  const PairTable table = count_rows(random_rows(31, 5, 250));
  for (const TieModel model : kModels) {
    const auto fit = fit_paired(table, 5, {.ties = model}).value();
    const auto interval = profile_likelihood(fit, table, std::vector<std::uint32_t>{2}).value()[0];
    ASSERT_TRUE(interval.converged) << tie_model_name(model);
    const paired::Shape shape = paired::shape_of(fit);
    const auto cells = paired::cells_of(table, fit.options);
    for (const double end : {interval.low, interval.high}) {
      auto x = fit.parameters;
      // s_2 = end; the others sum to -end.
      const double move = end - x[2];
      x[2] = end;
      for (const std::size_t k : {0, 1, 3, 4}) x[k] -= move / 4;
      double best = paired::evaluate(shape, cells, x, nullptr, nullptr);
      for (double step = 0.1; step > 1e-7;) {
        bool better = false;
        const auto attempt = [&](std::vector<double> y) {
          const double value = paired::evaluate(shape, cells, y, nullptr, nullptr);
          if (!(value < best)) return;
          best = value;
          x = std::move(y);
          better = true;
        };
        for (const double sign : {-1.0, 1.0}) {
          for (const std::size_t k : {0, 1, 3}) {
            auto y = x;
            y[k] += sign * step;
            y[4] -= sign * step;
            attempt(y);
          }
          for (std::size_t k = 5; k < x.size(); ++k) {
            auto y = x;
            y[k] += sign * step;
            if (model == TieModel::kDavidson || k != 5 || y[k] > 0) attempt(y);
          }
        }
        if (!better) step /= 2;
      }
      const double z = critical_value(0.95);
      EXPECT_NEAR(2 * (best + fit.log_likelihood), z * z, 2e-4) << tie_model_name(model);
    }
  }
}

TEST(ProfileLikelihood, IsRefusedForPenalisedFits) {
  const PairTable t = ranking_test::four_teams();
  const auto fit = fit_paired(t, 4, {.ridge = 1}).value();
  EXPECT_FALSE(profile_likelihood(fit, t, std::vector<std::uint32_t>{0}));
}

}  // namespace
}  // namespace agon
