// Throughput of the readers on the bundled real votes: bytes of CSV a second, one thread.
#include <benchmark/benchmark.h>

#include <string>
#include <vector>

#include "agon/text/csv.h"
#include "agon/text/json.h"

namespace agon {
namespace {

/// About 19 MB: past the caches, as real files are.
const std::string& votes() {
  static const std::string text = [] {
    const std::string once = *read_file(std::string(AGON_SOURCE_DIR) + "/data/votes/lmsys_arena_1500.csv.gz");
    const std::size_t header = once.find('\n') + 1;
    std::string out = once;
    for (int i = 0; i < 3; ++i) out.append(once, header);
    return out;
  }();
  return text;
}

void CsvRecords(benchmark::State& state) {
  for (auto _ : state) {
    state.PauseTiming();
    auto source = open_memory(votes(), "votes");
    state.ResumeTiming();
    auto csv = CsvReader::open(std::move(*source), "votes");
    std::vector<std::string_view> fields;
    while (*csv->next(fields)) benchmark::DoNotOptimize(fields.data());
  }
  state.SetBytesProcessed(static_cast<std::int64_t>(state.iterations() * votes().size()));
}
BENCHMARK(CsvRecords)->Unit(benchmark::kMillisecond);

void JsonLists(benchmark::State& state) {
  auto source = open_memory(votes(), "votes");
  auto csv = CsvReader::open(std::move(*source), "votes");
  std::vector<std::string_view> fields;
  std::vector<std::string> cells;
  std::size_t bytes = 0;
  while (*csv->next(fields)) {
    for (const std::string_view field : fields) {
      if (field.starts_with('[')) bytes += cells.emplace_back(field).size();
    }
  }
  JsonTextList list;
  for (auto _ : state) {
    TextRepairs repairs;
    for (const std::string& cell : cells) {
      auto items = list.parse(cell, repairs);
      benchmark::DoNotOptimize(items->data());
    }
  }
  state.SetBytesProcessed(static_cast<std::int64_t>(state.iterations() * bytes));
}
BENCHMARK(JsonLists)->Unit(benchmark::kMillisecond);

}  // namespace
}  // namespace agon
