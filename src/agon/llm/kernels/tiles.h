// The tile registers of AMX: eight of 16 rows of 64 bytes. Included only by files that are compiled for them.
#pragma once

#ifdef __AMX_INT8__  // else this header is empty

#include <cstddef>
#include <cstdint>
#include <cstring>

namespace agon::llm {

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

/// Bytes of a whole tile.
inline constexpr std::size_t kTileBytes = 1024;

}  // namespace agon::llm

#endif
