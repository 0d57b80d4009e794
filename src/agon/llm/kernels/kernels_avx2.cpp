#include "agon/llm/kernels/lanes_avx2.h"
#include "agon/llm/kernels/table_body.h"

namespace agon::llm {

const Kernels& avx2_kernels() {
  static constexpr Kernels kTable = make_kernels<LanesAvx2>();
  return kTable;
}

}  // namespace agon::llm
