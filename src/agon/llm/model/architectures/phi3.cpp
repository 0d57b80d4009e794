// Phi 3, 3.5 and 4: fused query-key-value and gate-up matrices, two sets of rope divisors in the models with
// a long context.
#include "agon/llm/model/architecture.h"

namespace agon::llm {
namespace {

// The 4k models were trained with a window of 2047 on every layer; the converter writes 0 for Phi 4.
// llama.cpp reads the key and then switches the window off for now; here it is kept, as in the model's own
// code. The two differ only past the window.
Status read(const Keys& keys, ModelConfig& config) {
  AGON_ASSIGN(const int window, keys.integer_or("attention.sliding_window", 0, 0, 1 << 27));
  for (LayerConfig& layer : config.layers) layer.window = window;
  return {};
}

}  // namespace

const Architecture kPhi3 = {
    .name = "phi3", .pairing = RopeConfig::Pairing::kHalves, .read = read, .fused_gate_up = true};

}  // namespace agon::llm
