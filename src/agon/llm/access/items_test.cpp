#include "agon/llm/access/items.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <map>
#include <nlohmann/json.hpp>

#include "agon/llm/access/embedded_model.h"
#include "agon/llm/engine/scoring.h"
#include "agon/llm/engine/test_stories.h"

namespace agon::llm {
namespace {

using nlohmann::json;
using testing::HasSubstr;

std::string error_of(const std::string& lines) {
  auto reader = ItemReader::parse(lines, "items.jsonl");
  ScoreItem item;
  for (;;) {
    const auto some = (*reader)->next(item);
    if (!some) return some.error().to_string();
    if (!*some) return {};
  }
}

TEST(ItemReader, ReadsWhatItIsGiven) {
  auto reader = ItemReader::parse(
      "{\"id\":\"a\\\"b\",\"context\":\"x\",\"continuations\":[\" y\",\"z\"],\"more\":{}}\n\n"
      "{\"context\":\"\",\"continuations\":[]}\n"
      "{\"id\":-7,\"messages\":[{\"role\":\"user\",\"content\":\"hi\"}],\"continuations\":[\"k\"]}",
      "items.jsonl");
  ASSERT_TRUE(reader);
  ScoreItem item;
  ASSERT_TRUE((*reader)->next(item).value());
  EXPECT_EQ(item.id, "\"a\\\"b\"");
  EXPECT_EQ(item.continuations, (std::vector<std::string>{" y", "z"}));
  ASSERT_TRUE((*reader)->next(item).value());
  EXPECT_EQ(item.id, std::to_string(item.row));
  EXPECT_TRUE(item.continuations.empty());
  ASSERT_TRUE((*reader)->next(item).value());
  EXPECT_EQ(item.id, "-7");
  ASSERT_EQ(item.messages.size(), 1U);
  EXPECT_EQ(item.messages[0].content, "hi");
  EXPECT_FALSE((*reader)->next(item).value());
}

TEST(ItemReader, NamesFileRowAndField) {
  const std::string good = "{\"context\":\"x\",\"continuations\":[\"y\"]}\n";
  EXPECT_EQ(error_of(good + good), "");
  const std::pair<const char*, const char*> cases[] = {
      {"{\"context\":\"x\"}",
       "items.jsonl: row 2, column 'continuations': missing (expected a list of strings)"},
      {"{\"continuations\":[]}", "items.jsonl: row 2, column 'context': missing"},
      {"{\"context\":1,\"continuations\":[]}", "row 2, column 'context': a number is no text"},
      {"{\"context\":\"\",\"continuations\":\"y\"}", "row 2, column 'continuations': a string is no list"},
      {"{\"context\":\"\",\"continuations\":[\"y\",null]}",
       "row 2, column 'continuations[1]': null is no text"},
      {"{\"context\":\"\",\"continuations\":[\"\"]}", "row 2, column 'continuations[0]': empty"},
      {"{\"id\":1.5,\"context\":\"\",\"continuations\":[]}", "row 2, column 'id'"},
      {"{\"context\":\"\",\"messages\":[],\"continuations\":[]}", "row 2, column 'messages': both"},
      {"{\"messages\":[],\"continuations\":[]}", "row 2, column 'messages': no conversation"},
      {"{\"messages\":[{\"role\":\"user\"}],\"continuations\":[]}",
       "row 2, column 'messages[0].content': missing"},
      {"{\"context\":\"\",", "row 2: not JSON"},
      {"[1]", "row 2: a list where an object was expected"},
      {"7", "row 2: a number where an object was expected"},
      {"{\"context\":\"\xff\",\"continuations\":[]}", "row 2: not JSON"},
  };
  for (const auto& [line, message] : cases) EXPECT_THAT(error_of(good + line), HasSubstr(message)) << line;
}

std::string scored(Engine& engine, const std::string& lines, const ItemOptions& options = {}) {
  auto reader = ItemReader::parse(lines, "items.jsonl").value();
  std::string out;
  EmbeddedModel model(engine, stories_path());
  const auto counts = score_items(model, *reader, options, [&](std::string_view text) -> Status {
    out += text;
    return {};
  });
  if (!counts) return counts.error().to_string();
  return out;
}

std::vector<std::string> lines_of(const std::string& text) {
  std::vector<std::string> lines;
  for (std::size_t at = 0; at < text.size();) {
    const std::size_t end = text.find('\n', at);
    lines.push_back(text.substr(at, end - at));
    at = end + 1;
  }
  return lines;
}

std::vector<std::string> some_items() {
  const char* contexts[] = {"Once upon a time", "Once upon a time, there was a", "Lily saw a", "",
                            "Tim and Tom "};
  const char* endings[] = {" little girl", " big red ball.", " x", "\n", " there was", "\xe2\x82\xac"};
  std::vector<std::string> lines;
  for (int i = 0; i < 40; ++i) {
    json item{{"id", i}, {"context", contexts[i % 5]}, {"continuations", json::array()}};
    for (int k = 0; k <= i % 3; ++k) item["continuations"].push_back(endings[(i + k) % 6]);
    lines.push_back(item.dump() + "\n");
  }
  return lines;
}

TEST(ScoreItems, TheSameBytesInAnyOrderWindowAndNumberOfThreads) {
  const auto engine = open_stories();
  const auto single = open_stories({.threads = 1});
  const std::vector<std::string> items = some_items();
  std::string all, reversed;
  for (const std::string& item : items) {
    all += item;
    reversed.insert(0, item);
  }
  const std::string expected = scored(*engine, all);
  const std::vector<std::string> lines = lines_of(expected);
  ASSERT_EQ(lines.size(), items.size()) << expected;
  for (std::size_t i = 0; i < items.size(); ++i) EXPECT_EQ(json::parse(lines[i])["id"], i);
  EXPECT_EQ(scored(*single, all), expected);
  EXPECT_EQ(scored(*engine, all, {.window = 7}), expected);
  EXPECT_EQ(scored(*single, all, {.window_bytes = 1}), expected);
  std::vector<std::string> backwards = lines_of(scored(*engine, reversed));
  std::ranges::reverse(backwards);
  EXPECT_EQ(backwards, lines);
  for (std::size_t i = 0; i < items.size(); i += 11) EXPECT_EQ(scored(*engine, items[i]), lines[i] + "\n");
}

TEST(ScoreItems, WritesWhatScoreGives) {
  const auto engine = open_stories();
  const std::string out =
      scored(*engine, "{\"id\":\"q\",\"context\":\"Lily saw a\",\"continuations\":[\" big dog\"]}");
  const json line = json::parse(out);
  const ScoreRequest request = make_request(*engine, "Lily saw a", " big dog").value();
  const Score expected = score(*engine, std::span(&request, 1))->front();
  const json& got = line["continuations"][0];
  EXPECT_EQ(line["id"], "q");
  EXPECT_EQ(got["logprob"].get<double>(), expected.logprob);
  EXPECT_EQ(got["token_logprobs"].get<std::vector<double>>(), expected.token_logprobs);
  EXPECT_EQ(got["is_greedy"], expected.is_greedy);
  std::string text;
  std::vector<Token> ids;
  for (const json& token : got["tokens"]) {
    text += token["piece"].get<std::string>();
    ids.push_back(token["id"]);
  }
  EXPECT_EQ(text, " big dog");
  EXPECT_EQ(ids, expected.tokens);
}

TEST(ScoreItems, SaysHowMuchTooLongAndCutsWhenAsked) {
  const auto engine = open_stories({.config = {.context = 16}});
  json item{{"context", "a b c d e f g h i j k l m n o p q r s t u v w x y z"}, {"continuations", {" end"}}};
  const std::string message = scored(*engine, item.dump());
  EXPECT_THAT(message, HasSubstr("items.jsonl: row 1, column 'continuations[0]': the text has "));
  EXPECT_THAT(message, HasSubstr(" more than the context of 16"));
  const json cut = json::parse(scored(*engine, item.dump(), {.truncate = true}));
  EXPECT_LT(cut["continuations"][0]["logprob"].get<double>(), 0);
}

TEST(EmbedItems, HaveTheModelsShape) {
  const auto engine = open_stories();
  const auto width = static_cast<std::size_t>(engine->config().embedding);
  const auto run = [&](int layer, Pooling pooling) {
    auto reader =
        ItemReader::parse("{\"id\":\"x\",\"text\":\"Once upon\"}\n{\"text\":\"Lily\"}", "t").value();
    std::string out;
    EmbeddedModel model(*engine, stories_path());
    const auto counts = embed_items(model, *reader, {.layer = layer, .pooling = pooling}, layer,
                                    {.window = 1}, [&](std::string_view text) -> Status {
                                      out += text;
                                      return {};
                                    });
    EXPECT_TRUE(counts) << counts.error().to_string();
    std::vector<json> parsed;
    for (const std::string& line : lines_of(out)) parsed.push_back(json::parse(line));
    return parsed;
  };
  const auto all = run(2, Pooling::kNone);
  const auto mean = run(2, Pooling::kMean);
  const auto last = run(2, Pooling::kLast);
  ASSERT_EQ(all.size(), 2U);
  EXPECT_EQ(all[0]["id"], "x");
  EXPECT_EQ(all[1]["id"], 2);
  for (std::size_t i = 0; i < 2; ++i) {
    const auto rows = all[i]["embeddings"].get<std::vector<std::vector<float>>>();
    ASSERT_EQ(rows.size(), all[i]["tokens"].get<std::size_t>());
    EXPECT_EQ(last[i]["embedding"].get<std::vector<float>>(), rows.back());
    const auto averaged = mean[i]["embedding"].get<std::vector<float>>();
    ASSERT_EQ(averaged.size(), width);
    for (std::size_t k = 0; k < width; ++k) {
      double sum = 0;
      for (const auto& row : rows) sum += static_cast<double>(row[k]);
      EXPECT_NEAR(averaged[k], sum / static_cast<double>(rows.size()), 1e-5);
    }
  }
  // After no layer: the token's own embedding.
  const auto start = run(0, Pooling::kLast);
  std::vector<float> expected(width);
  engine->weights().embed(engine->tokenizer().encode("Lily").back(), expected);
  EXPECT_EQ(start[1]["embedding"].get<std::vector<float>>(), expected);
  EXPECT_EQ(run(2, Pooling::kMean)[0]["layer"], 2);
  EXPECT_FALSE(run(-1, Pooling::kMean)[0].contains("layer"));
}

}  // namespace
}  // namespace agon::llm
