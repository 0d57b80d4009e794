#include "agon/llm/kernels/lanes_plain.h"
#include "agon/llm/kernels/table_body.h"

namespace agon::llm {

const Kernels& plain_kernels() {
  static constexpr Kernels kTable = make_kernels<LanesPlain>();
  return kTable;
}

}  // namespace agon::llm
