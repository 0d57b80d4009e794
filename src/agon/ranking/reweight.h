// Weights that take the schedule out of a board: every pair counts alike however often it met.
#pragma once

#include <vector>

#include "agon/data/battles.h"

namespace agon {

/// Gives each unordered pair's votes the weight 1 / max(its votes, min_votes), scaled to a mean of one a
/// vote, so that popular pairs do not drown the others when the model is only an approximation. A pair with
/// fewer than `min_votes` keeps its few votes' smaller say, or single votes would decide. Squares and cross
/// terms follow, so that the sandwich stays right.
[[nodiscard]] PairTable reweight_pairs(const PairTable& pairs, double min_votes = 50);
/// The same as one weight a battle (times the battle's own), for style regression and clusters.
[[nodiscard]] std::vector<double> reweight_rows(const BattleRows& battles, double min_votes = 50);

}  // namespace agon
