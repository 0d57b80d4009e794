#include "agon/preference/models/rating_difference.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>

#include "agon/base/random.h"

namespace agon {
namespace {

struct Problem {
  FeatureMatrix x{.rows = 60, .columns = 3, .values = {}};
  std::vector<Column> columns{
      {"one", "", Parity::kOdd}, {"even", "", Parity::kEven}, {"two", "", Parity::kOdd}};
  std::vector<std::uint32_t> rows;
  std::vector<double> targets, weights;  // targets by place in rows, weights by row of the matrix

  Problem() {
    Random random(3);
    for (std::uint32_t i = 0; i < 60; ++i) {
      for (int j = 0; j < 3; ++j) x.values.push_back(static_cast<float>(random.uniform() * 2 - 1));
      weights.push_back(0.1 + random.uniform());
      if (i % 2 == 0) {
        rows.push_back(i);
        targets.push_back(2 * x.row(i)[0] - x.row(i)[2] + random.uniform());
      }
    }
  }
};

TEST(RatingDifference, SolvesTheNormalEquations) {
  const Problem p;
  constexpr double l2 = 4, clip = 1.2;
  const RatingDifference model =
      RatingDifference::fit(p.x, p.columns, p.rows, p.targets, p.weights, l2, clip);
  // The same two equations, summed and solved by Cramer's rule.
  double scale[2] = {0, 0}, total = 0;
  for (const auto r : p.rows) {
    scale[0] += p.weights[r] * std::pow(p.x.row(r)[0], 2);
    scale[1] += p.weights[r] * std::pow(p.x.row(r)[2], 2);
    total += p.weights[r];
  }
  for (double& s : scale) s = 1 / std::sqrt(s / total);
  const auto cut = [&](double v) { return std::max(-clip, std::min(clip, v)); };
  double a = l2, b = 0, d = l2, u = 0, v = 0;
  for (std::size_t i = 0; i < p.rows.size(); ++i) {
    const auto row = p.x.row(p.rows[i]);
    const double w = p.weights[p.rows[i]], z0 = cut(row[0] * scale[0]), z1 = cut(row[2] * scale[1]);
    a += w * z0 * z0;
    b += w * z0 * z1;
    d += w * z1 * z1;
    u += w * z0 * p.targets[i];
    v += w * z1 * p.targets[i];
  }
  const double determinant = a * d - b * b, w0 = (u * d - b * v) / determinant,
               w1 = (a * v - b * u) / determinant;
  for (std::size_t i = 0; i < p.x.rows; ++i) {
    const auto row = p.x.row(i);
    EXPECT_NEAR(model.predict(row), w0 * cut(row[0] * scale[0]) + w1 * cut(row[2] * scale[1]), 1e-12);
    const std::vector<float> back{-row[0], row[1], -row[2]}, other_even{row[0], 5, row[2]};
    EXPECT_EQ(model.predict(back), -model.predict(row));
    EXPECT_EQ(model.predict(other_even), model.predict(row));
  }
}

TEST(RatingDifference, WithoutRowsItPredictsNothing) {
  const Problem p;
  const RatingDifference model = RatingDifference::fit(p.x, p.columns, {}, {}, p.weights, 1, 3);
  EXPECT_EQ(model.columns(), 3U);
  EXPECT_EQ(model.predict(p.x.row(0)), 0);
}

TEST(RatingDifference, ReadsBackWhatItSaves) {
  const Problem p;
  const RatingDifference model = RatingDifference::fit(p.x, p.columns, p.rows, p.targets, p.weights, 1, 3);
  ByteWriter out;
  model.save(out);
  ByteReader in(out.bytes());
  const RatingDifference again = RatingDifference::load(in);
  ASSERT_TRUE(in.ok());
  for (std::size_t i = 0; i < p.x.rows; ++i) EXPECT_EQ(model.predict(p.x.row(i)), again.predict(p.x.row(i)));
  for (std::size_t n = 0; n < out.bytes().size(); ++n) {
    ByteReader cut(std::string_view(out.bytes()).substr(0, n));
    (void)RatingDifference::load(cut);
    EXPECT_FALSE(cut.ok()) << n;
  }
}

}  // namespace
}  // namespace agon
