#include "agon/data/battles.h"

#include <algorithm>

#include "agon/base/check.h"
#include "agon/data/battle_part.h"

namespace agon {

PairTable fold_order(const PairTable& pairs) {
  PairTable folded;
  folded.reserve(pairs.size());
  for (PairCount pair : pairs) {
    if (pair.first > pair.second) {
      std::swap(pair.first, pair.second);
      std::swap(pair.weight[0], pair.weight[1]);
      std::swap(pair.weight_sq[0], pair.weight_sq[1]);
    }
    folded.push_back(pair);
  }
  // Stable, so that the sum of the two orders does not depend on anything but the table.
  std::ranges::stable_sort(folded, {}, [](const PairCount& p) { return std::pair(p.first, p.second); });
  std::size_t kept = 0;
  for (std::size_t i = 0; i < folded.size(); ++i) {
    if (kept > 0 && folded[kept - 1].first == folded[i].first &&
        folded[kept - 1].second == folded[i].second) {
      PairCount& sum = folded[kept - 1];
      sum.battles += folded[i].battles;
      for (std::size_t k = 0; k < kBattleClasses; ++k) {
        sum.weight[k] += folded[i].weight[k];
        sum.weight_sq[k] += folded[i].weight_sq[k];
      }
      sum.cross += folded[i].cross;
    } else {
      folded[kept++] = folded[i];
    }
  }
  folded.resize(kept);
  return folded;
}

const CodeColumn* BattleRows::find(std::string_view name) const {
  for (const CodeColumn& column : codes) {
    if (column.name == name) return &column;
  }
  return nullptr;
}

PairTable count_pairs(const BattleRows& battles, std::size_t competitors,
                      std::span<const std::uint32_t> rows) {
  battle_parts::PairCounter counter;
  const auto add = [&](std::size_t i) {
    AGON_CHECK(battles.a[i] < competitors && battles.b[i] < competitors);
    const double weight = battles.weight.empty() ? 1 : battles.weight[i];
    const double share = battles.outcome[i] == BattleOutcome::kShare ? double{battles.share[i]} : 0;
    counter.add(battles.a[i], battles.b[i], battles.outcome[i], weight, share);
  };
  if (rows.empty()) {
    for (std::size_t i = 0; i < battles.size(); ++i) add(i);
  } else {
    for (const std::uint32_t i : rows) add(i);
  }
  return counter.table();
}

std::uint64_t BattleSet::battles() const {
  std::uint64_t sum = 0;
  for (const PairCount& pair : pairs) sum += pair.battles;
  return sum;
}

}  // namespace agon
