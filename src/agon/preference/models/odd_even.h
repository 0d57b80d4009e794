// The odd/even linear model: odd features drive the direction, even ones the tie.
#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "agon/base/bytes.h"
#include "agon/data/vote.h"
#include "agon/preference/features/block.h"

namespace agon {

/// Training rows of a level-one learner: a matrix whose columns have parities, and labels.
struct TrainingRows {
  const FeatureMatrix* features = nullptr;
  std::span<const Parity> parity;
  std::span<const std::uint32_t> rows;  ///< which rows to learn from
  std::span<const Outcome> outcomes;    ///< of all rows of the matrix
  std::span<const double> weights;      ///< of all rows of the matrix
};

/// Probabilities of logits (d/2, -d/2, t), as Davidson (1970) has them with nu = exp(t);
/// exactly symmetric: davidson(-d, t) is davidson(d, t) with a and b exchanged.
[[nodiscard]] Prediction davidson(double d, double t);

struct OddEvenOptions {
  double l2_odd = 300, l2_even = 300;  ///< on standardised columns, against the summed cross-entropy
  double l2_scores =
      300;  ///< of the last `score_columns` columns: scores learned out of fold are few and can be believed
  std::size_t score_columns = 0;
  double clip = 3;  ///< standardised values are cut here: long tails carry no more
  int max_iterations = 25;
};

class OddEvenModel {
 public:
  /// Newton's method on the convex penalised loss; odd columns are divided by their root mean
  /// square, even ones standardised, from the training rows only.
  [[nodiscard]] static OddEvenModel fit(const TrainingRows& data, const OddEvenOptions& options);
  /// One fit for each multiple of l2_odd and l2_even, each starting where the one before it ended.
  [[nodiscard]] static std::vector<OddEvenModel> fit_path(const TrainingRows& data,
                                                          const OddEvenOptions& options,
                                                          std::span<const double> multiples);

  [[nodiscard]] Prediction predict(std::span<const float> row) const;
  /// What each column adds to d (odd) or t (even); the intercept of t is not among them.
  void contributions(std::span<const float> row, std::span<double> out) const;

  [[nodiscard]] bool is_odd(std::size_t column) const { return odd_[column] != 0; }
  [[nodiscard]] bool converged() const { return converged_; }
  [[nodiscard]] int iterations() const { return iterations_; }
  [[nodiscard]] double gradient_norm() const { return gradient_norm_; }
  [[nodiscard]] std::size_t columns() const { return weight_.size(); }
  void save(ByteWriter& out) const;
  [[nodiscard]] static OddEvenModel load(ByteReader& in);

 private:
  [[nodiscard]] double scaled(std::size_t column, float value) const;
  std::vector<double> center_, scale_, weight_;
  std::vector<std::uint8_t> odd_;
  double tie_intercept_ = 0, clip_ = 3;
  bool converged_ = false;
  int iterations_ = 0;
  double gradient_norm_ = 0;
};

}  // namespace agon
