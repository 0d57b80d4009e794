// Do further files of votes help the first one? Each is weighed out of fold, and left out if it does not.
#pragma once

#include <span>
#include <string>
#include <vector>

#include "agon/preference/dataset.h"

namespace agon {

/// What was found about one further file.
struct AuxiliaryChoice {
  std::size_t source = 0;      ///< its number among the files
  double weight = 0;           ///< 0 when it is left out
  double gain = 0, error = 0;  ///< fall of log loss on the first file's held-out rows, and its standard error
  bool kept = false;
};

struct AuxiliaryOptions {
  bool keep_all = false;  ///< take the given weights as they are
  std::uint32_t folds = 5;
  std::uint64_t seed = 1;
  double l2 = 400;
  double further_share = 1.0 / 3;    ///< of a further row's weight in the judging model, as in Recipe
  std::size_t max_main_rows = 6000;  ///< of the first file, to judge by
};

/// Judges the further files one after the other, each on top of those kept so far, with the odd/even
/// linear model on text features and prompt-grouped folds of `main_rows`: at its given weight, or at the
/// best of a few weights when it has none. It is kept when that lowers the loss by more than two standard
/// errors.
[[nodiscard]] std::vector<AuxiliaryChoice> choose_auxiliary(const Dataset& data,
                                                            std::span<const std::uint32_t> main_rows,
                                                            const AuxiliaryOptions& options);

/// Row weights with each further file's choice applied (0 for rows left out).
[[nodiscard]] std::vector<double> chosen_weights(const Dataset& data,
                                                 std::span<const AuxiliaryChoice> choices);

/// Rows to learn from when `held_out` groups are kept unseen: main rows and weighted further rows
/// whose prompt group is not held out.
[[nodiscard]] std::vector<std::uint32_t> training_rows(const Dataset& data,
                                                       std::span<const std::uint32_t> main_rows,
                                                       std::span<const double> weights,
                                                       const std::vector<bool>& group_held_out);

/// "mt_bench.csv.gz: kept at weight 0.15; it lowers the held-out log loss by 0.0006 (standard error 0.0004)"
[[nodiscard]] std::vector<std::string> describe(const Dataset& data,
                                                std::span<const AuxiliaryChoice> choices);

}  // namespace agon
