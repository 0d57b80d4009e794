// Online Elo ratings, for those who ask for them, with what the order of battles does to them.
//
// Elo (1978, section 1.6) updates after each battle and forgets; its answer depends on the order in which
// battles come, which carries no information when competitors do not change. Shuffles show how much of a
// rating is order.
#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "agon/base/error.h"
#include "agon/data/battles.h"

namespace agon {

struct EloOptions {
  double k = 4;  ///< the largest move of one battle
  double scale = 400, base = 10;
  double start = 1000;
  bool drop_both_bad = false;
};
/// Ratings after all battles in the order of `rows` (all in file order when empty). A tie or "both bad" is
/// half a win; weights multiply K. An Error for an option that is not finite or not positive.
[[nodiscard]] Result<std::vector<double>> elo(const BattleRows& battles, std::size_t competitors,
                                              const EloOptions& options = {},
                                              std::span<const std::uint32_t> rows = {});

/// What is left of a rating when the order is random.
struct EloSpread {
  double in_order = 0;                 ///< as the file has it
  double mean = 0, low = 0, high = 0;  ///< over shuffles: mean, 2.5 % and 97.5 % quantiles
};
[[nodiscard]] Result<std::vector<EloSpread>> elo_shuffled(const BattleRows& battles, std::size_t competitors,
                                                          int shuffles = 100, std::uint64_t seed = 1,
                                                          const EloOptions& options = {},
                                                          std::span<const std::uint32_t> rows = {});

}  // namespace agon
