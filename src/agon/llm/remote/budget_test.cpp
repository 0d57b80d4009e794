#include "agon/llm/remote/budget.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace agon::llm {
namespace {

TEST(Budget, WithoutBoundsEverythingIsAllowed) {
  const Budget budget({});
  EXPECT_FALSE(budget.is_limited());
  EXPECT_TRUE(budget.allows({std::size_t{1} << 40, std::int64_t{1} << 40}));
}

TEST(Budget, CountsWhatIsInFlight) {
  Budget budget({.max_tokens = 100});
  // One token for two bytes before anything is known.
  EXPECT_TRUE(budget.allows({200, 0}));
  EXPECT_FALSE(budget.allows({202, 0}));
  EXPECT_FALSE(budget.allows({200, 1}));
  budget.begin({100, 10});
  EXPECT_TRUE(budget.allows({80, 0}));
  EXPECT_FALSE(budget.allows({82, 0}));
  // Four bytes a token from now on.
  budget.end({100, 10}, {25, 5, true});
  EXPECT_EQ(budget.spent().input + budget.spent().output, 30);
  EXPECT_TRUE(budget.allows({280, 0}));
  EXPECT_FALSE(budget.allows({284, 0}));
  budget.begin({280, 0});
  budget.settle();
  EXPECT_TRUE(budget.allows({280, 0}));
}

TEST(Budget, ALostReplyCountsAsItsEstimate) {
  Budget budget({.max_tokens = 100});
  budget.begin({100, 10});
  budget.lose({100, 10});
  EXPECT_EQ(budget.spent().input, 50);
  EXPECT_EQ(budget.spent().output, 10);
  budget.settle();
  EXPECT_TRUE(budget.allows({80, 0}));
  EXPECT_FALSE(budget.allows({82, 0}));
}

TEST(Budget, PricesAreForAMillion) {
  Budget budget({.max_cost = 1.0, .price_in = 0.5, .price_out = 2.0});
  budget.add({1'000'000, 100'000, true});
  EXPECT_DOUBLE_EQ(budget.cost(), 0.7);
  EXPECT_TRUE(budget.allows({0, 150'000}));
  EXPECT_FALSE(budget.allows({0, 150'001}));
  EXPECT_EQ(budget.bound({0, 150'001}), "--max-cost");
  EXPECT_EQ(budget.text(), "0.7 of 1 in money are spent");
  Budget both({.max_tokens = 2000, .max_cost = 1.0, .price_in = 1});
  EXPECT_EQ(both.bound({4002, 0}), "--max-tokens-total");
  EXPECT_EQ(both.text(), "0 of 2,000 tokens, 0 of 1 in money are spent");
}

}  // namespace
}  // namespace agon::llm
