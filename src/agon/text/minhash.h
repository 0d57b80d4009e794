// Which of many texts nearly say the same, in about linear time: MinHash with banding, then verified.
#pragma once

#include <cstdint>
#include <span>
#include <vector>

namespace agon {

/// A set of 64-bit hashes by its smallest kSketchSize members (a bottom-k sketch; Broder 1997, "On the
/// resemblance and containment of documents"). Sets up to that size are held whole.
struct Sketch {
  std::vector<std::uint64_t> smallest;  ///< ascending, each once
  std::uint64_t size = 0;               ///< of the whole set
};
inline constexpr std::size_t kSketchSize = 512;
[[nodiscard]] Sketch sketch_of(std::vector<std::uint64_t> sorted_hashes);

/// Jaccard similarity |A and B| / |A or B|: exact when both are held whole, else estimated from the
/// smallest members of the union (standard error at most 0.018 at 0.8). 0 when either is empty.
[[nodiscard]] double similarity(const Sketch& a, const Sketch& b);

/// For each sketch the smallest index that it is linked to, through pairs whose similarity is at least
/// `threshold`. Candidates share one of 28 bands of 4 minima: a pair at 0.8 is missed once in a
/// million, one at 0.5 is looked at 84 times in 100 and rejected on its sketch. Every candidate is
/// verified; in a bucket of more than 64 only against 32 first and 32 latest members, so that a
/// template used ten thousand times stays linear. The result does not depend on the number of threads.
[[nodiscard]] std::vector<std::uint32_t> near_duplicates(std::span<const Sketch> sketches, double threshold);

}  // namespace agon
