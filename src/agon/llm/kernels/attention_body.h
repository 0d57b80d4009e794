// Attention of a few queries of one sequence to the pages of its cache, with an online softmax.
//
// Keys lie transposed in their pages, so that one register holds one dimension of sixteen keys and a score is
// a chain over dimensions; values lie as they are, and an output number is a chain over keys. Groups of 64
// keys begin at multiples of 64 positions whatever is masked, and a masked key adds exactly nothing: so a
// query's result does not depend on its neighbours. All queries of a tile go through one group before the
// next, so that its keys and values are fetched once for all of them.
#pragma once

#include <algorithm>

#include "agon/llm/kernels/counts.h"
#include "agon/llm/kernels/rows_body.h"

namespace agon::llm {

template <class L>
struct Attention {
  using F = typename L::F;
  static constexpr int kGroupKeys = 64;
  static constexpr int kGroupPages = kGroupKeys / kPageTokens;
  static constexpr int kRows = 8;           // queries whose sums are in registers together
  static constexpr float kLowest = -1e30F;  // finite, so that differences of masked rows are no NaN

  template <CacheType type>
  static F key(const std::uint8_t* page, int dimension, int length) {
    if constexpr (type == CacheType::kF32)
      return L::load(reinterpret_cast<const float*>(page) + 16 * dimension);
    if constexpr (type == CacheType::kF16) return L::half(page + 32 * dimension);
    if constexpr (type == CacheType::kBF16) return L::bf16(page + 32 * dimension);
    const std::uint8_t* scales = page + static_cast<std::size_t>(length) * kPageTokens;
    return L::mul(L::i8(page + 16 * dimension), L::half(scales + dimension / kBlock * 32));
  }

  template <CacheType type>
  static F value(const std::uint8_t* page, int slot, int dimension, int length) {
    const int at = slot * length + dimension;
    if constexpr (type == CacheType::kF32) return L::load(reinterpret_cast<const float*>(page) + at);
    if constexpr (type == CacheType::kF16) return L::half(page + 2 * at);
    if constexpr (type == CacheType::kBF16) return L::bf16(page + 2 * at);
    const auto* scales =
        reinterpret_cast<const _Float16*>(page + static_cast<std::size_t>(length) * kPageTokens);
    return L::mul(L::i8(page + at), L::set1(static_cast<float>(scales[at / kBlock])));
  }

  static const std::uint8_t* page(const AttentionTile& tile, const std::uint8_t* base, int index) {
    return base + static_cast<std::size_t>(tile.pages[index]) * tile.page_stride;
  }

  // Registers of keys, or of a value's dimensions, that few rows go through together: a chain of sums waits
  // for itself, so that a few of them leave the multipliers idle.
  template <int rows>
  static constexpr int kTogether = L::kStream / rows >= 4   ? 4
                                   : L::kStream / rows >= 2 ? 2
                                                            : 1;

  // Scores of all rows with the sixteen keys of each of some pages.
  template <CacheType type, int rows, int pages>
  static void scores(const AttentionTile& tile, int first_row, int first_page, float* out) {
    const float* const* query = tile.query + first_row;
    const std::uint8_t* from[pages];
    F sums[pages][rows];
    for (int p = 0; p < pages; ++p) {
      from[p] = page(tile, tile.keys, first_page + p);
      for (F& sum : sums[p]) sum = L::zero();
    }
    for (int d = 0; d < tile.key_length; ++d) {
      F k[pages];
      for (int p = 0; p < pages; ++p) k[p] = key<type>(from[p], d, tile.key_length);
      for (int t = 0; t < rows; ++t) {
        const F q = L::set1(query[t][d]);
        for (int p = 0; p < pages; ++p) sums[p][t] = L::fma(k[p], q, sums[p][t]);
      }
    }
    for (int p = 0; p < pages; ++p)
      for (int t = 0; t < rows; ++t) L::store(out + kPageTokens * p + kGroupKeys * t, sums[p][t]);
  }

  template <CacheType type, int rows, int together = kTogether<rows>>
  static void all_scores(const AttentionTile& tile, int first_row, int first_page, int pages, float* out) {
    int p = 0;
    for (; p + together <= pages; p += together)
      scores<type, rows, together>(tile, first_row, first_page + p, out + kPageTokens * p);
    if constexpr (together > 1) {
      if (p < pages) {
        all_scores<type, rows, together / 2>(tile, first_row, first_page + p, pages - p,
                                             out + kPageTokens * p);
      }
    }
  }

  // Sixteen dimensions times `together` of the output, from `dimension` on.
  template <CacheType type, int rows, int together>
  static void add_values_at(const AttentionTile& tile, int first_row, int first_page, int keys,
                            const float* weights, int dimension) {
    float* const* out = tile.out + first_row;
    F sums[rows][together];
    for (int t = 0; t < rows; ++t)
      for (int j = 0; j < together; ++j) sums[t][j] = L::load(out[t] + dimension + 16 * j);
    for (int p = 0; p < keys; p += kPageTokens) {
      const std::uint8_t* from = page(tile, tile.values, first_page + p / kPageTokens);
      const int slots = std::min(kPageTokens, keys - p);
      for (int slot = 0; slot < slots; ++slot) {
        F v[together];
        for (int j = 0; j < together; ++j)
          v[j] = value<type>(from, slot, dimension + 16 * j, tile.value_length);
        for (int t = 0; t < rows; ++t) {
          const F weight = L::set1(weights[kGroupKeys * t + p + slot]);
          for (int j = 0; j < together; ++j) sums[t][j] = L::fma(v[j], weight, sums[t][j]);
        }
      }
    }
    for (int t = 0; t < rows; ++t)
      for (int j = 0; j < together; ++j) L::store(out[t] + dimension + 16 * j, sums[t][j]);
  }

  template <CacheType type, int rows, int together = kTogether<rows>>
  static void add_values(const AttentionTile& tile, int first_row, int first_page, int keys,
                         const float* weights, int dimension = 0) {
    for (; dimension + 16 * together <= tile.value_length; dimension += 16 * together)
      add_values_at<type, rows, together>(tile, first_row, first_page, keys, weights, dimension);
    if constexpr (together > 1) {
      if (dimension < tile.value_length)
        add_values<type, rows, together / 2>(tile, first_row, first_page, keys, weights, dimension);
    }
  }

  static int first_seen(const AttentionTile& tile, int row) {
    return tile.window > 0 ? std::max(0, tile.position[row] - tile.window + 1) : 0;
  }

  // Turns one row's scores into weights: caps, masks, subtracts the largest so far. Returns the factor for
  // what was summed before.
  static float weigh(const AttentionTile& tile, int row, int first_key, int keys, float* scores,
                     float& largest, float& total) {
    const int last = tile.position[row];
    const int first = first_seen(tile, row);
    if (tile.softcap != 0) {
      const F cap = L::set1(tile.softcap);
      for (int i = 0; i < keys; i += 16) {
        L::store(scores + i, L::mul(cap, Rows<L>::tanh(L::div(L::load(scores + i), cap))));
      }
    }
    for (int i = 0; i < std::min(keys, first - first_key); ++i) scores[i] = -__builtin_inff();
    for (int i = std::max(0, last + 1 - first_key); i < keys; ++i) scores[i] = -__builtin_inff();
    F best = L::set1(largest);
    for (int i = 0; i < keys; i += 16) best = L::max(best, L::load(scores + i));
    const float now = L::largest(best);
    const F top = L::set1(now);
    F sum = L::zero();
    for (int i = 0; i < keys; i += 16) {
      const F weight = Rows<L>::exp(L::sub(L::load(scores + i), top));
      sum = L::add(sum, weight);
      L::store(scores + i, weight);
    }
    float factor = 1;
    if (now != largest) {
      alignas(64) float lanes[16];
      L::store(lanes, Rows<L>::exp(L::set1(largest - now)));
      factor = lanes[0];
    }
    // Keys left out at the end of a group would have added zeros to the lanes: nothing.
    total = total * factor + L::sum(sum);
    largest = now;
    return factor;
  }

  // What is known of a row: its largest score so far, and the sum of its weights.
  struct Row {
    float largest = kLowest, total = 0;
  };

  // One group of keys for rows first_row, ..., first_row + rows - 1 of the tile, up to key `end`.
  template <CacheType type, int rows>
  static void add_group(const AttentionTile& tile, int first_row, int first_key, int end, Row* known,
                        float* weights) {
    const int pages = std::min(kGroupPages, (end - first_key + kPageTokens - 1) / kPageTokens);
    const int first_page = first_key / kPageTokens;
    all_scores<type, rows>(tile, first_row, first_page, pages, weights);
    for (int t = 0; t < rows; ++t) {
      const float factor = weigh(tile, first_row + t, first_key, pages * kPageTokens,
                                 weights + kGroupKeys * t, known[t].largest, known[t].total);
      if (factor != 1) scale(tile.out[first_row + t], tile.value_length, factor);
    }
    add_values<type, rows>(tile, first_row, first_page, std::min(pages * kPageTokens, end - first_key),
                           weights);
  }

  static void scale(float* x, int length, float by) {
    const F factor = L::set1(by);
    for (int i = 0; i < length; i += 16) L::store(x + i, L::mul(L::load(x + i), factor));
  }

  template <CacheType type>
  static void attend(const AttentionTile& tile, float* weights) {
    // The rows go by eights; each eight begins and ends where its own rows do.
    constexpr int kMost = AttentionTile::kRows / kRows;
    static_assert(AttentionTile::kRows % kRows == 0);
    Row known[AttentionTile::kRows];
    int begin[kMost], end[kMost];
    int all_begin = tile.position[0], all_end = 0;
    const int parts = (tile.rows + kRows - 1) / kRows;
    for (int part = 0; part < parts; ++part) {
      begin[part] = tile.position[kRows * part];
      end[part] = 0;
      for (int t = kRows * part; t < std::min(kRows * (part + 1), tile.rows); ++t) {
        begin[part] = std::min(begin[part], first_seen(tile, t));
        end[part] = std::max(end[part], tile.position[t] + 1);
        for (int i = 0; i < tile.value_length; i += 16) L::store(tile.out[t] + i, L::zero());
      }
      all_begin = std::min(all_begin, begin[part]);
      all_end = std::max(all_end, end[part]);
    }
    for (int first = all_begin / kGroupKeys * kGroupKeys; first < all_end; first += kGroupKeys) {
      for (int part = 0; part < parts; ++part) {
        if (first + kGroupKeys <= begin[part] || first >= end[part]) continue;
        const int row = kRows * part;
        with_count<kRows>(std::min(kRows, tile.rows - row), [&]<int rows>() {
          add_group<type, rows>(tile, row, first, end[part], known + row, weights);
        });
      }
    }
    for (int t = 0; t < tile.rows; ++t) scale(tile.out[t], tile.value_length, 1.0F / known[t].total);
  }

  static void run(const AttentionTile& tile, std::uint8_t* scratch) {
    auto* weights = reinterpret_cast<float*>(scratch);
    switch (tile.type) {
      case CacheType::kF16:
        return attend<CacheType::kF16>(tile, weights);
      case CacheType::kBF16:
        return attend<CacheType::kBF16>(tile, weights);
      case CacheType::kQ8_0:
        return attend<CacheType::kQ8_0>(tile, weights);
      case CacheType::kF32:
        return attend<CacheType::kF32>(tile, weights);
    }
  }

  static void store_key(CacheType type, const float* x, int length, int slot, std::uint8_t* page) {
    auto* halves = reinterpret_cast<std::uint16_t*>(page);
    if (type == CacheType::kQ8_0) {
      auto* bytes = reinterpret_cast<std::int8_t*>(page);
      auto* scales = reinterpret_cast<_Float16*>(page + static_cast<std::size_t>(length) * kPageTokens);
      for (int i = 0; i < length; i += kBlock) {
        alignas(32) std::int8_t q[kBlock];
        scales[i / kBlock * kPageTokens + slot] = to_bytes(x + i, q);
        for (int j = 0; j < kBlock; ++j) bytes[(i + j) * kPageTokens + slot] = q[j];
      }
      return;
    }
    if (type == CacheType::kF32) {
      for (int i = 0; i < length; ++i) reinterpret_cast<float*>(page)[i * kPageTokens + slot] = x[i];
      return;
    }
    for (int i = 0; i < length; i += 16) {
      alignas(32) std::uint16_t out[16];
      if (type == CacheType::kF16)
        L::store_half(out, within(L::load(x + i), kHalfLargest));
      else
        L::store_bf16(out, L::load(x + i));
      for (int j = 0; j < 16; ++j) halves[(i + j) * kPageTokens + slot] = out[j];
    }
  }

  static void store_value(CacheType type, const float* x, int length, int slot, std::uint8_t* page) {
    if (type == CacheType::kQ8_0) {
      auto* bytes = reinterpret_cast<std::int8_t*>(page) + slot * length;
      auto* scales = reinterpret_cast<_Float16*>(page + static_cast<std::size_t>(length) * kPageTokens);
      for (int i = 0; i < length; i += kBlock)
        scales[(slot * length + i) / kBlock] = to_bytes(x + i, bytes + i);
      return;
    }
    if (type == CacheType::kF32) {
      float* out = reinterpret_cast<float*>(page) + static_cast<std::ptrdiff_t>(slot) * length;
      for (int i = 0; i < length; i += 16) L::store(out + i, within(L::load(x + i), kBF16Largest));
      return;
    }
    std::uint8_t* out = page + static_cast<std::size_t>(slot) * static_cast<std::size_t>(length) * 2;
    for (int i = 0; i < length; i += 16) {
      if (type == CacheType::kF16)
        L::store_half(out + 2 * i, within(L::load(x + i), kHalfLargest));
      else
        L::store_bf16(out + 2 * i, within(L::load(x + i), kBF16Largest));
    }
  }

 private:
  static constexpr float kHalfLargest = 65504;
  static constexpr float kBF16Largest =
      3.3895313892515355e38F;  // which F32 caches keep too: kernels round them

  // An infinity in the cache, or what is no number (which becomes -`largest`), would make NaNs of the weight
  // 0 that queries before it give it.
  static F within(F x, float largest) {
    const F lowest = L::set1(-largest);
    return L::sub(L::zero(), L::max(L::sub(L::zero(), L::max(x, lowest)), lowest));
  }
  // 32 numbers to bytes by the scale that is stored, so that reading back multiplies by the very same half.
  static _Float16 to_bytes(const float* x, std::int8_t* q) {
    constexpr float kLargest = 127 * kHalfLargest;  // whose scale is still a half
    const F a = within(L::load(x), kLargest), b = within(L::load(x + 16), kLargest);
    const auto scale = static_cast<_Float16>(L::largest(L::max(L::abs(a), L::abs(b))) / 127.0F);
    const auto back = static_cast<float>(scale);
    const F inverse = L::set1(back > 0 ? 1.0F / back : 0.0F);
    const F top = L::set1(127), bottom = L::set1(-127);
    const auto clamp = [&](F v) {
      return L::sub(L::zero(), L::max(L::sub(L::zero(), L::max(v, bottom)), L::sub(L::zero(), top)));
    };
    L::store_i8(q, L::round(clamp(L::mul(a, inverse))));
    L::store_i8(q + 16, L::round(clamp(L::mul(b, inverse))));
    return scale;
  }
};

}  // namespace agon::llm
