// The graph of votes: who met whom, who beat whom. Ratings compare two competitors only along its links,
// so its health is looked at before anything is fitted.
//
// Two graphs are meant. The meeting graph joins competitors that met; its components cannot be compared
// with each other at all. The win graph has an arrow from A to B when A beat or tied B at least once; the
// maximum likelihood estimate exists and is finite exactly when it is strongly connected (Ford 1957,
// "Solution of a ranking problem from binary comparisons"; Davidson 1970 for ties). When it is not, some
// group won every battle against the rest and its distance runs off to infinity ("separation").
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "agon/data/battles.h"

namespace agon {

/// How votes become arrows of the win graph.
enum class BothBadAs : std::uint8_t {
  kTie,      ///< a tie: arrows both ways
  kNothing,  ///< left out
  /// A comparison with one more node, the threshold of an acceptable answer, numbered `competitors`: a
  /// win or a tie beats it, "both bad" loses to it.
  kThreshold,
};

/// Labels 0..count-1 of competitors, by falling size, then by lowest member.
struct Components {
  std::uint32_t count = 0;
  std::vector<std::uint32_t> of;     ///< one a competitor (and the threshold node where there is one)
  std::vector<std::uint32_t> sizes;  ///< competitors in each; the threshold node is not counted
};

/// Components of the meeting graph. A competitor without a battle is one of its own.
[[nodiscard]] Components meeting_components(const PairTable& pairs, std::size_t competitors);
/// Strongly connected components of the win graph (Tarjan 1972).
[[nodiscard]] Components win_components(const PairTable& pairs, std::size_t competitors, BothBadAs both_bad);

/// In words, why no finite ratings exist, or "" when they do. `names` may be empty (numbers are shown).
/// With `limit` names a group at most.
[[nodiscard]] std::string explain_separation(const PairTable& pairs, std::size_t competitors,
                                             BothBadAs both_bad, const std::vector<std::string>& names = {},
                                             std::size_t limit = 3);

/// A pair whose few battles say little on their own.
struct ThinPair {
  std::uint32_t a = 0, b = 0;  ///< a < b
  double votes = 0;            ///< sum of weights
};
/// A pair without whose battles the meeting graph falls apart.
struct Bridge {
  std::uint32_t a = 0, b = 0;
  double votes = 0;
  std::vector<std::uint32_t> cut_off;  ///< the smaller side, ascending
};

struct GraphHealth {
  Components meeting, wins;
  std::uint64_t pairs_met = 0, pairs_possible = 0;  ///< unordered
  std::vector<double> votes;                        ///< of each competitor, sum of weights
  std::vector<std::uint32_t> opponents;             ///< of each competitor
  /// Second smallest eigenvalue of the Laplacian weighted by votes (Fiedler 1973): 0 when disconnected;
  /// variances of differences are about 4 / this at most. NaN with fewer than two competitors.
  double algebraic_connectivity = 0;
  /// The same of the Laplacian normalised by votes a competitor, in [0, 2]: a figure that does not grow
  /// with the number of votes. 1 and more is as good as everyone meeting everyone.
  double normalised_connectivity = 0;
  /// Competitors on the lesser side of the weakest cut that the Fiedler vector shows.
  std::vector<std::uint32_t> weakest_side;
  std::vector<ThinPair> thin;               ///< fewest votes first
  std::vector<Bridge> bridges;              ///< by (a, b)
  std::vector<std::uint32_t> one_opponent;  ///< competitors that met a single other
};
struct ExamineGraph {
  double thin_votes = 10;  ///< a pair that met with fewer is thin
  BothBadAs both_bad = BothBadAs::kTie;
};
[[nodiscard]] GraphHealth examine_graph(const PairTable& pairs, std::size_t competitors,
                                        const ExamineGraph& options = {});

/// The battles among the competitors of `keep` (one flag each), renumbered in order. `kept[new] = old`.
struct Restricted {
  PairTable pairs;
  std::vector<std::uint32_t> kept;
};
[[nodiscard]] Restricted restrict_pairs(const PairTable& pairs, const std::vector<bool>& keep);
/// One flag a competitor: has it a battle of positive weight?
[[nodiscard]] std::vector<bool> who_met(const PairTable& pairs, std::size_t competitors);

}  // namespace agon
