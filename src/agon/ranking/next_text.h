// A plan of pairs to ask for, for a terminal and as JSON.
#pragma once

#include <string>
#include <utility>
#include <vector>

#include "agon/ranking/next_pairs.h"

namespace agon {

struct NextTextOptions {
  bool colour = false;
  int width = 0;         ///< columns of the terminal, 0: no limit
  std::size_t top = 20;  ///< pairs shown, 0: all
};
/// What to ask, and what it would buy in rating points.
[[nodiscard]] std::string next_text(const NextPlan& plan, const std::vector<std::string>& names,
                                    const NextTextOptions& options);
/// All pairs and widths, in rating points (400 / ln 10 a unit of log odds). Not finite: null.
[[nodiscard]] std::string next_json(const NextPlan& plan, const std::vector<std::string>& names,
                                    const std::vector<std::pair<std::string, std::string>>& facts);

}  // namespace agon
