#include "agon/stats/calibration.h"

#include <gtest/gtest.h>

#include <cmath>
#include <map>

#include "agon/base/random.h"
#include "agon/stats/metrics.h"

namespace agon {
namespace {

TEST(EqualMassBins, SplitDistinctValuesEvenlyWhateverTheirOrder) {
  const std::vector<double> values = {5, 1, 3, 2, 6, 4}, weights(6, 1.0);
  EXPECT_EQ(equal_mass_bins(values, weights, 3), (std::vector<std::uint32_t>{2, 0, 1, 0, 2, 1}));
}

TEST(EqualMassBins, EqualValuesShareABin) {
  const std::vector<double> weights(100, 1.0);
  std::vector<double> values(100, 0.5);
  for (const std::uint32_t bin : equal_mass_bins(values, weights, 15)) EXPECT_EQ(bin, 7U);
  for (std::size_t i = 0; i < 90; ++i) values[i] = 0.1;
  const auto bins = equal_mass_bins(values, weights, 10);
  for (std::size_t i = 0; i < 90; ++i) EXPECT_EQ(bins[i], 4U);
  for (std::size_t i = 90; i < 100; ++i) EXPECT_EQ(bins[i], 9U);
}

TEST(EqualMassBins, CountWeightAndNotRows) {
  const std::vector<double> values = {1, 2, 3, 4}, weights = {3, 1, 1, 1};
  EXPECT_EQ(equal_mass_bins(values, weights, 2), (std::vector<std::uint32_t>{0, 1, 1, 1}));
  EXPECT_TRUE(equal_mass_bins({}, {}, 15).empty());
}

// statsmodels.stats.proportion.proportion_confint(count, n, method="wilson") and the published table of
// Newcombe 1998 (Statistics in Medicine 17, table I, method 3).
TEST(Wilson, AgreesWithNewcombe1998) {
  const auto check = [](double count, double n, double low, double high) {
    const Interval interval = wilson_interval(count / n, n);
    EXPECT_NEAR(interval.low, low, 5e-5);
    EXPECT_NEAR(interval.high, high, 5e-5);
  };
  check(81, 263, 0.2553, 0.3662);
  check(15, 148, 0.0624, 0.1605);
  check(0, 20, 0.0000, 0.1611);
  check(1, 29, 0.0061, 0.1718);
}

TEST(Wilson, WithoutRowsSaysNothing) {
  EXPECT_EQ(wilson_interval(0.5, 0).low, 0);
  EXPECT_EQ(wilson_interval(0.5, 0).high, 1);
}

TEST(CalibrationError, EqualsTheDefinitionByHand) {
  // Two bins of two: |(1 + 0) - (0.2 + 0.4)| = 0.4 and |(1 + 1) - (0.6 + 0.9)| = 0.5, over four rows.
  const std::vector<CalibrationRow> rows = {
      {0.9, true, 1, 0}, {0.2, true, 1, 1}, {0.6, true, 1, 2}, {0.4, false, 1, 3}};
  EXPECT_NEAR(CalibrationTable(rows, 2).value(), 0.9 / 4, 1e-15);
  // The row of 0.2 three times: |3 - (0.6 + 0.4)| and 0.5, over six, in the same bins.
  const std::vector<std::uint32_t> times = {1, 3, 1, 1};
  EXPECT_NEAR(CalibrationTable(rows, 2).of_draw(times), 2.5 / 6, 1e-15);
  EXPECT_TRUE(std::isnan(CalibrationTable({}, 2).value()));
}

TEST(CalibrationError, OfCalibratedPredictionsIsAboutWhatChanceGives) {
  // Mean over 200 samples of 600 calibrated rows against the half-normal formula.
  double seen = 0, expected = 0;
  for (std::uint64_t trial = 0; trial < 200; ++trial) {
    Random random(11, trial);
    std::vector<CalibrationRow> rows;
    for (std::uint32_t i = 0; i < 600; ++i) {
      const double p = 0.1 + 0.8 * random.uniform();
      rows.push_back({p, random.uniform() < p, 1, i});
    }
    const CalibrationTable table(rows, 15);
    seen += table.value() / 200;
    expected += table.by_chance() / 200;
  }
  EXPECT_NEAR(seen, expected, 0.03 * expected);
}

TEST(Reliability, LeavesEmptyBinsOutAndKeepsEveryRow) {
  std::vector<ScoredRow> rows;
  for (std::uint32_t i = 0; i < 90; ++i)
    rows.push_back({{0.5, 0.3, 0.2}, i % 2 == 0 ? Outcome::kA : Outcome::kB, 1, i});
  const auto bins = reliability(rows, Outcome::kA, 15);
  ASSERT_EQ(bins.size(), 1U);
  EXPECT_EQ(bins[0].n, 90U);
  EXPECT_NEAR(bins[0].predicted, 0.5, 1e-12);
  EXPECT_NEAR(bins[0].observed, 0.5, 1e-12);
  EXPECT_LT(bins[0].low, 0.5);
  EXPECT_GT(bins[0].high, 0.5);
  EXPECT_TRUE(reliability({}, Outcome::kTie, 15).empty());
}

// sklearn.calibration.calibration_curve(y, p, n_bins=5, strategy="quantile"), scikit-learn 1.9.1, with
// p = 0.02, 0.06, ... 0.78 (twenty values) and y = 1 at every position i with i * i % 7 < i / 6 + 1.
TEST(Reliability, AgreesWithScikitLearn) {
  std::vector<ScoredRow> rows;
  for (std::uint32_t i = 0; i < 20; ++i) {
    const double p = 0.02 + 0.04 * i;
    rows.push_back(
        {{0.5 * (1 - p), 0.5 * (1 - p), p}, i * i % 7 < i / 6 + 1 ? Outcome::kTie : Outcome::kA, 1, i});
  }
  const auto bins = reliability(rows, Outcome::kTie, 5);
  const double predicted[] = {0.08, 0.24, 0.4, 0.56, 0.72};
  const double observed[] = {0.25, 0.5, 0.25, 0.75, 0.5};
  ASSERT_EQ(bins.size(), 5U);
  for (std::size_t b = 0; b < 5; ++b) {
    EXPECT_NEAR(bins[b].predicted, predicted[b], 1e-12);
    EXPECT_NEAR(bins[b].observed, observed[b], 1e-12);
    EXPECT_EQ(bins[b].n, 4U);
  }
}

}  // namespace
}  // namespace agon
