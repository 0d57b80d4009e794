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
    return choose_penalty(s.rows(), inner_splits(s.fold, 4), options, choices).choice;
  };
  EXPECT_EQ(choice(strong), 1e-3);  // far too strong a default
  EXPECT_NE(choice(none), 1e-3);    // nothing to learn: a weaker penalty cannot be better
}

// What is handed back instead of fitting once more must be what fitting once more would give.
TEST(InnerChoice, HeldOutPredictionsAreThoseOfTheChosenModels) {
  const Sample s(600, 2, true, 5);
  const std::vector<InnerSplit> splits = inner_splits(s.fold, 4);
  const OddEvenOptions linear{.l2_odd = 3, .l2_even = 3};
  const std::vector<double> penalties = {1, 0.5, 2};
  const Chosen<double> penalty = choose_penalty(s.rows(), splits, linear, penalties);
  BoostedOptions boosted{.rounds = 20, .depth = 2, .eta = 0.1, .subsample = 0.5, .columns_by_tree = 0.5};
  boosted.bags = 1;
  const std::vector<TreeChoice> sizes = {{1, 0}, {0.5, 0}, {1.5, 0}, {0.75, 1}};
  const auto size = choose_trees(s.rows(), std::span(splits).first(2), boosted, sizes);
  ASSERT_TRUE(size);
  ASSERT_EQ(penalty.held_out.size(), 4U);
  ASSERT_EQ(size->held_out.size(), 2U);
  for (std::size_t f = 0; f < splits.size(); ++f) {
    TrainingRows part = s.rows();
    part.rows = splits[f].train;
    const OddEvenModel line = OddEvenModel::fit(part, with_penalty(linear, penalty.choice));
    ASSERT_EQ(penalty.held_out[f].size(), splits[f].held_out.size());
    for (std::size_t i = 0; i < splits[f].held_out.size(); ++i) {
      const Prediction again = line.predict(s.rows().features->row(splits[f].held_out[i]));
      EXPECT_NEAR(penalty.held_out[f][i].a, again.a, 1e-6);
      EXPECT_NEAR(penalty.held_out[f][i].tie, again.tie, 1e-6);
    }
    if (f >= size->held_out.size()) continue;
    const auto trees = BoostedModel::fit(part, with_size(boosted, size->choice));
    ASSERT_TRUE(trees);
    const auto again = trees->predict(s.rows().features->rows_of(splits[f].held_out));
    ASSERT_TRUE(again);
    ASSERT_EQ(size->held_out[f].size(), again->size());
    for (std::size_t i = 0; i < again->size(); ++i) EXPECT_EQ(size->held_out[f][i].a, (*again)[i].a);
  }
  EXPECT_TRUE(choose_penalty(s.rows(), splits, linear, std::span(penalties).first(1)).held_out.empty());
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
  EXPECT_EQ(deep->choice.rounds, 20);
  EXPECT_EQ(deep->choice.deeper, 1);  // one level cannot see where the odd column changes its side
  const auto small = choice(none);
  ASSERT_TRUE(small);
  EXPECT_EQ(small->choice.rounds, 1);
  EXPECT_EQ(small->choice.deeper, 0);
}

TEST(InnerChoice, SizesAreMultiplesOfTheRecipe) {
  const BoostedOptions options{.rounds = 100, .depth = 2};
  EXPECT_EQ(with_size(options, {0.75, 1}).rounds, 75);
  EXPECT_EQ(with_size(options, {0.75, 1}).depth, 3);
  EXPECT_EQ(with_size(options, {0.001, 0}).rounds, 1);
}

}  // namespace
}  // namespace agon
