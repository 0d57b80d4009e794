#include "agon/stats/bootstrap.h"

#include <gtest/gtest.h>

#include <cmath>
#include <limits>
#include <numeric>

#include "agon/base/parallel.h"

namespace agon {
namespace {

constexpr double kNan = std::numeric_limits<double>::quiet_NaN();

// numpy.quantile([1, 2, 4, 8, 16], q), method "linear".
TEST(SortedQuantile, AgreesWithNumpy) {
  const std::vector<double> values = {1, 2, 4, 8, 16};
  EXPECT_DOUBLE_EQ(sorted_quantile(values, 0), 1);
  EXPECT_DOUBLE_EQ(sorted_quantile(values, 0.1), 1.4);
  EXPECT_DOUBLE_EQ(sorted_quantile(values, 0.5), 4);
  EXPECT_DOUBLE_EQ(sorted_quantile(values, 0.9), 12.8);
  EXPECT_DOUBLE_EQ(sorted_quantile(values, 1), 16);
  EXPECT_TRUE(std::isnan(sorted_quantile({}, 0.5)));
}

TEST(PercentileInterval, LeavesNaNDrawsOutWhileMostRemain) {
  const Estimate some = percentile_interval(2, {kNan, 1, 3, 2}, 0.5, 7);
  EXPECT_DOUBLE_EQ(some.low, 1.5);
  EXPECT_DOUBLE_EQ(some.high, 2.5);
  EXPECT_EQ(some.n, 7U);
  const Estimate few = percentile_interval(2, {kNan, kNan, kNan, 2}, 0.5, 7);
  EXPECT_DOUBLE_EQ(few.value, 2);
  EXPECT_TRUE(std::isnan(few.low) && std::isnan(few.high));
  EXPECT_TRUE(std::isnan(percentile_interval(kNan, {1, 2, 3}, 0.5, 0).low));
}

TEST(DenseClusters, NumberInOrderOfAppearance) {
  const DenseClusters dense = dense_clusters(std::vector<std::uint32_t>{70, 5, 70, 4000000000U, 5});
  EXPECT_EQ(dense.of_row, (std::vector<std::uint32_t>{0, 1, 0, 2, 1}));
  EXPECT_EQ(dense.count, 3U);
}

TEST(Draws, TakeAsManyClustersAsThereAreAndDependOnSeedAndDrawOnly) {
  const BootstrapOptions options{.draws = 50, .seed = 9};
  const auto all = [&] {
    std::vector<std::vector<std::uint32_t>> out(50);
    for_each_draw(30, options, [&](std::size_t draw, Multiplicities times) {
      out[draw].assign(times.begin(), times.end());
    });
    return out;
  };
  set_thread_count(1);
  const auto one = all();
  set_thread_count(4);
  EXPECT_EQ(all(), one);
  set_thread_count(0);
  EXPECT_NE(one[0], one[1]);
  std::vector<std::uint64_t> total(30, 0);
  for (const auto& times : one) {
    EXPECT_EQ(std::accumulate(times.begin(), times.end(), 0U), 30U);
    for (std::size_t c = 0; c < 30; ++c) total[c] += times[c];
  }
  // Each cluster is expected 50 times in 50 draws, with a standard deviation of 7.
  for (const std::uint64_t n : total) EXPECT_NEAR(static_cast<double>(n), 50, 5 * 7);
}

}  // namespace
}  // namespace agon
