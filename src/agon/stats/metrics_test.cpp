#include "agon/stats/metrics.h"

#include <gtest/gtest.h>

#include <cmath>
#include <limits>
#include <tuple>

#include "agon/base/parallel.h"
#include "agon/base/random.h"

namespace agon {
namespace {

ScoredRow row(double a, double b, Outcome outcome, double weight = 1, std::uint32_t cluster = 0) {
  return {{a, b, 1 - a - b}, outcome, weight, cluster};
}

/// 45 rows drawn with numpy default_rng(7) from Dirichlet(2, 2, 1.5), rounded; weights uniform 0.1 to 2.
/// Columns: p.a, p.b, outcome, weight. The expected figures below were computed on exactly these rows
/// with scikit-learn 1.9.1.
std::vector<ScoredRow> reference_rows(bool weighted) {
  constexpr std::tuple<double, double, int, double> kRows[] = {
      {0.445, 0.357, 0, 0.38}, {0.377, 0.239, 2, 1.45}, {0.492, 0.444, 1, 1.67}, {0.115, 0.243, 2, 1.85},
      {0.485, 0.112, 2, 0.33}, {0.203, 0.204, 1, 0.27}, {0.337, 0.387, 0, 1.98}, {0.051, 0.256, 2, 0.32},
      {0.107, 0.491, 2, 0.44}, {0.616, 0.215, 0, 1.19}, {0.114, 0.293, 1, 0.95}, {0.400, 0.091, 2, 1.53},
      {0.355, 0.161, 2, 0.46}, {0.414, 0.481, 2, 1.84}, {0.197, 0.454, 0, 0.51}, {0.454, 0.336, 0, 1.56},
      {0.027, 0.114, 2, 0.23}, {0.227, 0.551, 1, 1.00}, {0.558, 0.360, 1, 0.16}, {0.235, 0.575, 2, 0.70},
      {0.040, 0.463, 2, 0.69}, {0.482, 0.489, 1, 1.47}, {0.713, 0.221, 1, 0.96}, {0.491, 0.389, 0, 0.21},
      {0.368, 0.420, 1, 1.99}, {0.482, 0.376, 0, 1.79}, {0.287, 0.653, 1, 1.84}, {0.194, 0.558, 2, 0.57},
      {0.567, 0.363, 1, 0.85}, {0.320, 0.475, 1, 0.53}, {0.258, 0.334, 1, 0.34}, {0.197, 0.610, 1, 0.16},
      {0.297, 0.325, 0, 1.06}, {0.313, 0.315, 2, 0.33}, {0.091, 0.203, 2, 0.43}, {0.051, 0.558, 1, 1.73},
      {0.131, 0.243, 2, 1.02}, {0.616, 0.261, 1, 0.45}, {0.264, 0.669, 1, 1.37}, {0.376, 0.099, 2, 0.61},
      {0.325, 0.668, 1, 1.10}, {0.045, 0.211, 2, 0.64}, {0.105, 0.668, 1, 1.08}, {0.376, 0.544, 1, 1.29},
      {0.359, 0.195, 2, 1.12}};
  std::vector<ScoredRow> rows;
  for (const auto& [a, b, outcome, weight] : kRows)
    rows.push_back(row(a, b, static_cast<Outcome>(outcome), weighted ? weight : 1.0,
                       static_cast<std::uint32_t>(rows.size() / 2)));
  return rows;
}

// log_loss, log_loss by class, accuracy_score, roc_auc_score, brier_score_loss(scale_by_half=False).
TEST(Metrics, AgreeWithScikitLearn) {
  const Metrics m = measure(reference_rows(false), {.draws = 20});
  EXPECT_NEAR(m.log_loss.value, 0.8446837813976275, 1e-12);
  EXPECT_NEAR(m.log_loss_a.value, 0.9314020935472271, 1e-12);
  EXPECT_NEAR(m.log_loss_b.value, 0.8346595079480283, 1e-12);
  EXPECT_NEAR(m.log_loss_tie.value, 0.8167234868612706, 1e-12);
  EXPECT_NEAR(m.accuracy.value, 0.6444444444444445, 1e-12);
  EXPECT_NEAR(m.auc.value, 0.7171052631578948, 1e-12);
  EXPECT_NEAR(m.brier.value, 0.5117817333333333, 1e-12);
  EXPECT_EQ(m.rows, 45U);
  EXPECT_EQ(m.clusters, 23U);
  EXPECT_EQ(m.auc.n, m.log_loss_a.n + m.log_loss_b.n);
  EXPECT_EQ(m.log_loss_a.n + m.log_loss_b.n + m.log_loss_tie.n, 45U);
}

TEST(Metrics, AgreeWithScikitLearnWithSampleWeights) {
  const Metrics m = measure(reference_rows(true), {.draws = 20});
  EXPECT_NEAR(m.log_loss.value, 0.8375777921554041, 1e-12);
  EXPECT_NEAR(m.log_loss_a.value, 0.9033208153133699, 1e-12);
  EXPECT_NEAR(m.log_loss_b.value, 0.7422870114124523, 1e-12);
  EXPECT_NEAR(m.log_loss_tie.value, 0.9241084554150848, 1e-12);
  EXPECT_NEAR(m.accuracy.value, 0.6918727915194347, 1e-12);
  EXPECT_NEAR(m.auc.value, 0.7962448753409443, 1e-12);
  EXPECT_NEAR(m.brier.value, 0.49933635995288583, 1e-12);
}

TEST(Metrics, UniformPredictionsGiveTheClosedForms) {
  std::vector<ScoredRow> rows;
  for (std::uint32_t i = 0; i < 9; ++i) rows.push_back({{}, static_cast<Outcome>(i % 3), 1.0, i});
  const Metrics m = measure(rows, {.draws = 200});
  EXPECT_NEAR(m.log_loss.value, std::log(3.0), 1e-15);
  EXPECT_NEAR(m.log_loss.low, std::log(3.0), 1e-12);
  EXPECT_NEAR(m.log_loss.high, std::log(3.0), 1e-12);
  EXPECT_NEAR(m.brier.value, 2.0 / 3, 1e-15);
  EXPECT_DOUBLE_EQ(m.accuracy.value, 1.0 / 3);
  EXPECT_DOUBLE_EQ(m.auc.value, 0.5);
  EXPECT_NEAR(m.ece.value, 0, 1e-15);
}

TEST(Metrics, WithoutRowsEverythingIsNaN) {
  const Metrics m = measure({}, {});
  for (const Estimate& e : {m.log_loss, m.log_loss_a, m.accuracy, m.auc, m.brier, m.ece}) {
    EXPECT_TRUE(std::isnan(e.value) && std::isnan(e.low) && std::isnan(e.high));
    EXPECT_EQ(e.n, 0U);
  }
  EXPECT_TRUE(std::isnan(paired_log_loss_difference({}, {}, {}).value));
}

TEST(Metrics, OneClusterHasAValueButNoInterval) {
  const std::vector<ScoredRow> rows = {row(0.7, 0.2, Outcome::kA), row(0.2, 0.2, Outcome::kB)};
  const Metrics m = measure(rows, {});
  EXPECT_NEAR(m.log_loss.value, -(std::log(0.7) + std::log(0.2)) / 2, 1e-15);
  EXPECT_TRUE(std::isnan(m.log_loss.low) && std::isnan(m.log_loss.high));
  EXPECT_DOUBLE_EQ(m.auc.value, 1.0);
}

TEST(Metrics, OneClassOnlyHasNoAucAndNoLossOfTheOthers) {
  std::vector<ScoredRow> rows;
  for (std::uint32_t i = 0; i < 20; ++i) rows.push_back(row(0.5, 0.25, Outcome::kA, 1, i));
  const Metrics m = measure(rows, {.draws = 50});
  EXPECT_TRUE(std::isnan(m.auc.value));
  EXPECT_TRUE(std::isnan(m.log_loss_b.value));
  EXPECT_TRUE(std::isnan(m.log_loss_tie.value));
  EXPECT_DOUBLE_EQ(m.log_loss_a.value, m.log_loss.value);
  EXPECT_DOUBLE_EQ(m.accuracy.value, 1.0);
  EXPECT_NEAR(m.ece.value, (0.5 + 0.25 + 0.25) / 3, 1e-12);
}

TEST(Metrics, AnIntegerWeightEqualsThatManyCopies) {
  std::vector<ScoredRow> weighted = reference_rows(false), copied;
  for (std::size_t i = 0; i < weighted.size(); ++i) {
    weighted[i].weight = static_cast<double>(1 + i % 3);
    for (std::size_t k = 0; k < 1 + i % 3; ++k) {
      copied.push_back(weighted[i]);
      copied.back().weight = 1;
    }
  }
  const Metrics w = measure(weighted, {.draws = 100}), c = measure(copied, {.draws = 100});
  EXPECT_NEAR(w.log_loss.value, c.log_loss.value, 1e-12);
  EXPECT_NEAR(w.log_loss.low, c.log_loss.low, 1e-12);  // same clusters, same draws
  EXPECT_NEAR(w.log_loss.high, c.log_loss.high, 1e-12);
  EXPECT_NEAR(w.auc.value, c.auc.value, 1e-12);
  EXPECT_NEAR(w.auc.high, c.auc.high, 1e-12);
  EXPECT_NEAR(w.ece.value, c.ece.value, 1e-12);
  EXPECT_NEAR(w.accuracy.low, c.accuracy.low, 1e-12);
}

TEST(Metrics, SwappingEveryRowChangesNothingButTheNames) {
  std::vector<ScoredRow> rows = reference_rows(true), other = rows;
  for (ScoredRow& r : other) {
    r.p = swapped(r.p);
    if (r.outcome != Outcome::kTie) r.outcome = r.outcome == Outcome::kA ? Outcome::kB : Outcome::kA;
  }
  const Metrics m = measure(rows, {.draws = 100}), s = measure(other, {.draws = 100});
  EXPECT_NEAR(m.log_loss.value, s.log_loss.value, 1e-12);
  EXPECT_NEAR(m.log_loss_a.high, s.log_loss_b.high, 1e-12);
  EXPECT_NEAR(m.auc.value, s.auc.value, 1e-12);
  EXPECT_NEAR(m.auc.low, s.auc.low, 1e-12);
  EXPECT_NEAR(m.ece.value, s.ece.value, 1e-12);
}

TEST(Metrics, SameBytesOnOneThreadAndOnMany) {
  const std::vector<ScoredRow> rows = reference_rows(true);
  set_thread_count(1);
  const Metrics one = measure(rows, {.draws = 100, .seed = 5});
  set_thread_count(4);
  const Metrics four = measure(rows, {.draws = 100, .seed = 5});
  set_thread_count(0);
  EXPECT_EQ(one.log_loss.low, four.log_loss.low);
  EXPECT_EQ(one.auc.high, four.auc.high);
  EXPECT_EQ(one.ece.low, four.ece.low);
  EXPECT_NE(one.log_loss.low, measure(rows, {.draws = 100, .seed = 6}).log_loss.low);
}

TEST(Metrics, ALogLossIsNeverInfinite) {
  EXPECT_NEAR(log_loss({0, 0.5, 0.5}, Outcome::kA), -std::log(1e-15), 1e-12);
  EXPECT_EQ(log_loss({1, 0, 0}, Outcome::kA), 0);
}

TEST(Metrics, RowsOfOneClusterAreDrawnTogether) {
  // Every row five times in its cluster: the interval must be that of the rows once, not sqrt(5) narrower.
  Random random(3);
  std::vector<ScoredRow> once, five;
  for (std::uint32_t i = 0; i < 60; ++i) {
    const double a = 0.1 + 0.6 * random.uniform();
    const ScoredRow r = row(a, 0.25, static_cast<Outcome>(random.below(3)), 1, i);
    once.push_back(r);
    for (int k = 0; k < 5; ++k) five.push_back(r);
  }
  const Metrics a = measure(once, {}), b = measure(five, {});
  EXPECT_NEAR(a.log_loss.low, b.log_loss.low, 1e-12);
  EXPECT_NEAR(a.log_loss.high, b.log_loss.high, 1e-12);
  EXPECT_NEAR(a.auc.low, b.auc.low, 1e-12);
}

TEST(PairedDifference, IsTheDifferenceOfTheMeansAndTighterThanEither) {
  const std::vector<ScoredRow> rows = reference_rows(true);
  std::vector<ScoredRow> other = rows;
  std::vector<Prediction> q;
  for (ScoredRow& r : other) {
    r.p = {0.9 * r.p.a + 0.1 / 3, 0.9 * r.p.b + 0.1 / 3, 0.9 * r.p.tie + 0.1 / 3};
    q.push_back(r.p);
  }
  const BootstrapOptions options{.draws = 400};
  const Estimate d = paired_log_loss_difference(rows, q, options);
  const Metrics p = measure(rows, options), r = measure(other, options);
  EXPECT_NEAR(d.value, p.log_loss.value - r.log_loss.value, 1e-12);
  EXPECT_LT(d.low, d.value);
  EXPECT_GT(d.high, d.value);
  EXPECT_LT(d.high - d.low, (p.log_loss.high - p.log_loss.low) / 2);
  std::vector<Prediction> same;
  for (const ScoredRow& s : rows) same.push_back(s.p);
  const Estimate zero = paired_log_loss_difference(rows, same, options);
  EXPECT_EQ(zero.value, 0);
  EXPECT_EQ(zero.low, 0);
  EXPECT_EQ(zero.high, 0);
}

// The interval has to hold the truth about as often as it says. 300 samples of 120 clusters of one to
// three rows with a shared effect; the truth is the mean of the process. The percentile bootstrap is a
// little short at this size, so 95 % should come out between 91 % and 97 % (two binomial standard errors
// of 300 trials are 2.5 %). An interval that ignored the clusters would come out near 85 %.
TEST(PairedDifference, IntervalCoversTheTruthAsOftenAsItSays) {
  int covered = 0;
  constexpr int kTrials = 300;
  for (std::uint64_t trial = 0; trial < kTrials; ++trial) {
    Random random(99, trial);
    std::vector<ScoredRow> rows;
    std::vector<Prediction> q;
    for (std::uint32_t c = 0; c < 120; ++c) {
      const std::uint64_t copies = 1 + random.below(3);
      // Log loss of p minus that of q is ln(1/2) - ln(p): a shared normal-like effect of mean zero.
      double effect = 0;
      for (int k = 0; k < 4; ++k) effect += random.uniform() - 0.5;
      for (std::uint64_t k = 0; k < copies; ++k) {
        const double own = 0.5 * (random.uniform() - 0.5);
        const double p = 0.3 * std::exp(-0.4 * (effect + own));
        rows.push_back({{p, 0.5 * (1 - p), 0.5 * (1 - p)}, Outcome::kA, 1, c});
        q.push_back({0.3, 0.35, 0.35});
      }
    }
    const Estimate d = paired_log_loss_difference(rows, q, {.draws = 300, .seed = trial});
    covered += d.low <= 0 && 0 <= d.high;
  }
  EXPECT_GE(covered, kTrials * 91 / 100);
  EXPECT_LE(covered, kTrials * 97 / 100);
}

}  // namespace
}  // namespace agon
