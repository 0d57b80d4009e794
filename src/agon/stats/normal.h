// The normal distribution: what intervals are made from.
#pragma once

#include <cmath>
#include <cstddef>
#include <span>

#include "agon/base/random.h"

namespace agon {

/// P(Z <= x).
[[nodiscard]] inline double normal_cdf(double x) { return 0.5 * std::erfc(-x * 0.70710678118654752440); }

/// The x with P(Z <= x) = p, 0 < p < 1: bisection down to the last bits of the cdf, since it is asked for
/// a handful of times a run. -inf and inf at 0 and 1.
[[nodiscard]] double normal_quantile(double p);

/// The two-sided critical value of `level` in (0, 1): 1.959964 for 0.95.
[[nodiscard]] inline double critical_value(double level) { return normal_quantile(0.5 + 0.5 * level); }

/// Fills `out` with independent standard normals (Box and Muller 1958).
void draw_normals(Random& random, std::span<float> out);

}  // namespace agon
