#include "agon/preference/inner_choice.h"

#include <gtest/gtest.h>

#include "agon/base/random.h"

namespace agon {
namespace {

/// Rows of one odd and one even column; `strength` is how far the odd one decides, `bend` whether it does so
/// only where the even one is high, which a line cannot see.
struct Sample {
  FeatureMatrix x;
  std::vector<Parity> parity{Parity::kOdd, Parity::kEven};
  std::vector<Outcome> outcomes;
  std::vector<double> weights;
  std::vector<std::uint32_t> fold;

  Sample(std::size_t n, double strength, bool bend, std::uint64_t seed) {
    x = {.rows = n, .columns = 2, .values = {}};
    Random random(seed);
    for (std::size_t i = 0; i < n; ++i) {
      const double odd = random.uniform() * 4 - 2, even = random.uniform();
      x.values.push_back(static_cast<float>(odd));
      x.values.push_back(static_cast<float>(even));
      const double d = strength * odd * (bend ? (even > 0.5 ? 1 : -1) : 1);
      const Prediction p = davidson(d, 0);
      const double u = random.uniform();
      outcomes.push_back(u < p.a ? Outcome::kA : u < p.a + p.b ? Outcome::kB : Outcome::kTie);
      weights.push_back(1);
      fold.push_back(static_cast<std::uint32_t>(i % 4));
    }
  }
  [[nodiscard]] TrainingRows rows() const { return {&x, parity, {}, outcomes, weights}; }
};

TEST(InnerChoice, EveryRowIsHeldOutOnce) {
  const std::vector<std::uint32_t> fold = {2, 0, 1, 0, 2};
  const auto splits = inner_splits(fold, 3);
  ASSERT_EQ(splits.size(), 3U);
  EXPECT_EQ(splits[0].held_out, (std::vector<std::uint32_t>{1, 3}));
  EXPECT_EQ(splits[0].train, (std::vector<std::uint32_t>{0, 2, 4}));
  EXPECT_EQ(splits[2].held_out, (std::vector<std::uint32_t>{0, 4}));
}

TEST(InnerChoice, PenaltyFollowsTheSignal) {
  const std::vector<double> choices = {1, 1e-3, 1e3};
  const OddEvenOptions options{.l2_odd = 3000, .l2_even = 3000};
  const Sample strong(800, 3, false, 1), none(800, 0, false, 2);
  const auto choice = [&](const Sample& s) {
    return choose_penalty(s.rows(), inner_splits(s.fold, 4), options, choices);
  };
  EXPECT_EQ(choice(strong), 1e-3);  // far too strong a default
  EXPECT_NE(choice(none), 1e-3);    // nothing to learn: a weaker penalty cannot be better
}

TEST(InnerChoice, TreesGrowWhereItPays) {
  const std::vector<TreeChoice> choices = {{1, 0}, {20, 0}, {20, 1}};
  const BoostedOptions options{.rounds = 3, .depth = 1, .eta = 0.1, .subsample = 1, .columns_by_tree = 1};
  const Sample bent(1500, 2, true, 3), none(600, 0, false, 4);
  const auto choice = [&](const Sample& s) {
    return choose_trees(s.rows(), inner_splits(s.fold, 4), options, choices);
  };
  const auto deep = choice(bent);
  ASSERT_TRUE(deep);
  EXPECT_EQ(deep->rounds, 20);
  EXPECT_EQ(deep->deeper, 1);  // one level cannot see where the odd column changes its side
  const auto small = choice(none);
  ASSERT_TRUE(small);
  EXPECT_EQ(small->rounds, 1);
  EXPECT_EQ(small->deeper, 0);
}

TEST(InnerChoice, SizesAreMultiplesOfTheRecipe) {
  const BoostedOptions options{.rounds = 100, .depth = 2};
  EXPECT_EQ(with_size(options, {0.75, 1}).rounds, 75);
  EXPECT_EQ(with_size(options, {0.75, 1}).depth, 3);
  EXPECT_EQ(with_size(options, {0.001, 0}).rounds, 1);
}

}  // namespace
}  // namespace agon
