// Which votes share a prompt, or nearly: rows of one group never straddle a fold border.
#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "agon/data/vote.h"

namespace agon {

/// Hash of the whole normalised prompt (all turns; case, spaces and punctuation folded).
[[nodiscard]] std::uint64_t prompt_key(const Vote& vote);

/// Group number of each vote, dense from 0 in order of first appearance. Two votes are of one group
/// when their normalised first turns or whole prompts (case, spaces, punctuation folded) are equal, or
/// the sets of word shingles of these (character shingles in scripts without spaces) have a Jaccard
/// similarity of 0.8 or more (text/minhash.h), or both are linked through a third. Prompts of less than
/// about seven words match only when equal.
[[nodiscard]] std::vector<std::uint32_t> prompt_groups(std::span<const Vote> votes);
/// The same over votes that don't lie side by side, such as those of two files.
[[nodiscard]] std::vector<std::uint32_t> prompt_groups_of(std::span<const Vote* const> votes);

/// Fold number of each vote, 0..folds-1: whole groups, balanced in rows, drawn by `seed`. Folds are
/// empty when there are fewer groups than folds.
[[nodiscard]] std::vector<std::uint32_t> grouped_folds(std::span<const std::uint32_t> groups,
                                                       std::uint32_t folds, std::uint64_t seed);

}  // namespace agon
