// Random requests from many threads at once, against the same requests alone.
#include <gtest/gtest.h>

#include <algorithm>
#include <map>
#include <mutex>
#include <thread>

#include "agon/base/random.h"
#include "agon/llm/engine/service.h"
#include "agon/llm/engine/test_service.h"
#include "agon/llm/engine/test_stories.h"

namespace agon::llm {
namespace {

using namespace std::chrono_literals;

constexpr int kContext = 400;

// Prompts that share beginnings with others, and every kind of request with every option.
ServiceRequest random_request(const Engine& engine, Random& random) {
  const auto chance = [&](std::uint64_t of) { return random.below(of) == 0; };
  std::vector<Token> tokens = story_tokens(engine, 2 + random.below(chance(4) ? 300 : 60));
  if (!chance(3)) tokens[random.below(tokens.size())] = static_cast<Token>(40 + random.below(4));
  if (chance(5)) return ScoreRequest{tokens, static_cast<int>(1 + random.below(tokens.size() - 1))};
  if (chance(6)) {
    return EmbedRequest{.tokens = tokens,
                        .layer = static_cast<int>(random.below(7)) - 1,
                        .pooling = chance(2) ? Pooling::kMean : Pooling::kLast,
                        .final_norm = chance(2)};
  }
  GenerateRequest request{.prompt = tokens};
  request.max_tokens = static_cast<int>(random.below(chance(8) ? 250 : 30));
  request.ignore_end = chance(2);
  request.top_logprobs = static_cast<int>(random.below(6)) - 1;
  request.prompt_logprobs = chance(2) ? -1 : static_cast<int>(random.below(4)) - 1;
  SamplerOptions& sampler = request.sampler;
  sampler.seed = random.below(1000);
  if (!chance(4)) sampler.temperature = 0.5 + random.uniform();
  if (chance(3)) sampler.top_p = 0.8;
  if (chance(3)) sampler.top_k = 20;
  if (chance(3)) sampler.min_p = 0.05;
  if (chance(3)) sampler.repetition_penalty = 1.2;
  if (chance(3)) sampler.frequency_penalty = 0.7;
  if (chance(3)) sampler.presence_penalty = -0.4;
  if (chance(3)) sampler.logit_bias = {{300, 4.0}, {301, -100}};
  if (chance(4)) {  // what may be guessed ahead
    sampler = {};
    request.top_logprobs = -1;
  }
  if (chance(4)) request.stop = {"e t", "."};
  return request;
}

struct Load {
  std::vector<ServiceRequest> requests;
  std::vector<std::string> alone;  // what each gives with nothing beside it and nothing kept
};

Load make_load(Engine& engine, int count, std::uint64_t seed) {
  Load load;
  Random random(seed);
  for (int i = 0; i < count; ++i) {
    load.requests.push_back(random_request(engine, random));
    const auto service =
        Service::create(engine, {.cache_tokens = kContext, .max_context = kContext, .threaded = false})
            .value();
    load.alone.push_back(run(*service, {load.requests.back()})[0].bytes());
  }
  return load;
}

TEST(ServiceRandom, TwoHundredRequestsFromEightThreads) {
  const auto engine = open_stories();
  constexpr int kThreads = 8, kEach = 25;
  const Load load = make_load(*open_stories({.threads = 1}), kThreads * kEach, 1);
  // Few slots and a cache that is too small: everything that can happen happens.
  const auto service =
      Service::create(*engine,
                      {.slots = 6, .cache_tokens = 400, .prompt_budget = 40, .max_context = kContext})
          .value();
  std::vector<std::thread> threads;
  std::vector<std::string> got(load.requests.size());
  for (int t = 0; t < kThreads; ++t) {
    threads.emplace_back([&, t] {
      Random random(static_cast<std::uint64_t>(100 + t));
      for (int i = 0; i < kEach;) {
        // Some in groups, some one by one; now and then one that is thrown away.
        const int group = std::min(kEach - i, 1 + static_cast<int>(random.below(4)));
        const auto first = load.requests.begin() + t * kEach + i;
        Submission submission{std::to_string(t % 3), {first, first + group}};
        auto ticket = service->submit(submission);
        ASSERT_TRUE(ticket.has_value());
        if (random.below(4) == 0) {
          auto lost = service->submit({"lost", {*first}});
          if (random.below(2) == 0) static_cast<void>(lost->next(0ms));
        }
        const std::vector<Outcome> outcomes = read_all(*ticket, static_cast<std::size_t>(group));
        for (int j = 0; j < group; ++j)
          got[static_cast<std::size_t>(t * kEach + i + j)] = outcomes[static_cast<std::size_t>(j)].bytes();
        i += group;
      }
    });
  }
  for (std::thread& thread : threads) thread.join();
  for (std::size_t i = 0; i < got.size(); ++i) EXPECT_EQ(got[i], load.alone[i]) << i;
  EXPECT_TRUE(service->wait_idle(60s));
  const ServiceStats stats = service->stats();
  EXPECT_EQ(stats.running + stats.queued + stats.queued_submissions, 0);
  std::uint64_t finished = 0;
  for (const std::uint64_t count : stats.finished) finished += count;
  EXPECT_EQ(finished, stats.requests);
  EXPECT_EQ(stats.finished[static_cast<std::size_t>(FinishReason::kError)], 0U);
  // Only kept prefixes hold pages, each a page of its own.
  EXPECT_EQ(stats.cache_pages_used, stats.cache_pages_kept);
  EXPECT_GT(stats.cached_tokens, 0U);
}

// Arrivals, cancellations and sizes drawn at random, step by step, so that a failure comes again.
TEST(ServiceRandom, AnyMixOnAnyCacheGivesTheSameBytes) {
  const auto engine = open_stories({.threads = 1});
  const Load load = make_load(*engine, 60, 2);
  std::uint64_t preemptions = 0;
  for (std::uint64_t seed = 0; seed < 8; ++seed) {
    SCOPED_TRACE(seed);
    Random random(seed);
    const auto service =
        Service::create(*engine, {.slots = 1 + static_cast<int>(random.below(12)),
                                  .cache_tokens = kContext + static_cast<int>(random.below(500)),
                                  .prompt_budget = 1 + static_cast<int>(random.below(100)),
                                  .max_context = kContext,
                                  .threaded = false})
            .value();
    std::vector<std::pair<std::size_t, Ticket>> tickets;
    std::vector<std::size_t> order(load.requests.size());
    for (std::size_t i = 0; i < order.size(); ++i) order[i] = i;
    random.shuffle(std::span(order));
    for (const std::size_t i : order) {
      tickets.emplace_back(i, service->submit({std::to_string(random.below(4)), {load.requests[i]}}).value());
      for (std::uint64_t steps = random.below(4); steps > 0; --steps) service->step();
      if (random.below(5) == 0) tickets[random.below(tickets.size())].second.cancel();
    }
    while (service->step()) {
    }
    for (auto& [i, ticket] : tickets) {
      const Outcome outcome = read_all(ticket, 1)[0];
      if (outcome.finished.reason != FinishReason::kCancelled) {
        EXPECT_EQ(outcome.bytes(), load.alone[i]);
      }
    }
    const ServiceStats stats = service->stats();
    EXPECT_EQ(stats.cache_pages_used, stats.cache_pages_kept);
    EXPECT_EQ(stats.running + stats.queued + stats.queued_submissions, 0);
    preemptions += stats.preemptions;
  }
  EXPECT_GT(preemptions, 0U);
}

}  // namespace
}  // namespace agon::llm
