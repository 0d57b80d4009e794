// Which pairs to ask people about next, and what the answers would buy.
//
// With C the covariance of the parameters now, one more vote on the pair (i, j) adds information sum_r a_r
// a_r', so that, one a after the other, by Sherman and Morrison (1950)
//
//   C' = C - (C a)(C a)' / (1 + a' C a)
//
// and any variance one asks for shrinks by a known amount before a single vote is cast. Votes are given out
// greedily, C being updated after each (sequential D- and A-optimal design in the manner of Fedorov 1972; for
// comparisons see Grasshoff and Schwabe 2008).
//
// With half-win ties there is one a = sqrt(e) (1_i - 1_j), e = w^2 / v, where w = p (1 - p) is the
// information of a vote and v = w - t / 4 the variance of its score when a share t of votes are ties: what
// counts in a sandwich covariance, which is the one that boards show. With the other tie models the a's
// factor the expected information of the model's three or four outcomes; they reach over to the tie parameter
// and the threshold, which are parameters as the strengths are.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "agon/base/error.h"
#include "agon/data/battles.h"
#include "agon/ranking/covariance.h"
#include "agon/ranking/paired_model.h"

namespace agon {

enum class NextGoal : std::uint8_t {
  kAll,      ///< the mean variance of all ratings
  kModel,    ///< the variance of one model's rating
  kBetween,  ///< the variance of the difference of two
  /// The order of the top k and the next: the sum over neighbours of (standard error / gap)^2, a gap taken
  /// as its standard error at least, so that a pair that can't be told apart does not eat everything.
  kTop,
};

struct NextOptions {
  NextGoal goal = NextGoal::kAll;
  std::uint32_t a = 0, b = 0;       ///< kModel: a; kBetween: both
  std::uint32_t top = 1;            ///< kTop
  std::uint64_t votes = 1000;       ///< to give out
  std::vector<bool> left_out = {};  ///< models that can't be asked about any more; empty: none
  double level = 0.95;
  TieModel ties = TieModel::kHalf;
  bool drop_both_bad = false;
};

struct PairToAsk {
  std::uint32_t a = 0, b = 0;
  std::uint64_t votes = 0;
  double before = 0, after = 0;  ///< half width of the interval of s_a - s_b, log odds
};
struct NextWidth {
  std::uint32_t model = 0, against = 0;       ///< equal: the model's rating; else a difference
  double before = 0, after = 0, uniform = 0;  ///< half widths; uniform: had the votes been spread evenly
};
struct NextPlan {
  NextOptions options;
  std::vector<PairToAsk> pairs;   ///< most votes first
  std::vector<NextWidth> widths;  ///< what the goal is about
  /// The goal's figure (mean variance, variance, sum of ratios): now, after, and after as many votes spread
  /// evenly over all pairs that can be asked.
  double before = 0, after = 0, uniform = 0;
  /// Votes spread evenly that would reach `after`; inf when none would.
  double uniform_votes = 0;
  double tie_share = 0;
  std::string ridge;  ///< "" or why and with what ridge the plan was made without finite ratings
};

/// Plans from the fit of `pairs` by the options' tie model; where no finite ratings exist, from one with a
/// ridge of 0.1, which sends votes to the gaps first. Errors: fewer than two competitors that can be asked
/// about, numbers beyond the competitors, more than 3,000 competitors, no votes at all.
[[nodiscard]] Result<NextPlan> plan_next_pairs(const PairTable& pairs, std::size_t competitors,
                                               const NextOptions& options);

/// The same for half-win ties from a covariance of strengths (sum-zero) and the strengths.
[[nodiscard]] NextPlan plan_next_pairs(const std::vector<double>& strengths, const Matrix& covariance,
                                       double tie_share, const NextOptions& options);

/// Information of one vote between strengths a difference apart, when a share of votes are ties.
[[nodiscard]] double vote_information(double difference, double tie_share);

}  // namespace agon
