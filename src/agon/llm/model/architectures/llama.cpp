// Llama 1 to 3.2, SmolLM, Mistral 7B, stories: the plain form.
//
// The rows of the query and key matrices were permuted by the converter, so that pairs of neighbours turn
// together. Llama 3.1's scaling comes as the tensor rope_freqs.weight.
#include "agon/llm/model/architecture.h"

namespace agon::llm {
namespace {

// Mistral 7B v0.1 was trained with a window of 4096 on every layer. Converters seldom write the key for this
// architecture, and llama.cpp ignores it; a file that does have it means it, so it is honoured here. The
// two differ only past the window.
Status read(const Keys& keys, ModelConfig& config) {
  AGON_ASSIGN(const int window, keys.integer_or("attention.sliding_window", 0, 0, 1 << 27));
  for (LayerConfig& layer : config.layers) layer.window = window;
  return {};
}

}  // namespace

const Architecture kLlama = {
    .name = "llama", .pairing = RopeConfig::Pairing::kAdjacent, .read = read, .fused_gate_up = false};

}  // namespace agon::llm
