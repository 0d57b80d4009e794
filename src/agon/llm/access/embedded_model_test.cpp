#include "agon/llm/access/embedded_model.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cmath>

#include "agon/base/hash.h"
#include "agon/llm/engine/embedding.h"
#include "agon/llm/engine/generation.h"
#include "agon/llm/engine/test_stories.h"

namespace agon::llm {
namespace {

using testing::HasSubstr;

std::unique_ptr<EmbeddedModel> open_model() {
  auto model = EmbeddedModel::open(stories_path(), {.threads = 2, .template_name = "chatml"});
  EXPECT_TRUE(model) << model.error().to_string();
  return std::move(*model);
}

TEST(EmbeddedModel, IsKnownByItsBytes) {
  const auto model = open_model();
  EXPECT_EQ(model->identity()->key, sha256_file(stories_path()).value());
  EXPECT_THAT(model->identity()->name, testing::EndsWith(".gguf"));
  EXPECT_FALSE(model->is_remote());
  EXPECT_FALSE(EmbeddedModel::open("/no/such.gguf", {}));
}

TEST(EmbeddedModel, DoesWhatTheEngineDoes) {
  const auto model = open_model();
  Engine& engine = model->engine();
  const ScoreInput items[] = {{{"Lily saw a"}, {" big dog", " cat"}}, {{"", {{"user", "Hi"}}}, {"A"}}};
  const auto scores = model->score(items);
  ASSERT_TRUE(scores) << scores.error().to_string();
  const ScoreRequest request = make_request(engine, "Lily saw a", " cat").value();
  EXPECT_EQ((*scores)[0][1].token_logprobs, score(engine, std::span(&request, 1))->front().token_logprobs);
  EXPECT_EQ((*scores)[0][0].tokens.size(), (*scores)[0][0].token_logprobs.size());
  ASSERT_EQ((*scores)[1].size(), 1U);

  const std::vector<std::string> texts = {"Once upon", "a time"};
  const auto embeddings = model->embed(texts, {.layer = 2});
  ASSERT_TRUE(embeddings);
  const std::vector<std::vector<Token>> tokens = {engine.tokenizer().encode("a time")};
  EXPECT_EQ((*embeddings)[1].values, embed(engine, tokens, 2, Pooling::kMean)->front());

  const ModelInput input{"Once upon a time"};
  const auto answers = model->generate(std::span(&input, 1), {.max_tokens = 9});
  ASSERT_TRUE(answers);
  Session session = Session::create(engine).value();
  EXPECT_EQ((*answers)[0].text,
            session.generate(engine.tokenizer().encode(input.text), {.max_tokens = 9})->text);
  EXPECT_EQ((*answers)[0].tokens, 9);
  EXPECT_EQ((*answers)[0].stopped_by, "length");
}

TEST(EmbeddedModel, ChoicesAreTheSoftmaxOfTheirScores) {
  const auto model = open_model();
  const ChoiceInput item{{"Lily was very"}, {" happy", " sad", " x"}};
  const auto result = model->choose(std::span(&item, 1));
  ASSERT_TRUE(result);
  const ScoreInput input{item.context, item.choices};
  const auto scores = model->score(std::span(&input, 1)).value()[0];
  double sum = 0;
  for (const ContinuationScore& score : scores) sum += std::exp(score.logprob);
  for (std::size_t i = 0; i < 3; ++i)
    EXPECT_NEAR((*result)[0].probabilities[i], std::exp(scores[i].logprob) / sum, 1e-12);
  EXPECT_EQ((*result)[0].best, 0U);
}

TEST(EmbeddedModel, ReranksByQueryLikelihood) {
  const auto model = open_model();
  const RerankInput item{"Where is the dog?", {"The dog ran.", "A cake."}};
  const auto scores = model->rerank(std::span(&item, 1));
  ASSERT_TRUE(scores);
  const ScoreInput input{{"Document: A cake.\n\nQuery:"}, {" Where is the dog?"}};
  const ContinuationScore expected = model->score(std::span(&input, 1)).value()[0][0];
  EXPECT_NEAR((*scores)[0][1], std::exp(expected.logprob / static_cast<double>(expected.tokens.size())),
              1e-12);
}

TEST(EmbeddedModel, ErrorsNameTheItem) {
  const auto model = open_model();
  const ScoreInput items[] = {{{"a"}, {" b"}}, {{"a"}, {" b", ""}}};
  EXPECT_THAT(model->score(items).error().to_string(),
              HasSubstr("row 2, column 'continuations[1]': an empty continuation"));
  EXPECT_THAT(model->embed(std::vector<std::string>{"a", std::string(5000, 'x')}).error().to_string(),
              HasSubstr("row 2, column 'text': the text has"));
}

}  // namespace
}  // namespace agon::llm
