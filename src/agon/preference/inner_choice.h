// Hyper-parameters chosen inside the training rows: nested, prompt-grouped cross-validation.
//
// A default stays unless another choice is better on the held-out rows by more than one standard error of the
// paired difference: on few rows the smallest of several noisy means is no better than the first.
#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "agon/base/error.h"
#include "agon/preference/models/boosted.h"
#include "agon/preference/models/odd_even.h"
#include "agon/stats/metrics.h"

namespace agon {

/// Places of rows, from 0.
struct InnerSplit {
  std::vector<std::uint32_t> train, held_out;
};
/// `fold` is that of each row.
[[nodiscard]] std::vector<InnerSplit> inner_splits(std::span<const std::uint32_t> fold, std::uint32_t folds);

/// A size of the trees, against that of the recipe.
struct TreeChoice {
  double rounds = 1;  ///< times the recipe's
  int deeper = 0;     ///< levels more
};

[[nodiscard]] OddEvenOptions with_penalty(OddEvenOptions options, double times);
[[nodiscard]] BoostedOptions with_size(BoostedOptions options, const TreeChoice& choice);

/// What was chosen, and what the models that were fitted for it say of each split's held-out rows: empty for
/// splits that none was fitted to, as when there is one choice only.
template <class Choice>
struct Chosen {
  Choice choice;
  std::vector<std::vector<Prediction>> held_out = {};
};

/// The multiple of `options`' penalties to take; choices.front() is the default. `all.rows` is not looked at.
[[nodiscard]] Chosen<double> choose_penalty(const TrainingRows& all, std::span<const InnerSplit> splits,
                                            const OddEvenOptions& options, std::span<const double> choices);
/// The same for the trees, by boosters of one bag. Each depth is grown once a split to its most rounds and
/// read at every number of rounds.
[[nodiscard]] Result<Chosen<TreeChoice>> choose_trees(const TrainingRows& all,
                                                      std::span<const InnerSplit> splits,
                                                      const BoostedOptions& options,
                                                      std::span<const TreeChoice> choices);

}  // namespace agon
