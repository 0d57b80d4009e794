#include "agon/ranking/vote_health.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <nlohmann/json.hpp>

#include "agon/base/random.h"
#include "agon/ranking/covariance.h"
#include "agon/ranking/health_text.h"
#include "agon/ranking/test_tables.h"

namespace agon {
namespace {

using ranking_test::add;

BattleSet set_of(PairTable pairs, std::size_t n) {
  BattleSet set;
  for (std::size_t i = 0; i < n; ++i) set.competitors.push_back("model-" + std::to_string(i));
  set.pairs = std::move(pairs);
  return set;
}

const HealthFinding* find(const VoteHealth& health, std::string_view code) {
  for (const HealthFinding& f : health.findings)
    if (f.code == code) return &f;
  return nullptr;
}

double number_of(const HealthFinding& finding, std::string_view key) {
  for (const auto& [name, value] : finding.numbers)
    if (name == key) return value;
  ADD_FAILURE() << "no number " << key;
  return std::nan("");
}

TEST(VoteHealth, HealthyVotesAreFitToRankFrom) {
  const BattleSet set = set_of(ranking_test::count_rows(ranking_test::random_rows(2, 6, 6000)), 6);
  const auto health = examine_votes(set);
  ASSERT_TRUE(health) << health.error().to_string();
  EXPECT_TRUE(health->rankable);
  EXPECT_EQ(health->battles, 6000U);
  EXPECT_EQ(health->removals.size(), 6U);
  ASSERT_NE(find(*health, "connectivity"), nullptr);
  EXPECT_EQ(find(*health, "connectivity")->grade, HealthGrade::kGood);
  EXPECT_EQ(find(*health, "without-a-model")->grade, HealthGrade::kGood);
  EXPECT_EQ(find(*health, "voters-unknown")->grade, HealthGrade::kNote);
  for (const HealthFinding& f : health->findings) EXPECT_GE(f.grade, HealthGrade::kWarning) << f.what;
}

TEST(VoteHealth, GroupsThatNeverMetCannotBeRanked) {
  PairTable pairs;
  add(pairs, 0, 1, {10, 9, 0, 0});
  add(pairs, 1, 2, {10, 9, 0, 0});
  add(pairs, 0, 2, {10, 9, 0, 0});
  add(pairs, 3, 4, {5, 5, 0, 0});
  const auto health = examine_votes(set_of(pairs, 5));
  ASSERT_TRUE(health);
  EXPECT_FALSE(health->rankable);
  EXPECT_EQ(health->findings[0].code, "not-connected");
  EXPECT_EQ(health->findings[0].grade, HealthGrade::kCannotRank);
  EXPECT_EQ(health->findings[0].names, (std::vector<std::string>{"model-3", "model-4"}));
  EXPECT_EQ(health->ranked, (std::vector<std::uint32_t>{0, 1, 2}));
  ASSERT_TRUE(health->first);  // of the largest group
  EXPECT_EQ(find(*health, "few-votes")->names.size(), 5U);
}

TEST(VoteHealth, AModelThatNeverLostIsNamedWithItsNumberOnly) {
  // Model 0 won all; the numbers of what follows are those of the file, though it is left out of the fit.
  PairTable pairs;
  add(pairs, 0, 1, {10, 0, 0, 0});
  add(pairs, 1, 2, {30, 20, 0, 0});
  add(pairs, 1, 3, {30, 20, 0, 0});
  add(pairs, 2, 3, {20, 20, 0, 0});
  const auto health = examine_votes(set_of(pairs, 4));
  ASSERT_TRUE(health);
  EXPECT_EQ(health->findings[0].code, "separated");
  EXPECT_NE(health->findings[0].what.find("'model-0' won every battle"), std::string::npos);
  ASSERT_TRUE(health->first);
  EXPECT_EQ(health->first->leader, 1U);
  EXPECT_EQ(find(*health, "one-opponent")->names, std::vector<std::string>{"model-0"});
  for (const ModelRemoval& r : health->removals) EXPECT_NE(r.removed, 0U);
}

TEST(VoteHealth, TwoCampsOnOneBridge) {
  PairTable pairs;
  for (std::uint32_t base : {0U, 3U}) {
    add(pairs, base, base + 1, {50, 50, 0, 0});
    add(pairs, base, base + 2, {50, 40, 0, 0});
    add(pairs, base + 1, base + 2, {50, 40, 0, 0});
  }
  add(pairs, 2, 3, {3, 2, 0, 0});
  const auto health = examine_votes(set_of(pairs, 6));
  ASSERT_TRUE(health);
  EXPECT_TRUE(health->rankable);
  const HealthFinding* bridge = find(*health, "bridge");
  ASSERT_NE(bridge, nullptr);
  EXPECT_EQ(bridge->grade, HealthGrade::kSerious);
  EXPECT_EQ(number_of(*bridge, "votes"), 5);
  EXPECT_EQ(bridge->names.size(), 3U);
  EXPECT_EQ(find(*health, "connectivity")->grade, HealthGrade::kSerious);
  EXPECT_EQ(find(*health, "holds-together")->names, (std::vector<std::string>{"model-2", "model-3"}));
  EXPECT_NE(find(*health, "thin-pairs"), nullptr);
  EXPECT_TRUE(std::is_sorted(health->findings.begin(), health->findings.end(),
                             [](const auto& a, const auto& b) { return a.grade < b.grade; }));
}

TEST(VoteHealth, AnEffectOfPositionIsSeen) {
  PairTable pairs;
  for (std::uint32_t i = 0; i < 3; ++i)
    for (std::uint32_t j = 0; j < 3; ++j)
      if (i != j) add(pairs, i, j, {600, 400, 0, 0});
  const auto health = examine_votes(set_of(pairs, 3));
  ASSERT_TRUE(health);
  EXPECT_NEAR(health->position, std::log(1.5), 1e-6);
  // Of a share of 0.6 from 6,000 votes.
  EXPECT_NEAR(health->position_se, std::sqrt(1 / (0.24 * 6000)), 1e-6);
  ASSERT_NE(find(*health, "position"), nullptr);
  EXPECT_NE(find(*health, "position")->what.find("60.0"), std::string::npos);
}

TEST(VoteHealth, VotersDuplicatesAndVariants) {
  Random random(3);
  BattleSet set = set_of({}, 5);
  CodeColumn voter{"voter", {}, {}}, prompt{"prompt", {}, {}};
  for (std::uint32_t v = 0; v < 20; ++v) {
    voter.names.push_back("\x1b[31mv" + std::to_string(v));
    for (std::uint32_t k = 0; k < 200; ++k) {
      const auto a = static_cast<std::uint32_t>(random.below(5));
      set.rows.a.push_back(a);
      set.rows.b.push_back(static_cast<std::uint32_t>((a + 1 + random.below(4)) % 5));
      set.rows.outcome.push_back(v == 7 || random.uniform() < 0.5 ? BattleOutcome::kA : BattleOutcome::kB);
      voter.code.push_back(v);
      prompt.code.push_back(k);
      prompt.names.push_back("");
    }
  }
  // Row 0 again, the other way round, and in the other order of show.
  const BattleOutcome first = set.rows.outcome[0];
  for (int again = 0; again < 3; ++again) {
    set.rows.a.push_back(again == 2 ? set.rows.b[0] : set.rows.a[0]);
    set.rows.b.push_back(again == 2 ? set.rows.a[0] : set.rows.b[0]);
    set.rows.outcome.push_back(again != 1                   ? first
                               : first == BattleOutcome::kA ? BattleOutcome::kB
                                                            : BattleOutcome::kA);
    voter.code.push_back(0);
    prompt.code.push_back(0);
  }
  set.rows.codes = {voter, prompt};
  set.pairs = count_pairs(set.rows, 5);
  HealthOptions options;
  options.variants.push_back({"ours", {"model-1", "model-2", "model-3"}, 0});
  const auto health = examine_votes(set, options);
  ASSERT_TRUE(health) << health.error().to_string();
  ASSERT_TRUE(health->voters);
  ASSERT_EQ(health->voters->found.size(), 1U);
  EXPECT_EQ(health->voters->found[0].voter, 7U);
  EXPECT_TRUE(health->without_flagged);
  EXPECT_EQ(health->duplicates.groups, 1U);
  EXPECT_EQ(health->duplicates.extra, 2U);
  EXPECT_EQ(health->duplicates.disagree, 1U);
  EXPECT_EQ(health->duplicates.both_orders, 1U);
  ASSERT_EQ(health->variants.size(), 1U);
  const HealthFinding* best = find(*health, "best-of");
  ASSERT_NE(best, nullptr);
  // Three of five equals with about 800 x 2 votes each; errors nearly independent: 0.846 standard errors.
  const Covariance covariance = sandwich_covariance(*health->fit, set.pairs);
  EXPECT_NEAR(number_of(*best, "inflation_points"), 0.846 * kEloScale * covariance.se(1) * std::sqrt(5 / 4.0),
              0.15 * kEloScale * covariance.se(1));

  const std::string text = health_text(set, *health, options, {.width = 100});
  EXPECT_EQ(text.find('\x1b'), std::string::npos);  // a voter's name moves no cursor
  EXPECT_NE(text.find("sides with the answer shown first"), std::string::npos);
  EXPECT_NE(text.find("Fit to rank from"), std::string::npos);
  const auto json = nlohmann::json::parse(health_json(set, *health, options, {{"seed", "1"}}));
  EXPECT_TRUE(json["fit_to_rank_from"]);
  EXPECT_EQ(json["voters"]["found"].size(), 1U);
  EXPECT_EQ(json["findings"].size(), health->findings.size());
  EXPECT_EQ(json["without_a_model"].size(), 5U);
  options.variants[0].variants[0] = "model-9";
  EXPECT_FALSE(examine_votes(set, options));
}

TEST(VoteHealth, HostileSets) {
  EXPECT_FALSE(examine_votes({}));
  EXPECT_FALSE(examine_votes(set_of({}, 3)));
  PairTable one;
  add(one, 0, 1, {0, 0, 5, 0});  // ties only: finite, all equal
  auto health = examine_votes(set_of(one, 2));
  ASSERT_TRUE(health);
  EXPECT_TRUE(health->rankable);
  PairTable won;
  add(won, 0, 1, {5, 0, 0, 0});
  health = examine_votes(set_of(won, 3));
  ASSERT_TRUE(health);
  EXPECT_FALSE(health->rankable);
  EXPECT_EQ(health->names.size(), 2U);
  EXPECT_FALSE(health->fit);
  const BattleSet set = set_of(won, 3);
  EXPECT_NE(health_text(set, *health, {}, {}).find("NOT fit"), std::string::npos);
  EXPECT_FALSE(nlohmann::json::parse(health_json(set, *health, {}, {}))["fit_to_rank_from"]);
}

TEST(Duplicates, ByIdAndWithGaps) {
  BattleRows rows;
  rows.a = {0, 0, 0, 1};
  rows.b = {1, 1, 1, 0};
  rows.outcome = {BattleOutcome::kA, BattleOutcome::kA, BattleOutcome::kB, BattleOutcome::kA};
  const CodeColumn id{"id", {"x", "y"}, {0, 0, 1, CodeColumn::kNone}};
  const Duplicates ids = find_duplicate_ids(rows, id);
  EXPECT_EQ(ids.extra, 1U);
  EXPECT_EQ(ids.disagree, 0U);
  const CodeColumn voter{"voter", {"x"}, {0, CodeColumn::kNone, 0, 0}}, prompt{"prompt", {"p"}, {0, 0, 0, 0}};
  const Duplicates both = find_duplicates(rows, &voter, &prompt);
  EXPECT_EQ(both.groups, 1U);
  EXPECT_EQ(both.disagree, 1U);
  EXPECT_EQ(both.both_orders, 1U);
  EXPECT_FALSE(find_duplicates(rows, &voter, nullptr).looked);
}

}  // namespace
}  // namespace agon
