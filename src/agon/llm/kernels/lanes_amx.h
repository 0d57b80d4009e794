// Sixteen lanes on AVX-512 with tile registers beside them. Included only by files that are compiled for it.
#pragma once

#ifdef __AMX_INT8__  // else this header is empty

#include "agon/llm/kernels/lanes_bf16.h"

namespace agon::llm {

struct LanesAmx : LanesBf16 {
  static constexpr bool kTiles = true;

  static I sub_bytes(I a, I b) { return _mm512_sub_epi8(a, b); }
  /// table[x & 15] in every lane.
  static F lookup(F table, I x) { return _mm512_permutexvar_ps(x, table); }
  template <int n>
  static I shr(I x) {
    return _mm512_srli_epi32(x, n);
  }
};

}  // namespace agon::llm

#endif
