#include "agon/text/minhash.h"

#include <algorithm>
#include <array>
#include <limits>

#include "agon/base/check.h"
#include "agon/base/disjoint_sets.h"
#include "agon/base/hash.h"
#include "agon/base/parallel.h"
#include "agon/base/random.h"

namespace agon {
namespace {

constexpr std::size_t kBands = 28, kRows = 4;
constexpr std::size_t kBucketEnds = 32;

/// Odd multipliers; the hashes are already well mixed, so a product's order is a random order.
const std::array<std::uint64_t, kBands * kRows>& multipliers() {
  static const auto table = [] {
    std::array<std::uint64_t, kBands * kRows> out{};
    Random random(0x6d696e68617368);  // fixed: groups must not change with the user's seed
    for (std::uint64_t& m : out) m = random.next() | 1;
    return out;
  }();
  return table;
}

std::array<std::uint64_t, kBands> band_keys(const Sketch& sketch) {
  const auto& factors = multipliers();
  std::array<std::uint64_t, kBands> keys{};
  for (std::size_t band = 0; band < kBands; ++band) {
    std::array<std::uint64_t, kRows> least;
    least.fill(std::numeric_limits<std::uint64_t>::max());
    for (const std::uint64_t hash : sketch.smallest)
      for (std::size_t r = 0; r < kRows; ++r) least[r] = std::min(least[r], hash * factors[band * kRows + r]);
    keys[band] = hash64({reinterpret_cast<const char*>(least.data()), sizeof least}, band);
  }
  return keys;
}

}  // namespace

Sketch sketch_of(std::vector<std::uint64_t> sorted_hashes) {
  Sketch sketch;
  sketch.size = sorted_hashes.size();
  if (sorted_hashes.size() > kSketchSize) sorted_hashes.resize(kSketchSize);
  sorted_hashes.shrink_to_fit();
  sketch.smallest = std::move(sorted_hashes);
  return sketch;
}

double similarity(const Sketch& a, const Sketch& b) {
  if (a.size == 0 || b.size == 0) return 0;
  const bool whole = a.size == a.smallest.size() && b.size == b.smallest.size();
  const std::size_t limit = whole ? std::numeric_limits<std::size_t>::max() : kSketchSize;
  std::size_t i = 0, j = 0, both = 0, seen = 0;
  while (seen < limit && (i < a.smallest.size() || j < b.smallest.size())) {
    ++seen;
    if (j == b.smallest.size() || (i < a.smallest.size() && a.smallest[i] < b.smallest[j])) {
      ++i;
    } else if (i == a.smallest.size() || b.smallest[j] < a.smallest[i]) {
      ++j;
    } else {
      ++both, ++i, ++j;
    }
  }
  return static_cast<double>(both) / static_cast<double>(seen);
}

std::vector<std::uint32_t> near_duplicates(std::span<const Sketch> sketches, double threshold) {
  AGON_CHECK(sketches.size() < std::numeric_limits<std::uint32_t>::max());
  AGON_CHECK(threshold > 0 && threshold <= 1);
  const std::size_t n = sketches.size();
  std::vector<std::array<std::uint64_t, kBands>> keys(n);
  parallel_chunks(n, 256, [&](std::size_t begin, std::size_t end) {
    for (std::size_t i = begin; i < end; ++i)
      if (sketches[i].size > 0) keys[i] = band_keys(sketches[i]);
  });

  DisjointSets sets(n);
  const auto verify = [&](std::uint32_t a, std::uint32_t b) {
    if (sets.root(a) == sets.root(b)) return;
    const auto [small, large] = std::minmax(sketches[a].size, sketches[b].size);
    // Jaccard is at most the ratio of the sizes: most false candidates end here.
    if (static_cast<double>(small) < threshold * static_cast<double>(large)) return;
    if (similarity(sketches[a], sketches[b]) >= threshold) sets.link(a, b);
  };
  std::vector<std::pair<std::uint64_t, std::uint32_t>> order;
  for (std::size_t band = 0; band < kBands; ++band) {
    order.clear();
    for (std::size_t i = 0; i < n; ++i)
      if (sketches[i].size > 0) order.emplace_back(keys[i][band], static_cast<std::uint32_t>(i));
    std::sort(order.begin(), order.end());
    for (std::size_t begin = 0, k = 0; k < order.size(); ++k) {
      if (order[k].first != order[begin].first) begin = k;
      const std::size_t head = std::min(k, begin + kBucketEnds);
      const std::size_t tail = std::max(head, k < kBucketEnds ? 0 : k - kBucketEnds);
      for (std::size_t other = begin; other < head; ++other) verify(order[other].second, order[k].second);
      for (std::size_t other = tail; other < k; ++other) verify(order[other].second, order[k].second);
    }
  }
  std::vector<std::uint32_t> roots(n);
  for (std::size_t i = 0; i < n; ++i) roots[i] = sets.root(static_cast<std::uint32_t>(i));
  return roots;
}

}  // namespace agon
