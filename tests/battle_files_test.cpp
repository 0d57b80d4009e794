// Battles from files on disk: archives, several files, and a log that grows.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <filesystem>
#include <fstream>

#include "agon/base/file.h"
#include "agon/base/hash.h"
#include "agon/base/random.h"
#include "agon/base/test_folder.h"
#include "agon/data/battle_log.h"
#include "agon/data/battles.h"

namespace agon {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;

void append(const std::string& path, std::string_view bytes) {
  std::ofstream(path, std::ios::binary | std::ios::app) << bytes;
}

std::string many_battles(int rows, const std::string& note) {
  Random random(11);
  std::string out = "id,model_a,model_b,winner,note\n";
  for (int i = 0; i < rows; ++i) {
    out += std::to_string(i) + ",left-" + std::to_string(random.below(50)) + ",right-" +
           std::to_string(random.below(50)) + (random.below(3) == 0 ? ",tie," : ",model_a,") + note + "\n";
  }
  return out;
}

TEST(BattleFiles, PlainGzipAndZstdGiveTheSameTable) {
  const TempFolder folder;
  for (const char* note : {"plain", "\"with, \"\"quotes\"\"\nand a break\""}) {
    const std::string bytes = many_battles(200'000, note);  // several rounds of blocks
    PairTable first;
    for (const char* name : {"b.csv", "b.csv.gz", "b.csv.zst"}) {
      ASSERT_TRUE(write_file(folder / name, bytes));
      const auto set = read_battles({folder / name}, {});
      ASSERT_TRUE(set) << set.error().to_string();
      EXPECT_EQ(set->battles(), 200'000U);
      EXPECT_EQ(set->sources.at(0).sha256, *sha256_file(folder / name));
      EXPECT_EQ(set->sources[0].bytes, std::filesystem::file_size(folder / name));
      if (first.empty()) first = set->pairs;
      ASSERT_EQ(set->pairs.size(), first.size());
      for (std::size_t i = 0; i < first.size(); ++i) {
        EXPECT_EQ(set->pairs[i].first, first[i].first);
        EXPECT_EQ(set->pairs[i].weight, first[i].weight);
      }
    }
  }
}

TEST(BattleFiles, SeveralFilesUniteTheirCompetitors) {
  const TempFolder folder;
  ASSERT_TRUE(write_file(folder / "a.csv", "model_a,model_b,winner,judge\nx,y,tie,j\n"));
  ASSERT_TRUE(write_file(
      folder / "b.jsonl",
      "{\"model_a\": \"z\", \"model_b\": \"x\", \"winner\": \"model_a\", \"language\": \"fr\"}\n"));
  ASSERT_TRUE(write_file(folder / "c.json", R"({"models": ["y", "w"], "X": [[0, 1]], "Y": [[1, 0, 0, 0]]})"));
  ReadBattles options;
  options.keep_rows = true;
  const auto set = read_battles({folder / "a.csv", folder / "b.jsonl", folder / "c.json"}, options);
  ASSERT_TRUE(set) << set.error().to_string();
  EXPECT_THAT(set->competitors, ElementsAre("x", "y", "z", "w"));
  EXPECT_THAT(set->rows.a, ElementsAre(0, 2, 1));
  EXPECT_THAT(set->rows.b, ElementsAre(1, 0, 3));
  EXPECT_THAT(set->rows.find("voter")->code, ElementsAre(0, CodeColumn::kNone, CodeColumn::kNone));
  EXPECT_THAT(set->rows.find("language")->code, ElementsAre(CodeColumn::kNone, 0, CodeColumn::kNone));
  EXPECT_EQ(set->sources.size(), 3U);
  EXPECT_EQ(set->sources[1].form, "JSON votes");

  const auto missing = read_battles({folder / "a.csv", folder / "nowhere"}, options);
  ASSERT_FALSE(missing);
  EXPECT_THAT(missing.error().to_string(), HasSubstr("nowhere: cannot open"));
}

TEST(BattleFiles, RowsOfAllFilesCountOnlyTheirOwn) {
  const TempFolder folder;
  ASSERT_TRUE(write_file(folder / "a.csv", "model_a,model_b,winner\nx,y,tie\nx,y,tie\n"));
  ASSERT_TRUE(write_file(folder / "b.csv", "model_a,model_b,winner\nx,y,tie\nx,x,tie\n"));
  const auto set = read_battles({folder / "a.csv", folder / "b.csv"}, {});
  ASSERT_FALSE(set);
  EXPECT_EQ(
      set.error().to_string(),
      (folder / "b.csv") +
          ": row 2: 'x' against itself (expected two different competitors; --skip-bad passes over such rows "
          "and counts them)");
}

// ---- BattleLog

TEST(BattleLog, ReadsWholeLinesOfJsonAsTheyCome) {
  const TempFolder folder;
  const std::string path = folder / "log.jsonl";
  append(path, "");
  ReadBattles options;
  options.keep_rows = true;
  auto log = BattleLog::open(path, options);
  ASSERT_TRUE(log) << log.error().to_string();
  EXPECT_EQ(log->poll()->battles, 0U);
  const std::string line = "{\"model_a\": \"x\", \"model_b\": \"y\", \"winner\": \"model_a\"}\n";
  append(path, line + line.substr(0, 20));
  EXPECT_EQ(log->poll()->battles, 1U);
  EXPECT_EQ(log->offset(), line.size());
  EXPECT_EQ(log->poll()->battles, 0U);
  append(path, line.substr(20) + "\n" + line);
  EXPECT_EQ(log->poll()->battles, 2U);
  EXPECT_EQ(log->battles().battles(), 3U);
  EXPECT_EQ(log->battles().rows.size(), 3U);
  append(path, "{\"model_a\": \"z\", \"model_b\": \"x\", \"winner\": \"tie\"}\n");
  EXPECT_EQ(log->poll()->battles, 1U);
  EXPECT_THAT(log->battles().competitors, ElementsAre("x", "y", "z"));
  EXPECT_EQ(log->battles().pairs.size(), 2U);
  EXPECT_EQ(log->battles().rows.a.back(), 2U);
}

TEST(BattleLog, WaitsForTheHeaderAndForOpenQuotes) {
  const TempFolder folder;
  const std::string path = folder / "log.csv";
  append(path, "model_a,mod");
  auto log = BattleLog::open(path, {});
  ASSERT_TRUE(log);
  EXPECT_EQ(log->poll()->battles, 0U);
  append(path, "el_b,winner,note\nx,y,tie,\"two\n");
  EXPECT_EQ(log->poll()->battles, 0U);
  append(path, "lines\"\nx,y,model_a,");
  EXPECT_EQ(log->poll()->battles, 1U);
  append(path, "none\r\n");
  EXPECT_EQ(log->poll()->battles, 1U);
  EXPECT_EQ(log->battles().pairs.at(0).battles, 2U);
}

TEST(BattleLog, EqualsReadingTheWholeFileHoweverItGrew) {
  const TempFolder folder;
  const std::string path = folder / "log.csv", bytes = many_battles(20'000, "\"a \"\"b\"\"\nc\"");
  auto whole = read_battles_from_memory(bytes, "f", {});
  Random random(2);
  append(path, "");
  auto log = BattleLog::open(path, {});
  std::uint64_t news = 0;
  for (std::size_t at = 0; at < bytes.size();) {
    const std::size_t n = std::min<std::size_t>(bytes.size() - at, 1 + random.below(60'000));
    append(path, std::string_view(bytes).substr(at, n));
    at += n;
    const auto got = log->poll();
    ASSERT_TRUE(got) << got.error().to_string();
    EXPECT_FALSE(got->restarted);
    news += got->battles;
    EXPECT_EQ(log->battles().battles(), news);
  }
  EXPECT_EQ(news, 20'000U);
  EXPECT_EQ(log->battles().competitors, whole->competitors);
  ASSERT_EQ(log->battles().pairs.size(), whole->pairs.size());
  for (std::size_t i = 0; i < whole->pairs.size(); ++i)
    EXPECT_EQ(log->battles().pairs[i].weight, whole->pairs[i].weight);
}

TEST(BattleLog, NoticesACutReplacedOrRewrittenFile) {
  const TempFolder folder;
  const std::string path = folder / "log.csv", header = "model_a,model_b,winner\n";
  append(path, header + "x,y,tie\nx,y,tie\n");
  auto log = BattleLog::open(path, {});
  EXPECT_EQ(log->poll()->battles, 2U);

  std::filesystem::resize_file(path, header.size() + 8);  // cut
  auto news = log->poll();
  EXPECT_TRUE(news->restarted);
  EXPECT_EQ(news->battles, 1U);
  EXPECT_EQ(log->battles().battles(), 1U);
  EXPECT_FALSE(log->poll()->restarted);

  append(folder / "new", header + "p,q,model_a\n");
  std::filesystem::rename(folder / "new", path);  // replaced
  news = log->poll();
  EXPECT_TRUE(news->restarted);
  EXPECT_THAT(log->battles().competitors, ElementsAre("p", "q"));

  std::ofstream(path, std::ios::binary | std::ios::trunc) << header << "r,s,model_a\nr,s,tie\n";  // rewritten
  news = log->poll();
  EXPECT_TRUE(news->restarted);
  EXPECT_EQ(news->battles, 2U);
  EXPECT_THAT(log->battles().competitors, ElementsAre("r", "s"));

  std::filesystem::remove(path);
  EXPECT_EQ(log->poll()->battles, 0U);
  EXPECT_EQ(log->battles().battles(), 2U);
  append(path, header + "x,y,tie\n");
  EXPECT_TRUE(log->poll()->restarted);
}

TEST(BattleLog, ABadWholeLineIsAnErrorWithItsRowOrIsSkipped) {
  const TempFolder folder;
  const std::string path = folder / "log.csv";
  append(path, "model_a,model_b,winner\nx,y,tie\n");
  ReadBattles skip;
  skip.skip_bad = true;
  auto strict = BattleLog::open(path, {}), lenient = BattleLog::open(path, skip);
  EXPECT_EQ(strict->poll()->battles, 1U);
  EXPECT_EQ(lenient->poll()->battles, 1U);
  append(path, "x,y,tie\nx,y\nx,y,tie\n");
  for (int i = 0; i < 2; ++i) {
    const auto news = strict->poll();
    ASSERT_FALSE(news);
    EXPECT_THAT(news.error().to_string(), HasSubstr("log.csv: row 3"));
  }
  const auto news = lenient->poll();
  ASSERT_TRUE(news);
  EXPECT_EQ(news->battles, 2U);
  EXPECT_EQ(news->skipped, 1U);
}

TEST(BattleLog, RefusesWhatHasNoEndToAppendTo) {
  const TempFolder folder;
  append(folder / "a.json", "[{}]");
  EXPECT_THAT(BattleLog::open(folder / "a.json", {})->poll().error().to_string(), HasSubstr("a JSON array"));
  ASSERT_TRUE(write_file(folder / "b.csv.gz", "model_a,model_b,winner\n"));
  EXPECT_THAT(BattleLog::open(folder / "b.csv.gz", {})->poll().error().to_string(), HasSubstr("an archive"));
  EXPECT_THAT(BattleLog::open(folder / "nowhere", {}).error().to_string(), HasSubstr("cannot open"));
  EXPECT_THAT(BattleLog::open(folder.path().string(), {}).error().to_string(), HasSubstr("not a plain file"));
}

}  // namespace
}  // namespace agon
