// From floats to stored weights, for tests, converters and random models. Simple rounding, not the search for
// best scales that quantisation tools do: files made here are valid, not the best possible.
#pragma once

#include <cstddef>
#include <span>
#include <vector>

#include "agon/llm/gguf/types.h"

namespace agon::gguf {

/// Encodes `values` (a multiple of the format's elements, all finite) in any of the formats.
///
/// With A the largest magnitude and R the range (0 included, for the K formats) of the weights that share a
/// scale, no weight moves by more than: F16 2^-11 of itself, BF16 2^-8 of itself, Q4_0 A/8, Q5_0 A/16, Q8_0
/// A/254, Q4_1 R/30, Q5_1 R/62, IQ4_NL A/9, and for K formats, whose scales are rounded too, a bound of the
/// same kind over the 256 of a block (see quantize_test.cpp); each plus what rounding scales to half
/// precision costs (2^-11 of A). Magnitudes beyond what a half-precision scale can hold are cut.
[[nodiscard]] std::vector<std::byte> quantize(TensorType type, std::span<const float> values);

}  // namespace agon::gguf
