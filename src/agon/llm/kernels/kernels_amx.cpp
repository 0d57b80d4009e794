#include "agon/llm/kernels/attention_pairs.h"
#include "agon/llm/kernels/lanes_amx.h"
#include "agon/llm/kernels/matmul_pairs.h"
#include "agon/llm/kernels/table_body.h"

namespace agon::llm {

const Kernels& amx_kernels() {
  static constexpr Kernels kTable = [] {
    Kernels table = make_kernels<LanesAmx>();
    table.matmul_pairs = PairMatmul<LanesAmx>::run;
    table.round_pairs = PairMatmul<LanesAmx>::round;
    table.attention_pairs = PairAttention<LanesAmx>::run;
    return table;
  }();
  return kTable;
}

}  // namespace agon::llm
