// Products of packed panels with many rows on the tile registers of AMX.
//
// A tile product gives the exact integer sums of 16 activations rows by 16 matrix rows over the columns that
// share a scale; they go through a buffer to the vector registers, which add them up in the very chain of
// matmul_body.h. So the bits are those of every other level; only the integers come from elsewhere.
//
// Work goes in groups small enough for the first cache: a few blocks of four panels are decoded, all their
// tile products are made and stored, then all their sums. Products between sums would hide the latency of
// the former, but the two hinder each other: 55 cycles for what takes 21 and 27 one after the other. While
// sums are made, the next group's packed weights are fetched, which come from memory.
#pragma once

#include <algorithm>

#include "agon/llm/kernels/decode.h"
#include "agon/llm/kernels/tiles.h"

namespace agon::llm {

template <class L>
struct Matmul;  // matmul_body.h
template <class L, PackedType type>
struct TiledMatmul;  // defined only where the compiler knows tile registers

#ifdef __AMX_INT8__

template <class L, PackedType type>
struct TiledMatmul {
  using D = Decoder<L, type>;
  using F = typename L::F;
  using I = typename L::I;
  using T = TileRegisters;
  static constexpr int kRows = 16;  // of activations
  static_assert(Activations::kTile == kRows);
  static constexpr int kPanels = kMatmulPanels;
  static_assert(kPanels == 4);
  static constexpr int kSteps = 4;  // tile products of a panel in a group
  static constexpr int kGroupBlocks = kSteps / D::kParts;
  static constexpr std::size_t kCodes = 512;                     // of a decoded block, signed
  static constexpr std::size_t kDecodedBlock = kCodes + 4 * 64;  // and two scales, two minima
  static constexpr std::size_t kDecodedPanel = kDecodedBlock * kGroupBlocks;
  static constexpr std::size_t kProduct = 64 * kRows;
  static constexpr std::size_t kPairSums = std::size_t{2} * kPanelRows * kRows;  // floats: [row][panel][lane]
  static constexpr std::size_t kTileSums = 2 * kPairSums;                        // of sixteen rows
  static constexpr int kRowsTogether = 256;  // whose sums are kept at a time
  static_assert(kPanels * (kDecodedPanel + kSteps * kProduct) +
                    kRowsTogether / kRows * kTileSums * sizeof(float) <=
                kMatmulScratch);

  /// Bytes of a packed block of a panel, headers shared out; and lines that a group of them takes.
  static constexpr std::size_t kRawBlock = D::kSuperblock / D::kBlocks;
  static constexpr int kLines = (kGroupBlocks * static_cast<int>(kRawBlock) + 63) / 64;

  /// Memory of this thread's own.
  struct Room {
    std::uint8_t* decoded;   // [panel][block]
    std::uint8_t* products;  // [step][panel][row][lane]
    float* sums;             // [sixteen rows][pair of panels][row][panel][lane]
  };

  /// Packed weights that will be wanted, of four panels.
  struct Fetch {
    const std::uint8_t* first = nullptr;  // null: none
    std::size_t panel_bytes = 0;
    [[nodiscard]] Fetch pair(int number) const {
      return {first == nullptr ? nullptr : first + 2 * static_cast<std::size_t>(number) * panel_bytes,
              panel_bytes};
    }
    /// A sixteenth of what is wanted of the first two.
    inline __attribute__((always_inline)) void some(int row) const {
      if (first == nullptr) return;
      for (int line = row * kLines / kRows; line < (row + 1) * kLines / kRows; ++line) {
        __builtin_prefetch(first + 64 * line);
        __builtin_prefetch(first + panel_bytes + 64 * line);
      }
    }
  };

  /// Decodes `count` blocks from `block` on.
  static void decode(const PackedMatrix& matrix, int first_panel, int panels, int block, int count,
                     std::uint8_t* to) {
    for (int p = 0; p < panels; ++p, to += kDecodedPanel)
      Matmul<L>::template decode<type, true>(matrix, first_panel + p, block, count, to);
  }

  /// Begins product `panel` of a step and ends the one four products before it.
  template <int panel>
  static inline __attribute__((always_inline)) void multiply(const std::uint8_t* weights, std::uint8_t* to,
                                                             bool first) {
    T::load<6 + panel % 2>(weights + panel * kDecodedPanel, 64);
    if (!first) T::store<panel>(to + panel * kProduct - kPanels * kProduct, 64);
    T::zero<panel>();
    T::multiply_bytes<panel, 4, 6 + panel % 2>();
  }

  /// All products of the first `steps` steps of a group.
  static void multiply_all(const Room& room, const ActivationBlock* x, int steps) {
    std::uint8_t* to = room.products;
    for (int step = 0; step < steps; ++step, to += kPanels * kProduct) {
      const int part = step % D::kParts;
      const std::uint8_t* weights = room.decoded +
                                    static_cast<std::size_t>(step / D::kParts) * kDecodedBlock +
                                    static_cast<std::size_t>(part) * (kCodes / D::kParts);
      T::load<4>(x[step / D::kParts * Activations::kTile].q + kBlock / D::kParts * part,
                 sizeof(ActivationBlock));
      multiply<0>(weights, to, step == 0);
      multiply<1>(weights, to, step == 0);
      multiply<2>(weights, to, step == 0);
      multiply<3>(weights, to, step == 0);
    }
    to -= kPanels * kProduct;
    T::store<0>(to, 64);
    T::store<1>(to + kProduct, 64);
    T::store<2>(to + 2 * kProduct, 64);
    T::store<3>(to + 3 * kProduct, 64);
  }

  /// Adds the products of two panels to their sums.
  template <int steps>
  static void add_pair(const Room& room, int pair, const ActivationBlock* x, int rows, float* sums,
                       const Fetch& fetch) {
    F s[2][steps], m[2][steps];
    for (int p = 0; p < 2; ++p) {
      for (int i = 0; i < steps; ++i) {
        const auto* from = reinterpret_cast<const float*>(
            room.decoded + static_cast<std::size_t>(2 * pair + p) * kDecodedPanel +
            static_cast<std::size_t>(i / D::kParts) * kDecodedBlock + kCodes);
        s[p][i] = L::load(from + 16 * (i % D::kParts));
        if constexpr (D::kMinimum) m[p][i] = L::load(from + 32 + 16 * (i % D::kParts));
      }
    }
    const std::uint8_t* products = room.products + static_cast<std::size_t>(2 * pair) * kProduct;
    for (int t = 0; t < rows; ++t, products += 64, sums += 32) {
      F sum[2] = {L::load(sums), L::load(sums + 16)};
      for (int i = 0; i < steps; ++i) {
        const ActivationBlock& of = x[i / D::kParts * Activations::kTile + t];
        const F d = L::set1(of.d);
        for (int p = 0; p < 2; ++p) {
          const I product = L::codes(products + static_cast<std::size_t>(i * kPanels + p) * kProduct);
          sum[p] = L::fma(L::to_float(product), L::mul(s[p][i], d), sum[p]);
        }
        if constexpr (D::kMinimum) {
          const F total = L::set1(D::kParts == 1 ? of.sum : of.half[i % D::kParts]);
          for (int p = 0; p < 2; ++p) sum[p] = L::fma(m[p][i], total, sum[p]);
        }
      }
      L::store(sums, sum[0]);
      L::store(sums + 16, sum[1]);
      fetch.some(t);
    }
  }

  template <int steps>
  static void add(const Room& room, int panels, const ActivationBlock* x, int rows, float* sums,
                  const Fetch& fetch) {
    for (int pair = 0; 2 * pair < panels; ++pair)
      add_pair<steps>(room, pair, x, rows, sums + static_cast<std::size_t>(pair) * kPairSums,
                      fetch.pair(pair));
  }

  /// The same for a number of steps known late.
  static void add(int steps, const Room& room, int panels, const ActivationBlock* x, int rows, float* sums,
                  const Fetch& fetch) {
    switch (steps) {
      case 1:
        if constexpr (D::kParts == 1) add<1>(room, panels, x, rows, sums, fetch);
        break;
      case 2:
        add<2>(room, panels, x, rows, sums, fetch);
        break;
      case 3:
        if constexpr (D::kParts == 1) add<3>(room, panels, x, rows, sums, fetch);
        break;
      default:
        add<4>(room, panels, x, rows, sums, fetch);
    }
  }

  /// Up to kRowsTogether rows, into room.sums.
  static void some_rows(const PackedMatrix& matrix, int first_panel, int panels, const Activations& a,
                        int first_row, int rows, const Room& room) {
    const int blocks = matrix.columns / kBlock;
    const std::size_t tile_blocks = static_cast<std::size_t>(blocks) * Activations::kTile;
    std::fill_n(room.sums, static_cast<std::size_t>((rows + kRows - 1) / kRows) * kTileSums, 0.0F);
    for (int done = 0; done < blocks; done += kGroupBlocks) {
      const int count = std::min(kGroupBlocks, blocks - done);
      decode(matrix, first_panel, panels, done, count, room.decoded);
      // The same panels' next blocks, or else the first ones of the next panels, which follow as a rule.
      const bool more = done + count < blocks;
      const int panel = first_panel + (more ? 0 : panels);
      Fetch fetch;
      if (panel + kPanels <= matrix.panels)
        fetch = {matrix.panel(panel) + (more ? static_cast<std::size_t>(done + count) * kRawBlock : 0),
                 matrix.panel_bytes};
      for (int t = 0; t < rows; t += kRows) {
        const ActivationBlock* x = a.blocks +
                                   static_cast<std::size_t>((first_row + t) / kRows) * tile_blocks +
                                   static_cast<std::size_t>(done) * Activations::kTile;
        multiply_all(room, x, count * D::kParts);
        add(count * D::kParts, room, panels, x, std::min(kRows, rows - t),
            room.sums + static_cast<std::size_t>(t / kRows) * kTileSums, t == 0 ? fetch : Fetch{});
      }
    }
  }

  static void run(const PackedMatrix& matrix, int first_panel, int panels, const Activations& a, float* out,
                  std::size_t stride, std::uint8_t* scratch) {
    constexpr int kA = kBlock / D::kParts, kB = 8 / D::kParts;  // bytes of a row of A, rows of B
    const TileShapes shapes({{16, 64}, {16, 64}, {16, 64}, {16, 64}, {16, kA}, {16, kA}, {kB, 64}, {kB, 64}});
    std::uint8_t* products = scratch + kPanels * kDecodedPanel;
    const Room room = {scratch, products, reinterpret_cast<float*>(products + kPanels * kSteps * kProduct)};
    for (int row = 0; row < a.rows; row += kRowsTogether) {
      const int rows = std::min(kRowsTogether, a.rows - row);
      some_rows(matrix, first_panel, panels, a, row, rows, room);
      for (int t = 0; t < rows; ++t) {
        for (int p = 0; p < panels; ++p) {
          const float* sum = room.sums + static_cast<std::size_t>(t / kRows) * kTileSums +
                             static_cast<std::size_t>(p / 2) * kPairSums +
                             static_cast<std::size_t>(kPanelRows * (2 * (t % kRows) + p % 2));
          L::store(out + static_cast<std::size_t>(row + t) * stride + kPanelRows * p, L::load(sum));
        }
      }
    }
  }
};

#endif

}  // namespace agon::llm
