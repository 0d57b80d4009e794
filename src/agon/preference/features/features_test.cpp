// The promises that every block makes, on random votes and on awkward ones.
#include <gtest/gtest.h>
#include <rapidcheck/gtest.h>

#include <algorithm>
#include <cmath>
#include <set>
#include <string>

#include "agon/base/parallel.h"
#include "agon/data/vote_reader.h"
#include "agon/preference/features/block.h"
#include "agon/preference/features/blocks.h"
#include "agon/preference/features/pairing.h"
#include "agon/text/utf8.h"

namespace agon {
namespace {

/// Text of pieces that the blocks look for, and of code points from everywhere.
rc::Gen<std::string> any_text() {
  const auto piece = rc::gen::elementOf(std::vector<std::string>{"",
                                                                 " ",
                                                                 "\n",
                                                                 "\n\n",
                                                                 "```\n",
                                                                 "~~~",
                                                                 "# h\n",
                                                                 "- **x** ",
                                                                 "  1. y\n",
                                                                 "| a | b |\n",
                                                                 "> q",
                                                                 "---\n",
                                                                 "**",
                                                                 "`",
                                                                 "$",
                                                                 "\\frac",
                                                                 "[a](b)",
                                                                 "://",
                                                                 "I'm sorry, but as an AI",
                                                                 "sure",
                                                                 "in conclusion",
                                                                 "don\u2019t",
                                                                 "\u4f60\u597d",
                                                                 "\u3042",
                                                                 "\ud55c\uad6d",
                                                                 "\u043f\u0440\u0438\u0432\u0435\u0442",
                                                                 "\u0645\u0631\u062d\u0628\u0627",
                                                                 "\u0e2a\u0e27\u0e31\u0e2a",
                                                                 "\u0928\u092e\u0938\u094d\u0924\u0947",
                                                                 "\U0001F600",
                                                                 "\uFFFD",
                                                                 "!",
                                                                 "...",
                                                                 "?",
                                                                 ",;:",
                                                                 "42",
                                                                 "3.14",
                                                                 "NASA",
                                                                 "Word",
                                                                 "word word word ",
                                                                 "write a short poem",
                                                                 "\x01",
                                                                 "\t",
                                                                 "e\u0301",
                                                                 "\u200b"});
  const auto point = rc::gen::map(rc::gen::inRange<std::uint32_t>(1, 0x110000), [](std::uint32_t c) {
    std::string out;
    append_utf8(out, c >= 0xD800 && c < 0xE000 ? 0xFFFD : static_cast<char32_t>(c));
    return out;
  });
  return rc::gen::map(rc::gen::container<std::vector<std::string>>(
                          rc::gen::weightedOneOf<std::string>({{6, piece}, {1, point}})),
                      [](const std::vector<std::string>& parts) {
                        std::string out;
                        for (const std::string& part : parts) out += part;
                        return out;
                      });
}

rc::Gen<Turns> any_turns() {
  const auto turn = rc::gen::map(rc::gen::pair(any_text(), rc::gen::inRange(0, 8)), [](const auto& p) {
    return p.second == 0 ? Turn{.text = "", .null = true} : Turn{.text = p.first, .null = false};
  });
  return rc::gen::mapcat(rc::gen::inRange(1, 4), [turn](int n) {
    return rc::gen::container<Turns>(static_cast<std::size_t>(n), turn);
  });
}

Vote any_vote() {
  Vote vote;
  vote.prompt = *any_turns();
  vote.response_a = *any_turns();
  vote.response_b = *rc::gen::inRange(0, 6) == 0 ? vote.response_a : *any_turns();
  return vote;
}

std::vector<float> row_of(const Vote& vote) { return text_features(std::span(&vote, 1)).values; }

/// Empty when swapping does exactly what the parities promise and all is finite.
std::string broken_promise(const Vote& vote) {
  const std::vector<float> here = row_of(vote), back = row_of(swapped(vote));
  const auto& columns = text_columns();
  for (std::size_t j = 0; j < columns.size(); ++j) {
    if (!std::isfinite(here[j]) || !std::isfinite(back[j])) return columns[j].name + " is not finite";
    const float want = columns[j].parity == Parity::kOdd ? -here[j] : here[j];
    if (back[j] != want) return columns[j].name + " is not symmetric";
  }
  return {};
}

RC_GTEST_PROP(Features, SwapExactlyAndAreFinite, ()) {
  const std::string broken = broken_promise(any_vote());
  if (!broken.empty()) RC_FAIL(broken);
}

RC_GTEST_PROP(Features, NamesIdsAndLabelsNeverEnter, ()) {
  const Vote vote = any_vote();
  Vote other = vote;
  other.id = "another";
  other.model_a = "gpt-4";
  other.model_b = *any_text();
  other.outcome = Outcome::kTie;
  other.both_bad = true;
  other.weight = 3;
  other.extras = {"x"};
  other.source = 2;
  other.row = 77;
  RC_ASSERT(row_of(vote) == row_of(other));
}

RC_GTEST_PROP(Features, ARowDoesNotDependOnItsNeighbours, ()) {
  const std::vector<Vote> votes{any_vote(), any_vote(), any_vote()};
  const FeatureMatrix all = text_features(votes);
  for (std::size_t i = 0; i < votes.size(); ++i) RC_ASSERT(std::ranges::equal(all.row(i), row_of(votes[i])));
}

Turns turns(std::initializer_list<std::string> texts) {
  Turns out;
  for (const std::string& text : texts) out.push_back({.text = text, .null = false});
  return out;
}
std::string repeated(std::string_view part, int times) {
  std::string out;
  for (int i = 0; i < times; ++i) out += part;
  return out;
}

TEST(Features, AwkwardVotesKeepThePromises) {
  const std::vector<Turns> sides = {
      turns({""}),
      turns({" \n "}),
      {Turn{.text = "", .null = true}},
      turns({"ok", ""}),
      turns({"a", "b", "c"}),
      turns({repeated("word ", 50'000)}),
      turns({repeated("same line of text\n", 5'000)}),
      turns({repeated("!", 20'000)}),
      turns({repeated("\u4e2d", 20'000)}),
      turns({repeated("```\n", 2'001)}),
      turns({repeated("a", 100'000)}),
      turns({repeated("- ", 10'000)}),
      {},  // readers never give no turns at all; the blocks hold even then
  };
  for (const Turns& prompt : {turns({""}), turns({"write a list of code", "shorter"}), Turns{}})
    for (std::size_t i = 0; i < sides.size(); ++i)
      for (std::size_t k = i; k < sides.size(); k += i + 1) {
        Vote vote;
        vote.prompt = prompt;
        vote.response_a = sides[i];
        vote.response_b = sides[k];
        EXPECT_EQ(broken_promise(vote), "") << i << " against " << k;
      }
}

TEST(Features, RealVotesKeepThePromises) {
  const auto set = read_votes({{.path = AGON_TEST_DATA "/votes/lmsys_sample.csv"}}, {});
  ASSERT_TRUE(set) << set.error().to_string();
  for (const Vote& vote : set->votes) EXPECT_EQ(broken_promise(vote), "") << vote.id;
  // More than rows a task, so that several threads share the work.
  std::vector<Vote> many;
  for (int i = 0; i < 5; ++i) many.insert(many.end(), set->votes.begin(), set->votes.end());
  set_thread_count(1);
  const FeatureMatrix one = text_features(many);
  set_thread_count(4);
  const FeatureMatrix four = text_features(many);
  set_thread_count(0);
  EXPECT_EQ(one.values, four.values);
}

TEST(Features, IdenticalAnswersGiveNoDirection) {
  Vote vote;
  vote.prompt = turns({"Hi"});
  vote.response_a = vote.response_b = turns({"Hello **there**, 42!\n- x"});
  const std::vector<float> row = row_of(vote);
  for (std::size_t j = 0; j < row.size(); ++j)
    EXPECT_TRUE(text_columns()[j].parity == Parity::kEven || row[j] == 0) << text_columns()[j].name;
}

TEST(Features, ColumnsHaveNamesOfTheirOwnAndBlocksAddUp) {
  std::set<std::string> names, blocks;
  std::size_t width = 0;
  for (const TextBlock* block : text_blocks()) {
    EXPECT_TRUE(blocks.insert(std::string(block->name())).second);
    EXPECT_GE(block->version(), 1);
    width += block->columns().size();
    for (const Column& c : block->columns()) {
      EXPECT_TRUE(names.insert(c.name).second) << c.name;
      EXPECT_TRUE(c.name.starts_with(std::string(block->name()) + ".")) << c.name;
      EXPECT_FALSE(c.description.empty()) << c.name;
    }
  }
  EXPECT_EQ(width, text_columns().size());
}

/// Every block fills all of its own columns and nothing behind them.
TEST(Features, BlocksWriteTheirColumnsAndNoMore) {
  Vote vote;
  vote.prompt = turns({"Explain x"});
  vote.response_a = turns({"Sure! 1. **a**"});
  vote.response_b = turns({"No."});
  AnalyzedVote analyzed;
  analyze(vote, analyzed);
  const std::vector<float> all = row_of(vote);
  std::size_t at = 0;
  for (const TextBlock* block : text_blocks()) {
    const std::size_t width = block->columns().size();
    std::vector<float> row(width + 3, -12345.0F);
    block->compute_row(analyzed, std::span(row).first(width));
    for (std::size_t j = 0; j < width; ++j) EXPECT_EQ(row[j], all[at + j]) << block->columns()[j].name;
    for (std::size_t j = width; j < row.size(); ++j) EXPECT_EQ(row[j], -12345.0F) << block->name();
    at += width;
  }
}

float value(const Vote& vote, std::string_view name) {
  const auto& columns = text_columns();
  const auto found = std::ranges::find(columns, name, &Column::name);
  EXPECT_NE(found, columns.end()) << name;
  return row_of(vote)[static_cast<std::size_t>(found - columns.begin())];
}

TEST(Features, KnownValues) {
  Vote vote;
  vote.prompt = turns({"Name three red fruits"});
  vote.response_a = turns({"apple cherry apple"});
  vote.response_b = turns({"red apple, red cherry, red plum and more."});
  EXPECT_FLOAT_EQ(value(vote, "length.words.diff"), std::log(4.0F) - std::log(9.0F));
  EXPECT_FLOAT_EQ(value(vote, "length.words.rel"), (3.0F - 8.0F) / 12.0F);
  EXPECT_FLOAT_EQ(value(vote, "length.words.mean"), (std::log(4.0F) + std::log(9.0F)) / 2);
  EXPECT_FLOAT_EQ(value(vote, "repetition.type_token.diff"), 2.0F / 3 - 6.0F / 8);
  EXPECT_FLOAT_EQ(value(vote, "overlap.prompt_covered.diff"), 0.0F - 1.0F / 4);
  EXPECT_FLOAT_EQ(value(vote, "overlap.words_shared"), 2.0F / 6);  // apple and cherry of six
  EXPECT_FLOAT_EQ(value(vote, "turns.cut_off.diff"), 1.0F);
  EXPECT_FLOAT_EQ(value(vote, "prompt.words"), std::log(5.0F));
  vote.response_b = vote.response_a;
  EXPECT_EQ(value(vote, "overlap.identical"), 1.0F);
}

TEST(Pairing, GivesTheColumnsItNames) {
  const std::vector<Side> sides = {Side{"n", "count", Side::kCount, true, Side::kBoth},
                                   Side{"s", "share", Side::kShare, false, Side::kNone}};
  const std::vector<Column> columns = paired_columns("b", sides);
  std::vector<std::string> names;
  for (const Column& c : columns) names.push_back(c.name);
  EXPECT_EQ(names, (std::vector<std::string>{"b.n.diff", "b.n.rel", "b.n.mean", "b.n.gap", "b.s.diff"}));
  std::vector<float> out(6, 9);
  const std::array<double, 2> a{3, 0.25}, b{0, 0.75};
  EXPECT_EQ(pair_values(sides, a, b, out).size(), 1U);
  const float log4 = std::log(4.0F);
  EXPECT_FLOAT_EQ(out[0], log4);
  EXPECT_FLOAT_EQ(out[1], 0.75F);
  EXPECT_FLOAT_EQ(out[2], log4 / 2);
  EXPECT_FLOAT_EQ(out[3], log4);
  EXPECT_FLOAT_EQ(out[4], -0.5F);
  EXPECT_EQ(out[5], 9);
}

}  // namespace
}  // namespace agon
