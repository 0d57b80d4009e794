// What numbers about the two answers, read off by a language model, add to a finished prediction.
//
// A prediction has two logits: the direction's, ln(p_a / p_b), and the tie's, ln(p_tie / (p_a + p_b)). A
// block of numbers (hidden states, say) shifts them by linear functions of what it says about A and B: the
// direction by the difference of the two, the tie by their sum and their distance. Each is a logistic
// regression of its own whose offset is what the rest of the predictor says, so it learns only what is not
// known yet (Friedman 2001 calls this a stage; here there is one a block).
#pragma once

#include <array>
#include <cstdint>
#include <span>
#include <string>
#include <vector>

#include "agon/base/bytes.h"
#include "agon/data/vote.h"
#include "agon/preference/features/block.h"

namespace agon {

/// Numbers of one kind about both answers of every vote: values[(2 * vote + side) * width + j], side 0 is A.
struct AnswerBlock {
  std::string name;  ///< "states"
  std::size_t width = 0;
  std::vector<float> values;

  [[nodiscard]] std::span<const float> side(std::size_t vote, std::size_t side) const {
    return std::span(values).subspan((2 * vote + side) * width, width);
  }
};

/// What is added to the two logits of a prediction.
struct Shift {
  double direction = 0, tie = 0;
  Shift& operator+=(const Shift& other) {
    direction += other.direction;
    tie += other.tie;
    return *this;
  }
};
[[nodiscard]] Shift sum_of(std::span<const Shift> shifts);
/// Of the shifts that `kept` says yes to.
[[nodiscard]] Shift sum_of(std::span<const Shift> shifts, const std::vector<bool>& kept);
/// The shifts that stand in pairs of columns: see correction_columns().
[[nodiscard]] std::vector<Shift> shifts_in(std::span<const float> columns);

/// No probability is below this but for the last division by their sum.
inline constexpr double kProbabilityFloor = 1e-4;
/// Probabilities of these logits, floored; exactly symmetric.
[[nodiscard]] Prediction prediction_of(const Shift& logits);
/// `p` with its logits moved; exactly symmetric.
[[nodiscard]] Prediction shifted(const Prediction& p, const Shift& shift);
/// ln(p_a / p_b) and ln(p_tie / (p_a + p_b)).
[[nodiscard]] Shift logits_of(const Prediction& p);

struct CorrectionOptions {
  std::size_t components = 64;  ///< Directions of greatest variance that are kept of a wide block.
  double clip = 4;              ///< Standardised numbers are cut here.
  /// Ridge penalties to choose from in the inner folds, against the summed cross-entropy.
  std::vector<double> penalties{100000, 30000, 10000, 3000, 1000};
  /// A part of a block is left out when the inner folds' log loss is higher with it by more than so many
  /// standard errors: they learn from fewer rows, and a strong penalty does little harm.
  double doubt = 2;
};

/// Rows to learn from: all aligned with `rows`.
struct CorrectionRows {
  std::span<const std::uint32_t> rows;  ///< Votes, as the block counts them.
  std::span<const Shift> offsets;       ///< The logits so far, from models that have not seen the row.
  std::span<const Outcome> outcomes;
  std::span<const double> weights;
  std::span<const std::uint32_t> fold;  ///< Of the inner folds that choose the penalties.
  std::uint32_t folds = 0;
};

/// The shift that one block brings; nothing where it was found to bring nothing.
class Correction {
 public:
  struct Fitted;
  /// The reduction to components knows no label and is fitted on all rows (Halko, Martinsson and Tropp 2011,
  /// algorithm 5.1 on a range found by their algorithm 4.4, draws seeded by `seed`).
  [[nodiscard]] static Fitted fit(const AnswerBlock& block, const CorrectionRows& data,
                                  const CorrectionOptions& options, std::uint64_t seed);

  /// Finite whatever the numbers are: those that are none count as the mean.
  [[nodiscard]] Shift operator()(std::span<const float> a, std::span<const float> b) const;

  [[nodiscard]] const std::string& block() const { return block_; }
  [[nodiscard]] std::size_t width() const { return center_.size(); }
  [[nodiscard]] bool moves_direction() const { return !odd_.empty(); }
  [[nodiscard]] bool moves_tie() const { return !even_.empty(); }
  [[nodiscard]] bool is_on() const { return moves_direction() || moves_tie(); }
  void save(ByteWriter& out) const;
  [[nodiscard]] static Correction load(ByteReader& in);

 private:
  [[nodiscard]] double scaled(std::size_t column, float value) const;
  std::string block_;
  std::vector<float> center_, scale_;  // of a side's numbers
  std::vector<double> odd_, even_;  // weights of differences, and of sums less twice the centre; empty: off
  double distance_ = 0, distance_center_ = 0, intercept_ = 0, clip_ = 4;
};

struct Correction::Fitted {
  Correction correction;
  std::vector<Shift> out_of_fold;  ///< Of each row, by the model of the inner folds that did not see it.
};

/// The two columns that a block's shift is kept in: odd, then even.
[[nodiscard]] std::array<Column, 2> correction_columns(const std::string& block);

}  // namespace agon
