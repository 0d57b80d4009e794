// The tile registers of AMX: eight of 16 rows of 64 bytes. Included only by files that are compiled for them.
#pragma once

#include <cstddef>
#include <cstdint>
#include <cstring>

namespace agon::llm {

/// Bytes of a whole tile.
inline constexpr std::size_t kTileBytes = 1024;

#ifdef __AMX_INT8__  // else there is no more here

/// The tile registers by number. The intrinsics of g++ 12 take literals only, so that a template cannot name
/// its registers.
struct TileRegisters {
  template <int tile>
  static inline __attribute__((always_inline)) void zero() {
    asm volatile("tilezero %%tmm%c0" : : "i"(tile));
  }
  /// Rows of `from`, `stride` bytes apart.
  template <int tile>
  static inline __attribute__((always_inline)) void load(const void* from, std::size_t stride) {
    asm volatile("tileloadd (%1,%2,1), %%tmm%c0" : : "i"(tile), "r"(from), "r"(stride) : "memory");
  }
  template <int tile>
  static inline __attribute__((always_inline)) void store(void* to, std::size_t stride) {
    asm volatile("tilestored %%tmm%c0, (%1,%2,1)" : : "i"(tile), "r"(to), "r"(stride) : "memory");
  }
  /// c += a * b: rows of signed bytes times columns of them.
  template <int c, int a, int b>
  static inline __attribute__((always_inline)) void multiply_bytes() {
    asm volatile("tdpbssd %%tmm%c2, %%tmm%c1, %%tmm%c0" : : "i"(c), "i"(a), "i"(b));
  }
  /// c += a * b: rows of bfloat16 times columns of pairs of them, summed in float.
  template <int c, int a, int b>
  static inline __attribute__((always_inline)) void multiply_pairs() {
    asm volatile("tdpbf16ps %%tmm%c2, %%tmm%c1, %%tmm%c0" : : "i"(c), "i"(a), "i"(b));
  }
};

/// The shapes of the tile registers while it lives; none after, so that the system has nothing to save.
class TileShapes {
 public:
  struct Shape {
    int rows, bytes;
  };
  explicit TileShapes(const Shape (&shapes)[8]) {
    alignas(64) std::uint8_t palette[64] = {1};
    for (int i = 0; i < 8; ++i) {
      const auto bytes = static_cast<std::uint16_t>(shapes[i].bytes);
      std::memcpy(palette + 16 + 2 * i, &bytes, 2);
      palette[48 + i] = static_cast<std::uint8_t>(shapes[i].rows);
    }
    asm volatile("ldtilecfg %0" : : "m"(palette) : "memory");
  }
  ~TileShapes() { asm volatile("tilerelease" : : : "memory"); }
  TileShapes(const TileShapes&) = delete;
  TileShapes& operator=(const TileShapes&) = delete;
};

/// Adds to tiles 2a + b the products of pairs of left[a] and right[b], one or two tiles of rows by one or two
/// of columns, over `steps` tiles that lie kTileBytes apart. Tiles 4 to 7 are used up.
template <int rows, int columns>
inline __attribute__((always_inline)) void multiply_pair_tiles(const std::uint8_t* const (&left)[rows],
                                                               const std::uint8_t* const (&right)[columns],
                                                               int steps) {
  using T = TileRegisters;
  for (std::size_t at = 0; at < static_cast<std::size_t>(steps) * kTileBytes; at += kTileBytes) {
    T::load<4>(left[0] + at, 64);
    T::load<6>(right[0] + at, 64);
    if constexpr (rows > 1) T::load<5>(left[1] + at, 64);
    if constexpr (columns > 1) T::load<7>(right[1] + at, 64);
    T::multiply_pairs<0, 4, 6>();
    if constexpr (columns > 1) T::multiply_pairs<1, 4, 7>();
    if constexpr (rows > 1) T::multiply_pairs<2, 5, 6>();
    if constexpr (rows > 1 && columns > 1) T::multiply_pairs<3, 5, 7>();
  }
}

#endif

}  // namespace agon::llm
