// Is 60 % said right 60 % of the time? Equal-mass bins, expected calibration error, Wilson intervals.
#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "agon/stats/bootstrap.h"

namespace agon {

/// Bin of each value, 0..bins-1, of about equal weight. Equal values always share a bin (that of the
/// middle of their weight), so that the bins don't depend on the order of rows; a predictor that says
/// few different numbers fills few bins.
[[nodiscard]] std::vector<std::uint32_t> equal_mass_bins(std::span<const double> values,
                                                         std::span<const double> weights, std::uint32_t bins);

/// Wilson score interval (1927) of a share, `n` may be an effective number of rows; clamped to [0, 1].
struct Interval {
  double low = 0, high = 1;
};
[[nodiscard]] Interval wilson_interval(double share, double n, double z = 1.959963984540054);

/// One class of one row, as calibration sees it.
struct CalibrationRow {
  double predicted = 0;
  bool happened = false;
  double weight = 1;
  std::uint32_t cluster = 0;
};

/// Expected calibration error of one class (Naeini et al. 2015, with bins of equal mass as Nguyen and
/// O'Connor 2015): the mean over bins, by weight, of |observed share - mean predicted|.
class CalibrationTable {
 public:
  CalibrationTable(std::span<const CalibrationRow> rows, std::uint32_t bins);
  [[nodiscard]] double value() const;
  /// Of the resample, in the bins of the full sample. NaN when it is empty.
  [[nodiscard]] double of_draw(Multiplicities times) const;
  /// What a perfectly calibrated predictor is expected to show on these rows, by chance alone: the
  /// mean of a half-normal in each bin, with variance sum of w^2 p (1 - p).
  [[nodiscard]] double by_chance() const { return by_chance_; }

 private:
  struct Entry {
    double residual, weight;  ///< w (y - p), w
    std::uint32_t cluster;
    bool ends_bin;
  };
  std::vector<Entry> entries_;  ///< By bin.
  double by_chance_ = 0;
};

}  // namespace agon
