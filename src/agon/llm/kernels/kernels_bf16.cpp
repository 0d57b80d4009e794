#include "agon/llm/kernels/lanes_bf16.h"
#include "agon/llm/kernels/table_body.h"

namespace agon::llm {

const Kernels& bf16_kernels() {
  static constexpr Kernels kTable = make_kernels<LanesBf16>();
  return kTable;
}

}  // namespace agon::llm
