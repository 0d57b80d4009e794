#include "agon/llm/engine/generation.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <numeric>

#include "agon/llm/engine/test_stories.h"
#include "agon/llm/model/reference.h"
#include "agon/llm/model/sampler.h"
#include "agon/text/utf8.h"

namespace agon::llm {
namespace {

using testing::HasSubstr;

std::string through(StopFilter& filter, std::initializer_list<std::string_view> pieces) {
  std::string out;
  for (const std::string_view piece : pieces) out += filter.push(piece) + "|";
  return out + filter.flush();
}

TEST(StopFilter, HoldsBackWhatMayBecomeAStopString) {
  StopFilter plain({});
  EXPECT_EQ(through(plain, {"a", "", "b"}), "a||b|");
  StopFilter filter({"</s>"});
  EXPECT_EQ(through(filter, {"a<", "/", "b", "</", "s"}), "a||</b|||</s");
  EXPECT_FALSE(filter.found());
  StopFilter split({"END", "\n\n"});
  EXPECT_EQ(through(split, {"one\n", "two E", "N", "D three", "four"}), "one|\ntwo ||||");
  EXPECT_TRUE(split.found());
  // The earliest of several, and one that overlaps with its own beginning.
  StopFilter earliest({"ll", "el"});
  EXPECT_EQ(through(earliest, {"hello"}), "h|");
  StopFilter overlap({"aab"});
  EXPECT_EQ(through(overlap, {"aaa", "ab", "x"}), "a|a||");
  EXPECT_TRUE(overlap.found());
}

TEST(StopFilter, GivesTheTextBeforeTheStopHoweverItIsCut) {
  const std::string text = "abcabdabcab cabcabd tail";
  const std::string stop = "cabcab";
  const std::string wanted = text.substr(0, text.find(stop));
  for (std::size_t first = 0; first <= text.size(); ++first) {
    for (std::size_t second = first; second <= text.size(); ++second) {
      StopFilter filter({stop, "zz"});
      std::string out = filter.push(text.substr(0, first));
      out += filter.push(text.substr(first, second - first));
      out += filter.push(text.substr(second));
      EXPECT_EQ(out + filter.flush(), wanted) << first << " " << second;
    }
  }
}

// The truth reads what was generated and is asked about each token: it must agree, but for ties.
TEST(Greedy, TwoHundredTokensAreTheTruths) {
  constexpr double kTie = 1e-3;  // of logits, a hundred times what floats err by here
  const auto engine = open_stories();
  const auto reference = ReferenceModel::load(engine->file());
  ASSERT_TRUE(reference);
  const auto vocabulary = static_cast<std::size_t>(engine->config().vocabulary);
  for (const char* begin : {"", "One day, a big dog", "The sun was"}) {
    std::vector<Token> text = engine->tokenizer().encode(begin);
    const std::size_t given = text.size();
    auto cache = engine->make_cache(static_cast<int>(given) + 200);
    ASSERT_TRUE(cache);
    const auto forward = engine->make_forward(*cache);
    const int sequence = cache->open();
    std::vector<Token> next = text;
    for (int i = 0; i < 200; ++i) {
      Batch batch;
      batch.tokens = next;
      batch.segments = {{.sequence = sequence, .count = static_cast<int>(next.size()), .step = i > 0}};
      batch.logit_rows = {static_cast<int>(next.size()) - 1};
      BatchResult result;
      ASSERT_TRUE(forward->run(batch, result));
      next = {greedy_token(result.logits)};
      text.push_back(next.front());
    }
    const std::vector<double> logits = reference->logits(text);
    for (std::size_t t = given; t < text.size(); ++t) {
      const auto row = std::span(logits).subspan((t - 1) * vocabulary, vocabulary);
      EXPECT_GE(row[static_cast<std::size_t>(text[t])], *std::ranges::max_element(row) - kTie) << begin << t;
    }
  }
}

class Stories : public testing::Test {
 protected:
  static std::vector<Token> prompt(const Engine& engine, const std::string& text) {
    return engine.tokenizer().encode(text);
  }
  static Generation run(Engine& engine, const std::string& text, const GenerationOptions& options,
                        const TextSink& sink = {}) {
    auto session = Session::create(engine);
    auto result = session->generate(prompt(engine, text), options, sink);
    EXPECT_TRUE(result) << result.error().to_string();
    return std::move(*result);
  }
};

TEST_F(Stories, StreamsExactlyTheTextInWholeCharacters) {
  const auto engine = open_stories();
  std::string streamed;
  const Generation result = run(*engine, "Once upon a time", {.max_tokens = 60}, [&](std::string_view piece) {
    EXPECT_TRUE(is_valid_utf8(piece));
    streamed += piece;
    return true;
  });
  EXPECT_EQ(streamed, result.text);
  EXPECT_EQ(result.tokens.size(), 60U);
  EXPECT_EQ(result.reason, StopReason::kMaxTokens);
  EXPECT_EQ(result.text,
            engine->tokenizer().decode(result.tokens).insert(0, result.text[0] == ' ' ? " " : ""));
}

// Greedy text asks the model for its best tokens alone, of guessed ones too; with a bias of 0 it is made
// token by token from all logits.
TEST_F(Stories, GreedyTextIsThatOfAllLogitsTokenByToken) {
  const std::string lines =
      "Tom has a red ball. Lily has a blue ball. Tom has a red ball. Lily has a blue ball. Tom has";
  for (const int threads : {1, 2}) {
    for (const bool exact : {false, true}) {
      const auto engine = open_stories({.threads = threads, .exact = exact});
      auto session = Session::create(*engine).value();
      for (const std::string& begin : {lines, std::string("Lily and Tom"), lines + " a", std::string()}) {
        for (const int most : {1, 2, 9, 100}) {
          GenerationOptions options;
          options.max_tokens = most;
          // In one session, so that what was guessed wrong before must leave no trace.
          const auto best = session.generate(prompt(*engine, begin), options);
          ASSERT_TRUE(best);
          options.lookahead = false;
          const Generation one_by_one = run(*engine, begin, options);
          EXPECT_EQ(one_by_one.tokens, best->tokens);
          options.sampler.logit_bias = {{.token = 5, .bias = 0}};
          ASSERT_FALSE(options.sampler.takes_best());
          const Generation slow = run(*engine, begin, options);
          EXPECT_EQ(one_by_one.passes, slow.passes);
          EXPECT_EQ(slow.tokens, best->tokens) << begin << " " << most;
          EXPECT_EQ(slow.text, best->text);
          EXPECT_EQ(slow.reason, best->reason);
          EXPECT_EQ(slow.passes + 1,
                    std::max<std::size_t>(slow.tokens.size(), 1) + (slow.reason == StopReason::kEnd));
          EXPECT_LE(best->passes, slow.passes);
          if (begin == lines && most == 100) {
            EXPECT_LT(best->passes, slow.passes);
          }
        }
      }
    }
  }
}

TEST_F(Stories, AStopStringWithinAGuessEndsTheText) {
  const auto engine = open_stories();
  const std::string lines =
      "Tom has a red ball. Lily has a blue ball. Tom has a red ball. Lily has a blue ball. Tom";
  GenerationOptions options;
  options.max_tokens = 60;
  const Generation whole = run(*engine, lines, options);
  auto session = Session::create(*engine).value();
  for (std::size_t begin = 0; begin + 3 < std::min<std::size_t>(whole.text.size(), 60); begin += 2) {
    options.stop = {whole.text.substr(begin, 3)};
    const auto cut = session.generate(prompt(*engine, lines), options);
    ASSERT_TRUE(cut);
    EXPECT_EQ(cut->text, whole.text.substr(0, whole.text.find(options.stop[0])));
    EXPECT_EQ(cut->reason, StopReason::kStopString);
  }
  options.stop.clear();
  EXPECT_EQ(session.generate(prompt(*engine, lines), options)->tokens, whole.tokens);
}

TEST_F(Stories, SameSeedSameBytesOnAnyThreadsAndAfterAnything) {
  GenerationOptions options;
  options.sampler = {.temperature = 1.0, .top_p = 0.9, .repetition_penalty = 1.1, .seed = 5};
  options.max_tokens = 80;
  const auto one = open_stories({.threads = 1});
  const auto three = open_stories({.threads = 3});
  const Generation expected = run(*one, "Lily and Tom", options);
  EXPECT_EQ(run(*three, "Lily and Tom", options).tokens, expected.tokens);
  // In a session that has read something else, and the beginning of this prompt, before.
  auto session = Session::create(*three).value();
  ASSERT_TRUE(session.generate(prompt(*three, "Lily and Ben went out"), options));
  const auto again = session.generate(prompt(*three, "Lily and Tom"), options);
  ASSERT_TRUE(again);
  EXPECT_GT(again->reused_tokens, 0U);
  EXPECT_EQ(again->tokens, expected.tokens);
  options.sampler.seed = 6;
  EXPECT_NE(run(*one, "Lily and Tom", options).tokens, expected.tokens);
}

TEST_F(Stories, ConstrainedTextIsOneOfTheConstraints) {
  const auto engine = open_stories();
  GenerationOptions options;
  options.constraint = Constraint::from_regex(" (one|two) (dogs?|cats?)\\.", engine->tokenizer()).value();
  // The end needs no token that ends a generation, and no run of the model after the last one.
  const Generation chosen = run(*engine, "Lily had", options);
  EXPECT_THAT(chosen.text, testing::MatchesRegex(" (one|two) (dogs?|cats?)\\."));
  EXPECT_EQ(chosen.reason, StopReason::kEnd);
  EXPECT_EQ(engine->tokenizer().decode(chosen.tokens), chosen.text.substr(1));

  options.constraint = Constraint::from_json_schema(R"({"type": "object", "properties": {
      "name": {"type": "string", "maxLength": 8}, "age": {"type": "integer", "minimum": 1, "maximum": 99}},
      "required": ["name", "age"]})",
                                                    engine->tokenizer())
                           .value();
  for (std::uint64_t seed = 0; seed < 10; ++seed) {
    options.sampler = {.temperature = 1.5, .repetition_penalty = 1.2, .seed = seed};
    const Generation person = run(*engine, seed % 2 == 0 ? "Tim" : "", options);
    EXPECT_THAT(person.text, testing::StartsWith("{\"name\":"));
    EXPECT_THAT(person.text, testing::EndsWith("}"));
    EXPECT_EQ(person.reason, StopReason::kEnd);
    EXPECT_EQ(run(*engine, seed % 2 == 0 ? "Tim" : "", options).tokens, person.tokens);
  }
  // A limit cuts it: then it is the beginning of such a text.
  options.max_tokens = 5;
  const Generation cut = run(*engine, "Tim", options);
  EXPECT_EQ(cut.reason, StopReason::kMaxTokens);
  EXPECT_EQ(cut.tokens.size(), 5U);
  // A constraint that allows the end and more leaves it to the model.
  options = {.max_tokens = 30};
  options.constraint = Constraint::from_regex("[^q]*", engine->tokenizer()).value();
  EXPECT_EQ(run(*engine, "Once upon a time", options).text,
            run(*engine, "Once upon a time", {.max_tokens = 30}).text);
}

TEST_F(Stories, StopsAtAStopStringAndLeavesItOut) {
  const auto engine = open_stories();
  const std::string whole = run(*engine, "Once upon a time", {.max_tokens = 60}).text;
  const std::size_t at = whole.find("girl");
  ASSERT_NE(at, std::string::npos) << whole;
  const Generation cut = run(*engine, "Once upon a time", {.stop = {"girl"}, .max_tokens = 60});
  EXPECT_EQ(cut.text, whole.substr(0, at));
  EXPECT_EQ(cut.reason, StopReason::kStopString);
}

TEST_F(Stories, EndsWhereTheContextEnds) {
  const auto engine = open_stories({.config = {.context = 32}});
  const Generation result = run(*engine, "Once upon a time", {});
  EXPECT_EQ(result.reason, StopReason::kContext);
  // The last token is drawn after position 32 was read.
  EXPECT_EQ(result.prompt_tokens + result.tokens.size(), 33U);
  auto session = Session::create(*engine).value();
  const std::vector<Token> text(40, prompt(*engine, "a").back());
  const auto refused = session.generate(text, {});
  ASSERT_FALSE(refused);
  EXPECT_THAT(refused.error().to_string(), HasSubstr("40 tokens, 8 more than the context of 32"));
  const auto cut = session.generate(text, {.max_tokens = 5, .truncate = true});
  ASSERT_TRUE(cut) << cut.error().to_string();
  EXPECT_EQ(cut->prompt_tokens, 28U);
  EXPECT_EQ(cut->cut_tokens, 12U);
  EXPECT_EQ(cut->tokens.size(), 5U);
}

TEST_F(Stories, TheSinkEndsIt) {
  const auto engine = open_stories();
  int pieces = 0;
  const Generation result = run(*engine, "Once upon a time", {.max_tokens = 60},
                                [&](std::string_view piece) { return piece.empty() || ++pieces < 3; });
  EXPECT_EQ(result.reason, StopReason::kInterrupted);
  EXPECT_EQ(result.tokens.size(), 3U);
  EXPECT_EQ(run(*engine, "Once", {.max_tokens = 60}, [](std::string_view) { return false; }).reason,
            StopReason::kInterrupted);
}

TEST_F(Stories, RefusesWhatCannotBeContinued) {
  const auto engine = open_stories();
  auto session = Session::create(*engine).value();
  EXPECT_FALSE(session.generate({}, {}));
  EXPECT_FALSE(session.generate(std::vector<Token>{1, 100000}, {}));
  EXPECT_FALSE(session.generate(std::vector<Token>{1, -5}, {}));
  EXPECT_FALSE(session.generate(std::vector<Token>{1}, {.sampler = {.top_p = 0}}));
  EXPECT_FALSE(Engine::open(stories_path(), {.threads = 1, .config = {.context = 100000}}));
}

TEST_F(Stories, ChoicesHaveTheProbabilityOfTheirTokensStepByStep) {
  const auto engine = open_stories();
  const std::string context = "Once upon a time, there was a little";
  const std::vector<std::string> texts = {" girl", " boy", " dog named Max"};
  std::vector<ScoreRequest> requests;
  for (const std::string& text : texts) requests.push_back(make_request(*engine, context, text).value());
  const Choices choices = choose(*engine, requests, 0.0, 1).value();
  // Another way to the same numbers: the logits after each token, one token at a time.
  KvCache cache = engine->make_cache(64).value();
  const auto forward = engine->make_forward(cache);
  double total = 0;
  std::vector<double> weights;
  for (std::size_t i = 0; i < texts.size(); ++i) {
    const int sequence = cache.open();
    double logprob = 0;
    for (std::size_t t = 0; t + 1 < requests[i].tokens.size(); ++t) {
      Batch batch;
      batch.tokens = {requests[i].tokens[t]};
      batch.segments = {{sequence, 1}};
      batch.logit_rows = {0};
      BatchResult result;
      ASSERT_TRUE(forward->run(batch, result));
      if (static_cast<int>(t) + 1 >= requests[i].first)
        logprob += log_softmax(result.logits)[static_cast<std::size_t>(requests[i].tokens[t + 1])];
    }
    cache.close(sequence);
    EXPECT_NEAR(choices.scores[i].logprob, logprob, 1e-6)
        << texts[i];  // the scoring path sums exponentials of floats
    weights.push_back(std::exp(logprob));
    total += weights.back();
  }
  for (std::size_t i = 0; i < texts.size(); ++i)
    EXPECT_NEAR(choices.probabilities[i], weights[i] / total, 1e-6);
  EXPECT_EQ(choices.chosen, 0U);
}

TEST_F(Stories, ChoicesAreDrawnByTheirProbabilities) {
  const auto engine = open_stories();
  std::vector<ScoreRequest> requests;
  for (const char* text : {" girl", " boy"})
    requests.push_back(make_request(*engine, "Once upon a time, there was a little", text).value());
  constexpr double kTemperature = 2.0;
  constexpr int kDraws = 200;
  const Choices one = choose(*engine, requests, kTemperature, 0).value();
  const double p = one.probabilities[0];
  EXPECT_NEAR(std::log(p / (1 - p)), (one.scores[0].logprob - one.scores[1].logprob) / kTemperature, 1e-9);
  int first = 0;
  for (int seed = 0; seed < kDraws; ++seed)
    first += choose(*engine, requests, kTemperature, static_cast<std::uint64_t>(seed))->chosen == 0 ? 1 : 0;
  // Four standard deviations of a binomial.
  EXPECT_NEAR(first, kDraws * p, 4 * std::sqrt(kDraws * p * (1 - p)));
}

TEST_F(Stories, ContinuationsOfAPromptShareItsTokens) {
  const auto engine = open_stories();
  const std::string prompt_text = "Lily said";
  const auto start = engine->tokenizer().encode(prompt_text, {.parse_special = true});
  for (const char* text : {" hello", "ed", "s", "!", " "}) {
    const ScoreRequest request = continue_prompt(*engine, prompt_text, text).value();
    ASSERT_GT(request.tokens.size(), start.size());
    EXPECT_EQ(static_cast<std::size_t>(request.first), start.size());
    EXPECT_TRUE(std::equal(start.begin(), start.end(), request.tokens.begin()));
  }
  EXPECT_FALSE(continue_prompt(*engine, prompt_text, ""));
}

}  // namespace
}  // namespace agon::llm
