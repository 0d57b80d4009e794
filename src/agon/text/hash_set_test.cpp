#include "agon/text/hash_set.h"

#include <gtest/gtest.h>

#include <set>

#include "agon/base/random.h"

namespace agon {
namespace {

TEST(HashSet, AgreesWithStdSetOverGrowthAndManyClears) {
  HashSet set;
  Random random(7);
  for (int round = 0; round < 400; ++round) {
    set.clear();
    std::set<std::uint64_t> twin;
    // Round 0 grows far past the first size; later rounds meet slots stamped by earlier ones.
    const std::uint64_t count = round == 0 ? 20'000 : random.below(700);
    const std::uint64_t range = 1 + random.below(1000);  // small ranges: most keys come twice
    for (std::uint64_t i = 0; i < count; ++i) {
      const std::uint64_t key = round % 3 == 0 ? random.next() : random.below(range);
      ASSERT_EQ(set.insert(key), twin.insert(key).second);
      ASSERT_EQ(set.size(), twin.size());
    }
    for (const std::uint64_t key : twin) ASSERT_TRUE(set.contains(key));
    for (int i = 0; i < 100; ++i) {
      const std::uint64_t key = random.below(2 * range);
      ASSERT_EQ(set.contains(key), twin.contains(key)) << "round " << round;
    }
  }
}

TEST(HashSet, IsEmptyAtFirstAndHoldsTheKeyZero) {
  HashSet set;
  EXPECT_EQ(set.size(), 0U);
  EXPECT_FALSE(set.contains(0));
  EXPECT_TRUE(set.insert(0));
  EXPECT_FALSE(set.insert(0));
  EXPECT_TRUE(set.contains(0));
  set.clear();
  EXPECT_FALSE(set.contains(0));
}

TEST(HashSet, FindsKeysThatShareASlot) {
  HashSet set;
  for (std::uint64_t i = 0; i < 300; ++i) EXPECT_TRUE(set.insert(i << 40));  // all of slot 0
  for (std::uint64_t i = 0; i < 300; ++i) EXPECT_TRUE(set.contains(i << 40));
  EXPECT_FALSE(set.contains(std::uint64_t{300} << 40));
}

}  // namespace
}  // namespace agon
