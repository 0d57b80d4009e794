// Word and character n-grams of answers as hashed sparse rows, and linear models on them.
#pragma once

#include <cstdint>
#include <span>
#include <string_view>
#include <vector>

#include "agon/base/bytes.h"
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

/// A linear score of one answer: sum of weight over its TF-IDF n-grams; the character and the word
/// half are each brought to length 1/sqrt(2), so that neither drowns the other.
class NgramScorer {
 public:
  struct Options {
    double l2 = 1.0;        ///< against the summed loss
    int min_documents = 2;  ///< rarer n-grams are passed over
    int max_iterations = 40;
  };
  /// Learns from pairs: the difference of the scores of A and B predicts who wins (logistic loss, a
  /// tie counting half for each). `pairs` are vote numbers into rows 2i, 2i+1.
  [[nodiscard]] static NgramScorer fit_direction(const SparseRows& answers,
                                                 std::span<const std::uint32_t> pairs,
                                                 std::span<const Outcome> outcomes,
                                                 std::span<const double> weights, const NgramOptions& ngrams,
                                                 const Options& options);
  /// Learns from single answers: the score predicts `targets` (one for each answer row in `rows`; ridge
  /// regression).
  [[nodiscard]] static NgramScorer fit_rating(const SparseRows& answers, std::span<const std::uint32_t> rows,
                                              std::span<const double> targets,
                                              std::span<const double> weights, const NgramOptions& ngrams,
                                              const Options& options);

  [[nodiscard]] double score(const SparseRows& answers, std::size_t row) const;
  /// 2^bits of the n-grams that it scores; rows of other options must not be given to score().
  [[nodiscard]] std::size_t buckets() const { return idf_.size(); }
  void save(ByteWriter& out) const;
  [[nodiscard]] static NgramScorer load(ByteReader& in);

 private:
  struct Problem;
  void fit_idf(const SparseRows& answers, std::span<const std::uint32_t> rows,
               std::span<const double> weights, const Options& options);
  std::vector<float> idf_, weight_;  ///< by bucket; 0 idf: not in use
};

}  // namespace agon
