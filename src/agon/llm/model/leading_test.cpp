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
  total.scaled.assign(5000, 7);
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
  EXPECT_FALSE(total_of({-kInfinity, NAN}, 1).token_at(0));
  for (const double scale : {1e30, 1e300, static_cast<double>(kInfinity)}) {
    EXPECT_EQ(total_of({1, 3, 2, 3}, scale).sum, 2) << scale;
    EXPECT_EQ(total_of({-1, -3, -2}, scale).sum, 1) << scale;
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
      const auto token = static_cast<std::size_t>(total.token_at(share * total.sum).value());
      ASSERT_LT(token, logits.size());
      EXPECT_TRUE(logits[token] > -kInfinity);
      EXPECT_GT(upto[token], (share - 1e-5) * sum);
      EXPECT_LE(token == 0 ? 0 : upto[token - 1], (share + 1e-5) * sum);
    }
    // A point that rounding has put behind the last weight.
    const auto token = static_cast<std::size_t>(total.token_at(total.sum * 1.001).value());
    EXPECT_TRUE(logits[token] > -kInfinity);
    EXPECT_GT(upto[token], (1 - 1e-5) * sum);
  }
}

TEST(Leading, BandsHoldTheMostProbableTokensAndTheirTarget) {
  Random random(2);
  for (int round = 0; round < 500; ++round) {
    const std::vector<float> logits = random_logits(random, 2 + random.below(500), 60.0 / (1 + round % 7));
    float largest = -kInfinity;
    for (const float logit : logits) largest = logit > largest ? logit : largest;
    if (largest == -kInfinity) continue;
    const double scale = 0.25 * static_cast<double>(1 + random.below(8));
    const auto weight = [&](float logit) {
      return logit > -kInfinity
                 ? std::exp((static_cast<double>(logit) - static_cast<double>(largest)) * scale)
                 : 0.0;
    };
    double sum = 0;
    std::size_t numbers = 0;
    for (const float logit : logits) {
      sum += weight(logit);
      numbers += logit > -kInfinity ? 1 : 0;
    }
    const double target = random.uniform() * sum;
    Bands bands;
    leading_bands(logits, largest, scale, target, bands);
    double held = 0;
    std::vector<bool> in(logits.size());
    for (const TokenLogit& one : bands.tokens) {
      EXPECT_EQ(one.logit, logits[static_cast<std::size_t>(one.token)]);
      EXPECT_FALSE(in[static_cast<std::size_t>(one.token)]);
      in[static_cast<std::size_t>(one.token)] = true;
      held += weight(one.logit);
    }
    EXPECT_TRUE(held >= target || bands.tokens.size() == numbers);
    // Nothing outside is larger than anything inside, nor anything of a band than of one before it.
    for (std::size_t i = 0; i < logits.size(); ++i) {
      if (in[i] || !(logits[i] > -kInfinity)) continue;
      EXPECT_TRUE(bands.tokens.empty() || logits[i] <= bands.tokens.back().logit);
    }
    // Half a nat each, in the order of tokens, as many as it takes by their lower ends and no more.
    std::size_t at = 0;
    double least = 0;
    for (std::size_t band = 0; band < bands.ends.size(); ++band) {
      EXPECT_TRUE(band == 0 || least < target);
      const std::size_t begin = at;
      for (std::size_t i = 0; i < logits.size(); ++i) {
        const float depth = (largest - logits[i]) * 2;
        if (!(logits[i] > -kInfinity) || std::min(std::floor(depth), 63.0F) != static_cast<float>(band))
          continue;
        ASSERT_LT(at, bands.tokens.size());
        EXPECT_EQ(bands.tokens[at++].token, static_cast<std::int32_t>(i));
      }
      EXPECT_EQ(bands.ends[band], at);
      least += static_cast<double>(at - begin) * std::exp(-0.5 * static_cast<double>(band + 1) * scale);
    }
    EXPECT_TRUE(least >= target || bands.ends.size() == Bands::kCount);
    ASSERT_EQ(bands.ends.empty() ? 0 : bands.ends.back(), bands.tokens.size());
    for (std::size_t band = 0; band + 1 < bands.ends.size(); ++band) {
      for (std::size_t i = 0; i < bands.ends[band]; ++i)
        for (std::size_t j = bands.ends[band]; j < bands.ends[band + 1]; ++j)
          EXPECT_GE(bands.tokens[i].logit, bands.tokens[j].logit);
    }
  }
}

}  // namespace
}  // namespace agon::llm
