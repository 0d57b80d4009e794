// Products of packed panels with rows of activations, on any lanes.
//
// One output number is always the same chain: over blocks in order, sum = fma(integer product, scale * d,
// sum) and, where the format has minima, sum = fma(minimum, d * sum of q, sum); where blocks have rests,
// those of 64 blocks follow on the 64 blocks. How many rows go together, and whether a panel is decoded on
// the way or beforehand, changes neither the terms nor their order.
#pragma once

#include <algorithm>

#include "agon/llm/kernels/counts.h"
#include "agon/llm/kernels/decode.h"
#include "agon/llm/kernels/matmul_tiles.h"

namespace agon::llm {

template <class L>
struct Matmul {
  using F = typename L::F;
  using I = typename L::I;
  static constexpr std::size_t kDecodedBlock = 512 + 4 * 64;  // codes, two scales, two minima

  /// Adds a block to the sums of rows first, ..., first + count - 1.
  template <PackedType type, int first, int count, int rows>
  static inline __attribute__((always_inline)) void add_to(const I (&w)[8], const F (&s)[2], const F (&m)[2],
                                                           const ActivationBlock* x, F (&sums)[rows]) {
    using D = Decoder<L, type>;
    constexpr int kGroups = 8 / D::kParts;
    for (int part = 0; part < D::kParts; ++part) {
      I products[count];
      for (int t = 0; t < count; ++t) products[t] = D::start(x[first + t], part);
      for (int g = 0; g < kGroups; ++g) {
        for (int t = 0; t < count; ++t) {
          products[t] = D::dp(products[t], w[part * kGroups + g], x[first + t].q + 4 * (part * kGroups + g));
        }
      }
      for (int t = 0; t < count; ++t) {
        F& sum = sums[first + t];
        sum = L::fma(L::to_float(products[t]), L::mul(s[part], L::set1(x[first + t].d)), sum);
      }
      if constexpr (D::kMinimum) {
        for (int t = 0; t < count; ++t) {
          const ActivationBlock& of = x[first + t];
          sums[first + t] =
              L::fma(m[part], L::set1(D::kParts == 1 ? of.sum : of.half[part]), sums[first + t]);
        }
      }
    }
  }

  /// Adds a block to the sums of all rows, as many at a time as registers are left for.
  template <PackedType type, int first, int rows>
  static inline __attribute__((always_inline)) void add_block(const I (&w)[8], const F (&s)[2],
                                                              const F (&m)[2], const ActivationBlock* x,
                                                              F (&sums)[rows]) {
    constexpr int kTogether = L::kTile;
    constexpr int kCount = rows - first < kTogether ? rows - first : kTogether;
    add_to<type, first, kCount, rows>(w, s, m, x, sums);
    if constexpr (first + kCount < rows) add_block<type, first + kCount, rows>(w, s, m, x, sums);
  }

  // 8 KiB at 28 GB/s are 290 ns: twice the latency of the memory it was measured on; 4 and 16 KiB were 5 to
  // 10 % slower there.
  static constexpr int kAhead = 8192;

  // The hardware prefetches too late for a stream at full speed, and stops at page ends.
  template <int bytes>
  static void fetch_ahead(const std::uint8_t* from) {
    for (int line = 0; line < bytes; line += 64) __builtin_prefetch(from + line + kAhead);
  }

  // Some blocks of a panel, for few rows: weights go from memory through registers.
  template <PackedType type, int rows>
  static void stream(const std::uint8_t* from, int blocks, const ActivationBlock* x, bool first, float* out,
                     std::size_t stride) {
    using D = Decoder<L, type>;
    F sums[rows];
    for (int t = 0; t < rows; ++t)
      sums[t] = first ? L::zero() : L::load(out + static_cast<std::size_t>(t) * stride);
    for (int i = 0; i < blocks; i += D::kBlocks, from += D::kSuperblock) {
      for (int b = 0; b < D::kBlocks; ++b) {
        const std::uint8_t* codes = from + D::kHeader + b * D::kCodes;
        fetch_ahead<D::kCodes>(codes);
        I w[8];
        F s[2], m[2];
        D::codes(codes, w);
        D::scales(from, b, s, m);
        add_block<type, 0, rows>(w, s, m, x, sums);
        x += Activations::kTile;
      }
    }
    for (int t = 0; t < rows; ++t) L::store(out + static_cast<std::size_t>(t) * stride, sums[t]);
  }

  // `signed_codes`: less their offset, as tile registers multiply them.
  template <PackedType type, bool signed_codes = false>
  static void decode(const PackedMatrix& matrix, int panel, int first_block, int blocks, std::uint8_t* to) {
    using D = Decoder<L, type>;
    for (int i = first_block; i < first_block + blocks; ++i, to += kDecodedBlock) {
      const std::uint8_t* super =
          matrix.panel(panel) + static_cast<std::size_t>(i / D::kBlocks) * D::kSuperblock;
      const std::uint8_t* codes = super + D::kHeader + i % D::kBlocks * D::kCodes;
      if constexpr (!L::kTiles) fetch_ahead<D::kCodes>(codes);  // matmul_tiles.h fetches between its products
      I w[8];
      F s[2], m[2];
      D::codes(codes, w);
      D::scales(super, i % D::kBlocks, s, m);
      for (int g = 0; g < 8; ++g) {
        if constexpr (signed_codes) {
          constexpr auto kOffsets =
              static_cast<std::int32_t>(static_cast<unsigned>(D::kOffset) * 0x01010101U);
          w[g] = L::sub_bytes(w[g], L::set1_i(kOffsets));
        }
        L::store_codes(to + 64 * g, w[g]);
      }
      auto* numbers = reinterpret_cast<float*>(to + 512);
      for (int part = 0; part < D::kParts; ++part) {
        L::store(numbers + 16 * part, s[part]);
        if constexpr (D::kMinimum) L::store(numbers + 32 + 16 * part, m[part]);
      }
    }
  }

  // Decoded panels, `panel_bytes` apart, times a few rows. Several panels together share the loads of
  // activations, which otherwise take as long as the products.
  template <PackedType type, int panels, int rows>
  static void tile(const std::uint8_t* decoded, std::size_t panel_bytes, int blocks, const ActivationBlock* x,
                   bool first, float* out, std::size_t stride) {
    using D = Decoder<L, type>;
    constexpr int kGroups = 8 / D::kParts;
    F sums[panels][rows];
    for (int p = 0; p < panels; ++p) {
      for (int t = 0; t < rows; ++t)
        sums[p][t] = first ? L::zero() : L::load(out + static_cast<std::size_t>(t) * stride + kPanelRows * p);
    }
    for (int i = 0; i < blocks; ++i, decoded += kDecodedBlock, x += Activations::kTile) {
      for (int part = 0; part < D::kParts; ++part) {
        I products[panels][rows];
        for (int p = 0; p < panels; ++p)
          for (int t = 0; t < rows; ++t) products[p][t] = D::start(x[t], part);
        for (int g = part * kGroups; g < (part + 1) * kGroups; ++g) {
          I w[panels];
          for (int p = 0; p < panels; ++p)
            w[p] = L::codes(decoded + static_cast<std::size_t>(p) * panel_bytes + 64 * g);
          for (int t = 0; t < rows; ++t)
            for (int p = 0; p < panels; ++p) products[p][t] = D::dp(products[p][t], w[p], x[t].q + 4 * g);
        }
        for (int p = 0; p < panels; ++p) {
          const auto* numbers =
              reinterpret_cast<const float*>(decoded + static_cast<std::size_t>(p) * panel_bytes + 512);
          const F s = L::load(numbers + 16 * part);
          for (int t = 0; t < rows; ++t)
            sums[p][t] = L::fma(L::to_float(products[p][t]), L::mul(s, L::set1(x[t].d)), sums[p][t]);
          if constexpr (D::kMinimum) {
            const F m = L::load(numbers + 32 + 16 * part);
            for (int t = 0; t < rows; ++t)
              sums[p][t] = L::fma(m, L::set1(D::kParts == 1 ? x[t].sum : x[t].half[part]), sums[p][t]);
          }
        }
      }
    }
    for (int p = 0; p < panels; ++p) {
      for (int t = 0; t < rows; ++t)
        L::store(out + static_cast<std::size_t>(t) * stride + kPanelRows * p, sums[p][t]);
    }
  }

  // Calls body(x, first) for some blocks of activations, and for their rests where there are any; `first`
  // says whether sums begin.
  template <class Body>
  static void with_rest(const Activations& a, const ActivationBlock* x, bool first, Body body) {
    body(x, first);
    if (a.rest != 0) body(x + a.rest, false);
  }
  static const ActivationBlock* block_of(const Activations& a, int row, int block) {
    return a.blocks + Activations::block_index(row, block, a.columns);
  }

  template <PackedType type>
  static void quantised(const PackedMatrix& matrix, int first_panel, int panels, const Activations& a,
                        float* out, std::size_t stride, std::uint8_t* scratch) {
    using D = Decoder<L, type>;
    static_assert(kScratchBlocks % D::kBlocks == 0);
    const int blocks = matrix.columns / kBlock;
    // Up to here, decoding a panel several times on the way through registers is cheaper than storing it
    // decoded. Tile registers would be faster on an idle core by up to a third, but take twice as long as
    // this where the core is shared.
    constexpr int kStreams = L::kTiles || D::kParts > 1 ? 2 : 4;
    if (a.rows <= kStreams * L::kStream || (L::kTiles && a.rest != 0)) {
      const int together = a.rest == 0 ? blocks : kScratchBlocks;
      for (int p = 0; p < panels; ++p) {
        for (int row = 0; row < a.rows; row += L::kStream) {
          float* to = out + static_cast<std::size_t>(row) * stride + p * kPanelRows;
          for (int done = 0; done < blocks; done += together) {
            const std::uint8_t* from =
                matrix.panel(first_panel + p) + static_cast<std::size_t>(done / D::kBlocks) * D::kSuperblock;
            with_count<L::kStream>(std::min(L::kStream, a.rows - row), [&]<int rows>() {
              with_rest(a, block_of(a, row, done), done == 0, [&](const ActivationBlock* x, bool first) {
                stream<type, rows>(from, std::min(together, blocks - done), x, first, to, stride);
              });
            });
          }
        }
      }
      return;
    }
    if constexpr (L::kTiles)
      return TiledMatmul<L, type>::run(matrix, first_panel, panels, a, out, stride, scratch);
    for (int done = 0; done < blocks; done += kScratchBlocks) {
      const int count = std::min(kScratchBlocks, blocks - done);
      const std::size_t panel_scratch = static_cast<std::size_t>(count) * kDecodedBlock;
      for (int p = 0; p < panels; ++p) {
        decode<type>(matrix, first_panel + p, done, count,
                     scratch + static_cast<std::size_t>(p) * panel_scratch);
      }
      for (int row = 0; row < a.rows;) {
        const int in_tile = std::min(Activations::kTile - row % Activations::kTile, a.rows - row);
        const int pieces = (in_tile + L::kTileRows - 1) / L::kTileRows;
        const int together = (in_tile + pieces - 1) / pieces;
        with_count<L::kTileRows>(together, [&]<int rows>() {
          const auto at = [&]<int wide>(int p) {
            const std::uint8_t* decoded = scratch + static_cast<std::size_t>(p) * panel_scratch;
            float* to = out + static_cast<std::size_t>(row) * stride + p * kPanelRows;
            with_rest(a, block_of(a, row, done), done == 0, [&](const ActivationBlock* x, bool first) {
              tile<type, wide, rows>(decoded, panel_scratch, count, x, first, to, stride);
            });
          };
          int p = 0;
          for (; p + L::kTilePanels <= panels; p += L::kTilePanels) at.template operator()<L::kTilePanels>(p);
          if constexpr (L::kTilePanels > 1) {
            for (; p < panels; ++p) at.template operator()<1>(p);
          }
        });
        row += together;
      }
    }
  }

  static constexpr int kFewRows = 2;  // up to which exact products are not worth storing decoded weights

  template <PackedType type>
  static F weights(const std::uint8_t* panel, int column) {
    if constexpr (type == PackedType::kF32)
      return L::load(reinterpret_cast<const float*>(panel) + 16 * column);
    else if constexpr (type == PackedType::kF16)
      return L::half(panel + 32 * column);
    else {
      const I pair = L::codes(panel + 64 * (column / 2));
      return L::as_float(L::template shl<16>(column % 2 == 0 ? pair : L::template sra<16>(pair)));
    }
  }

  template <PackedType type, int rows>
  static void float_tile(const std::uint8_t* panel, int columns, const float* x, std::size_t x_stride,
                         bool first, float* out, std::size_t stride) {
    F sums[rows];
    for (int t = 0; t < rows; ++t)
      sums[t] = first ? L::zero() : L::load(out + static_cast<std::size_t>(t) * stride);
    for (int k = 0; k < columns; ++k) {
      const F w = weights<type>(panel, k);
      for (int t = 0; t < rows; ++t) {
        sums[t] = L::fma(w, L::set1(x[static_cast<std::size_t>(t) * x_stride + static_cast<std::size_t>(k)]),
                         sums[t]);
      }
    }
    for (int t = 0; t < rows; ++t) L::store(out + static_cast<std::size_t>(t) * stride, sums[t]);
  }

  template <PackedType type>
  static void floats(const std::uint8_t* panel, int columns, const float* x, const Activations& a, bool first,
                     float* out, std::size_t stride) {
    for (int row = 0; row < a.rows; row += L::kTile) {
      with_count<L::kTile>(std::min(L::kTile, a.rows - row), [&]<int rows>() {
        float_tile<type, rows>(panel, columns, x + static_cast<std::size_t>(row) * a.stride, a.stride, first,
                               out + static_cast<std::size_t>(row) * stride, stride);
      });
    }
  }

  // Calls body(k, weights of column k) for the 32 columns of a block.
  template <PackedType type, class Body>
  static inline __attribute__((always_inline)) void each_weight(const std::uint8_t* super, int block,
                                                                Body body) {
    using D = Decoder<L, type>;
    const F offset = L::set1(D::kOffset);
    I w[8];
    F s[2], m[2];
    D::codes(super + D::kHeader + block * D::kCodes, w);
    D::scales(super, block, s, m);
    for (int g = 0; g < 8; ++g) {
      const int part = D::kParts == 1 ? 0 : g / 4;
      const auto give = [&](int j, F code) {
        F value = L::mul(s[part], code);
        if constexpr (D::kMinimum) value = L::add(value, m[part]);
        body(4 * g + j, value);
      };
      give(0, L::template byte_less<0>(w[g], offset));
      give(1, L::template byte_less<1>(w[g], offset));
      give(2, L::template byte_less<2>(w[g], offset));
      give(3, L::template byte_less<3>(w[g], offset));
    }
  }

  template <PackedType type>
  static void decode_floats(const PackedMatrix& matrix, int panel, int first_block, int blocks, float* to) {
    using D = Decoder<L, type>;
    for (int i = first_block; i < first_block + blocks; ++i, to += 16 * kBlock) {
      const std::uint8_t* super =
          matrix.panel(panel) + static_cast<std::size_t>(i / D::kBlocks) * D::kSuperblock;
      each_weight<type>(super, i % D::kBlocks, [&](int k, F w) { L::store(to + 16 * k, w); });
    }
  }

  // The chains of float_tile for few rows of several panels, each weight from memory through a register. A
  // chain waits for its own sums, so two panels go on together.
  template <PackedType type, int panels, int rows>
  static void exact_stream(const PackedMatrix& matrix, int panel, const Activations& a, float* out,
                           std::size_t stride) {
    using D = Decoder<L, type>;
    F sums[panels][rows];
    for (int p = 0; p < panels; ++p)
      for (int t = 0; t < rows; ++t) sums[p][t] = L::zero();
    for (int i = 0; i < matrix.columns / kBlock; ++i) {
      const float* x = a.values + static_cast<std::size_t>(i) * kBlock;
      for (int p = 0; p < panels; ++p) {
        const std::uint8_t* super =
            matrix.panel(panel + p) + static_cast<std::size_t>(i / D::kBlocks) * D::kSuperblock;
        fetch_ahead<D::kCodes>(super + D::kHeader + i % D::kBlocks * D::kCodes);
        each_weight<type>(super, i % D::kBlocks, [&](int k, F w) {
          for (int t = 0; t < rows; ++t)
            sums[p][t] = L::fma(w, L::set1(x[static_cast<std::size_t>(t) * a.stride + k]), sums[p][t]);
        });
      }
    }
    for (int p = 0; p < panels; ++p) {
      for (int t = 0; t < rows; ++t)
        L::store(out + static_cast<std::size_t>(t) * stride + p * kPanelRows, sums[p][t]);
    }
  }

  template <PackedType type>
  static void exact(const PackedMatrix& matrix, int first_panel, int panels, const Activations& a, float* out,
                    std::size_t stride, std::uint8_t* scratch) {
    if constexpr (type > PackedType::kBF16 && L::kTile >= kFewRows) {
      if (a.rows <= kFewRows) {
        with_count<kFewRows>(a.rows, [&]<int rows>() {
          int p = 0;
          for (; p + 2 <= panels; p += 2)
            exact_stream<type, 2, rows>(matrix, first_panel + p, a, out + p * kPanelRows, stride);
          if (p < panels)
            exact_stream<type, 1, rows>(matrix, first_panel + p, a, out + p * kPanelRows, stride);
        });
        return;
      }
    }
    for (int p = 0; p < panels; ++p) {
      if constexpr (type <= PackedType::kBF16) {
        floats<type>(matrix.panel(first_panel + p), matrix.columns, a.values, a, true, out + p * kPanelRows,
                     stride);
      } else {
        const int blocks = matrix.columns / kBlock;
        for (int done = 0; done < blocks; done += kScratchBlocks) {
          const int count = std::min(kScratchBlocks, blocks - done);
          decode_floats<type>(matrix, first_panel + p, done, count, reinterpret_cast<float*>(scratch));
          floats<PackedType::kF32>(scratch, count * kBlock,
                                   a.values + static_cast<std::size_t>(done) * kBlock, a, done == 0,
                                   out + p * kPanelRows, stride);
        }
      }
    }
  }

  template <int rows>
  static void pair_tile(const std::uint8_t* panel, int columns, const std::uint8_t* x, bool first, float* out,
                        std::size_t stride) {
    F sums[rows];
    for (int t = 0; t < rows; ++t)
      sums[t] = first ? L::zero() : L::load(out + static_cast<std::size_t>(t) * stride);
    for (int k = 0; k < columns; k += 2) {
      const I w = L::codes(panel + 32 * k);
      for (int t = 0; t < rows; ++t) {
        std::int32_t pair;
        __builtin_memcpy(&pair, x + 2 * (t * columns + k), 4);
        sums[t] = L::dp_pairs(sums[t], w, pair);
      }
    }
    for (int t = 0; t < rows; ++t) L::store(out + static_cast<std::size_t>(t) * stride, sums[t]);
  }

  // bfloat16 matrices by products of pairs: activations are rounded to bfloat16 too, an error a third
  // of that of bytes.
  static void paired(const PackedMatrix& matrix, int first_panel, int panels, const Activations& a,
                     float* out, std::size_t stride, std::uint8_t* scratch) {
    constexpr int kPart = 16384;  // columns whose activations are in scratch together
    static_assert(std::size_t{2} * kPart * L::kTile <= kMatmulScratch);
    for (int row = 0; row < a.rows; row += L::kTile) {
      const int count = std::min(L::kTile, a.rows - row);
      for (int done = 0; done < matrix.columns; done += kPart) {
        const int columns = std::min(kPart, matrix.columns - done);
        for (int t = 0; t < count; ++t) {
          const float* x = a.values + static_cast<std::size_t>(row + t) * a.stride + done;
          for (int k = 0; k < columns; k += 16)
            L::store_bf16(scratch + 2 * (t * columns + k), L::load(x + k));
        }
        for (int p = 0; p < panels; ++p) {
          with_count<L::kTile>(count, [&]<int rows>() {
            pair_tile<rows>(matrix.panel(first_panel + p) + static_cast<std::size_t>(done) * 32, columns,
                            scratch, done == 0, out + static_cast<std::size_t>(row) * stride + p * kPanelRows,
                            stride);
          });
        }
      }
    }
  }

  // Calls body<type>() for the matrix' type.
  template <class Body>
  static void with_type(PackedType type, Body body) {
    switch (type) {
      case PackedType::kF32:
        return body.template operator()<PackedType::kF32>();
      case PackedType::kF16:
        return body.template operator()<PackedType::kF16>();
      case PackedType::kBF16:
        return body.template operator()<PackedType::kBF16>();
      case PackedType::kQ4_0:
        return body.template operator()<PackedType::kQ4_0>();
      case PackedType::kQ4_1:
        return body.template operator()<PackedType::kQ4_1>();
      case PackedType::kQ5_0:
        return body.template operator()<PackedType::kQ5_0>();
      case PackedType::kQ5_1:
        return body.template operator()<PackedType::kQ5_1>();
      case PackedType::kQ8_0:
        return body.template operator()<PackedType::kQ8_0>();
      case PackedType::kIQ4_NL:
        return body.template operator()<PackedType::kIQ4_NL>();
      case PackedType::kQ2_K:
        return body.template operator()<PackedType::kQ2_K>();
      case PackedType::kQ3_K:
        return body.template operator()<PackedType::kQ3_K>();
      case PackedType::kQ4_K:
        return body.template operator()<PackedType::kQ4_K>();
      case PackedType::kQ5_K:
        return body.template operator()<PackedType::kQ5_K>();
      case PackedType::kQ6_K:
        return body.template operator()<PackedType::kQ6_K>();
      case PackedType::kIQ4_XS:
        return body.template operator()<PackedType::kIQ4_XS>();
    }
  }

  static void run(const PackedMatrix& matrix, int first_panel, int panels, const Activations& a, float* out,
                  std::size_t stride, std::uint8_t* scratch) {
    with_type(matrix.type, [&]<PackedType type>() {
      if constexpr (L::kPairs && type == PackedType::kBF16)
        paired(matrix, first_panel, panels, a, out, stride, scratch);
      else if constexpr (type <= PackedType::kBF16)
        exact<type>(matrix, first_panel, panels, a, out, stride, scratch);
      else
        quantised<type>(matrix, first_panel, panels, a, out, stride, scratch);
    });
  }

  static void run_exact(const PackedMatrix& matrix, int first_panel, int panels, const Activations& a,
                        float* out, std::size_t stride, std::uint8_t* scratch) {
    with_type(matrix.type,
              [&]<PackedType type>() { exact<type>(matrix, first_panel, panels, a, out, stride, scratch); });
  }
};

}  // namespace agon::llm
