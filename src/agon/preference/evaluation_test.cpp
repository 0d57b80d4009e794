#include "agon/preference/evaluation.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cmath>

namespace agon {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;

struct Case {
  std::vector<Vote> votes;
  std::vector<std::string> extra_names = {"category", "score", "question_id", "judge", "source"};
  std::vector<Prediction> predictions, prior, length_only;
  std::vector<std::uint32_t> clusters;

  [[nodiscard]] Evaluation run(const EvaluationOptions& options) const {
    return evaluate(votes, extra_names, predictions, prior, length_only, clusters, options);
  }
};

/// 240 votes: every third German, every fourth with code, 1 to 4 turns, one in ten without a label.
Case make_case() {
  Case c;
  for (std::uint32_t i = 0; i < 240; ++i) {
    Vote vote;
    const std::string question = i % 3 == 0 ? "Was ist der Sinn des Lebens?" : "What is the meaning of life?";
    for (std::uint32_t turn = 0; turn <= i % 4; ++turn) vote.prompt.push_back({question, false});
    vote.response_a.push_back({std::string(i * 20, 'a'), false});
    vote.response_b.push_back({i % 4 == 0 ? "```\nx\n```" : "b", false});
    vote.outcome = i % 10 == 9 ? Outcome::kUnknown : static_cast<Outcome>(i % 3);
    vote.extras = {i % 2 == 0 ? "writing" : "", std::to_string(i % 100), std::to_string(i),
                   "judge " + std::to_string(i), "one"};
    c.votes.push_back(vote);
    const double p = 0.3 + 0.001 * i;
    c.predictions.push_back({p, 0.8 * (1 - p), 0.2 * (1 - p)});
    c.prior.push_back({0.35, 0.35, 0.3});
    c.length_only.push_back({0.4, 0.3, 0.3});
    c.clusters.push_back(i / 2);
  }
  return c;
}

const Slice* find(const Evaluation& e, const std::string& dimension, const std::string& value) {
  for (const Slice& slice : e.slices)
    if (slice.dimension == dimension && slice.value == value) return &slice;
  return nullptr;
}

TEST(Evaluate, LeavesUnlabelledVotesOut) {
  const Evaluation e = make_case().run({.bootstrap = {.draws = 50}});
  EXPECT_EQ(e.overall.rows, 216U);
  EXPECT_EQ(e.prior.rows, 216U);
  EXPECT_NEAR(e.vs_prior.value, e.overall.log_loss.value - e.prior.log_loss.value, 1e-12);
  EXPECT_NEAR(e.vs_length_only.value, e.overall.log_loss.value - e.length_only.log_loss.value, 1e-12);
}

TEST(Evaluate, SlicesPartitionTheRows) {
  const Evaluation e = make_case().run({.bootstrap = {.draws = 20}, .min_slice_rows = 1});
  for (const std::string dimension : {"language", "turns", "length", "code", "score"}) {
    std::uint64_t rows = 0;
    double loss = 0;
    for (const Slice& slice : e.slices)
      if (slice.dimension == dimension) {
        rows += slice.metrics.rows;
        loss += slice.metrics.log_loss.value * static_cast<double>(slice.metrics.rows);
      }
    EXPECT_EQ(rows, 216U) << dimension;
    EXPECT_NEAR(loss / 216, e.overall.log_loss.value, 1e-12) << dimension;
  }
  ASSERT_NE(find(e, "language", "de"), nullptr);
  EXPECT_EQ(find(e, "language", "de")->metrics.rows, 72U);
  ASSERT_NE(find(e, "turns", "3+"), nullptr);
  ASSERT_NE(find(e, "code", "code"), nullptr);
  EXPECT_EQ(find(e, "code", "code")->metrics.rows, 60U);
  ASSERT_NE(find(e, "length", "short"), nullptr);
}

TEST(Evaluate, CutsOrLeavesOutColumnsOfManyValuesAndSaysSo) {
  const Evaluation e = make_case().run({.bootstrap = {.draws = 20}, .min_slice_rows = 1});
  std::size_t quarters = 0;
  for (const Slice& slice : e.slices) {
    quarters += slice.dimension == "score";
    EXPECT_NE(slice.dimension, "judge");
    EXPECT_NE(slice.dimension, "question_id");
    EXPECT_NE(slice.dimension, "category");
  }
  EXPECT_EQ(quarters, 4U);
  EXPECT_THAT(e.notes, ElementsAre(HasSubstr("'category' is not sliced: it has 1 value"),
                                   HasSubstr("'score' has 90 different numbers: cut at its quartiles"),
                                   HasSubstr("'question_id' is not sliced: it looks like an identifier"),
                                   HasSubstr("'judge' is not sliced: 216 values"),
                                   HasSubstr("'source' is not sliced: it has 1 value")));
}

TEST(Evaluate, SmallSlicesAreLeftOutAndOthersComeLargestFirst) {
  const Evaluation e = make_case().run({.bootstrap = {.draws = 20}, .min_slice_rows = 70});
  for (std::size_t i = 0; i < e.slices.size(); ++i) {
    EXPECT_GE(e.slices[i].metrics.rows, 70U);
    if (i > 0 && e.slices[i].dimension == e.slices[i - 1].dimension) {
      EXPECT_LE(e.slices[i].metrics.rows, e.slices[i - 1].metrics.rows);
    }
  }
  EXPECT_EQ(find(e, "turns", "1"), nullptr);
}

TEST(Evaluate, TheMostSurprisingRowsPointIntoTheVotes) {
  const Case c = make_case();
  const Evaluation e = c.run({.bootstrap = {.draws = 20}, .surprising_rows = 5});
  ASSERT_EQ(e.surprising.size(), 5U);
  double before = 1e9;
  for (const SurprisingRow& row : e.surprising) {
    EXPECT_NE(c.votes[row.index].outcome, Outcome::kUnknown);
    EXPECT_DOUBLE_EQ(row.loss, log_loss(c.predictions[row.index], c.votes[row.index].outcome));
    EXPECT_LE(row.loss, before);
    before = row.loss;
  }
}

TEST(Evaluate, NothingLabelledGivesNaNAndNoSlices) {
  Case c = make_case();
  for (Vote& vote : c.votes) vote.outcome = Outcome::kUnknown;
  const Evaluation e = c.run({});
  EXPECT_TRUE(std::isnan(e.overall.log_loss.value));
  EXPECT_TRUE(e.slices.empty());
  EXPECT_TRUE(e.surprising.empty());
}

}  // namespace
}  // namespace agon
