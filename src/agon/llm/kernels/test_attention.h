// What the tests of attention share: a cache with rubbish behind its end, and the textbook's attention.
#pragma once

#include <algorithm>
#include <array>
#include <numeric>

#include "agon/llm/kernels/test_levels.h"

namespace agon::llm {

inline std::size_t wide(int n) { return static_cast<std::size_t>(n); }

constexpr CacheType kTypes[] = {CacheType::kF16, CacheType::kBF16, CacheType::kQ8_0, CacheType::kF32};

inline std::string type_name(CacheType type) {
  switch (type) {
    case CacheType::kF16:
      return "F16";
    case CacheType::kBF16:
      return "BF16";
    case CacheType::kQ8_0:
      return "Q8_0";
    case CacheType::kF32:
      return "F32";
  }
  return "?";
}

inline std::uint16_t half_at(const std::uint8_t* page, std::size_t index) {
  std::uint16_t bits;
  std::memcpy(&bits, page + 2 * index, 2);
  return bits;
}

/// Number `index` of a page of `count` numbers whose scale is number `scale` of those behind them.
inline double stored_number(CacheType type, const std::uint8_t* page, std::size_t count, std::size_t index,
                            std::size_t scale) {
  switch (type) {
    case CacheType::kF16:
      return static_cast<double>(gguf::half_to_float(half_at(page, index)));
    case CacheType::kBF16:
      return static_cast<double>(gguf::bfloat_to_float(half_at(page, index)));
    case CacheType::kQ8_0:
      return static_cast<double>(static_cast<std::int8_t>(page[index])) *
             static_cast<double>(gguf::half_to_float(half_at(page + count, scale)));
    case CacheType::kF32: {
      float x;
      std::memcpy(&x, page + 4 * index, 4);
      return static_cast<double>(x);
    }
  }
  return 0;
}

// Keys lie [dimension][slot], their scales [block of dimensions][slot]; values the other way round.
inline double stored_key(CacheType type, const std::uint8_t* page, int length, int slot, int dimension) {
  return stored_number(type, page, wide(length * kPageTokens), wide(dimension * kPageTokens + slot),
                       wide(dimension / kBlock * kPageTokens + slot));
}
inline double stored_value(CacheType type, const std::uint8_t* page, int length, int slot, int dimension) {
  return stored_number(type, page, wide(length * kPageTokens), wide(slot * length + dimension),
                       wide((slot * length + dimension) / kBlock));
}

struct Shape {
  CacheType type = CacheType::kF16;
  int key_length = 64;
  int value_length = 64;
  int window = 0;
  float softcap = 0;
};

/// A sequence's keys and values in pages out of order, with one head's numbers of others between.
class Cache {
 public:
  Cache(const Shape& shape, int positions, Random& random, const Kernels& table = plain_kernels())
      : shape_(shape),
        key_bytes_(cache_page_bytes(shape.type, shape.key_length)),
        stride_(key_bytes_ + cache_page_bytes(shape.type, shape.value_length) + 64) {
    const int count = (positions + kPageTokens - 1) / kPageTokens;
    pages_.resize(wide(count));
    std::iota(pages_.begin(), pages_.end(), 0);
    random.shuffle(std::span<std::int32_t>(pages_));
    memory_ = AlignedBytes(wide(count) * stride_);
    // What another sequence has left behind in the pages: finite, and not to be seen.
    for (int p = 0; p < count * kPageTokens; ++p) store(table, p, random, p < positions ? 1.0F : 50.0F);
  }

  [[nodiscard]] AttentionTile tile() const {
    AttentionTile tile;
    tile.pages = pages_.data();
    tile.keys = memory_.data();
    tile.values = memory_.data() + key_bytes_;
    tile.page_stride = stride_;
    tile.key_length = shape_.key_length;
    tile.value_length = shape_.value_length;
    tile.window = shape_.window;
    tile.softcap = shape_.softcap;
    tile.type = shape_.type;
    return tile;
  }
  [[nodiscard]] double key(int position, int dimension) const {
    return stored_key(shape_.type, page(position), shape_.key_length, position % kPageTokens, dimension);
  }
  [[nodiscard]] double value(int position, int dimension) const {
    return stored_value(shape_.type, page(position) + key_bytes_, shape_.value_length, position % kPageTokens,
                        dimension);
  }
  [[nodiscard]] std::vector<std::uint8_t> bytes() const {
    return {memory_.data(), memory_.data() + memory_.size()};
  }

 private:
  void store(const Kernels& table, int position, Random& random, float scale) {
    std::uint8_t* at = memory_.data() + wide(pages_[wide(position / kPageTokens)]) * stride_;
    const std::vector<float> k = gaussians(wide(shape_.key_length), random, scale);
    const std::vector<float> v = gaussians(wide(shape_.value_length), random, scale);
    table.store_key(shape_.type, k.data(), shape_.key_length, position % kPageTokens, at);
    table.store_value(shape_.type, v.data(), shape_.value_length, position % kPageTokens, at + key_bytes_);
  }
  [[nodiscard]] const std::uint8_t* page(int position) const {
    return memory_.data() + wide(pages_[wide(position / kPageTokens)]) * stride_;
  }

  Shape shape_;
  std::size_t key_bytes_, stride_;
  std::vector<std::int32_t> pages_;
  AlignedBytes memory_;
};

/// Runs one tile of queries at these positions; rows of value_length numbers.
inline std::vector<float> attend(void (*attention)(const AttentionTile& tile, std::uint8_t* scratch),
                                 const Cache& cache, const Shape& shape,
                                 const std::vector<std::vector<float>>& queries,
                                 const std::vector<int>& positions) {
  static AlignedBytes scratch(kMatmulScratch);
  AttentionTile tile = cache.tile();
  tile.rows = static_cast<int>(queries.size());
  std::vector<float> out(queries.size() * wide(shape.value_length), -7.0F);
  for (int i = 0; i < tile.rows; ++i) {
    tile.query[i] = queries[wide(i)].data();
    tile.position[i] = positions[wide(i)];
    tile.out[i] = out.data() + i * shape.value_length;
  }
  attention(tile, scratch.data());
  return out;
}

/// The textbook's attention in T: all scores, softmax, weighted mean.
template <class T>
std::vector<T> naive(const Cache& cache, const Shape& shape, const std::vector<float>& query, int position) {
  const int first = shape.window > 0 ? std::max(0, position - shape.window + 1) : 0;
  std::vector<T> weights;
  for (int p = first; p <= position; ++p) {
    T score = 0;
    for (int d = 0; d < shape.key_length; ++d)
      score += static_cast<T>(cache.key(p, d)) * static_cast<T>(query[wide(d)]);
    const auto cap = static_cast<T>(shape.softcap);
    weights.push_back(cap != 0 ? cap * std::tanh(score / cap) : score);
  }
  const T largest = *std::ranges::max_element(weights);
  T total = 0;
  for (T& w : weights) total += w = std::exp(w - largest);
  std::vector<T> out(wide(shape.value_length), 0);
  for (int p = first; p <= position; ++p) {
    for (int d = 0; d < shape.value_length; ++d)
      out[wide(d)] += weights[wide(p - first)] * static_cast<T>(cache.value(p, d));
  }
  for (T& x : out) x /= total;
  return out;
}

/// What bounds on the error of a query's result are made of.
struct Sizes {
  int begin = 0;             ///< The first position it sees.
  double magnitude = 0;      ///< The largest sum of |key * query| over dimensions.
  double largest_value = 0;  ///< In absolute terms.
};
inline Sizes sizes(const Cache& cache, const Shape& shape, const std::vector<float>& query, int position) {
  Sizes result{.begin = shape.window > 0 ? std::max(0, position - shape.window + 1) : 0};
  for (int p = result.begin; p <= position; ++p) {
    double sum = 0;
    for (int d = 0; d < shape.key_length; ++d)
      sum += std::abs(cache.key(p, d) * static_cast<double>(query[wide(d)]));
    result.magnitude = std::max(result.magnitude, sum);
    for (int d = 0; d < shape.value_length; ++d)
      result.largest_value = std::max(result.largest_value, std::abs(cache.value(p, d)));
  }
  return result;
}

inline std::vector<std::vector<float>> random_queries(int rows, const Shape& shape, Random& random,
                                                      float scale) {
  std::vector<std::vector<float>> queries;
  for (int i = 0; i < rows; ++i) {
    // Scaled as the engine does, so that scores are N(0, scale^2).
    queries.push_back(
        gaussians(wide(shape.key_length), random, scale / std::sqrt(static_cast<float>(shape.key_length))));
  }
  return queries;
}

inline std::vector<Shape> shapes() {
  std::vector<Shape> all;
  for (const CacheType type : kTypes) {
    all.push_back({type, 64, 64, 0, 0});
    all.push_back({type, 128, 64, 0, 0});
    all.push_back({type, 32, 96, 5, 0});
    all.push_back({type, 64, 64, 64, 0});
    all.push_back({type, 64, 32, 100, 50});
    all.push_back({type, 256, 256, 0, 50});
    all.push_back({type, 64, 64, 1, 0});
    if (type != CacheType::kQ8_0) {
      all.push_back({type, 16, 16, 0, 0});
      all.push_back({type, 80, 48, 16, 0});
    }
  }
  return all;
}

inline std::string describe(const Shape& s) {
  return type_name(s.type) + " " + std::to_string(s.key_length) + "/" + std::to_string(s.value_length) +
         " window " + std::to_string(s.window) + " cap " + std::to_string(s.softcap);
}

}  // namespace agon::llm
