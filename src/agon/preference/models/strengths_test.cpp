#include "agon/preference/models/strengths.h"

#include <gtest/gtest.h>

#include <cmath>
#include <numeric>

namespace agon {
namespace {

struct Games {
  std::vector<Vote> votes;
  std::vector<std::uint32_t> rows;
  std::vector<double> weights;

  void add(const std::string& a, const std::string& b, Outcome outcome, int times, double weight = 1) {
    for (int i = 0; i < times; ++i) {
      Vote vote;
      vote.model_a = a;
      vote.model_b = b;
      vote.outcome = outcome;
      rows.push_back(static_cast<std::uint32_t>(votes.size()));
      votes.push_back(vote);
      weights.push_back(weight);
    }
  }
  [[nodiscard]] std::map<std::string, double> fit(double known_sd, double unknown_sd,
                                                  const Ratings& ratings = {}) const {
    return fit_strengths(votes, rows, weights, ratings, {.known_sd = known_sd, .unknown_sd = unknown_sd});
  }
};

TEST(Strengths, TwoModelsAreTheLogOddsInClosedForm) {
  Games games;
  games.add("x", "y", Outcome::kA, 6);
  games.add("y", "x", Outcome::kB, 1);  // x won again, seen from the other side
  games.add("x", "y", Outcome::kB, 2);
  games.add("x", "y", Outcome::kTie, 2);  // half a win each
  const auto s = games.fit(1, 1e4);
  EXPECT_NEAR(s.at("x") - s.at("y"), std::log(8.0 / 3.0), 1e-6);
}

TEST(Strengths, WeightsCountAsThatManyVotes) {
  Games games;
  games.add("x", "y", Outcome::kA, 1, 3.5);
  games.add("x", "y", Outcome::kB, 1, 0.5);
  EXPECT_NEAR(games.fit(1, 1e4).at("x") - games.fit(1, 1e4).at("y"), std::log(7.0), 1e-6);
}

TEST(Strengths, FourTeamsOfTheBradleyTerryArticle) {
  // Wikipedia, "Bradley-Terry model", worked example: wins of the row's team over the column's.
  const int wins[4][4] = {{0, 2, 0, 1}, {3, 0, 5, 0}, {0, 3, 0, 1}, {4, 0, 3, 0}};
  const std::string names = "ABCD";
  Games games;
  for (std::size_t i = 0; i < 4; ++i)
    for (std::size_t j = 0; j < 4; ++j)
      games.add(names.substr(i, 1), names.substr(j, 1), Outcome::kA, wins[i][j]);
  const auto s = games.fit(1, 1e4);
  double mean = 0;
  for (const auto& [_, value] : s) mean += value / 4;
  EXPECT_NEAR(std::exp(s.at("A") - mean), 0.640, 5e-4);
  EXPECT_NEAR(std::exp(s.at("B") - mean), 1.043, 5e-4);
  EXPECT_NEAR(std::exp(s.at("C") - mean), 0.660, 5e-4);
  EXPECT_NEAR(std::exp(s.at("D") - mean), 2.270, 5e-4);
}

TEST(Strengths, ThePriorHoldsWhatTheVotesLeaveOpen) {
  Games games;
  games.add("known", "strong", Outcome::kTie, 1);
  games.add("new", "new", Outcome::kA, 9);  // against itself: says nothing
  games.add("", "known", Outcome::kA, 9);   // without a name: says nothing
  const auto s = games.fit(1e-4, 0.7, {{"known", 1000}, {"strong", 1400}});
  EXPECT_EQ(s.size(), 3U);
  // A tenfold chance is 400 points of Elo; a narrow prior keeps them against one vote.
  EXPECT_NEAR(s.at("strong") - s.at("known"), std::log(10.0), 1e-3);
  EXPECT_NEAR(s.at("strong") + s.at("known"), 0, 1e-3);
  EXPECT_NEAR(s.at("new"), 0, 1e-9);
}

TEST(Strengths, PosteriorOfOneVoteSolvesItsEquation) {
  // Two new models and one win: by symmetry theta = -theta', and theta / sd^2 = 1 - p(2 theta).
  Games games;
  games.add("x", "y", Outcome::kA, 1);
  const double sd = 0.7, theta = games.fit(0.1, sd).at("x");
  EXPECT_NEAR(theta / (sd * sd), 1 - 1 / (1 + std::exp(-2 * theta)), 1e-9);
}

TEST(Strengths, OnlyTheGivenRowsCount) {
  Games games;
  games.add("x", "y", Outcome::kA, 3);
  games.add("y", "z", Outcome::kA, 3);
  games.rows.resize(3);
  EXPECT_EQ(games.fit(1, 1).count("z"), 0U);
  games.rows.clear();
  EXPECT_TRUE(games.fit(1, 1).empty());
}

}  // namespace
}  // namespace agon
