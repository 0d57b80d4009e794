// What `agon data check` prints: facts about a file of votes, then what to look at.
#pragma once

#include <string>

#include "agon/data/check.h"

namespace agon {

struct DataCheckTextOptions {
  int width = 100;            ///< columns of the terminal
  bool colour = false;        ///< ANSI codes for headings and warnings
  std::size_t languages = 8;  ///< listed one by one, the rest together
  std::size_t models = 5;     ///< most and least voted, each
};
[[nodiscard]] std::string data_check_text(const DataReport& report, const DataCheckTextOptions& options = {});

}  // namespace agon
