// The health of votes for a terminal and as JSON.
#pragma once

#include <string>
#include <utility>
#include <vector>

#include "agon/data/battles.h"
#include "agon/ranking/vote_health.h"

namespace agon {

struct HealthTextOptions {
  bool colour = false;
  int width = 0;  ///< columns of the terminal, 0: no limit
};
/// The verdict, then the findings, gravest first, each with what to do; then voters one a line.
[[nodiscard]] std::string health_text(const BattleSet& set, const VoteHealth& health,
                                      const HealthOptions& asked, const HealthTextOptions& options);

/// Everything: findings with their numbers, and the tables behind them. Not finite: null.
[[nodiscard]] std::string health_json(const BattleSet& set, const VoteHealth& health,
                                      const HealthOptions& asked,
                                      const std::vector<std::pair<std::string, std::string>>& facts);

}  // namespace agon
