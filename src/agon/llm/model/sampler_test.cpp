#include "agon/llm/model/sampler.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <rapidcheck/gtest.h>

#include <algorithm>
#include <cmath>
#include <limits>
#include <map>

namespace agon::llm {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;

constexpr float kInfinity = std::numeric_limits<float>::infinity();

std::vector<float> logs(const std::vector<double>& probabilities) {
  std::vector<float> out;
  for (const double p : probabilities) out.push_back(static_cast<float>(std::log(p)));
  return out;
}

std::map<std::int32_t, double> distribution(const SamplerOptions& options, std::span<const float> logits) {
  std::map<std::int32_t, double> out;
  for (const Sampler::Candidate& c : Sampler(options).candidates(logits)) out[c.token] = c.probability;
  return out;
}

std::vector<std::int32_t> kept(const SamplerOptions& options, std::span<const float> logits) {
  std::vector<std::int32_t> out;
  for (const Sampler::Candidate& c : Sampler(options).candidates(logits)) out.push_back(c.token);
  return out;
}

TEST(Sampler, GreedyTakesTheLowestOfEquals) {
  Sampler sampler({});
  EXPECT_EQ(sampler.sample(std::vector<float>{1, 3, 3, 2}), 1);
  EXPECT_EQ(sampler.sample(std::vector<float>{-kInfinity, NAN, -5}), 2);
  EXPECT_EQ(sampler.sample(std::vector<float>{NAN, NAN}), 0);
  EXPECT_EQ(sampler.sample(std::vector<float>{-0.0F, 0.0F}), 0);
}

TEST(Sampler, TheBestIsTakenWhereNothingIsAddedOrDrawn) {
  EXPECT_TRUE(SamplerOptions{}.takes_best());
  EXPECT_TRUE((SamplerOptions{.top_k = 5, .top_p = 0.5, .min_p = 0.1, .seed = 3}.takes_best()));
  EXPECT_TRUE((SamplerOptions{.repetition_penalty = 1.3, .repeat_last = 0}.takes_best()));
  EXPECT_FALSE(SamplerOptions{.temperature = 0.1}.takes_best());
  EXPECT_FALSE(SamplerOptions{.repetition_penalty = 1.3}.takes_best());
  EXPECT_FALSE(SamplerOptions{.frequency_penalty = -1}.takes_best());
  EXPECT_FALSE(SamplerOptions{.presence_penalty = 1}.takes_best());
  EXPECT_FALSE((SamplerOptions{.logit_bias = {{.token = 3, .bias = 1}}}.takes_best()));
}

TEST(Sampler, TemperatureIsTheSoftmaxOfDividedLogits) {
  const std::vector<float> logits = logs({0.5, 0.3, 0.2});
  auto at = distribution({.temperature = 1.0}, logits);
  EXPECT_NEAR(at[0], 0.5, 1e-7);
  EXPECT_NEAR(at[2], 0.2, 1e-7);
  at = distribution({.temperature = 0.5}, logits);  // squares
  EXPECT_NEAR(at[0], 0.25 / 0.38, 1e-7);
  EXPECT_NEAR(at[1], 0.09 / 0.38, 1e-7);
  at = distribution({.temperature = 2.0}, logits);  // roots
  const double sum = std::sqrt(0.5) + std::sqrt(0.3) + std::sqrt(0.2);
  EXPECT_NEAR(at[2], std::sqrt(0.2) / sum, 1e-7);
}

TEST(Sampler, FiltersKeepWhatTheirDefinitionsSay) {
  const std::vector<float> logits = logs({0.1, 0.4, 0.05, 0.3, 0.15});
  EXPECT_THAT(kept({.temperature = 1, .top_k = 2}, logits), ElementsAre(1, 3));
  EXPECT_THAT(kept({.temperature = 1, .top_k = 9}, logits), ElementsAre(1, 3, 4, 0, 2));
  // 0.4, 0.7, 0.85, 0.95, 1
  EXPECT_THAT(kept({.temperature = 1, .top_p = 0.39}, logits), ElementsAre(1));
  EXPECT_THAT(kept({.temperature = 1, .top_p = 0.41}, logits), ElementsAre(1, 3));
  EXPECT_THAT(kept({.temperature = 1, .top_p = 0.86}, logits), ElementsAre(1, 3, 4, 0));
  EXPECT_THAT(kept({.temperature = 1, .top_p = 1e-9}, logits), ElementsAre(1));
  // Relative to 0.4.
  EXPECT_THAT(kept({.temperature = 1, .min_p = 0.74}, logits), ElementsAre(1, 3));
  EXPECT_THAT(kept({.temperature = 1, .min_p = 0.76}, logits), ElementsAre(1));
  EXPECT_THAT(kept({.temperature = 1, .min_p = 1}, logits), ElementsAre(1));
  // Top-p works on what top-k left: 0.4 of 0.7 is 0.571.
  EXPECT_THAT(kept({.temperature = 1, .top_k = 2, .top_p = 0.56}, logits), ElementsAre(1));
  EXPECT_THAT(kept({.temperature = 1, .top_k = 2, .top_p = 0.58}, logits), ElementsAre(1, 3));
  // Temperature comes after the filters: it does not change what stays, only how much of it.
  EXPECT_THAT(kept({.temperature = 100, .top_p = 0.41}, logits), ElementsAre(1, 3));
  EXPECT_NEAR(distribution({.temperature = 1, .top_p = 0.41}, logits)[1], 4.0 / 7, 1e-7);
  EXPECT_NEAR(distribution({.temperature = 1e6, .top_p = 0.41}, logits)[1], 0.5, 1e-6);
}

TEST(Sampler, TheRepetitionPenaltyCountsATokenOnce) {
  const std::vector<float> logits = {2, -1, 0.5, 1.5};
  Sampler sampler({.repetition_penalty = 2, .repeat_last = 3});
  EXPECT_EQ(sampler.sample(logits), 0);
  for (int i = 0; i < 3; ++i) sampler.accept(0);
  EXPECT_EQ(sampler.sample(logits), 3);  // 2 / 2 < 1.5, and 2 / 2^3 is not what it becomes:
  EXPECT_EQ(sampler.sample(std::vector<float>{2, -1, 0.5, 0.9}), 0);
  for (int i = 0; i < 3; ++i) sampler.accept(3);  // token 0 is out of sight again
  EXPECT_EQ(sampler.sample(logits), 0);
  Sampler all({.temperature = 1, .repetition_penalty = 2, .repeat_last = -1});
  all.accept(1);
  for (int i = 0; i < 1000; ++i) all.accept(2);
  std::map<std::int32_t, double> at;
  for (const Sampler::Candidate& c : all.candidates(logits)) at[c.token] = c.probability;
  EXPECT_NEAR(std::log(at[0] / at[1]), 4, 1e-12);  // -1 became -2
  EXPECT_NEAR(std::log(at[0] / at[2]), 1.75, 1e-12);
  Sampler none({.repetition_penalty = 2, .repeat_last = 0});
  none.accept(0);
  EXPECT_EQ(none.sample(logits), 0);
  sampler.accept(100);  // not in this vocabulary: no matter
  EXPECT_EQ(sampler.sample(logits), 0);
}

TEST(Sampler, PenaltiesCountWhatWasDrawnAndBiasIsAdded) {
  const std::vector<float> logits = {2, -1, 0.5, 1.5};
  const auto adjusted = [&](const SamplerOptions& options, const std::vector<std::int32_t>& prompt,
                            const std::vector<std::int32_t>& drawn) {
    Sampler sampler(options);
    for (const std::int32_t token : prompt) sampler.accept_prompt(token);
    for (const std::int32_t token : drawn) sampler.accept(token);
    std::vector<double> out(logits.size());
    for (const Sampler::Candidate& c : sampler.candidates(logits))
      out[static_cast<std::size_t>(c.token)] = std::log(c.probability);
    for (std::size_t i = 1; i < out.size(); ++i) out[i] += 2 - out[0];  // token 0 is left alone below
    out[0] = 2;
    return out;
  };
  const auto near = [](const std::vector<double>& got, const std::vector<double>& expected) {
    for (std::size_t i = 0; i < got.size(); ++i) EXPECT_NEAR(got[i], expected[i], 1e-6) << i;
  };
  // OpenAI: logit -= count * frequency + (count > 0) * presence, of drawn tokens.
  near(adjusted({.temperature = 1, .frequency_penalty = 0.5}, {1, 1, 2}, {3, 3, 1}), {2, -1.5, 0.5, 0.5});
  near(adjusted({.temperature = 1, .presence_penalty = 0.5}, {2}, {3, 3, 1}), {2, -1.5, 0.5, 1});
  near(adjusted({.temperature = 1, .frequency_penalty = -1, .presence_penalty = 2}, {}, {3, 3, 1}),
       {2, -2, 0.5, 1.5});
  near(adjusted({.temperature = 1, .logit_bias = {{1, 5}, {3, -2}, {77, 3}}}, {}, {}), {2, 4, 0.5, -0.5});
  // The bias comes before the repetition penalty, the others after it.
  near(adjusted({.temperature = 1,
                 .repetition_penalty = 2,
                 .frequency_penalty = 0.25,
                 .logit_bias = {{1, 5}, {3, -2}}},
                {1}, {3}),
       {2, 2, 0.5, -1.25});
  // Greedy choice too.
  EXPECT_EQ(Sampler({.logit_bias = {{2, 10}}}).sample(logits), 2);
  Sampler greedy({.presence_penalty = 1});
  greedy.accept_prompt(0);
  EXPECT_EQ(greedy.sample(logits), 0);
  greedy.accept(0);
  EXPECT_EQ(greedy.sample(logits), 3);
}

// Draws follow candidates(): Pearson's chi-square over 20,000 draws of a fixed seed stays below the 99.9th
// percentile (13 degrees of freedom at most: 34.5).
TEST(Sampler, DrawsFollowTheProbabilities) {
  std::vector<float> logits;
  for (int i = 0; i < 14; ++i) logits.push_back(static_cast<float>(std::sin(i * 1.7) * 1.5));
  for (const SamplerOptions& options : std::vector<SamplerOptions>{
           {.temperature = 1.0, .seed = 7},
           {.temperature = 0.7, .top_k = 9, .seed = 8},
           {.temperature = 1.3, .top_p = 0.9, .seed = 9},
           {.temperature = 1.0, .min_p = 0.1, .seed = 10},
           {.temperature = 0.8, .top_k = 12, .top_p = 0.95, .min_p = 0.05, .seed = 11},
       }) {
    constexpr int kDraws = 20000;
    Sampler sampler(options);
    std::map<std::int32_t, int> counts;
    for (int i = 0; i < kDraws; ++i) ++counts[sampler.sample(logits)];
    double chi = 0;
    const auto expected = distribution(options, logits);
    for (const auto& [token, p] : expected) chi += std::pow(counts[token] - p * kDraws, 2) / (p * kDraws);
    EXPECT_EQ(counts.size(), expected.size());
    EXPECT_LT(chi, 34.5);
    EXPECT_GT(chi, 0.5);  // not too good to be true
  }
}

TEST(Sampler, SeedsDecide) {
  const std::vector<float> logits(50, 0.0F);
  const auto draws = [&](std::uint64_t seed) {
    Sampler sampler({.temperature = 1, .seed = seed});
    std::vector<std::int32_t> out;
    for (int i = 0; i < 20; ++i) out.push_back(sampler.sample(logits));
    return out;
  };
  EXPECT_EQ(draws(3), draws(3));
  EXPECT_NE(draws(3), draws(4));
}

TEST(Sampler, NoNumbersAreNeverDrawn) {
  Sampler sampler({.temperature = 5, .top_p = 0.999, .seed = 1});
  for (int i = 0; i < 200; ++i) EXPECT_EQ(sampler.sample(std::vector<float>{NAN, 1, -kInfinity}), 1);
  Sampler k({.temperature = 5, .top_k = 2, .seed = 1});
  for (int i = 0; i < 200; ++i) EXPECT_EQ(k.sample(std::vector<float>{NAN, 1, -kInfinity}), 1);
  EXPECT_EQ(k.sample(std::vector<float>{NAN, NAN, NAN}), 0);
}

// Divided by such temperatures logits are infinite in float, and their quotients in double.
TEST(Sampler, TemperaturesNextToZeroAreGreedy) {
  Random random(5);
  for (const double temperature : {1e-3, 1e-30, 1e-38, 1e-300, 5e-324}) {
    for (const double lowest : {-9.0, -20.0, 1.0}) {  // of both signs, all below zero, all above
      std::vector<float> logits;
      for (int i = 0; i < 300; ++i) logits.push_back(static_cast<float>(lowest + 10 * random.uniform()));
      logits[random.below(300)] = static_cast<float>(lowest + 11);
      logits[random.below(300)] = -std::numeric_limits<float>::infinity();
      for (const SamplerOptions& options :
           {SamplerOptions{.temperature = temperature, .seed = 3},
            SamplerOptions{.temperature = temperature, .top_p = 0.9, .seed = 3},
            SamplerOptions{.temperature = temperature, .top_k = 5, .seed = 3}}) {
        Sampler sampler(options);
        for (int draw = 0; draw < 5; ++draw)
          EXPECT_EQ(sampler.sample(logits), greedy_token(logits)) << temperature << " " << lowest;
      }
    }
  }
}

TEST(Sampler, RefusesOptionsOutOfRange) {
  const auto says = [](const SamplerOptions& options) {
    const Status status = options.check();
    return status ? std::string() : status.error().to_string();
  };
  EXPECT_EQ(says({}), "");
  EXPECT_THAT(says({.temperature = -0.1}), HasSubstr("temperature is -0.1 (expected 0 to 1e6)"));
  EXPECT_THAT(says({.temperature = std::nan("")}), HasSubstr("temperature is nan"));
  EXPECT_THAT(says({.top_k = -1}), HasSubstr("top-k is -1"));
  EXPECT_THAT(says({.top_p = 0}), HasSubstr("top-p is 0"));
  EXPECT_THAT(says({.top_p = 1.01}), HasSubstr("top-p is 1.01"));
  EXPECT_THAT(says({.min_p = 2}), HasSubstr("min-p is 2"));
  EXPECT_THAT(says({.repetition_penalty = 0}), HasSubstr("repetition penalty is 0"));
  EXPECT_THAT(says({.repeat_last = -2}), HasSubstr("is -2"));
  EXPECT_THAT(says({.frequency_penalty = 2.5}), HasSubstr("frequency penalty is 2.5 (expected -2 to 2)"));
  EXPECT_THAT(says({.presence_penalty = -3}), HasSubstr("presence penalty is -3"));
  EXPECT_THAT(says({.logit_bias = {{1, 101}}}), HasSubstr("logit bias is 101"));
  EXPECT_THAT(says({.logit_bias = {{-1, 1}}}), HasSubstr("token of a logit bias is -1"));
  EXPECT_THAT(says({.logit_bias = {{1, 1}, {1, 2}}}), HasSubstr("token of two logit biases is 1"));
  EXPECT_THAT(says({.logit_bias = {{1, std::nan("")}}}), HasSubstr("logit bias is nan"));
}

// The plain way: sort everything, then cut by each definition in turn.
std::vector<std::int32_t> naive(const SamplerOptions& options, const std::vector<float>& logits) {
  std::vector<std::int32_t> order(logits.size());
  for (std::size_t i = 0; i < order.size(); ++i) order[i] = static_cast<std::int32_t>(i);
  const auto logit = [&](std::int32_t token) {
    return static_cast<double>(logits[static_cast<std::size_t>(token)]);
  };
  std::ranges::stable_sort(order, [&](std::int32_t a, std::int32_t b) { return logit(a) > logit(b); });
  if (options.top_k > 0) order.resize(std::min(order.size(), static_cast<std::size_t>(options.top_k)));
  double total = 0, sum = 0;
  for (const std::int32_t token : order) total += std::exp(logit(token));
  for (std::size_t i = 0; i < order.size() && options.top_p < 1; ++i)
    if ((sum += std::exp(logit(order[i]))) >= options.top_p * total) order.resize(i + 1);
  const double best = logit(order.front());
  std::erase_if(order, [&](std::int32_t t) { return std::exp(logit(t) - best) < options.min_p; });
  return order;
}

RC_GTEST_PROP(Sampler, AgreesWithSortingEverything, ()) {
  const int size = *rc::gen::inRange(1, 400);
  std::vector<float> logits;
  const std::uint64_t seed = *rc::gen::arbitrary<std::uint64_t>();
  Random random(seed);
  // Quarters: many ties.
  for (int i = 0; i < size; ++i) logits.push_back(static_cast<float>(random.below(40)) / 4 - 5);
  const SamplerOptions options = {.temperature = 1,
                                  .top_k = *rc::gen::inRange(0, 20) * *rc::gen::inRange(0, 20),
                                  .top_p = (*rc::gen::inRange(1, 1000) + 0.37) / 1000.0,
                                  .min_p = *rc::gen::inRange(0, 3) * 0.0137};
  RC_ASSERT(kept(options, logits) == naive(options, logits));
}

TEST(Sampler, TokensThatAreNotAllowedAreNeverChosen) {
  const std::vector<std::uint64_t> odd = {0b1010};
  Sampler greedy({});
  EXPECT_EQ(greedy.sample(std::vector<float>{9, 1, 8, 2, 7}, odd), 3);
  EXPECT_EQ(greedy.sample(std::vector<float>{9, -kInfinity, 8, NAN}, odd), 1);  // the lowest allowed
  Sampler drawing({.temperature = 1, .seed = 1});
  EXPECT_EQ(drawing.sample(std::vector<float>{9, -kInfinity, 8, NAN}, odd), 1);
  // Behind the end of the mask nothing is allowed.
  std::vector<float> long_logits(200, 5.0F);
  EXPECT_EQ(greedy.sample(long_logits, odd), 1);
  // A penalty lifts no token that is not allowed.
  Sampler penalty({.repetition_penalty = 0.5});
  penalty.accept(0);
  EXPECT_EQ(penalty.sample(std::vector<float>{1, 0, 0, 0.5F}, odd), 3);
}

RC_GTEST_PROP(Sampler, AMaskIsTheSameAsLogitsOfMinusInfinity, ()) {
  Random random(*rc::gen::arbitrary<std::uint64_t>());
  const std::size_t size = 1 + random.below(300);
  std::vector<float> logits, masked;
  std::vector<std::uint64_t> allowed((size + 63) / 64);
  const std::size_t always = random.below(size);
  for (std::size_t i = 0; i < size; ++i) {
    const bool may = i == always || random.below(3) == 0;
    logits.push_back(static_cast<float>(random.below(40)) / 4 - 5);
    masked.push_back(may ? logits.back() : -kInfinity);
    if (may) allowed[i / 64] |= std::uint64_t{1} << (i % 64);
  }
  SamplerOptions options = {.temperature = static_cast<double>(random.below(2)),
                            .top_k = static_cast<int>(random.below(20)),
                            .top_p = random.below(2) == 0 ? 1.0 : 0.8,
                            .min_p = random.below(2) == 0 ? 0.0 : 0.05,
                            .repetition_penalty = 1.3};
  Sampler with(options), without(options);
  for (int step = 0; step < 20; ++step) {
    const std::int32_t token = with.sample(logits, allowed);
    RC_ASSERT(token == without.sample(masked));
    with.accept(token);
    without.accept(token);
  }
}

TEST(LogSoftmax, ClosedForms) {
  const std::vector<double> got = log_softmax(logs({0.5, 0.25, 0.25}));
  EXPECT_NEAR(got[0], std::log(0.5), 1e-7);
  EXPECT_NEAR(got[1], std::log(0.25), 1e-7);
  const std::vector<float> flat(262144, 3.0F);
  for (const double value : {log_softmax(flat).front(), log_softmax(flat).back()})
    EXPECT_NEAR(value, -18 * std::log(2.0), 1e-12);
  EXPECT_NEAR(log_sum_exp(std::vector<float>{1e30F, -1e30F}), static_cast<double>(1e30F), 1);
  EXPECT_NEAR(log_sum_exp(std::vector<float>{-1000, -1000}), -1000 + std::log(2.0), 1e-12);
}

}  // namespace
}  // namespace agon::llm
