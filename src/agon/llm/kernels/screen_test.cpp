// Screens: their codes, bounds and estimates against twins in double, on every level.
#include "agon/llm/kernels/screen.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <cstring>
#include <optional>

#include "agon/llm/gguf/dequantize.h"
#include "agon/llm/kernels/test_levels.h"

namespace agon::llm {
namespace {

using gguf::TensorType;

std::size_t wide(int n) { return static_cast<std::size_t>(n); }

constexpr int kColumns = 768;
constexpr std::size_t kBlocks = kColumns / kBlock;
constexpr std::size_t kPanelBytes = kBlocks * kScreenBlockBytes;

/// A quantised matrix with its weights as floats.
struct Matrix {
  std::vector<std::byte> stored;
  std::vector<float> weights;
  PackedMatrix packed;

  Matrix(TensorType type, int rows, std::vector<std::byte> bytes)
      : stored(std::move(bytes)), weights(wide(rows) * kColumns) {
    gguf::dequantize(type, stored, weights);
    packed =
        pack({.type = type, .bytes = stored, .columns = kColumns, .row_order = {}, .column_order = {}}, rows);
  }
  Matrix(TensorType type, int rows, Random& random, double scale = 0.02)
      : Matrix(type, rows, random_stored(type, wide(rows) * kColumns, random, scale)) {}
};

std::vector<float> draw_dither(Random& random) {
  std::vector<float> dither(kColumns);
  for (float& u : dither) u = static_cast<float>(random.below(1U << 24)) * 0x1p-24F;
  return dither;
}

std::optional<std::vector<std::uint8_t>> make(const Kernels& table, const PackedMatrix& matrix, int panel,
                                              const std::vector<float>& dither) {
  std::vector<std::uint8_t> bytes(kPanelBytes);
  if (!table.make_screen(matrix, panel, dither.data(), bytes.data())) return std::nullopt;
  return bytes;
}

double scale_of(const std::vector<std::uint8_t>& panel, std::size_t block, std::size_t row) {
  std::uint16_t bits;
  std::memcpy(&bits, panel.data() + block * kScreenBlockBytes + 2 * row, 2);
  return static_cast<double>(gguf::bfloat_to_float(bits));
}

int code_of(const std::vector<std::uint8_t>& panel, std::size_t row, std::size_t column) {
  const std::size_t group = column % kBlock / 4;
  const std::uint8_t both =
      panel[column / kBlock * kScreenBlockBytes + 2 * kPanelRows + group % 4 * 64 + 4 * row + column % 4];
  return group < 4 ? both & 15 : both >> 4;
}

class EachQuantisedType : public testing::TestWithParam<TensorType> {};

TEST_P(EachQuantisedType, CodesLieWithinHalfAScaleOfTheDitheredWeight) {
  Random random(3);
  const Matrix matrix(GetParam(), 32, random);
  const std::vector<float> dither = draw_dither(random);
  for (int p = 0; p < 2; ++p) {
    const auto panel = make(plain_kernels(), matrix.packed, p, dither);
    ASSERT_TRUE(panel);
    for (const Level& level : test_levels())
      EXPECT_EQ(make(*level.table, matrix.packed, p, dither), panel) << level.name;
    for (std::size_t row = 0; row < kPanelRows; ++row) {
      const float* weights = matrix.weights.data() + (wide(p) * kPanelRows + row) * kColumns;
      for (std::size_t block = 0; block < kBlocks; ++block) {
        const double s = scale_of(*panel, block, row);
        double largest = 0;
        for (std::size_t k = block * kBlock; k < (block + 1) * kBlock; ++k) {
          const double w = static_cast<double>(weights[k]);
          largest = std::max(largest, std::abs(w));
          const double left = w + s * (7 + static_cast<double>(dither[k]) - code_of(*panel, row, k));
          ASSERT_LE(std::abs(left), s * (0.5 + 0x1p-18)) << row << ", " << k;
        }
        EXPECT_GE(s * 7.5, largest);
        EXPECT_LE(s * 7.5, largest * 1.02);
      }
    }
  }
}

TEST_P(EachQuantisedType, EstimatesAndBoundsAreThoseOfTheCodes) {
  Random random(4);
  const Matrix matrix(GetParam(), 16, random);
  const std::vector<float> dither = draw_dither(random);
  const auto panel = make(plain_kernels(), matrix.packed, 0, dither);
  ASSERT_TRUE(panel);
  constexpr int kRows = 20;  // more than a tile of activations
  TestActivations inputs(gaussians(wide(kRows) * kColumns, random), kRows, kColumns);
  for (int i = 0; i < kRows; ++i) {
    const ActivationBlock* blocks =
        inputs.blocks.as<ActivationBlock>() + Activations::block_index(i, 0, kColumns);
    std::vector<float> offsets(kBlocks), squares(kBlocks);
    for (std::size_t k = 0; k < kColumns; ++k) {
      const double x = inputs.rounded(i, static_cast<int>(k));
      offsets[k / kBlock] += static_cast<float>(x * (1 - static_cast<double>(dither[k])));
      squares[k / kBlock] += static_cast<float>(3 * x * x);
    }
    double estimate = -1e30, most = -1e30, size = 0;
    for (std::size_t row = 0; row < kPanelRows; ++row) {
      double sum = 0, square = 0;
      for (std::size_t k = 0; k < kColumns; ++k) {
        const double s = scale_of(*panel, k / kBlock, row), x = inputs.rounded(i, static_cast<int>(k));
        sum += s * x * (code_of(*panel, row, k) - 7 - static_cast<double>(dither[k]));
        square += 3 * s * s * x * x;
        size = std::max(size, std::abs(s * x) * 16 * kColumns);
      }
      estimate = std::max(estimate, sum);
      most = std::max(most, sum + std::sqrt(square));
    }
    const ScreenedRow row = {blocks, offsets.data(), squares.data()};
    const ScreenBounds found = plain_kernels().screen(panel->data(), kBlocks, row);
    EXPECT_NEAR(static_cast<double>(found.estimate), estimate, size * gamma(2 * kBlocks + 40));
    EXPECT_NEAR(static_cast<double>(found.most), most, size * gamma(2 * kBlocks + 40));
    for (const Level& level : test_levels()) {
      const ScreenBounds again = level.table->screen(panel->data(), kBlocks, row);
      EXPECT_EQ(again.estimate, found.estimate) << level.name;
      EXPECT_EQ(again.most, found.most) << level.name;
    }
  }
}

INSTANTIATE_TEST_SUITE_P(Screen, EachQuantisedType,
                         testing::ValuesIn(std::begin(kAllTypes) + 3, std::end(kAllTypes)),
                         [](const auto& info) { return std::string(gguf::type_traits(info.param).name); });

// The errors in units of the deviation that the bounds take for one. `along`: the inputs are the weights
// themselves, which a screen that rounds to the nearest would fail on.
std::vector<double> errors(const Matrix& matrix, bool along, std::uint64_t seed) {
  Random random(seed);
  std::vector<double> found;
  for (int draw = 0; draw < 200; ++draw) {
    const std::vector<float> dither = draw_dither(random);
    const auto panel = make(kernels(), matrix.packed, 0, dither);
    EXPECT_TRUE(panel);
    for (std::size_t row = 0; row < kPanelRows; ++row) {
      double error = 0, square = 0;
      for (std::size_t k = 0; k < kColumns; ++k) {
        const double w = static_cast<double>(matrix.weights[row * kColumns + k]);
        const double s = scale_of(*panel, k / kBlock, row);
        const double x = along ? w : static_cast<double>(gaussian(random));
        error += x * (w - s * (code_of(*panel, row, k) - 7 - static_cast<double>(dither[k])));
        square += s * s * x * x / 12;
      }
      found.push_back(error / std::sqrt(square));
    }
  }
  return found;
}

void check_spread(const std::vector<double>& found) {
  double mean = 0, square = 0, largest = 0;
  for (const double z : found) {
    mean += z / static_cast<double>(found.size());
    square += z * z / static_cast<double>(found.size());
    largest = std::max(largest, std::abs(z));
  }
  // 3,200 draws, sixteen of them at a time with the same dither: four standard errors of 200 draws.
  EXPECT_NEAR(mean, 0, 4 / std::sqrt(200.0));
  EXPECT_NEAR(square, 1, 4 * std::sqrt(2.0 / 200));
  EXPECT_LT(largest, 5);
}

TEST(Screen, ErrorsSpreadAsSaidWhateverTheWeights) {
  Random random(6);
  check_spread(errors(Matrix(TensorType::kQ8_0, 16, random), false, 1));
  check_spread(errors(Matrix(TensorType::kQ8_0, 16, random), true, 2));
  check_spread(errors(Matrix(TensorType::kQ6_K, 16, random), true, 3));
  // One large weight in each block beside small ones that are all the same: rounded to the nearest code every
  // one of them would be wrong to the same side.
  std::vector<std::byte> stored = random_stored(TensorType::kQ8_0, 16 * kColumns, random, 0.02, 9);
  for (std::size_t at = 2; at < stored.size(); at += 34) stored[at] = std::byte{127};
  check_spread(errors(Matrix(TensorType::kQ8_0, 16, stored), true, 4));
}

TEST(Screen, RefusesWhatItCannotBound) {
  Random random(7);
  const std::vector<float> dither = draw_dither(random);
  for (const Level& level : test_levels()) {
    SCOPED_TRACE(level.name);
    for (const TensorType type : {TensorType::kF32, TensorType::kF16, TensorType::kBF16})
      EXPECT_FALSE(make(*level.table, Matrix(type, 16, random).packed, 0, dither));
    std::vector<std::byte> stored = random_stored(TensorType::kQ8_0, 16 * kColumns, random, 0.02);
    EXPECT_TRUE(make(*level.table, Matrix(TensorType::kQ8_0, 16, stored).packed, 0, dither));
    for (const std::uint16_t bits : {0x7C00, 0xFC00, 0x7E00}) {  // infinities and NaN
      std::vector<std::byte> bad = stored;
      std::memcpy(bad.data() + 34 * (5 * kBlocks + 3), &bits, 2);
      EXPECT_FALSE(make(*level.table, Matrix(TensorType::kQ8_0, 16, bad).packed, 0, dither)) << bits;
    }
    const std::vector<std::byte> zeros(stored.size());
    const auto nothing = make(*level.table, Matrix(TensorType::kQ8_0, 16, zeros).packed, 0, dither);
    ASSERT_TRUE(nothing);
    EXPECT_EQ(scale_of(*nothing, 2, 3), 0);
  }
}

}  // namespace
}  // namespace agon::llm
