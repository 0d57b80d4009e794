#include "agon/ranking/prediction_powered.h"

#include <gtest/gtest.h>

#include <cmath>

#include "agon/base/random.h"
#include "agon/ranking/paired_model.h"
#include "agon/ranking/test_tables.h"

namespace agon {
namespace {

constexpr std::size_t kModels = 5;

double logistic(double x) { return 1 / (1 + std::exp(-x)); }

// Battles whose own inclination a predictor sees (`skill` of it); `bias` for model 0.
PredictedBattles battles(std::uint64_t seed, std::size_t count, bool voted, double skill, double bias) {
  Random random(seed);
  PredictedBattles out;
  for (std::size_t r = 0; r < count; ++r) {
    const auto a = static_cast<std::uint32_t>(random.below(kModels));
    const auto b = static_cast<std::uint32_t>((a + 1 + random.below(kModels - 1)) % kModels);
    const double strength = 0.3 * (static_cast<double>(b) - static_cast<double>(a));
    const double own = 4 * (random.uniform() - 0.5), u = random.uniform(), p = logistic(strength + own);
    out.a.push_back(a);
    out.b.push_back(b);
    out.predicted.push_back(logistic(skill * (strength + own) + (a == 0 ? bias : b == 0 ? -bias : 0)));
    if (voted) out.share.push_back(u < 0.15 ? 0.5 : random.uniform() < p ? 1 : 0);
  }
  return out;
}

PairTable table_of(const PredictedBattles& voted) {
  BattleRows rows;
  rows.a = voted.a;
  rows.b = voted.b;
  for (const double y : voted.share)
    rows.outcome.push_back(y == 1 ? BattleOutcome::kA : y == 0 ? BattleOutcome::kB : BattleOutcome::kTie);
  return ranking_test::count_rows(rows);
}

TEST(PredictionPowered, LambdaZeroIsThePlainFitAndItsSandwich) {
  const PredictedBattles voted = battles(1, 800, true, 1, 0), unvoted = battles(2, 3000, false, 1, 0);
  const PairTable table = table_of(voted);
  const auto fit = fit_paired(table, kModels);
  ASSERT_TRUE(fit);
  const Covariance covariance = sandwich_covariance(*fit, table);
  for (const bool match : {true, false}) {
    const auto zero = fit_prediction_powered(voted, unvoted, kModels, {.lambda = 0.0, .match_pairs = match});
    ASSERT_TRUE(zero) << zero.error().to_string();
    EXPECT_TRUE(zero->converged);
    EXPECT_EQ(zero->strengths, zero->classical);
    EXPECT_EQ(zero->effective_votes, 800);
    for (std::size_t i = 0; i < kModels; ++i) {
      EXPECT_NEAR(zero->strengths[i], fit->strength(i), 1e-9);
      for (std::size_t j = 0; j < kModels; ++j)
        EXPECT_NEAR(zero->covariance.matrix(i, j), covariance.matrix(i, j), 1e-11);
    }
  }
  EXPECT_TRUE(fit_prediction_powered(voted, {}, kModels, {.lambda = 0.0}));
}

// The rectified gradient, battle by battle from the definition, is zero at the strengths; the sandwich is
// that of those single scores.
TEST(PredictionPowered, PlainFormAgreesWithANaiveTwin) {
  const PredictedBattles voted = battles(3, 500, true, 0.8, 0.3), unvoted = battles(4, 2000, false, 0.8, 0.3);
  const double lambda = 0.6;
  const auto fit = fit_prediction_powered(voted, unvoted, kModels, {.lambda = lambda, .match_pairs = false});
  ASSERT_TRUE(fit);
  ASSERT_TRUE(fit->converged);
  const std::vector<double>& s = fit->strengths;
  using Vector = std::vector<double>;
  Vector gradient(kModels, 0);
  Matrix hessian(kModels, kModels);
  const auto variance_of = [&](const PredictedBattles& set, bool has_votes) {
    const auto n = static_cast<double>(set.size());
    std::vector<Vector> scores;
    Vector mean(kModels, 0);
    for (std::size_t r = 0; r < set.size(); ++r) {
      const double p = logistic(s[set.a[r]] - s[set.b[r]]);
      const double score =
          has_votes ? (p - set.share[r]) - lambda * (p - set.predicted[r]) : lambda * (p - set.predicted[r]);
      const double weight = (has_votes ? 1 - lambda : lambda) * p * (1 - p) / n;
      Vector one(kModels, 0);
      one[set.a[r]] = score;
      one[set.b[r]] = -score;
      for (std::size_t k = 0; k < kModels; ++k) mean[k] += one[k] / n;
      scores.push_back(one);
      hessian(set.a[r], set.a[r]) += weight;
      hessian(set.b[r], set.b[r]) += weight;
      hessian(set.a[r], set.b[r]) -= weight;
      hessian(set.b[r], set.a[r]) -= weight;
    }
    Matrix out(kModels, kModels);
    for (const Vector& one : scores)
      for (std::size_t i = 0; i < kModels; ++i)
        for (std::size_t j = 0; j < kModels; ++j)
          out(i, j) += (one[i] - mean[i]) * (one[j] - mean[j]) / (n * n);
    for (std::size_t k = 0; k < kModels; ++k) gradient[k] += mean[k];
    return out;
  };
  Matrix meat = variance_of(voted, true);
  const Matrix more = variance_of(unvoted, false);
  for (std::size_t k = 0; k < meat.values.size(); ++k) meat.values[k] += more.values[k];
  for (const double g : gradient) EXPECT_NEAR(g, 0, 1e-11);
  Matrix regular = hessian;
  for (double& x : regular.values) x += 0.1;
  Matrix inverse = Cholesky::of(std::move(regular))->inverse();
  for (double& x : inverse.values) x -= 1 / (0.1 * kModels * kModels);
  const Matrix naive = sandwich(inverse, meat);
  for (std::size_t k = 0; k < naive.values.size(); ++k)
    EXPECT_NEAR(fit->covariance.matrix.values[k], naive.values[k], 1e-10);
}

TEST(PredictionPowered, TheTunedLambdaHasTheLeastTrace) {
  const PredictedBattles voted = battles(5, 1500, true, 0.9, 0), unvoted = battles(6, 9000, false, 0.9, 0);
  const auto trace = [](const Covariance& c) {
    double sum = 0;
    for (std::size_t i = 0; i < kModels; ++i) sum += c.matrix(i, i);
    return sum;
  };
  for (const bool match : {true, false}) {
    const auto tuned = fit_prediction_powered(voted, unvoted, kModels, {.match_pairs = match});
    ASSERT_TRUE(tuned);
    EXPECT_GT(tuned->lambda, 0.4);
    EXPECT_LT(tuned->lambda, 1);
    EXPECT_GT(tuned->effective_votes, 1700);
    for (double lambda = 0; lambda <= 1; lambda += 0.125) {
      const auto other =
          fit_prediction_powered(voted, unvoted, kModels, {.lambda = lambda, .match_pairs = match});
      ASSERT_TRUE(other);
      EXPECT_LE(trace(tuned->covariance), trace(other->covariance) * 1.01);
    }
  }
}

TEST(PredictionPowered, UselessPredictionsAreLeftAlone) {
  PredictedBattles voted = battles(7, 1000, true, 0, 0), unvoted = battles(8, 5000, false, 0, 0);
  Random random(1);
  for (PredictedBattles* set : {&voted, &unvoted})
    for (double& p : set->predicted) p = random.uniform();
  const auto fit = fit_prediction_powered(voted, unvoted, kModels);
  ASSERT_TRUE(fit);
  EXPECT_LT(fit->lambda, 0.1);
  EXPECT_NEAR(fit->effective_votes, 1000, 30);
}

TEST(PredictionPowered, AConstantBiasChangesNothing) {
  // A judge that always gives model 0 the same more is rectified to the same strengths and covariance.
  PredictedBattles voted = battles(9, 1000, true, 0.5, 0), unvoted = battles(10, 6000, false, 0.5, 0);
  for (PredictedBattles* set : {&voted, &unvoted})
    for (double& p : set->predicted) p = 0.2 + 0.6 * p;
  const auto fair = fit_prediction_powered(voted, unvoted, kModels);
  for (PredictedBattles* set : {&voted, &unvoted})
    for (std::size_t r = 0; r < set->size(); ++r)
      set->predicted[r] += set->a[r] == 0 ? 0.2 : set->b[r] == 0 ? -0.2 : 0;
  const auto biased = fit_prediction_powered(voted, unvoted, kModels);
  ASSERT_TRUE(fair);
  ASSERT_TRUE(biased);
  EXPECT_NEAR(biased->lambda, fair->lambda, 1e-9);
  for (std::size_t i = 0; i < kModels; ++i) {
    EXPECT_NEAR(biased->strengths[i], fair->strengths[i], 1e-9);
    EXPECT_NEAR(biased->covariance.se(i), fair->covariance.se(i), 1e-9);
  }
}

TEST(PredictionPowered, MatchingHoldsWhereUnvotedPairsAreOthers) {
  // Unvoted battles are nearly all of models 0 and 1, whom the judge rates backwards.
  PredictedBattles voted = battles(11, 4000, true, 0.7, -2), all = battles(12, 40000, false, 0.7, -2),
                   unvoted;
  for (std::size_t r = 0; r < all.size(); ++r) {
    if (all.a[r] + all.b[r] != 1 && r % 20 != 0) continue;
    unvoted.a.push_back(all.a[r]);
    unvoted.b.push_back(all.b[r]);
    unvoted.predicted.push_back(all.predicted[r]);
  }
  const auto matched = fit_prediction_powered(voted, unvoted, kModels, {.lambda = 0.8});
  const auto plain = fit_prediction_powered(voted, unvoted, kModels, {.lambda = 0.8, .match_pairs = false});
  ASSERT_TRUE(matched);
  ASSERT_TRUE(plain);
  const double se = matched->covariance.se_difference(0, 1);
  const double human = matched->classical[0] - matched->classical[1];
  EXPECT_LT(std::abs(matched->strengths[0] - matched->strengths[1] - human), 3 * se);
  EXPECT_GT(std::abs(plain->strengths[0] - plain->strengths[1] - human), 5 * se);
}

TEST(PredictionPowered, PairsOfOneSetOnlyTakeNoPart) {
  PredictedBattles voted, unvoted;
  const auto put = [](PredictedBattles& to, std::uint32_t a, std::uint32_t b, double f, int y) {
    to.a.push_back(a);
    to.b.push_back(b);
    to.predicted.push_back(f);
    if (y >= 0) to.share.push_back(y);
  };
  for (int k = 0; k < 20; ++k) {
    put(voted, 0, 1, 0.2 + 0.03 * k, k % 2);
    put(voted, 1, 2, 0.2 + 0.03 * k, k % 3 == 0);
    put(unvoted, 0, 1, 0.9 - 0.03 * k, -1);
  }
  put(unvoted, 1, 2, 0.5, -1);  // one is none
  put(unvoted, 0, 2, 0.5, -1);
  const auto fit = fit_prediction_powered(voted, unvoted, 3, {.lambda = 1.0});
  ASSERT_TRUE(fit);
  EXPECT_EQ(fit->used_voted, 20U);
  EXPECT_EQ(fit->used_unvoted, 20U);
  EXPECT_NEAR(fit->strengths[1] - fit->strengths[2], fit->classical[1] - fit->classical[2], 1e-9);
}

TEST(PredictionPowered, HostileCalls) {
  const PredictedBattles voted = battles(1, 300, true, 1, 0), unvoted = battles(2, 300, false, 1, 0);
  EXPECT_FALSE(fit_prediction_powered(voted, {}, kModels));
  EXPECT_FALSE(fit_prediction_powered({}, unvoted, kModels));
  EXPECT_FALSE(fit_prediction_powered(voted, unvoted, 3));
  EXPECT_FALSE(fit_prediction_powered(voted, unvoted, kModels, {.lambda = 1.5}));
  EXPECT_FALSE(fit_prediction_powered(voted, unvoted, kModels, {.lambda = std::nan("")}));
  EXPECT_FALSE(fit_prediction_powered(unvoted, unvoted, kModels));
  PredictedBattles bad = voted;
  bad.predicted[3] = std::nan("");
  EXPECT_FALSE(fit_prediction_powered(bad, unvoted, kModels));
  bad = voted;
  bad.share[3] = 1.01;
  EXPECT_FALSE(fit_prediction_powered(bad, unvoted, kModels));
  bad = voted;
  bad.b[3] = bad.a[3];
  EXPECT_FALSE(fit_prediction_powered(bad, unvoted, kModels));
  bad = voted;
  for (std::size_t r = 0; r < bad.size(); ++r) bad.share[r] = bad.a[r] < bad.b[r] ? 1 : 0;
  const auto separated = fit_prediction_powered(bad, unvoted, kModels);
  ASSERT_FALSE(separated);
  EXPECT_NE(separated.error().message.find("no finite"), std::string::npos) << separated.error().message;
}

}  // namespace
}  // namespace agon
