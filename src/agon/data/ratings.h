// Ratings of models from a file: what `agon rank` writes and the strength regressor reads.
#pragma once

#include <map>
#include <string>

#include "agon/base/error.h"

namespace agon {

/// Model name to rating on the Elo scale (400 points are odds of ten).
using Ratings = std::map<std::string, double>;
/// CSV with a header that has `model` and `rating` columns (others are ignored), finite numbers only. With a
/// `board` column only the rows of the first board are read.
[[nodiscard]] Result<Ratings> read_ratings(const std::string& path);

}  // namespace agon
