// From floats to stored weights, for tests, converters and random models. Simple rounding, not the search for
// best scales that quantisation tools do: files made here are valid, not the best possible.
#pragma once

#include <cstddef>
#include <span>
#include <vector>

#include "agon/llm/gguf/types.h"

namespace agon::gguf {

/// Encodes `values` (a multiple of the format's elements, all finite) in any of the formats.
[[nodiscard]] std::vector<std::byte> quantize(TensorType type, std::span<const float> values);

}  // namespace agon::gguf
