// Columns of any blocks for many votes, with costly blocks looked up on disk by the text's hash.
#pragma once

#include <string>
#include <vector>

#include "agon/base/error.h"
#include "agon/base/progress.h"
#include "agon/preference/features/block.h"

namespace agon {

/// The hash that cached rows are kept under: of the prompt's and both answers' turns, in this order,
/// nulls included; names, ids and labels do not enter.
[[nodiscard]] std::uint64_t content_hash(const Vote& vote);

/// Computes `block` for `votes` into `out`, row-major with `stride` numbers a row. When `folder` is
/// not empty and the block is cacheable, rows already in folder/NAME-vVERSION.rows are read and new
/// ones are added (the file is replaced as a whole, so a killed run loses nothing). A damaged cache
/// or one of another width is an Error that names the file.
[[nodiscard]] Status cached_block(const FeatureBlock& block, std::span<const Vote> votes,
                                  const std::string& folder, std::span<float> out, std::size_t stride,
                                  const Progress& progress);

/// The built-in text columns, then those of `extra_blocks`.
[[nodiscard]] Result<FeatureMatrix> all_features(std::span<const Vote> votes,
                                                 const std::vector<const FeatureBlock*>& extra_blocks,
                                                 const std::string& cache_folder, const Progress& progress);

}  // namespace agon
