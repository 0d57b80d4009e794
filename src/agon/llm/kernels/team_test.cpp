#include "agon/llm/kernels/team.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <atomic>
#include <chrono>
#include <numeric>
#include <thread>
#include <vector>

#include "agon/base/random.h"

namespace agon::llm {
namespace {

class EachSize : public testing::TestWithParam<int> {
 protected:
  // With more threads than cores every barrier waits for the scheduler.
  static int rounds(int most) { return GetParam() <= 2 ? most : std::max(1, most / (4 * GetParam())); }
};

TEST_P(EachSize, RunsEveryMemberOnce) {
  Team team(GetParam());
  ASSERT_EQ(team.size(), GetParam());
  for (int round = 0; round < rounds(200); ++round) {
    std::vector<int> runs(static_cast<std::size_t>(team.size()), 0);
    team.run([&](Member& member) {
      EXPECT_EQ(member.size(), team.size());
      ++runs[static_cast<std::size_t>(member.index())];
    });
    ASSERT_TRUE(std::ranges::all_of(runs, [](int n) { return n == 1; })) << "round " << round;
  }
}

TEST_P(EachSize, GivesEachPieceOutOnceInEveryStage) {
  Team team(GetParam());
  Random random(31);
  for (int round = 0; round < rounds(60); ++round) {
    // Up to nine stages in a run: more than there are sets of counters. Sizes from none to many.
    std::vector<int> totals(1 + random.below(9));
    for (int& total : totals) total = static_cast<int>(random.below(random.below(2) == 0 ? 5 : 200));
    std::vector<std::vector<int>> taken;
    for (const int total : totals) taken.emplace_back(static_cast<std::size_t>(total), 0);
    team.run([&](Member& member) {
      for (std::size_t stage = 0; stage < totals.size(); ++stage) {
        if (stage > 0) member.barrier();
        const int total = totals[stage];
        for (int piece = member.take(total); piece < total; piece = member.take(total)) {
          // No atomics: a piece given out twice is a race for the thread sanitizer, too.
          ++taken[stage][static_cast<std::size_t>(piece)];
        }
        EXPECT_EQ(member.take(total), total) << "nothing may be left after the end";
      }
    });
    for (const std::vector<int>& stage : taken)
      ASSERT_TRUE(std::ranges::all_of(stage, [](int n) { return n == 1; })) << "round " << round;
  }
}

TEST_P(EachSize, ShowsAfterABarrierWhatWasWrittenBefore) {
  Team team(GetParam());
  const auto size = static_cast<std::size_t>(team.size());
  for (int round = 0; round < rounds(40); ++round) {
    std::vector<int> now(size, 0), next(size, 0);
    std::iota(now.begin(), now.end(), 1);
    const int total = std::accumulate(now.begin(), now.end(), 0);
    std::atomic<int> wrong = 0;
    team.run([&](Member& member) {
      const auto me = static_cast<std::size_t>(member.index());
      for (int step = 0; step < 25; ++step) {
        // Everyone takes the neighbour's number; the sum stays, unless somebody reads too early or late.
        next[me] = now[(me + 1) % size];
        member.barrier();
        if (std::accumulate(next.begin(), next.end(), 0) != total) ++wrong;
        now[me] = next[me];
        member.barrier();
      }
    });
    ASSERT_EQ(wrong, 0);
    for (std::size_t i = 0; i < size; ++i) EXPECT_EQ(now[i], static_cast<int>((i + 25) % size) + 1);
  }
}

// Stages that some members leave at once while others still work: counters must not be mixed up.
TEST_P(EachSize, KeepsStagesApartWhenMembersAreSlow) {
  Team team(GetParam());
  for (int round = 0; round < rounds(20); ++round) {
    constexpr int kStages = 12, kPieces = 7;
    std::vector<int> taken(kStages * kPieces, 0);
    std::atomic<int> spin = 0;
    team.run([&](Member& member) {
      for (int stage = 0; stage < kStages; ++stage) {
        if (member.index() == stage % member.size()) {
          for (int i = 0; i < 2000; ++i) spin.fetch_add(1, std::memory_order_relaxed);
        }
        for (int piece = member.take(kPieces); piece < kPieces; piece = member.take(kPieces))
          ++taken[static_cast<std::size_t>(stage * kPieces + piece)];
        member.barrier();
      }
    });
    ASSERT_TRUE(std::ranges::all_of(taken, [](int n) { return n == 1; }));
  }
}

TEST_P(EachSize, SleepsAndWakes) {
  for (int round = 0; round < 3; ++round) {
    Team team(GetParam());
    if (round == 0) continue;  // never called
    for (int run = 0; run < 3; ++run) {
      // Longer than the threads spin, so that they are asleep when they are called.
      std::this_thread::sleep_for(std::chrono::milliseconds(5));
      std::atomic<int> runs = 0;
      team.run([&](Member&) { ++runs; });
      EXPECT_EQ(runs, GetParam());
    }
  }
}

INSTANTIATE_TEST_SUITE_P(Team, EachSize, testing::Range(1, 9));

TEST(Team, HasAThreadForEachCoreByDefault) {
  EXPECT_EQ(Team().size(), static_cast<int>(std::max(1U, std::thread::hardware_concurrency())));
}

}  // namespace
}  // namespace agon::llm
