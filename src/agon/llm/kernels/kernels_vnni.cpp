#include "agon/llm/kernels/lanes_avx512.h"
#include "agon/llm/kernels/table_body.h"

namespace agon::llm {

const Kernels& vnni_kernels() {
  static constexpr Kernels kTable = make_kernels<LanesAvx512<true>>();
  return kTable;
}

}  // namespace agon::llm
