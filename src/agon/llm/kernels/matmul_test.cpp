#include <gtest/gtest.h>

#include <algorithm>
#include <numeric>

#include "agon/llm/gguf/dequantize.h"
#include "agon/llm/kernels/test_levels.h"

namespace agon::llm {
namespace {

using gguf::TensorType;

constexpr float kUntouched = -12345.5F;

std::size_t wide(int n) { return static_cast<std::size_t>(n); }

/// Products of all rows with the whole matrix, `grain` panels and `together` rows at a time, as a matrix of
/// rows by panels * 16. `together` is 8, a multiple of 16 or not less than the rows.
std::vector<float> multiply(const Kernels& table, bool exact, const PackedMatrix& matrix,
                            TestActivations& inputs, int grain, int together) {
  static AlignedBytes scratch(kMatmulScratch);
  const std::size_t width = wide(matrix.panels * kPanelRows);
  const std::size_t stride = width + 16;
  // A row more and columns more than are written: they must stay as they are.
  std::vector<float> out((wide(inputs.rows) + 1) * stride, kUntouched);
  for (int row = 0; row < inputs.rows; row += together) {
    const int count = std::min(together, inputs.rows - row);
    for (int panel = 0; panel < matrix.panels; panel += grain) {
      (exact ? table.matmul_exact : table.matmul)(
          matrix, panel, std::min(grain, matrix.panels - panel), inputs.view(row, count),
          out.data() + wide(row) * stride + panel * kPanelRows, stride, scratch.data());
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

bool same_bits(const std::vector<float>& a, const std::vector<float>& b) {
  return a.size() == b.size() && std::memcmp(a.data(), b.data(), a.size() * sizeof(float)) == 0;
}

/// The products in double, with the bound on the error of the kernels' chains.
///
/// Fast: out = sum over blocks of P s d + m (d Q), P and Q exact integers below 2^24. s (a half times at most
/// eight bits) and m are exact; s d and d Q are rounded once, and each of the n fused sums once. So the error
/// is at most gamma_(n+1) times the sum of the terms' magnitudes. Exact: a weight is s c + m with at most two
/// roundings, then one fused sum for each column. The twin's weights are rounded to float themselves: 2 u.
/// Pairs of bfloat16: activations are rounded to it, products are exact, one or two sums for each pair.
enum class Way { kFast, kExact, kPairs };
struct Twin {
  std::vector<double> value, bound;

  Twin(const PackSource& source, int rows, Way way, TestActivations& inputs) {
    const bool exact = way != Way::kFast;
    const gguf::TypeTraits traits = gguf::type_traits(source.type);
    const std::size_t row_bytes = wide(source.columns) / traits.elements * traits.bytes;
    const bool floats = traits.elements == 1;
    const int parts = source.type == TensorType::kQ2_K || source.type == TensorType::kQ3_K ||
                              source.type == TensorType::kQ6_K
                          ? 2
                          : 1;
    const double times = inputs.with_rests ? 2 : 1;
    const double sums = floats || exact ? inputs.columns : times * 2 * parts * inputs.columns / kBlock;
    std::vector<float> weights(wide(source.columns));
    std::vector<double> magnitudes(wide(source.columns));
    const std::size_t width = wide((rows + 15) / 16 * 16);
    value.assign(wide(inputs.rows) * width, 0.0);
    bound = value;
    for (int i = 0; i < rows; ++i) {
      const int row = source.row_order.empty() ? i : source.row_order[wide(i)];
      if (row < 0) continue;
      const std::byte* stored = source.bytes.data() + wide(row) * row_bytes;
      gguf::dequantize(source.type, {stored, row_bytes}, weights);
      for (std::size_t k = 0; k < weights.size(); ++k) {
        const double m = stored_minimum(source.type, stored, k);
        magnitudes[k] = std::abs(static_cast<double>(weights[k]) - m) + std::abs(m);
      }
      for (int t = 0; t < inputs.rows; ++t) {
        double total = 0, magnitude = 0;
        for (int k = 0; k < inputs.columns; ++k) {
          const int from = source.column_order.empty() ? k : source.column_order[wide(k)];
          if (from < 0) continue;
          double x = floats || exact ? static_cast<double>(inputs.value(t, k)) : inputs.rounded(t, k);
          if (way == Way::kPairs) {
            x = static_cast<double>(gguf::bfloat_to_float(gguf::float_to_bfloat(inputs.value(t, k))));
          }
          const double rest = inputs.with_rests && !floats && !exact ? inputs.rest_of(t, k) : 0;
          total += static_cast<double>(weights[wide(from)]) * (x + rest);
          magnitude += magnitudes[wide(from)] * (std::abs(x) + std::abs(rest));
        }
        value[wide(t) * width + wide(i)] = total;
        bound[wide(t) * width + wide(i)] = gamma(sums + 1 + (floats ? 0 : 4)) * magnitude;
      }
    }
  }

  void check(const std::vector<float>& got) const {
    ASSERT_EQ(got.size(), value.size());
    for (std::size_t i = 0; i < got.size(); ++i) {
      ASSERT_LE(std::abs(static_cast<double>(got[i]) - value[i]), bound[i])
          << "number " << i << ": " << got[i] << ", not " << value[i];
    }
  }
};

class EachType : public testing::TestWithParam<TensorType> {
 protected:
  [[nodiscard]] static int unit() {
    return std::max(kBlock, static_cast<int>(gguf::type_traits(GetParam()).elements));
  }
};

bool in_pairs(const Level& level, bool exact, TensorType type) {
  return level.pairs && !exact && type == TensorType::kBF16;
}

/// Checks a product at every level, in both precisions, cut in many ways.
void check_product(const PackSource& source, int rows, TestActivations& inputs) {
  const PackedMatrix matrix = pack(source, rows);
  const int all = (inputs.rows + 7) / 8 * 8;
  for (const bool exact : {false, true}) {
    SCOPED_TRACE(exact ? "exact" : "fast");
    const std::vector<float> plain = multiply(plain_kernels(), exact, matrix, inputs, 1, all);
    Twin(source, rows, exact ? Way::kExact : Way::kFast, inputs).check(plain);
    if (testing::Test::HasFatalFailure()) return;
    for (const Level& level : test_levels()) {
      std::vector<float> first = plain;
      if (in_pairs(level, exact, source.type)) {
        first = multiply(*level.table, exact, matrix, inputs, 1, all);
        Twin(source, rows, Way::kPairs, inputs).check(first);
        if (testing::Test::HasFatalFailure()) return;
      }
      for (const int grain : {1, 3, kMatmulPanels}) {
        for (const int together : {8, 16, 48, all}) {
          ASSERT_TRUE(same_bits(first, multiply(*level.table, exact, matrix, inputs, grain, together)))
              << level.name << ", " << grain << " panels and " << together << " rows at a time";
        }
      }
    }
  }
}

TEST_P(EachType, AgreesWithDoublesAndOnAllLevels) {
  Random random(1, static_cast<std::uint64_t>(GetParam()));
  struct Shape {
    int outputs, units, rows;
  };
  // Last panels of every kind; one unit of columns, and more than one and two chunks of 64 blocks; rows for
  // each way that products are made, up to more than tile registers take together.
  for (const Shape& shape : {Shape{1, 1, 1}, Shape{16, 1, 3}, Shape{17, 2, 12}, Shape{83, 3, 20},
                             Shape{31, 2304 / unit(), 9}, Shape{33, 4352 / unit(), 2}, Shape{40, 1, 67},
                             Shape{83, 7, 35}, Shape{51, 2304 / unit(), 83}, Shape{20, 2, 263}}) {
    const int columns = shape.units * unit();
    SCOPED_TRACE(testing::Message() << shape.outputs << " x " << columns << ", " << shape.rows << " rows");
    const std::vector<std::byte> stored =
        random_stored(GetParam(), wide(shape.outputs) * wide(columns), random, 0.02);
    TestActivations inputs(gaussians(wide(shape.rows) * wide(columns), random), shape.rows, columns);
    for (const bool rests : {false, true}) {
      if (rests && is_float(packed_type(GetParam()))) continue;
      SCOPED_TRACE(rests ? "with rests" : "without rests");
      inputs.with_rests = rests;
      check_product(
          {.type = GetParam(), .bytes = stored, .columns = columns, .row_order = {}, .column_order = {}},
          shape.outputs, inputs);
      if (HasFatalFailure()) return;
    }
  }
}

TEST_P(EachType, SumsTheLargestCodesWithoutOverflow) {
  Random random(2, static_cast<std::uint64_t>(GetParam()));
  const int columns = unit();
  for (const int fill : {0, 255, 0x80, 0x7f, 0x0f, 0xf0}) {
    const std::vector<std::byte> stored = random_stored(GetParam(), wide(16 * columns), random, 1, fill);
    std::vector<float> x(wide(10 * columns));
    for (std::size_t i = 0; i < x.size(); ++i) {
      // Rows of 127, of -127, and of both in turn.
      const std::size_t row = i / wide(columns);
      x[i] = row % 3 == 0 ? 127 : row % 3 == 1 || i % 2 == 0 ? -127 : 127;
    }
    TestActivations inputs(x, 10, columns);
    SCOPED_TRACE(fill);
    check_product(
        {.type = GetParam(), .bytes = stored, .columns = columns, .row_order = {}, .column_order = {}}, 16,
        inputs);
    if (HasFatalFailure()) return;
  }
}

TEST_P(EachType, GivesARowTheSameBitsWhateverIsBesideIt) {
  Random random(3, static_cast<std::uint64_t>(GetParam()));
  const int columns = (2304 / unit()) * unit();
  const int outputs = 70;
  const std::vector<std::byte> stored =
      random_stored(GetParam(), wide(outputs) * wide(columns), random, 0.02);
  const PackedMatrix matrix =
      pack({.type = GetParam(), .bytes = stored, .columns = columns, .row_order = {}, .column_order = {}},
           outputs);
  constexpr int kMost = 83;
  const std::vector<float> x = gaussians(wide(kMost) * wide(columns), random);
  const std::size_t width = wide(matrix.panels * kPanelRows);
  for (const bool exact : {false, true}) {
    // Each row alone, in the first place of its tile.
    const auto each_alone = [&](const Kernels& table) {
      std::vector<float> alone;
      for (int row = 0; row < kMost; ++row) {
        TestActivations one(std::span<const float>(x).subspan(wide(row) * wide(columns), wide(columns)), 1,
                            columns);
        const std::vector<float> got = multiply(table, exact, matrix, one, 1, 8);
        alone.insert(alone.end(), got.begin(), got.end());
      }
      return alone;
    };
    const std::vector<float> plain = each_alone(plain_kernels());
    for (const Level& level : test_levels()) {
      const std::vector<float> alone = in_pairs(level, exact, GetParam()) ? each_alone(*level.table) : plain;
      for (int rows = 1; rows <= kMost; rows += rows < 18 || (rows > 30 && rows < 41) ? 1 : 7) {
        TestActivations inputs(x, rows, columns);
        const std::vector<float> got = multiply(*level.table, exact, matrix, inputs, kMatmulPanels, 48);
        ASSERT_EQ(0, std::memcmp(got.data(), alone.data(), wide(rows) * width * sizeof(float)))
            << level.name << ", " << rows << " rows" << (exact ? ", exact" : "");
      }
    }
  }
}

TEST_P(EachType, PutsRowsInOrderAndZerosBetween) {
  Random random(4, static_cast<std::uint64_t>(GetParam()));
  const int columns = 2 * unit();
  const std::vector<std::byte> stored = random_stored(GetParam(), wide(21 * columns), random, 0.1);
  PackSource source{
      .type = GetParam(), .bytes = stored, .columns = columns, .row_order = {}, .column_order = {}};
  for (int i = 0; i < 45; ++i)
    source.row_order.push_back(i % 5 == 2 ? -1 : static_cast<int>(random.below(21)));
  TestActivations inputs(gaussians(wide(11 * columns), random), 11, columns);
  check_product(source, 45, inputs);
  if (HasFatalFailure()) return;
  const PackedMatrix matrix = pack(source, 45);
  ASSERT_EQ(matrix.panels, 3);
  for (const bool exact : {false, true}) {
    const std::vector<float> got = multiply(kernels(), exact, matrix, inputs, kMatmulPanels, 16);
    for (int row = 0; row < 11; ++row) {
      for (int i = 0; i < 48; ++i) {
        if (i >= 45 || source.row_order[wide(i)] < 0) {
          EXPECT_EQ(got[wide(row * 48 + i)], 0);
        }
      }
    }
  }
}

TEST_P(EachType, TakesNoMoreMemoryThanTheFile) {
  const int columns = 4 * unit();
  const std::vector<std::byte> stored(wide(32 * columns) / gguf::type_traits(GetParam()).elements *
                                      gguf::type_traits(GetParam()).bytes);
  const PackedMatrix matrix = plan_packed(
      {.type = GetParam(), .bytes = stored, .columns = columns, .row_order = {}, .column_order = {}}, 32);
  EXPECT_EQ(matrix.panels, 2);
  EXPECT_LE(static_cast<double>(packed_bytes(matrix)), 1.04 * static_cast<double>(stored.size()));
  EXPECT_GE(packed_bytes(matrix), stored.size());
}

INSTANTIATE_TEST_SUITE_P(Matmul, EachType, testing::ValuesIn(kAllTypes),
                         [](const auto& info) { return std::string(gguf::type_traits(info.param).name); });

// Column orders are how heads are padded and how rows whose length is no multiple of 32 are filled up.
TEST(MatmulFloats, TakeColumnsInAnyOrderWithZerosBetween) {
  Random random(5);
  for (const TensorType type : {TensorType::kF32, TensorType::kF16, TensorType::kBF16}) {
    const int stored_columns = 45;
    const std::vector<std::byte> stored = random_stored(type, wide(20 * stored_columns), random, 0.1);
    PackSource source{
        .type = type, .bytes = stored, .columns = stored_columns, .row_order = {}, .column_order = {}};
    for (int k = 0; k < 70; ++k)
      source.column_order.push_back(k % 7 == 3 ? -1 : static_cast<int>(random.below(45)));
    const PackedMatrix matrix = pack(source, 20);
    EXPECT_EQ(matrix.columns, 96);
    source.column_order.resize(96, -1);  // for the twin; the same matrix
    ASSERT_EQ(0, std::memcmp(matrix.data.data(), pack(source, 20).data.data(), packed_bytes(matrix)));
    TestActivations inputs(gaussians(wide(13 * 96), random), 13, 96);
    check_product(source, 20, inputs);
    if (HasFatalFailure()) return;
    // Without an order: 45 columns are filled up to 64.
    source.column_order.clear();
    const PackedMatrix filled = pack(source, 20);
    EXPECT_EQ(filled.columns, 64);
    source.column_order.resize(64, -1);
    std::iota(source.column_order.begin(), source.column_order.begin() + 45, 0);
    TestActivations wider(gaussians(wide(3 * 64), random), 3, 64);
    Twin(source, 20, Way::kExact, wider).check(multiply(kernels(), true, filled, wider, 2, 8));
  }
}

// Activations are rounded to bfloat16 for 16,384 columns at a time.
TEST(MatmulFloats, TakeVeryLongRows) {
  Random random(7);
  const int columns = 16384 + 96;
  const std::vector<std::byte> stored = random_stored(TensorType::kBF16, wide(17 * columns), random, 0.01);
  TestActivations inputs(gaussians(wide(9 * columns), random), 9, columns);
  check_product(
      {.type = TensorType::kBF16, .bytes = stored, .columns = columns, .row_order = {}, .column_order = {}},
      17, inputs);
}

// A bug in the bound would let bugs in the kernels through: it must be met closely enough to mean something.
TEST(MatmulFloats, BoundIsNotIdle) {
  Random random(6);
  const int columns = 512;
  const std::vector<std::byte> stored = random_stored(TensorType::kF32, wide(16 * columns), random, 1);
  const PackSource source{
      .type = TensorType::kF32, .bytes = stored, .columns = columns, .row_order = {}, .column_order = {}};
  TestActivations inputs(gaussians(wide(8 * columns), random), 8, columns);
  const std::vector<float> got = multiply(kernels(), false, pack(source, 16), inputs, 1, 8);
  const Twin twin(source, 16, Way::kExact, inputs);
  double worst = 0;
  for (std::size_t i = 0; i < got.size(); ++i)
    worst = std::max(worst, std::abs(static_cast<double>(got[i]) - twin.value[i]) / twin.bound[i]);
  // Roundings go both ways: the error grows like the root of the 512 sums that the bound counts one by one.
  EXPECT_GT(worst, 1e-4);
  EXPECT_LT(worst, 0.2);
}

}  // namespace
}  // namespace agon::llm
