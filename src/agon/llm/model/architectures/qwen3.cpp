// Qwen 3 (dense): every query and key head is normalised before it turns; heads times key length need not be
// the embedding's width.
#include "agon/llm/model/architecture.h"

namespace agon::llm {
namespace {

Status read(const Keys& /*keys*/, ModelConfig& config) {
  config.qk_norm = true;
  return {};
}

}  // namespace

const Architecture kQwen3 = {
    .name = "qwen3", .pairing = RopeConfig::Pairing::kHalves, .read = read, .fused_gate_up = false};

}  // namespace agon::llm
