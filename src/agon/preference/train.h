// Training with honest figures: nested, prompt-grouped cross-validation, then one fit on all rows.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "agon/base/error.h"
#include "agon/base/progress.h"
#include "agon/preference/auxiliary.h"
#include "agon/preference/dataset.h"
#include "agon/preference/lm/block_gains.h"
#include "agon/preference/model.h"
#include "agon/preference/report_page.h"
#include "agon/preference/stack.h"

namespace agon {

struct TrainOptions {
  std::uint32_t folds = 0;       ///< 0: 5, or 3 for more than 20,000 rows
  std::uint32_t cv_seeds = 1;    ///< fold drawings whose figures are averaged
  bool keep_all_files = false;   ///< do not judge further files
  bool keep_all_blocks = false;  ///< of a language model; do not judge what they bring
  bool learning_curve = true;
  std::uint64_t seed = 1;
};

/// What the cross-validation found. Row-wise parts are aligned with Dataset::main_rows and come from
/// the first drawing of folds; nothing that a prediction rests on has seen its row's prompt.
struct CrossValidation {
  std::uint32_t folds = 0;
  std::vector<double> log_loss_by_seed;
  std::vector<Prediction> predictions, prior, length_only;
  std::array<std::vector<Prediction>, kLearners> learners;
  BlendWeights weights;  ///< of the blend, from all out-of-fold predictions
  std::vector<FeatureImportance> importances;
  std::vector<LearningPoint> learning_curve;
  /// The language model's blocks; empty without one.
  std::vector<BlockGain> block_gains;
  std::vector<std::string> kept_blocks;  ///< Those that are worth keeping by all rows: the predictor's.
  std::vector<double> log_loss_without_lm_by_seed;
};

/// Every fold does all that training does: judges the further files, fits vocabulary, scaling and
/// scores, chooses penalties in folds of its own, and gets blend weights and the choice of a language
/// model's blocks from the other folds.
[[nodiscard]] Result<CrossValidation> cross_validate(const Dataset& data, const TrainOptions& options,
                                                     const Progress& progress);

struct Trained {
  PreferenceModel model;
  std::vector<AuxiliaryChoice> auxiliary;
};
/// What the cross-validation chose for the final fit.
struct FinalChoices {
  BlendWeights weights;
  std::vector<std::string> lm_blocks;
};
/// The language model's blocks that a predictor's card says were left out.
inline constexpr std::string_view kLeftOutFact = "language model left out";
/// One fit on all rows; `lm` is where data.lm came from. Without choices (no cross-validation) the blend is
/// equal, and a part of a block stays when the inner folds' log loss is lower with it.
[[nodiscard]] Result<Trained> train(const Dataset& data, const std::optional<FinalChoices>& choices,
                                    const ModelCard& card, const TrainOptions& options,
                                    const Progress& progress, const AnswerSpec& lm = {});

/// Weights of the learners that lower the log loss of the blend, pulled towards equal
/// ones as by 20 rows' worth of evidence: on few rows they stay near equal.
[[nodiscard]] BlendWeights fit_blend(const std::array<std::vector<Prediction>, kLearners>& learners,
                                     std::span<const Outcome> outcomes, std::span<const std::uint32_t> rows);

}  // namespace agon
