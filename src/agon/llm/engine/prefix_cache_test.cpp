#include "agon/llm/engine/prefix_cache.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <list>

#include "agon/base/random.h"

namespace agon::llm {
namespace {

using Tokens = std::vector<std::int32_t>;

ModelConfig small_config() {
  ModelConfig config;
  config.heads = config.kv_heads = 1;
  config.key_length = config.value_length = 16;
  config.layers.resize(1);
  return config;
}

class PrefixCacheTest : public testing::Test {
 protected:
  // A sequence that was read and is kept.
  void keep(const Tokens& tokens, bool partial = true, const std::vector<TokenScore>& scores = {}) {
    const int sequence = cache_.open();
    ASSERT_TRUE(cache_.extend(sequence, static_cast<int>(tokens.size())));
    prefixes_.insert(tokens, cache_.pages(sequence), scores, partial);
    cache_.close(sequence);
  }
  [[nodiscard]] int found(const Tokens& tokens) const { return prefixes_.find(tokens).length; }

  KvCache cache_ = KvCache::create(small_config(), CacheType::kF16, 16 * 16).value();
  PrefixCache prefixes_{cache_};
};

Tokens count_up(int from, int count) {
  Tokens tokens;
  for (int i = 0; i < count; ++i) tokens.push_back(from + i);
  return tokens;
}

Tokens operator+(Tokens a, const Tokens& b) {
  a.insert(a.end(), b.begin(), b.end());
  return a;
}

TEST_F(PrefixCacheTest, FindsTheLongestPrefixAlsoWithinAPage) {
  EXPECT_EQ(found({1, 2}), 0);
  keep(count_up(0, 40));
  EXPECT_EQ(prefixes_.pages(), 3);
  EXPECT_EQ(found(count_up(0, 100)), 40);
  EXPECT_EQ(found(count_up(0, 39)), 39);
  EXPECT_EQ(found(count_up(0, 20) + Tokens{7}), 20);
  EXPECT_EQ(found(count_up(0, 5) + Tokens{7}), 5);
  EXPECT_EQ(found({1}), 0);
  const auto match = prefixes_.find(count_up(0, 35));
  const int sequence = prefixes_.open(count_up(0, 35), match, 34);
  EXPECT_EQ(cache_.length(sequence), 34);
  EXPECT_EQ(cache_.pages(sequence).size(), 3U);
  // The part that is shared is copied before it is written on.
  EXPECT_EQ(cache_.pages_for(sequence, 1), 1);
  const std::int32_t shared = cache_.pages(sequence)[2];
  ASSERT_TRUE(cache_.extend(sequence, 1));
  EXPECT_NE(cache_.pages(sequence)[2], shared);
}

TEST_F(PrefixCacheTest, KeepsOnlyFullPagesUnlessTold) {
  keep(count_up(0, 20), false);
  EXPECT_EQ(found(count_up(0, 20)), 16);
  keep(count_up(0, 20), true);
  EXPECT_EQ(found(count_up(0, 20)), 20);
  // A longer page takes the place of its beginning, a shorter one none.
  keep(count_up(0, 24), true);
  EXPECT_EQ(prefixes_.pages(), 2);
  keep(count_up(0, 18), true);
  EXPECT_EQ(prefixes_.pages(), 2);
  EXPECT_EQ(found(count_up(0, 50)), 24);
  keep(count_up(0, 33), true);
  EXPECT_EQ(prefixes_.pages(), 3);
  EXPECT_EQ(cache_.free_pages(), 13);
}

TEST_F(PrefixCacheTest, GivesBackTheLeastRecentlyUsedLeavesFirst) {
  keep(count_up(0, 32));
  keep(count_up(0, 16) + count_up(100, 16));
  keep(count_up(0, 16) + count_up(200, 16));
  EXPECT_EQ(cache_.free_pages(), 12);
  const auto match = prefixes_.find(count_up(0, 32));
  cache_.close(prefixes_.open(count_up(0, 32), match, 32));
  EXPECT_TRUE(prefixes_.make_room(13));
  EXPECT_EQ(found(count_up(0, 16) + count_up(100, 16)), 16);
  EXPECT_EQ(found(count_up(0, 16) + count_up(200, 16)), 32);
  EXPECT_TRUE(prefixes_.make_room(14));
  EXPECT_EQ(found(count_up(0, 16) + count_up(200, 16)), 16);
  EXPECT_EQ(found(count_up(0, 32)), 32);
  EXPECT_TRUE(prefixes_.make_room(16));
  EXPECT_EQ(found(count_up(0, 32)), 0);
  EXPECT_FALSE(prefixes_.make_room(17));
  EXPECT_EQ(prefixes_.pages(), 0);
}

TEST_F(PrefixCacheTest, ScoresStayWithTheirTokens) {
  std::vector<TokenScore> scores(20);
  for (std::size_t i = 5; i < scores.size(); ++i)
    scores[i] = {.logprob = -static_cast<double>(i), .best_logprob = 0, .best = 3};
  keep(count_up(0, 20), true);
  keep(count_up(0, 20), true, scores);
  keep(count_up(0, 30), true);
  const auto match = prefixes_.find(count_up(0, 30));
  ASSERT_EQ(match.scores.size(), 30U);
  for (std::size_t i = 0; i < 30; ++i) {
    EXPECT_EQ(match.scores[i].known(), i >= 5 && i < 20);
    if (i >= 5 && i < 20) {
      EXPECT_EQ(match.scores[i].logprob, -static_cast<double>(i));
    }
  }
  EXPECT_FALSE(prefixes_.find(count_up(0, 2) + Tokens{9}).scores[1].known());
}

// A list of everything that was kept, against the tree, while there is room for all.
TEST_F(PrefixCacheTest, AgreesWithAPlainList) {
  Random random(3);
  for (int round = 0; round < 200; ++round) {
    KvCache cache = KvCache::create(small_config(), CacheType::kF16, 16 * 400).value();
    PrefixCache prefixes(cache);
    std::vector<Tokens> list;
    for (int i = 0; i < 20; ++i) {
      Tokens tokens = list.empty() ? Tokens{} : list[random.below(list.size())];
      tokens.resize(random.below(tokens.size() + 1));
      for (std::uint64_t n = random.below(40); n > 0; --n)
        tokens.push_back(static_cast<std::int32_t>(random.below(3)));
      std::size_t longest = 0;
      for (const Tokens& other : list) {
        longest = std::max(
            longest, static_cast<std::size_t>(std::ranges::mismatch(tokens, other).in1 - tokens.begin()));
      }
      const auto match = prefixes.find(tokens);
      EXPECT_EQ(static_cast<std::size_t>(match.length), longest);
      const int sequence = prefixes.open(tokens, match, match.length);
      ASSERT_TRUE(cache.extend(sequence, static_cast<int>(tokens.size()) - match.length));
      prefixes.insert(tokens, cache.pages(sequence), {}, true);
      cache.close(sequence);
      EXPECT_EQ(cache.page_count() - cache.free_pages(), prefixes.pages());
      list.push_back(tokens);
    }
  }
}

}  // namespace
}  // namespace agon::llm
