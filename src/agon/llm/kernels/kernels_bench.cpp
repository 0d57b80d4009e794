// The kernels against the limits of the machine: products in every format, attention, rounding to bytes.
//
// Each benchmark runs on one thread and on all. Counters: operations (a product and its addition are two),
// bytes of weights or cache read, and their shares of what measure_peak() says the same threads can do. For
// one row the memory is the limit, for many the products. AGON_CPU chooses the level.
#include <benchmark/benchmark.h>
#include <time.h>

#include <algorithm>
#include <memory>
#include <string>

#include "agon/llm/kernels/peak.h"
#include "agon/llm/kernels/test_levels.h"

namespace agon::llm {
namespace {

using gguf::TensorType;

std::size_t wide(int n) { return static_cast<std::size_t>(n); }

/// Threads with their scratch memory and what they can do; one for each size.
struct Crew {
  explicit Crew(int threads)
      : team(threads), scratch(wide(team.size()) * kMatmulScratch), peak(measure_peak(team, cpu_level())) {}
  std::uint8_t* mine(const Member& member) { return scratch.data() + wide(member.index()) * kMatmulScratch; }

  Team team;
  AlignedBytes scratch;
  Peak peak;
};

// Threads that wait for another size's turn sleep.
Crew& crew(int threads) {
  static Crew one(1);
  static std::unique_ptr<Crew> all;
  if (threads == 1) return one;
  if (all == nullptr) all = std::make_unique<Crew>(0);
  return *all;
}

/// Seconds of this thread's own work for one thread, which other programs don't lengthen; of the wall for
/// several.
class Stopwatch {
 public:
  explicit Stopwatch(bool wall) : clock_(wall ? CLOCK_MONOTONIC : CLOCK_THREAD_CPUTIME_ID), start_(now()) {}
  [[nodiscard]] double seconds() const { return now() - start_; }

 private:
  [[nodiscard]] double now() const {
    timespec t{};
    clock_gettime(clock_, &t);
    return static_cast<double>(t.tv_sec) + 1e-9 * static_cast<double>(t.tv_nsec);
  }
  clockid_t clock_;
  double start_;
};

/// Counters for all iterations together: their operations and bytes, and the shares of the peaks in percent.
void set_rates(benchmark::State& state, double seconds, double operations, double peak_operations,
               double bytes, double peak_bytes) {
  const double each = static_cast<double>(state.iterations()) / seconds;
  state.counters["Gop/s"] = operations * each * 1e-9;
  state.counters["%ops"] = 100 * operations * each / peak_operations;
  state.counters["GB/s"] = bytes * each * 1e-9;
  state.counters["%memory"] = 100 * bytes * each / peak_bytes;
}

constexpr int kColumns = 2048;

enum class Way { kRounded, kExact, kPairs };

double matmul_peak(const Peak& peak, TensorType type, Way way) {
  const bool exact = way == Way::kExact;
  if (way == Way::kPairs) return type == TensorType::kF32 || type == TensorType::kF16 ? peak.f32 : peak.bf16;
  if (!exact && !is_float(packed_type(type))) return peak.int8;
  return !exact && type == TensorType::kBF16 && peak.bf16 > 0 ? peak.bf16 : peak.f32;
}

// Weights of 2048 columns: 64 MiB of them for few rows, so that they come from memory as a model's do; 4096
// rows for many, as only the products count then.
void matmul(benchmark::State& state, TensorType type, Way way) {
  Crew& with = crew(static_cast<int>(state.range(1)));
  const int rows = static_cast<int>(state.range(0));
  Random random(1);
  const gguf::TypeTraits traits = gguf::type_traits(type);
  const std::size_t row_bytes = kColumns / traits.elements * traits.bytes;
  const int outputs = rows > 16 ? 4096 : static_cast<int>((std::size_t{64} << 20) / row_bytes / 256 * 256);
  // 64 rows drawn, and repeated: neither products nor memory mind.
  const std::vector<std::byte> stored = random_stored(type, wide(64 * kColumns), random, 0.02);
  PackSource source{.type = type, .bytes = stored, .columns = kColumns, .row_order = {}, .column_order = {}};
  for (int i = 0; i < outputs; ++i) source.row_order.push_back(i % 64);
  const PackedMatrix matrix = pack(source, outputs);
  TestActivations inputs(gaussians(wide(rows) * kColumns, random), rows, kColumns);
  const std::size_t stride = wide(outputs);
  AlignedBytes out(wide(rows) * stride * sizeof(float));
  const auto run = way == Way::kExact   ? kernels().matmul_exact
                   : way == Way::kPairs ? kernels().matmul_pairs
                                        : kernels().matmul;
  if (run == nullptr) return state.SkipWithError("not at this level");
  if (way == Way::kPairs) {
    for (int row = 0; row < rows; ++row)
      kernels().round_pairs(inputs.values.as<float>() + wide(row) * inputs.stride, kColumns,
                            inputs.blocks.as<ActivationBlock>() + Activations::block_index(row, 0, kColumns));
  }
  const int grain = way == Way::kPairs ? kPairPanels : kMatmulPanels;
  const int pieces = matrix.panels / grain;
  const Stopwatch watch(with.team.size() > 1);
  for (auto _ : state) {
    with.team.run([&](Member& member) {
      for (int piece = member.take(pieces); piece < pieces; piece = member.take(pieces)) {
        run(matrix, piece * grain, grain, inputs.view(0, rows), out.as<float>() + piece * grain * kPanelRows,
            stride, with.mine(member));
      }
    });
  }
  set_rates(state, watch.seconds(), 2.0 * rows * outputs * kColumns, matmul_peak(with.peak, type, way),
            static_cast<double>(packed_bytes(matrix)), with.peak.bandwidth);
}

// Heads of 64 numbers, eight queries together as when a prompt is read; or one, as when a token is made. The
// cache of 8 MiB to 64 MiB is read once by each query tile.
void attention(benchmark::State& state, CacheType type, bool pairs) {
  const int rows = static_cast<int>(state.range(0));
  const int positions = static_cast<int>(state.range(1));
  Crew& with = crew(static_cast<int>(state.range(2)));
  constexpr int kLength = 64, kHeads = 32;
  const auto run = pairs ? kernels().attention_pairs : kernels().attention;
  if (run == nullptr) return state.SkipWithError("not at this level");
  Random random(2);
  const std::size_t head_bytes = cache_page_bytes(type, kLength);
  const std::size_t stride = 2 * head_bytes * kHeads;
  const int pages = (positions + kPageTokens - 1) / kPageTokens;
  AlignedBytes memory(wide(pages) * stride);
  std::vector<std::int32_t> numbers;
  for (int page = 0; page < pages; ++page) numbers.push_back(page);
  for (int page = 0; page < pages; ++page) {
    for (int half = 0; half < 2 * kHeads; ++half) {
      std::uint8_t* at = memory.data() + wide(page) * stride + wide(half) * head_bytes;
      const std::vector<float> x = gaussians(kLength, random);
      for (int slot = 0; slot < kPageTokens; ++slot)
        (half % 2 == 0 ? kernels().store_key : kernels().store_value)(type, x.data(), kLength, slot, at);
    }
  }
  const std::vector<float> queries = gaussians(wide(kHeads * rows) * kLength, random, 0.125F);
  std::vector<float> out(queries.size());
  const Stopwatch watch(with.team.size() > 1);
  for (auto _ : state) {
    with.team.run([&](Member& member) {
      for (int head = member.take(kHeads); head < kHeads; head = member.take(kHeads)) {
        AttentionTile tile;
        tile.rows = rows;
        tile.pages = numbers.data();
        tile.keys = memory.data() + wide(2 * head) * head_bytes;
        tile.values = tile.keys + head_bytes;
        tile.page_stride = stride;
        tile.key_length = tile.value_length = kLength;
        tile.type = type;
        for (int i = 0; i < rows; ++i) {
          tile.query[i] = queries.data() + (head * rows + i) * kLength;
          tile.out[i] = out.data() + (head * rows + i) * kLength;
          tile.position[i] = positions - 1;
        }
        run(tile, with.mine(member));
      }
    });
  }
  set_rates(state, watch.seconds(), 4.0 * rows * kHeads * positions * kLength,
            pairs ? with.peak.bf16 : with.peak.f32, static_cast<double>(memory.size()), with.peak.bandwidth);
}

// Work on rows that lie in the first cache, against the memory's rate: what it costs when they don't.
void rows_of(benchmark::State& state, const std::string& what) {
  const Peak& peak = crew(1).peak;
  const int n = static_cast<int>(state.range(0));
  Random random(3);
  const std::vector<float> x = gaussians(wide(n), random);
  std::vector<float> out = x;
  std::vector<ActivationBlock> blocks(wide(n) / kBlock * Activations::kTile);
  float largest = 0;
  int place = 0;
  double sum = 0;
  const Stopwatch watch(false);
  for (auto _ : state) {
    if (what == "quantize") kernels().quantize(x.data(), n, blocks.data(), 0);
    if (what == "rms_norm") kernels().rms_norm(x.data(), x.data(), n, 1e-5F, out.data());
    if (what == "silu") kernels().gated(Gate::kSilu, out.data(), x.data(), n);
    if (what == "gelu") kernels().gated(Gate::kGeluTanh, out.data(), x.data(), n);
    if (what == "summarize") kernels().summarize(out.data(), n, 0, &largest, &place, &sum);
    benchmark::ClobberMemory();
    // The gates eat their input: it must not run down to subnormal numbers.
    if (what == "silu" || what == "gelu") std::ranges::copy(x, out.begin());
  }
  const double rate = static_cast<double>(state.iterations()) * n / watch.seconds();
  state.counters["Gnumbers/s"] = rate * 1e-9;
  state.counters["%memory"] = 100 * rate * 4 / peak.bandwidth;
}

const bool registered = [] {
  for (const TensorType type : kAllTypes) {
    for (const Way way : {Way::kRounded, Way::kExact, Way::kPairs}) {
      const bool exact = way == Way::kExact;
      // Floats have one way only, but for bfloat16.
      if (exact && is_float(packed_type(type)) && type != TensorType::kBF16) continue;
      const std::string name = std::string(exact                ? "matmul_exact/"
                                           : way == Way::kPairs ? "matmul_pairs/"
                                                                : "matmul/") +
                               std::string(gguf::type_traits(type).name);
      auto* bench = benchmark::RegisterBenchmark(
          name.c_str(), [type, way](benchmark::State& state) { matmul(state, type, way); });
      bench->ArgNames({"rows", "threads"})->ArgsProduct({{1, 8, 16, 512}, {1, 0}})->UseRealTime();
    }
  }
  for (const auto& [name, type] : {std::pair{"F16", CacheType::kF16},
                                   {"BF16", CacheType::kBF16},
                                   {"Q8_0", CacheType::kQ8_0},
                                   {"F32", CacheType::kF32}}) {
    for (const bool pairs : {false, true}) {
      auto* bench = benchmark::RegisterBenchmark(
          (std::string(pairs ? "attention_pairs/" : "attention/") + name).c_str(),
          [type = type, pairs](benchmark::State& state) { attention(state, type, pairs); });
      bench->ArgNames({"rows", "positions", "threads"})
          ->ArgsProduct({pairs ? std::vector<std::int64_t>{16, 64} : std::vector<std::int64_t>{1, 3, 8},
                         {512, 4096},
                         {1, 0}})
          ->UseRealTime();
    }
  }
  for (const char* what : {"quantize", "rms_norm", "silu", "gelu", "summarize"}) {
    auto* bench = benchmark::RegisterBenchmark((std::string("rows/") + what).c_str(),
                                               [what](benchmark::State& state) { rows_of(state, what); });
    bench->Arg(2048);
    if (what == std::string_view("summarize")) bench->Arg(49152);  // a vocabulary
  }
  return true;
}();

}  // namespace
}  // namespace agon::llm
