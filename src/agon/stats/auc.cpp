#include "agon/stats/auc.h"

#include <algorithm>
#include <cmath>
#include <limits>
#include <numeric>

#include "agon/base/check.h"

namespace agon {

AucTable::AucTable(std::span<const AucRow> rows) {
  std::vector<std::size_t> order(rows.size());
  std::iota(order.begin(), order.end(), std::size_t{0});
  for (const AucRow& row : rows) AGON_CHECK(!std::isnan(row.score));
  std::stable_sort(order.begin(), order.end(),
                   [&](std::size_t i, std::size_t j) { return rows[i].score < rows[j].score; });
  entries_.reserve(rows.size());
  for (std::size_t k = 0; k < order.size(); ++k) {
    const AucRow& row = rows[order[k]];
    const bool last = k + 1 == order.size() || rows[order[k + 1]].score != row.score;
    entries_.push_back({row.positive ? row.weight : 0, row.positive ? 0 : row.weight, row.cluster, last});
  }
}

template <class Weight>
double AucTable::area(const Weight& times_of) const {
  double below = 0, positives = 0;  // negative weight under this score; all positive weight so far
  double tie_positive = 0, tie_negative = 0, wins = 0;
  for (const Entry& entry : entries_) {
    const double times = times_of(entry.cluster);
    tie_positive += times * entry.positive_weight;
    tie_negative += times * entry.negative_weight;
    if (!entry.ends_tie) continue;
    wins += tie_positive * (below + 0.5 * tie_negative);
    below += tie_negative;
    positives += tie_positive;
    tie_positive = tie_negative = 0;
  }
  if (!(below > 0) || !(positives > 0)) return std::numeric_limits<double>::quiet_NaN();
  return wins / (below * positives);
}

double AucTable::value() const {
  return area([](std::uint32_t) { return 1.0; });
}

double AucTable::of_draw(Multiplicities times) const {
  return area([&](std::uint32_t cluster) { return static_cast<double>(times[cluster]); });
}

}  // namespace agon
