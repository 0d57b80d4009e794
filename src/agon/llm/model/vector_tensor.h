// Small tensors that are used as floats: norms, biases, divisors.
#pragma once

#include <cstdint>
#include <string_view>
#include <vector>

#include "agon/base/error.h"
#include "agon/llm/gguf/file.h"

namespace agon::llm {

/// "[576, 49152]"
[[nodiscard]] std::string shape_text(std::span<const std::uint64_t> shape);

/// The tensor of that name as `size` finite floats. Missing, of another shape, quantised or not finite: an
/// error that names it.
[[nodiscard]] Result<std::vector<float>> vector_tensor(const gguf::File& file, std::string_view name,
                                                       std::uint64_t size);

}  // namespace agon::llm
