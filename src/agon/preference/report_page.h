// The HTML report of `train` and `evaluate`: one self-contained file.
#pragma once

#include <span>
#include <string>
#include <utility>
#include <vector>

#include "agon/data/vote.h"
#include "agon/preference/evaluation.h"
#include "agon/preference/lm/answer_source.h"
#include "agon/preference/lm/block_gains.h"

namespace agon {

struct LearningPoint {
  std::uint64_t rows = 0;  ///< training rows
  Estimate log_loss;       ///< on held-out rows
};
struct FeatureImportance {
  std::string name;         ///< "length.chars.rel"
  std::string description;  ///< in words
  double importance = 0;    ///< rise of log loss when the column is shuffled, nats
  bool drives_tie = false;  ///< an even feature: it drives the tie, not the direction
};
/// How one feature moves the prediction, others as they are: x is A minus B (odd) or the value (even).
struct EffectCurve {
  std::string name;
  std::vector<double> x;
  std::vector<Prediction> mean;   ///< mean prediction with the feature set to x
  std::vector<double> histogram;  ///< share of rows near each x
};
struct BaseLearner {
  std::string name, description;
  double log_loss = 0;  ///< alone, out of fold
  double weight = 0;    ///< in the blend
};
/// What a language model brought, and what it cost.
struct LanguageModelReport {
  std::string name;              ///< empty: there was none
  std::vector<BlockGain> gains;  ///< each block beside the kept ones, then these together
  double log_loss_without = 0;
  std::size_t votes_read = 0;       ///< anew; others were kept from earlier runs
  double seconds = 0;               ///< that this took
  std::vector<BlockCost> costs;     ///< of it; see AnswerReader::block_costs()
  std::size_t verdicts_untold = 0;  ///< see AnswerReader::verdicts_untold()
};
struct ReportData {
  std::string title;  ///< "How well model.agon predicts votes.csv"
  std::string kind;   ///< "cross-validation" or "evaluation on unseen rows"
  Evaluation evaluation;
  std::span<const Vote> votes;  ///< what Evaluation's indices point into
  std::span<const Prediction> predictions;
  std::vector<LearningPoint> learning_curve;   ///< may be empty
  std::vector<FeatureImportance> importances;  ///< sorted, most important first
  std::vector<EffectCurve> effects;
  std::vector<BaseLearner> learners;
  LanguageModelReport language_model;
  std::vector<std::string> notes;  ///< "mt_bench_human.csv.gz helps at weight 0.15: kept"
  std::vector<std::pair<std::string, std::string>> provenance;  ///< file and hash, seed, versions, command
  double interval_level = 0.95;  ///< of the intervals in `evaluation` and `learning_curve`
};

/// A whole HTML document; no outside resources, no script at all; all text escaped. Parts without data
/// are left out, figures that could not be computed read "n/a". At most about 2 MB: long texts and long
/// lists are cut, and the page says where. The same data gives the same bytes.
[[nodiscard]] std::string render_report(const ReportData& data);

}  // namespace agon
