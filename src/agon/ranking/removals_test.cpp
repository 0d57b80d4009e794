#include "agon/ranking/removals.h"

#include <gtest/gtest.h>

#include <cmath>
#include <functional>

#include "agon/ranking/graph.h"
#include "agon/ranking/test_tables.h"

namespace agon {
namespace {

using ranking_test::add;

PairedFit fit_of(const PairTable& pairs, std::size_t n) {
  auto fit = fit_paired(pairs, n);
  EXPECT_TRUE(fit) << (fit ? "" : fit.error().to_string());
  return *fit;
}

TEST(RemoveModels, AgreesWithRefitsByHand) {
  const PairTable pairs = ranking_test::count_rows(ranking_test::random_rows(5, 6, 600));
  const PairedFit fit = fit_of(pairs, 6);
  const auto removals = remove_models(fit, pairs, 6);
  ASSERT_EQ(removals.size(), 6U);
  for (const ModelRemoval& r : removals) {
    // The rest, counted anew from the table.
    PairTable rest;
    const auto number = [&](std::uint32_t i) { return i - (i > r.removed); };
    for (PairCount p : pairs) {
      if (p.first == r.removed || p.second == r.removed) continue;
      p.first = number(p.first);
      p.second = number(p.second);
      rest.push_back(p);
    }
    const PairedFit refit = fit_of(rest, 5);
    double mean = 0, moved = 0;
    for (std::uint32_t i = 0; i < 6; ++i)
      if (i != r.removed) mean += fit.strength(i) / 5;
    for (std::uint32_t i = 0; i < 6; ++i) {
      if (i == r.removed) continue;
      const double change = refit.strength(number(i)) - (fit.strength(i) - mean);
      if (std::abs(change) > std::abs(moved)) moved = change;
    }
    EXPECT_NEAR(r.moved, moved, 1e-7);
    EXPECT_EQ(r.breaks, "");
    EXPECT_LT(std::abs(r.z), 5);  // random votes: nothing hangs on who is there
  }
}

TEST(RemoveModels, SaysWhatFallsApartAndWhatHangsOnAThird) {
  PairTable chain;  // 0 - 1 - 2
  add(chain, 0, 1, {5, 4, 0, 0});
  add(chain, 1, 2, {5, 4, 0, 0});
  const auto removals = remove_models(fit_of(chain, 3), chain, 3);
  EXPECT_NE(removals[1].breaks, "");
  EXPECT_EQ(removals[0].breaks, "");
  // A circle of preference: who beats whom depends on who is there.
  PairTable circle;
  add(circle, 0, 1, {900, 100, 0, 0});
  add(circle, 1, 2, {900, 100, 0, 0});
  add(circle, 2, 0, {900, 100, 0, 0});
  for (const ModelRemoval& r : remove_models(fit_of(circle, 3), circle, 3)) {
    EXPECT_GT(std::abs(r.z), 10);
    EXPECT_NEAR(std::abs(r.moved), 0.5 * std::log(9.0), 1e-6);
  }
}

TEST(RemoveModels, ZIsStandardNormalWhenStrengthsAreAllThereIs) {
  // Over many data sets of equals, the largest of few correlated z stays where normals stay.
  double squares = 0;
  int count = 0;
  for (std::uint64_t seed = 1; seed <= 60; ++seed) {
    Random random(seed);
    PairTable pairs;
    for (std::uint32_t i = 0; i < 3; ++i)
      for (std::uint32_t j = i + 1; j < 3; ++j) {
        double wins = 0;
        for (int k = 0; k < 200; ++k) wins += random.uniform() < 0.5;
        add(pairs, i, j, {wins, 200 - wins, 0, 0});
      }
    for (const ModelRemoval& r : remove_models(fit_of(pairs, 3), pairs, 3)) {
      squares += r.z * r.z;
      ++count;
    }
  }
  // With two left, their z are one number up to sign. Mean of its square: 1, error sqrt(2/60) at most.
  EXPECT_NEAR(squares / count, 1, 0.5);
}

TEST(LeanOnLinks, AgreesWithARefitWithoutTheLink) {
  PairTable pairs = ranking_test::count_rows(ranking_test::random_rows(8, 5, 400));
  const PairedFit fit = fit_of(pairs, 5);
  const Covariance with = model_covariance(fit);
  for (const Lean& lean : lean_on_links(fit, pairs)) {
    // The information without the link, inverted whole.
    PairedFit without = fit;
    const double p = 1 / (1 + std::exp(fit.strength(lean.other) - fit.strength(lean.model)));
    double votes = 0, all = 0;
    for (const PairCount& c : pairs) {
      const double other = c.first == lean.model ? c.second : c.first;
      if (c.first != lean.model && c.second != lean.model) continue;
      const double q = 1 / (1 + std::exp(fit.strength(c.second) - fit.strength(c.first)));
      all += c.total() * q * (1 - q);
      if (other == lean.other) votes += c.total();
    }
    EXPECT_NEAR(lean.votes, votes, 1e-9);
    EXPECT_NEAR(lean.share, votes * p * (1 - p) / all, 1e-9);
    const double w = votes * p * (1 - p);
    without.hessian(lean.model, lean.model) -= w;
    without.hessian(lean.other, lean.other) -= w;
    without.hessian(lean.model, lean.other) += w;
    without.hessian(lean.other, lean.model) += w;
    EXPECT_NEAR(lean.widening, model_covariance(without).se(lean.model) / with.se(lean.model), 1e-6);
  }
  PairTable chain;
  add(chain, 0, 1, {5, 4, 0, 0});
  add(chain, 1, 2, {5, 4, 0, 0});
  EXPECT_TRUE(std::isinf(lean_on_links(fit_of(chain, 3), chain)[0].widening));
}

// The smallest number of votes whose removal changes the first place, by trying all.
std::uint64_t smallest_by_search(const PairTable& pairs, std::size_t n, std::uint64_t most) {
  const PairedFit fit = fit_of(pairs, n);
  std::uint32_t leader = 0;
  for (std::uint32_t i = 0; i < n; ++i)
    if (fit.strength(i) > fit.strength(leader)) leader = i;
  PairTable table = pairs;
  const std::function<bool(std::size_t, std::uint64_t)> search = [&](std::size_t slot, std::uint64_t left) {
    if (left == 0) {
      const auto refit = fit_paired(table, n);
      if (!refit) return false;
      for (std::uint32_t i = 0; i < n; ++i)
        if (refit->strength(i) > refit->strength(leader) + 1e-9) return true;
      return false;
    }
    if (slot == 3 * table.size()) return false;
    double& weight = table[slot / 3].weight[slot % 3];
    const double before = weight;
    for (std::uint64_t take = 0; take <= left && static_cast<double>(take) <= before; ++take) {
      weight = before - static_cast<double>(take);
      const bool found = search(slot + 1, left - take);
      weight = before;
      if (found) return true;
    }
    return false;
  };
  for (std::uint64_t k = 1; k <= most; ++k)
    if (search(0, k)) return k;
  return 0;
}

TEST(DropVotes, FindsTheSmallestNumberInSmallTables) {
  int optimal = 0, tried = 0;
  for (std::uint64_t seed = 1; seed <= 24; ++seed) {
    const PairTable pairs = fold_order(ranking_test::count_rows(ranking_test::random_rows(seed, 3, 40)));
    PairTable plain = pairs;
    for (PairCount& p : plain) {
      p.weight[2] += p.weight[3];
      p.weight[3] = 0;
      p.weight_sq = p.weight;
    }
    if (!fit_paired(plain, 3)) continue;
    const FirstPlace found = drop_votes_from_first(fit_of(plain, 3), plain);
    const std::uint64_t smallest = smallest_by_search(plain, 3, 4);
    if (smallest == 0) {
      EXPECT_TRUE(found.votes == 0 || found.votes > 4);
      continue;
    }
    ++tried;
    ASSERT_GE(found.votes, smallest);
    EXPECT_LE(found.votes, smallest + 1);
    optimal += found.votes == smallest;
    EXPECT_FALSE(found.approximate);
  }
  ASSERT_GE(tried, 10);
  EXPECT_GE(optimal, tried - 1);
}

TEST(DropVotes, TheDroppedVotesDoChangeTheFirstPlace) {
  const PairTable pairs = fold_order(ranking_test::count_rows(ranking_test::random_rows(3, 8, 4000)));
  const PairedFit fit = fit_of(pairs, 8);
  const FirstPlace found = drop_votes_from_first(fit, pairs);
  ASSERT_GT(found.votes, 0U);
  PairTable rest = pairs;
  std::uint64_t count = 0;
  for (const DroppedVotes& d : found.dropped) {
    count += d.count;
    for (PairCount& p : rest) {
      if (p.first != d.first || p.second != d.second) continue;
      auto take = static_cast<double>(d.count);
      const auto o = static_cast<std::size_t>(d.outcome);
      const double here = std::min(take, p.weight[o]);
      p.weight[o] -= here;
      if (o == 2) p.weight[3] -= take - here;  // ties and "both bad" are one
      EXPECT_GE(p.weight[o], 0);
    }
  }
  EXPECT_EQ(count, found.votes);
  const PairedFit refit = fit_of(rest, 8);
  EXPECT_GT(refit.strength(found.challenger), refit.strength(found.leader));
  // With any one of them put back, the leader is first.
  EXPECT_TRUE(found.spare_none);
  for (const DroppedVotes& d : found.dropped) {
    PairTable more = rest;
    for (PairCount& p : more)
      if (p.first == d.first && p.second == d.second) p.weight[static_cast<std::size_t>(d.outcome)] += 1;
    const PairedFit again = fit_of(more, 8);
    for (std::size_t i = 0; i < 8; ++i) EXPECT_LE(again.strength(i), again.strength(found.leader));
  }
  EXPECT_NEAR(found.predicted, static_cast<double>(found.votes), 0.3 * found.predicted + 2);
}

TEST(DropVotes, ALeaderFarAheadStays) {
  PairTable pairs;
  add(pairs, 0, 1, {95, 5, 0, 0});
  add(pairs, 0, 2, {95, 5, 0, 0});
  add(pairs, 1, 2, {50, 50, 0, 0});
  const FirstPlace found = drop_votes_from_first(fit_of(pairs, 3), pairs);
  EXPECT_EQ(found.leader, 0U);
  EXPECT_EQ(found.votes, 0U);
}

}  // namespace
}  // namespace agon
