#include "agon/llm/gguf/quantize.h"

#include <algorithm>
#include <cmath>
#include <cstring>

#include "agon/base/check.h"
#include "agon/llm/gguf/blocks.h"
#include "agon/llm/gguf/half.h"

namespace agon::gguf {
namespace {

// A scale as it is stored; beyond the largest finite half it is cut, as infinity would make weights of 0 NaN.
std::uint16_t stored_scale(float scale) { return float_to_half(std::clamp(scale, -65504.0f, 65504.0f)); }

int round_to(float value, int low, int high) {
  // Clamped before it is an integer: the quotient of a large weight and a tiny scale may be beyond any.
  return static_cast<int>(std::lround(std::clamp(value, static_cast<float>(low), static_cast<float>(high))));
}
int divide(float value, float step, int low, int high) {
  return step == 0 ? std::clamp(0, low, high) : round_to(value / step, low, high);
}

// The value of the largest magnitude, with its sign: the side of a signed code that reaches one further is
// given to it.
float extreme(std::span<const float> values) {
  // Not a loop that keeps the best so far: clang 19 vectorises that to a wrong result at -O2.
  return *std::ranges::max_element(values, {}, [](float value) { return std::fabs(value); });
}

void set_bit(std::uint8_t* bytes, int i, int value) {
  bytes[i / 8] = static_cast<std::uint8_t>(bytes[i / 8] | value << i % 8);
}
std::uint8_t nibbles(int low, int high) { return static_cast<std::uint8_t>(low | high << 4); }

void encode(std::span<const float> x, BlockQ4_0& b) {
  b.d = stored_scale(extreme(x) / -8);
  const float d = half_to_float(b.d);
  const auto code = [&](int i) { return divide(x[i], d, -8, 7) + 8; };
  for (int i = 0; i < 16; ++i) b.qs[i] = nibbles(code(i), code(i + 16));
}

void encode(std::span<const float> x, BlockQ5_0& b) {
  b.d = stored_scale(extreme(x) / -16);
  const float d = half_to_float(b.d);
  for (int i = 0; i < 16; ++i) {
    const int first = divide(x[i], d, -16, 15) + 16, second = divide(x[i + 16], d, -16, 15) + 16;
    b.qs[i] = nibbles(first & 15, second & 15);
    set_bit(b.qh, i, first >> 4);
    set_bit(b.qh, i + 16, second >> 4);
  }
}

// Scale and minimum of codes 0 to `levels`.
template <class Block>
void set_range(std::span<const float> x, int levels, Block& b) {
  const auto [low, high] = std::ranges::minmax(x);
  b.m = stored_scale(low);
  b.d = stored_scale((high - half_to_float(b.m)) / static_cast<float>(levels));
}

void encode(std::span<const float> x, BlockQ4_1& b) {
  set_range(x, 15, b);
  const float d = half_to_float(b.d), m = half_to_float(b.m);
  const auto code = [&](int i) { return divide(x[i] - m, d, 0, 15); };
  for (int i = 0; i < 16; ++i) b.qs[i] = nibbles(code(i), code(i + 16));
}

void encode(std::span<const float> x, BlockQ5_1& b) {
  set_range(x, 31, b);
  const float d = half_to_float(b.d), m = half_to_float(b.m);
  for (int i = 0; i < 16; ++i) {
    const int first = divide(x[i] - m, d, 0, 31), second = divide(x[i + 16] - m, d, 0, 31);
    b.qs[i] = nibbles(first & 15, second & 15);
    set_bit(b.qh, i, first >> 4);
    set_bit(b.qh, i + 16, second >> 4);
  }
}

void encode(std::span<const float> x, BlockQ8_0& b) {
  b.d = stored_scale(std::fabs(extreme(x)) / 127);
  const float d = half_to_float(b.d);
  for (int i = 0; i < 32; ++i) b.qs[i] = static_cast<std::int8_t>(divide(x[i], d, -127, 127));
}

int nearest_iq4(float value) {  // of kIQ4Values, which ascend
  const auto above = std::ranges::lower_bound(kIQ4Values, value, {}, [](std::int8_t v) { return float(v); });
  if (above == kIQ4Values.begin()) return 0;
  const auto index = static_cast<int>(above - kIQ4Values.begin());
  if (above == kIQ4Values.end()) return index - 1;
  return value - static_cast<float>(above[-1]) < static_cast<float>(*above) - value ? index - 1 : index;
}
int iq4_code(float value, float step) { return nearest_iq4(step == 0 ? 0.0f : value / step); }

void encode(std::span<const float> x, BlockIQ4_NL& b) {
  b.d = stored_scale(extreme(x) / -127);
  const float d = half_to_float(b.d);
  for (int i = 0; i < 16; ++i) b.qs[i] = nibbles(iq4_code(x[i], d), iq4_code(x[i + 16], d));
}

// The K formats: parts of 16 or 32 weights have scales of few bits, times one half for the block.

// For codes 0 to `levels` and a minimum below zero: what each part would like, and how it is stored.
template <int kParts>
struct Ranges {
  std::uint16_t d = 0, dmin = 0;
  int scale[kParts] = {}, min[kParts] = {};

  Ranges(std::span<const float> x, int levels, int largest) {
    constexpr std::size_t kSize = 256 / kParts;
    float step[kParts], below[kParts];
    for (int part = 0; part < kParts; ++part) {
      const auto [low, high] = std::ranges::minmax(x.subspan(part * kSize, kSize));
      below[part] = std::max(-low, 0.0f);
      step[part] = (std::max(high, 0.0f) + below[part]) / static_cast<float>(levels);
    }
    d = stored_scale(*std::ranges::max_element(step) / static_cast<float>(largest));
    dmin = stored_scale(*std::ranges::max_element(below) / static_cast<float>(largest));
    for (int part = 0; part < kParts; ++part) {
      scale[part] = divide(step[part], half_to_float(d), 0, largest);
      min[part] = divide(below[part], half_to_float(dmin), 0, largest);
    }
  }
  [[nodiscard]] int code(float value, int part, int levels) const {
    const float step = half_to_float(d) * static_cast<float>(scale[part]);
    return divide(value + half_to_float(dmin) * static_cast<float>(min[part]), step, 0, levels);
  }
};

void encode(std::span<const float> x, BlockQ2_K& b) {
  const Ranges<16> ranges(x, 3, 15);
  b.d = ranges.d;
  b.dmin = ranges.dmin;
  for (int part = 0; part < 16; ++part) b.scales[part] = nibbles(ranges.scale[part], ranges.min[part]);
  for (int i = 0; i < 256; ++i)
    b.qs[i / 128 * 32 + i % 32] |= static_cast<std::uint8_t>(ranges.code(x[i], i / 16, 3) << i / 32 % 4 * 2);
}

// Scales and minima of 6 bits as scale_min_k4 reads them.
void pack_scales(const Ranges<8>& ranges, std::uint8_t* scales) {
  for (int i = 0; i < 4; ++i) {
    const int scale = ranges.scale[i + 4], min = ranges.min[i + 4];
    scales[i] = static_cast<std::uint8_t>(ranges.scale[i] | scale >> 4 << 6);
    scales[i + 4] = static_cast<std::uint8_t>(ranges.min[i] | min >> 4 << 6);
    scales[i + 8] = nibbles(scale & 15, min & 15);
  }
}

void encode(std::span<const float> x, BlockQ4_K& b) {
  const Ranges<8> ranges(x, 15, 63);
  b.d = ranges.d;
  b.dmin = ranges.dmin;
  pack_scales(ranges, b.scales);
  for (int i = 0; i < 256; ++i)
    b.qs[i / 64 * 32 + i % 32] |= static_cast<std::uint8_t>(ranges.code(x[i], i / 32, 15) << i / 32 % 2 * 4);
}

void encode(std::span<const float> x, BlockQ5_K& b) {
  const Ranges<8> ranges(x, 31, 63);
  b.d = ranges.d;
  b.dmin = ranges.dmin;
  pack_scales(ranges, b.scales);
  for (int i = 0; i < 256; ++i) {
    const int code = ranges.code(x[i], i / 32, 31);
    b.qs[i / 64 * 32 + i % 32] |= static_cast<std::uint8_t>((code & 15) << i / 32 % 2 * 4);
    b.qh[i % 32] |= static_cast<std::uint8_t>(code >> 4 << i / 32);
  }
}

// For signed codes from -`levels`: scales are signed, from -`largest`, so that both extremes are reached.
template <int kParts>
struct SignedScales {
  std::uint16_t d = 0;
  int scale[kParts] = {};

  SignedScales(std::span<const float> x, int levels, int largest) {
    constexpr std::size_t kSize = 256 / kParts;
    float step[kParts];
    for (int part = 0; part < kParts; ++part)
      step[part] = extreme(x.subspan(part * kSize, kSize)) / static_cast<float>(-levels);
    d = stored_scale(extreme(step) / static_cast<float>(-largest));
    for (int part = 0; part < kParts; ++part)
      scale[part] = divide(step[part], half_to_float(d), -largest, largest - 1);
  }
  [[nodiscard]] float step(int part) const { return half_to_float(d) * static_cast<float>(scale[part]); }
};

void encode(std::span<const float> x, BlockQ3_K& b) {
  const SignedScales<16> scales(x, 4, 32);
  b.d = scales.d;
  for (int part = 0; part < 16; ++part) {
    const int code = scales.scale[part] + 32;
    b.scales[part % 8] |= static_cast<std::uint8_t>((code & 15) << part / 8 * 4);
    b.scales[8 + part % 4] |= static_cast<std::uint8_t>(code >> 4 << part / 4 * 2);
  }
  for (int i = 0; i < 256; ++i) {
    const int code = divide(x[i], scales.step(i / 16), -4, 3) + 4;
    b.qs[i / 128 * 32 + i % 32] |= static_cast<std::uint8_t>((code & 3) << i / 32 % 4 * 2);
    b.hmask[i % 32] |= static_cast<std::uint8_t>(code >> 2 << i / 32);
  }
}

void encode(std::span<const float> x, BlockQ6_K& b) {
  const SignedScales<16> scales(x, 32, 128);
  b.d = scales.d;
  for (int part = 0; part < 16; ++part) b.scales[part] = static_cast<std::int8_t>(scales.scale[part]);
  for (int i = 0; i < 256; ++i) {
    const int code = divide(x[i], scales.step(i / 16), -32, 31) + 32;
    b.ql[i / 128 * 64 + i % 64] |= static_cast<std::uint8_t>((code & 15) << i / 64 % 2 * 4);
    b.qh[i / 128 * 32 + i % 32] |= static_cast<std::uint8_t>(code >> 4 << i / 32 % 4 * 2);
  }
}

void encode(std::span<const float> x, BlockIQ4_XS& b) {
  const SignedScales<8> scales(x, 127, 32);
  b.d = scales.d;
  for (int part = 0; part < 8; ++part) {
    const int code = scales.scale[part] + 32;
    b.scales_l[part / 2] |= static_cast<std::uint8_t>((code & 15) << part % 2 * 4);
    b.scales_h |= static_cast<std::uint16_t>(code >> 4 << part * 2);
  }
  for (int i = 0; i < 256; ++i) {
    const int code = iq4_code(x[i], scales.step(i / 32));
    b.qs[i / 32 * 16 + i % 16] |= static_cast<std::uint8_t>(code << i / 16 % 2 * 4);
  }
}

template <class Block>
void encode_all(std::span<const float> values, std::vector<std::byte>& out) {
  const std::size_t blocks = out.size() / sizeof(Block);
  const std::size_t elements = values.size() / blocks;
  for (std::size_t i = 0; i < blocks; ++i) {
    Block block{};
    encode(values.subspan(i * elements, elements), block);
    std::memcpy(out.data() + i * sizeof(Block), &block, sizeof(Block));
  }
}

template <std::uint16_t (*Convert)(float)>
void narrow(std::span<const float> values, std::vector<std::byte>& out) {
  for (std::size_t i = 0; i < values.size(); ++i) {
    const std::uint16_t half = Convert(values[i]);
    std::memcpy(out.data() + i * 2, &half, 2);
  }
}

}  // namespace

std::vector<std::byte> quantize(TensorType type, std::span<const float> values) {
  const TypeTraits traits = type_traits(type);
  AGON_CHECK(traits.elements != 0 && values.size() % traits.elements == 0);
  std::vector<std::byte> out(values.size() / traits.elements * traits.bytes);
  if (values.empty()) return out;
  switch (type) {
    case TensorType::kF32:
      std::memcpy(out.data(), values.data(), out.size());
      break;
    case TensorType::kF16:
      narrow<float_to_half>(values, out);
      break;
    case TensorType::kBF16:
      narrow<float_to_bfloat>(values, out);
      break;
    case TensorType::kQ4_0:
      encode_all<BlockQ4_0>(values, out);
      break;
    case TensorType::kQ4_1:
      encode_all<BlockQ4_1>(values, out);
      break;
    case TensorType::kQ5_0:
      encode_all<BlockQ5_0>(values, out);
      break;
    case TensorType::kQ5_1:
      encode_all<BlockQ5_1>(values, out);
      break;
    case TensorType::kQ8_0:
      encode_all<BlockQ8_0>(values, out);
      break;
    case TensorType::kQ2_K:
      encode_all<BlockQ2_K>(values, out);
      break;
    case TensorType::kQ3_K:
      encode_all<BlockQ3_K>(values, out);
      break;
    case TensorType::kQ4_K:
      encode_all<BlockQ4_K>(values, out);
      break;
    case TensorType::kQ5_K:
      encode_all<BlockQ5_K>(values, out);
      break;
    case TensorType::kQ6_K:
      encode_all<BlockQ6_K>(values, out);
      break;
    case TensorType::kIQ4_NL:
      encode_all<BlockIQ4_NL>(values, out);
      break;
    case TensorType::kIQ4_XS:
      encode_all<BlockIQ4_XS>(values, out);
      break;
  }
  return out;
}

}  // namespace agon::gguf
