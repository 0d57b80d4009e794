// How the packed formats are read back, on any lanes: codes of a block of 32 columns, scales and minima of
// its rows.
#pragma once

#include <cstdint>

#include "agon/llm/kernels/kernels.h"

namespace agon::llm {

/// Bytes 128 + the sixteen values of the non-linear four-bit formats (ggml's kvalues_iq4nl).
inline constexpr std::uint8_t kIq4Table[16] = {1,   24,  45,  63,  79,  93,  106, 118,
                                               129, 141, 153, 166, 181, 197, 217, 241};

/// What a format is made of; see packed.h.
template <PackedType type>
struct FormatFacts {
  static constexpr bool kIq4 = type == PackedType::kIQ4_NL || type == PackedType::kIQ4_XS;
  static constexpr bool kLong = type >= PackedType::kQ2_K && type <= PackedType::kIQ4_XS;
  static constexpr int kBlocks = kLong ? 8 : 1;
  static constexpr bool kBytes = type == PackedType::kQ8_0;
  static constexpr bool kNibbles = !kBytes && type != PackedType::kQ2_K && type != PackedType::kQ3_K;
  static constexpr bool kPairs =
      type == PackedType::kQ2_K || type == PackedType::kQ3_K || type == PackedType::kQ6_K;
  static constexpr bool kBits = type == PackedType::kQ5_0 || type == PackedType::kQ5_1 ||
                                type == PackedType::kQ3_K || type == PackedType::kQ5_K;
  static constexpr bool kMinimum = type == PackedType::kQ4_1 || type == PackedType::kQ5_1 ||
                                   type == PackedType::kQ2_K || type == PackedType::kQ4_K ||
                                   type == PackedType::kQ5_K;
  static constexpr int kParts = kPairs ? 2 : 1;  // scales in a block: one each for 16 or 32 columns
  static constexpr bool kWide = kBytes || kIq4;  // codes up to 255
  static constexpr int kScaleBytes = !kLong ? 0 : kPairs ? 16 : 8;
  static constexpr int kMinBytes = type == PackedType::kQ4_K || type == PackedType::kQ5_K ? 8 : 0;
  static constexpr int kHeader = (2 + (kMinimum ? 2 : 0) + kScaleBytes + kMinBytes) * kPanelRows;
  static constexpr int kCodes =
      (kBytes ? 512 : 0) + (kNibbles ? 256 : 0) + (kPairs ? 128 : 0) + (kBits ? 64 : 0);
  static constexpr int kSuperblock = kHeader + kBlocks * kCodes;
  static constexpr float kOffset = type == PackedType::kQ4_0   ? 8
                                   : type == PackedType::kQ5_0 ? 16
                                   : type == PackedType::kQ3_K ? 4
                                   : type == PackedType::kQ6_K ? 32
                                   : kWide                     ? 128
                                                               : 0;
};

template <class L, PackedType type>
struct Decoder : FormatFacts<type> {
  using Facts = FormatFacts<type>;
  using F = typename L::F;
  using I = typename L::I;

  /// The eight groups of four columns of one block; `from` is where the block's codes begin.
  static void codes(const std::uint8_t* from, I (&w)[8]) {
    if constexpr (Facts::kBytes) {
      for (int g = 0; g < 8; ++g) w[g] = L::codes(from + 64 * g);
      return;
    }
    if constexpr (Facts::kNibbles) {
      for (int g = 0; g < 4; ++g) {
        const I both = L::codes(from + 64 * g);
        w[g] = L::low_nibbles(both);
        w[g + 4] = L::high_nibbles(both);
      }
      from += 256;
    }
    if constexpr (Facts::kPairs) {
      for (int c = 0; c < 2; ++c) {
        const I four = L::codes(from + 64 * c);
        if constexpr (Facts::kNibbles) {
          w[4 * c] = L::either(w[4 * c], L::template high_pair<0>(four));
          w[4 * c + 1] = L::either(w[4 * c + 1], L::template high_pair<1>(four));
          w[4 * c + 2] = L::either(w[4 * c + 2], L::template high_pair<2>(four));
          w[4 * c + 3] = L::either(w[4 * c + 3], L::template high_pair<3>(four));
        } else {
          w[4 * c] = L::template pair<0>(four);
          w[4 * c + 1] = L::template pair<1>(four);
          w[4 * c + 2] = L::template pair<2>(four);
          w[4 * c + 3] = L::template pair<3>(four);
        }
      }
      from += 128;
    }
    if constexpr (Facts::kBits) {
      for (int g = 0; g < 8; ++g) w[g] = L::template add_bits<Facts::kNibbles ? 16 : 4>(w[g], from + 8 * g);
    }
    if constexpr (Facts::kIq4) {
      for (int g = 0; g < 8; ++g) w[g] = L::table(kIq4Table, w[g]);
    }
  }

  /// Scales s and minima m of block b of a superblock; m only where the format has them.
  static void scales(const std::uint8_t* superblock, int b, F (&s)[2], F (&m)[2]) {
    const F d = L::half(superblock);
    if constexpr (!Facts::kLong) {
      s[0] = d;
      if constexpr (Facts::kMinimum) m[0] = L::half(superblock + 2 * kPanelRows);
    } else if constexpr (type == PackedType::kQ2_K) {
      const F minus_dmin = L::sub(L::zero(), L::half(superblock + 2 * kPanelRows));
      for (int h = 0; h < 2; ++h) {
        const F both = L::u8(superblock + 4 * kPanelRows + kPanelRows * (2 * b + h));
        // both = 16 high + low, so both/16 - 15/32 lies within 15/32 of high.
        const F high = L::to_float(L::round(L::fma(both, L::set1(0.0625F), L::set1(-0.46875F))));
        s[h] = L::mul(d, L::fma(high, L::set1(-16), both));
        m[h] = L::mul(minus_dmin, high);
      }
    } else if constexpr (Facts::kMinBytes != 0) {
      const F minus_dmin = L::sub(L::zero(), L::half(superblock + 2 * kPanelRows));
      s[0] = L::mul(d, L::u8(superblock + 4 * kPanelRows + kPanelRows * b));
      m[0] = L::mul(minus_dmin, L::u8(superblock + 4 * kPanelRows + kPanelRows * (8 + b)));
    } else {
      for (int h = 0; h < Facts::kParts; ++h) {
        s[h] = L::mul(d, L::i8(superblock + 2 * kPanelRows + kPanelRows * (Facts::kParts * b + h)));
      }
    }
  }

  /// What the sum of code products starts from, so that the offset of the codes is taken off.
  static I start(const ActivationBlock& x, int part) {
    if constexpr (Facts::kWide && L::kSignedWide) return L::zero_i();
    if constexpr (Facts::kWide) return L::set1_i(x.minus128);
    if constexpr (type == PackedType::kQ4_0) return L::set1_i(x.minus8);
    if constexpr (type == PackedType::kQ5_0) return L::template shl<1>(L::set1_i(x.minus8));
    if constexpr (type == PackedType::kQ6_K) return L::set1_i(x.minus32[part]);
    if constexpr (type == PackedType::kQ3_K) return L::template sra<3>(L::set1_i(x.minus32[part]));
    return L::zero_i();
  }

  static I dp(I sum, I w, const std::int8_t* four) {
    if constexpr (Facts::kWide)
      return L::dp_wide(sum, w, four);
    else
      return L::dp(sum, w, four);
  }
};

}  // namespace agon::llm
