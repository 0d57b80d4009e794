#include "agon/llm/remote/replies.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "agon/llm/remote/requests.h"

namespace agon::llm {
namespace {

using testing::HasSubstr;

TEST(Replies, Completions) {
  const auto reply = read_completion_reply(
      R"({"model":"m","usage":{"prompt_tokens":3,"completion_tokens":1},"choices":[{"text":"ab c","finish_reason":"length",
          "logprobs":{"tokens":["a","b"," c"],"token_logprobs":[null,-1.5,1e-9],"text_offset":[0,1,2],
          "top_logprobs":[null,{"b":-1.5,"x":-1},{" c":0}]}}]})");
  ASSERT_TRUE(reply) << reply.error().to_string();
  EXPECT_EQ(reply->head.model, "m");
  EXPECT_EQ(reply->head.usage.input, 3);
  EXPECT_TRUE(reply->head.usage.given);
  EXPECT_EQ(reply->text, "ab c");
  ASSERT_EQ(reply->tokens.size(), 3U);
  EXPECT_FALSE(reply->tokens[0].logprob);
  EXPECT_EQ(reply->tokens[1].logprob, -1.5);
  EXPECT_EQ(reply->tokens[2].logprob, 0.0);
  EXPECT_EQ(reply->tokens[1].top.size(), 2U);
  EXPECT_EQ(reply->tokens[2].offset, 2);
}

TEST(Replies, ComplaintsNameTheField) {
  const std::pair<const char*, const char*> cases[] = {
      {"", "not JSON"},
      {"<html>", "not JSON"},
      {"[]", "a list where an object was expected"},
      {"{}", "column 'choices': missing"},
      {R"({"choices":[]})", "column 'choices': empty"},
      {R"({"choices":[3]})", "column 'choices[0]': a number is no object"},
      {R"({"choices":[{}]})", "column 'choices[0].text': missing"},
      {R"({"choices":[{"text":7}]})", "column 'choices[0].text': a number is no text"},
      {R"({"choices":[{"text":"a","logprobs":{}}]})", "column 'choices[0].logprobs.tokens': missing"},
      {R"({"choices":[{"text":"a","logprobs":{"tokens":["a"],"token_logprobs":[]}}]})",
       "0 numbers for 1 tokens"},
      {R"({"choices":[{"text":"a","logprobs":{"tokens":["a"],"token_logprobs":[0.5]}}]})",
       "0.5 is no log-probability"},
      {R"({"choices":[{"text":"a","logprobs":{"tokens":["a"],"token_logprobs":["x"]}}]})",
       "a string is no number"},
      {R"({"choices":[{"text":"a","logprobs":{"tokens":["a"],"token_logprobs":[NaN]}}]})", "not JSON"},
      {R"({"choices":[{"text":"a","logprobs":{"tokens":["a"],"token_logprobs":[-1e999]}}]})", "not JSON"},
  };
  for (const auto& [body, message] : cases) {
    const auto reply = read_completion_reply(body);
    ASSERT_FALSE(reply) << body;
    EXPECT_THAT(reply.error().to_string(), HasSubstr(message)) << body;
  }
}

TEST(Replies, Chats) {
  const auto reply = read_chat_reply(
      R"({"choices":[{"message":{"content":"A"},"finish_reason":"stop","logprobs":{"content":[{"token":"A","logprob":-0.1,
          "top_logprobs":[{"token":"A","logprob":-0.1},{"token":"B","logprob":-2.5}]}]}}]})");
  ASSERT_TRUE(reply) << reply.error().to_string();
  EXPECT_EQ(reply->text, "A");
  EXPECT_FALSE(reply->head.usage.given);
  EXPECT_EQ(reply->tokens[0].top[1], (std::pair<std::string, double>("B", -2.5)));
  EXPECT_EQ(read_chat_reply(R"({"choices":[{"message":{"content":null}}]})")->text, "");
  EXPECT_THAT(read_chat_reply(R"({"choices":[{"text":"a"}]})").error().to_string(),
              HasSubstr("'choices[0].message': missing"));
  const GeneratedReply again = read_kept_answer(kept_answer(*reply)).value();
  EXPECT_EQ(again.text, "A");
  EXPECT_EQ(again.finish_reason, "stop");
  EXPECT_EQ(again.tokens[0].top, reply->tokens[0].top);
}

TEST(Replies, EmbeddingsInAnyOrder) {
  const auto reply = read_embedding_reply(
      R"({"data":[{"index":1,"embedding":[3,4.5]},{"index":0,"embedding":[1,-2]}],"usage":{"total_tokens":9}})",
      2);
  ASSERT_TRUE(reply) << reply.error().to_string();
  EXPECT_EQ(reply->embeddings, (std::vector<std::vector<float>>{{1, -2}, {3, 4.5}}));
  EXPECT_EQ(reply->head.usage.input, 9);
  const std::pair<const char*, const char*> cases[] = {
      {R"({"data":[{"embedding":[1]}]})", "column 'data': 1 results (expected 2, one for each text)"},
      {R"({"data":[{"embedding":[1]},{"embedding":[1,2]}]})", "2 numbers, and 1 before"},
      {R"({"data":[{"embedding":[1]},{"embedding":[]}]})", "'data[1].embedding': empty"},
      {R"({"data":[{"index":0,"embedding":[1]},{"index":0,"embedding":[1]}]})", "text 0 occurs twice"},
      {R"({"data":[{"index":5,"embedding":[1]},{"embedding":[1]}]})", "(expected 0 to 1)"},
      {R"({"data":[{"embedding":["x"]},{"embedding":[1]}]})",
       "'data[0].embedding[0]': a string is no number"},
      {R"({"data":[{"embedding":[1e300]},{"embedding":[1]}]})", "beyond a float"},
      {R"({"data":[{"embedding":"AAAA"},{"embedding":[1]}]})", "a string is no list"},
  };
  for (const auto& [body, message] : cases) {
    const auto bad = read_embedding_reply(body, 2);
    ASSERT_FALSE(bad) << body;
    EXPECT_THAT(bad.error().to_string(), HasSubstr(message)) << body;
  }
}

TEST(Replies, RerankingAndModels) {
  EXPECT_EQ(read_rerank_reply(
                R"({"results":[{"index":1,"relevance_score":0.9},{"index":0,"relevance_score":-3}]})", 2)
                ->scores,
            (std::vector<double>{-3, 0.9}));
  EXPECT_THAT(read_rerank_reply(R"({"results":[{"index":0}]})", 1).error().to_string(),
              HasSubstr("relevance_score': missing"));
  const auto models = read_models_reply(R"({"data":[{"id":"a","owned_by":"agon"},{"id":"b"}]})").value();
  EXPECT_EQ(models[0], (std::pair<std::string, std::string>("a", "agon")));
  EXPECT_EQ(models[1].second, "");
}

TEST(Replies, ScoresKeepEveryBit) {
  const ScoredReply score{.logprob = 0,
                          .token_logprobs = {-0.1, -1.0 / 3, -1e-300, 0},
                          .tokens = {{1, " a"}, {-1, "\"\n"}, {2, "\xe2\x82\xac"}, {3, ""}},
                          .is_greedy = true};
  const ScoredReply again = read_kept_score(kept_score(score)).value();
  EXPECT_EQ(again.token_logprobs, score.token_logprobs);
  EXPECT_EQ(again.tokens, score.tokens);
  EXPECT_EQ(again.is_greedy, score.is_greedy);
  const std::vector<float> floats = {0.1F, -3.4e38F, 1e-45F};
  const auto numbers = read_kept_numbers(kept_numbers(std::span<const float>(floats))).value();
  for (std::size_t i = 0; i < floats.size(); ++i) EXPECT_EQ(static_cast<float>(numbers[i]), floats[i]);
}

TEST(Replies, WhatServersSayOfErrors) {
  EXPECT_EQ(error_text(R"({"error":{"message":"no such model","code":7}})", {}), "no such model");
  EXPECT_EQ(error_text(R"({"error":"plain"})", {}), "plain");
  EXPECT_EQ(error_text(R"({"object":"error","message":"vLLM's"})", {}), "vLLM's");
  EXPECT_EQ(error_text(R"({"detail":[{"loc":["body"],"msg":"missing"}]})", {}),
            R"([{"loc":["body"],"msg":"missing"}])");
  EXPECT_EQ(error_text("<html>\n<b>Bad\x1b[31m</b>", {}), "<html> <b>Bad\xe2\x90\x9b[31m</b>");
  EXPECT_EQ(error_text("", {}), "");
  EXPECT_LE(error_text(std::string(100'000, 'x'), {}).size(), 500U);
}

TEST(Replies, CutOff) {
  const std::string whole = R"({"a":{"b":["}\"]",{}]}})";
  EXPECT_FALSE(is_cut_off(whole + "\n"));
  for (std::size_t size = 0; size < whole.size(); ++size)
    EXPECT_TRUE(is_cut_off(whole.substr(0, size))) << size;
  EXPECT_FALSE(is_cut_off("<html></html>"));
  EXPECT_FALSE(is_cut_off(R"({"x":NaN})"));
}

}  // namespace
}  // namespace agon::llm
