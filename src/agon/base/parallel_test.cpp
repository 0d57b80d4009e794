#include "agon/base/parallel.h"

#include <gtest/gtest.h>

#include <atomic>
#include <mutex>
#include <set>
#include <stdexcept>
#include <thread>
#include <utility>
#include <vector>

namespace agon {
namespace {

class Parallel : public testing::TestWithParam<int> {
 protected:
  void SetUp() override { set_thread_count(GetParam()); }
  void TearDown() override { set_thread_count(0); }
};
INSTANTIATE_TEST_SUITE_P(Threads, Parallel, testing::Values(1, 2, 7));

TEST_P(Parallel, CallsEveryIndexOnce) {
  EXPECT_EQ(thread_count(), GetParam());
  for (const std::size_t n : {0, 1, 2, 63, 10'000}) {
    std::vector<std::atomic<int>> calls(n);
    parallel_for(n, [&](std::size_t i) { ++calls[i]; });
    for (const auto& count : calls) ASSERT_EQ(count, 1);
  }
}

TEST_P(Parallel, NeverUsesMoreThreadsThanAllowed) {
  std::mutex mutex;
  std::set<std::thread::id> threads;
  parallel_for(1000, [&](std::size_t) {
    const std::lock_guard lock(mutex);
    threads.insert(std::this_thread::get_id());
  });
  EXPECT_LE(threads.size(), static_cast<std::size_t>(GetParam()));
}

TEST_P(Parallel, ChunkBordersDependOnSizeAndGrainOnly) {
  for (const std::size_t n : {0, 1, 9, 10, 11, 105}) {
    std::mutex mutex;
    std::set<std::pair<std::size_t, std::size_t>> chunks;
    parallel_chunks(n, 10, [&](std::size_t begin, std::size_t end) {
      const std::lock_guard lock(mutex);
      EXPECT_TRUE(chunks.emplace(begin, end).second);
    });
    std::size_t next = 0;
    for (const auto& [begin, end] : chunks) {
      EXPECT_EQ(begin, next);
      EXPECT_EQ(end, std::min<std::size_t>(n, begin + 10));
      next = end;
    }
    EXPECT_EQ(next, n);
  }
}

TEST_P(Parallel, LoopsInLoopsAndExceptionsPass) {
  std::atomic<int> calls = 0;
  parallel_for(10, [&](std::size_t) { parallel_for(10, [&](std::size_t) { ++calls; }); });
  EXPECT_EQ(calls, 100);
  const auto boom = [](std::size_t i) {
    if (i == 57) throw std::runtime_error("boom");
  };
  EXPECT_THROW(parallel_for(100, boom), std::runtime_error);
}

}  // namespace
}  // namespace agon
