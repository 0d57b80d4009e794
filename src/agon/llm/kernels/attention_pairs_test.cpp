// Attention in bfloat16, by products of pairs and on tile registers; skipped on machines that have neither.
#include <gtest/gtest.h>

#include "agon/llm/kernels/test_attention.h"

namespace agon::llm {
namespace {

class AttentionPairs : public testing::TestWithParam<CpuLevel> {
 protected:
  void SetUp() override {
    if (machine_cpu_level() < GetParam()) GTEST_SKIP() << "not on this machine";
  }
  static std::vector<float> attend_pairs(const Cache& cache, const Shape& shape,
                                         const std::vector<std::vector<float>>& queries,
                                         const std::vector<int>& positions) {
    const Kernels& table = GetParam() == CpuLevel::kAmx ? amx_kernels() : bf16_kernels();
    return attend(table.attention_pairs, cache, shape, queries, positions);
  }
};
INSTANTIATE_TEST_SUITE_P(Attention, AttentionPairs, testing::Values(CpuLevel::kBf16, CpuLevel::kAmx),
                         [](const auto& info) { return std::string(cpu_level_name(info.param)); });

constexpr int kPositions[] = {0, 1, 15, 16, 17, 31, 32, 47, 63, 64, 65, 127, 128, 255, 1000};

double to_bfloat(double x) {
  return static_cast<double>(gguf::bfloat_to_float(gguf::float_to_bfloat(static_cast<float>(x))));
}

/// The textbook's attention with queries, keys, weights and values rounded to bfloat16 and all else in
/// double.
std::vector<double> rounded(const Cache& cache, const Shape& shape, const std::vector<float>& query,
                            int position) {
  const int first = shape.window > 0 ? std::max(0, position - shape.window + 1) : 0;
  std::vector<double> weights;
  const double cap = static_cast<double>(shape.softcap);
  for (int p = first; p <= position; ++p) {
    double score = 0;
    for (int d = 0; d < shape.key_length; ++d)
      score += to_bfloat(cache.key(p, d)) * to_bfloat(static_cast<double>(query[wide(d)]));
    weights.push_back(cap != 0 ? cap * std::tanh(score / cap) : score);
  }
  const double largest = *std::ranges::max_element(weights);
  double total = 0;
  for (double& w : weights) {
    w = std::exp(w - largest);
    total += w;
    w = to_bfloat(w);
  }
  std::vector<double> out(wide(shape.value_length), 0);
  for (int p = first; p <= position; ++p) {
    for (int d = 0; d < shape.value_length; ++d)
      out[wide(d)] += weights[wide(p - first)] * to_bfloat(cache.value(p, d));
  }
  for (double& x : out) x /= total;
  return out;
}

// A score's factors are rounded by 2^-8 of themselves at most, and its sums by far less: with
// e = (2^-7 + 2^-16 + gamma_D) sum |k q|, and 4e-7 of it more where it is capped, weights are off by
// exp(2 e) - 1, by 2^-8 from rounding and 3e-6 from the power of two, once more for each group that raises
// the largest score; values by 2^-8. Relative to max |v| and to the sum of weights that is the error.
TEST_P(AttentionPairs, AgreesWithDoubles) {
  Random random(41);
  for (const Shape& shape : shapes()) {
    SCOPED_TRACE(describe(shape));
    const Cache cache(shape, 1001, random);
    for (const int position : kPositions) {
      for (const float scale : {1.0F, 4.0F}) {
        const auto queries = random_queries(2, shape, random, scale);
        const std::vector<float> got = attend_pairs(cache, shape, queries, std::vector<int>(2, position));
        for (int row = 0; row < 2; ++row) {
          const std::vector<double> truth = naive<double>(cache, shape, queries[wide(row)], position);
          const auto [begin, magnitude, largest_value] = sizes(cache, shape, queries[wide(row)], position);
          const double score = (0x1p-7 + 0x1p-16 + gamma(shape.key_length) + 4e-7) * magnitude;
          const int groups = (position - begin) / 64 + 2;
          const double bound =
              (2 * std::expm1(2 * score) + 0x1p-8 + 0x1p-8 + 3e-6 * (groups + 2)) * largest_value;
          for (int d = 0; d < shape.value_length; ++d) {
            ASSERT_LE(std::abs(static_cast<double>(got[wide(row * shape.value_length + d)]) - truth[wide(d)]),
                      bound)
                << "position " << position << ", dimension " << d;
          }
        }
      }
    }
  }
}

// As for the other attention: no worse than twice the textbook's formula in the same precision. Measured:
// 0.97 to 1.02 times.
TEST_P(AttentionPairs, IsWithinTwiceTheErrorOfTheNaiveProduct) {
  Random random(42);
  for (const Shape& shape : shapes()) {
    if (shape.window == 1) continue;  // one key: its value, rounded once by both
    double flash = 0, plain = 0;
    const Cache cache(shape, 1001, random);
    for (const float scale : {0.5F, 2.0F, 8.0F}) {
      for (const int position : {20, 64, 130, 700, 1000}) {
        const auto queries = random_queries(4, shape, random, scale);
        const std::vector<float> got = attend_pairs(cache, shape, queries, std::vector<int>(4, position));
        for (int row = 0; row < 4; ++row) {
          const std::vector<double> truth = naive<double>(cache, shape, queries[wide(row)], position);
          const std::vector<double> textbook = rounded(cache, shape, queries[wide(row)], position);
          double norm = 0, mine = 0, theirs = 0;
          for (int d = 0; d < shape.value_length; ++d) {
            const double t = truth[wide(d)];
            norm += t * t;
            mine += std::pow(static_cast<double>(got[wide(row * shape.value_length + d)]) - t, 2);
            theirs += std::pow(textbook[wide(d)] - t, 2);
          }
          flash += mine / norm;
          plain += theirs / norm;
        }
      }
    }
    EXPECT_GT(plain, 0);
    EXPECT_LE(std::sqrt(flash), 2 * std::sqrt(plain)) << describe(shape);
  }
}

// Most weights are then below all floats: the outcome is still a mean of values, as all exponents go by bits.
TEST_P(AttentionPairs, StaysAMeanOfValuesWhereScoresAreFarApart) {
  Random random(47);
  for (const Shape& shape : shapes()) {
    SCOPED_TRACE(describe(shape));
    const Cache cache(shape, 700, random);
    for (const float scale : {100.0F, 1e4F, 1e6F}) {
      for (const int position : {0, 63, 64, 699}) {
        const auto queries = random_queries(2, shape, random, scale);
        const std::vector<float> got = attend_pairs(cache, shape, queries, std::vector<int>(2, position));
        for (int row = 0; row < 2; ++row) {
          const double largest = sizes(cache, shape, queries[wide(row)], position).largest_value;
          for (int d = 0; d < shape.value_length; ++d) {
            const double x = static_cast<double>(got[wide(row * shape.value_length + d)]);
            ASSERT_LE(std::abs(x), largest * (1 + 0x1p-7)) << scale << " at " << position << ", " << d;
          }
        }
      }
    }
  }
}

TEST_P(AttentionPairs, GivesAQueryTheSameBitsWhateverIsBesideIt) {
  Random random(43);
  for (const Shape& shape : shapes()) {
    SCOPED_TRACE(describe(shape));
    const Cache cache(shape, 1001, random);
    for (int round = 0; round < 12; ++round) {
      constexpr int kRows[] = {1, 2, 15, 16, 17, 32, 33, 47, 64, 100, 127, AttentionTile::kRows};
      const int rows = kRows[round];
      const auto queries = random_queries(rows, shape, random, 3);
      std::vector<int> positions;
      for (int i = 0; i < rows; ++i) {
        positions.push_back(round % 2 == 0 ? 60 + i / 2 : kPositions[random.below(std::size(kPositions))]);
      }
      const std::vector<float> together = attend_pairs(cache, shape, queries, positions);
      for (int i = 0; i < rows; ++i) {
        const std::vector<float> one = attend_pairs(cache, shape, {queries[wide(i)]}, {positions[wide(i)]});
        ASSERT_EQ(
            0, std::memcmp(one.data(), together.data() + i * shape.value_length, one.size() * sizeof(float)))
            << "row " << i << " of " << rows << " at " << positions[wide(i)];
      }
    }
  }
}

TEST_P(AttentionPairs, SeesNothingOutsideItsWindow) {
  Random random(44);
  for (const CacheType type : kTypes) {
    for (const int window : {0, 1, 3, 16, 64, 70}) {
      const Shape shape{type, 32, 32, window, 0};
      const Cache cache(shape, 300, random);
      for (const int position : {0, 2, 40, 64, 200}) {
        const auto queries = random_queries(1, shape, random, 2);
        const std::vector<float> before = attend_pairs(cache, shape, queries, {position});
        AttentionTile tile = cache.tile();
        auto* keys = const_cast<std::uint8_t*>(tile.keys);
        auto* values = const_cast<std::uint8_t*>(tile.values);
        for (int p = 0; p < 300; ++p) {
          if (p <= position && (window == 0 || p > position - window)) continue;
          // What was never written may be no number at all.
          const bool behind = p > position;
          std::vector<float> x = gaussians(32, random, 100);
          if (behind && type != CacheType::kQ8_0) std::ranges::fill(x, std::nanf(""));
          const std::size_t page = wide(tile.pages[p / kPageTokens]) * tile.page_stride;
          plain_kernels().store_key(type, x.data(), 32, p % kPageTokens, keys + page);
          plain_kernels().store_value(type, x.data(), 32, p % kPageTokens, values + page);
        }
        const std::vector<float> after = attend_pairs(cache, shape, queries, {position});
        ASSERT_EQ(0, std::memcmp(before.data(), after.data(), after.size() * sizeof(float)))
            << "window " << window << ", position " << position;
      }
    }
  }
}

}  // namespace
}  // namespace agon::llm
