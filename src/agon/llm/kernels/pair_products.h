// Products of tiles of bfloat16: 16 rows by 16 columns over 32 numbers a step, where two numbers of a column
// lie side by side. On tile registers, or on vectors with products of pairs.
#pragma once

#ifdef __AVX512BF16__  // else this header is empty

#include "agon/llm/kernels/tiles.h"

namespace agon::llm {

/// c[a][b] (+)= sum over steps of left[a][step] * right[b][step], for tiles a that hold `rows` rows and
/// `columns` tiles b; the tiles of a row or column lie kTileBytes apart from step to step. left(a), right(b):
/// where the first of them is; sums(a, b): where the sum is, [row][column] in float. Each sum is one chain
/// over its steps.
template <class L, bool tiles = L::kTiles>
struct PairProducts {
  using F = typename L::F;
  using I = typename L::I;
  struct Setup {};
  static constexpr int kRows = 16;
  static constexpr int kTogether = 8;  // rows whose sums with two tiles of columns are in registers

  template <bool add, class Left, class Right, class Sums>
  static void multiply(int rows, int columns, int steps, Left left, Right right, Sums sums) {
    for (int row = 0; row < rows; row += kTogether) {
      const int a = row / kRows;
      const std::size_t line = static_cast<std::size_t>(row % kRows) * 64;  // bytes of a row in its tiles
      for (int b = 0; b < columns; b += 2) {
        if (b + 1 < columns) {
          block<add, 2>(left(a) + line, {right(b), right(b + 1)}, {sums(a, b) + line, sums(a, b + 1) + line},
                        steps);
        } else {
          block<add, 1>(left(a) + line, {right(b)}, {sums(a, b) + line}, steps);
        }
      }
    }
  }

 private:
  template <bool add, int columns>
  static void block(const std::uint8_t* left, const std::uint8_t* const (&right)[columns],
                    std::uint8_t* const (&sums)[columns], int steps) {
    F total[columns][kTogether];
    const auto place = [&](int b, int t) { return reinterpret_cast<float*>(sums[b] + 64 * t); };
    for (int b = 0; b < columns; ++b)
      for (int t = 0; t < kTogether; ++t) total[b][t] = add ? L::load(place(b, t)) : L::zero();
    for (int step = 0; step < steps; ++step) {
      const std::size_t tile = static_cast<std::size_t>(step) * kTileBytes;
      for (int pair = 0; pair < 16; ++pair) {
        I w[columns];
        for (int b = 0; b < columns; ++b) w[b] = L::codes(right[b] + tile + 64 * pair);
        for (int t = 0; t < kTogether; ++t) {
          std::int32_t x;
          __builtin_memcpy(&x, left + tile + 64 * t + 4 * pair, 4);
          for (int b = 0; b < columns; ++b) total[b][t] = L::dp_pairs(total[b][t], w[b], x);
        }
      }
    }
    for (int b = 0; b < columns; ++b)
      for (int t = 0; t < kTogether; ++t) L::store(place(b, t), total[b][t]);
  }
};

#ifdef __AMX_BF16__

/// The same on tile registers.
template <class L>
struct PairProducts<L, true> {
  using T = TileRegisters;
  static constexpr int kRows = 16;
  struct Setup {
    TileShapes shapes{{{16, 64}, {16, 64}, {16, 64}, {16, 64}, {16, 64}, {16, 64}, {16, 64}, {16, 64}}};
  };

  // One or two tiles of rows by one or two of columns.
  template <int rows, int columns>
  struct Block {
    const std::uint8_t *left[rows], *right[columns];
    std::uint8_t* sums[rows][columns];

    template <bool add>
    void run(int steps) const {
      const auto begin = [&]<int a, int b>() {
        if constexpr (a < rows && b < columns) {
          if constexpr (add)
            T::load<2 * a + b>(sums[a][b], 64);
          else
            T::zero<2 * a + b>();
        }
      };
      each(begin);
      multiply_pair_tiles<rows, columns>(left, right, steps);
      each([&]<int a, int b>() {
        if constexpr (a < rows && b < columns) T::store<2 * a + b>(sums[a][b], 64);
      });
    }
    template <class Body>
    static void each(Body body) {
      body.template operator()<0, 0>();
      body.template operator()<0, 1>();
      body.template operator()<1, 0>();
      body.template operator()<1, 1>();
    }
  };

  template <bool add, class Left, class Right, class Sums>
  static void multiply(int rows, int columns, int steps, Left left, Right right, Sums sums) {
    const int row_tiles = (rows + kRows - 1) / kRows;
    const auto block = [&]<int r, int c>(int a, int b) {
      Block<r, c> it;
      for (int i = 0; i < r; ++i) it.left[i] = left(a + i);
      for (int i = 0; i < c; ++i) it.right[i] = right(b + i);
      for (int i = 0; i < r * c; ++i) it.sums[i / c][i % c] = sums(a + i / c, b + i % c);
      it.template run<add>(steps);
    };
    for (int b = 0; b < columns; b += 2) {
      for (int a = 0; a < row_tiles; a += 2) {
        if (b + 1 < columns)
          a + 1 < row_tiles ? block.template operator()<2, 2>(a, b) : block.template operator()<1, 2>(a, b);
        else
          a + 1 < row_tiles ? block.template operator()<2, 1>(a, b) : block.template operator()<1, 1>(a, b);
      }
    }
  }
};

#endif

}  // namespace agon::llm

#endif
