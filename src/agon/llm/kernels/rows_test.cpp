#include <gtest/gtest.h>

#include <algorithm>
#include <bit>
#include <limits>

#include "agon/llm/kernels/lanes_plain.h"
#include "agon/llm/kernels/rows_body.h"
#include "agon/llm/kernels/test_levels.h"

namespace agon::llm {
namespace {

constexpr float kInfinity = std::numeric_limits<float>::infinity();
constexpr float kUntouched = -12345.5F;
// Relative error of exp that rows_body.h promises.
constexpr double kExpError = 2e-7;

template <class T>
bool same_bits(const std::vector<T>& a, const std::vector<T>& b) {
  return a.size() == b.size() && std::memcmp(a.data(), b.data(), a.size() * sizeof(T)) == 0;
}

// The steps of the vectors' sizes: one register, an odd number of them, many.
constexpr int kSizes[] = {16, 32, 48, 112, 576, 2048, 4112};

TEST(RowsExp, IsWithinItsBoundOverTheWholeRange) {
  // Every 997th float from -87 to 88, both ends included.
  std::vector<float> x;
  for (const auto& [sign, end] : {std::pair{1.0F, 88.0F}, std::pair{-1.0F, 87.0F}}) {
    for (std::uint32_t bits = 0; bits <= std::bit_cast<std::uint32_t>(end); bits += 997)
      x.push_back(sign * std::bit_cast<float>(bits));
    x.push_back(sign * end);
  }
  x.resize((x.size() + 15) / 16 * 16, 0.0F);
  double worst = 0;
  for (std::size_t i = 0; i < x.size(); i += 16) {
    float out[16];
    LanesPlain::store(out, Rows<LanesPlain>::exp(LanesPlain::load(x.data() + i)));
    for (std::size_t j = 0; j < 16; ++j) {
      const double truth = std::exp(static_cast<double>(x[i + j]));
      worst = std::max(worst, std::abs(static_cast<double>(out[j]) - truth) / truth);
    }
  }
  EXPECT_LE(worst, kExpError);
  EXPECT_GT(worst, kUnit / 2);  // no float function is better than half a unit everywhere
}

TEST(RowsExp, IsZeroBelowItsRangeAndOneAtZero) {
  float x[16] = {0, -0.0F, -87.0F, std::nextafter(-87.0F, -100.0F), -88, -100, -1e10F, -kInfinity};
  float out[16];
  LanesPlain::store(out, Rows<LanesPlain>::exp(LanesPlain::load(x)));
  EXPECT_EQ(out[0], 1);
  EXPECT_EQ(out[1], 1);
  EXPECT_GT(out[2], 0);
  for (int i = 3; i < 8; ++i) EXPECT_EQ(out[i], 0) << x[i];
}

// Rows of 32 numbers in which errors hide: large, tiny, equal, alone.
std::vector<float> block_of_kind(int kind, Random& random) {
  std::vector<float> x(32, 0.0F);
  const float scale = std::exp2(static_cast<float>(random.below(40)) - 20);
  for (float& v : x) {
    switch (kind) {
      case 0:
        v = scale * gaussian(random);
        break;
      case 1:
        break;  // zeros
      case 2:
        v = 1e34F * static_cast<float>(2 * random.uniform() - 1);
        break;
      case 3:
        v = 1e-41F * static_cast<float>(2 * random.uniform() - 1);  // subnormal
        break;
      case 4:
        v = 1e-37F * static_cast<float>(2 * random.uniform() - 1);
        break;
      case 5:
        v = random.below(2) == 0 ? scale : -scale;
        break;
      case 6:
        v = scale * static_cast<float>(static_cast<int>(random.below(255)) - 127) / 127;  // on the grid
        break;
      default:
        v = scale * 1e-3F * gaussian(random);
    }
  }
  if (kind == 7) x[random.below(32)] = scale * 100;
  return x;
}

TEST(RowsQuantize, RoundsToNearestAndSumsRightly) {
  Random random(11);
  for (int round = 0; round < 400; ++round) {
    const int kind = round % 8;
    SCOPED_TRACE(testing::Message() << "kind " << kind << ", round " << round);
    const int blocks = 1 + round % 5;
    std::vector<float> x;
    for (int b = 0; b < blocks; ++b) {
      const std::vector<float> block = block_of_kind(kind, random);
      x.insert(x.end(), block.begin(), block.end());
    }
    std::vector<ActivationBlock> first;
    for (const Level& level : test_levels()) {
      // The rests lie behind all blocks.
      const std::ptrdiff_t rest = static_cast<std::ptrdiff_t>(blocks) * Activations::kTile;
      std::vector<ActivationBlock> out(2 * static_cast<std::size_t>(rest));
      std::memset(static_cast<void*>(out.data()), 0x55, out.size() * sizeof(ActivationBlock));
      const ActivationBlock before = out[1];
      level.table->quantize(x.data(), static_cast<int>(x.size()), out.data(), rest);
      for (std::size_t i = 0; i < out.size(); ++i) {
        if (i % Activations::kTile == 0) continue;
        EXPECT_EQ(0, std::memcmp(&out[i], &before, sizeof before)) << "another row's block was written";
      }
      if (first.empty()) first = out;
      ASSERT_TRUE(same_bits(first, out)) << level.name;
    }
    for (int b = 0; b < blocks; ++b) {
      const ActivationBlock& block = first[static_cast<std::size_t>(b * Activations::kTile)];
      const float* from = x.data() + 32 * b;
      float largest = 0;
      for (int i = 0; i < 32; ++i) largest = std::max(largest, std::abs(from[i]));
      int halves[2] = {0, 0};
      for (int i = 0; i < 32; ++i) {
        // With steps of largest / 127 the code is the nearest but for the roundings of the inverse and of
        // the product with it: two of at most 127 u each, far below 2^-15 of a step.
        const double code =
            largest < 0x1p-100F ? 0 : 127.0 / static_cast<double>(largest) * static_cast<double>(from[i]);
        ASSERT_LE(std::abs(code - block.q[i]), 0.5 + 0x1p-15) << from[i];
        halves[i / 16] += block.q[i];
      }
      EXPECT_EQ(block.d, largest < 0x1p-100F ? 0 : largest / 127);
      // Block and rest together are off by half a step of the rest, 2^-16 of the largest number at most, and
      // by a rounding of what the block left.
      const ActivationBlock& rest = first[static_cast<std::size_t>((blocks + b) * Activations::kTile)];
      EXPECT_LE(rest.d, (0.5F + 0x1p-14F) * block.d / 127);
      for (int i = 0; i < 32 && largest >= 0x1p-100F; ++i) {
        const double got =
            static_cast<double>(block.d) * block.q[i] + static_cast<double>(rest.d) * rest.q[i];
        const double step = std::max(static_cast<double>(rest.d), 0x1p-100);
        ASSERT_LE(std::abs(got - static_cast<double>(from[i])),
                  (0.5 + 0x1p-15) * step + 0x1p-24 * static_cast<double>(block.d))
            << from[i];
      }
      const int sum = halves[0] + halves[1];
      EXPECT_EQ(block.sum, block.d * static_cast<float>(sum));
      EXPECT_EQ(block.half[0], block.d * static_cast<float>(halves[0]));
      EXPECT_EQ(block.half[1], block.d * static_cast<float>(halves[1]));
      EXPECT_EQ(block.minus8, -8 * sum);
      EXPECT_EQ(block.minus128, -128 * sum);
      EXPECT_EQ(block.minus32[0], -32 * halves[0]);
      EXPECT_EQ(block.minus32[1], -32 * halves[1]);
    }
  }
}

// Squares are summed in sixteen chains of n/16 fused steps, folded in four; the root and the reciprocal are
// in double; the scale is rounded, then two products. All terms are positive, so the sum has a relative error
// of gamma_(n/16+4), of which the root takes half.
TEST(RowsRmsNorm, AgreesWithDoubles) {
  Random random(12);
  for (const int n : kSizes) {
    for (const float scale : {1e-12F, 1.0F, 1e6F}) {
      const std::vector<float> x = gaussians(static_cast<std::size_t>(n), random, scale);
      const std::vector<float> weight = gaussians(static_cast<std::size_t>(n), random);
      double squares = 0;
      for (const float v : x) squares += static_cast<double>(v) * static_cast<double>(v);
      constexpr float kEpsilon = 1e-6F;
      const double factor = 1 / std::sqrt(squares / n + static_cast<double>(kEpsilon));
      std::vector<float> first;
      for (const Level& level : test_levels()) {
        std::vector<float> out(x.size() + 1, kUntouched);
        level.table->rms_norm(x.data(), weight.data(), n, kEpsilon, out.data());
        EXPECT_EQ(out.back(), kUntouched);
        out.pop_back();
        std::vector<float> in_place = x;
        level.table->rms_norm(in_place.data(), weight.data(), n, kEpsilon, in_place.data());
        EXPECT_TRUE(same_bits(out, in_place)) << level.name;
        if (first.empty()) first = out;
        ASSERT_TRUE(same_bits(first, out)) << level.name;
      }
      for (std::size_t i = 0; i < x.size(); ++i) {
        const double truth = static_cast<double>(x[i]) * factor * static_cast<double>(weight[i]);
        ASSERT_LE(std::abs(static_cast<double>(first[i]) - truth),
                  (gamma(n / 16 + 4) / 2 + gamma(3)) * std::abs(truth));
      }
    }
    const std::vector<float> zeros(static_cast<std::size_t>(n), 0.0F);
    std::vector<float> out(zeros.size(), 1.0F);
    kernels().rms_norm(zeros.data(), zeros.data(), n, 1e-5F, out.data());
    EXPECT_TRUE(std::ranges::all_of(out, [](float v) { return v == 0; }));
  }
}

// Two roundings for each number: of one product, then of the fused sum.
TEST(RowsRope, AgreesWithDoublesForAnyNumberOfPairs) {
  Random random(13);
  for (const int pairs : {1, 2, 3, 8, 15, 16, 17, 20, 31, 32, 33, 48, 64, 128}) {
    const int beyond = 11;  // dimensions that don't turn
    const std::vector<float> x = gaussians(static_cast<std::size_t>(2 * pairs + beyond), random);
    std::vector<float> cosines, sines;
    for (int i = 0; i < pairs; ++i) {
      const double angle = 10 * random.uniform();
      cosines.push_back(static_cast<float>(std::cos(angle)));
      sines.push_back(static_cast<float>(std::sin(angle)));
    }
    std::vector<float> first;
    for (const Level& level : test_levels()) {
      std::vector<float> out = x;
      level.table->rope(out.data(), cosines.data(), sines.data(), pairs);
      if (first.empty()) first = out;
      ASSERT_TRUE(same_bits(first, out)) << level.name << ", " << pairs << " pairs";
    }
    for (int i = 0; i < pairs; ++i) {
      const auto at = static_cast<std::size_t>(i), other = static_cast<std::size_t>(pairs + i);
      const double a = static_cast<double>(x[at]), b = static_cast<double>(x[other]);
      const double c = static_cast<double>(cosines[at]), s = static_cast<double>(sines[at]);
      EXPECT_LE(std::abs(static_cast<double>(first[at]) - (a * c - b * s)),
                gamma(2) * (std::abs(a * c) + std::abs(b * s)));
      EXPECT_LE(std::abs(static_cast<double>(first[other]) - (a * s + b * c)),
                gamma(2) * (std::abs(a * s) + std::abs(b * c)));
    }
    for (std::size_t i = static_cast<std::size_t>(2 * pairs); i < x.size(); ++i) EXPECT_EQ(first[i], x[i]);
  }
}

double sigmoid(double x) { return 1 / (1 + std::exp(-x)); }

// sigmoid(v) = 1 / (1 + exp(-v)) has the relative error of exp times its share 1 - sigmoid, and two
// roundings; an error of v itself counts 1 - sigmoid times. For silu v is exact; for gelu it comes out of
// five operations on terms of one sign: gamma_5 |v|. Two products follow. Beyond v = -87 the sigmoid stays at
// exp(-87) = 1.6e-38, which is all the error there.
TEST(RowsGated, AgreeWithDoubles) {
  Random random(14);
  for (const Gate kind : {Gate::kSilu, Gate::kGeluTanh}) {
    for (const int n : kSizes) {
      std::vector<float> gate = gaussians(static_cast<std::size_t>(n), random, 3);
      const std::vector<float> up = gaussians(static_cast<std::size_t>(n), random);
      for (std::size_t i = 0; i < gate.size(); i += 3) gate[i] *= 20;
      const float odd[] = {0, -0.0F, 1e-30F, -1e-30F, -86.9F, 87, -87.5F, 88, -88, 200, -200, 1e4F, -1e4F};
      std::copy_n(odd, std::min(std::size(odd), gate.size()), gate.begin());
      std::vector<float> first;
      for (const Level& level : test_levels()) {
        std::vector<float> out = gate;
        level.table->gated(kind, out.data(), up.data(), n);
        if (first.empty()) first = out;
        ASSERT_TRUE(same_bits(first, out)) << level.name;
      }
      for (std::size_t i = 0; i < gate.size(); ++i) {
        const double x = static_cast<double>(gate[i]), u = static_cast<double>(up[i]);
        const bool silu = kind == Gate::kSilu;
        const double v = silu ? x : 1.5957691216057308 * (x + 0.044715 * x * x * x);
        const double truth = x * sigmoid(v) * u;
        const double rest = 1 - sigmoid(v);
        const double argument = silu ? 0 : gamma(6) * std::abs(v);
        const double relative = rest * (kExpError + argument) + gamma(4);
        // 2e-38 for the end of the range, and half the smallest subnormal for results that small.
        const double least = std::abs(x * u) * 2e-38 + 1e-45;
        ASSERT_LE(std::abs(static_cast<double>(first[i]) - truth), relative * std::abs(truth) + least)
            << "gate " << gate[i];
      }
    }
  }
}

TEST(RowsAdd, IsExactlyRounded) {
  Random random(15);
  for (const int n : kSizes) {
    const std::vector<float> x = gaussians(static_cast<std::size_t>(n), random);
    const std::vector<float> y = gaussians(static_cast<std::size_t>(n), random, 100);
    for (const Level& level : test_levels()) {
      std::vector<float> out = x;
      level.table->add(out.data(), y.data(), n);
      for (std::size_t i = 0; i < x.size(); ++i) ASSERT_EQ(out[i], x[i] + y[i]);
    }
  }
}

struct Summary {
  float largest = 0;
  int place = -1;
  double sum = 0;
};

// One level's summary after all have been found equal; `x` becomes what they have left there.
Summary summarize(std::vector<float>& x, float cap) {
  Summary first;
  std::vector<float> capped;
  for (const Level& level : test_levels()) {
    std::vector<float> mine = x;
    Summary s;
    level.table->summarize(mine.data(), static_cast<int>(mine.size()), cap, &s.largest, &s.place, &s.sum);
    if (capped.empty()) {
      first = s;
      capped = mine;
    }
    EXPECT_TRUE(same_bits(capped, mine)) << level.name;
    EXPECT_EQ(0, std::memcmp(&first.largest, &s.largest, sizeof(float))) << level.name;
    EXPECT_EQ(first.place, s.place) << level.name;
    EXPECT_EQ(0, std::memcmp(&first.sum, &s.sum, sizeof(double))) << level.name;
    // Without a sum the rest is the same.
    std::vector<float> again = x;
    float largest = 0;
    int place = -1;
    level.table->summarize(again.data(), static_cast<int>(again.size()), cap, &largest, &place, nullptr);
    EXPECT_TRUE(same_bits(capped, again)) << level.name;
    EXPECT_EQ(0, std::memcmp(&first.largest, &largest, sizeof(float))) << level.name;
    EXPECT_EQ(first.place, place) << level.name;
  }
  x = capped;
  return first;
}

// tanh's error is a few units of its result (rows_body.h); the quotient's rounding moves it by at most one
// unit, and the product is rounded.
constexpr double kTanhError = 4e-7;

TEST(RowsSummarize, AgreesWithDoubles) {
  Random random(16);
  for (const int n : {16, 48, 1024, 1040, 3008}) {
    for (const float cap : {0.0F, 1.0F, 30.0F}) {
      for (const float scale : {0.01F, 3.0F, 100.0F}) {
        std::vector<float> x = gaussians(static_cast<std::size_t>(n), random, scale);
        const std::vector<float> before = x;
        const Summary got = summarize(x, cap);
        for (std::size_t i = 0; i < x.size(); ++i) {
          if (cap == 0) {
            ASSERT_EQ(x[i], before[i]);
          } else {
            const double truth = static_cast<double>(cap) *
                                 std::tanh(static_cast<double>(before[i]) / static_cast<double>(cap));
            ASSERT_LE(std::abs(static_cast<double>(x[i]) - truth), kTanhError * std::abs(truth))
                << before[i] << " capped at " << cap;
          }
        }
        const auto top = std::ranges::max_element(x);
        EXPECT_EQ(got.largest, *top);
        EXPECT_EQ(got.place, top - x.begin());
        // Each difference is rounded, then exp; the lanes sum at most 64 numbers in float. What lies more
        // than 87 below the top counts as 0.
        double sum = 0, bound = n * std::exp(-87.0);
        for (const float v : x) {
          const double below = static_cast<double>(v) - static_cast<double>(got.largest);
          sum += std::exp(below);
          bound += std::exp(below) * (kExpError + gamma(1) * std::abs(below));
        }
        EXPECT_LE(std::abs(got.sum - sum), bound + gamma(64) * sum);
      }
    }
  }
}

TEST(RowsSummarize, TakesTheFirstOfEquals) {
  for (const int n : {16, 64, 2064}) {
    for (int first = 0; first < n; first += 7) {
      std::vector<float> x(static_cast<std::size_t>(n), -1.0F);
      for (int i = first; i < n; i += 5) x[static_cast<std::size_t>(i)] = 2.5F;
      const Summary got = summarize(x, 0);
      EXPECT_EQ(got.largest, 2.5F);
      ASSERT_EQ(got.place, first);
    }
  }
  std::vector<float> all(32, 7.0F);
  const Summary got = summarize(all, 0);
  EXPECT_EQ(got.place, 0);
  EXPECT_EQ(got.sum, 32);
}

TEST(RowsSummarize, LeavesOutMinusInfinityAndNaN) {
  const float nan = std::numeric_limits<float>::quiet_NaN();
  for (const int at : {0, 5, 15, 16, 31}) {
    std::vector<float> x(32, -kInfinity);
    x[static_cast<std::size_t>(at)] = -3;
    Summary got = summarize(x, 0);
    EXPECT_EQ(got.largest, -3);
    EXPECT_EQ(got.place, at);
    EXPECT_EQ(got.sum, 1);
    std::ranges::fill(x, nan);
    x[static_cast<std::size_t>(at)] = -3;
    x[(static_cast<std::size_t>(at) + 9) % 32] = -4;
    got = summarize(x, 0);
    EXPECT_EQ(got.largest, -3);
    EXPECT_EQ(got.place, at);
    EXPECT_NEAR(got.sum, 1 + std::exp(-1.0), 1e-6);
  }
}

}  // namespace
}  // namespace agon::llm
