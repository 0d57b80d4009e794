#include "agon/llm/kernels/cpu.h"

#include <cpuid.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <array>
#include <cstdlib>

namespace agon::llm {
namespace {

constexpr std::array<std::string_view, 6> kNames = {"plain", "avx2", "avx512", "vnni", "bf16", "amx"};

// Tile registers: the processor has them, the system saves them, and it lets this process use them, which has
// to be asked for once (Linux' Documentation/arch/x86/xstate.rst).
bool tiles_granted() {
  unsigned a = 0, b = 0, c = 0, d = 0;
  constexpr unsigned kBf16Bit = 1U << 22, kTileBit = 1U << 24, kInt8Bit = 1U << 25;
  constexpr unsigned kNeeded = kBf16Bit | kTileBit | kInt8Bit;
  if (__get_cpuid_count(7, 0, &a, &b, &c, &d) == 0 || (d & kNeeded) != kNeeded) return false;
  constexpr long kRequestPermission = 0x1023, kTileData = 18;
  return syscall(SYS_arch_prctl, kRequestPermission, kTileData) == 0;
}

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
  if (!__builtin_cpu_supports("avx512bf16")) return CpuLevel::kVnni;
  static const bool tiles = tiles_granted();
  return tiles ? CpuLevel::kAmx : CpuLevel::kBf16;
}

CpuLevel cpu_level() {
  static const CpuLevel level = chosen_level();
  return level;
}

std::string_view cpu_level_name(CpuLevel level) { return kNames[static_cast<std::size_t>(level)]; }

}  // namespace agon::llm
