// Area under the ROC curve, of weighted rows and of their bootstrap resamples.
#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "agon/stats/bootstrap.h"

namespace agon {

/// One row: its score, whether it is of the positive class, its weight and its cluster.
struct AucRow {
  double score = 0;
  bool positive = false;
  double weight = 1;
  std::uint32_t cluster = 0;
};

/// Sorts once; every resample is then one pass. AUC is the chance that a positive row scores above a
/// negative one, equal scores counting half (Mann and Whitney 1947), each pair weighted by the product
/// of its rows' weights. NaN when a class is absent.
class AucTable {
 public:
  /// Scores must not be NaN.
  explicit AucTable(std::span<const AucRow> rows);
  /// Of the rows as they are.
  [[nodiscard]] double value() const;
  /// Of the resample in which cluster c occurs times[c] times.
  [[nodiscard]] double of_draw(Multiplicities times) const;

 private:
  template <class Weight>
  [[nodiscard]] double area(const Weight& weight_of) const;

  struct Entry {
    double positive_weight, negative_weight;
    std::uint32_t cluster;
    bool ends_tie;  ///< The last row of its score.
  };
  std::vector<Entry> entries_;  ///< By ascending score.
};

}  // namespace agon
