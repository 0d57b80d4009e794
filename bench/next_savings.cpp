// Votes that active sampling saves against asking all pairs alike, at equal width of the intervals: a
// simulation of src/agon/ranking/next_pairs.h with votes drawn from a true model.
//
//   next_savings [LEAGUES] [SEED]
//
// A league starts with votes spread unevenly, as they are when models join one after another. Then votes are
// asked for in rounds, by the plan or evenly; the plan sees only what was voted so far. Widths are those of
// the sandwich intervals after a refit on the votes that came.

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <cstdlib>
#include <numeric>
#include <vector>

#include "agon/base/random.h"
#include "agon/ranking/covariance.h"
#include "agon/ranking/next_pairs.h"

namespace {

using agon::NextGoal;
using agon::PairTable;
using agon::Random;

constexpr std::uint32_t kModels = 20;
constexpr std::uint64_t kStart = 20000, kAsked = 4000, kRound = 500;

double normal(Random& random) {
  return std::sqrt(-2 * std::log1p(-random.uniform())) * std::cos(6.283185307179586 * random.uniform());
}

struct League {
  std::vector<double> strength;
  std::vector<agon::PairCount> cells;  // all pairs, i < j

  explicit League(Random& random) : strength(kModels) {
    for (double& s : strength) s = 0.7 * normal(random);
    for (std::uint32_t i = 0; i < kModels; ++i)
      for (std::uint32_t j = i + 1; j < kModels; ++j) {
        agon::PairCount cell;
        cell.first = i;
        cell.second = j;
        cells.push_back(cell);
      }
  }
  void vote(agon::PairCount& cell, Random& random) const {
    // Davidson's model with nu = 0.5.
    const double a = std::exp(strength[cell.first]), b = std::exp(strength[cell.second]);
    const double t = 0.5 * std::sqrt(a * b), u = random.uniform() * (a + b + t);
    const std::size_t outcome = u < a ? 0 : u < a + b ? 1 : 2;
    ++cell.battles;
    ++cell.weight[outcome];
    ++cell.weight_sq[outcome];
  }
  agon::PairCount& cell(std::uint32_t i, std::uint32_t j) {
    return *std::find_if(cells.begin(), cells.end(), [&](const agon::PairCount& c) {
      return c.first == std::min(i, j) && c.second == std::max(i, j);
    });
  }
};

// Root mean half width of what the goal asks for.
double width(const League& league, const agon::NextOptions& options) {
  const auto fit = agon::fit_paired(league.cells, kModels);
  if (!fit) return NAN;
  const agon::Covariance c = agon::sandwich_covariance(*fit, league.cells);
  double sum = 0, count = 0;
  const auto put = [&](double se) {
    sum += se * se;
    ++count;
  };
  switch (options.goal) {
    case NextGoal::kAll:
      for (std::uint32_t i = 0; i < kModels; ++i) put(c.se(i));
      break;
    case NextGoal::kModel:
      put(c.se(options.a));
      break;
    case NextGoal::kBetween:
      put(c.se_difference(options.a, options.b));
      break;
    case NextGoal::kTop: {
      // By the true order, which the plan has to find.
      std::vector<std::uint32_t> order(kModels);
      std::iota(order.begin(), order.end(), 0U);
      std::sort(order.begin(), order.end(),
                [&](std::uint32_t a, std::uint32_t b) { return league.strength[a] > league.strength[b]; });
      for (std::uint32_t k = 0; k < options.top; ++k) put(c.se_difference(order[k], order[k + 1]));
      break;
    }
  }
  return 1.959963984540054 * agon::kEloScale * std::sqrt(sum / count);
}

}  // namespace

int main(int argc, char** argv) {
  const int leagues = argc > 1 ? std::atoi(argv[1]) : 20;
  const std::uint64_t seed = argc > 2 ? std::strtoull(argv[2], nullptr, 10) : 1;
  fmt::print("{} leagues of {} models with {} votes; then {} votes by the plan, in rounds of {}\n", leagues,
             kModels, kStart, kAsked, kRound);
  struct Goal {
    const char* name;
    agon::NextOptions options;
  };
  for (const Goal& goal :
       {Goal{"all ratings", {.goal = NextGoal::kAll, .votes = kRound}},
        Goal{"the newest model's rating", {.goal = NextGoal::kModel, .a = kModels - 1, .votes = kRound}},
        Goal{"difference of two", {.goal = NextGoal::kBetween, .a = 3, .b = 11, .votes = kRound}},
        Goal{"order of the first 5", {.goal = NextGoal::kTop, .top = 5, .votes = kRound}}}) {
    double before = 0, planned = 0, evenly = 0, needed = 0;
    int done = 0;
    for (int l = 0; l < leagues; ++l) {
      Random random(seed, static_cast<std::uint64_t>(l));
      League league(random);
      for (std::uint64_t v = 0; v < kStart; ++v) {
        // Model i is there from vote i / 20 of all on: the last has few.
        const auto there =
            2 + static_cast<std::uint32_t>(static_cast<double>(v) * (kModels - 2) / kStart + 1e-9);
        const auto i = static_cast<std::uint32_t>(random.below(std::min(there + 1, kModels)));
        const auto j = static_cast<std::uint32_t>(random.below(std::min(there + 1, kModels)));
        if (i != j) league.vote(league.cell(i, j), random);
      }
      const double start = width(league, goal.options);
      League by_plan = league, even = league;
      for (std::uint64_t asked = 0; asked < kAsked; asked += kRound) {
        const auto plan = agon::plan_next_pairs(by_plan.cells, kModels, goal.options);
        if (!plan) {
          fmt::print(stderr, "{}\n", plan.error().to_string());
          return 1;
        }
        for (const agon::PairToAsk& p : plan->pairs)
          for (std::uint64_t v = 0; v < p.votes; ++v) by_plan.vote(by_plan.cell(p.a, p.b), random);
      }
      const double reached = width(by_plan, goal.options);
      std::uint64_t votes = 0;
      double now = start, at_asked = start;
      while (now > reached && votes < 200 * kAsked) {
        const std::uint64_t more = std::max<std::uint64_t>(kRound, votes / 50);
        for (std::uint64_t v = 0; v < more; ++v)
          even.vote(even.cells[(votes + v) % even.cells.size()], random);
        votes += more;
        now = width(even, goal.options);
        if (votes == kAsked) at_asked = now;
      }
      if (!std::isfinite(start + reached + now)) continue;
      ++done;
      before += start;
      planned += reached;
      evenly += at_asked;
      needed += static_cast<double>(votes);
    }
    fmt::print(
        "  {:<26} ± {:.1f} points before, {:.1f} by the plan, {:.1f} evenly; evenly it takes {:.0f} votes "
        "for the "
        "same: {:.0f} % saved\n",
        goal.name, before / done, planned / done, evenly / done, needed / done,
        100 * (1 - static_cast<double>(kAsked) * done / needed));
  }
  return 0;
}
