// From stored weights to floats: the definition of what every format means.
#pragma once

#include <cstddef>
#include <span>

#include "agon/llm/gguf/types.h"

namespace agon::gguf {

/// Decodes `out.size()` weights (a multiple of the format's elements) from `bytes`. Plain and slow: it is the
/// reference that kernels are tested against. Every value is the exact product and sum in float of the
/// format's own definition (as ggml's dequantize_row_* defines them).
void dequantize(TensorType type, std::span<const std::byte> bytes, std::span<float> out);

}  // namespace agon::gguf
