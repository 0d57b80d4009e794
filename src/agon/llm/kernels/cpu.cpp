#include "agon/llm/kernels/cpu.h"

#include <array>
#include <cstdlib>

namespace agon::llm {
namespace {

constexpr std::array<std::string_view, 5> kNames = {"plain", "avx2", "avx512", "vnni", "bf16"};

CpuLevel chosen_level() {
  const CpuLevel machine = machine_cpu_level();
  const char* wish = std::getenv("AGON_CPU");
  if (wish == nullptr) return machine;
  for (std::size_t i = 0; i < kNames.size(); ++i) {
    if (kNames[i] == wish && static_cast<CpuLevel>(i) <= machine) return static_cast<CpuLevel>(i);
  }
  return machine;
}

}  // namespace

CpuLevel machine_cpu_level() {
  __builtin_cpu_init();
  if (!(__builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma") && __builtin_cpu_supports("f16c"))) {
    return CpuLevel::kPlain;
  }
  if (!(__builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512bw") &&
        __builtin_cpu_supports("avx512vl") && __builtin_cpu_supports("avx512dq"))) {
    return CpuLevel::kAvx2;
  }
  if (!__builtin_cpu_supports("avx512vnni")) return CpuLevel::kAvx512;
  return __builtin_cpu_supports("avx512bf16") ? CpuLevel::kBf16 : CpuLevel::kVnni;
}

CpuLevel cpu_level() {
  static const CpuLevel level = chosen_level();
  return level;
}

std::string_view cpu_level_name(CpuLevel level) { return kNames[static_cast<std::size_t>(level)]; }

}  // namespace agon::llm
