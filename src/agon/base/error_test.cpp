#include "agon/base/error.h"

#include <gtest/gtest.h>

namespace agon {

TEST(Error, NamesFileRowColumnAndExpectation) {
  Error error{.message = "not a JSON list",
              .file = "votes.csv",
              .row = 12,
              .column = "prompt",
              .expected = "[\"turn\", ...]"};
  EXPECT_EQ(error.to_string(),
            "votes.csv: row 12, column 'prompt': not a JSON list (expected [\"turn\", ...])");
  EXPECT_EQ(error.exit_code(), 1);
}

}  // namespace agon
