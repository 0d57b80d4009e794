#include "agon/llm/gguf/half.h"

#include <gtest/gtest.h>

#include <cmath>
#include <limits>

#include "agon/base/random.h"

namespace agon::gguf {
namespace {

// From the definition: (-1)^s 2^(e-15) (1 + f/1024), or 2^-14 f/1024.
double half_value(std::uint16_t half) {
  const int exponent = half >> 10 & 31, fraction = half & 1023;
  const double magnitude =
      exponent == 0 ? std::ldexp(fraction, -24) : std::ldexp(1024 + fraction, exponent - 25);
  return (half & 0x8000) != 0 ? -magnitude : magnitude;
}

TEST(Half, EveryHalfWidensToItsDefinitionAndComesBack) {
  for (std::uint32_t i = 0; i < 65536; ++i) {
    const auto half = static_cast<std::uint16_t>(i);
    const float wide = half_to_float(half);
    if ((i & 0x7c00) == 0x7c00) {
      EXPECT_EQ(std::isinf(wide), (i & 0x3ff) == 0) << i;
      EXPECT_EQ(std::isnan(wide), (i & 0x3ff) != 0) << i;
      EXPECT_EQ(std::isnan(half_to_float(float_to_half(wide))), std::isnan(wide)) << i;
      continue;
    }
    EXPECT_EQ(static_cast<double>(wide), half_value(half)) << i;
    EXPECT_EQ(std::signbit(wide), (i & 0x8000) != 0) << i;
    EXPECT_EQ(float_to_half(wide), half) << i;
  }
}

TEST(Half, NarrowingRoundsToNearestAndTiesToEven) {
  // Between any two neighbours: the middle goes to the even one, a hair beside it to the nearer one.
  for (std::uint16_t half = 0; half < 0x7bff; ++half) {
    const auto next = static_cast<std::uint16_t>(half + 1);
    const float middle = static_cast<float>((half_value(half) + half_value(next)) / 2);  // exact in a float
    const std::uint16_t even = half % 2 == 0 ? half : next;
    EXPECT_EQ(float_to_half(middle), even) << half;
    EXPECT_EQ(float_to_half(-middle), even | 0x8000) << half;
    EXPECT_EQ(float_to_half(std::nextafter(middle, 0.0f)), half);
    EXPECT_EQ(float_to_half(std::nextafter(middle, 1e9f)), next);
  }
  EXPECT_EQ(float_to_half(65519.99f), 0x7bff);
  EXPECT_EQ(float_to_half(65520.0f), 0x7c00);
  EXPECT_EQ(float_to_half(1e30f), 0x7c00);
  EXPECT_EQ(float_to_half(-std::numeric_limits<float>::infinity()), 0xfc00);
  EXPECT_EQ(float_to_half(1e-30f), 0);
}

TEST(Half, BfloatIsTheUpperHalfRounded) {
  EXPECT_EQ(bfloat_to_float(0x3f80), 1.0f);
  EXPECT_EQ(float_to_bfloat(1.0f), 0x3f80);
  EXPECT_EQ(float_to_bfloat(std::bit_cast<float>(0x3f808000u)), 0x3f80);  // ties to even
  EXPECT_EQ(float_to_bfloat(std::bit_cast<float>(0x3f818000u)), 0x3f82);
  EXPECT_EQ(float_to_bfloat(std::bit_cast<float>(0x3f808001u)), 0x3f81);
  EXPECT_TRUE(std::isnan(bfloat_to_float(float_to_bfloat(std::bit_cast<float>(0x7f800001u)))));
  Random random(1);
  for (int i = 0; i < 10000; ++i) {
    const auto value = static_cast<float>((random.uniform() - 0.5) * std::exp2(60 * random.uniform() - 30));
    EXPECT_LE(std::fabs(bfloat_to_float(float_to_bfloat(value)) - value), std::fabs(value) * 0x1p-8f);
  }
}

}  // namespace
}  // namespace agon::gguf
