// What a leaderboard leans on: how it changes when a model, a link or a handful of votes is taken away.
//
// All of it is about Bradley-Terry with ties as half wins, the plainest board of the same votes. Strengths
// are log odds; what is compared before and after is always centred on the same models.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "agon/data/battles.h"
#include "agon/ranking/covariance.h"
#include "agon/ranking/paired_model.h"

namespace agon {

/// The board without one model and all its battles, against the board with it.
struct ModelRemoval {
  std::uint32_t removed = 0;
  std::string breaks;  ///< why no finite ratings exist without it; then the rest is empty
  /// Of the remaining: the one whose rank moves most, counted among the remaining.
  std::uint32_t rank_model = 0, rank_before = 0, rank_after = 0;
  /// Of the remaining: the one whose strength moves most against their mean, and by how much (log odds).
  std::uint32_t moved_model = 0;
  double moved = 0;
  /// The largest move in units of its standard error (Hausman 1978: the variance of the difference between
  /// an efficient estimate and one from fewer votes is the difference of their variances). Were the
  /// strengths all there is, it would be a standard normal; past 4 or 5 the ratings of others depend on who
  /// else is on the board.
  double z = 0;
  std::uint32_t z_model = 0;
};
/// Refits without each of the `most` models with the most votes (all, at most), in order of numbers.
/// `fit` must be the fit of `pairs` by half-win ties.
[[nodiscard]] std::vector<ModelRemoval> remove_models(const PairedFit& fit, const PairTable& pairs,
                                                      std::size_t most);

/// How much of a model's certainty one link brings.
struct Lean {
  std::uint32_t model = 0, other = 0;  ///< the link whose loss would widen `model`'s interval most
  double votes = 0;                    ///< sum of weights on that link
  /// Standard error of the model's strength without the link over that with it; inf for a bridge.
  double widening = 1;
  /// Share of the link in the information of all links of the model.
  double share = 0;
};
/// One entry a model. By a downdate of the covariance, at the strengths as they are.
[[nodiscard]] std::vector<Lean> lean_on_links(const PairedFit& fit, const PairTable& pairs);

/// Some votes that, taken away, change who is first.
struct DroppedVotes {
  std::uint32_t first = 0, second = 0;
  BattleOutcome outcome = BattleOutcome::kA;  ///< kA, kB or kTie (a "both bad" too)
  std::uint64_t count = 0;
};
struct FirstPlace {
  std::uint32_t leader = 0, runner_up = 0;  ///< by strength
  double margin = 0, margin_se = 0;         ///< between these two, log odds; se by the model's covariance
  /// Votes by the first-order influence of each: the count at which the margin is predicted to be gone, for
  /// the easiest challenger. A prediction, neither an upper nor a lower bound.
  double predicted = 0;
  /// Votes that were taken away until an exact refit had another model first: an upper bound on the
  /// smallest number. 0 when none was found (without a model being lost, within half of all votes).
  std::uint64_t votes = 0;
  /// Refits with one of these votes put back, of every pair and outcome among them, have the leader first
  /// again: no smaller part of this choice does it. (Another choice may.)
  bool spare_none = false;
  std::uint32_t challenger = 0;  ///< who is first then
  std::vector<DroppedVotes> dropped;
  double share = 0;  ///< votes / all votes
  /// Votes have weights or are graded: a pair's votes were counted as of equal weight each.
  bool approximate = false;
};
/// After Huang, Shen, Wei and Broderick (2025), "Dropping just a handful of preferences can change top large
/// language model rankings": votes in order of their influence on the margin, here with the correction for
/// leverage (1 / (1 - h)) and linearised anew after every exact refit, the last votes one at a time; then
/// votes that are not needed are put back. The `challengers` for whom least is predicted are tried.
[[nodiscard]] FirstPlace drop_votes_from_first(const PairedFit& fit, const PairTable& pairs,
                                               std::size_t challengers = 5);

}  // namespace agon
