#include "agon/llm/kernels/kernels.h"

#include "agon/llm/kernels/cpu.h"

namespace agon::llm {

const Kernels& kernels() {
  switch (cpu_level()) {
    case CpuLevel::kPlain:
      return plain_kernels();
    case CpuLevel::kAvx2:
      return avx2_kernels();
    case CpuLevel::kAvx512:
      return avx512_kernels();
    case CpuLevel::kVnni:
      return vnni_kernels();
    case CpuLevel::kBf16:
      return bf16_kernels();
    case CpuLevel::kAmx:
      break;
  }
  return amx_kernels();
}

}  // namespace agon::llm
