// Products of packed panels with many rows on the tile registers of AMX.
//
// A tile product gives the exact integer sums of 16 activations rows by 16 matrix rows over the columns that
// share a scale; they go through a buffer to the vector registers, which add them up in the very chain of
// matmul_body.h. So the bits are those of every other level; only the integers come from elsewhere.
//
// One tile product takes 16 cycles and waits some 50 for its result, and the vector work on it takes 24 to 32
// cycles: groups of products run one group ahead of the sums, one product between every two rows of sums or
// so. A result is stored four rows after its product began, as a store that waits for its tile would fill
// the core's window of instructions. Between the rows, too, the next weights are fetched: they come from
// memory, which would stand idle while sums are made and be waited for while weights are decoded.
#pragma once

#include <algorithm>
#include <utility>

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
  static constexpr int kSteps = 4;  // tile products of a panel in a group
  static constexpr int kGroupBlocks = kSteps / D::kParts;
  static constexpr std::size_t kCodes = 512;                     // of a decoded block, signed
  static constexpr std::size_t kDecodedBlock = kCodes + 4 * 64;  // and two scales, two minima
  /// Rows of products lie two lines apart, those of one group on even lines and the next one's on odd ones:
  /// a load waits for a store to an address that is the same in its last 12 bits, and stores of the next
  /// group's products wait for their tiles.
  static constexpr std::size_t kRowBytes = 128, kProduct = kRowBytes * kRows, kOther = 64;
  /// Columns of a panel that are decoded together, in blocks.
  static constexpr int kChunk = 32;
  static constexpr std::size_t kDecoded = kDecodedBlock * kChunk * kMatmulPanels;
  static_assert(kDecoded + 2 * kSteps * kProduct + kProduct <= kMatmulScratch);

  /// Bytes of a packed block of a panel, headers shared out; and lines of the cache that a group of them
  /// takes.
  static constexpr std::size_t kRawBlock = D::kSuperblock / D::kBlocks;
  static constexpr int kLines = (kGroupBlocks * static_cast<int>(kRawBlock) + 63) / 64;

  /// One group of blocks of one or two panels, on its way.
  template <int panels>
  struct Group {
    static constexpr int kProducts = kSteps * panels;
    const std::uint8_t* weights[panels];  // its first decoded block of each panel
    const ActivationBlock* x;             // its first block of the first row
    std::uint8_t* products;               // [step][panel][row][lane]
    const std::uint8_t* fetch[panels];    // packed weights that will be wanted; null: none

    void next(int blocks, std::uint8_t* to) {
      for (const std::uint8_t*& w : weights) w += static_cast<std::size_t>(blocks) * kDecodedBlock;
      for (const std::uint8_t*& f : fetch)
        if (f != nullptr) f += static_cast<std::size_t>(blocks) * kRawBlock;
      x += blocks * Activations::kTile;
      products = to;
    }
    /// Begins product number i of kProducts.
    template <int i>
    inline __attribute__((always_inline)) void multiply() const {
      constexpr int kStep = i / panels, kPanel = i % panels, kPart = kStep % D::kParts;
      constexpr int kA = 4 + kStep % 2, kB = 6 + kPanel, kC = i % 4;
      if constexpr (kPanel == 0) {
        T::load<kA>(x[kStep / D::kParts * Activations::kTile].q + kBlock / D::kParts * kPart,
                    sizeof(ActivationBlock));
      }
      T::load<kB>(weights[kPanel] + kStep / D::kParts * kDecodedBlock + kCodes / D::kParts * kPart, 64);
      T::zero<kC>();
      T::multiply_bytes<kC, kA, kB>();
    }
    /// Ends it: before product i + 4 begins.
    template <int i>
    inline __attribute__((always_inline)) void store() const {
      T::store<i % 4>(products + i * kProduct, kRowBytes);
    }
    template <std::size_t... i>
    inline __attribute__((always_inline)) void multiply_all(std::index_sequence<i...>) const {
      ((multiply<static_cast<int>(i)>(), store<static_cast<int>(i)>()), ...);
    }
    /// What is done of the group's products beside row number `row` of 16 of the sums before it.
    template <int row, std::size_t... i>
    inline __attribute__((always_inline)) void beside(std::index_sequence<i...>) const {
      constexpr auto kBegins = [](std::size_t product) { return static_cast<int>(product) * 12 / kProducts; };
      constexpr int kWait = 4;
      const auto one = [&]<int product>() __attribute__((always_inline)) {
        if constexpr (kBegins(product) + kWait == row) store<product>();
        if constexpr (kBegins(product) == row) multiply<product>();
      };
      (one.template operator()<static_cast<int>(i)>(), ...);
    }
    /// A sixteenth of what is fetched beside this group's sums.
    inline __attribute__((always_inline)) void prefetch(int row) const {
      for (const std::uint8_t* from : fetch) {
        if (from == nullptr) break;
        for (int line = row * kLines / kRows; line < (row + 1) * kLines / kRows; ++line)
          __builtin_prefetch(from + 64 * line);
      }
    }
  };

  /// Scales and minima of a group.
  template <int panels, int steps>
  struct Numbers {
    F s[panels][steps], m[panels][steps];
    explicit Numbers(const Group<panels>& group) {
      for (int p = 0; p < panels; ++p) {
        for (int i = 0; i < steps; ++i) {
          const auto* from = reinterpret_cast<const float*>(
              group.weights[p] + static_cast<std::size_t>(i / D::kParts) * kDecodedBlock + kCodes);
          s[p][i] = L::load(from + 16 * (i % D::kParts));
          if constexpr (D::kMinimum) m[p][i] = L::load(from + 32 + 16 * (i % D::kParts));
        }
      }
    }
  };

  template <int panels, int steps>
  static inline __attribute__((always_inline)) void add_row(int t, const Group<panels>& group,
                                                            const Numbers<panels, steps>& numbers,
                                                            float* sums) {
    F sum[panels];
    for (int p = 0; p < panels; ++p) sum[p] = L::load(sums + 16 * (panels * t + p));
    for (int i = 0; i < steps; ++i) {
      const ActivationBlock& x = group.x[i / D::kParts * Activations::kTile + t];
      const F d = L::set1(x.d);
      for (int p = 0; p < panels; ++p) {
        const I product = L::codes(group.products + static_cast<std::size_t>(i * panels + p) * kProduct +
                                   kRowBytes * static_cast<std::size_t>(t));
        sum[p] = L::fma(L::to_float(product), L::mul(numbers.s[p][i], d), sum[p]);
      }
      if constexpr (D::kMinimum) {
        const F total = L::set1(D::kParts == 1 ? x.sum : x.half[i % D::kParts]);
        for (int p = 0; p < panels; ++p) sum[p] = L::fma(numbers.m[p][i], total, sum[p]);
      }
    }
    for (int p = 0; p < panels; ++p) L::store(sums + 16 * (panels * t + p), sum[p]);
  }

  // The sums of a whole group, and between them the products of the next one.
  template <int panels, std::size_t... t>
  static inline __attribute__((always_inline)) void add_group(const Group<panels>& group,
                                                              const Group<panels>* ahead, int rows,
                                                              float* sums, std::index_sequence<t...>) {
    const Numbers<panels, kSteps> numbers(group);
    const auto row = [&]<int i>() __attribute__((always_inline)) {
      if (ahead != nullptr)
        ahead->template beside<i>(std::make_index_sequence<std::size_t{Group<panels>::kProducts}>());
      group.prefetch(i);
      if (i < rows) add_row<panels, kSteps>(i, group, numbers, sums);
    };
    (row.template operator()<static_cast<int>(t)>(), ...);
  }

  // What is left behind the whole groups.
  template <int panels, int blocks>
  static void add_rest(const Group<panels>& group, int rows, float* sums) {
    constexpr int kStepsHere = blocks * D::kParts;
    group.multiply_all(std::make_index_sequence<static_cast<std::size_t>(kStepsHere * panels)>());
    const Numbers<panels, kStepsHere> numbers(group);
    for (int t = 0; t < rows; ++t) add_row<panels, kStepsHere>(t, group, numbers, sums);
  }

  // Up to 16 rows by one or two decoded panels. `fetch`: where packed weights lie that will be wanted.
  template <int panels>
  static void tile(const std::uint8_t* decoded, std::size_t panel_scratch, int blocks,
                   const ActivationBlock* x, int rows, bool first, float* out, std::size_t stride,
                   std::uint8_t* buffers, const std::uint8_t* const* fetch) {
    constexpr std::size_t kGroupProducts = 2 * kSteps * kProduct;
    auto* sums = reinterpret_cast<float*>(buffers + kGroupProducts);
    for (int t = 0; t < rows; ++t) {
      for (int p = 0; p < panels; ++p) {
        L::store(sums + 16 * (panels * t + p),
                 first ? L::zero() : L::load(out + static_cast<std::size_t>(t) * stride + 16 * p));
      }
    }
    Group<panels> group;
    for (int p = 0; p < panels; ++p) {
      group.weights[p] = decoded + static_cast<std::size_t>(p) * panel_scratch;
      group.fetch[p] = fetch[p];
    }
    group.x = x;
    group.products = buffers;
    const int groups = blocks / kGroupBlocks;
    if (groups > 0) group.multiply_all(std::make_index_sequence<static_cast<std::size_t>(kSteps * panels)>());
    for (int g = 0; g < groups; ++g) {
      Group<panels> ahead = group;
      ahead.next(kGroupBlocks, buffers + (g % 2 == 0 ? kOther : 0));
      add_group<panels>(group, g + 1 < groups ? &ahead : nullptr, rows, sums,
                        std::make_index_sequence<kRows>());
      group = ahead;
    }
    switch (blocks % kGroupBlocks) {
      case 1:
        add_rest<panels, 1>(group, rows, sums);
        break;
      case 2:
        if constexpr (kGroupBlocks > 2) add_rest<panels, 2>(group, rows, sums);
        break;
      case 3:
        if constexpr (kGroupBlocks > 3) add_rest<panels, 3>(group, rows, sums);
        break;
      default:
        break;
    }
    for (int t = 0; t < rows; ++t) {
      for (int p = 0; p < panels; ++p) {
        L::store(out + static_cast<std::size_t>(t) * stride + 16 * p, L::load(sums + 16 * (panels * t + p)));
      }
    }
  }

  static void run(const PackedMatrix& matrix, int first_panel, int panels, const Activations& a, float* out,
                  std::size_t stride, std::uint8_t* scratch) {
    constexpr int kA = kBlock / D::kParts, kB = 8 / D::kParts;  // bytes of a row of A, rows of B
    const TileShapes shapes({{16, 64}, {16, 64}, {16, 64}, {16, 64}, {16, kA}, {16, kA}, {kB, 64}, {kB, 64}});
    const int blocks = matrix.columns / kBlock;
    const std::size_t tile_blocks = static_cast<std::size_t>(blocks) * Activations::kTile;
    std::uint8_t* buffers = scratch + kDecoded;
    for (int done = 0; done < blocks; done += kChunk) {
      const int count = std::min(kChunk, blocks - done);
      const std::size_t panel_scratch = static_cast<std::size_t>(count) * kDecodedBlock;
      for (int p = 0; p < panels; ++p) {
        Matmul<L>::template decode<type, true>(matrix, first_panel + p, done, count,
                                               scratch + static_cast<std::size_t>(p) * panel_scratch);
      }
      for (int p = 0; p < panels; p += 2) {
        const std::uint8_t* decoded = scratch + static_cast<std::size_t>(p) * panel_scratch;
        // The same panels' next blocks, or else the first ones of the next panels, which follow as a rule.
        const bool more = done + count < blocks;
        const std::uint8_t* fetch[2];
        for (int i = 0; i < 2; ++i) {
          const int panel = first_panel + p + i + (more ? 0 : panels), block = more ? done + count : 0;
          fetch[i] = panel < matrix.panels
                         ? matrix.panel(panel) + static_cast<std::size_t>(block / D::kBlocks) * D::kSuperblock
                         : nullptr;
        }
        for (int row = 0; row < a.rows; row += kRows) {
          if (row > 0) fetch[0] = fetch[1] = nullptr;
          const ActivationBlock* x = a.blocks + static_cast<std::size_t>(row / kRows) * tile_blocks +
                                     static_cast<std::size_t>(done) * Activations::kTile;
          float* to = out + static_cast<std::size_t>(row) * stride + p * kPanelRows;
          const int rows = std::min(kRows, a.rows - row);
          if (p + 1 < panels)
            tile<2>(decoded, panel_scratch, count, x, rows, done == 0, to, stride, buffers, fetch);
          else
            tile<1>(decoded, panel_scratch, count, x, rows, done == 0, to, stride, buffers, fetch);
        }
      }
    }
  }
};

#endif

}  // namespace agon::llm
