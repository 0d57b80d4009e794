// The stored blocks of each quantised format, byte for byte, as ggml-common.h lays them out.
#pragma once

#include <array>
#include <cstdint>

namespace agon::gguf {

// All members are bytes or 16-bit words at even places, so that the structs have no gaps. `d`, `dmin` and `m`
// are binary16.

struct BlockQ4_0 {
  std::uint16_t d;
  std::uint8_t qs[16];
};
struct BlockQ4_1 {
  std::uint16_t d, m;
  std::uint8_t qs[16];
};
struct BlockQ5_0 {
  std::uint16_t d;
  std::uint8_t qh[4];  ///< Bit i is the fifth bit of weight i.
  std::uint8_t qs[16];
};
struct BlockQ5_1 {
  std::uint16_t d, m;
  std::uint8_t qh[4];
  std::uint8_t qs[16];
};
struct BlockQ8_0 {
  std::uint16_t d;
  std::int8_t qs[32];
};
struct BlockIQ4_NL {
  std::uint16_t d;
  std::uint8_t qs[16];
};
struct BlockQ2_K {
  std::uint8_t scales[16];  ///< Of 16 weights each: scale in the low nibble, minimum in the high one.
  std::uint8_t qs[64];
  std::uint16_t d, dmin;
};
struct BlockQ3_K {
  std::uint8_t hmask[32];  ///< Bit i/32 of byte i%32 belongs to weight i.
  std::uint8_t qs[64];
  std::uint8_t scales[12];  ///< See scale_q3_k.
  std::uint16_t d;
};
struct BlockQ4_K {
  std::uint16_t d, dmin;
  std::uint8_t scales[12];  ///< See scale_min_k4.
  std::uint8_t qs[128];
};
struct BlockQ5_K {
  std::uint16_t d, dmin;
  std::uint8_t scales[12];
  std::uint8_t qh[32];  ///< Bit i/32 of byte i%32 belongs to weight i.
  std::uint8_t qs[128];
};
struct BlockQ6_K {
  std::uint8_t ql[128];
  std::uint8_t qh[64];
  std::int8_t scales[16];
  std::uint16_t d;
};
struct BlockIQ4_XS {
  std::uint16_t d;
  std::uint16_t scales_h;
  std::uint8_t scales_l[4];
  std::uint8_t qs[128];
};
static_assert(sizeof(BlockQ4_0) == 18 && sizeof(BlockQ4_1) == 20 && sizeof(BlockQ5_0) == 22);
static_assert(sizeof(BlockQ5_1) == 24 && sizeof(BlockQ8_0) == 34 && sizeof(BlockIQ4_NL) == 18);
static_assert(sizeof(BlockQ2_K) == 84 && sizeof(BlockQ3_K) == 110 && sizeof(BlockQ4_K) == 144);
static_assert(sizeof(BlockQ5_K) == 176 && sizeof(BlockQ6_K) == 210 && sizeof(BlockIQ4_XS) == 136);

/// The sixteen levels of IQ4_NL and IQ4_XS.
inline constexpr std::array<std::int8_t, 16> kIQ4Values = {-127, -104, -83, -65, -49, -35, -22, -10,
                                                           1,    13,   25,  38,  53,  69,  89,  113};

/// Scale i of 16 in a Q3_K block, 0 to 63 (32 is zero): low four bits in bytes 0 to 7, high two in 8 to 11.
[[nodiscard]] inline int scale_q3_k(const std::uint8_t* scales, int i) {
  const int four = i < 8 ? scales[i] & 15 : scales[i - 8] >> 4;
  const int two = scales[8 + i % 4] >> i / 4 * 2 & 3;
  return four | two << 4;
}

struct ScaleMin {
  int scale, min;  ///< 0 to 63 each.
};
/// Scale and minimum i of 8 in a Q4_K or Q5_K block. Of the first four each has the low six bits of a byte
/// (scales in 0 to 3, minima in 4 to 7); the last four have nibbles in 8 to 11, and the two top bits that the
/// first eight bytes left free.
[[nodiscard]] inline ScaleMin scale_min_k4(const std::uint8_t* scales, int i) {
  if (i < 4) return {scales[i] & 63, scales[i + 4] & 63};
  return {(scales[i + 4] & 15) | scales[i - 4] >> 6 << 4, scales[i + 4] >> 4 | scales[i] >> 6 << 4};
}

}  // namespace agon::gguf
