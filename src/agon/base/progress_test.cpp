#include "agon/base/progress.h"

#include <gtest/gtest.h>
#include <unistd.h>

namespace agon {
namespace {

using namespace std::chrono_literals;
const ProgressLine::Clock::time_point kStart{};

TEST(Progress, SaysStageShareRateAndTimeLeft) {
  ProgressLine line;
  EXPECT_EQ(line.update("features", 0, 1000, kStart), "features  0%");
  EXPECT_EQ(line.update("features", 250, 1000, kStart + 5s), "features  25%  50/s  15s left");
  EXPECT_EQ(line.update("features", 1000, 1000, kStart + 10s), "features  100%  100/s");
  EXPECT_EQ(line.update("trees", 3, 0, kStart + 10s), "trees");
}

TEST(Progress, RedrawsAtMostTenTimesASecond) {
  ProgressLine line;
  int drawn = 0;
  for (int ms = 0; ms < 2000; ++ms)
    drawn += !line.update("reading", static_cast<std::uint64_t>(ms), 100'000, kStart + ms * 1ms).empty();
  EXPECT_EQ(drawn, 20);
}

TEST(Progress, DrawsANewStageAndTheEndOfOneAtOnceButTheEndOnlyOnce) {
  ProgressLine line;
  EXPECT_FALSE(line.update("a", 0, 2, kStart).empty());
  EXPECT_TRUE(line.update("a", 1, 2, kStart + 1ms).empty());
  EXPECT_FALSE(line.update("a", 2, 2, kStart + 2ms).empty());
  EXPECT_TRUE(line.update("a", 2, 2, kStart + 3ms).empty());
  EXPECT_FALSE(line.update("b", 0, 2, kStart + 4ms).empty());
}

TEST(Progress, AResumedStageCountsItsRateFromWhereItBegan) {
  ProgressLine line;
  (void)line.update("rows", 900'000, 1'000'000, kStart);
  EXPECT_EQ(line.update("rows", 910'000, 1'000'000, kStart + 1s), "rows  91%  10k/s  9s left");
}

TEST(Progress, IsEmptyWithoutATerminal) {
  if (::isatty(STDERR_FILENO) == 1) GTEST_SKIP() << "standard error is a terminal";
  EXPECT_FALSE(terminal_progress());
}

}  // namespace
}  // namespace agon
