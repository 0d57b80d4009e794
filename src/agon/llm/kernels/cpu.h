// Which instructions this machine has, and which the kernels may use.
#pragma once

#include <cstdint>
#include <string_view>

namespace agon::llm {

/// Levels of the dispatch, each including those before it.
enum class CpuLevel : std::uint8_t {
  kPlain,   ///< Any x86-64: plain C++, the reference for the others.
  kAvx2,    ///< AVX2, FMA and F16C.
  kAvx512,  ///< AVX-512 F, BW, VL and DQ.
  kVnni,    ///< AVX-512 VNNI: products of four bytes in one instruction.
  kBf16,    ///< AVX-512 BF16 on top: products of pairs of bfloat16.
  kAmx,     ///< AMX: tile registers and their products of bytes and of bfloat16.
};

/// The highest level this machine has, or the one that AGON_CPU=plain|avx2|avx512|vnni|bf16|amx asks for;
/// never more than the machine has. Read once.
[[nodiscard]] CpuLevel cpu_level();
/// What the machine has, whatever AGON_CPU says.
[[nodiscard]] CpuLevel machine_cpu_level();
[[nodiscard]] std::string_view cpu_level_name(CpuLevel level);

}  // namespace agon::llm
