#include "agon/data/vote_reader.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <filesystem>
#include <fstream>

#include "agon/base/hash.h"
#include "agon/base/test_folder.h"

namespace agon {
namespace {

using testing::ElementsAre;

const std::string kData = std::string(AGON_TEST_DATA) + "/votes/";

struct File {
  std::vector<Vote> votes;
  ReadCounts counts;
  std::vector<std::string> extra_names;
  bool has_labels = false;
};

Result<File> drain(Result<std::unique_ptr<VoteReader>> reader) {
  if (!reader) return std::unexpected(reader.error());
  File file;
  for (;;) {
    AGON_ASSIGN(const std::size_t got, (*reader)->read(file.votes, 7));
    if (got == 0) break;
  }
  file.counts = (*reader)->counts();
  file.extra_names = (*reader)->extra_names();
  file.has_labels = (*reader)->has_labels();
  return file;
}
Result<File> read_text(const std::string& text, const ReadOptions& options = {}) {
  return drain(VoteReader::open_from_memory(text, "t", options));
}
Result<File> read_path(const std::string& name, const ReadOptions& options = {}) {
  return drain(VoteReader::open(kData + name, options));
}

bool same(const Turns& a, const Turns& b) {
  return std::ranges::equal(
      a, b, [](const Turn& x, const Turn& y) { return x.text == y.text && x.null == y.null; });
}
void expect_same_votes(const std::vector<Vote>& a, const std::vector<Vote>& b) {
  ASSERT_EQ(a.size(), b.size());
  for (std::size_t i = 0; i < a.size(); ++i) {
    EXPECT_EQ(a[i].id, b[i].id);
    EXPECT_EQ(a[i].model_a, b[i].model_a);
    EXPECT_EQ(a[i].model_b, b[i].model_b);
    EXPECT_EQ(a[i].outcome, b[i].outcome);
    EXPECT_EQ(a[i].row, b[i].row);
    EXPECT_TRUE(same(a[i].prompt, b[i].prompt)) << a[i].id;
    EXPECT_TRUE(same(a[i].response_a, b[i].response_a)) << a[i].id;
    EXPECT_TRUE(same(a[i].response_b, b[i].response_b)) << a[i].id;
  }
}

/// Turns as text for short comparisons; null turns as N.
std::string shown(const Turns& turns) {
  std::string out;
  for (const Turn& turn : turns) out += turn.null ? "<N>" : "<" + turn.text + ">";
  return out;
}

TEST(VoteReader, ReadsRealRowsAsPythonDoes) {
  const auto file = read_path("lmsys_sample.csv");
  ASSERT_TRUE(file) << file.error().to_string();
  ASSERT_EQ(file->votes.size(), 60u);
  EXPECT_TRUE(file->has_labels);
  EXPECT_EQ(file->counts.null_turns, 7u);
  EXPECT_EQ(file->counts.turn_mismatches, 0u);
  int outcomes[4] = {};
  std::string all;
  for (const Vote& vote : file->votes) {
    ++outcomes[static_cast<int>(vote.outcome)];
    for (const Turns* turns : {&vote.prompt, &vote.response_a, &vote.response_b})
      for (const Turn& turn : *turns) all += (turn.null ? "N" : "S" + turn.text) + '\0';
  }
  // Both counted, and hashed turn by turn, with Python's csv, json and hashlib modules.
  EXPECT_THAT(outcomes, ElementsAre(17, 20, 23, 0));
  EXPECT_EQ(sha256_hex(all), "4d7525bc2fc02168551414347d6ffd6598f3688fd5ca22ce6c3a4771922f67a6");
}

TEST(VoteReader, EveryFormOfAFileGivesTheSameVotes) {
  const auto csv = read_path("lmsys_small.csv");
  ASSERT_TRUE(csv) << csv.error().to_string();
  EXPECT_EQ(csv->votes.size(), 14u);
  for (const char* name :
       {"lmsys_small.csv.gz", "lmsys_small.csv.zst", "lmsys_flat.jsonl", "lmsys_conversations.jsonl"}) {
    const auto other = read_path(name);
    ASSERT_TRUE(other) << other.error().to_string();
    SCOPED_TRACE(name);
    expect_same_votes(other->votes, csv->votes);
    EXPECT_TRUE(other->has_labels);
    EXPECT_EQ(other->counts.null_turns, csv->counts.null_turns);
  }
}

TEST(VoteReader, ReadsTheTestForm) {
  EXPECT_EQ(
      read_path("lmsys_test_3.csv").error().message,
      "missing columns winner_model_a, winner_model_b, winner_tie; found id, prompt, response_a, response_b; "
      "these rows have no labels");
  const auto file = read_path("lmsys_test_3.csv", {.need_labels = false});
  ASSERT_TRUE(file) << file.error().to_string();
  ASSERT_EQ(file->votes.size(), 3u);
  EXPECT_FALSE(file->has_labels);
  EXPECT_EQ(file->votes[0].id, "136060");
  EXPECT_EQ(file->votes[0].outcome, Outcome::kUnknown);
  EXPECT_EQ(shown(file->votes[0].response_a), "<You have two oranges today.>");
}

TEST(VoteReader, ConversationsKeepScalarsAsExtras) {
  const auto file = read_path("lmsys_conversations.jsonl");
  ASSERT_TRUE(file) << file.error().to_string();
  EXPECT_THAT(file->extra_names, ElementsAre("judge", "turn", "anony", "language", "tstamp",
                                             "category_tag.if_v0.1.if", "category_tag.if_v0.1.score"));
  EXPECT_THAT(file->votes[1].extras,
              ElementsAre("arena_user_1", testing::_, "true", "English", "1690000001.5", "false", "1"));
  int both_bad = 0;
  for (const Vote& vote : file->votes) {
    both_bad += vote.both_bad;
    EXPECT_TRUE(!vote.both_bad || vote.outcome == Outcome::kTie);
  }
  EXPECT_GT(both_bad, 0);
}

TEST(VoteReader, ColumnsMayStandInAnyOrderAndOthersAreExtras) {
  const auto file = read_text(
      "winner_tie,lang,response_b,prompt,winner_model_b,response_a,weight,winner_model_a,notes\n"
      "0,en,\"[\"\"b\"\"]\",\"[\"\"p\"\"]\",FALSE,\"[\"\"a\"\"]\",0.5,1.0,\"x,y\"\n");
  ASSERT_TRUE(file) << file.error().to_string();
  const Vote& vote = file->votes.at(0);
  EXPECT_EQ(vote.id, "1");
  EXPECT_EQ(vote.outcome, Outcome::kA);
  EXPECT_EQ(shown(vote.prompt) + shown(vote.response_a) + shown(vote.response_b), "<p><a><b>");
  EXPECT_EQ(vote.weight, 0.5);
  EXPECT_THAT(file->extra_names, ElementsAre("lang", "notes"));
  EXPECT_THAT(vote.extras, ElementsAre("en", "x,y"));
}

TEST(VoteReader, AMissingTextIsOneNullTurn) {
  const auto file = read_text(
      "prompt,response_a,response_b,winner\n[],null,,tie\n[null],[null],\"[\"\"\"\"]\",model_b\n\"[\"\"a\"\","
      "null]\",[],[],"
      "Tie (both bad)\n");
  ASSERT_TRUE(file) << file.error().to_string();
  std::vector<std::string> rows;
  for (const Vote& v : file->votes)
    rows.push_back(shown(v.prompt) + shown(v.response_a) + shown(v.response_b));
  EXPECT_THAT(rows, ElementsAre("<N><N><N>", "<N><N><>", "<a><N><N><N>"));
  EXPECT_EQ(file->counts.null_turns, 8u);
  EXPECT_EQ(file->counts.turn_mismatches, 1u);
  EXPECT_FALSE(file->votes[0].both_bad);
  EXPECT_TRUE(file->votes[2].both_bad);

  const auto json =
      read_text("[{\"prompt\":null,\"response_a\":[],\"response_b\":[null],\"winner\":\"tie\"}]");
  ASSERT_TRUE(json) << json.error().to_string();
  EXPECT_EQ(json->counts.null_turns, 3u);
}

TEST(VoteReader, RepairsAndCountsOddText) {
  const std::string surrogate = R"([""a\ud83d"",""\ud83d\ude00""])";
  const auto csv = read_text("id,prompt,response_a,response_b,winner\nx\xFF,\"" + surrogate +
                             "\",\"[\"\"\xC3(\"\"]\",[],tie\n");
  ASSERT_TRUE(csv) << csv.error().to_string();
  EXPECT_EQ(csv->votes[0].id, "x\uFFFD");
  EXPECT_EQ(shown(csv->votes[0].prompt), "<a\uFFFD><\U0001F600>");
  EXPECT_EQ(shown(csv->votes[0].response_a), "<\uFFFD(>");
  EXPECT_EQ(csv->counts.lone_surrogates, 1u);
  EXPECT_EQ(csv->counts.invalid_utf8, 2u);

  const auto json = read_text(
      "{\"id\":7,\"prompt\":[\"a\\ud83d\",\"\\ud83d\\ude00\"],\"response_a\":\"\xC3(\",\"response_b\":\"\","
      "\"winner\":\"tie\"}\n");
  ASSERT_TRUE(json) << json.error().to_string();
  EXPECT_EQ(json->votes[0].id, "7");
  EXPECT_EQ(shown(json->votes[0].prompt), "<a\uFFFD><\U0001F600>");
  EXPECT_EQ(shown(json->votes[0].response_a), "<\uFFFD(>");
  EXPECT_EQ(json->counts.lone_surrogates, 1u);
  EXPECT_EQ(json->counts.invalid_utf8, 1u);
}

TEST(VoteReader, PlainTextCellsAreOneTurn) {
  const auto file =
      read_text("prompt,response_a,response_b,winner\nhello,\"[\"\"a\"\"]\",,a\n", {.plain_text = true});
  ASSERT_TRUE(file) << file.error().to_string();
  EXPECT_EQ(shown(file->votes[0].prompt), "<hello>");
  EXPECT_EQ(shown(file->votes[0].response_a), "<[\"a\"]>");
  EXPECT_EQ(shown(file->votes[0].response_b), "<>");
}

TEST(VoteReader, JsonStringsThatAllHoldListsAreCells) {
  const auto row = [](const std::string& b) {
    return R"({"prompt":"[\"p\",null]","response_a":"[\"a\"]","response_b":")" + b + R"(","winner":"a"})";
  };
  const auto file = read_text(row(R"([\"b\"])") + "\n" + row("b") + "\n");
  ASSERT_TRUE(file) << file.error().to_string();
  EXPECT_EQ(shown(file->votes[0].prompt), "<p><N>");
  EXPECT_EQ(shown(file->votes[0].response_b), "<b>");
  EXPECT_EQ(shown(file->votes[1].prompt), "<[\"p\",null]>") << "one of the three is plain, so all are";
}

TEST(VoteReader, MessagesOfOneRoleInARowAreOneTurn) {
  const auto file = read_text(R"([{
    "conversation_a": [{"role": "system", "content": "Be kind."}, {"role": "user", "content": "p"},
                       {"role": "assistant", "content": "a1"}, {"role": "assistant", "content": "a2"}],
    "conversation_b": [{"role": "system", "content": "Be kind."},
                       {"role": "user", "content": [{"type": "text", "text": "p"}, {"type": "image"}]},
                       {"role": "assistant", "content": null}],
    "winner": "model_a"}])");
  ASSERT_TRUE(file) << file.error().to_string();
  EXPECT_EQ(shown(file->votes[0].prompt), "<Be kind.\n\np>");
  EXPECT_EQ(shown(file->votes[0].response_a), "<a1\n\na2>");
  EXPECT_EQ(shown(file->votes[0].response_b), "<N>");
}

TEST(VoteReader, SkipsBadRowsWhenAskedAndListsThem) {
  const std::string good = ",\"[\"\"p\"\"]\",[],[],1,0,0\n",
                    head = "id,prompt,response_a,response_b,winner_model_a,winner_model_b,winner_tie\n";
  const std::string text =
      head + "1" + good + "2,[3],[],[],1,0,0\n" + "3,short\n" + "4" + good + "5,[],[],[],1,0,1\n6" + good;
  const auto file = read_text(text, {.skip_bad = true});
  ASSERT_TRUE(file) << file.error().to_string();
  std::vector<std::uint64_t> rows;
  for (const Vote& vote : file->votes) rows.push_back(vote.row);
  EXPECT_THAT(rows, ElementsAre(1, 4, 6));
  EXPECT_EQ(file->counts.rows, 3u);
  EXPECT_EQ(file->counts.skipped, 3u);
  ASSERT_EQ(file->counts.skip_list.size(), 3u);
  EXPECT_EQ(file->counts.skip_list[2].to_string(),
            "t: row 5: two winners: winner_model_a and winner_tie are both 1");

  std::string many = head;
  for (int i = 0; i < 250; ++i) many += "bad\n";
  const auto all_bad = read_text(many, {.skip_bad = true});
  ASSERT_TRUE(all_bad);
  EXPECT_EQ(all_bad->counts.skipped, 250u);
  EXPECT_EQ(all_bad->counts.skip_list.size(), 100u);
}

TEST(VoteReader, ReadsInBatchesBoundedByRowsAndBytes) {
  auto reader = VoteReader::open(kData + "lmsys_sample.csv", {});
  ASSERT_TRUE(reader);
  std::vector<Vote> votes;
  EXPECT_EQ((*reader)->read(votes, 10), 10u);
  EXPECT_EQ((*reader)->read(votes, 10, 1), 1u);
  EXPECT_EQ((*reader)->read(votes, 1000), 49u);
  EXPECT_EQ((*reader)->read(votes, 1000), 0u);
  EXPECT_EQ((*reader)->fraction_read(), 1.0);
}

TEST(VoteFile, SplitsPathAndWeight) {
  const auto parsed = [](const std::string& argument) {
    const auto file = parse_vote_file(argument);
    if (!file) return file.error().to_string();
    return file->path + "|" + (file->auto_weight ? "auto" : std::to_string(file->weight));
  };
  EXPECT_EQ(parsed("votes.csv"), "votes.csv|1.000000");
  EXPECT_EQ(parsed("votes.csv:0.15"), "votes.csv|0.150000");
  EXPECT_EQ(parsed("votes.csv:auto"), "votes.csv|auto");
  EXPECT_EQ(parsed("a:b/votes.csv"), "a:b/votes.csv|1.000000");
  EXPECT_EQ(parsed("votes.csv:0"), "votes.csv: '0' is no weight (expected a finite number above 0, or auto)");
  EXPECT_EQ(parsed("votes.csv:-1"),
            "votes.csv: '-1' is no weight (expected a finite number above 0, or auto)");
  EXPECT_EQ(parsed("votes.csv:inf"),
            "votes.csv: 'inf' is no weight (expected a finite number above 0, or auto)");
  EXPECT_EQ(parse_vote_file("votes.csv:nan").error().exit_code(), 2);
  const TempFolder folder;
  const std::string odd = folder / "odd:0.5";
  std::ofstream(odd) << "x";
  EXPECT_EQ(parsed(odd), odd + "|1.000000") << "a path that exists is never split";
  EXPECT_EQ(parsed(odd + ":auto"), odd + "|auto");
  EXPECT_EQ(parsed(odd + ":half"), odd + ": 'half' is no weight (expected a finite number above 0, or auto)");
}

TEST(ReadVotes, JoinsFilesAndTheirExtras) {
  const TempFolder folder;
  const std::string first = folder / "first.csv";
  std::ofstream(first) << "id,prompt,response_a,response_b,winner,language,weight\n1,[],[],[],a,en,3\n";
  std::uint64_t last = 0;
  const auto set =
      read_votes({{.path = first, .weight = 0.5}, {.path = kData + "lmsys_conversations.jsonl", .weight = 2}},
                 {}, [&](std::string_view, std::uint64_t done, std::uint64_t) { last = done; });
  ASSERT_TRUE(set) << set.error().to_string();
  ASSERT_EQ(set->votes.size(), 15u);
  EXPECT_EQ(last, 1000u);
  EXPECT_THAT(set->extra_names, ElementsAre("language", "judge", "turn", "anony", "tstamp",
                                            "category_tag.if_v0.1.if", "category_tag.if_v0.1.score"));
  EXPECT_THAT(set->votes[0].extras, ElementsAre("en", "", "", "", "", "", ""));
  EXPECT_EQ(set->votes[0].weight, 1.5);
  EXPECT_EQ(set->votes[1].weight, 2);
  EXPECT_EQ(set->votes[1].source, 1u);
  EXPECT_EQ(set->votes[1].extras[0], "English");
  EXPECT_EQ(set->votes[1].extras.size(), 7u);
  EXPECT_EQ(set->sources[0].sha256, sha256_file(first));
  EXPECT_EQ(set->sources[0].bytes, std::filesystem::file_size(first));
  EXPECT_EQ(set->sources[1].counts.rows, 14u);

  EXPECT_FALSE(read_votes({{.path = first}, {.path = kData + "none.csv"}}, {}));
  std::ofstream(first) << "id,prompt,response_a,response_b,winner\n";
  EXPECT_EQ(read_votes({{.path = first}}, {}).error().message, "no votes in the file");
}

}  // namespace
}  // namespace agon
