#include "agon/ranking/style_regression.h"

#include <gtest/gtest.h>
#include <rapidcheck/gtest.h>

#include <cmath>
#include <numeric>

#include "agon/base/parallel.h"
#include "agon/ranking/test_tables.h"

namespace agon {
namespace {

using ranking_test::count_rows;
using ranking_test::random_rows;

std::vector<Covariate> random_covariates(std::uint64_t seed, std::size_t rows, std::size_t count) {
  Random random(seed, 77);
  std::vector<Covariate> out(count);
  for (std::size_t f = 0; f < count; ++f) {
    out[f].name = "x" + std::to_string(f);
    for (std::size_t r = 0; r < rows; ++r)
      out[f].value.push_back(static_cast<float>(2 * random.uniform() - 1));
  }
  return out;
}

TEST(StyleRegression, WithoutCovariatesItIsBradleyTerry) {
  BattleRows rows = random_rows(3, 7, 1500);
  for (std::size_t r = 0; r < rows.size(); ++r) rows.weight.push_back(0.5 + static_cast<double>(r % 4) / 4);
  for (const bool position : {false, true}) {
    const PairTable table = count_rows(rows);
    const auto plain = fit_paired(table, 7, {.position = position}).value();
    const auto regression = StyleRegression::prepare(rows, 7, {}, {.position = position}).value();
    const auto fit = regression.fit().value();
    EXPECT_TRUE(fit.converged);
    EXPECT_NEAR(fit.log_likelihood, plain.log_likelihood, 1e-7);
    const Covariance model = model_covariance(plain), robust = sandwich_covariance(plain, table);
    const Covariance got_model = regression.model_covariance(fit),
                     got_robust = regression.sandwich_covariance(fit);
    for (std::size_t k = 0; k < plain.layout.size(); ++k) {
      EXPECT_NEAR(fit.parameters[k], plain.parameters[k], 1e-8);
      EXPECT_NEAR(got_model.se(k), model.se(k), 1e-9);
      EXPECT_NEAR(got_robust.se(k), robust.se(k), 1e-9);
    }
  }
}

// A twin that shares nothing: plain Newton with the first strength held at 0, one row after another.
struct Twin {
  std::vector<double> x;
  Matrix information, meat;
};
Twin naive(const BattleRows& rows, std::size_t m, const std::vector<Covariate>& covariates,
           std::span<const std::uint32_t> cluster) {
  const std::size_t n = m + covariates.size() - 1;
  Twin out;
  out.x.assign(n, 0);
  for (int iteration = 0; iteration < 30; ++iteration) {
    out.information = Matrix(n, n);
    out.meat = Matrix(n, n);
    std::vector<double> gradient(n, 0);
    std::vector<std::vector<double>> by_cluster(rows.size(), std::vector<double>(n, 0));
    for (std::size_t r = 0; r < rows.size(); ++r) {
      std::vector<double> d(n, 0);
      if (rows.a[r] > 0) d[rows.a[r] - 1] += 1;
      if (rows.b[r] > 0) d[rows.b[r] - 1] -= 1;
      for (std::size_t f = 0; f < covariates.size(); ++f)
        d[m - 1 + f] = static_cast<double>(covariates[f].value[r]);
      const double eta = std::inner_product(d.begin(), d.end(), out.x.begin(), 0.0),
                   p = 1 / (1 + std::exp(-eta));
      const double y = rows.outcome[r] == BattleOutcome::kA       ? 1
                       : rows.outcome[r] == BattleOutcome::kB     ? 0
                       : rows.outcome[r] == BattleOutcome::kShare ? static_cast<double>(rows.share[r])
                                                                  : 0.5;
      const double w = rows.weight.empty() ? 1 : rows.weight[r];
      for (std::size_t i = 0; i < n; ++i) {
        gradient[i] += w * (p - y) * d[i];
        by_cluster[cluster.empty() ? r : cluster[r]][i] += w * (p - y) * d[i];
        for (std::size_t j = 0; j < n; ++j) out.information(i, j) += w * p * (1 - p) * d[i] * d[j];
      }
    }
    for (const auto& s : by_cluster)
      for (std::size_t i = 0; i < n; ++i)
        for (std::size_t j = 0; j < n; ++j) out.meat(i, j) += s[i] * s[j];
    Cholesky::of(out.information)->solve(gradient);
    for (std::size_t i = 0; i < n; ++i) out.x[i] -= gradient[i];
  }
  return out;
}

TEST(StyleRegression, AgreesWithANaiveTwin) {
  for (const std::size_t features : {1U, 3U, 9U}) {
    BattleRows rows = random_rows(11 + features, 5, 900);
    rows.share.assign(rows.size(), NAN);
    std::vector<std::uint32_t> voter;
    Random random(1);
    for (std::size_t r = 0; r < rows.size(); ++r) {
      rows.weight.push_back(1 + static_cast<double>(random.below(3)));
      voter.push_back(static_cast<std::uint32_t>(random.below(60)));
      if (r % 7 == 0) {
        rows.outcome[r] = BattleOutcome::kShare;
        rows.share[r] = 0.75F;
      }
    }
    const auto covariates = random_covariates(features, rows.size(), features);
    const auto regression = StyleRegression::prepare(rows, 5, covariates).value();
    const auto fit = regression.fit().value();
    EXPECT_TRUE(fit.converged);
    const Twin twin = naive(rows, 5, covariates, voter);
    for (std::size_t i = 1; i < 5; ++i)
      EXPECT_NEAR(fit.parameters[i] - fit.parameters[0], twin.x[i - 1], 1e-8);
    for (std::size_t f = 0; f < features; ++f) EXPECT_NEAR(fit.coefficient(f), twin.x[4 + f], 1e-8);
    const Matrix bread = Cholesky::of(twin.information)->inverse();
    const Matrix clustered = sandwich(bread, twin.meat),
                 plain = sandwich(bread, naive(rows, 5, covariates, {}).meat);
    const Covariance got = regression.clustered_covariance(fit, voter).value();
    const Covariance single = regression.sandwich_covariance(fit), model = regression.model_covariance(fit);
    for (std::size_t i = 1; i < 5; ++i) {
      EXPECT_NEAR(got.se_difference(i, 0), std::sqrt(60.0 / 59 * clustered(i - 1, i - 1)), 1e-8);
      EXPECT_NEAR(single.se_difference(i, 0), std::sqrt(plain(i - 1, i - 1)), 1e-8);
      EXPECT_NEAR(model.se_difference(i, 0), std::sqrt(bread(i - 1, i - 1)), 1e-8);
    }
    for (std::size_t f = 0; f < features; ++f) {
      EXPECT_NEAR(got.se(5 + f), std::sqrt(60.0 / 59 * clustered(4 + f, 4 + f)), 1e-8);
      EXPECT_NEAR(single.se(5 + f), std::sqrt(plain(4 + f, 4 + f)), 1e-8);
      EXPECT_NEAR(model.se(5 + f), std::sqrt(bread(4 + f, 4 + f)), 1e-8);
    }
  }
}

RC_GTEST_PROP(StyleRegressionProperty, SwappedSidesChangeNothing, (std::uint64_t seed)) {
  const BattleRows rows = random_rows(seed, 4, 400);
  Random random(seed);
  PairedColumn length{"length", {}, {}};
  for (std::size_t r = 0; r < rows.size(); ++r) {
    length.a.push_back(static_cast<float>(random.below(500)));
    length.b.push_back(static_cast<float>(random.below(500)));
  }
  BattleRows swapped = rows;
  PairedColumn swapped_length = length;
  for (std::size_t r = 0; r < rows.size(); ++r) {
    if (random.below(2) == 0) continue;
    std::swap(swapped.a[r], swapped.b[r]);
    std::swap(swapped_length.a[r], swapped_length.b[r]);
    auto& o = swapped.outcome[r];
    if (o == BattleOutcome::kA || o == BattleOutcome::kB)
      o = o == BattleOutcome::kA ? BattleOutcome::kB : BattleOutcome::kA;
  }
  const auto x = style_covariate(length), y = style_covariate(swapped_length);
  RC_ASSERT(x && y);
  const auto left = StyleRegression::prepare(rows, 4, {*x})->fit(),
             right = StyleRegression::prepare(swapped, 4, {*y})->fit();
  RC_ASSERT(left && right);
  for (std::size_t k = 0; k < 5; ++k) RC_ASSERT(std::abs(left->parameters[k] - right->parameters[k]) < 1e-7);
}

TEST(StyleRegression, ThreadsDoNotChangeABit) {
  const BattleRows rows = random_rows(12, 30, 20000);
  const auto covariates = random_covariates(1, rows.size(), 4);
  set_thread_count(1);
  const auto one = StyleRegression::prepare(rows, 30, covariates)->fit().value().parameters;
  set_thread_count(4);
  const auto four = StyleRegression::prepare(rows, 30, covariates)->fit().value().parameters;
  set_thread_count(0);
  EXPECT_EQ(one, four);
}

TEST(StyleRegression, RowsWithoutACovariateAreCountedOut) {
  const BattleRows rows = random_rows(13, 4, 500);
  auto covariates = random_covariates(2, rows.size(), 1);
  std::vector<std::uint32_t> kept;
  for (std::uint32_t r = 0; r < rows.size(); ++r)
    if (r % 10 == 0)
      covariates[0].value[r] = NAN;
    else
      kept.push_back(r);
  const auto fit = StyleRegression::prepare(rows, 4, covariates)->fit().value();
  EXPECT_EQ(fit.left_out, 50U);
  const auto chosen = StyleRegression::prepare(rows, 4, covariates, {}, kept)->fit().value();
  EXPECT_EQ(chosen.left_out, 0U);
  EXPECT_EQ(chosen.parameters, fit.parameters);
}

TEST(StyleRegression, WhatCannotBeFittedIsAnError) {
  const BattleRows rows = random_rows(14, 4, 500);
  auto covariates = random_covariates(2, rows.size(), 2);
  covariates[1].value = covariates[0].value;
  EXPECT_FALSE(StyleRegression::prepare(rows, 4, covariates)->fit());  // twins
  for (std::size_t r = 0; r < rows.size(); ++r)
    covariates[1].value[r] = rows.outcome[r] == BattleOutcome::kA   ? 1
                             : rows.outcome[r] == BattleOutcome::kB ? -1
                                                                    : 0;
  EXPECT_FALSE(StyleRegression::prepare(rows, 4, covariates)->fit());  // an oracle
  covariates[1].value.pop_back();
  EXPECT_FALSE(StyleRegression::prepare(rows, 4, covariates));
  EXPECT_FALSE(StyleRegression::prepare(rows, 5, {}));  // the fifth met nobody
}

TEST(StyleCovariate, IsTheDifferenceOverTheSumStandardised) {
  const PairedColumn column{"tokens", {30, 0, 10, 50}, {10, 0, 30, 50}};
  const auto plain = style_covariate(column).value();
  // 0.5, 0, -0.5, 0 over their root mean square.
  const double rms = std::sqrt(0.125);
  EXPECT_NEAR(plain.value[0], 0.5 / rms, 1e-6);
  EXPECT_EQ(plain.value[1], 0);
  EXPECT_NEAR(plain.value[2], -0.5 / rms, 1e-6);
  const PairedColumn lopsided{"tokens", {30, 20}, {10, 20}};
  const auto arena = style_covariate(lopsided, {.add_one = true, .centre = true}).value();
  EXPECT_NEAR(arena.value[0], 1, 1e-6);  // mean and standard deviation of (20/41, 0)
  EXPECT_NEAR(arena.value[1], -1, 1e-6);
  EXPECT_FALSE(style_covariate({"same", {1, 2}, {1, 2}}));
  EXPECT_FALSE(style_covariate({"negative", {-1, 2}, {1, 3}}));
  EXPECT_TRUE(style_covariate({"negative", {-1, 2}, {1, 3}}, {.relative = false}));
  const auto missing = style_covariate({"gap", {1, NAN}, {2, 1}}).value();
  EXPECT_TRUE(std::isnan(missing.value[1]));
}

TEST(StyleCovariate, AHomeEffectIsFound) {
  // Judges of two organisations favour their own.
  Random random(8);
  BattleRows rows;
  CodeColumn judge{"voter", {"j0", "j1", "human"}, {}};
  const std::vector<std::uint32_t> of_competitor = {0, 0, 1, 1}, of_judge = {0, 1, CodeColumn::kNone};
  for (int r = 0; r < 40000; ++r) {
    const auto a = static_cast<std::uint32_t>(random.below(4)),
               b = (a + 1 + static_cast<std::uint32_t>(random.below(3))) % 4;
    const auto who = static_cast<std::uint32_t>(random.below(3));
    double eta = 0.3 * (a < 2) - 0.3 * (b < 2);
    if (who < 2) eta += 0.5 * ((of_competitor[a] == who) - (of_competitor[b] == who));
    rows.a.push_back(a);
    rows.b.push_back(b);
    judge.code.push_back(who);
    rows.outcome.push_back(random.uniform() < 1 / (1 + std::exp(-eta)) ? BattleOutcome::kA
                                                                       : BattleOutcome::kB);
  }
  const auto home = home_covariate(rows, judge, of_competitor, of_judge);
  const auto regression = StyleRegression::prepare(rows, 4, {home}).value();
  const auto fit = regression.fit().value();
  EXPECT_NEAR(fit.coefficient(0), 0.5, 4 * regression.sandwich_covariance(fit).se(4));
  EXPECT_LT(regression.sandwich_covariance(fit).se(4), 0.03);
}

}  // namespace
}  // namespace agon
