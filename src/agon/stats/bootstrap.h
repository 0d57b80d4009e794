// The clustered bootstrap: how far a figure would move if other prompts had been asked.
//
// Votes on one prompt resemble each other, so drawing rows one by one would give intervals that are
// too narrow. Whole clusters are drawn with replacement instead, as many as there are (Davison and
// Hinkley 1997, section 3.8; Field and Welsh 2007). A draw is never a list of rows: it is one
// multiplicity for each cluster, and every figure is computed from per-cluster sums or pre-sorted rows
// weighted by that multiplicity, which makes a draw linear in the rows with a small constant.
#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <span>
#include <vector>

namespace agon {

/// A figure with its confidence interval. `n` rows stood behind it; NaN when it can't be computed.
/// low and high are NaN with fewer than two clusters: one prompt says nothing about the next one.
struct Estimate {
  double value = 0, low = 0, high = 0;
  std::uint64_t n = 0;
};

struct BootstrapOptions {
  int draws = 1000;
  double level = 0.95;
  std::uint64_t seed = 1;
};

/// Cluster labels renumbered 0..count-1 in order of first appearance.
struct DenseClusters {
  std::vector<std::uint32_t> of_row;
  std::uint32_t count = 0;
};
[[nodiscard]] DenseClusters dense_clusters(std::span<const std::uint32_t> labels);

/// How many times each cluster was drawn.
using Multiplicities = std::span<const std::uint32_t>;

/// Calls `body(draw, multiplicities)` once for each draw, from any thread: write to slot `draw` only.
/// Draw d uses Random(seed, d), so the numbers are the same on any number of threads.
void for_each_draw(std::uint32_t clusters, const BootstrapOptions& options,
                   const std::function<void(std::size_t, Multiplicities)>& body);

/// Quantile q in [0, 1] of ascending values, linear between order statistics (type 7 of Hyndman and
/// Fan 1996, numpy's default). NaN when there are none.
[[nodiscard]] double sorted_quantile(std::span<const double> ascending, double q);

/// The percentile interval of `level` from the draws. Draws that are NaN (a resample without a row of
/// the class, say) are left out; when fewer than half remain the interval is NaN.
[[nodiscard]] Estimate percentile_interval(double value, std::vector<double> draws, double level,
                                           std::uint64_t n);

}  // namespace agon
