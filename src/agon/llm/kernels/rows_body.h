// What is done to rows of numbers between the products: norms, rounding to bytes, gates, turning by position.
#pragma once

#include <cstdint>

#include "agon/llm/kernels/kernels.h"

namespace agon::llm {

template <class L>
struct Rows {
  using F = typename L::F;
  using I = typename L::I;

  /// exp(x) to 2e-7 relative for x in [-87, 88]; exactly 0 below -87. Cody-Waite reduction by ln 2 in two
  /// parts and the Taylor polynomial of degree 7 on [-ln2/2, ln2/2], whose remainder is below 6e-9.
  static F exp(F x) {
    const F lowest = L::set1(-87.0F);
    const F clamped = L::max(x, lowest);
    const I n = L::round(L::mul(clamped, L::set1(1.4426950408889634F)));
    const F k = L::to_float(n);
    F r = L::fma(k, L::set1(-0.693359375F), clamped);
    r = L::fma(k, L::set1(2.12194440e-4F), r);
    F p = L::set1(1.0F / 5040);
    p = L::fma(p, r, L::set1(1.0F / 720));
    p = L::fma(p, r, L::set1(1.0F / 120));
    p = L::fma(p, r, L::set1(1.0F / 24));
    p = L::fma(p, r, L::set1(1.0F / 6));
    p = L::fma(p, r, L::set1(0.5F));
    p = L::fma(p, r, L::set1(1.0F));
    p = L::fma(p, r, L::set1(1.0F));
    return L::zero_below(x, lowest, L::mul(p, L::pow2(n)));
  }

  /// 1 / (1 + exp(-x)).
  static F sigmoid(F x) {
    const F one = L::set1(1);
    // exp overflows beyond 88: there the sigmoid is 1 / (1 + exp(87)), as good as 0.
    const F minus = L::max(L::sub(L::zero(), x), L::set1(-87.0F));
    const F bounded = L::sub(L::zero(), L::max(L::sub(L::zero(), minus), L::set1(-87.0F)));
    return L::div(one, L::add(one, exp(bounded)));
  }

  /// tanh(x) to 4e-7 relative: x + x^3 P(x^2) up to 0.625, P of degree 4 through the Chebyshev nodes (its
  /// error is 2e-8), and sign(x) (1 - 2 / (exp(2|x|) + 1)) beyond. Small values matter: soft-capped scores
  /// are near the middle, where a sigmoid less a half would keep few digits.
  static F tanh(F x) {
    const F one = L::set1(1), border = L::set1(0.625F);
    const F size = L::abs(x);
    // The polynomial must not overflow where it is not used.
    const F near = L::sub(L::zero(), L::max(L::sub(L::zero(), L::max(x, L::set1(-1))), L::set1(-1)));
    const F square = L::mul(near, near);
    F p = L::set1(-0.006096714F);
    p = L::fma(p, square, L::set1(0.02099718F));
    p = L::fma(p, square, L::set1(-0.053850908F));
    p = L::fma(p, square, L::set1(0.1333277F));
    p = L::fma(p, square, L::set1(-0.33333328F));
    const F small = L::fma(L::mul(p, square), near, near);
    // At 10 the result is 1.
    const F twice = L::sub(L::zero(), L::max(L::mul(L::set1(-2), size), L::set1(-20)));
    const F large = L::sub(one, L::div(L::set1(2), L::add(exp(twice), one)));
    const F signed_large =
        L::sub(L::zero_below(x, L::zero(), large), L::zero_below(L::sub(L::zero(), x), L::zero(), large));
    return L::add(L::zero_below(size, border, signed_large),
                  L::sub(small, L::zero_below(size, border, small)));
  }

  static void quantize(const float* x, int count, ActivationBlock* out, std::ptrdiff_t rest) {
    for (int i = 0; i < count; i += kBlock, out += Activations::kTile, x += kBlock) {
      const F a = L::load(x), b = L::load(x + 16);
      const auto [qa, qb] = to_block(a, b, *out);
      if (rest == 0) continue;
      const F minus_d = L::set1(-out->d);
      to_block(L::fma(minus_d, L::to_float(qa), a), L::fma(minus_d, L::to_float(qb), b), out[rest]);
    }
  }

  static void rms_norm(const float* x, const float* weight, int n, float epsilon, float* out) {
    F squares = L::zero();
    for (int i = 0; i < n; i += 16) {
      const F v = L::load(x + i);
      squares = L::fma(v, v, squares);
    }
    const double mean = static_cast<double>(L::sum(squares)) / n;
    const F scale = L::set1(static_cast<float>(1.0 / __builtin_sqrt(mean + static_cast<double>(epsilon))));
    for (int i = 0; i < n; i += 16) {
      L::store(out + i, L::mul(L::mul(L::load(x + i), scale), L::load(weight + i)));
    }
  }

  static void rope(float* x, const float* cosines, const float* sines, int pairs) {
    int i = 0;
    for (; i + 16 <= pairs; i += 16) {
      const F a = L::load(x + i), b = L::load(x + pairs + i);
      const F c = L::load(cosines + i), s = L::load(sines + i);
      L::store(x + i, L::fma(a, c, L::sub(L::zero(), L::mul(b, s))));
      L::store(x + pairs + i, L::fma(a, s, L::mul(b, c)));
    }
    for (; i < pairs; ++i) {
      const float a = x[i], b = x[pairs + i];
      x[i] = __builtin_fmaf(a, cosines[i], -(b * sines[i]));
      x[pairs + i] = __builtin_fmaf(a, sines[i], b * cosines[i]);
    }
  }

  static void gated(Gate kind, float* gate, const float* up, int n) {
    for (int i = 0; i < n; i += 16) {
      const F x = L::load(gate + i);
      F inner = x;
      if (kind == Gate::kGeluTanh) {
        // 0.5 x (1 + tanh(u)) = x sigmoid(2u) with u = sqrt(2/pi) (x + 0.044715 x^3)
        const F cube = L::mul(L::mul(x, x), x);
        inner = L::mul(L::set1(1.5957691216057308F), L::fma(L::set1(0.044715F), cube, x));
      }
      L::store(gate + i, L::mul(L::mul(x, sigmoid(inner)), L::load(up + i)));
    }
  }

  static void add(float* x, const float* y, int n) {
    for (int i = 0; i < n; i += 16) L::store(x + i, L::add(L::load(x + i), L::load(y + i)));
  }

  static void summarize(float* x, int n, float cap, float* largest, int* place, double* sum) {
    if (cap != 0) {
      const F c = L::set1(cap);
      for (int i = 0; i < n; i += 16) L::store(x + i, L::mul(c, tanh(L::div(L::load(x + i), c))));
    }
    F best = L::set1(-__builtin_inff());
    for (int i = 0; i < n; i += 16) best = L::max(L::load(x + i), best);
    *largest = L::largest(best);
    // By sixteens, without a branch in each, which the compiler takes in registers.
    int at = 0;
    for (; at + 16 < n; at += 16) {
      int found = 0;
      for (int j = 0; j < 16; ++j) found |= static_cast<int>(x[at + j] == *largest);
      if (found != 0) break;
    }
    while (at + 1 < n && x[at] != *largest) ++at;
    *place = at;
    if (sum == nullptr) return;
    // Lane sums of at most a few thousand numbers each in (0, 1] lose nothing that matters in float; the
    // lanes are folded in double.
    double total = 0;
    const F top = L::set1(*largest);
    for (int begin = 0; begin < n; begin += 1024) {
      F part = L::zero();
      const int end = begin + 1024 < n ? begin + 1024 : n;
      for (int i = begin; i < end; i += 16) part = L::add(part, exp(L::sub(L::load(x + i), top)));
      alignas(64) float lanes[16];
      L::store(lanes, part);
      for (const float lane : lanes) total += static_cast<double>(lane);
    }
    *sum = total;
  }

  static float largest(const float* x, int n) {
    F best[4];
    for (F& one : best) one = L::set1(kNever);
    each_sixteen(x, n, [&](int i, F v) { best[i / 16 % 4] = L::max(v, best[i / 16 % 4]); });
    return L::largest(L::max(L::max(best[0], best[1]), L::max(best[2], best[3])));
  }

  static double weigh(const float* x, int n, float from, float factor) {
    const F minus = L::set1(from), times = L::set1(factor);
    double total = 0;
    for (int begin = 0; begin < n; begin += 1024) {
      F part = L::zero();
      each_sixteen(x + begin, n - begin < 1024 ? n - begin : 1024,
                   // The maximum takes its second where the first is NaN.
                   [&](int, F v) {
                     part = L::add(part, exp(L::mul(L::sub(L::max(v, L::set1(kNever)), minus), times)));
                   });
      alignas(64) float lanes[16];
      L::store(lanes, part);
      for (const float lane : lanes) total += static_cast<double>(lane);
    }
    return total;
  }

  static int at_least(const float* x, int n, float floor, std::int32_t* places) {
    const F limit = L::set1(floor);
    int count = 0;
    // Behind the end stand minus infinities, which even such a floor does not let in.
    each_sixteen(x, n, [&](int i, F v) {
      for (unsigned bits = L::at_least(v, limit); bits != 0; bits &= bits - 1) {
        const int place = i + __builtin_ctz(bits);
        if (place < n) places[count++] = place;
      }
    });
    return count;
  }

 private:
  static constexpr float kNever = -__builtin_inff();
  /// body(i, x[i to i+15]), minus infinity behind the end.
  template <class Body>
  static void each_sixteen(const float* x, int n, const Body& body) {
    int i = 0;
    for (; i + 16 <= n; i += 16) body(i, L::load(x + i));
    if (i == n) return;
    float last[16];
    for (int j = 0; j < 16; ++j) last[j] = i + j < n ? x[i + j] : kNever;
    body(i, L::load(last));
  }
  struct Rounded {
    I first, second;
  };
  static Rounded to_block(F a, F b, ActivationBlock& out) {
    const float largest = L::largest(L::max(L::abs(a), L::abs(b)));
    // Numbers so small that the inverse would overflow count as zeros.
    const bool tiny = largest < 0x1p-100F;
    const float d = tiny ? 0.0F : largest / 127.0F;
    const F inverse = L::set1(tiny ? 0.0F : 127.0F / largest);
    // The maximum keeps what comes of NaN and infinity within the bytes.
    const F lowest = L::set1(-127);
    const I qa = L::round(L::max(L::mul(a, inverse), lowest));
    const I qb = L::round(L::max(L::mul(b, inverse), lowest));
    L::store_i8(out.q, qa);
    L::store_i8(out.q + 16, qb);
    const std::int32_t first = L::sum_i(qa);
    const std::int32_t second = L::sum_i(qb);
    out.d = d;
    out.sum = d * static_cast<float>(first + second);
    out.half[0] = d * static_cast<float>(first);
    out.half[1] = d * static_cast<float>(second);
    out.minus8 = -8 * (first + second);
    out.minus128 = -128 * (first + second);
    out.minus32[0] = -32 * first;
    out.minus32[1] = -32 * second;
    return {qa, qb};
  }
};

}  // namespace agon::llm
