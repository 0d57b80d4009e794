// Products in bfloat16 on tile registers; skipped on machines that have none.
#include <gtest/gtest.h>

#include <algorithm>

#include "agon/llm/gguf/dequantize.h"
#include "agon/llm/kernels/test_levels.h"

namespace agon::llm {
namespace {

using gguf::TensorType;

std::size_t wide(int n) { return static_cast<std::size_t>(n); }
constexpr float kUntouched = -12345.5F;

float to_bfloat(float x) { return gguf::bfloat_to_float(gguf::float_to_bfloat(x)); }

/// Rows by panels * 16, `grain` panels and `together` rows (a multiple of 16, or all) at a time.
std::vector<float> multiply(const PackedMatrix& matrix, TestActivations& inputs, int grain, int together) {
  static AlignedBytes scratch(kMatmulScratch);
  const std::size_t width = wide(matrix.panels * kPanelRows);
  const std::size_t stride = width + 16;
  std::vector<float> out((wide(inputs.rows) + 1) * stride, kUntouched);
  for (int row = 0; row < inputs.rows; row += together) {
    for (int panel = 0; panel < matrix.panels; panel += grain) {
      amx_kernels().matmul_pairs(matrix, panel, std::min(grain, matrix.panels - panel),
                                 inputs.view(row, std::min(together, inputs.rows - row)),
                                 out.data() + wide(row) * stride + panel * kPanelRows, stride,
                                 scratch.data());
    }
  }
  std::vector<float> result;
  for (std::size_t i = 0; i < out.size(); ++i) {
    if (i < wide(inputs.rows) * stride && i % stride < width) {
      result.push_back(out[i]);
    } else {
      EXPECT_EQ(out[i], kUntouched) << "written beyond the result";
    }
  }
  return result;
}

PackSource source_of(TensorType type, const std::vector<std::byte>& stored, int columns) {
  return {.type = type, .bytes = stored, .columns = columns, .row_order = {}, .column_order = {}};
}

class EachPairType : public testing::TestWithParam<TensorType> {
 protected:
  void SetUp() override {
    if (machine_cpu_level() < CpuLevel::kAmx) GTEST_SKIP() << "this machine has no tile registers";
  }
  [[nodiscard]] static int unit() {
    return std::max(kBlock, static_cast<int>(gguf::type_traits(GetParam()).elements));
  }
  [[nodiscard]] static bool exact() {
    return GetParam() == TensorType::kF32 || GetParam() == TensorType::kF16;
  }
};

// A weight s c + m is off by two roundings of float, in s c and in the sum with m, and by half a unit of
// bfloat16, 2^-8 of it; an activation by 2^-8. Products are exact; each block of 32 columns adds 16 numbers
// to two sums, these together, and that to the output: at most K / 2 + K / 32 + 1 roundings lie on the way of
// a product.
TEST_P(EachPairType, AgreeWithDoubles) {
  Random random(31, static_cast<std::uint64_t>(GetParam()));
  struct Shape {
    int outputs, units, rows;
  };
  double square = 0, expected = 0;
  for (const Shape& shape : {Shape{1, 1, 1}, Shape{16, 1, 3}, Shape{17, 2, 16}, Shape{83, 3, 33},
                             Shape{300, 1, 20}, Shape{31, 2304 / unit(), 9}, Shape{33, 1, 530}}) {
    const int columns = shape.units * unit();
    SCOPED_TRACE(testing::Message() << shape.outputs << " x " << columns << ", " << shape.rows << " rows");
    const std::vector<std::byte> stored =
        random_stored(GetParam(), wide(shape.outputs) * wide(columns), random, 0.02);
    TestActivations inputs(gaussians(wide(shape.rows) * wide(columns), random), shape.rows, columns);
    inputs.round_pairs(amx_kernels());
    const PackedMatrix matrix = pack(source_of(GetParam(), stored, columns), shape.outputs);
    const std::vector<float> got = multiply(matrix, inputs, kPairPanels, shape.rows);
    const gguf::TypeTraits traits = gguf::type_traits(GetParam());
    const std::size_t row_bytes = wide(columns) / traits.elements * traits.bytes;
    std::vector<float> weights(wide(columns));
    const std::size_t width = wide(matrix.panels * kPanelRows);
    for (int i = 0; i < shape.outputs; ++i) {
      const std::byte* row = stored.data() + wide(i) * row_bytes;
      gguf::dequantize(GetParam(), {row, row_bytes}, weights);
      for (int t = 0; t < shape.rows; ++t) {
        double truth = 0, magnitude = 0, parts = 0, variance = 0;
        for (int k = 0; k < columns; ++k) {
          const double w = static_cast<double>(weights[wide(k)]), x = static_cast<double>(inputs.value(t, k));
          const double m = std::abs(stored_minimum(GetParam(), row, wide(k)));
          truth += w * x;
          magnitude += std::abs(w * x);
          parts += (std::abs(w) + 2 * m) * std::abs(x);
          variance += w * w * x * x;
        }
        const double rounding = exact() ? 0 : 0x1p-7 + 0x1p-16;
        const double sums = exact() ? columns : columns / 2.0 + columns / 32.0 + 1;
        const double error = static_cast<double>(got[wide(t) * width + wide(i)]) - truth;
        ASSERT_LE(std::abs(error), rounding * magnitude + gamma(sums + 4) * 2 * parts)
            << "row " << t << ", output " << i;
        square += error * error;
        expected += variance;
      }
    }
  }
  if (exact()) return;
  // Errors of rounding to the nearest spread evenly over half a unit either way: a number errs by 2^-8 /
  // sqrt(3) over the mean size of a mantissa, 1.4, of itself, and a product by sqrt(2) times that, but where
  // the weights are bfloat16 themselves. Cutting off in place of rounding would double it.
  const double ratio = std::sqrt(square / expected) * 0x1p8;
  const double factor = 1 / std::sqrt(3.0) / 1.4 * (GetParam() == TensorType::kBF16 ? 1 : std::sqrt(2.0));
  EXPECT_GT(ratio, 0.85 * factor);
  EXPECT_LT(ratio, 1.15 * factor);
}

TEST_P(EachPairType, GiveARowTheSameBitsWhateverIsBesideIt) {
  Random random(32, static_cast<std::uint64_t>(GetParam()));
  const int columns = 2304 / unit() * unit();
  const int outputs = 300, rows = 70;
  const std::vector<std::byte> stored =
      random_stored(GetParam(), wide(outputs) * wide(columns), random, 0.02);
  const PackedMatrix matrix = pack(source_of(GetParam(), stored, columns), outputs);
  const std::vector<float> x = gaussians(wide(rows) * wide(columns), random);
  const std::size_t width = wide(matrix.panels * kPanelRows);
  std::vector<float> alone;
  for (int row = 0; row < rows; ++row) {
    TestActivations one(std::span<const float>(x).subspan(wide(row) * wide(columns), wide(columns)), 1,
                        columns);
    one.round_pairs(amx_kernels());
    const std::vector<float> got = multiply(matrix, one, 1 + row % kPairPanels, 1);
    alone.insert(alone.end(), got.begin(), got.end());
  }
  for (const int count : {1, 2, 15, 16, 17, 31, 32, 33, 48, 70}) {
    TestActivations inputs(x, count, columns);
    inputs.round_pairs(amx_kernels());
    for (const int grain : {1, 2, 3, kPairPanels}) {
      for (const int together : {16, 32, 80}) {
        const std::vector<float> got = multiply(matrix, inputs, grain, together);
        ASSERT_EQ(0, std::memcmp(got.data(), alone.data(), wide(count) * width * sizeof(float)))
            << count << " rows, " << grain << " panels and " << together << " rows at a time";
      }
    }
  }
}

INSTANTIATE_TEST_SUITE_P(MatmulPairs, EachPairType, testing::ValuesIn(kAllTypes),
                         [](const auto& info) { return std::string(gguf::type_traits(info.param).name); });

// The chain itself, written down: two sums over the even and the odd columns of each 32.
TEST(MatmulPairs, AddUpInTheStatedOrder) {
  if (machine_cpu_level() < CpuLevel::kAmx) GTEST_SKIP() << "this machine has no tile registers";
  Random random(33);
  const int columns = 1120, outputs = 32, rows = 18;
  const std::vector<std::byte> stored = random_stored(TensorType::kBF16, wide(outputs * columns), random, 1);
  TestActivations inputs(gaussians(wide(rows * columns), random), rows, columns);
  inputs.round_pairs(amx_kernels());
  const std::vector<float> got =
      multiply(pack(source_of(TensorType::kBF16, stored, columns), outputs), inputs, 2, 32);
  std::vector<float> w(wide(columns));
  for (int i = 0; i < outputs; ++i) {
    gguf::dequantize(TensorType::kBF16, std::span(stored).subspan(wide(2 * i * columns), wide(2 * columns)),
                     w);
    for (int t = 0; t < rows; ++t) {
      float sum = 0;
      for (int begin = 0; begin < columns; begin += kBlock) {
        float even = 0, odd = 0;
        for (int k = begin; k < begin + kBlock; k += 2) {
          even = std::fma(w[wide(k)], to_bfloat(inputs.value(t, k)), even);
          odd = std::fma(w[wide(k + 1)], to_bfloat(inputs.value(t, k + 1)), odd);
        }
        sum += even + odd;
      }
      ASSERT_EQ(got[wide(t * outputs + i)], sum) << "row " << t << ", output " << i;
    }
  }
}

}  // namespace
}  // namespace agon::llm
