// Sixteen lanes in plain C++: what the other lanes are tested against, and what runs where nothing better is.
#pragma once

#include <cmath>
#include <cstdint>
#include <cstring>

namespace agon::llm {

struct LanesPlain {
  struct F {
    float v[16];
  };
  struct I {
    std::int32_t v[16];
  };
  static constexpr int kTile = 1;
  static constexpr int kStream = 1;
  static constexpr int kTileRows = 1;
  static constexpr int kTilePanels = 1;
  static constexpr bool kPairs = false;
  static constexpr bool kTiles = false;  // tile registers for products of many rows
  static constexpr bool kSignedWide = false;

  template <class Body>
  static F map(Body body) {
    F out;
    for (int i = 0; i < 16; ++i) out.v[i] = body(i);
    return out;
  }
  template <class Body>
  static I map_i(Body body) {
    I out;
    for (int i = 0; i < 16; ++i) out.v[i] = body(i);
    return out;
  }
  template <class Body>
  static I map_bytes(const I& x, Body body) {
    std::uint8_t bytes[64];
    std::memcpy(bytes, &x, 64);
    for (int i = 0; i < 64; ++i) bytes[i] = static_cast<std::uint8_t>(body(bytes[i], i));
    I out;
    std::memcpy(&out, bytes, 64);
    return out;
  }
  static float from_bits(std::uint32_t bits) {
    float x;
    std::memcpy(&x, &bits, 4);
    return x;
  }

  static F zero() { return set1(0); }
  static F set1(float x) {
    return map([x](int) { return x; });
  }
  static F load(const float* p) {
    return map([p](int i) { return p[i]; });
  }
  static void store(float* p, const F& x) { std::memcpy(p, x.v, sizeof x.v); }
  static F fma(const F& a, const F& b, const F& c) {
    return map([&](int i) { return std::fma(a.v[i], b.v[i], c.v[i]); });
  }
  static F mul(const F& a, const F& b) {
    return map([&](int i) { return a.v[i] * b.v[i]; });
  }
  static F add(const F& a, const F& b) {
    return map([&](int i) { return a.v[i] + b.v[i]; });
  }
  static F sub(const F& a, const F& b) {
    return map([&](int i) { return a.v[i] - b.v[i]; });
  }
  static F div(const F& a, const F& b) {
    return map([&](int i) { return a.v[i] / b.v[i]; });
  }
  // As the instructions do: the second where either is NaN.
  static F max(const F& a, const F& b) {
    return map([&](int i) { return a.v[i] > b.v[i] ? a.v[i] : b.v[i]; });
  }
  static F abs(const F& a) {
    return map([&](int i) { return std::fabs(a.v[i]); });
  }
  static F sqrt(const F& a) {
    return map([&](int i) { return std::sqrt(a.v[i]); });
  }
  static F zero_below(const F& x, const F& limit, const F& y) {
    return map([&](int i) { return x.v[i] < limit.v[i] ? 0.0F : y.v[i]; });
  }
  static unsigned at_least(const F& x, const F& limit) {
    unsigned bits = 0;
    for (int i = 0; i < 16; ++i) bits |= static_cast<unsigned>(x.v[i] >= limit.v[i]) << i;
    return bits;
  }
  static F half(const void* p) {
    _Float16 values[16];
    std::memcpy(values, p, 32);
    return map([&](int i) { return static_cast<float>(values[i]); });
  }
  static F bf16(const void* p) {
    std::uint16_t values[16];
    std::memcpy(values, p, 32);
    return map([&](int i) { return from_bits(static_cast<std::uint32_t>(values[i]) << 16); });
  }
  static F i8(const void* p) {
    std::int8_t values[16];
    std::memcpy(values, p, 16);
    return map([&](int i) { return static_cast<float>(values[i]); });
  }
  static F u8(const void* p) {
    std::uint8_t values[16];
    std::memcpy(values, p, 16);
    return map([&](int i) { return static_cast<float>(values[i]); });
  }
  static void store_half(void* p, const F& x) {
    _Float16 values[16];
    for (int i = 0; i < 16; ++i) values[i] = static_cast<_Float16>(x.v[i]);
    std::memcpy(p, values, 32);
  }
  static void store_bf16(void* p, const F& x) {
    std::uint16_t values[16];
    for (int i = 0; i < 16; ++i) {
      std::uint32_t bits;
      std::memcpy(&bits, &x.v[i], 4);
      values[i] = static_cast<std::uint16_t>((bits + ((bits >> 16) & 1) + 0x7fff) >> 16);
    }
    std::memcpy(p, values, 32);
  }
  static F as_float(const I& x) {
    return map([&](int i) { return from_bits(static_cast<std::uint32_t>(x.v[i])); });
  }
  static F to_float(const I& x) {
    return map([&](int i) { return static_cast<float>(x.v[i]); });
  }
  static I round(const F& x) {
    return map_i([&](int i) { return static_cast<std::int32_t>(std::nearbyint(x.v[i])); });
  }
  static F pow2(const I& n) {
    return map([&](int i) { return from_bits(static_cast<std::uint32_t>(n.v[i] + 127) << 23); });
  }
  static void store_i8(void* p, const I& x) {
    std::int8_t values[16];
    for (int i = 0; i < 16; ++i) values[i] = static_cast<std::int8_t>(x.v[i]);
    std::memcpy(p, values, 16);
  }

  static I zero_i() { return set1_i(0); }
  static I set1_i(std::int32_t x) {
    return map_i([x](int) { return x; });
  }
  static I add_i(const I& a, const I& b) {
    return map_i([&](int i) { return a.v[i] + b.v[i]; });
  }
  template <int n>
  static I shl(const I& x) {
    return map_i([&](int i) { return static_cast<std::int32_t>(static_cast<std::uint32_t>(x.v[i]) << n); });
  }
  template <int n>
  static I sra(const I& x) {
    return map_i([&](int i) { return x.v[i] >> n; });
  }

  static I codes(const void* p) {
    I out;
    std::memcpy(&out, p, 64);
    return out;
  }
  static void store_codes(void* p, const I& x) { std::memcpy(p, &x, 64); }
  static I low_nibbles(const I& x) {
    return map_bytes(x, [](int b, int) { return b & 15; });
  }
  static I high_nibbles(const I& x) {
    return map_bytes(x, [](int b, int) { return b >> 4; });
  }
  template <int s>
  static I pair(const I& x) {
    return map_bytes(x, [](int b, int) { return (b >> (2 * s)) & 3; });
  }
  template <int s>
  static I high_pair(const I& x) {
    return map_bytes(x, [](int b, int) { return ((b >> (2 * s)) & 3) << 4; });
  }
  static I either(const I& a, const I& b) {
    return map_i([&](int i) { return a.v[i] | b.v[i]; });
  }
  template <int value>
  static I add_bits(const I& w, const void* mask) {
    std::uint64_t bits;
    std::memcpy(&bits, mask, 8);
    return map_bytes(w, [bits](int b, int i) { return b + ((bits >> i) & 1 ? value : 0); });
  }
  static I table(const std::uint8_t* sixteen, const I& nibbles) {
    return map_bytes(nibbles, [sixteen](int b, int) { return sixteen[b & 15]; });
  }
  template <int i>
  static F byte(const I& x) {
    return map([&](int lane) {
      return static_cast<float>((static_cast<std::uint32_t>(x.v[lane]) >> (8 * i)) & 255);
    });
  }

  template <int i>
  static F byte_less(const I& x, const F& offset) {
    return sub(byte<i>(x), offset);
  }

  static I dp(const I& sum, const I& w, const std::int8_t* four) {
    std::uint8_t bytes[64];
    std::memcpy(bytes, &w, 64);
    return map_i([&](int lane) {
      std::int32_t total = sum.v[lane];
      for (int i = 0; i < 4; ++i) total += static_cast<std::int32_t>(bytes[4 * lane + i]) * four[i];
      return total;
    });
  }
  static I dp_wide(const I& sum, const I& w, const std::int8_t* four) { return dp(sum, w, four); }

  static std::int32_t sum_i(const I& x) {
    std::int32_t total = 0;
    for (const std::int32_t lane : x.v) total += lane;
    return total;
  }
  // Lanes i and i+8, then i+4, i+2, i+1: the tree that registers are folded by.
  static float sum(F x) {
    for (int half = 8; half > 0; half /= 2) {
      for (int i = 0; i < half; ++i) x.v[i] += x.v[i + half];
    }
    return x.v[0];
  }
  static float largest(const F& x) {
    float best = x.v[0];
    for (int i = 1; i < 16; ++i) best = best > x.v[i] ? best : x.v[i];
    return best;
  }
};

}  // namespace agon::llm
