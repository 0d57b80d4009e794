// Gemma 2: soft-capped scores and logits, a window on every other layer, starting with the first.
#include "agon/llm/model/architecture.h"
#include "agon/llm/model/architectures/gemma.h"

namespace agon::llm {
namespace {

Status read(const Keys& keys, ModelConfig& config) {
  set_gemma(config, 46);
  AGON_ASSIGN(config.attention_softcap, keys.real_or("attn_logit_softcapping", 50.0, 1e-3, 1e6));
  AGON_ASSIGN(config.final_softcap, keys.real_or("final_logit_softcapping", 30.0, 1e-3, 1e6));
  AGON_ASSIGN(const int window, keys.integer_or("attention.sliding_window", 4096, 1, 1 << 27));
  return set_windows(keys, config, window, 2, 0);
}

}  // namespace

const Architecture kGemma2 = {
    .name = "gemma2", .pairing = RopeConfig::Pairing::kHalves, .read = read, .fused_gate_up = false};

}  // namespace agon::llm
