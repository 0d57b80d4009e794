// Inside the ranking room: eight doubles at a time, the same bits on every machine.
//
// Vectors of the compiler's own kind are split into what the processor has, and products and sums are not
// contracted (-ffp-contract=off), so wider registers change the time and never the result. A hot loop is
// written once as an always-inline body and called from one function for each level, chosen by pick().
// Vectors are passed by reference: by value they would change the calling convention with the level.
#pragma once

#include <cstddef>
#include <cstdint>
#include <cstring>

#define AGON_INLINE [[gnu::always_inline]] inline
#if defined(__x86_64__)
#define AGON_AVX512 __attribute__((target("avx512f,avx512dq")))
#define AGON_AVX2 __attribute__((target("avx2")))
#else
#define AGON_AVX512
#define AGON_AVX2
#endif

namespace agon::lanes {

using Doubles = double __attribute__((vector_size(64)));
using Longs = std::int64_t __attribute__((vector_size(64)));
using Floats = float __attribute__((vector_size(64)));
inline constexpr std::size_t kWidth = 8;  ///< doubles

AGON_INLINE void load(const double* p, Doubles& v) { std::memcpy(&v, p, sizeof v); }
AGON_INLINE void load_floats(const float* p, Doubles& v) {
  float __attribute__((vector_size(32))) narrow;
  std::memcpy(&narrow, p, sizeof narrow);
  v = __builtin_convertvector(narrow, Doubles);
}
AGON_INLINE void store(double* p, const Doubles& v) { std::memcpy(p, &v, sizeof v); }
/// Sum of the eight, in a fixed order.
AGON_INLINE double sum(const Doubles& v) {
  return ((v[0] + v[1]) + (v[2] + v[3])) + ((v[4] + v[5]) + (v[6] + v[7]));
}

/// Sum of products over n numbers, a multiple of eight.
AGON_INLINE double dot(const double* a, const double* b, std::size_t n) {
  Doubles total{};
  for (std::size_t k = 0; k < n; k += kWidth) {
    Doubles x, y;
    load(a + k, x);
    load(b + k, y);
    total += x * y;
  }
  return sum(total);
}

/// e^x for x <= 0, within 2 units in the last place; 0 below -700. Cody and Waite's reduction to
/// [-ln 2 / 2, ln 2 / 2] and the Taylor series to degree 13, whose remainder is below 5e-18 there.
AGON_INLINE void exp_negative(const Doubles& x, Doubles& out) {
  const Doubles floor = x < -700.0 ? Doubles{} - 700.0 : x;
  constexpr double kShift = 0x1.8p52;
  const Doubles shifted = floor * 1.44269504088896340736 + kShift;
  const Doubles k = shifted - kShift;
  const Doubles r = (floor - k * 0x1.62e42fefa0000p-1) - k * 0x1.cf79abc9e3b39p-40;
  Doubles p = r * (1.0 / 6227020800.0) + 1.0 / 479001600.0;
  p = p * r + 1.0 / 39916800.0;
  p = p * r + 1.0 / 3628800.0;
  p = p * r + 1.0 / 362880.0;
  p = p * r + 1.0 / 40320.0;
  p = p * r + 1.0 / 5040.0;
  p = p * r + 1.0 / 720.0;
  p = p * r + 1.0 / 120.0;
  p = p * r + 1.0 / 24.0;
  p = p * r + 1.0 / 6.0;
  p = p * r + 0.5;
  p = p * r + 1.0;
  p = p * r + 1.0;
  // 2^k by adding k to the exponent; k sits in the low bits of the shifted number.
  Longs bits, add;
  std::memcpy(&bits, &p, sizeof bits);
  std::memcpy(&add, &shifted, sizeof add);
  bits += add << 52;
  std::memcpy(&p, &bits, sizeof p);
  out = x < -700.0 ? Doubles{} : p;
}

/// log x for normal x > 0 (NaN and infinities come back as such), within 2 units in the last place of the
/// larger of 1 and the result: x = 2^k m with m in [0.7, 1.4], and log m by the series of atanh in (m - 1) /
/// (m + 1), whose remainder is below 1e-18 there.
AGON_INLINE void log_positive(const Doubles& x, Doubles& out) {
  Longs bits;
  std::memcpy(&bits, &x, sizeof bits);
  // The exponent is that of x / sqrt(1/2), so that m lies around 1.
  constexpr std::int64_t kRootHalf = 0x3FE6A09E667F3BCD;
  const Longs k = (bits - kRootHalf) >> 52;
  const Longs rest = bits - (k << 52);
  Doubles m;
  std::memcpy(&m, &rest, sizeof m);
  const Doubles s = (m - 1.0) / (m + 1.0);
  const Doubles q = s * s;
  Doubles p = q * (1.0 / 21) + 1.0 / 19;
  p = p * q + 1.0 / 17;
  p = p * q + 1.0 / 15;
  p = p * q + 1.0 / 13;
  p = p * q + 1.0 / 11;
  p = p * q + 1.0 / 9;
  p = p * q + 1.0 / 7;
  p = p * q + 1.0 / 5;
  p = p * q + 1.0 / 3;
  p = p * q + 1.0;
  const Doubles exponent = __builtin_convertvector(k, Doubles);
  out = exponent * 0x1.62e42fefa0000p-1 + (exponent * 0x1.cf79abc9e3b39p-40 + 2.0 * s * p);
  out = x - x == 0.0 ? out : x;
}

/// log(1 + e) for 0 <= e <= 1, also where e is tiny: twice atanh of e / (2 + e), which is at most a third.
AGON_INLINE void log1p_unit(const Doubles& e, Doubles& out) {
  const Doubles s = e / (2.0 + e);
  const Doubles q = s * s;
  Doubles p = q * (1.0 / 33) + 1.0 / 31;
  p = p * q + 1.0 / 29;
  p = p * q + 1.0 / 27;
  p = p * q + 1.0 / 25;
  p = p * q + 1.0 / 23;
  p = p * q + 1.0 / 21;
  p = p * q + 1.0 / 19;
  p = p * q + 1.0 / 17;
  p = p * q + 1.0 / 15;
  p = p * q + 1.0 / 13;
  p = p * q + 1.0 / 11;
  p = p * q + 1.0 / 9;
  p = p * q + 1.0 / 7;
  p = p * q + 1.0 / 5;
  p = p * q + 1.0 / 3;
  p = p * q + 1.0;
  out = 2.0 * s * p;
}

/// share = 1 / (1 + e^-d) and e = e^-|d|: the logarithm of the larger side is -log(1 + e).
AGON_INLINE void logistic(const Doubles& d, Doubles& share, Doubles& e) {
  const Doubles zero{};
  exp_negative(d < zero ? d : -d, e);
  const Doubles larger = 1.0 / (1.0 + e);
  share = d < zero ? e * larger : larger;
}

/// The processor's level: 2 with AVX-512, 1 with AVX2, else 0.
[[nodiscard]] inline int level() {
#if defined(__x86_64__)
  static const int kLevel = __builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512dq") ? 2
                            : __builtin_cpu_supports("avx2")                                        ? 1
                                                                                                    : 0;
  return kLevel;
#else
  return 0;
#endif
}

/// Of one function in three versions, the one for this processor.
template <class Function>
[[nodiscard]] Function* pick(Function* wide, Function* middle, Function* narrow) {
  return level() == 2 ? wide : level() == 1 ? middle : narrow;
}

}  // namespace agon::lanes
