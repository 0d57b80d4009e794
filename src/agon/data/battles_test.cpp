#include "agon/data/battles.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cmath>
#include <fstream>

#include "agon/base/file.h"

namespace agon {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;

const std::string kPairCounts =
    std::string(AGON_SOURCE_DIR) + "/data/battles/arena_2024-08-14_pair_counts.json.gz";

std::array<double, 4> totals(const PairTable& pairs) {
  std::array<double, 4> sum{};
  for (const PairCount& pair : pairs) {
    for (std::size_t k = 0; k < 4; ++k) sum[k] += pair.weight[k];
  }
  return sum;
}

TEST(Battles, RealPairCountsHoldTheKnownNumbersOfVotes) {
  const auto set = read_battles({kPairCounts}, {});
  ASSERT_TRUE(set) << set.error().to_string();
  EXPECT_EQ(set->competitors.size(), 129U);
  EXPECT_EQ(set->pairs.size(), 3460U);
  EXPECT_EQ(set->battles(), 1'670'250U);
  EXPECT_EQ(set->sources.at(0).form, "pair counts");
  EXPECT_EQ(totals(set->pairs)[3], 295'254);  // 1,374,996 remain without the both-bad ones
}

}  // namespace
}  // namespace agon
