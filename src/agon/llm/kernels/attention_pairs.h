// Attention in bfloat16 on the tile registers of AMX, for the prompts that matmul_pairs.h reads.
//
// The chains are those of attention_body.h over groups of 64 keys, but for their steps: scores and values are
// products of tiles, with queries, keys, weights and values rounded to bfloat16, and weights are powers of
// two of scores that were multiplied by log2(e). A masked key has the weight 0 and adds exactly nothing.
#pragma once

#include "agon/llm/kernels/attention_body.h"

#ifdef __AMX_BF16__  // else there is nothing here

#include "agon/llm/kernels/tiles.h"

namespace agon::llm {

template <class L>
struct PairAttention {
  using F = typename L::F;
  using I = typename L::I;
  using T = TileRegisters;
  using A = Attention<L>;
  static constexpr int kTile = 16;
  static constexpr int kGroupKeys = A::kGroupKeys;
  static constexpr int kGroupPages = A::kGroupPages;
  static constexpr int kKeyTiles = kGroupKeys / kBlock;  // tiles of 32 keys
  static constexpr float kLog2E = 1.4426950408889634F;
  static_assert(kPageTokens == kTile);

  /// Where things lie in the scratch memory; tiles of 1 KiB each.
  struct Places {
    int row_tiles, key_steps, value_tiles;
    std::uint8_t *queries, *keys, *values, *scores, *weights, *sums;
    Places(const AttentionTile& tile, std::uint8_t* scratch)
        : row_tiles((tile.rows + kTile - 1) / kTile),
          key_steps((tile.key_length + kBlock - 1) / kBlock),
          value_tiles(tile.value_length / kTile) {
      const auto take = [&](int tiles) {
        std::uint8_t* at = scratch;
        scratch += static_cast<std::size_t>(tiles) * kTileBytes;
        return at;
      };
      queries = take(row_tiles * key_steps);   // [row tile][32 dimensions][row][dimension]
      keys = take(kGroupPages * key_steps);    // [page][32 dimensions][pair of dimensions][key][2]
      values = take(value_tiles * kKeyTiles);  // [16 dimensions][32 keys][pair of keys][dimension][2]
      scores = take(row_tiles * kGroupPages);  // [row tile][page][row][key], float
      weights = take(row_tiles * kKeyTiles);   // [row tile][32 keys][row][key]
      sums = take(row_tiles * value_tiles);    // [row tile][16 dimensions][row][dimension], float
      end = scratch;
    }
    std::uint8_t* end;
  };
  static std::uint8_t* at(std::uint8_t* base, int tile) {
    return base + static_cast<std::size_t>(tile) * kTileBytes;
  }

  static void round_queries(const AttentionTile& tile, const Places& places) {
    // Tanh comes between products and powers where scores are capped: these are scaled after it.
    const F scale = L::set1(tile.softcap == 0 ? kLog2E : 1.0F);
    for (int t = 0; t < places.row_tiles * kTile; ++t) {
      for (int step = 0; step < places.key_steps; ++step) {
        const auto part = [&](int d) {
          return t < tile.rows && d < tile.key_length ? L::mul(L::load(tile.query[t] + d), scale) : L::zero();
        };
        L::store_codes(at(places.queries, t / kTile * places.key_steps + step) + 64 * (t % kTile),
                       L::sequence(part(kBlock * step), part(kBlock * step + 16)));
      }
    }
  }

  template <CacheType type>
  static void round_keys(const AttentionTile& tile, const std::uint8_t* page, int steps, std::uint8_t* to) {
    for (int d = 0; d < kBlock * steps; d += 2, to += 64) {
      const bool there = d < tile.key_length;
      L::store_codes(to, there ? L::pairs(A::template key<type>(page, d, tile.key_length),
                                          A::template key<type>(page, d + 1, tile.key_length))
                               : L::zero_i());
    }
  }

  // What lies behind the last key of the sequence may be anything: zeros are taken for it.
  template <CacheType type>
  static void round_values(const AttentionTile& tile, int first_page, int keys, const Places& places) {
    for (int pair = 0; pair < kGroupKeys / 2; ++pair) {
      const std::uint8_t* from =
          2 * pair < keys ? A::page(tile, tile.values, first_page + 2 * pair / kPageTokens) : nullptr;
      std::uint8_t* to = at(places.values, pair / kTile) + 64 * (pair % kTile);
      for (int i = 0; i < places.value_tiles; ++i, to += kKeyTiles * kTileBytes) {
        const auto number = [&](int key) {
          return key < keys ? A::template value<type>(from, key % kPageTokens, kTile * i, tile.value_length)
                            : L::zero();
        };
        L::store_codes(to, L::pairs(number(2 * pair), number(2 * pair + 1)));
      }
    }
  }

  // Scores of all rows with one or two pages.
  template <int pages>
  static void multiply_keys(const Places& places, int page) {
    for (int t = 0; t < places.row_tiles; ++t) {
      T::zero<0>();
      if constexpr (pages > 1) T::zero<1>();
      for (int step = 0; step < places.key_steps; ++step) {
        T::load<4>(at(places.queries, t * places.key_steps + step), 64);
        T::load<6>(at(places.keys, page * places.key_steps + step), 64);
        T::multiply_pairs<0, 4, 6>();
        if constexpr (pages > 1) {
          T::load<7>(at(places.keys, (page + 1) * places.key_steps + step), 64);
          T::multiply_pairs<1, 4, 7>();
        }
      }
      T::store<0>(at(places.scores, t * kGroupPages + page), 64);
      if constexpr (pages > 1) T::store<1>(at(places.scores, t * kGroupPages + page + 1), 64);
    }
  }

  static void multiply_values(const Places& places, int key_tiles) {
    for (int i = 0; i < places.value_tiles; ++i) {
      T::load<6>(at(places.values, kKeyTiles * i), 64);
      if (key_tiles > 1) T::load<7>(at(places.values, kKeyTiles * i + 1), 64);
      for (int t = 0; t < places.row_tiles; ++t) {
        T::load<0>(at(places.sums, t * places.value_tiles + i), 64);
        T::load<4>(at(places.weights, kKeyTiles * t), 64);
        T::multiply_pairs<0, 4, 6>();
        if (key_tiles > 1) {
          T::load<5>(at(places.weights, kKeyTiles * t + 1), 64);
          T::multiply_pairs<0, 5, 7>();
        }
        T::store<0>(at(places.sums, t * places.value_tiles + i), 64);
      }
    }
  }

  /// 2^x to 4e-6 relative for x <= 0, exactly 0 for minus infinity: the Taylor polynomial of degree 5 of
  /// exp(r ln 2) for |r| <= 1/2.
  static F exp2(F x) {
    const F whole = L::nearest(L::max(x, L::set1(-200)));
    const F r = L::sub(L::max(x, L::set1(-200)), whole);
    F p = L::set1(1.3333558e-3F);
    p = L::fma(p, r, L::set1(9.618129e-3F));
    p = L::fma(p, r, L::set1(5.5504109e-2F));
    p = L::fma(p, r, L::set1(2.4022651e-1F));
    p = L::fma(p, r, L::set1(6.9314718e-1F));
    p = L::fma(p, r, L::set1(1.0F));
    return L::scale2(p, whole);  // below 2^-149 that is 0
  }

  // As Attention::weigh, with powers of two; returns the factor for what was summed before.
  static float weigh(const AttentionTile& tile, const Places& places, int row, int first_key, int pages,
                     float& largest, float& total) {
    const int last = tile.position[row];
    const int first = tile.window > 0 ? std::max(0, last - tile.window + 1) : 0;
    std::uint8_t* scores = at(places.scores, row / kTile * kGroupPages) + 64 * (row % kTile);
    F x[kGroupPages];
    F best = L::set1(largest);
    for (int p = 0; p < kGroupPages; ++p) {
      const int key = first_key + p * kTile;
      if (p >= pages || key > last || key + kTile <= first) {
        x[p] = L::set1(-__builtin_inff());
        continue;
      }
      x[p] = L::load(reinterpret_cast<float*>(at(scores, p)));
      if (tile.softcap != 0) {
        const F cap = L::set1(tile.softcap);
        x[p] = L::mul(L::mul(cap, Rows<L>::tanh(L::div(x[p], cap))), L::set1(kLog2E));
      }
      if (key < first || key + kTile - 1 > last) x[p] = L::keep(x[p], first - key, last - key);
      best = L::max(x[p], best);
    }
    const float now = L::largest(best);
    const F top = L::set1(now);
    F sum = L::zero();
    for (int p = 0; p < kGroupPages; ++p) {
      x[p] = exp2(L::sub(x[p], top));
      sum = L::add(sum, x[p]);
    }
    std::uint8_t* weights = at(places.weights, row / kTile * kKeyTiles) + 64 * (row % kTile);
    for (int i = 0; i < kKeyTiles; ++i) L::store_codes(at(weights, i), L::sequence(x[2 * i], x[2 * i + 1]));
    float factor = 1;
    if (now != largest) {
      alignas(64) float lanes[16];
      L::store(lanes, exp2(L::set1(largest - now)));
      factor = lanes[0];
    }
    total = total * factor + L::sum(sum);
    largest = now;
    return factor;
  }

  static float* sums_of(const Places& places, int row, int dimension_tile) {
    return reinterpret_cast<float*>(at(places.sums, row / kTile * places.value_tiles + dimension_tile) +
                                    64 * (row % kTile));
  }

  template <CacheType type>
  static void attend(const AttentionTile& tile, const Places& places) {
    const TileShapes shapes({{16, 64}, {16, 64}, {16, 64}, {16, 64}, {16, 64}, {16, 64}, {16, 64}, {16, 64}});
    float largest[AttentionTile::kPairRows], total[AttentionTile::kPairRows];
    int end = 0, begin = tile.position[0];
    for (int t = 0; t < tile.rows; ++t) {
      largest[t] = A::kLowest;
      total[t] = 0;
      end = std::max(end, tile.position[t] + 1);
      begin = std::min(begin, tile.window > 0 ? std::max(0, tile.position[t] - tile.window + 1) : 0);
    }
    std::memset(places.weights, 0, static_cast<std::size_t>(places.end - places.weights));
    round_queries(tile, places);
    for (int first = begin / kGroupKeys * kGroupKeys; first < end; first += kGroupKeys) {
      const int keys = std::min(kGroupKeys, end - first);
      const int pages = (keys + kPageTokens - 1) / kPageTokens;
      const int first_page = first / kPageTokens;
      for (int p = 0; p < pages; ++p) {
        round_keys<type>(tile, A::page(tile, tile.keys, first_page + p), places.key_steps,
                         at(places.keys, p * places.key_steps));
      }
      for (int p = 0; p < pages; p += 2)
        p + 1 < pages ? multiply_keys<2>(places, p) : multiply_keys<1>(places, p);
      round_values<type>(tile, first_page, keys, places);
      for (int t = 0; t < tile.rows; ++t) {
        const float factor = weigh(tile, places, t, first, pages, largest[t], total[t]);
        if (factor == 1) continue;
        for (int i = 0; i < places.value_tiles; ++i) {
          float* sums = sums_of(places, t, i);
          L::store(sums, L::mul(L::load(sums), L::set1(factor)));
        }
      }
      multiply_values(places, pages > 2 ? 2 : 1);
    }
    for (int t = 0; t < tile.rows; ++t) {
      const F inverse = L::set1(1.0F / total[t]);
      for (int i = 0; i < places.value_tiles; ++i)
        L::store(tile.out[t] + kTile * i, L::mul(L::load(sums_of(places, t, i)), inverse));
    }
  }

  /// Heads up to 512 numbers fit the scratch memory; longer ones attend as steps do.
  static void run(const AttentionTile& tile, std::uint8_t* scratch) {
    const Places places(tile, scratch);
    if (static_cast<std::size_t>(places.end - scratch) > kMatmulScratch) return in_floats(tile, scratch);
    switch (tile.type) {
      case CacheType::kF16:
        return attend<CacheType::kF16>(tile, places);
      case CacheType::kBF16:
        return attend<CacheType::kBF16>(tile, places);
      case CacheType::kQ8_0:
        return attend<CacheType::kQ8_0>(tile, places);
      case CacheType::kF32:
        return attend<CacheType::kF32>(tile, places);
    }
  }

 private:
  static void in_floats(const AttentionTile& tile, std::uint8_t* scratch) {
    for (int t = 0; t < tile.rows; t += AttentionTile::kRows) {
      AttentionTile part = tile;
      part.rows = std::min(AttentionTile::kRows, tile.rows - t);
      std::copy_n(tile.query + t, part.rows, part.query);
      std::copy_n(tile.position + t, part.rows, part.position);
      std::copy_n(tile.out + t, part.rows, part.out);
      A::run(part, scratch);
    }
  }
};

}  // namespace agon::llm

#endif
