// From numbers about one answer to odd and even columns about a pair, exactly symmetric by construction.
#pragma once

#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "agon/preference/features/block.h"

namespace agon {

/// How one number about an answer becomes columns.
struct Side {
  enum Kind { kCount, kShare };  ///< a count goes through log1p, a share stays as it is
  enum Even { kNone = 0, kMean = 1, kGap = 2, kBoth = 3 };
  std::string_view name;         ///< "words"
  std::string_view description;  ///< "words in the answer"
  Kind kind = kCount;
  bool relative = false;  ///< also (a - b) / (a + b + 1): how far apart for their size
  Even even = kNone;      ///< also the mean, the absolute difference, or both
};

/// Columns that pair_values fills, in its order.
[[nodiscard]] std::vector<Column> paired_columns(std::string_view block, std::span<const Side> sides);
/// Fills `out`; returns what is left of it. IEEE subtraction and addition of two numbers are exactly
/// antisymmetric and symmetric, which is all that the promise of FeatureBlock needs.
std::span<float> pair_values(std::span<const Side> sides, std::span<const double> a,
                             std::span<const double> b, std::span<float> out);

}  // namespace agon
