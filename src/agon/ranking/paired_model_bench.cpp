// A fit from nothing, and a refit after 1,000 more votes, of the 1,670,250 votes of the bundled counts.
#include <benchmark/benchmark.h>

#include <algorithm>
#include <string>
#include <vector>

#include "agon/base/random.h"
#include "agon/ranking/covariance.h"
#include "agon/ranking/graph.h"
#include "agon/ranking/paired_model.h"
#include "agon/ranking/simultaneous.h"

namespace agon {
namespace {

const BattleSet& arena() {
  static const BattleSet set = *read_battles(
      {std::string(AGON_SOURCE_DIR) + "/data/battles/arena_2024-08-14_pair_counts.json.gz"}, {});
  return set;
}

/// The counts with 1,000 votes more, drawn from those that are there.
PairTable appended(PairTable pairs) {
  Random random(7);
  for (int vote = 0; vote < 1000; ++vote) {
    PairCount& pair = pairs[random.below(pairs.size())];
    const std::size_t k = random.below(kBattleClasses);
    pair.weight[k] += 1;
    pair.weight_sq[k] += 1;
    ++pair.battles;
  }
  return pairs;
}

PairedOptions with(TieModel ties) {
  PairedOptions options;
  options.ties = ties;
  return options;
}

void FitFromNothing(benchmark::State& state) {
  const PairedOptions options = with(static_cast<TieModel>(state.range(0)));
  const std::size_t n = arena().competitors.size();
  for (auto _ : state) benchmark::DoNotOptimize(fit_paired(arena().pairs, n, options)->log_likelihood);
}
BENCHMARK(FitFromNothing)->DenseRange(0, 3)->ArgName("tie_model")->Unit(benchmark::kMillisecond);

void RefitAfter1000Votes(benchmark::State& state) {
  const PairedOptions options = with(static_cast<TieModel>(state.range(0)));
  const std::size_t n = arena().competitors.size();
  const PairedFit before = *fit_paired(arena().pairs, n, options);
  const PairTable more = appended(arena().pairs);
  int iterations = 0;
  for (auto _ : state) {
    const PairedFit fit = *fit_paired(more, n, options, &before);
    benchmark::DoNotOptimize(fit.log_likelihood);
    iterations = fit.iterations;
  }
  state.counters["iterations"] = iterations;
}
BENCHMARK(RefitAfter1000Votes)->DenseRange(0, 3)->ArgName("tie_model")->Unit(benchmark::kMillisecond);

void SandwichCovariance(benchmark::State& state) {
  const PairedOptions options = with(static_cast<TieModel>(state.range(0)));
  const PairedFit fit = *fit_paired(arena().pairs, arena().competitors.size(), options);
  for (auto _ : state) benchmark::DoNotOptimize(sandwich_covariance(fit, arena().pairs).matrix.values.data());
}
BENCHMARK(SandwichCovariance)->DenseRange(0, 3)->ArgName("tie_model")->Unit(benchmark::kMillisecond);

void RanksForAllAtOnce(benchmark::State& state) {
  const PairedFit fit = *fit_paired(arena().pairs, arena().competitors.size());
  const Covariance covariance = sandwich_covariance(fit, arena().pairs);
  const SimultaneousOptions how{.draws = 4000};
  for (auto _ : state) benchmark::DoNotOptimize(simultaneous(fit.strengths(), covariance, how).z_strengths);
}
BENCHMARK(RanksForAllAtOnce)->Unit(benchmark::kMillisecond);

void ExamineGraph(benchmark::State& state) {
  for (auto _ : state)
    benchmark::DoNotOptimize(examine_graph(arena().pairs, arena().competitors.size()).algebraic_connectivity);
}
BENCHMARK(ExamineGraph)->Unit(benchmark::kMillisecond);

}  // namespace
}  // namespace agon
