// Qwen 1.5, 2 and 2.5 (dense): biases on query, key and value. Their window is off in all models published
// (use_sliding_window is false), so the key is not read, as in llama.cpp.
#include "agon/llm/model/architecture.h"

namespace agon::llm {

const Architecture kQwen2 = {.name = "qwen2",
                             .pairing = RopeConfig::Pairing::kHalves,
                             .read = [](const Keys&, ModelConfig&) { return Status(); },
                             .fused_gate_up = false};

}  // namespace agon::llm
