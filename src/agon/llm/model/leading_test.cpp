#include "agon/llm/model/leading.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <limits>

#include "agon/base/random.h"

namespace agon::llm {
namespace {

constexpr float kInfinity = std::numeric_limits<float>::infinity();

std::vector<float> random_logits(Random& random, std::size_t size, double spread) {
  std::vector<float> logits;
  for (std::size_t i = 0; i < size; ++i) logits.push_back(static_cast<float>(random.uniform() * spread - 3));
  if (random.below(2) == 0) logits[random.below(size)] = -kInfinity;
  if (random.below(2) == 0) logits[random.below(size)] = NAN;
  return logits;
}

LogitTotal total_of(const std::vector<float>& logits, double scale) {
  LogitTotal total;
  total.parts = {1, 2, 3};  // of a use before
  add_up(logits, scale, total);
  return total;
}

TEST(Leading, TotalsAreSumsOfExponentials) {
  Random random(1);
  for (int round = 0; round < 200; ++round) {
    const double scale = std::pow(2, static_cast<double>(random.below(9)) - 4);
    std::vector<float> logits = random_logits(random, 2 + random.below(round % 5 == 0 ? 4000 : 300), 20);
    logits[0] = 0.5F;
    const LogitTotal total = total_of(logits, scale);
    float largest = -kInfinity;
    for (const float logit : logits) largest = logit > largest ? logit : largest;
    double sum = 0;
    for (const float logit : logits)
      if (logit > -kInfinity)
        sum += std::exp((static_cast<double>(logit) - static_cast<double>(largest)) * scale);
    EXPECT_EQ(total.largest, largest);
    EXPECT_NEAR(total.sum, sum, 1e-5 * sum);
  }
  EXPECT_EQ(total_of({-kInfinity, NAN}, 1).largest, -kInfinity);
  EXPECT_FALSE(total_of({-kInfinity, NAN}, 1).token_at(std::vector<float>{-kInfinity, NAN}, 0));
  for (const double scale : {1e30, 1e300, static_cast<double>(kInfinity)}) {
    EXPECT_EQ(total_of({1, 3, 2, 3}, scale).sum, 2) << scale;
    EXPECT_EQ(total_of({-1, -3, -2}, scale).sum, 1) << scale;
  }
}

TEST(Leading, TheMostProbableAreThoseOfAWholeSort) {
  Random random(4);
  for (int round = 0; round < 200; ++round) {
    std::vector<float> logits = random_logits(random, 2 + random.below(round % 4 == 0 ? 5000 : 90), 8);
    for (float& logit : logits) logit = std::round(logit * 16) / 16;  // many are equal
    std::vector<TokenLogit> sorted;
    for (std::size_t i = 0; i < logits.size(); ++i)
      if (logits[i] > -kInfinity) sorted.push_back({logits[i], static_cast<std::int32_t>(i)});
    const float floor = static_cast<float>(random.uniform() * 8 - 3);
    std::vector<std::int32_t> from;
    for (const TokenLogit& one : sorted)
      if (one.logit >= floor) from.push_back(one.token);
    std::ranges::sort(sorted, more_probable);
    const auto tokens = [](const std::vector<TokenLogit>& all) {
      std::vector<std::int32_t> out;
      for (const TokenLogit& one : all) out.push_back(one.token);
      return out;
    };
    EXPECT_EQ(tokens(tokens_from(logits, floor)), from);
    EXPECT_EQ(tokens_from(logits, -kInfinity).size(), sorted.size());
    for (const std::size_t count : {std::size_t{0}, std::size_t{1}, std::size_t{20}, logits.size() + 3}) {
      std::vector<TokenLogit> wanted = sorted;
      wanted.resize(std::min(count, wanted.size()));
      EXPECT_EQ(tokens(most_probable(logits, count)), tokens(wanted));
    }
  }
}

TEST(Leading, ATokenIsWhereTheWeightsPassThePoint) {
  Random random(3);
  for (int round = 0; round < 300; ++round) {
    std::vector<float> logits = random_logits(random, 2 + random.below(round % 3 == 0 ? 5000 : 60), 12);
    logits[random.below(logits.size())] = 1;
    const double scale = 0.5 * static_cast<double>(1 + random.below(4));
    const LogitTotal total = total_of(logits, scale);
    std::vector<double> upto;
    double sum = 0;
    for (const float logit : logits) {
      if (logit > -kInfinity)
        sum += std::exp((static_cast<double>(logit) - static_cast<double>(total.largest)) * scale);
      upto.push_back(sum);
    }
    for (int k = 0; k < 20; ++k) {
      const double share = random.uniform();
      const auto token = static_cast<std::size_t>(total.token_at(logits, share * total.sum).value());
      ASSERT_LT(token, logits.size());
      EXPECT_TRUE(logits[token] > -kInfinity);
      EXPECT_GT(upto[token], (share - 1e-5) * sum);
      EXPECT_LE(token == 0 ? 0 : upto[token - 1], (share + 1e-5) * sum);
    }
    // A point that rounding has put behind the last weight.
    const auto token = static_cast<std::size_t>(total.token_at(logits, total.sum * 1.001).value());
    EXPECT_TRUE(logits[token] > -kInfinity);
    EXPECT_GT(upto[token], (1 - 1e-5) * sum);
  }
}

TEST(Leading, ANucleusIsTheFewestTokensThatReachItsTarget) {
  Random random(2);
  Nucleus nucleus;  // one for all rounds: nothing of the last may stay
  for (int round = 0; round < 600; ++round) {
    const std::size_t size = 2 + random.below(round % 3 == 0 ? 5000 : 500);
    std::vector<float> logits = random_logits(random, size, 60.0 / (1 + round % 7));
    if (round % 2 == 0)
      for (float& logit : logits) logit = std::round(logit * 4) / 4;  // many are equal
    const double scale = 0.25 * static_cast<double>(1 + random.below(8));
    const LogitTotal total = total_of(logits, scale);
    if (total.largest == -kInfinity) continue;
    std::vector<TokenLogit> sorted;
    for (std::size_t i = 0; i < logits.size(); ++i)
      if (logits[i] > -kInfinity) sorted.push_back({logits[i], static_cast<std::int32_t>(i)});
    std::ranges::sort(sorted, more_probable);
    const double share = round % 10 == 0 ? 1.001 : random.uniform(), target = share * total.sum;
    find_nucleus(logits, total, target, nucleus);
    ASSERT_EQ(nucleus.tokens.size(), nucleus.logits.size());
    const std::size_t count = nucleus.tokens.size();
    // All but the order: the same as the first of the whole sort.
    for (std::size_t i = 0; i < count; ++i) EXPECT_EQ(nucleus.tokens[i].logit, nucleus.logits[i]);
    std::ranges::sort(nucleus.tokens, more_probable);
    double held = 0, before = 0;
    for (std::size_t i = 0; i < count; ++i) {
      ASSERT_EQ(nucleus.tokens[i].token, sorted[i].token);
      before = held;
      held += std::exp((static_cast<double>(sorted[i].logit) - static_cast<double>(total.largest)) * scale);
    }
    EXPECT_TRUE(held >= target * (1 - 1e-6) || count == sorted.size());
    EXPECT_LT(before, target * (1 + 1e-6));
  }
}

}  // namespace
}  // namespace agon::llm
