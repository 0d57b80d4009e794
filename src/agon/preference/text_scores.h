// Scores of an answer that are learned from text, for the learners of the stack to weigh.
#pragma once

#include <array>
#include <cstdint>
#include <span>
#include <vector>

#include "agon/base/bytes.h"
#include "agon/preference/dataset.h"
#include "agon/preference/models/ngram_scorer.h"
#include "agon/preference/models/rating_difference.h"
#include "agon/preference/models/strengths.h"

namespace agon {

/// The score columns that a stack adds to the features: three odd ones, then their sizes as even ones.
inline constexpr std::size_t kScores = 3;
[[nodiscard]] const std::vector<Column>& score_columns();

/// Who wins by n-grams, and how strong a model each answer reads like by n-grams and by style.
class TextScores {
 public:
  struct Options {
    NgramScorer::Options ngrams;
    double style_l2 = 100, style_clip = 3;  ///< of RatingDifference
    StrengthOptions strengths;
  };
  static constexpr std::uint32_t kMostFolds = NgramScorer::kMostTargets - 1;
  struct Fitted;
  /// Learns from `rows` (`row_weights` are of all rows of `data`), and for each of `folds` folds from
  /// the rows outside it: `fold` is each row's. Which n-grams are in use and how rare they are is taken
  /// from all of `rows`; no label and no model name of a fold reaches its own scores.
  [[nodiscard]] static Fitted fit(const Dataset& data, std::span<const std::uint32_t> rows,
                                  std::span<const double> row_weights, std::span<const std::uint32_t> fold,
                                  std::uint32_t folds, const Options& options);

  /// The odd scores of a vote: features of its row, and its answers' rows in `answers`.
  [[nodiscard]] std::array<double, kScores> odd(std::span<const float> features, const SparseRows& answers,
                                                std::size_t row_a, std::size_t row_b) const;
  /// The values of score_columns().
  static void put(const std::array<double, kScores>& odd, std::span<float> out);
  [[nodiscard]] std::size_t feature_columns() const { return style_.columns(); }
  /// Whether the scorer was learned on n-grams of this many buckets.
  [[nodiscard]] bool reads_buckets(std::size_t n) const { return ngrams_.buckets() == n; }
  void save(ByteWriter& out) const;
  [[nodiscard]] static TextScores load(ByteReader& in);

 private:
  NgramScorer ngrams_;
  RatingDifference style_;
};

struct TextScores::Fitted {
  TextScores scores;  ///< learned from all rows
  std::vector<std::array<double, kScores>>
      out_of_fold;  ///< of each of the rows, from the rows outside its fold
};

}  // namespace agon
