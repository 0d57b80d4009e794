// From data to places on a chart: scales, round tick values, and labels that keep their distance.
#pragma once

#include <string>
#include <vector>

namespace agon {

/// Round values within [low, high] and the decimals that print them all exactly.
struct Ticks {
  std::vector<double> at;  ///< Ascending; each is a multiple of `step` (or 1, 2, 5 times a power of ten).
  double step = 0;         ///< 0 for logarithmic ticks.
  int decimals = 0;        ///< For format_fixed.
};

/// Multiples of 1, 2 or 5 times a power of ten inside [low, high], about `target` of them and never
/// more than `2 * target + 1` (Heckbert 1990, "Nice numbers for graph labels"). Swapped ends are put
/// right; a range without width or a bound that is not finite gives one tick or none.
[[nodiscard]] Ticks nice_ticks(double low, double high, int target);
/// 1, 2, 5 times powers of ten (or powers alone when those are many) inside [low, high], low > 0.
[[nodiscard]] Ticks log_ticks(double low, double high, int target);

/// A range of data and the pixels it fills; pixel_low may lie right of or below pixel_high.
struct Scale {
  double low = 0, high = 1;
  double pixel_low = 0, pixel_high = 1;
  bool logarithmic = false;
  /// Where `value` lies, clamped to the range; the middle when the range has no width.
  [[nodiscard]] double operator()(double value) const;
};

/// Widens [low, high] so that both ends are round; a range without width gets some.
void widen_to_nice(double& low, double& high, int target);

/// Moves label centres as little as needed so that neighbours are `gap` apart and all lie in
/// [low, high]; keeps the order of `wanted`, equal ones in index order. When there is no room for
/// all, they are spaced evenly. Least squares by pooling adjacent violators.
[[nodiscard]] std::vector<double> spread_labels(const std::vector<double>& wanted, double gap, double low,
                                                double high);

/// The width in pixels that `text` will hardly pass in any common sans-serif face at `size` pixels
/// (measured against DejaVu Sans, the widest in wide use). Never short, often a tenth too long.
[[nodiscard]] double text_width(const std::string& text, double size);
/// `text`, or its beginning with "…" so that it fits.
[[nodiscard]] std::string fit_text(const std::string& text, double size, double width);

}  // namespace agon
