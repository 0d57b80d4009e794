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
  /// Log loss with it less that without it: its mean over rows and drawings of folds, and the standard error
  /// over prompt groups.
  double mean = 0, error = 0;
  int direction_on = 0, tie_on = 0, fits = 0;  ///< Fits that found it to bring something, of all.
};

/// Those that people are shown: of one block, "all" would be the same again.
[[nodiscard]] std::span<const BlockGain> shown_gains(std::span<const BlockGain> gains);

/// "states: -0.0043 +- 0.0014 (direction in 25, tie in 20 of 25 fits)", a line for each of shown_gains().
[[nodiscard]] std::vector<std::string> block_lines(std::span<const BlockGain> gains);

/// Adds up one drawing of folds after the other.
class BlockGains {
 public:
  BlockGains(std::vector<std::string> blocks, std::span<const std::uint32_t> groups);

  /// Shifts of the blocks for every row, [row][block].
  void add_drawing(std::span<const Prediction> without, std::span<const std::vector<Shift>> shifts,
                   std::span<const Outcome> outcomes);
  void add_fit(std::span<const Correction> corrections);
  /// Every block against leaving it out, then all of them together.
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
