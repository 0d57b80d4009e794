// Small tables of votes for the tests of this room.
#pragma once

#include <array>
#include <cstdint>
#include <utility>
#include <vector>

#include "agon/base/random.h"
#include "agon/data/battles.h"
#include "agon/ranking/paired_model.h"

namespace agon::ranking_test {

inline constexpr std::array kModels = {TieModel::kHalf, TieModel::kDavidson, TieModel::kRaoKupper,
                                       TieModel::kBadThreshold};

/// Adds unweighted battles.
inline void add(PairTable& table, std::uint32_t first, std::uint32_t second, std::array<double, 4> count) {
  PairCount pair;
  pair.first = first;
  pair.second = second;
  pair.weight = pair.weight_sq = count;
  pair.battles = static_cast<std::uint64_t>(count[0] + count[1] + count[2] + count[3]);
  table.push_back(pair);
}

/// Counts of the rows, written apart from the library's own count_pairs.
inline PairTable count_rows(const BattleRows& rows) {
  PairTable out;
  for (std::size_t r = 0; r < rows.size(); ++r) {
    PairCount* at = nullptr;
    for (PairCount& p : out)
      if (p.first == rows.a[r] && p.second == rows.b[r]) at = &p;
    if (at == nullptr) {
      out.emplace_back();
      at = &out.back();
      at->first = rows.a[r];
      at->second = rows.b[r];
    }
    const double w = rows.weight.empty() ? 1 : rows.weight[r];
    ++at->battles;
    if (rows.outcome[r] == BattleOutcome::kShare) {
      const double s = static_cast<double>(rows.share[r]);
      at->weight[0] += w * s;
      at->weight[1] += w * (1 - s);
      at->weight_sq[0] += w * w * s * s;
      at->weight_sq[1] += w * w * (1 - s) * (1 - s);
      at->cross += w * w * s * (1 - s);
    } else {
      at->weight[static_cast<std::size_t>(rows.outcome[r])] += w;
      at->weight_sq[static_cast<std::size_t>(rows.outcome[r])] += w * w;
    }
  }
  return out;
}

/// `battles` random battles among `n`, everyone meeting everyone, with all four outcomes.
inline BattleRows random_rows(std::uint64_t seed, std::uint32_t n, std::size_t battles) {
  Random random(seed);
  BattleRows rows;
  for (std::size_t r = 0; r < battles; ++r) {
    const auto a = static_cast<std::uint32_t>(random.below(n));
    const auto b = static_cast<std::uint32_t>((a + 1 + random.below(n - 1)) % n);
    const double u = random.uniform(), lean = 0.3 + 0.2 * (a < b);
    rows.a.push_back(a);
    rows.b.push_back(b);
    rows.outcome.push_back(u < lean   ? BattleOutcome::kA
                           : u < 0.7  ? BattleOutcome::kB
                           : u < 0.85 ? BattleOutcome::kTie
                                      : BattleOutcome::kBothBad);
  }
  return rows;
}

/// Four teams of the Wikipedia article on the Bradley-Terry model.
inline PairTable four_teams() {
  PairTable t;
  add(t, 0, 1, {2, 3, 0, 0});
  add(t, 0, 3, {1, 4, 0, 0});
  add(t, 1, 2, {5, 3, 0, 0});
  add(t, 2, 3, {1, 3, 0, 0});
  return t;
}

/// Agresti (2002), table 10.10: the American League East of 1987, home team first; teams Baltimore, Boston,
/// Cleveland, Detroit, Milwaukee, New York, Toronto.
inline PairTable baseball() {
  // Home wins and losses; row: home team.
  constexpr int kHome[7][7][2] = {
      {{0, 0}, {1, 6}, {3, 4}, {1, 5}, {2, 5}, {2, 4}, {1, 6}},
      {{6, 0}, {0, 0}, {5, 2}, {2, 5}, {5, 1}, {4, 2}, {3, 3}},
      {{2, 4}, {4, 2}, {0, 0}, {3, 3}, {2, 5}, {4, 3}, {3, 4}},
      {{4, 3}, {6, 0}, {6, 1}, {0, 0}, {3, 3}, {4, 3}, {4, 2}},
      {{6, 0}, {6, 1}, {4, 2}, {4, 3}, {0, 0}, {4, 3}, {4, 2}},
      {{6, 1}, {4, 3}, {4, 2}, {5, 1}, {3, 3}, {0, 0}, {2, 5}},
      {{6, 0}, {4, 3}, {4, 2}, {4, 3}, {2, 5}, {2, 4}, {0, 0}},
  };
  PairTable t;
  for (std::uint32_t i = 0; i < 7; ++i)
    for (std::uint32_t j = 0; j < 7; ++j)
      if (i != j) add(t, i, j, {double(kHome[i][j][0]), double(kHome[i][j][1]), 0, 0});
  return t;
}

}  // namespace agon::ranking_test
