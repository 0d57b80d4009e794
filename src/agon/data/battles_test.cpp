#include "agon/data/battles.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cmath>
#include <map>

#include "agon/data/battle_fields.h"

namespace agon {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;

Result<BattleSet> read(std::string bytes, const ReadBattles& options = {}) {
  return read_battles_from_memory(std::move(bytes), "f", options);
}

std::string error_of(std::string bytes, const ReadBattles& options = {}) {
  const auto set = read(std::move(bytes), options);
  return set ? "no error" : set.error().to_string();
}

ReadBattles with_rows() {
  ReadBattles options;
  options.keep_rows = true;
  return options;
}

std::array<double, 4> totals(const PairTable& pairs) {
  std::array<double, 4> sum{};
  for (const PairCount& pair : pairs) {
    for (std::size_t k = 0; k < 4; ++k) sum[k] += pair.weight[k];
  }
  return sum;
}

// ---- Tables

TEST(FoldOrder, TurnsTheOtherOrderRound) {
  const PairTable pairs = {
      {.first = 0,
       .second = 1,
       .battles = 5,
       .weight = {1, 2, 1, 1},
       .weight_sq = {1, 4, 1, 1},
       .cross = 0.25},
      {.first = 1,
       .second = 0,
       .battles = 7,
       .weight = {3, 4, 0, 0},
       .weight_sq = {9, 16, 0, 0},
       .cross = 0.5},
      {.first = 2, .second = 0, .battles = 1, .weight = {1, 0, 0, 0}, .weight_sq = {1, 0, 0, 0}}};
  const PairTable folded = fold_order(pairs);
  ASSERT_EQ(folded.size(), 2U);
  EXPECT_EQ(folded[0].battles, 12U);
  EXPECT_THAT(folded[0].weight, ElementsAre(5, 5, 1, 1));
  EXPECT_THAT(folded[0].weight_sq, ElementsAre(17, 13, 1, 1));
  EXPECT_EQ(folded[0].cross, 0.75);
  EXPECT_EQ(folded[1].first, 0U);
  EXPECT_EQ(folded[1].second, 2U);
  EXPECT_THAT(folded[1].weight, ElementsAre(0, 1, 0, 0));
}

TEST(CountPairs, CountsTheChosenRows) {
  BattleRows rows;
  rows.a = {0, 1, 0, 2};
  rows.b = {1, 0, 1, 1};
  rows.outcome = {BattleOutcome::kA, BattleOutcome::kTie, BattleOutcome::kShare, BattleOutcome::kBothBad};
  rows.share = {NAN, NAN, 0.25F, NAN};
  rows.weight = {1, 1, 2, 1};
  const PairTable all = count_pairs(rows, 3);
  ASSERT_EQ(all.size(), 3U);
  EXPECT_EQ(all[0].battles, 2U);
  EXPECT_THAT(all[0].weight, ElementsAre(1.5, 1.5, 0, 0));       // 1 + 2 * 0.25; 2 * 0.75
  EXPECT_THAT(all[0].weight_sq, ElementsAre(1.25, 2.25, 0, 0));  // 1 + 0.5^2; 1.5^2
  EXPECT_EQ(all[0].cross, 0.75);                                 // 2^2 * 0.25 * 0.75
  EXPECT_THAT(all[2].weight, ElementsAre(0, 0, 0, 1));
  const std::vector<std::uint32_t> chosen = {1, 1};
  const PairTable twice = count_pairs(rows, 3, chosen);
  ASSERT_EQ(twice.size(), 1U);
  EXPECT_THAT(twice[0].weight, ElementsAre(0, 0, 2, 0));
}

TEST(CountPairs, FindsEveryPairOfManyCompetitors) {
  BattleRows rows;  // more than the square table holds
  for (std::uint32_t i = 0; i < 3000; ++i) {
    for (const std::uint32_t step : {1U, 7U, 1500U}) {
      rows.a.push_back(i);
      rows.b.push_back((i + step) % 3000);
      rows.outcome.push_back(BattleOutcome::kA);
    }
  }
  const PairTable table = count_pairs(rows, 3000);
  ASSERT_EQ(table.size(), 9000U);
  for (std::size_t i = 0; i < table.size(); ++i) {
    EXPECT_EQ(table[i].battles, 1U);
    EXPECT_EQ(table[i].first, i / 3);
  }
}

// ---- CSV

TEST(ReadBattles, TakesTheUsualNamesOfColumns) {
  for (const char* header :
       {"model_a,model_b,winner", "first_model,second_model,label", "left,right,verdict"}) {
    const auto set = read(std::string(header) + "\nx,y,model_a\ny,x,right\nx,z,draw\n");
    ASSERT_TRUE(set) << set.error().to_string();
    EXPECT_THAT(set->competitors, ElementsAre("x", "y", "z"));
    EXPECT_EQ(set->pairs.size(), 3U);
    EXPECT_THAT(totals(set->pairs), ElementsAre(1, 1, 1, 0));
    EXPECT_EQ(set->sources.at(0).form, "CSV battles");
    EXPECT_EQ(set->sources[0].rows, 3U);
  }
}

TEST(ReadBattles, TakesNamesByOption) {
  ReadBattles options;
  options.first_column = "player";
  options.second_column = "opponent";
  options.winner_column = "who";
  const std::string bytes = "model_a,opponent,player,who\nq,y,x,A\n";
  const auto set = read(bytes, options);
  ASSERT_TRUE(set) << set.error().to_string();
  EXPECT_THAT(set->competitors, ElementsAre("x", "y"));
  options.winner_column = "whom";
  EXPECT_EQ(error_of(bytes, options), "f: no column 'whom'; found model_a, opponent, player, who");
  EXPECT_THAT(error_of("a1,b1,winner\nx,y,tie\n"),
              HasSubstr("no two columns name the competitors; found a1, b1, winner"));
  EXPECT_THAT(error_of("model_a,model_b,won\nx,y,tie\n"), HasSubstr("no column tells the winner; found"));
}

TEST(ReadBattles, TakesTheCompetitionsFlags) {
  const std::string header = "id,model_a,model_b,winner_model_a,winner_model_b,winner_tie\n";
  const auto set = read(header + "1,x,y,1,0,0\n2,x,y,0,1,0\n3,x,y,0,0,1\n");
  ASSERT_TRUE(set) << set.error().to_string();
  EXPECT_THAT(totals(set->pairs), ElementsAre(1, 1, 1, 0));
  EXPECT_THAT(error_of(header + "1,x,y,1,1,0\n"), HasSubstr("row 1: two winners"));
  EXPECT_THAT(error_of(header + "1,x,y,1,0,\n"), HasSubstr("a cell of the winner columns is empty"));
}

TEST(ReadBattles, KnowsLabelsWhateverTheirDress) {
  using enum BattleOutcome;
  const std::vector<std::pair<const char*, BattleOutcome>> labels = {{"model_a", kA},
                                                                     {"Model A", kA},
                                                                     {"A", kA},
                                                                     {"left", kA},
                                                                     {"first", kA},
                                                                     {"A>B", kA},
                                                                     {"[[A]]", kA},
                                                                     {"model_b", kB},
                                                                     {"b", kB},
                                                                     {"right", kB},
                                                                     {"B>A", kB},
                                                                     {"A<B", kB},
                                                                     {"tie", kTie},
                                                                     {"Draw", kTie},
                                                                     {"A=B", kTie},
                                                                     {"both_bad", kBothBad},
                                                                     {"tie (bothbad)", kBothBad},
                                                                     {"Tie (both bad)", kBothBad}};
  for (const auto& [text, outcome] : labels) {
    const auto label = battle_parts::battle_label_of(text);
    EXPECT_TRUE(label.known) << text;
    EXPECT_EQ(label.outcome, outcome) << text;
  }
  for (const char* text : {"", "win", "1", "0", "model_c", "A>C", "A>>>B", "ab", "nan", "x"})
    EXPECT_FALSE(battle_parts::battle_label_of(text).known) << text;
  const auto strong = read("model_a,model_b,winner\nx,y,A>>B\nx,y,B>>A\n");
  EXPECT_THAT(totals(strong->pairs), ElementsAre(3, 3, 0, 0));
}

TEST(ReadBattles, AnUnknownLabelListsThoseSeenAndThoseKnown) {
  const std::string bytes = "model_a,model_b,winner\nx,y,model_a\nx,y,Won\nx,y,tie\nx,y,lost\nx,y,Won\n";
  const std::string error = error_of(bytes);
  EXPECT_THAT(error, HasSubstr("f: row 2, column 'winner': unknown label 'Won'"));
  EXPECT_THAT(error, HasSubstr("'model_a' 1, 'Won' 2, 'tie' 1, 'lost' 1"));
  EXPECT_THAT(error, HasSubstr("expected model_a, model_b"));
  EXPECT_THAT(error_of("model_a,model_b,winner\nx,y,\n"), HasSubstr("no winner: the cell is empty"));
  ReadBattles skip;
  skip.skip_bad = true;
  const auto set = read(bytes, skip);
  ASSERT_TRUE(set);
  EXPECT_EQ(set->battles(), 2U);
  EXPECT_EQ(set->sources[0].skipped, 3U);
  EXPECT_EQ(set->sources[0].skip_list.at(1).row, 4U);
}

TEST(ReadBattles, RefusesWhatCannotBe) {
  const std::string header = "model_a,model_b,winner,weight\n", good = "x,y,tie,1\n";
  EXPECT_EQ(error_of(header + good + "x, x ,tie,1\n"),
            "f: row 2: 'x' against itself (expected two different competitors; --skip-bad passes over such "
            "rows and counts them)");
  EXPECT_THAT(error_of(header + good + "x,z,who,1\n"), Not(HasSubstr("--skip-bad")));
  EXPECT_THAT(error_of(header + good + " ,x,tie,1\n"), HasSubstr("row 2: an empty name of a competitor"));
  EXPECT_THAT(error_of(header + std::string(2000, 'n') + ",x,tie,1\n"), HasSubstr("longer than 1000 bytes"));
  for (const char* weight : {"-1", "inf", "nan", "", "1e999", "two"})
    EXPECT_THAT(error_of(header + "x,y,tie," + weight + "\n"), HasSubstr("is no weight")) << weight;
  EXPECT_EQ(error_of(header), "f: no battles in the file");
  EXPECT_EQ(error_of(""), "f: the file is empty");
  EXPECT_THAT(error_of("model_a,model_a,winner\n"), HasSubstr("two columns are named 'model_a'"));
  EXPECT_THAT(error_of(header + "x,y,tie\n"), HasSubstr("3 fields where the header has 4"));
  EXPECT_THAT(error_of(header + "x,\"y,tie,1\n"), HasSubstr("row 1, byte 32: unterminated quote"));
  EXPECT_THAT(error_of(header + "x,\"y\"z,tie,1\n"), HasSubstr("text after a closing quote"));
  EXPECT_THAT(error_of("\xFF\xFEm"), HasSubstr("UTF-16"));
  ReadBattles skip;
  skip.skip_bad = true;
  EXPECT_THAT(error_of(header + "x,x,tie,1\n", skip), HasSubstr("no usable battle: all 1 rows were skipped"));
}

TEST(ReadBattles, AWeightOfZeroDropsTheRow) {
  const auto set =
      read("model_a,model_b,winner,weight\nx,y,tie,0\ny,z,model_a,0.5\ny,z,model_a,2\n", with_rows());
  ASSERT_TRUE(set) << set.error().to_string();
  EXPECT_THAT(set->competitors, ElementsAre("y", "z"));
  EXPECT_THAT(set->rows.weight, ElementsAre(0.5, 2));
  EXPECT_EQ(set->pairs.at(0).weight[0], 2.5);
  EXPECT_EQ(set->pairs[0].weight_sq[0], 4.25);
  EXPECT_EQ(set->battles(), 2U);
}

TEST(ReadBattles, KeepsWhatItKnowsOfARow) {
  const auto set = read(
      "question_id,model_a,model_b,winner,judge,tstamp,language,category\n"
      "q1,x,y,model_a,ann,1723593600,English,math\n"
      "q2,y,x,tie,bob,2024-08-14T02:00:00.25+02:00,,code\n"
      "q1,x,z,model_b,ann,,German,math\n",
      with_rows());
  ASSERT_TRUE(set) << set.error().to_string();
  const BattleRows& rows = set->rows;
  EXPECT_THAT(rows.a, ElementsAre(0, 1, 0));
  EXPECT_THAT(rows.b, ElementsAre(1, 0, 2));
  EXPECT_THAT(rows.time, ElementsAre(1723593600000, 1723593600250, BattleRows::kNoTime));
  EXPECT_THAT(rows.find("voter")->names, ElementsAre("ann", "bob"));
  EXPECT_THAT(rows.find("voter")->code, ElementsAre(0, 1, 0));
  EXPECT_THAT(rows.find("prompt")->code, ElementsAre(0, 1, 0));
  EXPECT_THAT(rows.find("language")->code, ElementsAre(0, CodeColumn::kNone, 1));
  EXPECT_THAT(rows.find("category")->names, ElementsAre("math", "code"));
  EXPECT_EQ(rows.find("judge"), nullptr);
  EXPECT_TRUE(rows.share.empty());
  EXPECT_TRUE(rows.weight.empty());
}

TEST(ReadBattles, ReadsTimesOfEveryUnit) {
  using battle_parts::time_of;
  for (const char* text : {"1723593600", "1723593600000", "1723593600000000", "1723593600000000000",
                           "2024-08-14", "2024-08-14T00:00:00Z", "2024-08-14 00:00",
                           "2024-08-13T22:00:00-02:00", "2024-08-14 00:00:00 UTC", "1723593600.0"})
    EXPECT_EQ(time_of(text).value_or(-9), 1723593600000) << text;
  EXPECT_EQ(time_of("1723593600.1234").value_or(-9), 1723593600123);
  EXPECT_EQ(time_of("-1").value_or(-9), -1000);
  for (const char* text :
       {"yesterday", "2024-13-01", "2024-02-30", "2024-08-14T25:00", "2024-08-14X", "1e30", "nan"})
    EXPECT_FALSE(time_of(text)) << text;
}

TEST(ReadBattles, TagsBecomeColumns) {
  const std::string bytes =
      "model_a,model_b,winner,tag.math,tag.code,tag.score\nx,y,tie,0,true,3\nx,y,tie,1,false,4\n";
  ReadBattles options;
  options.code_columns = {"tag"};
  auto set = read(bytes, options);
  ASSERT_TRUE(set) << set.error().to_string();
  EXPECT_THAT(set->rows.find("tag.math")->names, ElementsAre("0", "1"));
  EXPECT_NE(set->rows.find("tag.code"), nullptr);
  EXPECT_EQ(set->rows.find("tag.score"), nullptr);  // no tag
  options.code_columns = {"tag.score"};
  set = read(bytes, options);
  EXPECT_THAT(set->rows.find("tag.score")->names, ElementsAre("3", "4"));
  options.code_columns = {"topic"};
  EXPECT_THAT(error_of(bytes, options), HasSubstr("no values of a column 'topic'; found model_a, model_b"));
}

TEST(ReadBattles, StyleColumnsPairAWithB) {
  const std::string bytes =
      "model_a,model_b,winner,tokens_b,tokens_a,sum_assistant_a_tokens,sum_assistant_b_tokens,note_a,note_b,"
      "x_a\n"
      "x,y,tie,2,1,10,20,p,q,1\ny,x,tie,4,,30,4.5,p,q,1\n";
  ReadBattles options;
  options.style_columns = {"all"};
  auto set = read(bytes, options);
  ASSERT_TRUE(set) << set.error().to_string();
  ASSERT_EQ(set->rows.style.size(), 2U);  // notes are no numbers, x_b is not there, models are models
  EXPECT_EQ(set->rows.style[0].name, "tokens");
  EXPECT_EQ(set->rows.style[0].a[0], 1);
  EXPECT_TRUE(std::isnan(set->rows.style[0].a[1]));
  EXPECT_THAT(set->rows.style[0].b, ElementsAre(2, 4));
  EXPECT_EQ(set->rows.style[1].name, "sum_assistant_tokens");
  EXPECT_THAT(set->rows.style[1].b, ElementsAre(20, 4.5));
  options.style_columns = {"sum_assistant_tokens"};
  EXPECT_EQ(read(bytes, options)->rows.style.size(), 1U);
  options.style_columns = {"note"};
  EXPECT_THAT(error_of(bytes, options), HasSubstr("row 1, column 'note': 'p' is no number"));
  options.style_columns = {"length"};
  EXPECT_THAT(error_of(bytes, options), HasSubstr("no pair of columns 'length_a and length_b'"));
  options.style_columns = {"text"};
  EXPECT_THAT(error_of(bytes, options), HasSubstr("no texts of answers"));
}

TEST(ReadBattles, TextStyleCountsAnswers) {
  ReadBattles options;
  options.style_columns = {"text"};
  const std::string answer = R"([""# Title\n\n- **one** two\n- three"", null, ""four""])";
  const auto set = read("model_a,model_b,prompt,response_a,response_b,winner\nx,y,p,\"" + answer +
                            "\",\"Plain text here\",tie\n",
                        options);
  ASSERT_TRUE(set) << set.error().to_string();
  std::map<std::string, std::pair<float, float>> style;
  for (const PairedColumn& column : set->rows.style) style[column.name] = {column.a[0], column.b[0]};
  EXPECT_EQ(style["words"], (std::pair{5.0F, 3.0F}));
  EXPECT_EQ(style["headers"], (std::pair{1.0F, 0.0F}));
  EXPECT_EQ(style["list_items"], (std::pair{2.0F, 0.0F}));
  EXPECT_EQ(style["bold"], (std::pair{1.0F, 0.0F}));
}

// ---- JSON

TEST(ReadBattles, JsonVotesGiveWhatTheCsvGives) {
  const std::string csv =
      "model_a,model_b,winner,judge,weight\nx,y,model_a,j,1\ny,z,tie (bothbad),k,2\nx,z,model_b,j,1\n";
  const std::string lines =
      "{\"model_a\": \"x\", \"model_b\": \"y\", \"winner\": \"model_a\", \"judge\": \"j\"}\n\n"
      "{\"winner\": \"both_bad\", \"model_b\": \"z\", \"model_a\": \"y\", \"judge\": \"k\", \"weight\": 2, "
      "\"x\": [1]}\n"
      "{\"model_a\": \"x\", \"model_b\": \"z\", \"winner_model_a\": 0, \"winner_model_b\": 1, "
      "\"winner_tie\": 0, "
      "\"judge\": \"j\"}";
  std::string array = "[" + lines + "]";
  array.replace(array.find("}\n\n{"), 4, "},{");
  array.replace(array.find("}\n{"), 3, "},\n{");
  const auto expected = read(csv, with_rows());
  for (const std::string& json : {lines, array, "\xEF\xBB\xBF" + lines}) {
    const auto set = read(json, with_rows());
    ASSERT_TRUE(set) << set.error().to_string();
    EXPECT_EQ(set->sources[0].form, "JSON votes");
    EXPECT_EQ(set->competitors, expected->competitors);
    EXPECT_EQ(set->rows.outcome, expected->rows.outcome);
    EXPECT_EQ(set->rows.weight, expected->rows.weight);
    EXPECT_EQ(set->rows.find("voter")->code, expected->rows.find("voter")->code);
  }
}

TEST(ReadBattles, JsonErrorsNameTheField) {
  const auto one = [](const std::string& fields) {
    return error_of("{\"model_a\": \"x\", \"model_b\": \"y\", " + fields + "}\n");
  };
  EXPECT_THAT(one("\"winner\": \"tie\", \"winner\": \"tie\""),
              HasSubstr("row 1, column 'winner': occurs twice"));
  EXPECT_THAT(one("\"winner\": [1]"), HasSubstr("column 'winner': a list"));
  EXPECT_THAT(one("\"winner\": 3"), HasSubstr("unknown label '3'"));
  EXPECT_THAT(one("\"winner\": \"won\""), HasSubstr("there: 'won' 1"));
  EXPECT_THAT(one("\"winner\": null"), HasSubstr("no winner"));
  EXPECT_THAT(one("\"winner\": \"tie\", \"weight\": -1"), HasSubstr("'-1' is no weight"));
  EXPECT_THAT(one("\"winner_tie\": 1"), HasSubstr("column 'winner_model_a': missing"));
  EXPECT_THAT(error_of("{\"model_a\": \"x\", \"winner\": \"tie\"}"),
              HasSubstr("no two fields name the competitors"));
  EXPECT_THAT(error_of("{\"model_a\": \"x\", \"model_b\": \"x\", \"winner\": \"tie\"}"),
              HasSubstr("against itself"));
  EXPECT_THAT(error_of("{\"model_a\": {}, \"model_b\": \"x\", \"winner\": \"tie\"}"), HasSubstr("an object"));
  EXPECT_THAT(error_of("{\"model_a\": "), HasSubstr("row 1: not valid JSON"));
  EXPECT_THAT(error_of("[3]"), HasSubstr("a number (expected an object"));
}

TEST(ReadBattles, ConversationsWithTheArenasNumbers) {
  ReadBattles options;
  options.style_columns = {"all", "text"};
  options.code_columns = {"category_tag"};
  const auto set = read(
      R"({"question_id": "7", "model_a": "x", "model_b": "y", "winner": "tie", "tstamp": 1700000000.5,)"
      R"( "conversation_a": [{"role": "user", "content": "Hi"}, {"role": "assistant", "content": "Well, hello"}],)"
      R"( "conversation_b": [{"role": "user", "content": "Hi"}, {"role": "assistant", "content": [{"type": "text", "text": "Hello"}]}],)"
      R"( "conv_metadata": {"sum_assistant_a_tokens": 4, "sum_assistant_b_tokens": 2,)"
      R"( "header_count_a": {"h1": 1, "h2": 2}, "header_count_b": {"h1": 0}, "bold_count_a": {"**": 5, "__": 1},)"
      R"( "bold_count_b": {"**": 0, "__": 0}}, "category_tag": {"math_v0.1": {"math": true}}})",
      options);
  ASSERT_TRUE(set) << set.error().to_string();
  EXPECT_EQ(set->sources[0].form, "JSON conversations");
  std::map<std::string, std::pair<float, float>> style;
  for (const PairedColumn& column : set->rows.style) style[column.name] = {column.a[0], column.b[0]};
  EXPECT_EQ(style["sum_assistant_tokens"], (std::pair{4.0F, 2.0F}));
  EXPECT_EQ(style["header_count"], (std::pair{3.0F, 0.0F}));
  EXPECT_EQ(style["bold_count"], (std::pair{6.0F, 0.0F}));
  EXPECT_EQ(style["words"], (std::pair{2.0F, 1.0F}));
  EXPECT_THAT(set->rows.find("prompt")->names, ElementsAre("Hi\n"));
  EXPECT_THAT(set->rows.find("category_tag.math_v0.1.math")->names, ElementsAre("true"));
  EXPECT_THAT(set->rows.time, ElementsAre(1700000000500));
}

TEST(ReadBattles, ArenaHardGamesChangeSides) {
  const std::string lines =
      R"({"question_id": "q1", "model": "m", "judge": "g", "games": [{"score": "A>>B"}, {"score": "A>B"}]})"
      "\n"
      R"({"question_id": "q2", "model": "m", "judge": "g", "games": [{"score": "A=B"}, {"score": null}]})"
      "\n"
      R"({"uid": "q3", "model": "n", "baseline": "o3", "judge": "g", "games": [{"score": "A<<B"}, {"score": "B>A"}]})";
  auto set = read(lines, with_rows());
  ASSERT_TRUE(set) << set.error().to_string();
  EXPECT_EQ(set->sources[0].form, "arena-hard games");
  EXPECT_EQ(set->sources[0].rows, 5U);
  EXPECT_EQ(set->sources[0].skipped, 1U);  // the game without a score
  EXPECT_THAT(set->competitors, ElementsAre("gpt-4-0314", "m", "o3", "n"));
  EXPECT_THAT(set->rows.a, ElementsAre(0, 1, 0, 2, 3));
  EXPECT_THAT(set->rows.b, ElementsAre(1, 0, 1, 3, 2));
  EXPECT_THAT(set->rows.weight, ElementsAre(3, 1, 1, 3, 1));
  EXPECT_THAT(set->rows.outcome, ElementsAre(BattleOutcome::kA, BattleOutcome::kA, BattleOutcome::kTie,
                                             BattleOutcome::kB, BattleOutcome::kB));
  EXPECT_THAT(set->rows.find("prompt")->names, ElementsAre("q1", "q2"));
  // Folded: the baseline won by 3 and lost by 1 against m, and tied once.
  EXPECT_THAT(fold_order(set->pairs).at(0).weight, ElementsAre(3, 1, 1, 0));
  ReadBattles mild = with_rows();
  mild.strong_weight = 1;
  EXPECT_TRUE(read(lines, mild)->rows.weight.empty());
  EXPECT_THAT(error_of(R"({"model": "m", "games": [{"score": "C>A"}]})"), HasSubstr("unknown label 'C>A'"));
  EXPECT_THAT(error_of(R"({"model": "m", "games": [{}, {}, {}]})"), HasSubstr("3 games"));
  EXPECT_THAT(error_of(R"({"model": "gpt-4-0314", "games": [{"score": "A=B"}]})"),
              HasSubstr("against itself"));
}

TEST(ReadBattles, AlpacaEvalPreferencesAreShares) {
  const auto set = read(
      R"([{"instruction": "Say hi", "generator_1": "base", "generator_2": "m", "preference": 2.0, "annotator": "w",
          "output_1": "hi", "output_2": "hello"},
         {"generator_1": "base", "generator_2": "m", "preference": 1},
         {"generator_1": "base", "generator_2": "m", "preference": 1.5},
         {"generator_1": "base", "generator_2": "m", "preference": 0},
         {"generator_1": "base", "generator_2": "m", "preference": null},
         {"generator_1": "base", "generator_2": "m", "preference": 1.25}])",
      with_rows());
  ASSERT_TRUE(set) << set.error().to_string();
  EXPECT_EQ(set->sources[0].form, "alpaca_eval preferences");
  EXPECT_EQ(set->sources[0].skipped, 1U);
  EXPECT_THAT(set->rows.outcome, ElementsAre(BattleOutcome::kB, BattleOutcome::kA, BattleOutcome::kTie,
                                             BattleOutcome::kTie, BattleOutcome::kShare));
  EXPECT_EQ(set->rows.share.at(4), 0.75F);
  EXPECT_TRUE(std::isnan(set->rows.share[0]));
  const PairCount& pair = set->pairs.at(0);
  EXPECT_EQ(pair.battles, 5U);
  EXPECT_THAT(pair.weight, ElementsAre(1.75, 1.25, 2, 0));
  EXPECT_EQ(pair.cross, 0.1875);
  EXPECT_THAT(set->rows.find("prompt")->names, ElementsAre("Say hi"));
  EXPECT_THAT(error_of(R"([{"generator_1": "b", "generator_2": "m", "preference": 2.5}])"),
              HasSubstr("column 'preference': '2.5' is no preference"));
}

TEST(ReadBattles, GradedCandidatesAreBattlesWithTheBaseline) {
  ReadBattles options = with_rows();
  options.style_columns = {"text"};
  const auto set = read(
      R"({"prompt": "p1", "baseline": "base", "baseline_output": "one two", "candidates":)"
      R"( [{"model": "m", "output": "three", "p_candidate_wins": 0.75}, {"model": "base", "output": "", "p_candidate_wins": 0.5},)"
      R"( {"model": "n", "output": "- four", "p_candidate_wins": null}]})",
      options);
  ASSERT_TRUE(set) << set.error().to_string();
  EXPECT_EQ(set->sources[0].form, "graded candidates");
  EXPECT_EQ(set->battles(), 1U);
  EXPECT_EQ(set->sources[0].skipped, 2U);
  EXPECT_THAT(set->rows.share, ElementsAre(0.25F));
  EXPECT_THAT(set->rows.style.at(0).a, ElementsAre(2));
  EXPECT_THAT(set->rows.style[0].b, ElementsAre(1));
  EXPECT_THAT(error_of(R"({"baseline": "b", "candidates": [{"model": "m", "p_candidate_wins": 1.5}]})"),
              HasSubstr("'1.5' is no probability"));
}

// ---- Pair counts

TEST(PairCounts, BecomeATableAndRows) {
  const std::string json = R"({
    "models": ["x", "y", "z"],
    "X": [[0, 1], [2, 1]],
    "Y": [[3, 2, 1, 0], [1, 0, 0, 2.0]]
  })";
  const auto set = read(json, with_rows());
  ASSERT_TRUE(set) << set.error().to_string();
  EXPECT_EQ(set->sources[0].form, "pair counts");
  EXPECT_THAT(set->competitors, ElementsAre("x", "y", "z"));
  EXPECT_EQ(set->battles(), 9U);
  EXPECT_THAT(set->pairs.at(0).weight, ElementsAre(3, 2, 1, 0));
  EXPECT_THAT(set->pairs[0].weight_sq, ElementsAre(3, 2, 1, 0));
  EXPECT_EQ(set->pairs[1].first, 2U);
  EXPECT_THAT(set->rows.a, ElementsAre(0, 0, 0, 0, 0, 0, 2, 2, 2));
  const PairTable counted = count_pairs(set->rows, 3);
  EXPECT_EQ(counted[0].weight, set->pairs[0].weight);
  EXPECT_EQ(counted[1].weight, set->pairs[1].weight);
  // On one line, and with another field in front.
  EXPECT_EQ(read(R"({"date": "now", "models": ["x", "y"], "X": [[0, 1]], "Y": [[1, 0, 0, 0]]})")->battles(),
            1U);
}

TEST(PairCounts, RefuseWhatIsNoCount) {
  const auto with = [](const std::string& x, const std::string& y,
                       const std::string& models = R"(["x", "y"])") {
    return error_of("{\"models\": " + models + ", \"X\": " + x + ", \"Y\": " + y + "}");
  };
  EXPECT_EQ(with("[[0, 1]]", "[[1, 1, 1, 1]]"), "no error");
  EXPECT_THAT(with("[[0, 2]]", "[[1, 1, 1, 1]]"),
              HasSubstr("column 'X[0]': '2' is no model's number (expected 0 to 1)"));
  EXPECT_THAT(with("[[0, -1]]", "[[1, 1, 1, 1]]"), HasSubstr("'-1' is no model's number"));
  EXPECT_THAT(with("[[1, 1]]", "[[1, 1, 1, 1]]"), HasSubstr("'y' against itself"));
  EXPECT_THAT(with("[[0, 1, 1]]", "[[1, 1, 1, 1]]"), HasSubstr("not a list of two numbers"));
  EXPECT_THAT(with("[[0, 1]]", "[[1, -1, 1, 1]]"), HasSubstr("column 'Y[0]': '-1' is no count"));
  EXPECT_THAT(with("[[0, 1]]", "[[1, 0.5, 1, 1]]"), HasSubstr("'0.5' is no count"));
  EXPECT_THAT(with("[[0, 1]]", "[[1e300, 0, 1, 1]]"), HasSubstr("is no count"));
  EXPECT_THAT(with("[[0, 1]]", "[[18446744073709551615, 0, 1, 1]]"), HasSubstr("is no count"));
  EXPECT_THAT(with("[[0, 1]]", "[[\"1\", 0, 1, 1]]"), HasSubstr("is no count"));
  EXPECT_THAT(with("[[0, 1]]", "[[1, 1]]"), HasSubstr("not a list of four numbers"));
  EXPECT_THAT(with("[[0, 1]]", "[]"), HasSubstr("X and Y differ in length"));
  EXPECT_THAT(with("{}", "[]"), HasSubstr("column 'X': not a list"));
  EXPECT_THAT(with("[]", "[]"), HasSubstr("no battles in the file"));
  EXPECT_THAT(with("[[0, 1]]", "[[1, 1, 1, 1]]", R"(["x", "x"])"), HasSubstr("'x' occurs twice"));
  EXPECT_THAT(with("[[0, 1]]", "[[1, 1, 1, 1]]", R"(["x", ""])"),
              HasSubstr("column 'models[1]': an empty name"));
  EXPECT_THAT(with("[[0, 1]]", "[[1, 1, 1, 1]]", R"(["x", 1])"), HasSubstr("not a string"));
  EXPECT_THAT(error_of(R"({"models": [], "models": [], "X": [], "Y": []})"),
              HasSubstr("column 'models': occurs twice"));
  EXPECT_THAT(error_of(R"({"models": ["x"], "X": []})"), HasSubstr("column 'Y': missing"));
  EXPECT_THAT(error_of(R"({"models": ["x", "y"], "X": [)"), HasSubstr("not valid JSON"));
  ReadBattles rows = with_rows();
  EXPECT_THAT(error_of(R"({"models": ["x", "y"], "X": [[0, 1]], "Y": [[1000000000, 0, 0, 0]]})", rows),
              HasSubstr("more than 50000000 battles to be kept one by one"));
}

TEST(PairCounts, TheRealFileHoldsTheKnownNumberOfVotes) {
  const auto set =
      read_battles({std::string(AGON_SOURCE_DIR) + "/data/battles/arena_2024-08-14_pair_counts.json.gz"}, {});
  ASSERT_TRUE(set) << set.error().to_string();
  EXPECT_EQ(set->competitors.size(), 129U);
  EXPECT_EQ(set->pairs.size(), 3460U);
  EXPECT_EQ(set->battles(), 1'670'250U);
  EXPECT_EQ(totals(set->pairs)[3], 295'254);  // 1,374,996 remain without the both-bad ones
  EXPECT_EQ(set->sources[0].sha256.size(), 64U);
}

}  // namespace
}  // namespace agon
