#include "agon/llm/kernels/attention_pairs.h"
#include "agon/llm/kernels/lanes_bf16.h"
#include "agon/llm/kernels/table_body.h"

namespace agon::llm {

const Kernels& bf16_kernels() {
  static constexpr Kernels kTable = [] {
    Kernels table = make_kernels<LanesBf16>();
    table.attention_pairs = PairAttention<LanesBf16>::run;
    return table;
  }();
  return kTable;
}

}  // namespace agon::llm
