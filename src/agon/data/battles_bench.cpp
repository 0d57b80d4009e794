// Reading battles against the least that could be done with the same bytes: looking for line ends.
#include <benchmark/benchmark.h>
#include <stdlib.h>
#include <unistd.h>

#include <cstring>
#include <filesystem>
#include <string>
#include <vector>

#include "agon/base/file.h"
#include "agon/base/parallel.h"
#include "agon/base/random.h"
#include "agon/data/battle_csv.h"
#include "agon/data/battles.h"

namespace agon {
namespace {

/// The real votes of the bundled counts as model_a,model_b,winner, shuffled: 1,670,250 rows, 80 MB.
const std::string& battles() {
  static const std::string text = [] {
    const auto set = read_battles(
        {std::string(AGON_SOURCE_DIR) + "/data/battles/arena_2024-08-14_pair_counts.json.gz"}, {});
    std::vector<std::string> rows;
    constexpr const char* kLabels[] = {"model_a", "model_b", "tie", "tie (bothbad)"};
    for (const PairCount& pair : set->pairs) {
      for (std::size_t k = 0; k < kBattleClasses; ++k) {
        const std::string row =
            set->competitors[pair.first] + "," + set->competitors[pair.second] + "," + kLabels[k] + "\n";
        rows.insert(rows.end(), static_cast<std::size_t>(pair.weight[k]), row);
      }
    }
    Random(1).shuffle(std::span(rows));
    std::string out = "model_a,model_b,winner\n";
    for (const std::string& row : rows) out += row;
    return out;
  }();
  return text;
}

void count_bytes(benchmark::State& state) {
  state.SetBytesProcessed(static_cast<std::int64_t>(state.iterations() * battles().size()));
}

/// The floor: memchr from newline to newline.
void LineEndsByMemchr(benchmark::State& state) {
  const std::string& text = battles();
  set_thread_count(static_cast<int>(state.range(0)));
  for (auto _ : state) {
    std::vector<std::size_t> lines(text.size() / (1 << 20) + 1);
    parallel_chunks(text.size(), 1 << 20, [&](std::size_t begin, std::size_t end) {
      const char *at = text.data() + begin, *stop = text.data() + end;
      std::size_t n = 0;
      while ((at = static_cast<const char*>(std::memchr(at, '\n', static_cast<std::size_t>(stop - at)))) !=
             nullptr) {
        ++n;
        ++at;
      }
      lines[begin >> 20] = n;
    });
    benchmark::DoNotOptimize(lines.data());
  }
  set_thread_count(0);
  count_bytes(state);
}
BENCHMARK(LineEndsByMemchr)->Arg(1)->Arg(2)->Unit(benchmark::kMillisecond)->UseRealTime();

/// From bytes in memory to the table of pairs.
void BattleCsvFromMemory(benchmark::State& state) {
  const std::string& text = battles();
  set_thread_count(static_cast<int>(state.range(0)));
  for (auto _ : state) {
    const ReadBattles options;
    battle_parts::BattleBuilder builder(options);
    builder.begin_source("battles");
    battle_parts::BattleCsv csv(options, builder);
    benchmark::DoNotOptimize(csv.feed(text, true));
    benchmark::DoNotOptimize(builder.snapshot().pairs.data());
  }
  set_thread_count(0);
  count_bytes(state);
}
BENCHMARK(BattleCsvFromMemory)->Arg(1)->Arg(2)->Unit(benchmark::kMillisecond)->UseRealTime();

/// The whole of it: the file in the page cache, its hash, and whether rows are kept.
void ReadBattlesFile(benchmark::State& state) {
  std::string path = (std::filesystem::temp_directory_path() / "agon-bench-XXXXXX").string();
  const int fd = ::mkstemp(path.data());
  if (fd < 0 || !write_file(path, battles())) return state.SkipWithError("cannot write to /tmp");
  ReadBattles options;
  options.keep_rows = state.range(0) != 0;
  for (auto _ : state) benchmark::DoNotOptimize(read_battles({path}, options));
  ::close(fd);
  ::unlink(path.c_str());
  count_bytes(state);
}
BENCHMARK(ReadBattlesFile)->Arg(0)->Arg(1)->ArgName("rows")->Unit(benchmark::kMillisecond)->UseRealTime();

}  // namespace
}  // namespace agon
