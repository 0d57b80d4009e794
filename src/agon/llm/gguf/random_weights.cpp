#include "agon/llm/gguf/random_weights.h"

#include <algorithm>
#include <cmath>
#include <cstring>
#include <numbers>

#include "agon/base/check.h"
#include "agon/base/parallel.h"
#include "agon/base/random.h"
#include "agon/llm/gguf/quantize.h"

namespace agon::gguf {
namespace {

constexpr std::uint64_t kPool = std::uint64_t{1} << 18;
constexpr std::size_t kDrawn = 4096;    // weights of one stream, a multiple of every block
constexpr std::size_t kBlocks = 65536;  // blocks of one stream

std::vector<float> gaussians(std::uint64_t count, double mean, double deviation, std::uint64_t seed) {
  std::vector<float> out(count);
  parallel_chunks(count, kDrawn, [&](std::size_t begin, std::size_t end) {
    Random random(seed, 2 * (begin / kDrawn));
    for (std::size_t i = begin; i < end; i += 2) {  // Box and Muller 1958: a pair at a time
      const double radius = deviation * std::sqrt(-2 * std::log(1 - random.uniform()));
      const double angle = 2 * std::numbers::pi * random.uniform();
      out[i] = static_cast<float>(mean + radius * std::cos(angle));
      if (i + 1 < end) out[i + 1] = static_cast<float>(mean + radius * std::sin(angle));
    }
  });
  return out;
}

std::vector<std::byte> encode(TensorType type, const std::vector<float>& values) {
  const TypeTraits traits = type_traits(type);
  std::vector<std::byte> out(values.size() / traits.elements * traits.bytes);
  parallel_chunks(values.size(), kDrawn, [&](std::size_t begin, std::size_t end) {
    const std::vector<std::byte> part = quantize(type, std::span(values).subspan(begin, end - begin));
    std::ranges::copy(part,
                      out.begin() + static_cast<std::ptrdiff_t>(begin / traits.elements * traits.bytes));
  });
  return out;
}

}  // namespace

std::vector<std::byte> random_weights(TensorType type, std::uint64_t count, double mean, double deviation,
                                      std::uint64_t seed) {
  const TypeTraits traits = type_traits(type);
  AGON_CHECK(traits.elements != 0 && count % traits.elements == 0);
  const std::vector<std::byte> pool = encode(type, gaussians(std::min(count, kPool), mean, deviation, seed));
  if (count <= kPool) return pool;

  const std::uint64_t choices = kPool / traits.elements;
  const std::uint64_t blocks = count / traits.elements;
  std::vector<std::byte> out(blocks * traits.bytes);
  parallel_chunks(blocks, kBlocks, [&](std::size_t begin, std::size_t end) {
    Random random(seed, 2 * (begin / kBlocks) + 1);
    for (std::size_t i = begin; i < end; ++i)
      std::memcpy(out.data() + i * traits.bytes, pool.data() + random.below(choices) * traits.bytes,
                  traits.bytes);
  });
  return out;
}

}  // namespace agon::gguf
