#include "agon/llm/remote/echo.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace agon::llm {
namespace {

using testing::HasSubstr;

// A reply whose tokens are these, the first without log-probability and each next one with -1, -2, ...
GeneratedReply reply_of(std::vector<std::string> tokens, std::string text = {}) {
  GeneratedReply reply;
  reply.has_logprobs = true;
  for (std::string& token : tokens) {
    if (text.empty() || reply.text.size() < text.size()) reply.text += token;
    ReplyToken one{.text = std::move(token), .logprob = {}, .top = {}, .offset = {}};
    if (!reply.tokens.empty()) one.logprob = -static_cast<double>(reply.tokens.size());
    reply.tokens.push_back(std::move(one));
  }
  if (!text.empty()) reply.text = std::move(text);
  return reply;
}

std::vector<double> scored(const GeneratedReply& reply, std::string_view context,
                           std::string_view continuation) {
  const auto score = score_echo(reply, context, continuation);
  EXPECT_TRUE(score) << score.error().to_string();
  return score ? score->token_logprobs : std::vector<double>();
}

std::string refused(const GeneratedReply& reply, std::string_view context, std::string_view continuation) {
  const auto score = score_echo(reply, context, continuation);
  return score ? "scored" : score.error().to_string();
}

TEST(Echo, SplitsBehindTheContext) {
  EXPECT_EQ(scored(reply_of({"The", " sky", " is", " blue", "!", " And"}), "The sky is", " blue!"),
            (std::vector<double>{-3, -4}));
  // White space at the context's end belongs to the continuation.
  EXPECT_EQ(scored(reply_of({"The", " sky", " is", " blue", " And"}), "The sky is ", "blue"),
            (std::vector<double>{-3}));
  EXPECT_EQ(continuation_start("a b \n"), 3U);
  EXPECT_EQ(continuation_start(" \n"), 0U);
}

TEST(Echo, BosTokensAreNoPart) {
  EXPECT_EQ(scored(reply_of({"<s>", " Once", " upon", "x"}, "Once uponx"), "Once", " upon"),
            (std::vector<double>{-2}));
  EXPECT_EQ(scored(reply_of({"<s>", " Once", "x"}, "Oncex"), "", "Once"), (std::vector<double>{-1}));
  EXPECT_THAT(refused(reply_of({"Once", "x"}), "", "Once"),
              HasSubstr("an empty context needs a server that puts a BOS token"));
}

TEST(Echo, PiecesOfCharacters) {
  EXPECT_EQ(
      scored(reply_of({"a", "bytes:\\xe2\\x82", "bytes:\\xac", "!"}, "a\xe2\x82\xac!"), "a", "\xe2\x82\xac"),
      (std::vector<double>{-1, -2}));
  // Shown as replacement characters: by offsets, in code points.
  GeneratedReply reply = reply_of({"\xc3\xa9", "\xef\xbf\xbd", "\xef\xbf\xbd", "!"}, "\xc3\xa9\xe2\x82\xac!");
  EXPECT_THAT(refused(reply, "\xc3\xa9", "\xe2\x82\xac"), HasSubstr("cannot be placed"));
  const std::int64_t offsets[] = {0, 1, 1, 2};
  for (std::size_t i = 0; i < 4; ++i) reply.tokens[i].offset = offsets[i];
  EXPECT_EQ(scored(reply, "\xc3\xa9", "\xe2\x82\xac"), (std::vector<double>{-1, -2}));
  for (const std::int64_t bad : {std::int64_t{-1}, std::int64_t{4}, std::int64_t{1} << 60}) {
    reply.tokens[2].offset = bad;
    EXPECT_THAT(refused(reply, "\xc3\xa9", "\xe2\x82\xac"), HasSubstr("cannot be placed")) << bad;
  }
}

TEST(Echo, ATokenOnBothSidesIsAnError) {
  EXPECT_THAT(
      refused(reply_of({"The", " brown", "x"}), "The bro", "wn"),
      HasSubstr(
          "token ' brown' stands on both sides of the boundary between context and continuation, at byte 7"));
  EXPECT_THAT(refused(reply_of({"The", " brown"}), "The", " bro"),
              HasSubstr("goes beyond the continuation's end"));
}

TEST(Echo, SaysWhatIsMissing) {
  GeneratedReply reply = reply_of({"a", "b", "c"});
  reply.has_logprobs = false;
  EXPECT_THAT(refused(reply, "a", "b"), HasSubstr("the server gives no log-probabilities of prompts"));
  EXPECT_THAT(refused(reply_of({"c"}), "a", "b"), HasSubstr("does not echo the prompt"));
}

TEST(Echo, GreedyWhenEveryTokenIsTheMostProbable) {
  GeneratedReply reply = reply_of({"a", "b", "c", "d"});
  EXPECT_EQ(score_echo(reply, "a", "bc")->is_greedy, std::nullopt);
  reply.tokens[1].top = {{"b", -1}};
  reply.tokens[2].top = {{"c", -2}, {"x", -3}};
  EXPECT_EQ(score_echo(reply, "a", "bc")->is_greedy, true);
  reply.tokens[2].top = {{"x", -0.5}};
  EXPECT_EQ(score_echo(reply, "a", "bc")->is_greedy, false);
}

}  // namespace
}  // namespace agon::llm
