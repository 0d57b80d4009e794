// Counts drawn at random, exactly, from base/random's stream.
#pragma once

#include <cmath>
#include <cstddef>
#include <cstdint>

#include "agon/base/random.h"
#include "agon/ranking/lanes.h"

namespace agon {

/// Poisson counts of one mean, with the constants worked out once. Below a mean of 12 by sequential search;
/// above, by transformed rejection (Hörmann 1993, "The transformed rejection method for generating Poisson
/// random variables", algorithm PTRS).
class Poisson {
 public:
  explicit Poisson(double mean) : mean_(mean) {
    if (mean < 12) {
      zero_ = std::exp(-mean);
      return;
    }
    b_ = 0.931 + 2.53 * std::sqrt(mean);
    a_ = -0.059 + 0.02483 * b_;
    inverse_alpha_ = 1.1239 + 1.1328 / (b_ - 3.4);
    sure_ = 0.9277 - 3.6224 / (b_ - 2);
    log_mean_ = std::log(mean);
  }
  [[nodiscard]] double mean() const { return mean_; }

  double operator()(Random& random) const {
    if (mean_ < 12) {
      double p = zero_, u = random.uniform();
      double k = 0;
      while (u > p) {
        u -= p;
        p *= mean_ / ++k;
        if (k > 200) break;  // u lies in the rounding of the sum
      }
      return k;
    }
    for (;;) {
      const double u = random.uniform() - 0.5, v = random.uniform();
      const double us = 0.5 - std::abs(u);
      const double k = std::floor((2 * a_ / us + b_) * u + mean_ + 0.43);
      if (us >= 0.07 && v <= sure_) return k;
      if (k < 0 || (us < 0.013 && v > us)) continue;
      if (std::log(v * inverse_alpha_ / (a_ / (us * us) + b_)) <= k * log_mean_ - mean_ - std::lgamma(k + 1))
        return k;
    }
  }

 private:
  double mean_, zero_ = 0, a_ = 0, b_ = 0, inverse_alpha_ = 0, sure_ = 0, log_mean_ = 0;
};

/// Poisson counts of mean 1 from eight uniform numbers at a time: how many of the cumulative probabilities
/// each exceeds.
class UnitPoisson {
 public:
  UnitPoisson() {
    double p = std::exp(-1.0), sum = 0;
    for (std::size_t k = 0; k < kMost; p /= static_cast<double>(++k)) cumulative_[k] = sum += p;
  }
  AGON_INLINE void operator()(const lanes::Doubles& uniform, lanes::Doubles& out) const {
    const lanes::Doubles one = lanes::Doubles{} + 1.0, zero{};
    lanes::Doubles count{};
    for (std::size_t k = 0; k < kFirst; ++k) count += uniform > cumulative_[k] ? one : zero;
    // One in a million goes on.
    for (std::size_t v = 0; v < lanes::kWidth; ++v)
      if (count[v] == static_cast<double>(kFirst)) [[unlikely]]
        for (std::size_t k = kFirst; k < kMost && uniform[v] > cumulative_[k]; ++k) ++count[v];
    out = count;
  }

 private:
  // The probability of more than 8 is 1.1e-6, of more than 20 it is 7e-21, less than a uniform number tells.
  static constexpr std::size_t kFirst = 9, kMost = 21;
  double cumulative_[kMost];
};

}  // namespace agon
