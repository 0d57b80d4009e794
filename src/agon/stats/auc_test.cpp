#include "agon/stats/auc.h"

#include <gtest/gtest.h>
#include <rapidcheck/gtest.h>

#include <cmath>

namespace agon {
namespace {

/// The definition, pair by pair.
double naive_auc(const std::vector<AucRow>& rows) {
  double wins = 0, pairs = 0;
  for (const AucRow& p : rows)
    for (const AucRow& n : rows) {
      if (!p.positive || n.positive) continue;
      pairs += p.weight * n.weight;
      wins += p.weight * n.weight * (p.score > n.score ? 1.0 : p.score == n.score ? 0.5 : 0.0);
    }
  return wins / pairs;
}

std::vector<AucRow> random_rows() {
  const auto size = *rc::gen::inRange(0, 60);
  std::vector<AucRow> rows;
  for (int i = 0; i < size; ++i) {
    AucRow row;
    row.score = *rc::gen::inRange(-5, 5) / 4.0;  // coarse, so that ties are common
    row.positive = *rc::gen::arbitrary<bool>();
    row.weight = *rc::gen::inRange(0, 5) / 2.0;
    row.cluster = static_cast<std::uint32_t>(*rc::gen::inRange(0, 8));
    rows.push_back(row);
  }
  return rows;
}

RC_GTEST_PROP(Auc, EqualsTheNaiveTwin, ()) {
  const std::vector<AucRow> rows = random_rows();
  const double naive = naive_auc(rows), quick = AucTable(rows).value();
  if (std::isnan(naive)) {
    RC_ASSERT(std::isnan(quick));
  } else {
    RC_ASSERT(std::abs(naive - quick) < 1e-12);
  }
}

RC_GTEST_PROP(Auc, ADrawEqualsTheNaiveTwinOnCopiedRows, ()) {
  const std::vector<AucRow> rows = random_rows();
  std::vector<std::uint32_t> times;
  for (int c = 0; c < 8; ++c) times.push_back(static_cast<std::uint32_t>(*rc::gen::inRange(0, 4)));
  std::vector<AucRow> copied;
  for (const AucRow& row : rows)
    for (std::uint32_t k = 0; k < times[row.cluster]; ++k) copied.push_back(row);
  const double naive = naive_auc(copied), quick = AucTable(rows).of_draw(times);
  if (std::isnan(naive)) {
    RC_ASSERT(std::isnan(quick));
  } else {
    RC_ASSERT(std::abs(naive - quick) < 1e-12);
  }
}

TEST(Auc, PerfectReversedAndConstant) {
  EXPECT_EQ(AucTable(std::vector<AucRow>{{1, true}, {0, false}, {2, true}}).value(), 1);
  EXPECT_EQ(AucTable(std::vector<AucRow>{{-1, true}, {0, false}, {-2, true}}).value(), 0);
  EXPECT_EQ(AucTable(std::vector<AucRow>{{3, true}, {3, false}, {3, true}}).value(), 0.5);
  EXPECT_TRUE(std::isnan(AucTable(std::vector<AucRow>{{3, true}}).value()));
  EXPECT_TRUE(std::isnan(AucTable(std::vector<AucRow>{}).value()));
}

}  // namespace
}  // namespace agon
