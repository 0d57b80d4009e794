// Gemma 3 (text): a window on five of six layers, whose positions turn by a base of their own and unscaled;
// normalised queries and keys.
#include "agon/llm/model/architecture.h"
#include "agon/llm/model/architectures/gemma.h"

namespace agon::llm {
namespace {

Status read(const Keys& keys, ModelConfig& config) {
  set_gemma(config, 62);
  config.qk_norm = true;
  AGON_ASSIGN(config.final_softcap, keys.real_or("final_logit_softcapping", 0.0, 0.0, 1e6));
  AGON_ASSIGN(const int window, keys.integer_or("attention.sliding_window", 0, 0, 1 << 27));
  if (window == 0) return {};
  RopeConfig local;
  local.dimensions = config.ropes.front().dimensions;
  local.pairing = config.ropes.front().pairing;
  AGON_ASSIGN(local.theta, keys.real_or("rope.freq_base_swa", 10000.0, 1.0 + 1e-9, 1e15));
  config.ropes.push_back(std::move(local));
  return set_windows(keys, config, window, 6, 1);
}

}  // namespace

const Architecture kGemma3 = {
    .name = "gemma3", .pairing = RopeConfig::Pairing::kHalves, .read = read, .fused_gate_up = false};

}  // namespace agon::llm
