#include "agon/llm/gguf/quantize.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <numbers>

#include "agon/base/random.h"
#include "agon/llm/gguf/dequantize.h"

namespace agon::gguf {
namespace {

struct Bound {
  TensorType type;
  std::size_t shared;  ///< Weights over which the largest magnitude or the range is taken.
  bool range;          ///< Times the range (with 0 where `shared` is 256), else times the largest magnitude.
  double factor;
  double gaussian;  ///< Root-mean-square error of N(0, 1) weights.
};

// Plain formats: half a step, or a whole one at the end that the code does not reach (Q4_0, Q5_0), or the
// widest gap of the sixteen levels (14 of 127). K formats with codes 0 to n and scales to s: (1 + 1/s) / 2n
// for the rounding of the weight, 1/2s for that of the step (n steps of 1/2ns), 1/2s for that of the minimum.
// K formats with codes from -n and scales from -s: (1 + 1/2s)/n at the end that is not reached, 1/s where the
// scale is not reached.
//
// The last column is what this code gives. For the first five the Python package's rounding was measured too,
// on N(0, 1) of its own: Q4_0 0.0859, Q5_0 0.0426, Q8_0 0.00535, Q4_1 0.0781, Q5_1 0.0378.
const Bound kBounds[] = {
    {TensorType::kQ4_0, 32, false, 1 / 8.0, 0.08574},
    {TensorType::kQ5_0, 32, false, 1 / 16.0, 0.04264},
    {TensorType::kQ8_0, 32, false, 1 / 254.0, 0.005347},
    {TensorType::kQ4_1, 32, true, 1 / 30.0, 0.07818},
    {TensorType::kQ5_1, 32, true, 1 / 62.0, 0.03794},
    {TensorType::kIQ4_NL, 32, false, 14 / 127.0, 0.08},
    {TensorType::kQ2_K, 256, true, (1 + 1 / 15.0) / 6 + 1 / 15.0, 0.3292},
    {TensorType::kQ4_K, 256, true, (1 + 1 / 63.0) / 30 + 1 / 63.0, 0.07834},
    {TensorType::kQ5_K, 256, true, (1 + 1 / 63.0) / 62 + 1 / 63.0, 0.03827},
    {TensorType::kQ3_K, 256, false, (1 + 1 / 64.0) / 4 + 1 / 32.0, 0.1551},
    {TensorType::kQ6_K, 256, false, (1 + 1 / 256.0) / 32 + 1 / 128.0, 0.01873},
    {TensorType::kIQ4_XS, 256, false, (1 + 1 / 64.0) * 14 / 127 + 1 / 32.0, 0.08022},
};

std::vector<float> round_trip(TensorType type, const std::vector<float>& values) {
  std::vector<float> out(values.size());
  dequantize(type, quantize(type, values), out);
  return out;
}

float gaussian(Random& random) {  // Box and Muller 1958
  // In two steps: the order of two draws in one expression is the compiler's choice.
  const double radius = std::sqrt(-2 * std::log(1 - random.uniform()));
  return static_cast<float>(radius * std::cos(2 * std::numbers::pi * random.uniform()));
}

// Values of one block: many kinds, as errors hide in the odd ones.
std::vector<float> values_of_kind(int kind, Random& random) {
  std::vector<float> x(256);
  const double scale = std::exp2(12 * random.uniform() - 8);
  for (std::size_t i = 0; i < x.size(); ++i) {
    const float g = gaussian(random);
    switch (kind) {
      case 0:
        x[i] = g;
        break;
      case 1:
        x[i] = static_cast<float>(scale * random.uniform());
        break;
      case 2:
        x[i] = static_cast<float>(-scale * (1 + random.uniform()));
        break;
      case 3:
        x[i] = i == 77 ? static_cast<float>(50 * scale) : g;
        break;
      case 4:
        x[i] = g * std::exp2(static_cast<float>(i / 16) - 8);
        break;
      case 5:
        x[i] = random.below(8) == 0 ? g : 0;
        break;
      case 6:
        x[i] = static_cast<float>(scale);
        break;
      default:
        x[i] = (i / 16 % 2 == 0 ? 1.0f : -1.0f) * static_cast<float>(scale * random.uniform());
        break;
    }
  }
  return x;
}

TEST(Quantize, ErrorsStayWithinTheBoundOfTheFormat) {
  Random random(3);
  for (const Bound& bound : kBounds)
    for (int trial = 0; trial < 400; ++trial) {
      const std::vector<float> x = values_of_kind(trial % 8, random);
      const std::vector<float> y = round_trip(bound.type, x);
      for (std::size_t begin = 0; begin < x.size(); begin += bound.shared) {
        const auto part = std::span(x).subspan(begin, bound.shared);
        auto [low, high] = std::ranges::minmax(part);
        const double largest = std::max(std::fabs(low), std::fabs(high));
        if (bound.shared == 256) low = std::min(low, 0.0f), high = std::max(high, 0.0f);
        const double allowed =
            bound.factor * (bound.range ? high - low : largest) + 1.5 * largest * 0x1p-11 + 1e-7;
        for (std::size_t i = begin; i < begin + bound.shared; ++i)
          ASSERT_LE(std::fabs(x[i] - y[i]), allowed)
              << type_traits(bound.type).name << " kind " << trial % 8 << " weight " << i << ": " << x[i]
              << " became " << y[i] << ", largest " << largest;
      }
    }
}

TEST(Quantize, GaussianWeightsLoseAsMuchAsTheyShould) {
  Random random(4);
  std::vector<float> x(65536);
  for (float& value : x) value = gaussian(random);
  for (const Bound& bound : kBounds) {
    const std::vector<float> y = round_trip(bound.type, x);
    double squares = 0;
    for (std::size_t i = 0; i < x.size(); ++i) squares += std::pow(double{x[i]} - double{y[i]}, 2);
    const double error = std::sqrt(squares / static_cast<double>(x.size()));
    EXPECT_NEAR(error / bound.gaussian, 1, 0.02) << type_traits(bound.type).name;
  }
}

TEST(Quantize, FloatsOfSixteenBitsAreRounded) {
  const std::vector<float> x = {0, 1, -1.0009765f, 3.14159f, 1e-7f};
  EXPECT_EQ(round_trip(TensorType::kF32, x), x);
  EXPECT_EQ(round_trip(TensorType::kF16, x)[3], 3.140625f);
  EXPECT_EQ(round_trip(TensorType::kBF16, x)[3], 3.140625f);
  EXPECT_EQ(round_trip(TensorType::kBF16, x)[4], 0x1.aep-24f);
}

TEST(Quantize, WhatIsStoredExactlyComesBackExactly) {
  // Zeros in every format; and codes times a power of two in those that reach them.
  for (const Bound& bound : kBounds)
    EXPECT_EQ(round_trip(bound.type, std::vector<float>(256, 0.0f)), std::vector<float>(256, 0.0f));
  std::vector<float> x(256);
  for (int i = 0; i < 256; ++i) x[i] = static_cast<float>(i % 16 - 8) * 0.25f;
  for (const TensorType type : {TensorType::kQ4_0, TensorType::kQ4_1, TensorType::kQ5_0})
    EXPECT_EQ(round_trip(type, x), x) << type_traits(type).name;
}

TEST(Quantize, NothingBecomesInfiniteOrNaN) {
  for (const Bound& bound : kBounds)
    for (const float scale : {1e-38f, 1e-30f, 6e-8f, 1e5f, 1e30f, 3.4e38f}) {
      std::vector<float> x(256);
      Random random(9);
      for (float& value : x) value = static_cast<float>(random.uniform() - 0.5) * scale;
      x[3] = scale;
      for (const float value : round_trip(bound.type, x))
        ASSERT_TRUE(std::isfinite(value)) << type_traits(bound.type).name << " " << scale;
    }
}

}  // namespace
}  // namespace agon::gguf
