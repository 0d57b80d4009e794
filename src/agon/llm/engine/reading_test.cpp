// Readings of texts in their context: equal to what scoring and embedding give, and the same in any company.
#include "agon/llm/engine/reading.h"

#include <gtest/gtest.h>

#include <algorithm>

#include "agon/llm/engine/embedding.h"
#include "agon/llm/engine/test_stories.h"

namespace agon::llm {
namespace {

/// Two answers to each of some prompts behind one beginning, some equal in their first words.
std::vector<ReadRequest> requests(const Engine& engine) {
  std::vector<ReadRequest> out;
  const std::vector<std::string> prompts = {
      "Once upon a time there was a little girl named Lily. She liked to",
      "Once upon a time there was a little girl named Lily. Her cat was very"};
  const std::vector<std::pair<std::string, std::string>> answers = {
      {" play in the park.", " play in the sun all day."}, {" big.", " big. It ate a fish."}};
  for (std::size_t p = 0; p < prompts.size(); ++p)
    for (const std::string& answer : {answers[p].first, answers[p].second}) {
      ReadRequest r;
      r.tokens = engine.tokenizer().encode(prompts[p]);
      const int begin = static_cast<int>(r.tokens.size());
      const auto more = engine.tokenizer().encode(answer, {.add_special = false});
      r.tokens.insert(r.tokens.end(), more.begin(), more.end());
      r.observed = {{begin, static_cast<int>(r.tokens.size())}};
      r.end = engine.tokenizer().special().eos;
      r.family = p;
      out.push_back(std::move(r));
    }
  return out;
}

TEST(Reading, IsWhatScoringAndEmbeddingGive) {
  const auto engine = open_stories();
  const std::vector<ReadRequest> all = requests(*engine);
  const auto readings = read_texts(*engine, all, {.layers = {0, 2, 5}, .logprobs = true});
  ASSERT_TRUE(readings) << readings.error().to_string();
  const auto width = static_cast<std::size_t>(engine->config().embedding);
  for (std::size_t i = 0; i < all.size(); ++i) {
    const Reading& r = (*readings)[i];
    ScoreRequest score_request{.tokens = all[i].tokens, .first = all[i].observed[0].begin};
    score_request.tokens.push_back(all[i].end);
    const auto scores = score(*engine, {&score_request, 1});
    std::vector<double> expected = scores->front().token_logprobs;
    EXPECT_EQ(r.end_logprob, expected.back());
    expected.pop_back();
    EXPECT_EQ(r.logprobs, expected);
    for (std::size_t l = 0; l < 3; ++l) {
      const int layer = std::array{0, 2, 5}[l];
      const auto states = embed(*engine, {&all[i].tokens, 1}, layer, Pooling::kNone);
      std::vector<double> sum(width);
      const auto begin = static_cast<std::size_t>(all[i].observed[0].begin);
      const std::size_t count = all[i].tokens.size() - begin;
      for (std::size_t t = begin; t < all[i].tokens.size(); ++t)
        for (std::size_t c = 0; c < width; ++c) sum[c] += static_cast<double>(states->front()[t * width + c]);
      for (std::size_t c = 0; c < width; ++c) {
        EXPECT_EQ(r.mean[l * width + c], static_cast<float>(sum[c] / static_cast<double>(count)));
        EXPECT_EQ(r.last[l * width + c], states->front()[(all[i].tokens.size() - 1) * width + c]);
      }
    }
  }
}

TEST(Reading, IsTheSameInAnyCompany) {
  const auto engine = open_stories(), single = open_stories({.threads = 1, .max_rows = 7});
  std::vector<ReadRequest> all = requests(*engine);
  const ReadOptions options{.layers = {1, 4}, .logprobs = true};
  const auto together = read_texts(*engine, all, options);
  ASSERT_TRUE(together);
  for (std::size_t i = 0; i < all.size(); ++i) {
    const auto alone = read_texts(*single, {&all[i], 1}, options);
    ASSERT_TRUE(alone);
    EXPECT_EQ(alone->front().mean, (*together)[i].mean);
    EXPECT_EQ(alone->front().last, (*together)[i].last);
    EXPECT_EQ(alone->front().logprobs, (*together)[i].logprobs);
    EXPECT_EQ(alone->front().end_logprob, (*together)[i].end_logprob);
    // Without log-probabilities fewer layers are run, and the states are the same.
    const auto states = read_texts(*engine, {&all[i], 1}, {.layers = {1, 4}});
    EXPECT_EQ(states->front().mean, (*together)[i].mean);
    EXPECT_TRUE(states->front().logprobs.empty());
  }
  std::ranges::reverse(all);
  const auto reversed = read_texts(*engine, all, options);
  for (std::size_t i = 0; i < all.size(); ++i)
    EXPECT_EQ((*reversed)[all.size() - 1 - i].mean, (*together)[i].mean);
}

// Many families share the cache in turns, and equal texts, texts inside others and single ones are families
// too.
TEST(Reading, TakesManyFamiliesOfAnyShape) {
  const auto engine = open_stories();
  const std::vector<ReadRequest> few = requests(*engine);
  std::vector<ReadRequest> many;
  for (std::size_t i = 0; i < 300; ++i) {
    many.push_back(few[i % few.size()]);
    many.back().family = i / 3;
  }
  const auto readings = read_texts(*engine, many, {.layers = {3}, .logprobs = true});
  ASSERT_TRUE(readings) << readings.error().to_string();
  const auto once = read_texts(*engine, few, {.layers = {3}, .logprobs = true});
  for (std::size_t i = 0; i < many.size(); ++i) {
    EXPECT_EQ((*readings)[i].mean, (*once)[i % few.size()].mean) << i;
    EXPECT_EQ((*readings)[i].logprobs, (*once)[i % few.size()].logprobs) << i;
  }
}

TEST(Reading, RefusesWhatIsTooLong) {
  const auto engine = open_stories();
  ReadRequest request{.tokens = std::vector<Token>(600, 5), .observed = {{1, 600}}};
  const auto reading = read_texts(*engine, {&request, 1}, {.layers = {1}});
  ASSERT_FALSE(reading);
  EXPECT_NE(reading.error().message.find("88 more than the context"), std::string::npos);
  EXPECT_TRUE(read_texts(*engine, {}, {.layers = {1}})->empty());
}

}  // namespace
}  // namespace agon::llm
