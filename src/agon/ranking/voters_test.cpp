#include "agon/ranking/voters.h"

#include <gtest/gtest.h>

#include <cmath>

#include "agon/base/parallel.h"
#include "agon/base/random.h"

namespace agon {
namespace {

double logistic(double x) { return 1 / (1 + std::exp(-x)); }

// Exact expectation of the fortune after `left` votes, over all courses, when the first wins with `share(p)`
// on pairs in turn.
double expected_fortune(const VoterTest& test, std::size_t left, const std::vector<double>& p,
                        const std::vector<double>& truth) {
  if (left == 0) return std::exp(test.log_e());
  const std::size_t k = test.votes() % p.size();
  double sum = 0;
  for (const bool won : {true, false}) {
    VoterTest next = test;
    next.add(static_cast<std::uint32_t>(k), static_cast<std::uint32_t>(k + 1), won, p[k]);
    sum += (won ? truth[k] : 1 - truth[k]) * expected_fortune(next, left - 1, p, truth);
  }
  return sum;
}

TEST(VoterTest, TheFortuneOfHonestVotersDoesNotGrowInTheMean) {
  const std::vector<double> p = {0.6, 0.9, 0.35, 0.5};
  const VoterOptions options;
  const VoterTest test(6, options);
  // As the consensus has it, and at the edges of what counts as honest: all are supermartingales.
  EXPECT_LE(expected_fortune(test, 10, p, p), 1 + 1e-12);
  std::vector<double> dull, first;
  for (const double q : p) {
    dull.push_back(0.5 + 0.5 * (q - 0.5));
    first.push_back(std::min(1.0, q + 0.05));
  }
  EXPECT_LE(expected_fortune(test, 10, p, dull), 1 + 1e-12);
  EXPECT_LE(expected_fortune(test, 10, p, first), 1 + 1e-12);
  // One who always takes the first: it grows.
  VoterTest side = test;
  for (std::uint32_t k = 0; k < 40; ++k) side.add(k % 4, k % 4 + 1, true, p[k % 4]);
  EXPECT_GT(side.log_e(), 5);
}

TEST(VoterTest, NamesWhatAVoterDoes) {
  Random random(4);
  const std::size_t n = 10;
  VoterTest coin(n, {}), first(n, {}), second(n, {}), pusher(n, {}), burier(n, {});
  for (int k = 0; k < 1500; ++k) {
    const auto a = static_cast<std::uint32_t>(random.below(n));
    const auto b = static_cast<std::uint32_t>((a + 1 + random.below(n - 1)) % n);
    const double p = logistic(0.25 * (static_cast<double>(b) - static_cast<double>(a)));
    const bool honest = random.uniform() < p;
    coin.add(a, b, random.uniform() < 0.5, p);
    if (k >= 200) continue;
    first.add(a, b, random.uniform() < 0.95, p);
    second.add(a, b, random.uniform() < 0.05, p);
    pusher.add(a, b, a == 7 ? true : b == 7 ? false : honest, p);
    burier.add(a, b, a == 2 ? false : b == 2 ? true : honest, p);
  }
  EXPECT_EQ(coin.best().fault, VoterFault::kRandom);
  EXPECT_EQ(first.best().fault, VoterFault::kFirst);
  EXPECT_EQ(second.best().fault, VoterFault::kSecond);
  EXPECT_EQ(pusher.best().fault, VoterFault::kPushes);
  EXPECT_EQ(pusher.best().model, 7U);
  EXPECT_EQ(burier.best().fault, VoterFault::kBuries);
  EXPECT_EQ(burier.best().model, 2U);
  for (const VoterTest* test : {&coin, &first, &second, &pusher, &burier}) EXPECT_GT(test->log_e(), 7);
}

TEST(EBenjaminiHochberg, AgreesWithItsDefinition) {
  // V / (k a) with V = 4, a = 0.1: 40, 20, 13.3, 10.
  const auto flags = [](std::vector<double> e) {
    for (double& x : e) x = std::log(x);
    return e_benjamini_hochberg(e, 0.1);
  };
  EXPECT_EQ(flags({41, 1, 1, 1}), (std::vector<bool>{true, false, false, false}));
  EXPECT_EQ(flags({39, 1, 1, 1}), (std::vector<bool>{false, false, false, false}));
  EXPECT_EQ(flags({1, 21, 39, 1}), (std::vector<bool>{false, true, true, false}));
  EXPECT_EQ(flags({11, 11, 11, 11}), (std::vector<bool>{true, true, true, true}));
  EXPECT_EQ(flags({11, 11, 11, 9}), (std::vector<bool>{false, false, false, false}));
  EXPECT_TRUE(e_benjamini_hochberg({}, 0.1).empty());
}

// 30 voters of whom 0 sides with the first, 1 pushes model 4; times run backwards in the file.
BattleRows rows_with_cheats(CodeColumn& voters, std::uint64_t seed, bool cheats) {
  Random random(seed);
  BattleRows rows;
  voters.name = "voter";
  for (std::uint32_t v = 0; v < 30; ++v) {
    voters.names.push_back("v" + std::to_string(v));
    for (int k = 0; k < 300; ++k) {
      const auto a = static_cast<std::uint32_t>(random.below(8));
      const auto b = static_cast<std::uint32_t>((a + 1 + random.below(7)) % 8);
      const double p = logistic(0.3 * (static_cast<double>(b) - static_cast<double>(a)));
      bool won = random.uniform() < p;
      if (cheats && v == 0) won = true;
      if (cheats && v == 1 && (a == 4 || b == 4)) won = a == 4;
      rows.a.push_back(a);
      rows.b.push_back(b);
      rows.outcome.push_back(random.uniform() < 0.2 ? BattleOutcome::kTie
                             : won                  ? BattleOutcome::kA
                                                    : BattleOutcome::kB);
      rows.time.push_back(-static_cast<std::int64_t>(rows.size()));
      voters.code.push_back(v);
    }
  }
  return rows;
}

TEST(TestVoters, FindsTheCheatsAndNobodyElse) {
  CodeColumn voters;
  const BattleRows rows = rows_with_cheats(voters, 1, true);
  const auto report = test_voters(rows, 8, voters);
  ASSERT_TRUE(report) << report.error().to_string();
  EXPECT_EQ(report->tested, 30U);
  ASSERT_EQ(report->found.size(), 2U);
  for (const VoterFinding& f : report->found) {
    EXPECT_TRUE(f.flagged);
    EXPECT_GT(f.alarm, 10U);
    EXPECT_LT(f.alarm, f.votes);
    EXPECT_EQ(f.best.fault, f.voter == 0 ? VoterFault::kFirst : VoterFault::kPushes);
  }
  set_thread_count(1);
  const auto again = test_voters(rows, 8, voters);
  set_thread_count(0);
  for (std::size_t k = 0; k < 2; ++k) EXPECT_EQ(again->found[k].log_e, report->found[k].log_e);
}

TEST(TestVoters, HonestVotersAreLeftInPeace) {
  // The bound is 5 % of data sets; here far fewer, since tolerances leave honest votes unlikely to win.
  int alarmed = 0;
  for (std::uint64_t seed = 1; seed <= 20; ++seed) {
    CodeColumn voters;
    const BattleRows rows = rows_with_cheats(voters, seed, false);
    const auto report = test_voters(rows, 8, voters);
    alarmed += !report->found.empty();
  }
  EXPECT_EQ(alarmed, 0);
}

TEST(TestVoters, NeedsVotersAndDecisions) {
  BattleRows rows;
  rows.a = {0, 1};
  rows.b = {1, 0};
  rows.outcome = {BattleOutcome::kTie, BattleOutcome::kTie};
  CodeColumn voters{"voter", {"x", "y"}, {0, 1}};
  EXPECT_FALSE(test_voters(rows, 2, voters));
  rows.outcome = {BattleOutcome::kA, BattleOutcome::kA};
  EXPECT_TRUE(test_voters(rows, 2, voters));
  voters.code = {0, 0};
  EXPECT_FALSE(test_voters(rows, 2, voters));
  voters.code = {CodeColumn::kNone, CodeColumn::kNone};
  EXPECT_FALSE(test_voters(rows, 2, voters));
}

}  // namespace
}  // namespace agon
