#include "agon/llm/remote/retry.h"

#include <gtest/gtest.h>

namespace agon::llm {
namespace {

TEST(Retry, OnlyWhatMayBeOtherNextTime) {
  for (const long status : {408L, 425L, 429L, 500L, 502L, 503L, 504L, 520L, 599L})
    EXPECT_TRUE(may_retry(status)) << status;
  for (const long status : {200L, 301L, 400L, 401L, 403L, 404L, 409L, 422L, 501L, 505L, 600L})
    EXPECT_FALSE(may_retry(status)) << status;
}

TEST(Retry, RetryAfterIsSecondsOrADate) {
  EXPECT_EQ(retry_after("7", 0), 7.0);
  EXPECT_EQ(retry_after(" 0.5 \r\n", 0), 0.5);
  // RFC 9110's example is 784111777 seconds after 1970.
  EXPECT_EQ(retry_after("Sun, 06 Nov 1994 08:49:37 GMT", 784111777 - 30), 30.0);
  EXPECT_EQ(retry_after("Sun, 06 Nov 1994 08:49:37 GMT", 784111777 + 30), 0.0);
  for (const char* text : {"", "   ", "soon", "-1", "1.2.3", ".", "99999999999999999999"})
    EXPECT_EQ(retry_after(text, 0), std::nullopt) << text;
}

TEST(Retry, BackoffDoublesWithJitter) {
  Random random(1);
  for (int failures = 1; failures <= 80; ++failures) {
    const double whole =
        std::min(60.0, 0.5 * static_cast<double>(std::uint64_t{1} << std::min(failures - 1, 40)));
    for (int i = 0; i < 20; ++i) {
      const double delay = backoff(failures, 0.5, 60, random);
      EXPECT_GE(delay, whole / 2);
      EXPECT_LE(delay, whole);
    }
  }
  Random again(1), other(2);
  Random first(1);
  const double one = backoff(3, 0.5, 60, first);
  EXPECT_EQ(backoff(3, 0.5, 60, again), one);
  EXPECT_NE(backoff(3, 0.5, 60, other), one);
}

TEST(Retry, WindowGrowsByOneARoundAndHalves) {
  ConcurrencyWindow window(16);
  EXPECT_EQ(window.size(), 4);
  for (int i = 0; i < 5; ++i) window.success();
  EXPECT_EQ(window.size(), 5);
  for (int i = 0; i < 1000; ++i) window.success();
  EXPECT_EQ(window.size(), 16);
  const auto epoch = window.epoch();
  window.overload(epoch);
  EXPECT_EQ(window.size(), 8);
  // Those that were in flight together are one sign, not many.
  for (int i = 0; i < 10; ++i) window.overload(epoch);
  EXPECT_EQ(window.size(), 8);
  for (int i = 0; i < 10; ++i) window.overload(window.epoch());
  EXPECT_EQ(window.size(), 1);
  EXPECT_EQ(ConcurrencyWindow(1).size(), 1);
}

}  // namespace
}  // namespace agon::llm
