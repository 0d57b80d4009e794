// Voters whose votes tell nothing of the answers: random ones, those that side with a position, those that
// push or bury one model. A sequential test with a bounded chance of a false alarm.
//
// Each voter's decided votes, in order of time, are a game against the claim "this voter is honest": a
// fortune starts at 1 and is bet on the next vote at odds that are fair or worse if the claim is true, so
// that it is a non-negative supermartingale and P(it ever reaches 1/a) <= a (Ville 1939; "Game-theoretic
// statistics and safe anytime-valid inference", Ramdas, Gruenwald, Vovk and Shafer 2023). One may therefore
// look after every vote. With p the chance that the first answer wins by the consensus of all voters, the
// claims and the bets are
//
//   random    honest: the first wins with P = 1/2 + g (p - 1/2), g >= least_skill; g = 1 is a voter like
//             all others, g = 0 a coin. Bet: the likelihood ratio of the coin to g = least_skill; its
//             expectation falls as g grows, so all of the claim is covered.
//   position  honest: the first wins at most `position_tolerance` more often than p says. Bet: 1 + l (x - p
//             - tolerance) with fixed l, averaged over three of them. Linear in x - p, so that where the
//             order of show is drawn by a fair coin a voter's own taste for models cancels.
//   model     honest: the log odds for a model are at most `push_tolerance` above the consensus'. Bet: the
//             likelihood ratio of log odds 3 more to the tolerance's edge, averaged over all models, for
//             pushing and for burying. Shares below 0.03 count as 0.03: everyone slips.
//
// The fortunes of the tests are averaged, which is again such a fortune, so a voter has one e-value. Over
// voters: e-BH (Wang and Ramdas 2022, "False discovery rate control with e-values") flags those whose
// present e-value is at least V / (k a), k the number flagged, and bounds the expected share of honest
// voters among the flagged by a, whatever the dependence; an alarm, family-wise, is a fortune that at some
// vote reached V / a. Both take the consensus as known. It is estimated from votes that include the
// voter's own, which makes honest voters look more honest; bench/voter_alarms.cpp shows the rates.
#pragma once

#include <array>
#include <cstdint>
#include <string_view>
#include <vector>

#include "agon/base/error.h"
#include "agon/data/battles.h"

namespace agon {

struct VoterOptions {
  double level = 0.05;              ///< bound on false alarms, in (0, 1)
  double least_skill = 0.5;         ///< in (0, 1]
  double position_tolerance = 0.1;  ///< of a share
  double push_tolerance = 0.75;     ///< log odds
};

enum class VoterFault : std::uint8_t { kRandom, kFirst, kSecond, kPushes, kBuries };
/// "votes as if by a coin", "sides with the answer shown first", ...
[[nodiscard]] std::string_view fault_words(VoterFault fault);

/// The game against one voter's honesty.
class VoterTest {
 public:
  VoterTest(std::size_t competitors, const VoterOptions& options);
  /// One decided vote: `p` the consensus' chance that the first wins.
  void add(std::uint32_t first, std::uint32_t second, bool first_won, double p);
  /// Log of the fortune, the mean of all tests'.
  [[nodiscard]] double log_e() const;
  struct Best {
    VoterFault fault = VoterFault::kRandom;
    std::uint32_t model = 0;  ///< of kPushes and kBuries
    double log_e = 0;         ///< of that bet alone
  };
  /// The bet that won most.
  [[nodiscard]] Best best() const;
  [[nodiscard]] std::uint64_t votes() const { return votes_; }

 private:
  static constexpr std::array<double, 3> kStakes = {0.2, 0.5, 0.9};
  struct Model {
    std::uint32_t model = 0;
    double pushes = 0, buries = 0;  // log fortunes
  };
  Model& at(std::uint32_t model);

  VoterOptions options_;
  std::size_t competitors_ = 0;
  std::uint64_t votes_ = 0;
  double random_ = 0;
  std::array<double, 3> first_{}, second_{};
  std::vector<Model> models_;  // those met, ascending
};

struct VoterFinding {
  std::uint32_t voter = 0;  ///< code
  std::uint64_t votes = 0;  ///< decided ones
  VoterTest::Best best;     ///< what it looks like
  double log_e = 0;         ///< at the end
  std::uint64_t alarm = 0;  ///< decided votes after which the fortune reached V / level; 0: never
  bool flagged = false;     ///< by e-BH
};
struct VoterReport {
  VoterOptions options;
  std::uint64_t tested = 0;  ///< voters with a decided vote
  std::uint64_t votes = 0;   ///< their decided votes
  std::uint64_t flagged = 0, alarms = 0;
  std::uint64_t flagged_votes = 0;  ///< decided votes of the flagged or alarming voters
  std::vector<VoterFinding> found;  ///< flagged or alarming, by falling e-value
};

/// Tests all voters of a code column. Graded votes count as decided by the larger share; ties and "both
/// bad" are passed over, weights too. The consensus is Bradley-Terry on the decided votes, with an effect of
/// position and a ridge of 1. An Error with fewer than two voters or no decided votes.
[[nodiscard]] Result<VoterReport> test_voters(const BattleRows& battles, std::size_t competitors,
                                              const CodeColumn& voters, const VoterOptions& options = {});

/// Which e-values (by log) e-BH flags at `level`.
[[nodiscard]] std::vector<bool> e_benjamini_hochberg(const std::vector<double>& log_e, double level);

}  // namespace agon
