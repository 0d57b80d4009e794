// Gradient-boosted trees (XGBoost) on the same columns, made symmetric by averaging both orders.
#pragma once

#include <memory>
#include <span>
#include <string>
#include <vector>

#include "agon/base/bytes.h"
#include "agon/base/error.h"
#include "agon/data/vote.h"
#include "agon/preference/features/block.h"
#include "agon/preference/models/odd_even.h"

namespace agon {

struct BoostedOptions {
  int rounds = 300;
  int depth = 2;
  double eta = 0.03;
  double subsample = 0.5;
  double columns_by_tree = 0.3;
  double l2 = 5;
  double min_child_weight = 10;
  int max_bins = 64;
  int bags = 1;  ///< boosters with seeds of their own, averaged
  std::uint64_t seed = 1;
};

/// Every training row is given twice, as it is and swapped. Each booster runs on one thread, since
/// XGBoost's sums depend on the number of threads; bags and folds run side by side instead.
/// A model must not live as long as a static does: XGBoost frees a booster by a thread-local list, and
/// that of the main thread is gone when statics are destroyed.
class BoostedModel {
 public:
  [[nodiscard]] static Result<BoostedModel> fit(const TrainingRows& data, const BoostedOptions& options);

  /// Both orders averaged: exactly symmetric. `rows` is row-major with the training columns. `rounds`
  /// above 0 reads only the trees of the first rounds, at most as many as were grown.
  [[nodiscard]] Result<std::vector<Prediction>> predict(std::span<const float> rows, int rounds = 0) const;
  /// Contribution of every column to ln(p_a / p_b) and to the tie's logit (path attribution of
  /// XGBoost's approximate method, both orders averaged); row-major, columns() numbers a row each.
  [[nodiscard]] Status contributions(std::span<const float> rows, std::vector<double>& direction,
                                     std::vector<double>& tie) const;
  [[nodiscard]] std::size_t columns() const { return parity_.size(); }

  void save(ByteWriter& out) const;
  [[nodiscard]] static Result<BoostedModel> load(ByteReader& in);

 private:
  struct Booster;
  struct Question;
  /// XGBoost's numbers for `rows` and for them swapped, a row of 3 classes (times columns + 1) each,
  /// given to `take` once a booster.
  template <class Take>
  Status ask(std::span<const float> rows, const Question& question, const Take& take) const;
  std::vector<std::shared_ptr<Booster>> boosters_;
  std::vector<Parity> parity_;
};

}  // namespace agon
