// Which votes share a prompt, or nearly: rows of one group never straddle a fold border.
#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "agon/data/vote.h"

namespace agon {

/// Group number of each vote, dense from 0 in order of first appearance. Two votes are of one group
/// when their normalised prompts (case, spaces, punctuation folded; all turns) are equal, or their
/// sets of word shingles have an estimated Jaccard similarity of 0.8 or more (MinHash with banding,
/// Broder 1997; verified on the sketches), or both are linked through a third.
[[nodiscard]] std::vector<std::uint32_t> prompt_groups(std::span<const Vote> votes);

/// Fold number of each vote, 0..folds-1: whole groups, balanced in rows, drawn by `seed`.
[[nodiscard]] std::vector<std::uint32_t> grouped_folds(std::span<const std::uint32_t> groups,
                                                       std::uint32_t folds, std::uint64_t seed);

}  // namespace agon
