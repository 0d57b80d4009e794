#include "agon/llm/engine/service.h"

#include <fmt/format.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cmath>
#include <thread>

#include "agon/base/random.h"
#include "agon/llm/engine/generation.h"
#include "agon/llm/engine/test_service.h"
#include "agon/llm/engine/test_stories.h"
#include "agon/llm/kernels/kernels.h"
#include "agon/text/utf8.h"

namespace agon::llm {
namespace {

using namespace std::chrono_literals;
using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;

class ServiceTest : public testing::Test {
 protected:
  [[nodiscard]] std::vector<Token> encode(const std::string& text) const {
    return engine_->tokenizer().encode(text);
  }
  [[nodiscard]] bool steps_differ() {
    KvCache cache = engine_->make_cache(16).value();
    return engine_->make_forward(cache)->steps_differ();
  }
  std::unique_ptr<Engine> engine_ = open_stories({.threads = 1});
};

TEST_F(ServiceTest, GeneratesWhatASessionGenerates) {
  const auto service = Service::create(*engine_, {.threaded = false}).value();
  GenerationOptions options;
  options.max_tokens = 60;
  for (const double temperature : {0.0, 0.8}) {
    for (const std::string stop : {"", "girl", " she "}) {
      options.sampler = {.temperature = temperature, .top_p = 0.9, .repetition_penalty = 1.1, .seed = 3};
      options.stop = {stop};
      const Generation expected =
          Session::create(*engine_)->generate(encode("Once upon a time"), options).value();
      const Outcome got = run(*service, {GenerateRequest{.prompt = encode("Once upon a time"),
                                                         .sampler = options.sampler,
                                                         .stop = options.stop,
                                                         .max_tokens = 60}})[0];
      EXPECT_EQ(got.text, expected.text);
      EXPECT_EQ(got.drawn(), expected.tokens);
      EXPECT_EQ(finish_reason_name(got.finished.reason), stop_reason_name(expected.reason));
      EXPECT_EQ(got.finished.usage.prompt_tokens, static_cast<int>(expected.prompt_tokens));
      EXPECT_EQ(got.finished.usage.generated_tokens, static_cast<int>(expected.tokens.size()));
    }
  }
}

TEST_F(ServiceTest, EndsWhereTheContextEnds) {
  const auto service = Service::create(*engine_, {.max_context = 32, .threaded = false}).value();
  const Outcome got = run(*service, {GenerateRequest{.prompt = encode("Once upon a time")}})[0];
  EXPECT_EQ(got.finished.reason, FinishReason::kContext);
  EXPECT_EQ(got.finished.usage.prompt_tokens + got.finished.usage.generated_tokens, 33);
  const Outcome whole =
      run(*service, {GenerateRequest{.prompt = std::vector<Token>(32, 5), .max_tokens = 9}})[0];
  EXPECT_EQ(whole.finished.reason, FinishReason::kContext);
  EXPECT_EQ(whole.finished.usage.generated_tokens, 1);
}

TEST_F(ServiceTest, ScoresAndEmbeddingsAreThoseOfTheirOwnFunctions) {
  const auto service = Service::create(*engine_, {.prompt_budget = 24, .threaded = false}).value();
  const std::string context = "Once upon a time, there was a little girl named Lily. She loved to play";
  std::vector<ScoreRequest> scores;
  for (const char* text : {" outside", " in the park with her friend Tom", "!"})
    scores.push_back(make_request(*engine_, context, text).value());
  std::vector<std::vector<Token>> texts = {encode(context), encode("Tom"), encode("One day, Tom saw a dog.")};
  std::vector<ServiceRequest> requests(scores.begin(), scores.end());
  for (const auto& text : texts) {
    for (const int layer : {-1, 0, 3}) {
      for (const Pooling pooling : {Pooling::kMean, Pooling::kLast})
        requests.emplace_back(EmbedRequest{text, layer, pooling, false});
    }
  }
  const std::vector<Outcome> got = run(*service, requests);
  const std::vector<Score> expected = score(*engine_, scores).value();
  for (std::size_t i = 0; i < scores.size(); ++i) {
    ASSERT_TRUE(got[i].score.has_value());
    EXPECT_EQ(got[i].score->token_logprobs, expected[i].token_logprobs);
    EXPECT_EQ(got[i].score->logprob, expected[i].logprob);
    EXPECT_EQ(got[i].score->is_greedy, expected[i].is_greedy);
    EXPECT_EQ(got[i].score->tokens, expected[i].tokens);
    EXPECT_EQ(got[i].finished.reason, FinishReason::kEnd);
  }
  std::size_t at = scores.size();
  for (const auto& text : texts) {
    for (const int layer : {-1, 0, 3}) {
      for (const Pooling pooling : {Pooling::kMean, Pooling::kLast}) {
        EXPECT_EQ(got[at++].embedding, embed(*engine_, {{text}}, layer, pooling).value()[0]);
      }
    }
  }
}

TEST_F(ServiceTest, TheFinalNormComesBeforePooling) {
  const auto service = Service::create(*engine_, {.prompt_budget = 5, .threaded = false}).value();
  const std::vector<Token> text = encode("Once upon a time, there was a dog.");
  const Embedding got = run(*service, {EmbedRequest{.tokens = text}})[0].embedding;
  const auto width = static_cast<std::size_t>(engine_->config().embedding);
  const Embedding states = embed(*engine_, {{text}}, -1, Pooling::kNone).value()[0];
  std::vector<double> mean(width);
  for (std::size_t token = 0; token < text.size(); ++token) {
    double squares = 0;
    for (std::size_t i = 0; i < width; ++i) squares += std::pow(states[token * width + i], 2);
    const double scale = 1 /
                         std::sqrt(squares / static_cast<double>(width) + engine_->config().norm_epsilon) /
                         static_cast<double>(text.size());
    for (std::size_t i = 0; i < width; ++i) {
      mean[i] += scale * static_cast<double>(states[token * width + i]) *
                 static_cast<double>(engine_->weights().output_norm()[i]);
    }
  }
  ASSERT_EQ(got.size(), width);
  for (std::size_t i = 0; i < width; ++i) EXPECT_NEAR(got[i], mean[i], 1e-5);
}

// Probabilities of an answer's tokens are those that the answer scores with afterwards.
TEST_F(ServiceTest, LogprobsAreThoseOfScoring) {
  const auto service = Service::create(*engine_, {.prompt_budget = 7, .threaded = false}).value();
  const std::vector<Token> prompt = encode("Once upon a time, there was a little girl named Lily");
  const Outcome got = run(*service, {GenerateRequest{.prompt = prompt,
                                                     .sampler = {.temperature = 1.2, .seed = 4},
                                                     .max_tokens = 30,
                                                     .top_logprobs = 5,
                                                     .prompt_logprobs = 3}})[0];
  std::vector<Token> whole = prompt;
  for (const TokenEvent& token : got.tokens) whole.push_back(token.token);
  const Score expected = score(*engine_, {{ScoreRequest{whole, 1}}}).value()[0];
  ASSERT_EQ(got.prompt.tokens.size(), prompt.size());
  EXPECT_FALSE(got.prompt.tokens[0].logprob.has_value());
  for (std::size_t i = 1; i < prompt.size(); ++i) {
    const PromptToken& token = got.prompt.tokens[i];
    EXPECT_EQ(token.token, prompt[i]);
    EXPECT_EQ(token.logprob, expected.token_logprobs[i - 1]);
    ASSERT_EQ(token.top.size(), 3U);
    EXPECT_GE(token.top[0].logprob, token.top[1].logprob);
    EXPECT_GE(token.top[1].logprob, token.top[2].logprob);
    EXPECT_EQ(token.is_greedy, token.top[0].token == token.token);
    if (token.is_greedy) {
      EXPECT_EQ(token.top[0].logprob, *token.logprob);
    }
  }
  for (std::size_t i = 0; i < got.tokens.size(); ++i) {
    // What was drawn may be computed otherwise than what is read, but for what follows the prompt.
    const double scored = expected.token_logprobs[prompt.size() - 1 + i];
    if (i == 0 || !steps_differ()) {
      EXPECT_EQ(got.tokens[i].logprob, scored);
    } else {
      EXPECT_NEAR(got.tokens[i].logprob, scored, 0.1);
    }
    ASSERT_EQ(got.tokens[i].top.size(), 5U);
    for (const TokenLogprob& other : got.tokens[i].top) {
      if (other.token == got.tokens[i].token) {
        EXPECT_EQ(other.logprob, got.tokens[i].logprob);
      }
    }
  }
}

// Without log-probabilities of its tokens a greedy answer asks for the best token alone, beside others that
// need all logits and in the company of the prompt's own alternatives.
TEST_F(ServiceTest, GreedyAnswersAreTheSameWhateverIsToldOfThem) {
  const auto service = Service::create(*engine_, {.prompt_budget = 16, .threaded = false}).value();
  const std::vector<Token> prompt = encode("Once upon a time, there was a little girl named Lily");
  GenerateRequest plain{.prompt = prompt, .max_tokens = 40};
  GenerateRequest told = plain;
  told.top_logprobs = 0;
  GenerateRequest asked = plain;
  asked.prompt_logprobs = 4;
  GenerateRequest drawn = plain;
  drawn.sampler = {.temperature = 1, .seed = 4};
  const std::vector<Outcome> got = run(*service, {plain, told, drawn, asked, plain});
  EXPECT_EQ(got[0].tokens.size(), 40U);
  for (const std::size_t i : {1, 3, 4}) EXPECT_EQ(got[i].drawn(), got[0].drawn()) << i;
  EXPECT_NE(got[2].drawn(), got[0].drawn());
}

// Alone a greedy answer reads guesses along, which are the text's own tokens or leave no trace.
TEST_F(ServiceTest, GuessedTokensChangeNothingButTheTime) {
  const std::string lines =
      "Tom has a red ball. Lily has a blue ball. Tom has a red ball. Lily has a blue ball. Tom has";
  const auto service = Service::create(*engine_, {.threaded = false}).value();
  std::uint64_t before = 0;
  for (const int most : {1, 2, 3, 60}) {
    for (const std::string stop : {"", "ball", ". L"}) {
      const GenerateRequest greedy{.prompt = encode(lines), .stop = {stop}, .max_tokens = most};
      GenerateRequest slow = greedy;
      slow.sampler.logit_bias = {{.token = 5, .bias = 0}};
      const Outcome expected = run(*service, {slow})[0];
      before = service->stats().steps;
      const Outcome got = run(*service, {greedy})[0];
      EXPECT_EQ(got.drawn(), expected.drawn());
      EXPECT_EQ(got.text, expected.text);
      EXPECT_EQ(got.finished.reason, expected.finished.reason);
      EXPECT_EQ(got.finished.usage.generated_tokens, expected.finished.usage.generated_tokens);
      if (most == 60 && stop.empty()) {
        EXPECT_LT(service->stats().steps - before, 60U);
      }
      // Two at once, and what a prompt that goes on from the answer finds in the cache.
      for (const Outcome& one : run(*service, {greedy, greedy})) EXPECT_EQ(one.drawn(), expected.drawn());
      std::vector<Token> more = encode(lines);
      for (const Token token : expected.drawn()) more.push_back(token);
      GenerateRequest next{.prompt = more, .max_tokens = 12, .prompt_logprobs = 0};
      const auto fresh = Service::create(*engine_, {.threaded = false}).value();
      const Outcome again = run(*service, {next})[0], anew = run(*fresh, {next})[0];
      EXPECT_EQ(again.drawn(), anew.drawn());
    }
  }
}

TEST_F(ServiceTest, PromptLogprobsAreTheSameWithOneAlternativeOrManyAndFromTheCache) {
  const auto service = Service::create(*engine_, {.threaded = false}).value();
  GenerateRequest request{.prompt = encode("Once upon a time, there was a little girl named Lily. She"),
                          .max_tokens = 0,
                          .prompt_logprobs = 20};
  const Outcome many = run(*service, {request})[0];
  request.prompt_logprobs = 1;
  const Outcome one = run(*service, {request})[0];
  request.prompt_logprobs = 0;
  const Outcome none = run(*service, {request})[0];
  EXPECT_EQ(many.finished.reason, FinishReason::kLength);
  EXPECT_EQ(many.finished.usage.generated_tokens, 0);
  EXPECT_EQ(many.finished.usage.cached_tokens, 0);
  // All but the row that is read anew.
  EXPECT_EQ(one.finished.usage.cached_tokens, static_cast<int>(request.prompt.size()) - 1);
  for (std::size_t i = 1; i < request.prompt.size(); ++i) {
    EXPECT_EQ(many.prompt.tokens[i].logprob, one.prompt.tokens[i].logprob);
    EXPECT_EQ(many.prompt.tokens[i].logprob, none.prompt.tokens[i].logprob);
    EXPECT_EQ(many.prompt.tokens[i].is_greedy, one.prompt.tokens[i].is_greedy);
    ASSERT_EQ(one.prompt.tokens[i].top.size(), 1U);
    EXPECT_EQ(one.prompt.tokens[i].top[0].token, many.prompt.tokens[i].top[0].token);
    EXPECT_EQ(one.prompt.tokens[i].top[0].logprob, many.prompt.tokens[i].top[0].logprob);
    EXPECT_THAT(none.prompt.tokens[i].top, IsEmpty());
  }
}

TEST_F(ServiceTest, ASharedPrefixIsReadOnce) {
  const std::vector<Token> prefix = story_tokens(*engine_, 200);
  for (const bool same_moment : {true, false}) {
    const auto service = Service::create(*engine_, {.prompt_budget = 64, .threaded = false}).value();
    std::vector<Ticket> tickets;
    int tails = 0;
    for (int i = 0; i < 16; ++i) {
      std::vector<Token> prompt = prefix;
      for (int j = 0; j <= i % 4; ++j) prompt.push_back(300 + i);
      tails += i % 4 + 1;
      tickets.push_back(
          service->submit({std::to_string(i % 3), {GenerateRequest{.prompt = prompt, .max_tokens = 3}}})
              .value());
      while (!same_moment && service->step()) {
      }
    }
    while (service->step()) {
    }
    const ServiceStats stats = service->stats();
    EXPECT_EQ(stats.computed_tokens, static_cast<std::uint64_t>(200 + tails));
    EXPECT_EQ(stats.cached_tokens, 15U * 200);
    EXPECT_EQ(stats.prompt_tokens, static_cast<std::uint64_t>(16 * 200 + tails));
    EXPECT_EQ(stats.finished[static_cast<std::size_t>(FinishReason::kLength)], 16U);
  }
}

TEST_F(ServiceTest, ChoicesOfOnePromptReadItOnce) {
  const auto service = Service::create(*engine_, {.prompt_budget = 32, .threaded = false}).value();
  std::vector<ServiceRequest> requests;
  for (std::uint64_t seed = 0; seed < 5; ++seed) {
    requests.emplace_back(GenerateRequest{.prompt = story_tokens(*engine_, 100),
                                          .sampler = {.temperature = 1, .seed = seed},
                                          .max_tokens = 12});
  }
  const std::vector<Outcome> together = run(*service, requests);
  // The last token of each is read, for its logits.
  EXPECT_EQ(service->stats().computed_tokens, 100U + 4);
  for (std::size_t i = 0; i < requests.size(); ++i) {
    const auto alone = Service::create(*engine_, {.threaded = false}).value();
    EXPECT_EQ(run(*alone, {requests[i]})[0].bytes(), together[i].bytes());
  }
  EXPECT_NE(together[0].text, together[1].text);
}

TEST_F(ServiceTest, AContextOfManyContinuationsIsScoredOnce) {
  const auto service = Service::create(*engine_, {.prompt_budget = 32, .threaded = false}).value();
  const std::vector<Token> context = story_tokens(*engine_, 150);
  // As evaluation harnesses ask: the whole prompt with log-probabilities, several answers to each question.
  std::vector<ServiceRequest> requests;
  for (int i = 0; i < 4; ++i) {
    std::vector<Token> prompt = context;
    for (int j = 0; j < 3; ++j) prompt.push_back(100 + 7 * i + j);
    requests.emplace_back(GenerateRequest{.prompt = prompt, .max_tokens = 1, .prompt_logprobs = 1});
  }
  const std::vector<Outcome> together = run(*service, requests);
  // What comes after the context's last token has to be asked of that token.
  EXPECT_EQ(service->stats().computed_tokens, 153U + 3 * 4);
  for (std::size_t i = 0; i < requests.size(); ++i) {
    const auto alone = Service::create(*engine_, {.threaded = false}).value();
    EXPECT_EQ(run(*alone, {requests[i]})[0].bytes(), together[i].bytes());
  }
}

TEST_F(ServiceTest, ACancelledRequestIsGoneAtTheNextStep) {
  const auto service = Service::create(*engine_, {.slots = 1, .threaded = false}).value();
  auto first =
      service->submit({"a", {GenerateRequest{.prompt = encode("Once"), .ignore_end = true}}}).value();
  auto second = service->submit({"b", {GenerateRequest{.prompt = encode("Lily"), .max_tokens = 2}}}).value();
  for (int i = 0; i < 5; ++i) EXPECT_TRUE(service->step());
  EXPECT_EQ(service->stats().running, 1);
  EXPECT_EQ(service->stats().queued, 1);
  first.cancel();
  EXPECT_TRUE(service->step());  // frees the slot, and already runs the other
  EXPECT_EQ(service->stats().queued, 0);
  EXPECT_TRUE(service->step());
  EXPECT_FALSE(service->step());
  const Outcome cancelled = read_all(first, 1)[0];
  EXPECT_EQ(cancelled.finished.reason, FinishReason::kCancelled);
  EXPECT_EQ(cancelled.tokens.size(), 5U);
  EXPECT_EQ(read_all(second, 1)[0].finished.reason, FinishReason::kLength);
  // Destroying a ticket is the same, and a request that waits is dropped too.
  {
    auto lost =
        service->submit({"a", {GenerateRequest{.prompt = encode("Once"), .ignore_end = true}}}).value();
    auto waits = service->submit({"a", {GenerateRequest{.prompt = encode("Tom")}}}).value();
    EXPECT_TRUE(service->step());
  }
  EXPECT_FALSE(service->step());
  const ServiceStats stats = service->stats();
  EXPECT_EQ(stats.running + stats.queued + stats.queued_submissions, 0);
  EXPECT_EQ(stats.finished[static_cast<std::size_t>(FinishReason::kCancelled)], 3U);
  EXPECT_EQ(stats.cache_pages_used, stats.cache_pages_kept);
}

TEST_F(ServiceTest, OneOfSeveralRequestsIsCancelled) {
  const auto service = Service::create(*engine_, {.threaded = false}).value();
  auto ticket = service->submit({"a",
                                 {GenerateRequest{.prompt = encode("Once"), .max_tokens = 9},
                                  GenerateRequest{.prompt = encode("Lily"), .max_tokens = 9}}});
  EXPECT_TRUE(service->step());
  ticket->cancel(1);
  while (service->step()) {
  }
  const std::vector<Outcome> got = read_all(*ticket, 2);
  EXPECT_EQ(got[0].finished.reason, FinishReason::kLength);
  EXPECT_EQ(got[1].finished.reason, FinishReason::kCancelled);
  EXPECT_TRUE(ticket->finished());
}

TEST_F(ServiceTest, AFullQueueRefuses) {
  const auto service = Service::create(*engine_, {.slots = 2, .max_queue = 3, .threaded = false}).value();
  const GenerateRequest request{.prompt = encode("Once"), .max_tokens = 4};
  std::vector<Ticket> tickets;
  for (int i = 0; i < 3; ++i) tickets.push_back(service->submit({"a", {request, request}}).value());
  const auto refused = service->submit({"a", {request}});
  ASSERT_FALSE(refused);
  EXPECT_EQ(refused.error().kind, Refusal::Kind::kQueueFull);
  EXPECT_GE(refused.error().retry_after, 1);
  EXPECT_EQ(service->stats().queued_submissions, 3);
  EXPECT_TRUE(service->step());  // the first submission runs
  EXPECT_EQ(service->stats().queued_submissions, 2);
  tickets.push_back(service->submit({"a", {request}}).value());
  EXPECT_FALSE(service->submit({"a", {request}}));
  while (service->step()) {
  }
  EXPECT_EQ(service->stats().queued_submissions, 0);
  EXPECT_EQ(service->stats().refused_full, 2U);
  EXPECT_EQ(service->stats().requests, 7U);
}

TEST_F(ServiceTest, AClientThatFillsTheQueueLeavesRoomForOthers) {
  const auto service = Service::create(*engine_, {.slots = 1, .max_queue = 8, .threaded = false}).value();
  const GenerateRequest request{.prompt = encode("Once"), .max_tokens = 2};
  std::vector<Ticket> tickets;
  const auto take = [&](const std::string& client) {
    auto ticket = service->submit({client, {request}});
    if (ticket) tickets.push_back(std::move(*ticket));
    return ticket.has_value();
  };
  for (int i = 0; i < 6; ++i) EXPECT_TRUE(take("greedy"));
  EXPECT_FALSE(take("greedy"));
  EXPECT_TRUE(take("other"));
  EXPECT_TRUE(take("other"));
  EXPECT_FALSE(take("third"));  // now it is full
  while (service->step()) {
  }
  for (int i = 0; i < 6; ++i) EXPECT_TRUE(take("greedy"));
  EXPECT_FALSE(take("greedy"));
}

TEST_F(ServiceTest, AQueueIsFullOfLongTextsToo) {
  // 400 tokens take some 6 KB while they wait.
  const auto service =
      Service::create(*engine_, {.slots = 1, .max_queue_bytes = 15'000, .threaded = false}).value();
  const GenerateRequest request{.prompt = std::vector<Token>(400, 5), .max_tokens = 1};
  const std::vector<ServiceRequest> four(4, request);
  std::vector<Ticket> tickets;
  tickets.push_back(service->submit({"a", four}).value());  // nothing waits: taken however long
  const auto refused = service->submit({"a", {request}});
  ASSERT_FALSE(refused);
  EXPECT_EQ(refused.error().kind, Refusal::Kind::kQueueFull);
  EXPECT_THAT(refused.error().error.to_string(), HasSubstr("with long texts"));
  while (service->step()) {
  }
  tickets.push_back(service->submit({"a", {request}}).value());
  tickets.push_back(service->submit({"a", {request}}).value());
  EXPECT_FALSE(service->submit({"a", {request}}));
  tickets.clear();  // cancelled: their room is there again
  while (service->step()) {
  }
  tickets.push_back(service->submit({"a", {request}}).value());
  tickets.push_back(service->submit({"a", {request}}).value());
}

TEST_F(ServiceTest, ClientsTakeTurns) {
  const auto service = Service::create(*engine_, {.slots = 1, .threaded = false}).value();
  std::vector<std::pair<std::string, Ticket>> tickets;
  const auto ask = [&](const std::string& client, int count) {
    for (int i = 0; i < count; ++i) {
      tickets.emplace_back(
          client,
          service->submit({client, {GenerateRequest{.prompt = encode(client + " said"), .max_tokens = 1}}})
              .value());
    }
  };
  ask("Tom", 4);
  ask("Lily", 2);
  ask("Ben", 1);
  std::vector<std::string> order;
  while (service->step()) {
    for (auto& [client, ticket] : tickets) {
      while (!ticket.finished()) {
        const auto event = ticket.next(0ms);
        if (!event) break;
        if (std::holds_alternative<Finished>(event->what)) order.push_back(client);
      }
    }
  }
  EXPECT_THAT(order, ElementsAre("Tom", "Lily", "Ben", "Tom", "Lily", "Tom", "Tom"));
}

TEST_F(ServiceTest, ALongPromptStallsNobody) {
  const auto service = Service::create(*engine_, {.prompt_budget = 32, .threaded = false}).value();
  auto talks =
      service
          ->submit(
              {"a",
               {GenerateRequest{.prompt = encode("Once upon a time"), .max_tokens = 40, .ignore_end = true}}})
          .value();
  service->step();
  auto reads =
      service->submit({"b", {GenerateRequest{.prompt = story_tokens(*engine_, 400), .max_tokens = 1}}})
          .value();
  service->step();
  auto asks = service->submit({"c", {GenerateRequest{.prompt = encode("Lily"), .max_tokens = 1}}}).value();
  int steps = 2;
  int asks_done = 0, reads_done = 0;
  while (service->step()) {
    ++steps;
    if (!asks.finished() && asks.next(0ms) && asks_done == 0) asks_done = steps;
    if (!reads.finished() && reads.next(0ms) && reads_done == 0) reads_done = steps;
  }
  // One token for each step, and the short prompt is read beside the long one.
  EXPECT_EQ(steps, 40);
  EXPECT_EQ(asks_done, 3);
  EXPECT_GE(reads_done, 1 + 400 / 32);
  EXPECT_LE(reads_done, 4 + 400 / 32);
  EXPECT_EQ(read_all(talks, 1)[0].tokens.size(), 40U);
}

TEST_F(ServiceTest, AClientsShortPromptPassesItsLongOneAndEqualOnesGoOneByOne) {
  const auto service = Service::create(*engine_, {.prompt_budget = 32, .threaded = false}).value();
  std::vector<Ticket> tickets;
  for (const int size : {400, 20, 200, 200}) {
    std::vector<Token> prompt = story_tokens(*engine_, static_cast<std::size_t>(size));
    prompt[0] = static_cast<Token>(300 + tickets.size());  // nothing in common
    tickets.push_back(service->submit({"a", {GenerateRequest{.prompt = prompt, .max_tokens = 1}}}).value());
  }
  std::vector<int> done(tickets.size());
  for (int steps = 1; service->step(); ++steps) {
    for (std::size_t i = 0; i < tickets.size(); ++i) {
      if (done[i] == 0 && tickets[i].next(0ms)) done[i] = steps;
    }
  }
  EXPECT_EQ(done[1], 2);  // half of the budget
  EXPECT_LE(done[2], 3 + 200 / 16);
  EXPECT_GE(done[3], done[2] + 5);  // all of one before any of the other
  EXPECT_LE(done[0], 1 + 400 / 16);
}

TEST_F(ServiceTest, AnswersFollowTheirConstraint) {
  const auto service = Service::create(*engine_, {.threaded = false}).value();
  const auto digits = Constraint::from_regex("[0-9]{3}-[a-c]+", engine_->tokenizer()).value();
  const auto choice =
      Constraint::from_choices(std::vector<std::string>{"yes", "no"}, engine_->tokenizer()).value();
  std::vector<ServiceRequest> requests;
  for (std::uint64_t seed = 0; seed < 6; ++seed) {
    requests.emplace_back(GenerateRequest{.prompt = encode("Lily said"),
                                          .sampler = {.temperature = 1, .seed = seed},
                                          .max_tokens = 20,
                                          .ignore_end = seed % 2 == 1,
                                          .top_logprobs = 1,
                                          .constraint = seed < 3 ? digits : choice});
  }
  const std::vector<Outcome> got = run(*service, requests);
  for (std::size_t i = 0; i < 3; ++i)
    EXPECT_THAT(got[i].text, testing::MatchesRegex("[0-9][0-9][0-9]-[a-c]*")) << i;
  for (std::size_t i = 3; i < 6; ++i) {
    EXPECT_TRUE(got[i].text == "yes" || got[i].text == "no") << got[i].text;
    EXPECT_EQ(got[i].finished.reason, FinishReason::kEnd);
    // Of the distribution without the constraint.
    EXPECT_LE(got[i].tokens[0].logprob, got[i].tokens[0].top[0].logprob);
  }
  for (std::size_t i = 0; i < requests.size(); ++i) {
    const auto alone = Service::create(*engine_, {.threaded = false}).value();
    EXPECT_EQ(run(*alone, {requests[i]})[0].bytes(), got[i].bytes());
  }
}

TEST_F(ServiceTest, TextsAreWholeCharacters) {
  const auto service = Service::create(*engine_, {.threaded = false}).value();
  // Tokens of single bytes, drawn at random: some are characters, some are none.
  for (std::uint64_t seed = 0; seed < 5; ++seed) {
    GenerateRequest request{
        .prompt = encode("Tom"), .sampler = {.temperature = 1, .seed = seed}, .max_tokens = 60};
    for (Token token = 3 + 0xC0; token < 3 + 0xE8; ++token) request.sampler.logit_bias.push_back({token, 20});
    for (Token token = 3 + 0x80; token < 3 + 0xC0; ++token) request.sampler.logit_bias.push_back({token, 20});
    request.stop = {"\u20ac"};
    const Outcome got = run(*service, {request})[0];
    std::string bytes;
    for (const TokenEvent& token : got.tokens) {
      EXPECT_TRUE(is_valid_utf8(token.text));
      bytes += engine_->tokenizer().piece(token.token);
    }
    EXPECT_FALSE(is_valid_utf8(bytes));
    repair_utf8(bytes);
    EXPECT_EQ(got.text, bytes);
  }
}

TEST_F(ServiceTest, ATinyCacheEvictsAndSendsBackButChangesNothing) {
  // Room for one whole context; eight requests want far more.
  const auto service =
      Service::create(*engine_, {.slots = 8, .cache_tokens = 512, .prompt_budget = 48, .threaded = false})
          .value();
  std::vector<ServiceRequest> requests;
  Random random(5);
  for (int i = 0; i < 24; ++i) {
    const auto length = static_cast<std::size_t>(20 + random.below(150));
    std::vector<Token> tokens = story_tokens(*engine_, length);
    if (i % 3 == 1) tokens[i % 7] = 40;
    if (i % 6 == 5) {
      requests.emplace_back(ScoreRequest{tokens, static_cast<int>(length / 2)});
    } else if (i % 6 == 4) {
      requests.emplace_back(EmbedRequest{.tokens = tokens});
    } else {
      requests.emplace_back(GenerateRequest{.prompt = tokens,
                                            .sampler = {.temperature = 1, .seed = 9},
                                            .max_tokens = 20 + static_cast<int>(random.below(200)),
                                            .ignore_end = true,
                                            .top_logprobs = 2,
                                            .prompt_logprobs = i % 4 - 1});
    }
  }
  const std::vector<Outcome> together = run(*service, requests);
  EXPECT_GT(service->stats().preemptions, 0U);
  for (std::size_t i = 0; i < requests.size(); ++i) {
    const auto alone = Service::create(*engine_, {.threaded = false}).value();
    EXPECT_EQ(run(*alone, {requests[i]})[0].bytes(), together[i].bytes()) << i;
  }
}

TEST_F(ServiceTest, OneRequestMayFillTheWholeCache) {
  const auto service = Service::create(*engine_, {.cache_tokens = 64, .threaded = false}).value();
  EXPECT_EQ(service->max_context(), 64);
  for (int i = 0; i < 3; ++i) {
    std::vector<Token> prompt = story_tokens(*engine_, 30);
    prompt[20] = 100 + i;
    const std::vector<Outcome> got = run(*service, {GenerateRequest{.prompt = prompt, .ignore_end = true},
                                                    GenerateRequest{.prompt = prompt, .max_tokens = 3}});
    EXPECT_EQ(got[0].finished.usage.generated_tokens, 35);
    EXPECT_EQ(got[0].finished.reason, FinishReason::kContext);
    EXPECT_EQ(got[1].finished.reason, FinishReason::kLength);
  }
}

TEST_F(ServiceTest, BoundsTheLogProbabilitiesOfPromptsInOneSubmission) {
  const auto service = Service::create(*engine_, {.threaded = false}).value();
  const GenerateRequest request{
      .prompt = std::vector<Token>(512, 5), .max_tokens = 0, .prompt_logprobs = kMaxTopLogprobs};
  const std::size_t most = kMaxPromptLogprobs / (512 * (kMaxTopLogprobs + 1));
  EXPECT_TRUE(service->submit({"a", std::vector<ServiceRequest>(most, request)}));
  const auto refused = service->submit({"a", std::vector<ServiceRequest>(most + 1, request)});
  ASSERT_FALSE(refused);
  EXPECT_EQ(refused.error().option, "logprobs");
  EXPECT_THAT(refused.error().error.to_string(), HasSubstr("log-probabilities of prompt tokens"));
}

// The last page is that of a kept prefix, of which there is no room for a copy: the prefix has to go instead.
TEST_F(ServiceTest, APromptThatFillsTheWholeCacheMayComeAgain) {
  const auto service = Service::create(*engine_, {.cache_tokens = 64, .threaded = false}).value();
  const std::vector<Token> prompt = story_tokens(*engine_, 60);
  std::vector<Token> first;
  for (int i = 0; i < 3; ++i) {
    const std::vector<Outcome> got = run(*service, {GenerateRequest{.prompt = prompt, .max_tokens = 1}});
    EXPECT_EQ(got[0].finished.reason, FinishReason::kLength);
    if (i == 0) first = got[0].drawn();
    EXPECT_EQ(got[0].drawn(), first);
    EXPECT_EQ(got[0].finished.usage.cached_tokens, i == 0 ? 0 : 59);
  }
}

TEST_F(ServiceTest, RefusesWhatIsWrong) {
  const auto service = Service::create(*engine_, {.max_requests = 3, .threaded = false}).value();
  const auto says = [&](std::vector<ServiceRequest> requests) {
    const auto ticket = service->submit({"a", std::move(requests)});
    return ticket ? std::string() : ticket.error().error.to_string();
  };
  const std::vector<Token> prompt = encode("Once");
  EXPECT_THAT(says({}), HasSubstr("without a request"));
  EXPECT_THAT(says(std::vector<ServiceRequest>(4, GenerateRequest{.prompt = prompt})),
              HasSubstr("4 requests"));
  EXPECT_THAT(says({GenerateRequest{}}), HasSubstr("the prompt is empty"));
  EXPECT_THAT(says({GenerateRequest{.prompt = {1, 512}}}), HasSubstr("512 is no token"));
  EXPECT_THAT(says({GenerateRequest{.prompt = {-1}}}), HasSubstr("-1 is no token"));
  EXPECT_THAT(says({GenerateRequest{.prompt = std::vector<Token>(600, 5)}}),
              HasSubstr("the prompt has 600 tokens, 88 more than the context of 512"));
  EXPECT_THAT(says({GenerateRequest{.prompt = prompt, .sampler = {.top_p = 2}}}), HasSubstr("top-p"));
  EXPECT_THAT(says({GenerateRequest{.prompt = prompt, .sampler = {.logit_bias = {{600, 1}}}}}),
              HasSubstr("600 is no token"));
  const auto refused = service->submit(
      {"a", {GenerateRequest{.prompt = prompt, .sampler = {.logit_bias = std::vector<LogitBias>(1025)}}}});
  EXPECT_EQ(refused.error().option, "logit_bias");
  EXPECT_THAT(says({GenerateRequest{.prompt = prompt, .top_logprobs = 21}}), HasSubstr("0 to 20"));
  EXPECT_THAT(says({GenerateRequest{.prompt = prompt, .prompt_logprobs = -2}}), HasSubstr("0 to 20"));
  EXPECT_THAT(says({GenerateRequest{.prompt = prompt, .max_tokens = -1}}), HasSubstr("max_tokens"));
  EXPECT_THAT(says({GenerateRequest{.prompt = prompt, .stop = std::vector<std::string>(65, "a")}}),
              HasSubstr("65 stop strings"));
  EXPECT_THAT(says({GenerateRequest{.prompt = prompt, .stop = {std::string(5000, 'a')}}}),
              HasSubstr("5000 bytes"));
  EXPECT_THAT(says({ScoreRequest{prompt, 0}}), HasSubstr("a continuation needs"));
  EXPECT_THAT(says({ScoreRequest{{1}, 1}}), HasSubstr("a continuation needs"));
  EXPECT_THAT(says({EmbedRequest{.tokens = prompt, .layer = 9}}), HasSubstr("no layer 9"));
  EXPECT_THAT(says({EmbedRequest{.tokens = prompt, .pooling = Pooling::kNone}}), HasSubstr("pooled"));
  const auto second = service->submit({"a", {ScoreRequest{prompt, 1}, EmbedRequest{}}});
  ASSERT_FALSE(second);
  EXPECT_EQ(second.error().request, 1U);
  EXPECT_FALSE(service->step());
  // A text that is scored may be one token longer than the context: its last token is not read.
  EXPECT_EQ(says({ScoreRequest{std::vector<Token>(513, 5), 500}}), "");
}

TEST_F(ServiceTest, DrainingFinishesWhatRuns) {
  const auto service = Service::create(*engine_).value();
  auto ticket = service->submit({"a", {GenerateRequest{.prompt = encode("Once"), .max_tokens = 50}}}).value();
  service->drain();
  const auto refused = service->submit({"a", {GenerateRequest{.prompt = encode("Once")}}});
  ASSERT_FALSE(refused);
  EXPECT_EQ(refused.error().kind, Refusal::Kind::kDraining);
  EXPECT_TRUE(service->wait_idle(60s));
  EXPECT_TRUE(service->stats().draining);
  const Outcome got = read_all(ticket, 1)[0];
  EXPECT_EQ(got.finished.reason, FinishReason::kLength);
}

TEST_F(ServiceTest, DestroyingItCancels) {
  auto service = Service::create(*engine_, {.slots = 1}).value();
  auto runs =
      service->submit({"a", {GenerateRequest{.prompt = story_tokens(*engine_, 100), .ignore_end = true}}})
          .value();
  auto waits = service->submit({"a", {GenerateRequest{.prompt = encode("Tom")}}}).value();
  ASSERT_TRUE(runs.next(60s).has_value());
  service.reset();
  // The one that ran may have come to its end before.
  EXPECT_EQ(read_all(waits, 1)[0].finished.reason, FinishReason::kCancelled);
  read_all(runs, 1);
  EXPECT_TRUE(runs.finished());
  EXPECT_FALSE(runs.next(0ms).has_value());
}

}  // namespace
}  // namespace agon::llm
