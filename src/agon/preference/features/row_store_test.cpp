// Rows of costly features kept on disk: computed once, found again by text alone, refused when damaged.
#include <gtest/gtest.h>

#include <algorithm>

#include "agon/preference/features/cache.h"
#include "temp_folder.h"
#include "tiny_model.h"

namespace agon {
namespace {

/// Two columns from the answers' lengths; counts how many rows it was asked for.
class CountingBlock final : public FeatureBlock {
 public:
  [[nodiscard]] std::string_view name() const override { return "counting"; }
  [[nodiscard]] int version() const override { return version_; }
  [[nodiscard]] std::span<const Column> columns() const override { return columns_; }
  [[nodiscard]] bool cacheable() const override { return true; }
  [[nodiscard]] Status compute(std::span<const Vote> votes, std::span<float> out,
                               const Progress&) const override {
    computed += votes.size();
    for (std::size_t i = 0; i < votes.size(); ++i) {
      const auto a = static_cast<float>(votes[i].response_a[0].text.size()),
                 b = static_cast<float>(votes[i].response_b[0].text.size());
      out[2 * i] = a - b;
      out[2 * i + 1] = a + b;
    }
    return {};
  }
  mutable std::size_t computed = 0;
  int version_ = 1;

 private:
  std::vector<Column> columns_{{"counting.d", "d", Parity::kOdd}, {"counting.s", "s", Parity::kEven}};
};

std::vector<Vote> distinct_votes() {
  std::vector<Vote> votes = tiny_votes().votes;
  for (std::size_t i = 0; i < votes.size(); ++i) votes[i].response_a[0].text += std::string(i, 'x');
  return votes;
}

TEST(FeatureCache, RowsAreComputedOnceAndFoundByTextAlone) {
  TempFolder folder;
  const std::string cache = folder / "cache";
  CountingBlock block;
  std::vector<Vote> votes = distinct_votes();
  const auto first = all_features(votes, {&block}, cache, {});
  ASSERT_TRUE(first) << first.error().to_string();
  EXPECT_EQ(block.computed, votes.size());
  const std::size_t width = text_columns().size();
  ASSERT_EQ(first->columns, width + 2);
  for (std::size_t i = 0; i < votes.size(); ++i)
    EXPECT_EQ(first->row(i)[width + 1],
              static_cast<float>(votes[i].response_a[0].text.size() + votes[i].response_b[0].text.size()));
  std::ranges::reverse(votes);
  for (Vote& vote : votes) {
    vote.model_a = "other";
    vote.id += "x";
    vote.outcome = Outcome::kUnknown;
  }
  const auto again = all_features(votes, {&block}, cache, {});
  ASSERT_TRUE(again);
  EXPECT_EQ(block.computed, votes.size());
  for (std::size_t i = 0; i < votes.size(); ++i)
    EXPECT_TRUE(std::ranges::equal(again->row(i), first->row(votes.size() - 1 - i)));
  votes[0].response_a[0].text += "!";
  ASSERT_TRUE(all_features(votes, {&block}, cache, {}));
  EXPECT_EQ(block.computed, votes.size() + 1);
}

TEST(FeatureCache, RepeatedVotesAreComputedOnceAndAnotherVersionAnew) {
  TempFolder folder;
  CountingBlock block;
  std::vector<Vote> votes(7, distinct_votes()[0]);
  ASSERT_TRUE(all_features(votes, {&block}, folder / "c", {}));
  EXPECT_EQ(block.computed, 1U);
  block.version_ = 2;
  ASSERT_TRUE(all_features(votes, {&block}, folder / "c", {}));
  EXPECT_EQ(block.computed, 2U);
}

TEST(FeatureCache, AnyDamageIsAnErrorThatNamesTheFile) {
  TempFolder folder;
  CountingBlock block;
  const std::vector<Vote> votes = distinct_votes();
  ASSERT_TRUE(all_features(votes, {&block}, folder / "c", {}));
  const std::string path = folder / "c/counting-v1.rows", good = slurp(path);
  for (std::size_t i = 0; i < good.size(); ++i) {
    std::string bad = good;
    bad[i] = static_cast<char>(bad[i] ^ (1 << (i % 8)));
    spill(path, i % 2 == 0 ? bad : good.substr(0, i));
    const auto result = all_features(votes, {&block}, folder / "c", {});
    ASSERT_FALSE(result) << i;
    EXPECT_EQ(result.error().file, path);
  }
}

TEST(FeatureCache, TheHashSeesTurnsNullsAndSides) {
  Vote vote = distinct_votes()[0];
  const std::uint64_t hash = content_hash(vote);
  EXPECT_NE(hash, content_hash(swapped(vote)));
  Vote split = vote;
  split.response_a = {{.text = vote.response_a[0].text.substr(0, 3), .null = false},
                      {.text = vote.response_a[0].text.substr(3), .null = false}};
  EXPECT_NE(hash, content_hash(split));
  Vote empty = vote, null = vote;
  empty.response_b = {{.text = "", .null = false}};
  null.response_b = {{.text = "", .null = true}};
  EXPECT_NE(content_hash(empty), content_hash(null));
}

}  // namespace
}  // namespace agon
