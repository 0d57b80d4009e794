#include "agon/report/scale.h"

#include <gtest/gtest.h>
#include <rapidcheck.h>

#include <cmath>
#include <limits>

#include "agon/report/number.h"

namespace agon {
namespace {

constexpr double kNaN = std::numeric_limits<double>::quiet_NaN();
constexpr double kInfinity = std::numeric_limits<double>::infinity();

TEST(Ticks, RoundValues) {
  const Ticks ticks = nice_ticks(0.97, 1.11, 5);
  EXPECT_EQ(ticks.decimals, 2);
  ASSERT_EQ(ticks.at.size(), 3U);
  EXPECT_NEAR(ticks.at[0], 1.0, 1e-12);
  EXPECT_NEAR(ticks.at[2], 1.1, 1e-12);
  EXPECT_EQ(nice_ticks(0, 1, 4).at.size(), 3U);
  EXPECT_EQ(nice_ticks(-1, 1, 4).at[1], -0.5);
}

TEST(Ticks, OddRanges) {
  EXPECT_TRUE(nice_ticks(kNaN, 1, 5).at.empty());
  EXPECT_TRUE(nice_ticks(0, kInfinity, 5).at.empty());
  EXPECT_EQ(nice_ticks(3, 3, 5).at.size(), 1U);
  EXPECT_EQ(nice_ticks(1e16, 1e16 + 2, 5).at.size(), 1U);
  EXPECT_EQ(nice_ticks(1, 0, 4).at, nice_ticks(0, 1, 4).at);
  EXPECT_LE(nice_ticks(-1.7e308, 1.7e308, 5).at.size(), 11U);
}

TEST(Ticks, Properties) {
  EXPECT_TRUE(rc::check("inside, ascending, multiples of a nice step, few, told apart by their digits", [] {
    const int exponent = *rc::gen::inRange(-9, 10);
    const double scale = std::pow(10.0, exponent);
    const double low = *rc::gen::inRange(-100000, 100000) / 977.0 * scale;
    const double range = *rc::gen::inRange(1, 100000) / 977.0 * scale;
    const int target = *rc::gen::inRange(1, 12);
    const double high = low + range;
    const Ticks ticks = nice_ticks(low, high, target);
    if (ticks.step == 0) RC_DISCARD("no width");
    RC_ASSERT(static_cast<int>(ticks.at.size()) <= 2 * target + 1);
    RC_ASSERT(static_cast<double>(ticks.at.size()) * ticks.step > range - ticks.step * 1.001);
    const double mantissa = ticks.step / std::pow(10.0, std::floor(std::log10(ticks.step) + 1e-9));
    RC_ASSERT(std::abs(mantissa - 1) < 1e-6 || std::abs(mantissa - 2) < 1e-6 ||
              std::abs(mantissa - 5) < 1e-6);
    for (std::size_t i = 0; i < ticks.at.size(); ++i) {
      RC_ASSERT(ticks.at[i] >= low);
      RC_ASSERT(ticks.at[i] <= high);
      const double k = ticks.at[i] / ticks.step;
      RC_ASSERT(std::abs(k - std::round(k)) < 1e-6);
      if (i == 0) continue;
      RC_ASSERT(ticks.at[i] > ticks.at[i - 1]);
      RC_ASSERT(format_fixed(ticks.at[i], ticks.decimals) != format_fixed(ticks.at[i - 1], ticks.decimals));
    }
  }));
}

TEST(LogTicks, OneTwoFive) {
  EXPECT_EQ(log_ticks(100, 1000, 5).at, (std::vector<double>{100, 200, 500, 1000}));
  EXPECT_EQ(log_ticks(1, 1e9, 4).at.size(), 10U);
  EXPECT_TRUE(log_ticks(0, 10, 4).at.empty());
  EXPECT_TRUE(log_ticks(kNaN, 10, 4).at.empty());
}

TEST(Scale, MapsAndClamps) {
  const Scale linear{0, 10, 100, 0, false};
  EXPECT_DOUBLE_EQ(linear(2.5), 75);
  EXPECT_DOUBLE_EQ(linear(-4), 100);
  const Scale logarithmic{1, 100, 0, 10, true};
  EXPECT_DOUBLE_EQ(logarithmic(10), 5);
  const Scale point{3, 3, 0, 10, false};
  EXPECT_DOUBLE_EQ(point(3), 5);
}

TEST(WidenToNice, CoversTheRange) {
  double low = 1.0021, high = 1.0974;
  widen_to_nice(low, high, 5);
  EXPECT_NEAR(low, 1.0, 1e-12);
  EXPECT_NEAR(high, 1.1, 1e-12);
  low = high = 0;
  widen_to_nice(low, high, 5);
  EXPECT_LT(low, high);
}

TEST(SpreadLabels, Properties) {
  EXPECT_TRUE(rc::check("apart, inside, in order; untouched when there is room", [] {
    const auto raw = *rc::gen::container<std::vector<int>>(rc::gen::inRange(0, 1000));
    std::vector<double> wanted(raw.begin(), raw.end());
    const double gap = *rc::gen::inRange(1, 40);
    const auto placed = spread_labels(wanted, gap, 0, 1000);
    RC_ASSERT(placed.size() == wanted.size());
    const bool fits = wanted.empty() || static_cast<double>(wanted.size() - 1) * gap < 1000;
    bool free = true;
    for (std::size_t i = 0; i < placed.size(); ++i) {
      RC_ASSERT(placed[i] >= -1e-9);
      RC_ASSERT(placed[i] <= 1000 + 1e-9);
      for (std::size_t k = 0; k < i; ++k) {
        if (wanted[k] < wanted[i]) RC_ASSERT(placed[k] < placed[i]);
        if (fits) RC_ASSERT(std::abs(placed[k] - placed[i]) >= gap - 1e-9);
        free = free && std::abs(wanted[k] - wanted[i]) >= gap;
      }
    }
    if (free && fits) {
      for (std::size_t i = 0; i < placed.size(); ++i) RC_ASSERT(std::abs(placed[i] - wanted[i]) < 1e-9);
    }
  }));
}

TEST(FitText, FitsAndKeepsWhatFits) {
  EXPECT_EQ(fit_text("short", 12, 200), "short");
  EXPECT_TRUE(rc::check("bounded", [](const std::string& text) {
    const double width = *rc::gen::inRange(20, 200);
    RC_ASSERT(text_width(fit_text(text, 12, width), 12) <= width);
  }));
}

TEST(Number, Formats) {
  EXPECT_EQ(format_fixed(-0.0004, 3), "0.000");
  EXPECT_EQ(format_fixed(kNaN, 3), "n/a");
  EXPECT_EQ(format_fixed(-kInfinity, 3), "-inf");
  EXPECT_EQ(format_signed(0.0795, 3), "+0.080");
  EXPECT_EQ(format_signed(0.0001, 3), "0.000");
  EXPECT_EQ(format_percent(0.4218), "42.2\u00a0%");
  EXPECT_EQ(format_percent(kNaN), "n/a");
  EXPECT_EQ(format_count(0), "0");
  EXPECT_EQ(format_count(999), "999");
  EXPECT_EQ(format_count(57477), "57,477");
  EXPECT_EQ(format_count(1234567890), "1,234,567,890");
  EXPECT_EQ(format_interval(-0.1, 0.25, 2), "[-0.10, 0.25]");
  EXPECT_EQ(format_interval(kNaN, 0.25, 2), "n/a");
  EXPECT_EQ(typographic("[-0.10, -inf] 1e-07 a-b 3-4"), "[−0.10, −inf] 1e−07 a-b 3-4");
}

}  // namespace
}  // namespace agon
