// Scores (gradients of single battles' log-likelihoods) added up by cluster: the middle of a clustered
// sandwich, shared by pair models, style regression and composite boards.
#pragma once

#include <cstdint>
#include <functional>
#include <span>
#include <vector>

#include "agon/data/battles.h"
#include "agon/ranking/matrix.h"
#include "agon/ranking/paired_kernel.h"
#include "agon/ranking/paired_model.h"

namespace agon {

/// Rows by cluster: clusters in order of their codes, then each row without a code on its own.
struct RowGroups {
  std::vector<std::uint64_t> begin;  ///< clusters + 1
  std::vector<std::uint32_t> rows;
  [[nodiscard]] std::size_t count() const { return begin.size() - 1; }
  [[nodiscard]] std::span<const std::uint32_t> rows_of(std::size_t g) const {
    return {rows.data() + begin[g], rows.data() + begin[g + 1]};
  }
};
/// Groups `chosen` rows (all `size` rows when empty) by code; codes without a row are no clusters. An empty
/// `cluster` makes every row one of its own.
[[nodiscard]] RowGroups group_rows(std::span<const std::uint32_t> cluster,
                                   std::span<const std::uint32_t> chosen, std::size_t size);

/// A vector that is zero nearly everywhere and used again and again.
class SparseVector {
 public:
  explicit SparseVector(std::size_t size) : value_(size, 0), touched_flag_(size, false) {}
  void add(std::size_t i, double x) {
    if (!touched_flag_[i]) {
      touched_flag_[i] = true;
      touched_.push_back(static_cast<std::uint32_t>(i));
    }
    value_[i] += x;
  }
  void clear() {
    for (const std::uint32_t i : touched_) {
      value_[i] = 0;
      touched_flag_[i] = false;
    }
    touched_.clear();
  }
  [[nodiscard]] std::span<const std::uint32_t> touched() const { return touched_; }
  [[nodiscard]] double operator[](std::size_t i) const { return value_[i]; }

 private:
  std::vector<double> value_;
  std::vector<char> touched_flag_;
  std::vector<std::uint32_t> touched_;
};

/// Sum over clusters of (score score'), in parallel with borders that depend on the counts only.
/// `fill(cluster, out)` adds the cluster's scores to a cleared vector of `size` parameters.
[[nodiscard]] Matrix clustered_meat(std::size_t clusters, std::size_t size,
                                    const std::function<void(std::size_t, SparseVector&)>& fill);

/// Scores of single battles under a fit of pair counts.
class PairedScores {
 public:
  PairedScores(const PairedFit& fit, const BattleRows& battles)
      : fit_(fit), battles_(battles), shape_(paired::shape_of(fit)) {}
  /// Adds the row's weighted score, its parameters numbered from `offset` on. `number`, when not empty,
  /// maps the battles' competitors to the fit's.
  void add(std::uint32_t row, std::size_t offset, SparseVector& out,
           std::span<const std::uint32_t> number = {}) const;

 private:
  const PairedFit& fit_;
  const BattleRows& battles_;
  paired::Shape shape_;
};

}  // namespace agon
