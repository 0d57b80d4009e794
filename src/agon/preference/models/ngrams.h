// Word and character n-grams of answers as hashed sparse rows.
#pragma once

#include <cstdint>
#include <span>
#include <string_view>
#include <vector>

#include "agon/base/progress.h"
#include "agon/data/vote.h"

namespace agon {

inline constexpr int kMaxNgramBits = 22;

struct NgramOptions {
  int bits = 19;                   ///< 2^bits buckets, half for character and half for word n-grams
  int char_min = 2, char_max = 5;  ///< character n-grams, case kept, runs of blanks as one
  int word_max = 3;                ///< runs of up to this many words, marks and line ends
  double keep = 1.0;  ///< share of n-grams looked at, by their hash: bounds memory on large files
  std::uint32_t max_chars = 12000;  ///< of an answer: its first two thirds and its last third of this
};

/// Compressed rows: row i holds entries start[i] to start[i+1].
struct SparseRows {
  std::vector<std::uint64_t> start{0};
  std::vector<std::uint32_t> index;
  std::vector<float> value;

  [[nodiscard]] std::size_t rows() const { return start.size() - 1; }
};

/// One answer's n-grams (all turns), with 1 + ln(count) as values, in increasing order of bucket:
/// first the character n-grams, in the lower half of the buckets, then the word n-grams.
void append_ngrams(const Turns& answer, const NgramOptions& options, SparseRows& out);
/// Rows 2i and 2i+1 are answers A and B of vote i.
[[nodiscard]] SparseRows answer_ngrams(std::span<const Vote> votes, const NgramOptions& options,
                                       const Progress& progress = {});

}  // namespace agon
