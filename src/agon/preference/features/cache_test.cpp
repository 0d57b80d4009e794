#include "agon/preference/features/cache.h"

#include <gtest/gtest.h>
#include <unistd.h>

#include <filesystem>

#include "agon/base/file.h"

namespace agon {
namespace {

/// Length of A minus that of B, and a count of how many votes it was asked to compute.
class CountingBlock final : public FeatureBlock {
 public:
  explicit CountingBlock(int version, bool cacheable = true) : version_(version), cacheable_(cacheable) {}
  std::string_view name() const override { return "counting"; }
  int version() const override { return version_; }
  std::span<const Column> columns() const override { return columns_; }
  bool cacheable() const override { return cacheable_; }
  Status compute(std::span<const Vote> votes, std::span<float> out, const Progress&) const override {
    computed += votes.size();
    for (std::size_t i = 0; i < votes.size(); ++i) {
      const float a = static_cast<float>(votes[i].response_a[0].text.size());
      const float b = static_cast<float>(votes[i].response_b[0].text.size());
      out[2 * i] = a - b;
      out[2 * i + 1] = a + b;
    }
    return {};
  }
  mutable std::size_t computed = 0;

 private:
  int version_;
  bool cacheable_;
  std::vector<Column> columns_{{"counting.diff", "", Parity::kOdd}, {"counting.sum", "", Parity::kEven}};
};

Vote vote(const std::string& a, const std::string& b) {
  Vote v;
  v.prompt = {Turn{"hello"}};
  v.response_a = {Turn{a}};
  v.response_b = {Turn{b}};
  return v;
}

class FeatureCache : public testing::Test {
 protected:
  void SetUp() override {
    folder_ = std::filesystem::temp_directory_path() /
              ("agon-cache-" + std::to_string(::getpid()) + "-" +
               testing::UnitTest::GetInstance()->current_test_info()->name());
    std::filesystem::remove_all(folder_);
  }
  void TearDown() override { std::filesystem::remove_all(folder_); }
  std::vector<float> run(const CountingBlock& block, const std::vector<Vote>& votes) {
    std::vector<float> out(2 * votes.size());
    const Status status = cached_block(block, votes, folder_.string(), out, 2, {});
    EXPECT_TRUE(status) << (status ? "" : status.error().to_string());
    return out;
  }
  std::filesystem::path folder_;
};

TEST_F(FeatureCache, ComputesEveryTextOnceAcrossRuns) {
  const std::vector<Vote> votes{vote("aa", "b"), vote("c", "dddd"), vote("aa", "b")};
  const CountingBlock first(1);
  const std::vector<float> expected{1, 3, -3, 5, 1, 3};
  EXPECT_EQ(run(first, votes), expected);
  EXPECT_EQ(first.computed, 2U);  // the third is the first again
  const CountingBlock second(1);
  EXPECT_EQ(run(second, votes), expected);
  EXPECT_EQ(second.computed, 0U);
  EXPECT_EQ(run(second, {vote("c", "dddd"), vote("e", "e")}), (std::vector<float>{-3, 5, 0, 2}));
  EXPECT_EQ(second.computed, 1U);
}

TEST_F(FeatureCache, AnotherVersionIsAnotherCache) {
  run(CountingBlock(1), {vote("a", "b")});
  const CountingBlock next(2);
  run(next, {vote("a", "b")});
  EXPECT_EQ(next.computed, 1U);
}

TEST_F(FeatureCache, CheapBlocksLeaveNothingOnDisk) {
  const CountingBlock cheap(1, false);
  run(cheap, {vote("a", "b")});
  EXPECT_FALSE(std::filesystem::exists(folder_));
}

TEST_F(FeatureCache, RefusesADamagedFileByName) {
  run(CountingBlock(1), {vote("a", "b"), vote("aa", "b")});
  const std::string path = (folder_ / "counting-v1.rows").string();
  const std::string whole = *read_file(path);
  for (std::size_t i = 0; i < whole.size(); i += 3) {
    std::string damaged = whole;
    damaged[i] = static_cast<char>(damaged[i] ^ 0x41);
    ASSERT_TRUE(write_file(path, damaged));
    std::vector<float> out(2);
    const Status status =
        cached_block(CountingBlock(1), std::vector<Vote>{vote("a", "b")}, folder_.string(), out, 2, {});
    ASSERT_FALSE(status) << "byte " << i;
    EXPECT_EQ(status.error().file, path);
  }
}

TEST(ContentHash, DependsOnTextAndNullsOnly) {
  const Vote v = vote("a", "b");
  Vote other = v;
  other.id = "7";
  other.model_a = "m";
  other.outcome = Outcome::kA;
  EXPECT_EQ(content_hash(v), content_hash(other));
  EXPECT_NE(content_hash(v), content_hash(swapped(v)));
  other.response_a[0].null = true;
  EXPECT_NE(content_hash(v), content_hash(other));
  Vote moved = v;  // the same characters, another turn
  moved.prompt.push_back(Turn{"a"});
  moved.response_a.clear();
  EXPECT_NE(content_hash(v), content_hash(moved));
}

TEST(AllFeatures, PutsExtraBlocksBehindTheBuiltInOnes) {
  const std::vector<Vote> votes{vote("aa", "b"), vote("c", "dddd")};
  const CountingBlock block(1, false);
  const auto all = all_features(votes, {&block}, "", {});
  ASSERT_TRUE(all);
  ASSERT_EQ(all->columns, text_columns().size() + 2);
  EXPECT_EQ(all->row(1)[text_columns().size()], -3);
  EXPECT_EQ(all->row(1)[text_columns().size() + 1], 5);
}

}  // namespace
}  // namespace agon
