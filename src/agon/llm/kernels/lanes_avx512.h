// Sixteen lanes on AVX-512. Included only by files that are compiled for it.
#pragma once

#ifdef __AVX512F__  // else this header is empty

#include <immintrin.h>

#include <cstdint>

namespace agon::llm {

/// `kBf16` only keeps the code of files compiled for other instructions apart. `kVnni`: products of bytes by
/// one instruction; else by widening, to the same exact integers.
template <bool kVnni, bool kBf16 = false>
struct LanesAvx512 {
  using F = __m512;
  using I = __m512i;
  static constexpr int kTile = 8;      // rows of activations kept in registers
  static constexpr int kStream = 16;   // the same where the weights pass through registers
  static constexpr int kTileRows = 6;  // the same times kTilePanels decoded panels
  static constexpr int kTilePanels = 2;
  static constexpr bool kPairs = false;        // products of pairs of bfloat16 in one instruction
  static constexpr bool kTiles = false;        // tile registers for products of many rows
  static constexpr bool kSignedWide = !kVnni;  // dp_wide takes codes less their offset of 128

  static F zero() { return _mm512_setzero_ps(); }
  static F set1(float x) { return _mm512_set1_ps(x); }
  static F load(const float* p) { return _mm512_loadu_ps(p); }
  static void store(float* p, F x) { _mm512_storeu_ps(p, x); }
  static F fma(F a, F b, F c) { return _mm512_fmadd_ps(a, b, c); }
  static F mul(F a, F b) { return _mm512_mul_ps(a, b); }
  static F add(F a, F b) { return _mm512_add_ps(a, b); }
  static F sub(F a, F b) { return _mm512_sub_ps(a, b); }
  static F div(F a, F b) { return _mm512_div_ps(a, b); }
  static F max(F a, F b) { return _mm512_max_ps(a, b); }
  static F abs(F a) { return _mm512_abs_ps(a); }
  static F sqrt(F a) { return _mm512_sqrt_ps(a); }
  static F zero_below(F x, F limit, F y) {
    return _mm512_maskz_mov_ps(_mm512_cmp_ps_mask(x, limit, _CMP_NLT_UQ), y);
  }
  /// A bit for each lane of x that is `limit` or more.
  static unsigned at_least(F x, F limit) { return _mm512_cmp_ps_mask(x, limit, _CMP_GE_OQ); }
  static F half(const void* p) { return _mm512_cvtph_ps(_mm256_loadu_si256(static_cast<const __m256i*>(p))); }
  static F bf16(const void* p) {
    return _mm512_castsi512_ps(
        _mm512_slli_epi32(_mm512_cvtepu16_epi32(_mm256_loadu_si256(static_cast<const __m256i*>(p))), 16));
  }
  static F i8(const void* p) {
    return _mm512_cvtepi32_ps(_mm512_cvtepi8_epi32(_mm_loadu_si128(static_cast<const __m128i*>(p))));
  }
  static F u8(const void* p) {
    return _mm512_cvtepi32_ps(_mm512_cvtepu8_epi32(_mm_loadu_si128(static_cast<const __m128i*>(p))));
  }
  static void store_half(void* p, F x) {
    _mm256_storeu_si256(static_cast<__m256i*>(p), _mm512_cvtps_ph(x, _MM_FROUND_TO_NEAREST_INT));
  }
  static void store_bf16(void* p, F x) {
    const I bits = _mm512_castps_si512(x);
    const I even = _mm512_and_si512(_mm512_srli_epi32(bits, 16), _mm512_set1_epi32(1));
    const I rounded = _mm512_add_epi32(bits, _mm512_add_epi32(even, _mm512_set1_epi32(0x7fff)));
    _mm256_storeu_si256(static_cast<__m256i*>(p), _mm512_cvtepi32_epi16(_mm512_srli_epi32(rounded, 16)));
  }
  static F as_float(I x) { return _mm512_castsi512_ps(x); }
  static F to_float(I x) { return _mm512_cvtepi32_ps(x); }
  static I round(F x) { return _mm512_cvtps_epi32(x); }
  static F pow2(I n) {
    return _mm512_castsi512_ps(_mm512_slli_epi32(_mm512_add_epi32(n, _mm512_set1_epi32(127)), 23));
  }
  static void store_i8(void* p, I x) { _mm_storeu_si128(static_cast<__m128i*>(p), _mm512_cvtepi32_epi8(x)); }

  static I zero_i() { return _mm512_setzero_si512(); }
  static I set1_i(std::int32_t x) { return _mm512_set1_epi32(x); }
  static I add_i(I a, I b) { return _mm512_add_epi32(a, b); }
  template <int n>
  static I shl(I x) {
    return _mm512_slli_epi32(x, n);
  }
  template <int n>
  static I sra(I x) {
    return _mm512_srai_epi32(x, n);
  }

  static I codes(const void* p) { return _mm512_loadu_si512(p); }
  static void store_codes(void* p, I x) { _mm512_storeu_si512(p, x); }
  static I low_nibbles(I x) { return _mm512_and_si512(x, _mm512_set1_epi8(15)); }
  static I high_nibbles(I x) { return _mm512_and_si512(_mm512_srli_epi16(x, 4), _mm512_set1_epi8(15)); }
  template <int s>
  static I pair(I x) {
    return _mm512_and_si512(_mm512_srli_epi16(x, 2 * s), _mm512_set1_epi8(3));
  }
  // A pair of bits s of each byte, moved to bits 4 and 5.
  template <int s>
  static I high_pair(I x) {
    const I moved =
        s < 2 ? _mm512_slli_epi16(x, s < 2 ? 4 - 2 * s : 0) : _mm512_srli_epi16(x, s < 2 ? 0 : 2 * s - 4);
    return _mm512_and_si512(moved, _mm512_set1_epi8(0x30));
  }
  static I either(I a, I b) { return _mm512_or_si512(a, b); }
  template <int value>
  static I add_bits(I w, const void* mask) {
    std::uint64_t bits;
    __builtin_memcpy(&bits, mask, 8);
    return _mm512_mask_add_epi8(w, bits, w, _mm512_set1_epi8(value));
  }
  static I table(const std::uint8_t* sixteen, I nibbles) {
    return _mm512_shuffle_epi8(
        _mm512_broadcast_i32x4(_mm_loadu_si128(reinterpret_cast<const __m128i*>(sixteen))), nibbles);
  }
  template <int i>
  static F byte(I x) {
    return _mm512_cvtepi32_ps(_mm512_and_si512(_mm512_srli_epi32(x, 8 * i), _mm512_set1_epi32(255)));
  }

  // Byte i of each lane less an offset of up to 255, exactly. The byte becomes the lowest of 2^23's mantissa:
  // one shuffle in place of shift, mask and conversion.
  template <int i>
  static F byte_less(I x, F offset) {
    const I from = _mm512_set4_epi32(12 + i, 8 + i, 4 + i, i);
    const I number = _mm512_mask_shuffle_epi8(_mm512_set1_epi32(0x4B000000), 0x1111111111111111, x, from);
    return _mm512_sub_ps(_mm512_castsi512_ps(number), _mm512_add_ps(offset, _mm512_set1_ps(0x1p23F)));
  }

  // Codes up to 63.
  static I dp(I sum, I w, const std::int8_t* four) {
    std::int32_t bits;
    __builtin_memcpy(&bits, four, 4);
    const I x = _mm512_set1_epi32(bits);
    if constexpr (kVnni) return _mm512_dpbusd_epi32(sum, w, x);
    return _mm512_add_epi32(sum, _mm512_madd_epi16(_mm512_maddubs_epi16(w, x), _mm512_set1_epi16(1)));
  }
  // Codes up to 255.
  static I dp_wide(I sum, I w, const std::int8_t* four) {
    if constexpr (kVnni) return dp(sum, w, four);
    std::int32_t bits;
    __builtin_memcpy(&bits, four, 4);
    const I x = _mm512_set1_epi32(bits);
    const I s = _mm512_xor_si512(w, _mm512_set1_epi8(-128));
    const __mmask64 negative = _mm512_movepi8_mask(s);
    // |s| <= 128 times |x| <= 127, twice, stays inside 16 bits.
    const I signed_x = _mm512_mask_sub_epi8(x, negative, _mm512_setzero_si512(), x);
    return _mm512_add_epi32(
        sum, _mm512_madd_epi16(_mm512_maddubs_epi16(_mm512_abs_epi8(s), signed_x), _mm512_set1_epi16(1)));
  }

  static std::int32_t sum_i(I x) { return _mm512_reduce_add_epi32(x); }
  static float sum(F x) {
    // The tree of LanesPlain::sum: lanes i and i+8, then i+4, i+2, i+1.
    const __m256 eight = _mm256_add_ps(_mm512_castps512_ps256(x), _mm512_extractf32x8_ps(x, 1));
    const __m128 four = _mm_add_ps(_mm256_castps256_ps128(eight), _mm256_extractf128_ps(eight, 1));
    const __m128 two = _mm_add_ps(four, _mm_movehl_ps(four, four));
    return _mm_cvtss_f32(_mm_add_ss(two, _mm_movehdup_ps(two)));
  }
  static float largest(F x) { return _mm512_reduce_max_ps(x); }
};

}  // namespace agon::llm

#endif
