// How much stronger a model A reads like than B, by style: ridge regression on the odd columns.
#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "agon/base/bytes.h"
#include "agon/preference/features/block.h"

namespace agon {

/// Predicts the difference of the two models' strengths from odd columns alone, without intercept,
/// so that swapping negates it exactly.
class RatingDifference {
 public:
  /// `targets` has one difference for each of `rows`; columns are divided by their root mean square
  /// and cut at `clip`.
  [[nodiscard]] static RatingDifference fit(const FeatureMatrix& features, std::span<const Column> columns,
                                            std::span<const std::uint32_t> rows,
                                            std::span<const double> targets, std::span<const double> weights,
                                            double l2, double clip);
  [[nodiscard]] double predict(std::span<const float> row) const;
  [[nodiscard]] std::size_t columns() const { return weight_.size(); }
  void save(ByteWriter& out) const;
  [[nodiscard]] static RatingDifference load(ByteReader& in);

 private:
  std::vector<double> scale_, weight_;
  double clip_ = 3;
};

}  // namespace agon
