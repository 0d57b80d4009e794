// The HTML report of `agon rank`: one self-contained file.
#pragma once

#include <string>
#include <utility>
#include <vector>

#include "agon/ranking/board.h"

namespace agon {

struct RankReport {
  std::string title;  ///< "Leaderboard of battles.csv"
  const Board& board;
  const Categories* categories = nullptr;
  const Drift* drift = nullptr;
  std::vector<std::string> health;  ///< further findings about the votes, a sentence each
  std::vector<std::pair<std::string, std::string>> provenance;  ///< files and hashes, versions, command
};

/// A whole HTML document; no outside resources, no script at all; all names escaped. Parts without data are
/// left out, figures that could not be computed read "n/a". Below about 6 MB whatever the board: long names
/// and long lists are cut, and the page says where. The same board gives the same bytes.
[[nodiscard]] std::string render_rank_report(const RankReport& report);

}  // namespace agon
