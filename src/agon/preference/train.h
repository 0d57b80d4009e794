// Training with honest figures: nested, prompt-grouped cross-validation, then one fit on all rows.
#pragma once

#include <cstdint>
#include <string>
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
  std::uint32_t folds = 0;      ///< 0: 5, or 3 for more than 20,000 rows
  std::uint32_t cv_seeds = 1;   ///< fold drawings whose figures are averaged
  bool keep_all_files = false;  ///< do not judge further files
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
  std::vector<double> log_loss_without_lm_by_seed;
};

/// Every fold does all that training does: judges the further files, fits vocabulary, scaling and
/// scores, chooses penalties in folds of its own, and gets blend weights from the other folds.
[[nodiscard]] Result<CrossValidation> cross_validate(const Dataset& data, const TrainOptions& options,
                                                     const Progress& progress);

struct Trained {
  PreferenceModel model;
  std::vector<AuxiliaryChoice> auxiliary;
};
/// One fit on all rows; `lm` is where data.lm came from. `weights` of the blend come from cross_validate;
/// equal ones without it.
[[nodiscard]] Result<Trained> train(const Dataset& data, const BlendWeights& weights, const ModelCard& card,
                                    const TrainOptions& options, const Progress& progress,
                                    const AnswerSpec& lm = {});

/// Weights of the learners that lower the log loss of the blend, pulled towards equal
/// ones as by 20 rows' worth of evidence: on few rows they stay near equal.
[[nodiscard]] BlendWeights fit_blend(const std::array<std::vector<Prediction>, kLearners>& learners,
                                     std::span<const Outcome> outcomes, std::span<const std::uint32_t> rows);

}  // namespace agon
