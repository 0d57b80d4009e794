// Products of weights and activations in bfloat16 on the tile registers of AMX: how prompts are read where
// these are.
//
// Weights are decoded to float, rounded to bfloat16 and multiplied tile by tile: there are no scales left to
// apply between the products, which is what limits products of bytes (matmul_tiles.h). An output number is
// one chain over blocks of 32 columns: two sums, of the products at even and at odd columns, are added and go
// to the output (TDPBF16PS in Intel's instruction reference). Neither the number of rows nor the cut into
// chunks changes that. Rounding errs by 2^-8 of each factor at most: in the mean, of both together, by half
// of what activations in bytes do.
#pragma once

#include "agon/llm/kernels/matmul_body.h"

#ifdef __AMX_BF16__  // else there is nothing here

#include "agon/llm/kernels/tiles.h"

namespace agon::llm {

template <class L>
struct PairMatmul {
  using F = typename L::F;
  using I = typename L::I;
  using T = TileRegisters;
  static constexpr int kRows = 16;  // of activations in a tile
  static_assert(Activations::kTile == kRows && sizeof(ActivationBlock) == 64);
  /// Blocks of columns, at most, that are decoded together: two panels of them, 24 KiB, stay in the first
  /// cache of 48 KiB while two tiles of rows after the other, another 24 KiB, go past.
  static constexpr int kChunk = 12;
  static constexpr int kRowsTogether = 512;
  static constexpr std::size_t kDecoded = kTileBytes * kChunk * kPairPanels;
  static_assert(kDecoded + kRowsTogether * kPairPanels * kPanelRows * sizeof(float) <= kMatmulScratch);
  /// Sums lie tile by tile: rows far apart would all fall into a few sets of the first cache.
  static constexpr std::size_t kTileFloats = std::size_t{kRows} * kPanelRows;

  // 32 floats to one row of a tile, in the place of a block of bytes.
  static void round(const float* x, int count, ActivationBlock* out) {
    for (int i = 0; i < count; i += kBlock, out += Activations::kTile)
      L::store_codes(out, L::sequence(L::load(x + i), L::load(x + i + 16)));
  }

  // The float that byte `i` of every lane stands for, less the scale.
  template <PackedType type, int i>
  static F number(I codes, F table) {
    // Four bits are looked up; the permutation sees the lowest four of its indices.
    if constexpr (kFourBits<type>) return L::lookup(table, L::template shr<8 * i>(codes));
    return L::template byte<i>(codes);
  }
  template <PackedType type>
  static constexpr bool kFourBits =
      FormatFacts<type>::kNibbles && !FormatFacts<type>::kPairs && !FormatFacts<type>::kBits;

  template <PackedType type>
  static void decode(const PackedMatrix& matrix, int panel, int first_block, int blocks, std::uint8_t* to) {
    using D = Decoder<L, type>;
    alignas(64) float numbers[16];
    for (int i = 0; i < 16; ++i)
      numbers[i] = (D::kIq4 ? static_cast<float>(kIq4Table[i]) : static_cast<float>(i)) - D::kOffset;
    const F table = L::load(numbers);
    for (int i = first_block; i < first_block + blocks; ++i, to += kTileBytes) {
      const std::uint8_t* super =
          matrix.panel(panel) + static_cast<std::size_t>(i / D::kBlocks) * D::kSuperblock;
      I w[8];
      F s[2], m[2], base[2];
      CodesOnly<type>::codes(super + D::kHeader + i % D::kBlocks * D::kCodes, w);
      D::scales(super, i % D::kBlocks, s, m);
      for (int part = 0; part < D::kParts; ++part) {
        base[part] = L::zero();
        if constexpr (!kFourBits<type>) base[part] = L::mul(s[part], L::set1(-D::kOffset));
        if constexpr (D::kMinimum) base[part] = L::add(base[part], m[part]);
      }
      for (int g = 0; g < 8; ++g) {
        const int part = D::kParts == 1 ? 0 : g / 4;
        const auto value = [&]<int at>() {
          return L::fma(s[part], number<type, at>(w[g], table), base[part]);
        };
        L::store_codes(to + 128 * g,
                       L::pairs(value.template operator()<0>(), value.template operator()<1>()));
        L::store_codes(to + 128 * g + 64,
                       L::pairs(value.template operator()<2>(), value.template operator()<3>()));
      }
    }
  }
  // Codes before the table of the non-linear formats.
  template <PackedType type>
  using CodesOnly = Decoder<L, FormatFacts<type>::kIq4 ? PackedType::kQ4_0 : type>;

  /// One or two tiles of rows by one or two panels.
  template <int tiles, int panels>
  struct Product {
    const std::uint8_t* x[tiles];
    const std::uint8_t* weights[panels];
    float* sums[tiles];  // so far, of the first panel; the other one's tile follows
    // And where they go: `to_panel` floats from panel to panel, `to_stride` from row to row.
    float* to[tiles];
    std::size_t to_panel[tiles], to_stride[tiles];

    template <int t, int p>
    inline __attribute__((always_inline)) void begin(bool first) const {
      if (first)
        T::zero<2 * t + p>();
      else
        T::load<2 * t + p>(sums[t] + p * kTileFloats, kPanelRows * sizeof(float));
    }
    template <int t, int p>
    inline __attribute__((always_inline)) void end() const {
      T::store<2 * t + p>(to[t] + p * to_panel[t], to_stride[t] * sizeof(float));
    }
    void run(int blocks, bool first) const {
      begin<0, 0>(first);
      if constexpr (panels > 1) begin<0, 1>(first);
      if constexpr (tiles > 1) begin<1, 0>(first);
      if constexpr (tiles > 1 && panels > 1) begin<1, 1>(first);
      multiply_pair_tiles<tiles, panels>(x, weights, blocks);
      end<0, 0>();
      if constexpr (panels > 1) end<0, 1>();
      if constexpr (tiles > 1) end<1, 0>();
      if constexpr (tiles > 1 && panels > 1) end<1, 1>();
    }
  };

  template <PackedType type>
  static void tiled(const PackedMatrix& matrix, int first_panel, int panels, const Activations& a, float* out,
                    std::size_t stride, std::uint8_t* scratch) {
    const TileShapes shapes({{16, 64}, {16, 64}, {16, 64}, {16, 64}, {16, 64}, {16, 64}, {16, 64}, {16, 64}});
    const int blocks = matrix.columns / kBlock;
    // Even chunks: sums are loaded and stored for each, however short.
    const int chunks = (blocks + kChunk - 1) / kChunk, chunk = (blocks + chunks - 1) / chunks;
    const auto sums_of = [&](int row, int p) {
      return reinterpret_cast<float*>(scratch + kDecoded) +
             static_cast<std::size_t>(row / kRows * kPairPanels + p) * kTileFloats +
             static_cast<std::size_t>(row % kRows * kPanelRows);
    };
    for (int begin = 0; begin < a.rows; begin += kRowsTogether) {
      const int rows = std::min(kRowsTogether, a.rows - begin);
      for (int done = 0; done < blocks; done += chunk) {
        const int count = std::min(chunk, blocks - done);
        const bool last = done + count == blocks;
        const std::uint8_t* weights[kPairPanels];
        for (int p = 0; p < panels; ++p) {
          if constexpr (type == PackedType::kBF16) {
            weights[p] = matrix.panel(first_panel + p) + static_cast<std::size_t>(done) * kTileBytes;
          } else {
            std::uint8_t* to = scratch + static_cast<std::size_t>(p * kChunk) * kTileBytes;
            decode<type>(matrix, first_panel + p, done, count, to);
            weights[p] = to;
          }
        }
        const auto product = [&]<int tiles_here, int panels_here>(int row, int p) {
          Product<tiles_here, panels_here> it;
          for (int i = 0; i < panels_here; ++i) it.weights[i] = weights[p + i];
          for (int t = 0; t < tiles_here; ++t) {
            const int at = row + kRows * t;
            it.x[t] = reinterpret_cast<const std::uint8_t*>(a.blocks) +
                      (static_cast<std::size_t>((begin + at) / kRows) * static_cast<std::size_t>(blocks) +
                       static_cast<std::size_t>(done)) *
                          kTileBytes;
            it.sums[t] = sums_of(at, p);
            const bool out_now = last && at + kRows <= rows;
            it.to[t] =
                out_now ? out + static_cast<std::size_t>(begin + at) * stride + p * kPanelRows : it.sums[t];
            it.to_panel[t] = out_now ? kPanelRows : kTileFloats;
            it.to_stride[t] = out_now ? stride : kPanelRows;
          }
          it.run(count, done == 0);
        };
        for (int p = 0; p < panels; p += 2) {
          for (int row = 0; row < rows; row += 2 * kRows) {
            const bool two = row + kRows < rows;
            if (p + 1 < panels)
              two ? product.template operator()<2, 2>(row, p) : product.template operator()<1, 2>(row, p);
            else
              two ? product.template operator()<2, 1>(row, p) : product.template operator()<1, 1>(row, p);
          }
        }
      }
      // The rows of a tile that is not full.
      for (int row = rows / kRows * kRows; row < rows; ++row) {
        for (int p = 0; p < panels; ++p) {
          L::store(out + static_cast<std::size_t>(begin + row) * stride + p * kPanelRows,
                   L::load(sums_of(row, p)));
        }
      }
    }
  }

  static void run(const PackedMatrix& matrix, int first_panel, int panels, const Activations& a, float* out,
                  std::size_t stride, std::uint8_t* scratch) {
    Matmul<L>::with_type(matrix.type, [&]<PackedType type>() {
      if constexpr (type == PackedType::kF32 || type == PackedType::kF16)
        Matmul<L>::template exact<type>(matrix, first_panel, panels, a, out, stride, scratch);
      else
        tiled<type>(matrix, first_panel, panels, a, out, stride, scratch);
    });
  }
};

}  // namespace agon::llm

#endif
