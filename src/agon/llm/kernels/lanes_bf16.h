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
};

}  // namespace agon::llm

#endif
