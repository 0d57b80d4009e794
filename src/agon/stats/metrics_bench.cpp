// How long the clustered bootstrap takes on a file of the competition's size.
#include <benchmark/benchmark.h>

#include "agon/base/random.h"
#include "agon/stats/metrics.h"

namespace agon {
namespace {

std::vector<ScoredRow> random_rows(std::size_t n) {
  Random random(1);
  std::vector<ScoredRow> rows;
  for (std::size_t i = 0; i < n; ++i) {
    const double a = 0.1 + 0.5 * random.uniform(), b = (1 - a) * (0.2 + 0.5 * random.uniform());
    rows.push_back({{a, b, 1 - a - b},
                    static_cast<Outcome>(random.below(3)),
                    1.0,
                    static_cast<std::uint32_t>(random.below(n))});
  }
  return rows;
}

void measure_with_1000_draws(benchmark::State& state) {
  const auto rows = random_rows(static_cast<std::size_t>(state.range(0)));
  for (auto _ : state) benchmark::DoNotOptimize(measure(rows, {}));
}
BENCHMARK(measure_with_1000_draws)->Arg(1500)->Arg(57477)->Unit(benchmark::kMillisecond)->UseRealTime();

}  // namespace
}  // namespace agon
