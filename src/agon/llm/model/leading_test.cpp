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

TEST(Leading, TotalsAreSumsOfExponentials) {
  Random random(1);
  std::vector<float> scratch;
  for (int round = 0; round < 200; ++round) {
    const double scale = std::pow(2, static_cast<double>(random.below(9)) - 4);
    std::vector<float> logits = random_logits(random, 2 + random.below(300), 20);
    logits[0] = 0.5F;
    const LogitTotal total = total_of(logits, scale, scratch);
    float largest = -kInfinity;
    for (const float logit : logits) largest = logit > largest ? logit : largest;
    double sum = 0;
    for (const float logit : logits)
      if (logit > -kInfinity)
        sum += std::exp((static_cast<double>(logit) - static_cast<double>(largest)) * scale);
    EXPECT_EQ(total.largest, largest);
    EXPECT_NEAR(total.sum, sum, 1e-5 * sum);
  }
  EXPECT_EQ(total_of(std::vector<float>{-kInfinity, NAN}, 1, scratch).largest, -kInfinity);
  for (const double scale : {1e30, 1e300, static_cast<double>(kInfinity)}) {
    EXPECT_EQ(total_of(std::vector<float>{1, 3, 2, 3}, scale, scratch).sum, 2) << scale;
    EXPECT_EQ(total_of(std::vector<float>{-1, -3, -2}, scale, scratch).sum, 1) << scale;
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
