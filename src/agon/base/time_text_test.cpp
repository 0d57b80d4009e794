#include "agon/base/time_text.h"

#include <gtest/gtest.h>

namespace agon {
namespace {

TEST(TimeText, DatesAroundTheEpochAndLeapDays) {
  EXPECT_EQ(date_text(0), "1970-01-01");
  EXPECT_EQ(date_text(-1), "1969-12-31");
  EXPECT_EQ(date_text(951'782'400'000), "2000-02-29");
  EXPECT_EQ(date_text(1'723'593'600'000), "2024-08-14");
  EXPECT_EQ(date_text(INT64_MAX), "n/a");
  EXPECT_EQ(date_text(INT64_MIN), "n/a");
}

}  // namespace
}  // namespace agon
