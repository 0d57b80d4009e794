// Sixteen lanes on AVX-512 with products of pairs of bfloat16. Included only by files that are compiled for
// it.
#pragma once

#ifdef __AVX512BF16__  // else this header is empty

#include "agon/llm/kernels/lanes_avx512.h"

namespace agon::llm {

struct LanesBf16 : LanesAvx512<true, true> {
  static constexpr bool kPairs = true;

  /// Adds the products of 16 pairs of weights with one pair of activations, given as its 32 bits.
  static F dp_pairs(F sum, I w, std::int32_t pair) {
    return _mm512_dpbf16_ps(sum, reinterpret_cast<__m512bh>(w),
                            reinterpret_cast<__m512bh>(_mm512_set1_epi32(pair)));
  }
  /// 32 numbers rounded to bfloat16, in their order.
  static I sequence(F first, F second) { return reinterpret_cast<I>(_mm512_cvtne2ps_pbh(second, first)); }
  /// Two rows rounded to bfloat16, lane by lane side by side.
  static I pairs(F even, F odd) {
    // Half a unit is added and the rest cut off, which is the nearest with halves away from zero: two sums, a
    // shift and a blend, where the instruction that rounds would need a permutation behind it.
    const I half = _mm512_set1_epi32(0x8000);
    const I low = _mm512_srli_epi32(_mm512_add_epi32(_mm512_castps_si512(even), half), 16);
    const I high = _mm512_add_epi32(_mm512_castps_si512(odd), half);
    return _mm512_mask_blend_epi16(0xaaaaaaaaU, low, high);
  }
  /// Lane i is the largest of rows[i]. Each step puts halves of two rows side by side; rows are used up.
  static F largest_of_each(F (&rows)[16]) {
    for (int i = 0; i < 8; ++i) {  // rows i and i + 8: 8 lanes of each
      rows[i] = _mm512_max_ps(_mm512_shuffle_f32x4(rows[i], rows[i + 8], 0x44),
                              _mm512_shuffle_f32x4(rows[i], rows[i + 8], 0xee));
    }
    for (int i = 0; i < 4; ++i) {  // 4 lanes of each of rows i, i + 4, i + 8, i + 12
      rows[i] = _mm512_max_ps(_mm512_shuffle_f32x4(rows[i], rows[i + 4], 0x88),
                              _mm512_shuffle_f32x4(rows[i], rows[i + 4], 0xdd));
    }
    // 128-bit lanes now belong to rows i, i + 8, i + 4, i + 12.
    const auto halves = [](F a, F b) {
      return _mm512_max_ps(_mm512_shuffle_ps(a, b, 0x44), _mm512_shuffle_ps(a, b, 0xee));
    };
    const F even = halves(rows[0], rows[2]), odd = halves(rows[1], rows[3]);  // two of rows 0, 2 and 1, 3
    const F all = _mm512_max_ps(_mm512_shuffle_ps(even, odd, 0x88), _mm512_shuffle_ps(even, odd, 0xdd));
    // Lanes of rows 0 2 1 3, 8 10 9 11, 4 6 5 7, 12 14 13 15.
    return _mm512_permutexvar_ps(_mm512_set_epi32(15, 13, 14, 12, 7, 5, 6, 4, 11, 9, 10, 8, 3, 1, 2, 0), all);
  }
  /// p 2^n, where `shifted` is kNearest + n and p at least 1/2, in lanes whose x is `lowest` or more; exactly
  /// 0 in the others, even where p is no number. On the bits: vscalef takes a hundred cycles where a result
  /// is below the normal floats.
  static constexpr float kNearest = 0x1.8p23F;  // a sum with it ends in the nearest whole number
  static F scale2(F p, F shifted, F x, F lowest) {
    return _mm512_castsi512_ps(_mm512_maskz_add_epi32(_mm512_cmp_ps_mask(x, lowest, _CMP_GE_OQ),
                                                      _mm512_castps_si512(p),
                                                      _mm512_slli_epi32(_mm512_castps_si512(shifted), 23)));
  }
  /// Lanes `first` to `last` of x, minus infinity in the others.
  static F keep(F x, int first, int last) {
    const unsigned from = first <= 0 ? 0xffffU : 0xffffU << (first < 16 ? first : 16);
    const unsigned to = last >= 15 ? 0xffffU : last < 0 ? 0U : 0xffffU >> (15 - last);
    return _mm512_mask_mov_ps(_mm512_set1_ps(-__builtin_inff()), static_cast<__mmask16>(from & to), x);
  }
};

}  // namespace agon::llm

#endif
