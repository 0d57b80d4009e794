// Speed of reading text as numbers, on one thread and the bundled real votes.

#include <benchmark/benchmark.h>

#include <cstdlib>
#include <string>
#include <vector>

#include "agon/base/parallel.h"
#include "agon/data/vote_reader.h"
#include "agon/preference/features/block.h"
#include "agon/preference/models/ngrams.h"

namespace agon {
namespace {

const std::vector<Vote>& votes() {
  static const std::vector<Vote> all = [] {
    auto set = read_votes({{.path = AGON_SOURCE_DIR "/data/votes/lmsys_arena_1500.csv.gz"}}, {});
    if (!set) std::abort();
    return std::move(set->votes);
  }();
  return all;
}

std::int64_t bytes_of(const Turns& turns) {
  std::int64_t sum = 0;
  for (const Turn& turn : turns) sum += static_cast<std::int64_t>(turn.text.size());
  return sum;
}

/// All blocks of features: the bytes are those of prompts and both answers.
void text_features_of_votes(benchmark::State& state) {
  set_thread_count(1);
  std::int64_t bytes = 0;
  for (const Vote& v : votes()) bytes += bytes_of(v.prompt) + bytes_of(v.response_a) + bytes_of(v.response_b);
  for (auto _ : state) benchmark::DoNotOptimize(text_features(votes()).values.data());
  state.SetBytesProcessed(bytes * static_cast<std::int64_t>(state.iterations()));
}
BENCHMARK(text_features_of_votes)->Unit(benchmark::kMillisecond);

/// Hashed word and character n-grams: the bytes are those of both answers.
void answer_ngrams_of_votes(benchmark::State& state) {
  set_thread_count(1);
  std::int64_t bytes = 0;
  for (const Vote& v : votes()) bytes += bytes_of(v.response_a) + bytes_of(v.response_b);
  for (auto _ : state) benchmark::DoNotOptimize(answer_ngrams(votes(), {}).value.data());
  state.SetBytesProcessed(bytes * static_cast<std::int64_t>(state.iterations()));
}
BENCHMARK(answer_ngrams_of_votes)->Unit(benchmark::kMillisecond);

}  // namespace
}  // namespace agon
