#include "agon/llm/kernels/lanes_avx512.h"
#include "agon/llm/kernels/table_body.h"

namespace agon::llm {

const Kernels& avx512_kernels() {
  static constexpr Kernels kTable = make_kernels<LanesAvx512<false>>();
  return kTable;
}

}  // namespace agon::llm
