#include "agon/data/check.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cmath>
#include <nlohmann/json.hpp>

namespace agon {
namespace {

using ::testing::HasSubstr;

/// A set that grows row by row, as the reader would deliver it.
struct Builder {
  VoteSet set;

  explicit Builder(const std::string& path) { set.sources.emplace_back().path = path; }
  Vote& add(const std::string& prompt, const std::string& a, const std::string& b, Outcome outcome) {
    Vote vote;
    vote.row = set.votes.size() + 1;
    vote.id = "id" + std::to_string(vote.row);
    vote.prompt = {{prompt, false}};
    vote.response_a = {{a, false}};
    vote.response_b = {{b, false}};
    vote.outcome = outcome;
    set.votes.push_back(vote);
    ++set.sources[0].counts.rows;
    return set.votes.back();
  }
};

const Finding* find(const DataReport& report, const std::string& code) {
  for (const Finding& finding : report.findings)
    if (finding.code == code) return &finding;
  return nullptr;
}

std::vector<std::uint64_t> rows_of(const DataReport& report, const std::string& code) {
  std::vector<std::uint64_t> rows;
  if (const Finding* finding = find(report, code))
    for (const RowRef& row : finding->examples) rows.push_back(row.row);
  return rows;
}

using Rows = std::vector<std::uint64_t>;

TEST(CheckVotes, RepeatsTwinsAndContradictions) {
  Builder b("votes.csv");
  b.add("Which is it?", "one", "two", Outcome::kA);
  b.add("Which is it?", "one", "two", Outcome::kA);  // 2: the same again
  b.add("Which is it?", "two", "one", Outcome::kB);  // 3: exchanged, and says the same
  b.add("Other question", "x", "y", Outcome::kA);
  b.add("Other question", "y", "x", Outcome::kA);  // 5: exchanged, and says the opposite
  b.add("A third one", "x", "y", Outcome::kTie);
  b.add("A third one", "x", "y", Outcome::kB);  // 7: judged differently
  b.add("Same answers", "z", "z", Outcome::kA);
  b.add("Same answers", "z", "z", Outcome::kB);       // neither twin nor contradiction
  b.add("Which is it ?", "one", "two", Outcome::kA);  // another text: no repeat
  const DataReport report = check_votes(b.set);
  EXPECT_EQ(rows_of(report, "duplicates"), Rows({2}));
  EXPECT_EQ(rows_of(report, "swapped-twins"), Rows({3, 5}));
  EXPECT_EQ(rows_of(report, "contradictions"), Rows({4, 5, 6, 7}));
  EXPECT_THAT(find(report, "contradictions")->message, HasSubstr("of 2 comparisons"));
  EXPECT_EQ(rows_of(report, "identical-answers"), Rows({8, 9}));
  EXPECT_EQ(find(report, "duplicate-ids"), nullptr);
}

TEST(CheckVotes, TwinsAreTheSameWhicheverOrderComesFirst) {
  for (const bool exchanged : {false, true}) {
    Builder b("votes.csv");
    b.add("p", exchanged ? "x" : "y", exchanged ? "y" : "x", Outcome::kA);
    b.add("p", exchanged ? "y" : "x", exchanged ? "x" : "y", Outcome::kB);
    const DataReport report = check_votes(b.set);
    EXPECT_EQ(rows_of(report, "swapped-twins"), Rows({2}));
    EXPECT_EQ(find(report, "contradictions"), nullptr);
    EXPECT_EQ(find(report, "duplicates"), nullptr);
  }
}

TEST(CheckVotes, TurnBordersAreNotMovedByText) {
  Builder b("votes.csv");
  b.add("p", "ab", "c", Outcome::kA).response_a = {{"a", false}, {"b", false}};
  b.add("p", "ab", "c", Outcome::kA).response_a = {{"ab", false}, {"", false}};
  const DataReport report = check_votes(b.set);
  EXPECT_EQ(find(report, "duplicates"), nullptr);
  EXPECT_EQ(rows_of(report, "turn-mismatch"), Rows({1, 2}));
}

TEST(CheckVotes, OddTextsAreCounted) {
  Builder b("votes.csv");
  b.add("", "x", "y", Outcome::kA);
  b.add("q", " \n", "y", Outcome::kB);
  b.add("q2", "", "", Outcome::kTie).response_a[0].null = true;
  b.add("q3", "x", "y", Outcome::kUnknown);
  b.set.votes[3].id = "id1";
  b.set.sources[0].counts.lone_surrogates = 3;
  b.set.sources[0].counts.invalid_utf8 = 2;
  b.set.sources[0].counts.skipped = 1;
  const DataReport report = check_votes(b.set);
  EXPECT_EQ(rows_of(report, "blank-prompts"), Rows({1}));
  EXPECT_EQ(rows_of(report, "blank-answers"), Rows({2}));
  EXPECT_EQ(rows_of(report, "both-blank"), Rows({3}));
  EXPECT_EQ(rows_of(report, "null-turns"), Rows({3}));
  EXPECT_EQ(rows_of(report, "duplicate-ids"), Rows({4}));
  EXPECT_EQ(find(report, "identical-answers"), nullptr);  // two blanks are named once
  EXPECT_EQ(find(report, "unlabelled")->count, 1U);
  EXPECT_EQ(find(report, "lone-surrogates")->count, 3U);
  EXPECT_EQ(find(report, "invalid-utf8")->count, 2U);
  EXPECT_EQ(find(report, "skipped-rows")->count, 1U);
  bool notes = false;  // what is to be looked at comes first
  for (const Finding& finding : report.findings) {
    notes |= finding.level == Finding::Level::kNote;
    EXPECT_EQ(finding.level == Finding::Level::kNote, notes) << finding.code;
  }
}

TEST(CheckVotes, ClassSharesAndTheirEntropy) {
  Builder b("votes.csv");
  for (int i = 0; i < 8; ++i) {
    const Outcome outcome = i < 4 ? Outcome::kA : i < 6 ? Outcome::kB : Outcome::kTie;
    b.add("question " + std::to_string(i), i % 2 == 0 ? "long answer" : "short", "middle", outcome);
  }
  b.set.votes[7].both_bad = true;
  const ClassShares classes = check_votes(b.set).classes;
  EXPECT_EQ(classes.a, 4U);
  EXPECT_EQ(classes.b, 2U);
  EXPECT_EQ(classes.tie, 2U);
  EXPECT_EQ(classes.both_bad, 1U);
  EXPECT_NEAR(classes.prior_log_loss, 0.5 * std::log(2.0) + 0.5 * std::log(4.0), 1e-15);
  // A is longer in even rows: wins in 0 and 2, loses in 4; B is longer in odd ones: loses 1, 3, wins 5.
  EXPECT_EQ(classes.longer_wins_of, 6U);
  EXPECT_DOUBLE_EQ(classes.longer_wins, 0.5);
}

TEST(CheckVotes, APositionEffectNeedsMoreThanChance) {
  const auto finding_with = [](int a, int b) {
    Builder builder("votes.csv");
    for (int i = 0; i < a + b; ++i)
      builder.add("question " + std::to_string(i), "x" + std::to_string(i), "y",
                  i < a ? Outcome::kA : Outcome::kB);
    return find(check_votes(builder.set), "position-effect") != nullptr;
  };
  EXPECT_FALSE(finding_with(60, 40));  // 2 standard errors
  EXPECT_TRUE(finding_with(70, 30));   // 4
  EXPECT_TRUE(finding_with(30, 70));
}

TEST(CheckVotes, TheModelGraph) {
  Builder b("votes.csv");
  const auto add = [&](const std::string& model_a, const std::string& model_b) {
    Vote& vote = b.add("q" + std::to_string(b.set.votes.size()), "x", "y", Outcome::kA);
    vote.model_a = model_a;
    vote.model_b = model_b;
  };
  add("m1", "m2");
  add("m2", "m1");
  add("m2", "M-1");
  add("m8", "m9");
  add("m9", "m9");
  add("", "m1");
  add("", "");
  const DataReport report = check_votes(b.set);
  EXPECT_EQ(report.models.rows_with_names, 5U);
  EXPECT_EQ(report.models.pairs, 3U);
  EXPECT_EQ(report.models.components, (std::vector<std::uint64_t>{3, 2}));
  EXPECT_EQ(report.models.votes_per_model[0].name, "m2");
  EXPECT_EQ(report.models.votes_per_model[0].count, 3U);
  EXPECT_EQ(report.models.votes_per_model[1].count, 2U);
  EXPECT_EQ(find(report, "unconnected-models")->count, 2U);
  EXPECT_EQ(rows_of(report, "same-model"), Rows({5}));
  EXPECT_EQ(rows_of(report, "half-named"), Rows({6}));
  EXPECT_EQ(find(report, "alike-names"), nullptr);  // "m1" and "M-1" fold to "m1" and "m 1"
  add("gpt 4", "GPT-4");
  EXPECT_THAT(find(check_votes(b.set), "alike-names")->message, HasSubstr("'GPT-4'"));
}

TEST(CheckVotes, LeaksBetweenTwoFiles) {
  const std::string question = "please tell me in a few plain words how a heat pump warms a house in winter";
  Builder train("train.csv"), test("test.csv");
  train.add(question, "x", "y", Outcome::kA);
  train.add("unrelated", "p", "q", Outcome::kA);
  test.add("Please tell me, in a few plain words, how a heat pump warms a house in winter?", "m", "n",
           Outcome::kUnknown);                               // the same prompt
  test.add(question + " now", "m", "n", Outcome::kUnknown);  // nearly
  test.add("unrelated", "q", "p", Outcome::kUnknown);        // prompt and answers, exchanged
  test.add("something else", "p", "q", Outcome::kUnknown).id = "n4";
  const DataReport report = check_votes(train.set, &test.set);
  ASSERT_TRUE(report.leaks.has_value());
  EXPECT_EQ(report.leaks->rows, 4U);
  EXPECT_EQ(report.leaks->same_prompt, 2U);
  EXPECT_EQ(report.leaks->near_prompt, 1U);
  EXPECT_EQ(report.leaks->same_comparison, 1U);
  EXPECT_EQ(report.leaks->same_id, 2U);
  EXPECT_EQ(rows_of(report, "leak-prompt"), Rows({1, 3}));
  EXPECT_EQ(rows_of(report, "leak-near-prompt"), Rows({2}));
  EXPECT_EQ(rows_of(report, "leak-comparison"), Rows({3}));
  EXPECT_EQ(find(report, "leak-comparison")->examples[0].file, "test.csv");
  EXPECT_FALSE(check_votes(train.set).leaks.has_value());
}

TEST(CheckVotes, AnEmptySetIsNoBug) {
  const DataReport report = check_votes({});
  EXPECT_EQ(report.rows, 0U);
  EXPECT_TRUE(report.findings.empty());
  EXPECT_TRUE(std::isnan(report.classes.prior_log_loss));
  EXPECT_TRUE(nlohmann::json::parse(to_json(report))["classes"]["prior_log_loss"].is_null());
}

}  // namespace
}  // namespace agon
