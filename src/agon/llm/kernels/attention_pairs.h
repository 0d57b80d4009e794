// Attention in bfloat16, for prompts: twice as fast as in floats with products of pairs, and far faster on
// tile registers.
//
// The chains are those of attention_body.h over groups of 64 keys, but for their steps: scores and values are
// products of tiles, with queries, keys, weights and values rounded to bfloat16, and weights are powers of
// two of scores that were multiplied by log2(e). A masked key has the weight 0 and adds exactly nothing.
#pragma once

#include "agon/llm/kernels/attention_body.h"

#ifdef __AVX512BF16__  // else there is nothing here

#include "agon/llm/kernels/pair_products.h"

namespace agon::llm {

template <class L>
struct PairAttention {
  using F = typename L::F;
  using I = typename L::I;
  using Products = PairProducts<L>;
  using A = Attention<L>;
  static constexpr int kTile = 16;
  static constexpr int kGroupKeys = A::kGroupKeys;
  static constexpr int kGroupPages = A::kGroupPages;
  static constexpr int kKeyTiles = kGroupKeys / kBlock;  // tiles of 32 keys
  static constexpr float kLog2E = 1.4426950408889634F;
  static_assert(kPageTokens == kTile);

  /// Where things lie in the scratch memory; tiles of 1 KiB each.
  struct Places {
    int rows, row_tiles, key_steps, value_tiles;
    std::uint8_t *queries, *keys, *values, *scores, *weights, *sums;
    Places(const AttentionTile& tile, std::uint8_t* scratch)
        : rows(tile.rows),
          row_tiles((tile.rows + kTile - 1) / kTile),
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
  template <CacheType type, bool whole>
  static void round_values(const AttentionTile& tile, int first_page, int keys, const Places& places) {
    for (int pair = 0; pair < kGroupKeys / 2; ++pair) {
      const bool there = whole || 2 * pair < keys;
      const std::uint8_t* from =
          there ? A::page(tile, tile.values, first_page + 2 * pair / kPageTokens) : nullptr;
      std::uint8_t* to = at(places.values, pair / kTile) + 64 * (pair % kTile);
      for (int i = 0; i < places.value_tiles; ++i, to += kKeyTiles * kTileBytes) {
        const auto number = [&](int key) {
          if (!whole && key >= keys) return L::zero();
          return A::template value<type>(from, key % kPageTokens, kTile * i, tile.value_length);
        };
        L::store_codes(to, L::pairs(number(2 * pair), number(2 * pair + 1)));
      }
    }
  }

  static void multiply_keys(const Places& places, int pages) {
    Products::template multiply<false>(
        places.rows, pages, places.key_steps, [&](int t) { return at(places.queries, t * places.key_steps); },
        [&](int page) { return at(places.keys, page * places.key_steps); },
        [&](int t, int page) { return at(places.scores, t * kGroupPages + page); });
  }

  static void multiply_values(const Places& places, int key_tiles) {
    Products::template multiply<true>(
        places.rows, places.value_tiles, key_tiles, [&](int t) { return at(places.weights, kKeyTiles * t); },
        [&](int i) { return at(places.values, kKeyTiles * i); },
        [&](int t, int i) { return at(places.sums, t * places.value_tiles + i); });
  }

  /// 2^x to 3e-6 relative for x in [-125, 0], 1 for 0 and exactly 0 for what is less: a polynomial of degree
  /// 4 on [-1/2, 1/2] of about the smallest relative error that is 1 at 0, times 2^n.
  static F exp2(F x) {
    const F nearest = L::set1(L::kNearest);
    const F shifted = L::add(x, nearest);
    const F r = L::sub(x, L::sub(shifted, nearest));
    F p = L::set1(0.0095828695F);
    p = L::fma(p, r, L::set1(0.055906468F));
    p = L::fma(p, r, L::set1(0.24024099F));
    p = L::fma(p, r, L::set1(0.69312419F));
    p = L::fma(p, r, L::set1(1.0F));
    return L::scale2(p, shifted, x, L::set1(-125));
  }

  /// What is known of 16 rows: the largest score so far, and the weights' sums by key modulo 16.
  struct Rows16 {
    alignas(64) float largest[kTile];
    alignas(64) float factor[kTile];  // for what was summed before
    alignas(64) float totals[kTile][kTile];
  };

  // Does a row see all of these keys?
  static bool sees_all(const AttentionTile& tile, int row, int first_key, int keys) {
    const int last = tile.position[row];
    return first_key + keys - 1 <= last && (tile.window == 0 || first_key > last - tile.window);
  }
  static F masked(const AttentionTile& tile, int row, int key, F x) {
    const int last = tile.position[row];
    return L::keep(x, tile.window > 0 ? last - tile.window + 1 - key : 0, last - key);
  }

  // Turns 16 rows of scores into weights.
  static void weigh(const AttentionTile& tile, const Places& places, int row_tile, int first_key, int pages,
                    Rows16& rows) {
    const int first_row = row_tile * kTile;
    const int count = std::min(kTile, tile.rows - first_row);
    auto* scores = reinterpret_cast<float*>(at(places.scores, row_tile * kGroupPages));
    constexpr int kPageFloats = kTile * kTile;
    const auto place = [&](int page, int t) { return scores + page * kPageFloats + kTile * t; };
    const F nothing = L::set1(-__builtin_inff());
    for (int t = 0; t < count; ++t) {
      const bool all = sees_all(tile, first_row + t, first_key, pages * kTile);
      if (all && tile.softcap == 0) continue;
      for (int p = 0; p < pages; ++p) {
        F x = L::load(place(p, t));
        if (tile.softcap != 0) {
          const F cap = L::set1(tile.softcap);
          x = L::mul(L::mul(cap, Rows<L>::tanh(L::div(x, cap))), L::set1(kLog2E));
        }
        L::store(place(p, t), all ? x : masked(tile, first_row + t, first_key + p * kTile, x));
      }
    }
    for (int p = pages; p < kGroupPages; ++p) {
      for (int t = 0; t < kTile; ++t) L::store(place(p, t), nothing);
    }
    F best[kTile];
    for (int t = 0; t < kTile; ++t) {
      best[t] = L::max(L::max(L::load(place(0, t)), L::load(place(1, t))),
                       L::max(L::load(place(2, t)), L::load(place(3, t))));
    }
    static_assert(kGroupPages == 4);
    const F before = L::load(rows.largest);
    const F now = L::max(L::largest_of_each(best), before);
    L::store(rows.largest, now);
    L::store(rows.factor, exp2(L::sub(before, now)));
    std::uint8_t* weights = at(places.weights, row_tile * kKeyTiles);
    for (int t = 0; t < count; ++t) {
      const F top = L::set1(rows.largest[t]);
      F x[kGroupPages];
      for (int p = 0; p < kGroupPages; ++p) x[p] = exp2(L::sub(L::load(place(p, t)), top));
      for (int i = 0; i < kKeyTiles; ++i)
        L::store_codes(at(weights, i) + 64 * t, L::sequence(x[2 * i], x[2 * i + 1]));
      const F sum = L::add(L::add(x[0], x[1]), L::add(x[2], x[3]));
      L::store(rows.totals[t], L::fma(L::load(rows.totals[t]), L::set1(rows.factor[t]), sum));
    }
    // What was summed before goes by the factors; most groups leave the largest score as it was.
    for (int t = 0; t < count; ++t) {
      if (rows.factor[t] == 1) continue;
      const F factor = L::set1(rows.factor[t]);
      for (int i = 0; i < places.value_tiles; ++i) {
        float* sums = sums_of(places, first_row + t, i);
        L::store(sums, L::mul(L::load(sums), factor));
      }
    }
  }

  static float* sums_of(const Places& places, int row, int dimension_tile) {
    return reinterpret_cast<float*>(at(places.sums, row / kTile * places.value_tiles + dimension_tile) +
                                    64 * (row % kTile));
  }

  template <CacheType type>
  static void attend(const AttentionTile& tile, const Places& places) {
    [[maybe_unused]] const typename Products::Setup setup;
    Rows16 rows[AttentionTile::kRows / kTile];
    int end = 0, begin = tile.position[0];
    for (int t = 0; t < tile.rows; ++t) {
      end = std::max(end, tile.position[t] + 1);
      begin = std::min(begin, tile.window > 0 ? std::max(0, tile.position[t] - tile.window + 1) : 0);
    }
    for (int t = 0; t < places.row_tiles; ++t) {
      L::store(rows[t].largest, L::set1(A::kLowest));
      std::memset(rows[t].totals, 0, sizeof rows[t].totals);
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
      multiply_keys(places, pages);
      if (keys == kGroupKeys)
        round_values<type, true>(tile, first_page, keys, places);
      else
        round_values<type, false>(tile, first_page, keys, places);
      for (int t = 0; t < places.row_tiles; ++t) weigh(tile, places, t, first, pages, rows[t]);
      multiply_values(places, pages > 2 ? 2 : 1);
    }
    for (int t = 0; t < tile.rows; ++t) {
      const F inverse = L::set1(1.0F / L::sum(L::load(rows[t / kTile].totals[t % kTile])));
      for (int i = 0; i < places.value_tiles; ++i)
        L::store(tile.out[t] + kTile * i, L::mul(L::load(sums_of(places, t, i)), inverse));
    }
  }

  /// Heads up to 512 numbers fit the scratch memory; longer ones attend as steps do.
  static void run(const AttentionTile& tile, std::uint8_t* scratch) {
    const Places places(tile, scratch);
    if (static_cast<std::size_t>(places.end - scratch) > kMatmulScratch) return A::run(tile, scratch);
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
};

}  // namespace agon::llm

#endif
