// A trained predictor as one file: versioned, checksummed, with its model card.
#pragma once

#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <utility>
#include <vector>

#include "agon/base/error.h"
#include "agon/data/vote.h"
#include "agon/preference/features/block.h"
#include "agon/preference/lm/answer_source.h"
#include "agon/preference/stack.h"

namespace agon {

/// Facts about a model in words, in order: what it was trained on, how it was measured, its limits.
using ModelCard = std::vector<std::pair<std::string, std::string>>;

/// The baselines that every evaluation stands beside.
class Baselines {
 public:
  /// Class shares with A and B alike, and an odd/even linear model on the lengths alone.
  [[nodiscard]] static Baselines fit(const Dataset& data, std::span<const std::uint32_t> rows,
                                     std::span<const double> weights);
  [[nodiscard]] Prediction prior() const { return prior_; }
  /// `features` are the built-in columns of a row.
  [[nodiscard]] Prediction length_only(std::span<const float> features) const;
  void save(ByteWriter& out) const;
  [[nodiscard]] static Baselines load(ByteReader& in);

 private:
  Prediction prior_;
  OddEvenModel length_;
};

/// One feature's push on one row, on the scale of logits.
struct Push {
  std::string column;
  double direction = 0;  ///< to ln(p_a / p_b): above zero pushes towards A
  double tie = 0;        ///< to the tie's logit
};

/// What rows of a stack are made of: text columns, scores, corrections.
[[nodiscard]] std::vector<Column> model_columns(const Stack& stack);

class PreferenceModel {
 public:
  PreferenceModel() = default;
  /// `lm` says what the corrections of the stack were learned from; it is not looked at where there are none.
  PreferenceModel(Stack stack, const BlendWeights& weights, Baselines baselines, NgramOptions ngrams,
                  ModelCard card, AnswerSpec lm = {});

  /// The language model that predictions need, with the blocks that they need of it; null for none.
  [[nodiscard]] const AnswerSpec* language_model() const { return lm_.blocks.empty() ? nullptr : &lm_; }
  /// Where they then come from: its spec gives_the_same() as language_model() and has those blocks. Without
  /// it predictions are an Error.
  void attach(std::shared_ptr<AnswerSource> source);

  /// One prediction a vote, rounded to the digits that are printed; swapping A and B swaps it exactly.
  [[nodiscard]] Result<std::vector<Prediction>> predict(std::span<const Vote> votes,
                                                        const Progress& progress = {}) const;
  /// The baselines' predictions for the same votes.
  void predict_baselines(std::span<const Vote> votes, std::vector<Prediction>& prior,
                         std::vector<Prediction>& length_only) const;
  /// What pushed each vote's prediction, strongest first, at most `most` a vote.
  [[nodiscard]] Result<std::vector<std::vector<Push>>> explain(std::span<const Vote> votes,
                                                               std::size_t most) const;
  /// Contributions of every column to ln(p_a / p_b) and to the tie's logit, learners weighted as in the
  /// blend, for rows that predict_rows takes.
  [[nodiscard]] Status contributions(std::span<const float> rows, std::vector<double>& direction,
                                     std::vector<double>& tie) const;
  /// Predictions with one column set to `value` in every row (see report: effect curves).
  [[nodiscard]] Result<std::vector<Prediction>> predict_rows(std::span<const float> rows) const;
  /// The rows that predict_rows takes: features and scores, row-major, columns().size() numbers each.
  [[nodiscard]] Result<std::vector<float>> rows(std::span<const Vote> votes,
                                                const Progress& progress = {}) const;

  [[nodiscard]] const ModelCard& card() const { return card_; }
  [[nodiscard]] const std::vector<Correction>& corrections() const { return stack_.corrections(); }
  [[nodiscard]] const BlendWeights& weights() const { return weights_; }
  [[nodiscard]] const std::vector<Column>& columns() const { return columns_; }

  [[nodiscard]] std::string to_bytes() const;
  /// Everything is checked before it is believed; `name` stands in the errors.
  [[nodiscard]] static Result<PreferenceModel> from_bytes(std::string_view bytes, const std::string& name);
  [[nodiscard]] Status save(const std::string& path) const;
  [[nodiscard]] static Result<PreferenceModel> load(const std::string& path);

 private:
  Stack stack_;
  BlendWeights weights_;
  Baselines baselines_;
  NgramOptions ngrams_;
  ModelCard card_;
  AnswerSpec lm_;  ///< without blocks: none
  std::vector<Column> columns_;
  std::shared_ptr<AnswerSource> source_;
};

}  // namespace agon
