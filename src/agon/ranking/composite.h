// One board from several: a weighted mean of their strengths, with its uncertainty.
//
// Boards by category or language share votes and voters, so their errors hang together and their variances
// do not simply add. Writing each board's error as its information's inverse times its scores, the error
// of the mean is one sum over clusters of votes, and its covariance is estimated with all cross terms:
// sum over clusters g of psi_g psi_g' with psi_g = sum over boards k of w_k H_k^-1 score_gk.
#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <vector>

#include "agon/base/error.h"
#include "agon/data/battles.h"
#include "agon/ranking/covariance.h"
#include "agon/ranking/paired_model.h"

namespace agon {

/// A board over some of the battles.
struct CompositePart {
  const PairedFit* fit = nullptr;
  double weight = 1;                    ///< relative; negative is refused
  std::span<const std::uint32_t> rows;  ///< the battles it was fitted on; all when empty
  std::span<const std::uint32_t> kept;  ///< the fit's competitors by the battles' numbers; empty: the same
};

struct Composite {
  std::vector<std::uint32_t> competitors;  ///< on every part's board, ascending, by the battles' numbers
  std::vector<double> strengths;           ///< weighted means, summing to zero over `competitors`
  Covariance covariance;                   ///< of these strengths
};

/// Errors: no part, a weight that is negative or not finite or none positive, fewer than two competitors on
/// all boards, a fit that did not converge, fewer than two clusters. `cluster` as in clustered_covariance;
/// empty for every battle on its own.
[[nodiscard]] Result<Composite> composite_board(const BattleRows& battles,
                                                std::span<const CompositePart> parts, std::size_t competitors,
                                                std::span<const std::uint32_t> cluster = {});

}  // namespace agon
