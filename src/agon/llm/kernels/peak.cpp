#include "agon/llm/kernels/peak.h"

#include <immintrin.h>

#include <algorithm>
#include <chrono>
#include <cstdint>
#include <numeric>
#include <utility>
#include <vector>

#include "agon/base/check.h"
#include "agon/llm/kernels/memory.h"

namespace agon::llm {
namespace {

using std::size_t;

// Independent chains: more than latency times throughput of any of the instructions (5 cycles, two a cycle),
// and few enough that they and their inputs stay in sixteen registers. Where the chain itself is only an
// addition of integers, of one cycle, fewer do.
constexpr size_t kChains = 12;
constexpr size_t kShortChains = 6;
using Chains = std::make_index_sequence<kChains>;
using ShortChains = std::make_index_sequence<kShortChains>;

// Sums are arrays with constant indices only, which the compiler turns into registers. The inputs pass
// through an empty asm statement once a round: nothing that is computed from them can be moved out of the
// loop. Each function returns a number made of all sums, so that none is left out, and does
// `rounds` times its chains.

template <size_t... i>
float f32_plain(std::int64_t rounds, std::index_sequence<i...>) {
  __m128 sums[] = {_mm_set1_ps(static_cast<float>(i))...};
  __m128 x = _mm_set1_ps(0.5F), y = _mm_set1_ps(0.25F);
  for (std::int64_t r = 0; r < rounds; ++r) {
    ((sums[i] = _mm_add_ps(_mm_mul_ps(x, sums[i]), y)), ...);
    asm volatile("" : "+x"(x), "+x"(y));
  }
  __m128 all = _mm_setzero_ps();
  ((all = _mm_add_ps(all, sums[i])), ...);
  return all[0];
}

template <size_t... i>
float int8_plain(std::int64_t rounds, std::index_sequence<i...>) {
  // Without products of bytes: of 16-bit numbers, eight at a time.
  __m128i sums[] = {_mm_set1_epi32(static_cast<int>(i))...};
  __m128i x = _mm_set1_epi16(3), y = _mm_set1_epi16(5);
  for (std::int64_t r = 0; r < rounds; ++r) {
    ((sums[i] = _mm_add_epi32(sums[i], _mm_madd_epi16(_mm_xor_si128(x, sums[i]), y))), ...);
    asm volatile("" : "+x"(x), "+x"(y));
  }
  __m128i all = _mm_setzero_si128();
  ((all = _mm_xor_si128(all, sums[i])), ...);
  return static_cast<float>(all[0]);
}

template <size_t... i>
[[gnu::target("avx2,fma")]] float f32_avx2(std::int64_t rounds, std::index_sequence<i...>) {
  __m256 sums[] = {_mm256_set1_ps(static_cast<float>(i))...};
  __m256 x = _mm256_set1_ps(0.5F), y = _mm256_set1_ps(0.25F);
  for (std::int64_t r = 0; r < rounds; ++r) {
    ((sums[i] = _mm256_fmadd_ps(x, y, sums[i])), ...);
    asm volatile("" : "+x"(x), "+x"(y));
  }
  __m256 all = _mm256_setzero_ps();
  ((all = _mm256_add_ps(all, sums[i])), ...);
  return all[0];
}

template <size_t... i>
[[gnu::target("avx2")]] float int8_avx2(std::int64_t rounds, std::index_sequence<i...>) {
  __m256i sums[] = {_mm256_set1_epi32(static_cast<int>(i))...};
  __m256i x = _mm256_set1_epi8(3), y = _mm256_set1_epi8(5);
  const __m256i ones = _mm256_set1_epi16(1);
  for (std::int64_t r = 0; r < rounds; ++r) {
    // Every chain has a product of its own.
    const auto step = [&](__m256i sum) __attribute__((always_inline, target("avx2"))) {
      asm volatile("" : "+x"(x));
      return _mm256_add_epi32(sum, _mm256_madd_epi16(_mm256_maddubs_epi16(x, y), ones));
    };
    ((sums[i] = step(sums[i])), ...);
  }
  __m256i all = _mm256_setzero_si256();
  ((all = _mm256_xor_si256(all, sums[i])), ...);
  return static_cast<float>(all[0]);
}

template <size_t... i>
[[gnu::target("avx512f")]] float f32_avx512(std::int64_t rounds, std::index_sequence<i...>) {
  __m512 sums[] = {_mm512_set1_ps(static_cast<float>(i))...};
  __m512 x = _mm512_set1_ps(0.5F), y = _mm512_set1_ps(0.25F);
  for (std::int64_t r = 0; r < rounds; ++r) {
    ((sums[i] = _mm512_fmadd_ps(x, y, sums[i])), ...);
    asm volatile("" : "+v"(x), "+v"(y));
  }
  __m512 all = _mm512_setzero_ps();
  ((all = _mm512_add_ps(all, sums[i])), ...);
  return all[0];
}

template <size_t... i>
[[gnu::target("avx512f,avx512bw")]] float int8_avx512(std::int64_t rounds, std::index_sequence<i...>) {
  __m512i sums[] = {_mm512_set1_epi32(static_cast<int>(i))...};
  __m512i x = _mm512_set1_epi8(3), y = _mm512_set1_epi8(5);
  const __m512i ones = _mm512_set1_epi16(1);
  for (std::int64_t r = 0; r < rounds; ++r) {
    const auto step = [&](__m512i sum) __attribute__((always_inline, target("avx512f,avx512bw"))) {
      asm volatile("" : "+v"(x));
      return _mm512_add_epi32(sum, _mm512_madd_epi16(_mm512_maddubs_epi16(x, y), ones));
    };
    ((sums[i] = step(sums[i])), ...);
  }
  __m512i all = _mm512_setzero_si512();
  ((all = _mm512_xor_si512(all, sums[i])), ...);
  return static_cast<float>(all[0]);
}

template <size_t... i>
[[gnu::target("avx512f,avx512vnni")]] float int8_vnni(std::int64_t rounds, std::index_sequence<i...>) {
  __m512i sums[] = {_mm512_set1_epi32(static_cast<int>(i))...};
  __m512i x = _mm512_set1_epi8(3), y = _mm512_set1_epi8(5);
  for (std::int64_t r = 0; r < rounds; ++r) {
    ((sums[i] = _mm512_dpbusd_epi32(sums[i], x, y)), ...);
    asm volatile("" : "+v"(x), "+v"(y));
  }
  __m512i all = _mm512_setzero_si512();
  ((all = _mm512_xor_si512(all, sums[i])), ...);
  return static_cast<float>(all[0]);
}

template <size_t... i>
[[gnu::target("avx512f,avx512bf16")]] float bf16_avx512(std::int64_t rounds, std::index_sequence<i...>) {
  __m512 sums[] = {_mm512_set1_ps(static_cast<float>(i))...};
  __m512i x = _mm512_set1_epi16(0x3f00), y = _mm512_set1_epi16(0x3e80);  // 0.5 and 0.25
  for (std::int64_t r = 0; r < rounds; ++r) {
    const auto a = (__m512bh)x, b = (__m512bh)y;  // the vector extension's reinterpreting cast
    ((sums[i] = _mm512_dpbf16_ps(sums[i], a, b)), ...);
    asm volatile("" : "+v"(x), "+v"(y));
  }
  __m512 all = _mm512_setzero_ps();
  ((all = _mm512_add_ps(all, sums[i])), ...);
  return all[0];
}

// Four chains of tile products on two times two inputs, as many as the eight tile registers leave room for.
// The instructions stand as text: nothing that the compiler knows takes part.
[[gnu::noinline]] float tiles(std::int64_t rounds, bool bytes) {
  alignas(64) std::uint8_t palette[64] = {1};
  for (int i = 0; i < 8; ++i) {
    palette[16 + 2 * i] = 64;
    palette[48 + i] = 16;
  }
  asm volatile("ldtilecfg %0" : : "m"(palette));
  asm volatile("tilezero %%tmm4; tilezero %%tmm5; tilezero %%tmm6; tilezero %%tmm7" : :);
  asm volatile("tilezero %%tmm0; tilezero %%tmm1; tilezero %%tmm2; tilezero %%tmm3" : :);
  for (std::int64_t r = 0; r < rounds; ++r) {
    if (bytes) {
      asm volatile("tdpbssd %%tmm6, %%tmm4, %%tmm0; tdpbssd %%tmm7, %%tmm4, %%tmm1" : :);
      asm volatile("tdpbssd %%tmm6, %%tmm5, %%tmm2; tdpbssd %%tmm7, %%tmm5, %%tmm3" : :);
    } else {
      asm volatile("tdpbf16ps %%tmm6, %%tmm4, %%tmm0; tdpbf16ps %%tmm7, %%tmm4, %%tmm1" : :);
      asm volatile("tdpbf16ps %%tmm6, %%tmm5, %%tmm2; tdpbf16ps %%tmm7, %%tmm5, %%tmm3" : :);
    }
  }
  asm volatile("tilerelease" : :);
  return 0;
}

struct Measure {
  float (*run)(std::int64_t rounds);
  double operations;  // of a round
};

template <float (*function)(std::int64_t, Chains), int lanes>
constexpr Measure long_chains() {
  return {[](std::int64_t rounds) { return function(rounds, Chains{}); }, 2.0 * lanes * kChains};
}
template <float (*function)(std::int64_t, ShortChains), int lanes>
constexpr Measure short_chains() {
  return {[](std::int64_t rounds) { return function(rounds, ShortChains{}); }, 2.0 * lanes * kShortChains};
}

Measure int8_measure(CpuLevel level) {
  if (level >= CpuLevel::kAmx)
    return {[](std::int64_t rounds) { return tiles(rounds, true); }, 4 * 2.0 * 16 * 16 * 64};
  if (level >= CpuLevel::kVnni) return long_chains<int8_vnni, 64>();
  if (level >= CpuLevel::kAvx512) return short_chains<int8_avx512, 64>();
  if (level >= CpuLevel::kAvx2) return short_chains<int8_avx2, 32>();
  return short_chains<int8_plain, 8>();
}

Measure f32_measure(CpuLevel level) {
  if (level >= CpuLevel::kAvx512) return long_chains<f32_avx512, 16>();
  if (level >= CpuLevel::kAvx2) return long_chains<f32_avx2, 8>();
  return long_chains<f32_plain, 4>();
}

Measure bf16_measure(CpuLevel level) {
  if (level >= CpuLevel::kAmx)
    return {[](std::int64_t rounds) { return tiles(rounds, false); }, 4 * 2.0 * 16 * 16 * 32};
  return {[](std::int64_t rounds) { return bf16_avx512(rounds, Chains{}); }, 2.0 * 32 * kChains};
}

// Short runs, of which the fastest counts: others may take the cores meanwhile.
constexpr int kRuns = 32;

using Clock = std::chrono::steady_clock;
double seconds_since(Clock::time_point start) {
  return std::chrono::duration<double>(Clock::now() - start).count();
}

// Makes the compiler compute what nobody uses.
void keep(float result) { asm volatile("" : : "x"(result) : "memory"); }

// The sum of every thread's rate in its fastest run.
double operations_rate(Team& team, const Measure& measure, double seconds) {
  std::vector<double> rates(static_cast<size_t>(team.size()), 0.0);
  team.run([&](Member& member) {
    double& best = rates[static_cast<size_t>(member.index())];
    // From a first guess, which also wakes the core, to runs of the time wanted.
    double rounds = 1000;
    for (int run = 0; run < kRuns; ++run) {
      const Clock::time_point start = Clock::now();
      keep(measure.run(static_cast<std::int64_t>(rounds)));
      const double took = seconds_since(start);
      if (took < seconds / 4) {
        rounds *= 2;
        run = -1;
        continue;
      }
      best = std::max(best, rounds * measure.operations / took);
    }
    member.barrier();
  });
  return std::accumulate(rates.begin(), rates.end(), 0.0);
}

// Plain SSE2 at every level: one core's loads are never the bottleneck against memory. Asks for lines as far
// ahead as the kernels do, since the hardware's prefetching ends with each page.
float read_all(const std::uint8_t* from, const std::uint8_t* end) {
  __m128i a = _mm_setzero_si128(), b = a, c = a, d = a;
  for (; from != end; from += 64) {
    __builtin_prefetch(from + 4096);
    const auto* line = reinterpret_cast<const __m128i*>(from);
    a = _mm_xor_si128(a, _mm_load_si128(line));
    b = _mm_xor_si128(b, _mm_load_si128(line + 1));
    c = _mm_xor_si128(c, _mm_load_si128(line + 2));
    d = _mm_xor_si128(d, _mm_load_si128(line + 3));
  }
  const __m128i all = _mm_xor_si128(_mm_xor_si128(a, b), _mm_xor_si128(c, d));
  return static_cast<float>(all[0] ^ all[1]);
}

double read_rate(Team& team) {
  constexpr size_t kBytes = size_t{512} << 20;
  constexpr size_t kPieces = 8;  // one is read in a run, so that seven others pass before it comes again
  const size_t piece = kBytes / kPieces / static_cast<size_t>(team.size()) / 64 * 64;
  const size_t all_pieces = piece * static_cast<size_t>(team.size());
  AlignedBytes memory(all_pieces * kPieces);
  double best = 1e30;
  team.run([&](Member& member) {
    std::uint8_t* mine = memory.data() + piece * static_cast<size_t>(member.index());
    // Memory that was never written is one page of zeros, which the cache holds.
    for (size_t i = 0; i < kPieces; ++i) {
      for (size_t j = 0; j < piece; ++j) mine[i * all_pieces + j] = static_cast<std::uint8_t>(j * 7 + i);
    }
    for (size_t run = 0; run < kRuns; ++run) {
      const std::uint8_t* from = mine + run % kPieces * all_pieces;
      member.barrier();
      const Clock::time_point start = Clock::now();
      keep(read_all(from, from + piece));
      member.barrier();
      if (member.index() == 0) best = std::min(best, seconds_since(start));
    }
  });
  return static_cast<double>(all_pieces) / best;
}

}  // namespace

Peak measure_peak(Team& team, CpuLevel level, double seconds) {
  AGON_CHECK(level <= machine_cpu_level() && seconds > 0);
  Peak peak;
  peak.threads = team.size();
  peak.int8 = operations_rate(team, int8_measure(level), seconds);
  peak.f32 = operations_rate(team, f32_measure(level), seconds);
  if (level >= CpuLevel::kBf16) peak.bf16 = operations_rate(team, bf16_measure(level), seconds);
  peak.bandwidth = read_rate(team);
  return peak;
}

}  // namespace agon::llm
