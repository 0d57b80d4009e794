// Fills the table of functions for one kind of lanes.
#pragma once

#include "agon/llm/kernels/attention_body.h"
#include "agon/llm/kernels/matmul_body.h"
#include "agon/llm/kernels/rows_body.h"
#include "agon/llm/kernels/screen_body.h"

namespace agon::llm {

template <class L>
constexpr Kernels make_kernels() {
  return {.matmul = Matmul<L>::run,
          .matmul_exact = Matmul<L>::run_exact,
          .quantize = Rows<L>::quantize,
          .rms_norm = Rows<L>::rms_norm,
          .rope = Rows<L>::rope,
          .gated = Rows<L>::gated,
          .add = Rows<L>::add,
          .make_screen = Screen<L>::make,
          .screen = Screen<L>::run,
          .attention = Attention<L>::run,
          .store_key = Attention<L>::store_key,
          .store_value = Attention<L>::store_value,
          .summarize = Rows<L>::summarize,
          .largest = Rows<L>::largest,
          .weigh = Rows<L>::weigh,
          .at_least = Rows<L>::at_least};
}

}  // namespace agon::llm
