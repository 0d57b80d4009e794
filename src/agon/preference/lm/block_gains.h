// What each block of numbers from a language model brings to predictions, measured out of fold.
#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <vector>

#include "agon/data/vote.h"
#include "agon/preference/lm/correction.h"

namespace agon {

/// What a block brought.
struct BlockGain {
  std::string block;  ///< Its name, or "all".
  /// Log loss with it less that without it, beside the other blocks that are kept: its mean over rows and
  /// drawings of folds, and the standard error over prompt groups.
  double mean = 0, error = 0;
  int direction_on = 0, tie_on = 0, fits = 0;  ///< Fits that move a part by it, of all.
  int kept = 0;                                ///< Fits that keep it.
};

/// What the blocks of one drawing of folds say of rows, out of fold.
struct BlockShifts {
  std::span<const Prediction> without;         ///< By row: what the rest of the predictor says.
  std::span<const std::vector<Shift>> shifts;  ///< [row][block]
  std::span<const Outcome> outcomes;
};

/// Which blocks are worth keeping, by the log loss of these rows in these drawings together: beginning with
/// all, the block that brings least goes, until each that is left lowers it (backward elimination). So of two
/// blocks that say the same one stays. No margin is asked for: one of a standard error would throw out blocks
/// that help, in a quarter of the fits on 1,500 votes.
[[nodiscard]] std::vector<bool> worth_keeping(std::span<const BlockShifts> drawings,
                                              std::span<const std::uint32_t> rows);

/// Those that people are shown: of one block that every fit keeps, "all" would be the same again.
[[nodiscard]] std::span<const BlockGain> shown_gains(std::span<const BlockGain> gains);

/// "states: -0.0043 +- 0.0014 log loss (kept in 25, direction on in 25, tie in 20 of 25 fits)", a line for
/// each of shown_gains().
[[nodiscard]] std::vector<std::string> block_lines(std::span<const BlockGain> gains);

/// Adds up one drawing of folds after the other. Each fold may keep blocks of its own.
class BlockGains {
 public:
  BlockGains(std::vector<std::string> blocks, std::span<const std::uint32_t> groups);

  /// `fit_of`: the number of each row's fit, `kept` the blocks that the fit keeps.
  void add_drawing(const BlockShifts& drawing, std::span<const std::uint32_t> fit_of,
                   std::span<const std::vector<bool>> kept);
  void add_fit(std::span<const Correction> corrections, const std::vector<bool>& kept);
  /// Every block beside those that are kept, then the kept ones together.
  [[nodiscard]] std::vector<BlockGain> result() const;
  /// Mean log loss without any block, of each drawing.
  [[nodiscard]] const std::vector<double>& log_loss_without() const { return without_; }

 private:
  std::vector<BlockGain> gains_;
  std::vector<std::uint32_t> groups_;
  std::vector<std::vector<double>> differences_;  // [block, and all][row], summed over drawings
  std::vector<double> without_;
};

}  // namespace agon
