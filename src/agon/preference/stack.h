// One fit of the whole predictor on some rows: scores learned from text, then the two learners above.
#pragma once

#include <array>
#include <cstdint>
#include <functional>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "agon/base/bytes.h"
#include "agon/base/error.h"
#include "agon/preference/dataset.h"
#include "agon/preference/inner_choice.h"
#include "agon/preference/lm/correction.h"
#include "agon/preference/models/boosted.h"
#include "agon/preference/models/odd_even.h"
#include "agon/preference/text_scores.h"

namespace agon {

/// Everything that is chosen rather than learned.
struct Recipe {
  TextScores::Options scores;
  OddEvenOptions linear{
      .l2_odd = 400, .l2_even = 400, .l2_scores = 40, .score_columns = 0, .clip = 3, .max_iterations = 25};
  BoostedOptions boosted;
  /// Further files' rows count this much less in the two learners than in the scores: wording carries
  /// over between sources, how far a score is to be believed does less (measured with MT-Bench votes
  /// beside Arena votes: 0.15 throughout costs 0.002 of log loss against 0.05 above).
  double further_files_share = 1.0 / 3;
  std::uint32_t inner_folds = 4;  ///< for the scores' out-of-fold values within the training rows
  /// Multiples of `linear`'s penalties to choose from in the inner folds; the first is the default
  /// and stays unless another is better by more than one standard error.
  std::vector<double> linear_choices{1, 0.5, 2};
  /// Sizes of the trees to choose from in the same way, on the first `tree_splits` inner folds.
  std::vector<TreeChoice> tree_choices{{1, 0}, {0.5, 0}, {1.5, 0}, {0.75, 1}};
  std::uint32_t tree_splits = 2;
  CorrectionOptions correction;
  std::optional<std::vector<std::string>> lm_blocks;  ///< Of the dataset's; all when unset.
};
/// Suits about this many training rows: few rows want shallow trees and strong penalties.
[[nodiscard]] Recipe default_recipe(std::size_t rows);

inline constexpr std::size_t kLearners = 2;
/// What the blend is made of, in order: names for people.
[[nodiscard]] std::array<std::string_view, kLearners> learner_names();

/// How much each learner counts in ln(p_a / p_b) and in the tie's logit; each sums to 1. The two are
/// apart because learners differ in what they are good at: trees see ties better than lines do.
struct BlendWeights {
  std::array<double, kLearners> direction = equal(), tie = equal();

  [[nodiscard]] static constexpr std::array<double, kLearners> equal() {
    std::array<double, kLearners> out{};
    out.fill(1.0 / kLearners);
    return out;
  }
  bool operator==(const BlendWeights&) const = default;
};

class Stack {
 public:
  /// `weights` are of all rows of `data`. Out-of-fold scores over inner folds of `rows` (whole prompt
  /// groups), scores on all `rows`, then the learners on features and scores.
  [[nodiscard]] static Result<Stack> fit(const Dataset& data, std::span<const std::uint32_t> rows,
                                         std::span<const double> weights, const Recipe& recipe,
                                         std::uint64_t seed);

  /// Features and scores of one vote as the learners see them, then the shifts of the corrections, which no
  /// learner sees. `out` has columns() values; `blocks` are of the corrections' names, `vote` is the row's
  /// number in them.
  void fill_row(std::span<const float> features, const SparseRows& answers, std::size_t row_a,
                std::size_t row_b, std::span<const AnswerBlock> blocks, std::size_t vote,
                std::span<float> out) const;
  /// Predictions of every learner for rows made by fill_row, row-major; the corrections are not in them.
  [[nodiscard]] Result<std::array<std::vector<Prediction>, kLearners>> predict(
      std::span<const float> rows) const;
  /// What each correction adds to the blend of a row made by fill_row.
  [[nodiscard]] std::vector<Shift> shifts(std::span<const float> row) const;
  /// Contributions to ln(p_a / p_b) and to the tie's logit, learners weighted by `weights`.
  [[nodiscard]] Status contributions(std::span<const float> rows, const BlendWeights& weights,
                                     std::vector<double>& direction, std::vector<double>& tie) const;

  [[nodiscard]] std::size_t columns() const { return learner_columns() + 2 * corrections_.size(); }
  [[nodiscard]] std::size_t learner_columns() const { return linear_.columns(); }
  [[nodiscard]] const std::vector<Correction>& corrections() const { return corrections_; }
  /// Forgets the corrections that bring nothing.
  void drop_idle_corrections();
  [[nodiscard]] const TextScores& scores() const { return scores_; }
  [[nodiscard]] const OddEvenModel& linear() const { return linear_; }
  [[nodiscard]] double linear_choice() const { return linear_choice_; }
  [[nodiscard]] int rounds() const { return rounds_; }
  [[nodiscard]] int depth() const { return depth_; }
  /// All but the corrections, which stand in a part of the file of their own.
  void save(ByteWriter& out) const;
  [[nodiscard]] static Result<Stack> load(ByteReader& in);
  void save_corrections(ByteWriter& out) const;
  [[nodiscard]] Status load_corrections(ByteReader& in);

 private:
  /// The learners' columns of rows: the rows themselves, or put into `room` where corrections stand behind
  /// them.
  [[nodiscard]] std::span<const float> learner_part(std::span<const float> rows,
                                                    std::vector<float>& room) const;
  TextScores scores_;
  OddEvenModel linear_;
  BoostedModel boosted_;
  double linear_choice_ = 1;
  int rounds_ = 0, depth_ = 0;
  std::vector<Correction> corrections_;
};

/// The learners' predictions as one: weighted means of ln(p_a / p_b) and of the logit of the tie, all
/// kept inside (kProbabilityFloor, 1 - kProbabilityFloor). Exactly symmetric when its inputs are.
[[nodiscard]] Prediction blend(std::span<const Prediction> learners, const BlendWeights& weights);

}  // namespace agon
