// Whether one set of losses is lower than another on the same rows, by more than chance.
#pragma once

#include <algorithm>
#include <cmath>
#include <span>

namespace agon {

/// Mean and standard error of paired differences.
struct Paired {
  double mean = 0, error = 0;
};

/// Of a[i] - b[i]; both have the same size n > 0. The error is sqrt(variance / n), the variance over n.
[[nodiscard]] inline Paired paired_difference(std::span<const double> a, std::span<const double> b) {
  double sum = 0, squares = 0;
  const double n = static_cast<double>(a.size());
  for (std::size_t i = 0; i < a.size(); ++i) {
    const double d = a[i] - b[i];
    sum += d;
    squares += d * d;
  }
  const double mean = sum / n;
  return {mean, std::sqrt(std::max(0.0, squares / n - mean * mean) / n)};
}

}  // namespace agon
