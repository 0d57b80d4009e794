// What is looked for in rows as long as a vocabulary: at every level the same, whatever the length.
#include <gtest/gtest.h>

#include <algorithm>
#include <limits>

#include "agon/llm/kernels/test_levels.h"

namespace agon::llm {
namespace {

constexpr float kInfinity = std::numeric_limits<float>::infinity();
constexpr int kSizes[] = {1, 15, 16, 17, 63, 64, 100, 1024, 1031, 5000};

// Numbers of which some are equal, minus infinity or NaN.
std::vector<float> row(int n, Random& random) {
  std::vector<float> x = gaussians(static_cast<std::size_t>(n), random, 3);
  for (float& v : x) {
    const auto kind = random.below(12);
    if (kind == 0) v = -kInfinity;
    if (kind == 1) v = std::numeric_limits<float>::quiet_NaN();
    if (kind == 2) v = 1.5F;
  }
  return x;
}

TEST(RowsSearch, TheLargestIgnoresNaNs) {
  Random random(1);
  for (const int n : kSizes) {
    const std::vector<float> x = row(n, random);
    float truth = -kInfinity;
    for (const float v : x) truth = v > truth ? v : truth;
    for (const Level& level : test_levels())
      EXPECT_EQ(level.table->largest(x.data(), n), truth) << level.name << ", " << n;
  }
  const std::vector<float> none(40, std::numeric_limits<float>::quiet_NaN());
  for (const Level& level : test_levels()) EXPECT_EQ(level.table->largest(none.data(), 40), -kInfinity);
}

TEST(RowsSearch, PlacesAtLeastTheFloorAscend) {
  Random random(2);
  for (const int n : kSizes) {
    const std::vector<float> x = row(n, random);
    for (const float floor : {-kInfinity, -2.0F, 1.5F, 100.0F}) {
      std::vector<std::int32_t> truth;
      for (int i = 0; i < n; ++i)
        if (x[static_cast<std::size_t>(i)] >= floor) truth.push_back(i);
      for (const Level& level : test_levels()) {
        std::vector<std::int32_t> got(static_cast<std::size_t>(n) + 1, -7);
        const int count = level.table->at_least(x.data(), n, floor, got.data());
        EXPECT_EQ(got.back(), -7) << level.name;
        got.resize(static_cast<std::size_t>(count));
        EXPECT_EQ(got, truth) << level.name << ", " << n << " from " << floor;
      }
    }
  }
}

TEST(RowsSearch, WeightsAddUpToThoseInDoubles) {
  Random random(3);
  for (const int n : kSizes) {
    for (const float factor : {1e-6F, 0.5F, 1.0F, 3.0F, std::numeric_limits<float>::max()}) {
      std::vector<float> x = row(n, random);
      x[random.below(x.size())] = 2;
      float from = -kInfinity;
      for (const float v : x) from = v > from ? v : from;
      double truth = 0, bound = n * std::exp(-87.0);
      for (const float v : x) {
        if (!(v > -kInfinity)) continue;
        const double exponent =
            (static_cast<double>(v) - static_cast<double>(from)) * static_cast<double>(factor);
        truth += std::exp(exponent);
        // The difference and its product are rounded; 2e-7 is exp's own error (rows_body.h).
        bound += std::exp(exponent) * (2e-7 + gamma(2) * std::abs(exponent));
      }
      double first = -1;
      for (const Level& level : test_levels()) {
        const double got = level.table->weigh(x.data(), n, from, factor);
        EXPECT_LE(std::abs(got - truth), bound + gamma(64) * truth)
            << level.name << ", " << n << " times " << factor;
        if (first < 0) first = got;
        EXPECT_EQ(got, first) << level.name;
      }
    }
  }
}

}  // namespace
}  // namespace agon::llm
