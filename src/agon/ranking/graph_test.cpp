#include "agon/ranking/graph.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <numbers>
#include <set>

#include "agon/base/random.h"
#include "agon/ranking/test_tables.h"

namespace agon {
namespace {

using ranking_test::add;

TEST(Graph, ComponentsAreNumberedByFallingSize) {
  PairTable t;
  add(t, 0, 1, {1, 0, 0, 0});
  add(t, 2, 3, {0, 0, 1, 0});
  add(t, 4, 3, {0, 1, 0, 0});
  const Components c = meeting_components(t, 6);
  EXPECT_EQ(c.count, 3U);
  EXPECT_EQ(c.of, (std::vector<std::uint32_t>{1, 1, 0, 0, 0, 2}));
  EXPECT_EQ(c.sizes, (std::vector<std::uint32_t>{3, 2, 1}));
}

// Reachability by Warshall's algorithm, from the definition.
TEST(Graph, WinComponentsAgreeWithReachability) {
  for (std::uint64_t seed = 0; seed < 200; ++seed) {
    Random random(seed);
    const auto n = static_cast<std::uint32_t>(2 + random.below(9));
    PairTable t;
    for (std::uint64_t k = random.below(3 * n); k-- > 0;) {
      const auto a = static_cast<std::uint32_t>(random.below(n));
      const auto b = static_cast<std::uint32_t>((a + 1 + random.below(n - 1)) % n);
      std::array<double, 4> count{};
      count[random.below(8) == 0 ? 2 : random.below(2)] = 1;
      add(t, a, b, count);
    }
    std::vector<std::vector<bool>> reach(n, std::vector<bool>(n, false));
    for (std::uint32_t i = 0; i < n; ++i) reach[i][i] = true;
    for (const PairCount& p : t) {
      if (p.weight[0] + p.weight[2] > 0) reach[p.first][p.second] = true;
      if (p.weight[1] + p.weight[2] > 0) reach[p.second][p.first] = true;
    }
    for (std::uint32_t k = 0; k < n; ++k)
      for (std::uint32_t i = 0; i < n; ++i)
        for (std::uint32_t j = 0; j < n; ++j)
          if (reach[i][k] && reach[k][j]) reach[i][j] = true;
    const Components c = win_components(t, n, BothBadAs::kTie);
    for (std::uint32_t i = 0; i < n; ++i)
      for (std::uint32_t j = 0; j < n; ++j) EXPECT_EQ(c.of[i] == c.of[j], reach[i][j] && reach[j][i]) << seed;
    EXPECT_EQ(explain_separation(t, n, BothBadAs::kTie).empty(), c.count == 1) << seed;
  }
}

TEST(Graph, SeparationIsExplainedByNames) {
  const std::vector<std::string> names = {"ape", "bee", "cat"};
  PairTable t;
  add(t, 0, 1, {3, 2, 0, 0});
  EXPECT_NE(explain_separation(t, 3, BothBadAs::kTie, names).find("nothing compares 'cat'"),
            std::string::npos);
  add(t, 2, 0, {5, 0, 0, 0});
  EXPECT_NE(explain_separation(t, 3, BothBadAs::kTie, names).find("'cat' won every battle"),
            std::string::npos);
  t.back().weight = {0, 5, 0, 0};
  EXPECT_NE(explain_separation(t, 3, BothBadAs::kTie, names).find("'cat' lost every battle"),
            std::string::npos);
  t.back().weight = {0, 5, 0, 1};
  EXPECT_EQ(explain_separation(t, 3, BothBadAs::kTie, names), "");
  EXPECT_NE(explain_separation(t, 3, BothBadAs::kNothing, names), "");
}

// Bridges by taking each link out and counting components.
TEST(Graph, BridgesAreLinksWhoseLossSplits) {
  for (std::uint64_t seed = 0; seed < 200; ++seed) {
    Random random(seed, 1);
    const auto n = static_cast<std::uint32_t>(2 + random.below(10));
    PairTable t;
    for (std::uint64_t k = 1 + random.below(2 * n); k-- > 0;) {
      const auto a = static_cast<std::uint32_t>(random.below(n));
      add(t, a, static_cast<std::uint32_t>((a + 1 + random.below(n - 1)) % n), {1, 0, 0, 0});
    }
    std::set<std::pair<std::uint32_t, std::uint32_t>> links, expected, found;
    for (const PairCount& p : t) links.insert(std::minmax(p.first, p.second));
    const auto whole = meeting_components(t, n).count;
    for (const auto& link : links) {
      PairTable without;
      for (const PairCount& p : t)
        if (std::pair<std::uint32_t, std::uint32_t>(std::minmax(p.first, p.second)) != link)
          without.push_back(p);
      if (meeting_components(without, n).count > whole) expected.insert(link);
    }
    for (const Bridge& b : examine_graph(t, n).bridges) {
      found.insert({b.a, b.b});
      const bool has_a = std::ranges::binary_search(b.cut_off, b.a),
                 has_b = std::ranges::binary_search(b.cut_off, b.b);
      EXPECT_NE(has_a, has_b);
    }
    EXPECT_EQ(found, expected) << seed;
  }
}

// Known spectra: the complete graph n w; the path 2 w (1 - cos(pi / n)).
TEST(Graph, AlgebraicConnectivityOfKnownGraphs) {
  for (const std::uint32_t n : {2U, 5U, 30U, 450U}) {
    PairTable complete, path;
    for (std::uint32_t i = 0; i < n; ++i)
      for (std::uint32_t j = i + 1; j < n; ++j) add(complete, i, j, {1, 2, 0, 0});
    for (std::uint32_t i = 0; i + 1 < n; ++i) add(path, i, i + 1, {1, 0, 1, 0});
    const GraphHealth health = examine_graph(complete, n);
    EXPECT_NEAR(health.algebraic_connectivity, 3.0 * n, 1e-8 * n);
    EXPECT_NEAR(health.normalised_connectivity, n / (n - 1.0), 1e-9);
    EXPECT_EQ(health.pairs_met, health.pairs_possible);
    const double expected = 4 * (1 - std::cos(std::numbers::pi / n));
    EXPECT_NEAR(examine_graph(path, n).algebraic_connectivity, expected, 1e-6 * expected);
  }
}

TEST(Graph, HealthNamesThinPairsLoneLinksAndTheWeakestSide) {
  PairTable t;  // two triangles with one thin link between them
  for (const std::uint32_t at : {0U, 3U}) {
    add(t, at, at + 1, {30, 20, 0, 0});
    add(t, at + 1, at + 2, {30, 20, 0, 0});
    add(t, at + 2, at, {30, 20, 0, 0});
  }
  add(t, 2, 3, {2, 1, 0, 0});
  add(t, 6, 0, {10, 10, 0, 0});
  const GraphHealth health = examine_graph(t, 7);
  ASSERT_EQ(health.thin.size(), 1U);
  EXPECT_EQ(health.thin[0].a, 2U);
  EXPECT_EQ(health.bridges.size(), 2U);
  EXPECT_EQ(health.one_opponent, (std::vector<std::uint32_t>{6}));
  EXPECT_EQ(health.weakest_side, (std::vector<std::uint32_t>{3, 4, 5}));
  EXPECT_EQ(health.wins.count, 1U);
}

TEST(Graph, RestrictionRenumbersInOrder) {
  const PairTable t = ranking_test::four_teams();
  const Restricted r = restrict_pairs(t, {true, false, true, true});
  EXPECT_EQ(r.kept, (std::vector<std::uint32_t>{0, 2, 3}));
  ASSERT_EQ(r.pairs.size(), 2U);
  EXPECT_EQ(r.pairs[0].second, 2U);
  EXPECT_EQ(r.pairs[1].first, 1U);
}

}  // namespace
}  // namespace agon
