#include "agon/ranking/composite.h"

#include <gtest/gtest.h>

#include <cmath>
#include <numeric>

#include "agon/ranking/graph.h"
#include "agon/ranking/reweight.h"
#include "agon/ranking/test_tables.h"

namespace agon {
namespace {

using ranking_test::add;
using ranking_test::count_rows;
using ranking_test::random_rows;

BattleRows choose(const BattleRows& rows, const std::vector<std::uint32_t>& chosen) {
  BattleRows out;
  for (const std::uint32_t r : chosen) {
    out.a.push_back(rows.a[r]);
    out.b.push_back(rows.b[r]);
    out.outcome.push_back(rows.outcome[r]);
  }
  return out;
}

TEST(Composite, OfOneBoardIsThatBoard) {
  const BattleRows rows = random_rows(4, 5, 800);
  std::vector<std::uint32_t> voter;
  for (std::size_t r = 0; r < rows.size(); ++r) voter.push_back(static_cast<std::uint32_t>(r % 90));
  const auto fit = fit_paired(count_rows(rows), 5, {.ties = TieModel::kRaoKupper}).value();
  const CompositePart twice[] = {{&fit, 2, {}, {}}, {&fit, 3, {}, {}}};
  const auto board = composite_board(rows, twice, 5, voter).value();
  const Covariance expected = clustered_covariance(fit, rows, voter).value();
  for (std::size_t i = 0; i < 5; ++i) {
    EXPECT_NEAR(board.strengths[i], fit.strength(i), 1e-12);
    EXPECT_NEAR(board.covariance.se(i), expected.se(i), 1e-12);
  }
}

TEST(Composite, BoardsWithoutCommonVotesAddTheirVariances) {
  const BattleRows rows = random_rows(5, 4, 1200);
  std::vector<std::uint32_t> even, odd;
  for (std::uint32_t r = 0; r < rows.size(); ++r) (r % 2 == 0 ? even : odd).push_back(r);
  const PairTable left = count_rows(choose(rows, even)), right = count_rows(choose(rows, odd));
  const auto a = fit_paired(left, 4).value(), b = fit_paired(right, 4).value();
  const CompositePart parts[] = {{&a, 1, even, {}}, {&b, 3, odd, {}}};
  const auto board = composite_board(rows, parts, 4).value();
  const Covariance ca = sandwich_covariance(a, left), cb = sandwich_covariance(b, right);
  for (std::size_t i = 0; i < 4; ++i) {
    EXPECT_NEAR(board.strengths[i], 0.25 * a.strength(i) + 0.75 * b.strength(i), 1e-12);
    const double variance = 0.0625 * ca.matrix(i, i) + 0.5625 * cb.matrix(i, i);
    EXPECT_NEAR(board.covariance.se(i), std::sqrt(variance * 1200 / 1199), 1e-10);
  }
}

TEST(Composite, KeepsTheCompetitorsOfAllBoards) {
  const BattleRows rows = random_rows(6, 5, 1500);
  const PairTable table = count_rows(rows);
  const auto whole = fit_paired(table, 5).value();
  const Restricted some = restrict_pairs(table, {true, false, true, true, true});
  const auto part = fit_paired(some.pairs, 4).value();
  const CompositePart parts[] = {{&whole, 1, {}, {}}, {&part, 1, {}, some.kept}};
  const auto board = composite_board(rows, parts, 5).value();
  EXPECT_EQ(board.competitors, some.kept);
  EXPECT_NEAR(std::accumulate(board.strengths.begin(), board.strengths.end(), 0.0), 0, 1e-12);
  const double expected =
      0.5 * (whole.strength(4) - whole.strength(0)) + 0.5 * (part.strength(3) - part.strength(0));
  EXPECT_NEAR(board.strengths[3] - board.strengths[0], expected, 1e-12);
  const CompositePart none[] = {{&whole, 0, {}, {}}};
  EXPECT_FALSE(composite_board(rows, none, 5));
  const CompositePart negative[] = {{&whole, -1, {}, {}}};
  EXPECT_FALSE(composite_board(rows, negative, 5));
}

TEST(Reweight, PairsCountAlikeAndRowsAgree) {
  PairTable t;
  add(t, 0, 1, {300, 100, 0, 0});
  add(t, 1, 0, {50, 50, 0, 0});
  add(t, 1, 2, {60, 40, 0, 0});
  add(t, 0, 2, {3, 2, 0, 0});
  const PairTable w = reweight_pairs(t, 50);
  EXPECT_NEAR(w[0].total() + w[1].total(), w[2].total(), 1e-9);
  EXPECT_NEAR(w[3].total() / w[2].total(), 0.1, 1e-12);  // five of the fifty it counts as
  EXPECT_NEAR(w[0].total() + w[1].total() + w[2].total() + w[3].total(), 605, 1e-9);
  EXPECT_NEAR(w[2].weight_sq[0], 60 * std::pow(w[2].weight[0] / 60, 2), 1e-9);

  BattleRows rows = random_rows(7, 4, 600);
  const PairTable by_pairs = reweight_pairs(count_rows(rows), 30);
  rows.weight = reweight_rows(rows, 30);
  const auto one = fit_paired(by_pairs, 4).value(), other = fit_paired(count_rows(rows), 4).value();
  const Covariance a = sandwich_covariance(one, by_pairs), b = sandwich_covariance(other, count_rows(rows));
  for (std::size_t i = 0; i < 4; ++i) {
    EXPECT_NEAR(one.strength(i), other.strength(i), 1e-10);
    EXPECT_NEAR(a.se(i), b.se(i), 1e-10);
  }
}

}  // namespace
}  // namespace agon
