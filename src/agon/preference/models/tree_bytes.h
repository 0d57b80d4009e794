// Looks through the bytes of boosted trees before XGBoost reads them.
#pragma once

#include <cstddef>
#include <string_view>

#include "agon/base/error.h"

namespace agon {

/// XGBoost 1.7 believes what a model says of itself: a child or a feature number out of range is
/// followed into foreign memory, a size is allocated as it stands, nested lists are read by recursion.
/// So that no file can make use of that, this walks the UBJSON (ubjson.org, draft 12) that XGBoost
/// writes and lets pass only what it knows: its names and types, bounded numbers, multi:softprob over
/// three classes, gbtree with one target, no categorical splits, and trees whose nodes are each reached
/// once, whose children stand behind their parents, whose features are below `columns`, and whose
/// arrays are as long as they say. An Error otherwise, without a file name.
[[nodiscard]] Status check_tree_bytes(std::string_view bytes, std::size_t columns);

}  // namespace agon
