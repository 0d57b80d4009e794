// Normally distributed weights in a stored format, by the million.
#pragma once

#include <cstddef>
#include <cstdint>
#include <vector>

#include "agon/llm/gguf/types.h"

namespace agon::gguf {

/// `count` (a multiple of the format's elements) weights of N(mean, deviation^2), encoded. Up to 2^18 of them
/// are drawn one by one; beyond, blocks are drawn from a pool of that many weights. A function of its
/// arguments alone; runs on all threads.
[[nodiscard]] std::vector<std::byte> random_weights(TensorType type, std::uint64_t count, double mean,
                                                    double deviation, std::uint64_t seed);

}  // namespace agon::gguf
