// What blocks bring: the numbers against a naive twin, and which blocks are kept.
#include "agon/preference/lm/block_gains.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cmath>

#include "agon/base/random.h"
#include "agon/preference/lm/answer_source.h"
#include "agon/stats/metrics.h"

namespace agon {
namespace {

using Kept = std::vector<bool>;

/// Votes whose direction a block may know.
struct Drawing {
  std::vector<Prediction> without;
  std::vector<std::vector<Shift>> shifts;
  std::vector<Outcome> outcomes;
  std::vector<std::uint32_t> groups, rows;

  /// Blocks of random shifts, of size `noise`, beside those of `strengths`, which lean to the winner so much
  /// more often than not.
  Drawing(std::size_t votes, const std::vector<double>& strengths, std::size_t noisy, std::uint64_t seed) {
    Random random(seed, 5);
    for (std::uint32_t i = 0; i < votes; ++i) {
      const double u = random.uniform();
      const Outcome outcome = u < 0.4 ? Outcome::kA : u < 0.8 ? Outcome::kB : Outcome::kTie;
      const double sign = outcome == Outcome::kA ? 1 : outcome == Outcome::kB ? -1 : 0;
      std::vector<Shift> row;
      for (const double strength : strengths) row.push_back({strength * sign + random.uniform() - 0.5, 0});
      for (std::size_t b = 0; b < noisy; ++b) row.push_back({random.uniform() - 0.5, random.uniform() - 0.5});
      without.push_back({0.4, 0.4, 0.2});
      shifts.push_back(std::move(row));
      outcomes.push_back(outcome);
      groups.push_back(i / 2);
      rows.push_back(i);
    }
  }
  [[nodiscard]] BlockShifts view() const { return {without, shifts, outcomes}; }
  [[nodiscard]] Kept kept() const {
    const BlockShifts one = view();
    return worth_keeping({&one, 1}, rows);
  }
};

TEST(WorthKeeping, KeepsWhatHelpsAndDropsWhatDoesNot) {
  EXPECT_EQ(Drawing(600, {0.3}, 0, 1).kept(), Kept{true});
  EXPECT_EQ(Drawing(600, {-0.3}, 0, 1).kept(), Kept{false});
  EXPECT_EQ(Drawing(600, {0.3, -0.3, 0.2}, 0, 2).kept(), (Kept{true, false, true}));
  EXPECT_EQ(Drawing(600, {}, 0, 1).kept(), Kept{});
  // Shifts of nothing, as of a block that the inner folds found to do harm.
  Drawing still(600, {0.3}, 1, 3);
  for (auto& row : still.shifts) row[1] = {};
  EXPECT_EQ(still.kept(), (Kept{true, false}));
}

TEST(WorthKeeping, DropsMostBlocksOfNoise) {
  // Noise of this size costs about 0.02 of log loss, twice its standard error on so few votes.
  std::size_t kept = 0;
  for (std::uint64_t seed = 0; seed < 40; ++seed) kept += Drawing(400, {}, 1, 100 + seed).kept()[0] ? 1 : 0;
  EXPECT_LE(kept, 4U);
}

TEST(WorthKeeping, KeepsOneOfTwoThatSayTheSame) {
  // One alone shifts too far already, both together much too far.
  Drawing twice(800, {0.25}, 0, 4);
  for (auto& row : twice.shifts) {
    row[0].direction *= 4;
    row.push_back(row[0]);
  }
  const Kept kept = twice.kept();
  EXPECT_EQ(kept[0] + kept[1], 1);
}

TEST(BlockGains, AreMeanDifferencesWithErrorsOverPrompts) {
  const Drawing first(300, {0.3, 0.1}, 1, 7), second(300, {0.2, -0.1}, 1, 8);
  const std::vector<std::uint32_t> fit_of = [&] {
    std::vector<std::uint32_t> out;
    for (const std::uint32_t group : first.groups) out.push_back(group % 2);
    return out;
  }();
  const std::vector<Kept> kept = {{true, true, false}, {true, false, false}};
  BlockGains gains({"states", "verdict", "reward"}, first.groups);
  std::vector<std::vector<double>> differences(4, std::vector<double>(300));
  double none = 0;
  for (const Drawing* drawing : {&first, &second}) {
    // The labels of one drawing are those of another; here only the shifts differ.
    BlockShifts view{drawing->without, drawing->shifts, first.outcomes};
    gains.add_drawing(view, fit_of, kept);
    for (std::size_t i = 0; i < 300; ++i) {
      const auto loss = [&](const Kept& in) {
        Shift sum;
        for (std::size_t b = 0; b < 3; ++b)
          if (in[b]) {
            sum.direction += drawing->shifts[i][b].direction;
            sum.tie += drawing->shifts[i][b].tie;
          }
        return log_loss(shifted(drawing->without[i], sum), first.outcomes[i]);
      };
      const Kept& in = kept[fit_of[i]];
      for (std::size_t b = 0; b < 3; ++b) {
        Kept with = in, without = in;
        with[b] = true;
        without[b] = false;
        differences[b][i] += (loss(with) - loss(without)) / 2;
      }
      differences[3][i] += (loss(in) - loss({false, false, false})) / 2;
      none += loss({false, false, false}) / 600;
    }
  }
  const std::vector<BlockGain> result = gains.result();
  ASSERT_EQ(result.size(), 4U);
  EXPECT_EQ(result[3].block, "all");
  for (std::size_t b = 0; b < 4; ++b) {
    double mean = 0, squares = 0;
    for (const double d : differences[b]) mean += d / 300;
    for (std::size_t g = 0; g < 150; ++g) {  // of two rows each
      const double deviation = differences[b][2 * g] + differences[b][2 * g + 1] - 2 * mean;
      squares += deviation * deviation;
    }
    EXPECT_NEAR(result[b].mean, mean, 1e-12);
    EXPECT_NEAR(result[b].error, std::sqrt(squares) / 300, 1e-12);
  }
  EXPECT_NEAR((gains.log_loss_without()[0] + gains.log_loss_without()[1]) / 2, none, 1e-12);
}

TEST(BlockGains, AreSaidInALineABlock) {
  const std::vector<BlockGain> gains = {
      {.block = "states",
       .mean = -0.00431,
       .error = 0.0014,
       .direction_on = 5,
       .tie_on = 4,
       .fits = 5,
       .kept = 5},
      {.block = "verdict", .mean = 0.0002, .error = 0.0003, .direction_on = 5, .fits = 5},
      {.block = "all",
       .mean = -0.00431,
       .error = 0.0014,
       .direction_on = 5,
       .tie_on = 4,
       .fits = 5,
       .kept = 5}};
  const std::vector<std::string> lines = block_lines(gains);
  ASSERT_EQ(lines.size(), 3U);
  EXPECT_EQ(lines[0],
            "states: -0.0043 \u00b1 0.0014 log loss (kept in 5, direction on in 5, tie in 4 of 5 fits)");
  EXPECT_EQ(lines[1],
            "verdict: +0.0002 \u00b1 0.0003 log loss (kept in 0, direction on in 5, tie in 0 of 5 fits)");
  // Of one block that is always kept "all" would be the same again.
  EXPECT_EQ(block_lines(std::vector<BlockGain>{gains[0], gains[2]}).size(), 1U);
  EXPECT_EQ(block_lines(std::vector<BlockGain>{gains[1], gains[2]}).size(), 2U);
}

TEST(CostLine, GivesSecondsAVote) {
  const std::vector<BlockCost> costs = {{"states", 4.05}, {"likelihood", 0}, {"verdict", 15.5}};
  EXPECT_EQ(cost_line(costs, 50), "states 0.081, likelihood kept, verdict 0.310");
  EXPECT_EQ(untold_line(1),
            "1 vote has no verdict, which counts as 0: the model named neither answer among its likeliest "
            "first words");
}

}  // namespace
}  // namespace agon
