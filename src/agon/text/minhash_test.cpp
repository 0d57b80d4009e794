#include "agon/text/minhash.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <set>

#include "agon/base/disjoint_sets.h"
#include "agon/base/parallel.h"
#include "agon/base/random.h"

namespace agon {
namespace {

std::vector<std::uint64_t> random_set(Random& random, std::size_t size) {
  std::set<std::uint64_t> set;
  while (set.size() < size) set.insert(random.next());
  return {set.begin(), set.end()};
}

/// `of` with `count` members replaced by new ones: Jaccard (n - count) / (n + count).
std::vector<std::uint64_t> altered(Random& random, std::vector<std::uint64_t> of, std::size_t count) {
  random.shuffle(std::span(of));
  for (std::size_t i = 0; i < count; ++i) of[i] = random.next();
  std::sort(of.begin(), of.end());
  return of;
}

TEST(Similarity, IsExactOnSmallSets) {
  EXPECT_DOUBLE_EQ(similarity(sketch_of({1, 2, 3, 4}), sketch_of({3, 4, 5})), 2.0 / 5);
  EXPECT_DOUBLE_EQ(similarity(sketch_of({1, 2}), sketch_of({1, 2})), 1.0);
  EXPECT_DOUBLE_EQ(similarity(sketch_of({1}), sketch_of({2})), 0.0);
  EXPECT_DOUBLE_EQ(similarity(sketch_of({}), sketch_of({})), 0.0);
}

TEST(Similarity, IsEstimatedWithoutBiasOnLargeOnes) {
  Random random(4);
  double mean = 0, worst = 0;
  constexpr int kTrials = 60;
  const double truth = 4500.0 / 5500;
  for (int t = 0; t < kTrials; ++t) {
    const auto a = random_set(random, 5000);
    const double s = similarity(sketch_of(a), sketch_of(altered(random, a, 500)));
    mean += s / kTrials;
    worst = std::max(worst, std::abs(s - truth));
  }
  EXPECT_NEAR(mean, truth, 4 * 0.017 / std::sqrt(kTrials));
  EXPECT_LT(worst, 4 * 0.017);
}

// Against all pairs by brute force: families of sets altered more and more, many of them near the border.
TEST(NearDuplicates, FindWhatTheNaiveTwinFinds) {
  Random random(5);
  std::vector<Sketch> sketches;
  for (int family = 0; family < 60; ++family) {
    auto set = random_set(random, 8 + random.below(200));
    for (int member = 0; member < 6; ++member) {
      sketches.push_back(sketch_of(set));
      set = altered(random, set, random.below(set.size() / 6 + 1));
    }
  }
  sketches.push_back({});  // an empty set is near nothing, another empty one included
  sketches.push_back({});
  DisjointSets naive(sketches.size());
  for (std::uint32_t i = 0; i < sketches.size(); ++i)
    for (std::uint32_t j = 0; j < i; ++j)
      if (similarity(sketches[i], sketches[j]) >= 0.8) naive.link(i, j);
  const std::vector<std::uint32_t> quick = near_duplicates(sketches, 0.8);
  std::size_t linked = 0;
  for (std::uint32_t i = 0; i < sketches.size(); ++i) {
    EXPECT_EQ(quick[i], naive.root(i));
    linked += quick[i] != i;
  }
  EXPECT_GT(linked, 100U);
  EXPECT_LT(linked, 250U);
}

// 3,000 texts of one template (half of each set in common, Jaccard 1/3) stay apart, and two that are
// equal but for one member still find each other in the crowd.
TEST(NearDuplicates, ATemplateIsNoDuplicate) {
  Random random(6);
  const auto common = random_set(random, 40);
  std::vector<Sketch> sketches;
  for (int i = 0; i < 3000; ++i) {
    auto set = common;
    for (int k = 0; k < 40; ++k) set.push_back(random.next());
    std::sort(set.begin(), set.end());
    sketches.push_back(sketch_of(set));
  }
  sketches.push_back(sketch_of(altered(random, sketches[1500].smallest, 1)));
  const auto groups = near_duplicates(sketches, 0.8);
  for (std::uint32_t i = 0; i < 3000; ++i) EXPECT_EQ(groups[i], i);
  EXPECT_EQ(groups[3000], 1500U);
  set_thread_count(1);
  EXPECT_EQ(near_duplicates(sketches, 0.8), groups);
  set_thread_count(0);
}

}  // namespace
}  // namespace agon
