#include "agon/llm/model/kv_cache.h"

#include <gtest/gtest.h>
#include <rapidcheck/gtest.h>

#include <algorithm>
#include <cstring>
#include <optional>
#include <set>
#include <vector>

namespace agon::llm {
namespace {

ModelConfig small_config(int key_length = 32, int value_length = 64, int heads = 2, int layers = 3) {
  ModelConfig config;
  config.heads = 2 * heads;
  config.kv_heads = heads;
  config.key_length = key_length;
  config.value_length = value_length;
  config.layers.resize(static_cast<std::size_t>(layers));
  return config;
}

/// A cache beside the simplest thing that behaves the same: for every sequence the list of its tokens. What a
/// pass would store for a token is the token itself, in every layer and head, in a place of its own.
class Model {
 public:
  explicit Model(int tokens)
      : config_(small_config()), cache_(KvCache::create(config_, CacheType::kF16, tokens).value()) {}

  int open() {
    const int sequence = cache_.open();
    if (static_cast<std::size_t>(sequence) >= lists_.size())
      lists_.resize(static_cast<std::size_t>(sequence) + 1);
    RC_ASSERT(!lists_[static_cast<std::size_t>(sequence)].has_value());
    lists_[static_cast<std::size_t>(sequence)].emplace();
    return sequence;
  }
  void fork(int from, int length) {
    const Result<int> forked = cache_.fork(from, length);
    RC_ASSERT(forked.has_value());
    const auto to = static_cast<std::size_t>(*forked);
    if (to >= lists_.size()) lists_.resize(to + 1);
    RC_ASSERT(!lists_[to].has_value());
    const std::vector<int>& tokens = *lists_[static_cast<std::size_t>(from)];
    lists_[to].emplace(tokens.begin(), tokens.begin() + length);
  }
  void close(int sequence) {
    cache_.close(sequence);
    lists_[static_cast<std::size_t>(sequence)].reset();
  }
  void truncate(int sequence, int length) {
    cache_.truncate(sequence, length);
    lists_[static_cast<std::size_t>(sequence)]->resize(static_cast<std::size_t>(length));
  }
  void extend(int sequence, int count) {
    std::vector<int>& tokens = *lists_[static_cast<std::size_t>(sequence)];
    const int length = static_cast<int>(tokens.size());
    // What it takes, from the pages as they are now: new ones, and one more where the last is not full and
    // belongs to others too.
    int needed = (length + count + 15) / 16 - (length + 15) / 16;
    if (count > 0 && length % 16 != 0 && users(cache_.pages(sequence).back()) > 1) ++needed;
    const int free = cache_.free_pages();
    RC_ASSERT(cache_.pages_for(sequence, count) == needed);
    const std::vector<std::int32_t> before(cache_.pages(sequence).begin(), cache_.pages(sequence).end());
    const Status status = cache_.extend(sequence, count);
    RC_ASSERT(status.has_value() == (needed <= free));
    if (!status) {
      RC_ASSERT(status.error().message.find("full") != std::string::npos);
      RC_ASSERT(std::vector<std::int32_t>(cache_.pages(sequence).begin(), cache_.pages(sequence).end()) ==
                before);
      RC_ASSERT(cache_.free_pages() == free);
      return;
    }
    RC_ASSERT(cache_.free_pages() == free - needed);
    for (int i = 0; i < count; ++i) {
      tokens.push_back(next_token_++);
      each_place(sequence, length + i,
                 [&](std::uint8_t* at) { std::memcpy(at, &tokens.back(), sizeof(int)); });
    }
  }

  void check() {
    std::set<std::int32_t> used;
    for (std::size_t i = 0; i < lists_.size(); ++i) {
      if (!lists_[i]) continue;
      const int sequence = static_cast<int>(i);
      RC_ASSERT(cache_.length(sequence) == static_cast<int>(lists_[i]->size()));
      const auto pages = cache_.pages(sequence);
      RC_ASSERT(pages.size() == (lists_[i]->size() + 15) / 16);
      used.insert(pages.begin(), pages.end());
      for (const std::int32_t page : pages) RC_ASSERT(page >= 0 && page < cache_.page_count());
      for (std::size_t position = 0; position < lists_[i]->size(); ++position) {
        each_place(sequence, static_cast<int>(position), [&](const std::uint8_t* at) {
          int token;
          std::memcpy(&token, at, sizeof token);
          RC_ASSERT(token == (*lists_[i])[position]);
        });
      }
    }
    // No page is lost, none counted twice.
    RC_ASSERT(cache_.free_pages() == cache_.page_count() - static_cast<int>(used.size()));
  }

  [[nodiscard]] std::vector<int> sequences() const {
    std::vector<int> open;
    for (std::size_t i = 0; i < lists_.size(); ++i)
      if (lists_[i]) open.push_back(static_cast<int>(i));
    return open;
  }
  [[nodiscard]] int length(int sequence) const { return cache_.length(sequence); }
  [[nodiscard]] KvCache& cache() { return cache_; }

 private:
  [[nodiscard]] int users(std::int32_t page) const {
    int count = 0;
    for (const int sequence : sequences())
      for (const std::int32_t mine : cache_.pages(sequence)) count += mine == page ? 1 : 0;
    return count;
  }
  // The bytes in which a position keeps its first numbers, in keys and values of every layer and head.
  template <class Body>
  void each_place(int sequence, int position, Body body) {
    const auto page =
        static_cast<std::size_t>(cache_.pages(sequence)[static_cast<std::size_t>(position / 16)]) *
        cache_.page_stride();
    for (int layer = 0; layer < config_.layer_count(); ++layer) {
      for (int head = 0; head < config_.kv_heads; ++head) {
        const auto slot = static_cast<std::size_t>(position % 16);
        body(cache_.keys(layer, head) + page + slot * sizeof(int));
        // The last bytes of the values, so that heads that overlap would be noticed.
        body(cache_.values(layer, head) + page + cache_page_bytes(CacheType::kF16, 64) -
             (slot + 1) * sizeof(int));
      }
    }
  }

  ModelConfig config_;
  KvCache cache_;
  std::vector<std::optional<std::vector<int>>> lists_;
  int next_token_ = 1;
};

RC_GTEST_PROP(KvCache, BehavesLikeListsOfTokens, ()) {
  Model model(*rc::gen::inRange(1, 400));
  const int steps = *rc::gen::inRange(1, 40);
  for (int step = 0; step < steps; ++step) {
    const std::vector<int> open = model.sequences();
    const int what = open.empty() ? 0 : *rc::gen::inRange(0, 10);
    if (what == 0) {
      model.open();
    } else {
      const int sequence = *rc::gen::elementOf(open);
      const int length = model.length(sequence);
      if (what <= 2) {
        model.fork(sequence, *rc::gen::inRange(0, length + 1));
      } else if (what == 3) {
        model.close(sequence);
      } else if (what == 4) {
        model.truncate(sequence, *rc::gen::inRange(0, length + 1));
      } else {
        model.extend(sequence, *rc::gen::element(0, 1, 1, 2, 7, 15, 16, 17, 40, 100));
      }
    }
    model.check();
  }
  // Everything comes back.
  for (const int sequence : model.sequences()) model.close(sequence);
  RC_ASSERT(model.cache().free_pages() == model.cache().page_count());
}

TEST(KvCache, SharesPagesUntilOneIsWritten) {
  KvCache cache = KvCache::create(small_config(), CacheType::kF16, 160).value();
  const int first = cache.open();
  ASSERT_TRUE(cache.extend(first, 40));  // two pages and a half
  EXPECT_EQ(cache.free_pages(), 7);
  const int second = cache.fork(first, 40).value();
  EXPECT_EQ(cache.free_pages(), 7);
  EXPECT_TRUE(std::ranges::equal(cache.pages(first), cache.pages(second)));
  ASSERT_TRUE(cache.extend(second, 1));
  EXPECT_EQ(cache.free_pages(), 6);
  EXPECT_EQ(cache.pages(first)[1], cache.pages(second)[1]);
  EXPECT_NE(cache.pages(first)[2], cache.pages(second)[2]);
  // The first is alone on its last page again and needs no copy.
  ASSERT_TRUE(cache.extend(first, 8));
  EXPECT_EQ(cache.free_pages(), 6);
  // A fork at the end of a page shares whole pages only.
  const int third = cache.fork(first, 32).value();
  EXPECT_EQ(cache.pages(third).size(), 2U);
  ASSERT_TRUE(cache.extend(third, 16));
  EXPECT_EQ(cache.free_pages(), 5);
  cache.close(first);
  cache.close(second);
  EXPECT_EQ(cache.free_pages(), 7);
  EXPECT_EQ(cache.length(third), 48);
}

TEST(KvCache, NeedsAFreePageToGoOnFromASharedOne) {
  KvCache cache = KvCache::create(small_config(), CacheType::kF16, 32).value();
  const int first = cache.open();
  ASSERT_TRUE(cache.extend(first, 20));
  const int second = cache.fork(first, 20).value();
  EXPECT_EQ(cache.free_pages(), 0);
  // There is room in the page, but it is not its own.
  EXPECT_FALSE(cache.extend(second, 1));
  EXPECT_EQ(cache.length(second), 20);
  EXPECT_TRUE(cache.extend(second, 0));
  cache.close(first);
  EXPECT_TRUE(cache.extend(second, 12));
  EXPECT_FALSE(cache.extend(second, 1));
}

TEST(KvCache, PagesOutliveTheirSequenceWhileTheyAreHeld) {
  KvCache cache = KvCache::create(small_config(), CacheType::kF16, 64).value();
  const int first = cache.open();
  ASSERT_TRUE(cache.extend(first, 20));
  const std::vector<std::int32_t> pages(cache.pages(first).begin(), cache.pages(first).end());
  for (const std::int32_t page : pages) cache.retain(page);
  cache.close(first);
  EXPECT_EQ(cache.free_pages(), 2);
  const int second = cache.adopt(pages, 18);
  EXPECT_EQ(cache.length(second), 18);
  EXPECT_EQ(cache.free_pages(), 2);
  EXPECT_EQ(cache.pages_for(second, 0), 0);
  EXPECT_EQ(cache.pages_for(second, 1), 1);  // a copy
  EXPECT_EQ(cache.pages_for(second, 15), 2);
  ASSERT_TRUE(cache.extend(second, 1));
  EXPECT_EQ(cache.pages(second)[0], pages[0]);
  EXPECT_NE(cache.pages(second)[1], pages[1]);
  cache.close(second);
  for (const std::int32_t page : pages) cache.release(page);
  EXPECT_EQ(cache.free_pages(), 4);
}

TEST(KvCache, HasRoomForTheTokensAskedFor) {
  for (const int tokens : {1, 15, 16, 17, 1000}) {
    KvCache cache = KvCache::create(small_config(), CacheType::kBF16, tokens).value();
    EXPECT_EQ(cache.page_count(), (tokens + 15) / 16);
    EXPECT_TRUE(cache.extend(cache.open(), tokens));
  }
  EXPECT_FALSE(KvCache::create(small_config(), CacheType::kF16, 0));
  EXPECT_FALSE(KvCache::create(small_config(), CacheType::kF16, -5));
}

TEST(KvCache, TakesTheMemoryOfItsFormat) {
  const auto bytes = [](CacheType type, int key, int value) {
    return KvCache::create(small_config(key, value, 2, 3), type, 16).value().token_bytes();
  };
  // Heads times layers times numbers.
  EXPECT_EQ(bytes(CacheType::kF16, 64, 64), 2U * 3 * 128 * 2);
  EXPECT_EQ(bytes(CacheType::kBF16, 64, 128), 2U * 3 * 192 * 2);
  EXPECT_EQ(bytes(CacheType::kF32, 64, 64), 2U * 3 * 128 * 4);
  EXPECT_EQ(bytes(CacheType::kQ8_0, 64, 64), 2U * 3 * (128 + 4 * 2));
  EXPECT_EQ(bytes(CacheType::kF16, 20, 24), 2U * 3 * 64 * 2);  // filled up to 32 each
}

TEST(KvCache, RefusesBytesForHeadsThatAreNoWholeBlocks) {
  const auto result = KvCache::create(small_config(48, 48), CacheType::kQ8_0, 16);
  ASSERT_FALSE(result);
  EXPECT_NE(result.error().message.find("48"), std::string::npos) << result.error().message;
  EXPECT_TRUE(KvCache::create(small_config(48, 48), CacheType::kF16, 16));
}

}  // namespace
}  // namespace agon::llm
