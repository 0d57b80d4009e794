#include "agon/stats/bootstrap.h"

#include <algorithm>
#include <cmath>
#include <limits>
#include <unordered_map>

#include "agon/base/check.h"
#include "agon/base/parallel.h"
#include "agon/base/random.h"

namespace agon {

DenseClusters dense_clusters(std::span<const std::uint32_t> labels) {
  AGON_CHECK(labels.size() < std::numeric_limits<std::uint32_t>::max());
  DenseClusters dense;
  dense.of_row.reserve(labels.size());
  std::unordered_map<std::uint32_t, std::uint32_t> number;
  number.reserve(labels.size());
  for (const std::uint32_t label : labels) {
    const auto [it, fresh] = number.try_emplace(label, dense.count);
    if (fresh) ++dense.count;
    dense.of_row.push_back(it->second);
  }
  return dense;
}

void for_each_draw(std::uint32_t clusters, const BootstrapOptions& options,
                   const std::function<void(std::size_t, Multiplicities)>& body) {
  AGON_CHECK(options.draws >= 0 && options.level > 0 && options.level < 1);
  if (clusters == 0) return;
  // Eight draws share one buffer of multiplicities; small enough a grain to balance two or 64 threads.
  constexpr std::size_t kGrain = 8;
  parallel_chunks(static_cast<std::size_t>(options.draws), kGrain, [&](std::size_t begin, std::size_t end) {
    std::vector<std::uint32_t> times(clusters);
    for (std::size_t draw = begin; draw < end; ++draw) {
      std::fill(times.begin(), times.end(), 0U);
      Random random(options.seed, draw);
      for (std::uint32_t i = 0; i < clusters; ++i) ++times[random.below(clusters)];
      body(draw, times);
    }
  });
}

double sorted_quantile(std::span<const double> ascending, double q) {
  if (ascending.empty()) return std::numeric_limits<double>::quiet_NaN();
  const double at = std::clamp(q, 0.0, 1.0) * static_cast<double>(ascending.size() - 1);
  const auto below = static_cast<std::size_t>(at);
  const std::size_t above = std::min(below + 1, ascending.size() - 1);
  const double lo = ascending[below], hi = ascending[above];
  if (lo == hi) return lo;  // also keeps infinities from turning into NaN
  return lo + (at - static_cast<double>(below)) * (hi - lo);
}

Estimate percentile_interval(double value, std::vector<double> draws, double level, std::uint64_t n) {
  const double nan = std::numeric_limits<double>::quiet_NaN();
  if (std::isnan(value)) return {nan, nan, nan, n};
  const std::size_t all = draws.size();
  std::erase_if(draws, [](double x) { return std::isnan(x); });
  if (draws.empty() || 2 * draws.size() < all) return {value, nan, nan, n};
  std::sort(draws.begin(), draws.end());
  return {value, sorted_quantile(draws, (1 - level) / 2), sorted_quantile(draws, (1 + level) / 2), n};
}

}  // namespace agon
