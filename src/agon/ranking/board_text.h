// A board for people at a terminal, in Markdown for papers and READMEs, and as CSV and JSON for programs.
#pragma once

#include <string>
#include <utility>
#include <vector>

#include "agon/ranking/board.h"

namespace agon {

struct BoardTextOptions {
  bool colour = false;
  int width = 0;        ///< columns of the terminal, 0: no limit
  std::size_t top = 0;  ///< rows shown, 0: all
};
/// The table with intervals and rank ranges, how it was fitted, and the warnings.
[[nodiscard]] std::string board_text(const Board& board, const BoardTextOptions& options);
/// Ranks of the leaders of `overall` in every category, side by side.
[[nodiscard]] std::string categories_text(const Board& overall, const Categories& categories,
                                          const BoardTextOptions& options);
/// Ratings of the leaders over time.
[[nodiscard]] std::string drift_text(const Board& overall, const Drift& drift,
                                     const BoardTextOptions& options);

/// "Bradley-Terry, ties as half wins; sandwich intervals of 95 %" and the like.
[[nodiscard]] std::string method_words(const Board& board);
/// "converged in 6 iterations, largest gradient 2e-15 a vote"
[[nodiscard]] std::string fit_words(const Board& board);
/// "1", or "1 to 3".
[[nodiscard]] std::string rank_words(const RankRange& ranks);

using RankFacts = std::vector<std::pair<std::string, std::string>>;
[[nodiscard]] std::string board_markdown(const Board& board);
/// A header and one line a competitor (and a board, by its column `board`), numbers as they are; `agon train
/// --ratings` reads it. A competitor's name is quoted where it needs it.
[[nodiscard]] std::string board_csv(const std::vector<const Board*>& boards);
/// Everything that the boards hold. Not finite: null.
[[nodiscard]] std::string board_json(const Board& board, const Categories* categories, const Drift* drift,
                                     const RankFacts& facts);

}  // namespace agon
