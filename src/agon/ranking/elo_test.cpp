#include "agon/ranking/elo.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <numeric>

#include "agon/base/parallel.h"
#include "agon/ranking/paired_model.h"
#include "agon/ranking/test_tables.h"

namespace agon {
namespace {

TEST(Elo, OneBattleByHand) {
  BattleRows rows;
  rows.a = {0, 1};
  rows.b = {1, 0};
  rows.outcome = {BattleOutcome::kA, BattleOutcome::kTie};
  const auto r = elo(rows, 2, {.k = 32, .start = 1500}).value();
  // 1516 and 1484, then the favourite is held to a tie.
  const double expected = 1 / (1 + std::pow(10, (1516.0 - 1484) / 400));
  EXPECT_NEAR(r[1], 1484 + 32 * (0.5 - expected), 1e-9);
  EXPECT_NEAR(r[0] + r[1], 3000, 1e-9);
}

TEST(Elo, OrderMattersAndShufflesShowIt) {
  BattleRows rows = ranking_test::random_rows(2, 4, 2000);
  // The same battles, sorted: first all wins of A, then all others.
  std::vector<std::uint32_t> order(rows.size());
  std::iota(order.begin(), order.end(), 0U);
  std::stable_sort(order.begin(), order.end(),
                   [&](auto x, auto y) { return rows.outcome[x] < rows.outcome[y]; });
  const auto spread = elo_shuffled(rows, 4, 200, 5, {.k = 16}, order).value();
  const auto in_order = elo(rows, 4, {.k = 16}, order).value();
  const auto strengths = fit_paired(ranking_test::count_rows(rows), 4).value().strengths();
  for (std::size_t i = 0; i < 4; ++i) {
    EXPECT_EQ(spread[i].in_order, in_order[i]);
    EXPECT_LT(spread[i].low, spread[i].mean);
    EXPECT_GT(spread[i].high, spread[i].mean);
    // On average over orders Elo hovers round the Bradley-Terry rating.
    EXPECT_NEAR(spread[i].mean, 1000 + kEloScale * strengths[i], 12);
  }
  set_thread_count(1);
  const auto one = elo_shuffled(rows, 4, 20, 5).value();
  set_thread_count(4);
  const auto four = elo_shuffled(rows, 4, 20, 5).value();
  set_thread_count(0);
  for (std::size_t i = 0; i < 4; ++i) EXPECT_EQ(one[i].low, four[i].low);
}

TEST(Elo, RefusesWhatMakesNoSense) {
  const BattleRows rows = ranking_test::random_rows(2, 3, 10);
  EXPECT_FALSE(elo(rows, 3, {.k = -1}));
  EXPECT_FALSE(elo(rows, 3, {.scale = 0}));
  EXPECT_FALSE(elo(rows, 3, {.base = 1}));
  EXPECT_FALSE(elo_shuffled(rows, 3, 0));
}

}  // namespace
}  // namespace agon
