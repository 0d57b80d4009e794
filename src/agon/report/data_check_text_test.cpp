#include "agon/report/data_check_text.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cstdlib>
#include <fstream>
#include <nlohmann/json.hpp>
#include <sstream>

#include "agon/base/parallel.h"

namespace agon {
namespace {

using ::testing::HasSubstr;

/// A file with a bit of everything, hostile text included.
VoteSet mixed_set() {
  VoteSet set;
  set.sources.emplace_back().path = "votes.csv";
  const auto add = [&](const std::string& prompt, const std::string& a, const std::string& b,
                       Outcome outcome) -> Vote& {
    Vote vote;
    vote.row = set.votes.size() + 1;
    vote.id = "id" + std::to_string(vote.row);
    vote.prompt = {{prompt, false}};
    vote.response_a = {{a, false}};
    vote.response_b = {{b, false}};
    vote.outcome = outcome;
    ++set.sources[0].counts.rows;
    set.votes.push_back(vote);
    return set.votes.back();
  };
  set.extra_names = {"category"};
  const char* models[] = {"alpha", "beta", "gamma", "delta"};
  for (std::size_t i = 0; i < 12; ++i) {
    Vote& vote = add(
        i % 4 == 0 ? "What is the capital of France?" : "Schreibe ein Gedicht Nummer " + std::to_string(i),
        "Answer A of " + std::to_string(i), "B " + std::to_string(i), static_cast<Outcome>(i % 3));
    vote.model_a = models[i % 4];
    vote.model_b = models[(i + 1) % 4];
    vote.extras = {"writing"};
  }
  add("evil \x1b[31m\nprompt\u202E", "x", "y", Outcome::kTie).id = "\x1b]0;title\x07";
  add("evil \x1b[31m\nprompt\u202E", "x", "y", Outcome::kTie).id = "\x1b]0;title\x07";
  add("多轮", "```\ncode\n```", "y", Outcome::kA).prompt.push_back({"", true});
  set.sources[0].counts.null_turns = 1;
  set.sources[0].sha256 = std::string(64, 'a');
  set.sources[0].bytes = 1234;
  return set;
}

TEST(DataCheckText, TheTextReportIsAsApproved) {
  const std::string text = data_check_text(check_votes(mixed_set()), {.width = 90});
  EXPECT_EQ(text.find('\x1b'), std::string::npos);
  // A wanted change is approved by running this test once with AGON_APPROVE=1 and reading the diff.
  const std::string path = std::string(AGON_TEST_DATA) + "/data_check/approved.txt";
  if (std::getenv("AGON_APPROVE") != nullptr) std::ofstream(path) << text;
  std::ifstream file(path);
  std::stringstream approved;
  approved << file.rdbuf();
  EXPECT_EQ(text, approved.str());
}

TEST(DataCheckText, TheJsonReportHoldsTheSameNumbers) {
  const DataReport report = check_votes(mixed_set());
  const auto json = nlohmann::json::parse(to_json(report));
  EXPECT_EQ(json["format"], "agon data check 1");
  EXPECT_EQ(json["rows"], 15);
  EXPECT_EQ(json["classes"]["tie"], report.classes.tie);
  EXPECT_EQ(json["models"]["votes_per_model"].size(), 4U);
  EXPECT_EQ(json["findings"].size(), report.findings.size());
  EXPECT_EQ(json["findings"][0]["code"], report.findings[0].code);
}

TEST(DataCheckText, TheSameReportOnAnyNumberOfThreads) {
  set_thread_count(1);
  const std::string one = to_json(check_votes(mixed_set()));
  set_thread_count(4);
  EXPECT_EQ(to_json(check_votes(mixed_set())), one);
  set_thread_count(0);
}

TEST(DataCheckText, OfNothingSaysSo) { EXPECT_THAT(data_check_text(check_votes({})), HasSubstr("no votes")); }

TEST(DataCheckText, ColourOnlyWhenAsked) {
  const DataReport report = check_votes(mixed_set());
  std::string painted = data_check_text(report, {.width = 90, .colour = true});
  EXPECT_THAT(painted, HasSubstr("\x1b[1mOutcomes\x1b[0m"));
  // Without its codes it is the plain one.
  for (std::size_t at; (at = painted.find('\x1b')) != std::string::npos;)
    painted.erase(at, painted.find('m', at) + 1 - at);
  EXPECT_EQ(painted, data_check_text(report, {.width = 90}));
}

}  // namespace
}  // namespace agon
