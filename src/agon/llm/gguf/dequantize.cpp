#include "agon/llm/gguf/dequantize.h"

#include <cstring>

#include "agon/base/check.h"
#include "agon/llm/gguf/blocks.h"
#include "agon/llm/gguf/half.h"

namespace agon::gguf {
namespace {

int low(std::uint8_t byte) { return byte & 15; }
int high(std::uint8_t byte) { return byte >> 4; }
int bit(const std::uint8_t* bytes, int i) { return bytes[i / 8] >> i % 8 & 1; }

// Every decoder takes one block and writes its weights. Where 32 weights share 16 bytes, the low nibbles are
// the first 16 weights.

void decode(const BlockQ4_0& b, float* out) {
  const float d = half_to_float(b.d);
  for (int i = 0; i < 16; ++i) {
    out[i] = d * static_cast<float>(low(b.qs[i]) - 8);
    out[i + 16] = d * static_cast<float>(high(b.qs[i]) - 8);
  }
}

void decode(const BlockQ4_1& b, float* out) {
  const float d = half_to_float(b.d), m = half_to_float(b.m);
  for (int i = 0; i < 16; ++i) {
    out[i] = d * static_cast<float>(low(b.qs[i])) + m;
    out[i + 16] = d * static_cast<float>(high(b.qs[i])) + m;
  }
}

void decode(const BlockQ5_0& b, float* out) {
  const float d = half_to_float(b.d);
  for (int i = 0; i < 16; ++i) {
    out[i] = d * static_cast<float>((low(b.qs[i]) | bit(b.qh, i) << 4) - 16);
    out[i + 16] = d * static_cast<float>((high(b.qs[i]) | bit(b.qh, i + 16) << 4) - 16);
  }
}

void decode(const BlockQ5_1& b, float* out) {
  const float d = half_to_float(b.d), m = half_to_float(b.m);
  for (int i = 0; i < 16; ++i) {
    out[i] = d * static_cast<float>(low(b.qs[i]) | bit(b.qh, i) << 4) + m;
    out[i + 16] = d * static_cast<float>(high(b.qs[i]) | bit(b.qh, i + 16) << 4) + m;
  }
}

void decode(const BlockQ8_0& b, float* out) {
  const float d = half_to_float(b.d);
  for (int i = 0; i < 32; ++i) out[i] = d * static_cast<float>(b.qs[i]);
}

void decode(const BlockIQ4_NL& b, float* out) {
  const float d = half_to_float(b.d);
  for (int i = 0; i < 16; ++i) {
    out[i] = d * static_cast<float>(kIQ4Values[low(b.qs[i])]);
    out[i + 16] = d * static_cast<float>(kIQ4Values[high(b.qs[i])]);
  }
}

// In Q2_K and Q3_K byte l of each 32 holds weights l, l+32, l+64 and l+96 of its 128, two bits each.

void decode(const BlockQ2_K& b, float* out) {
  const float d = half_to_float(b.d), dmin = half_to_float(b.dmin);
  for (int i = 0; i < 256; ++i) {
    const std::uint8_t scale = b.scales[i / 16];
    const int q = b.qs[i / 128 * 32 + i % 32] >> i / 32 % 4 * 2 & 3;
    out[i] =
        d * static_cast<float>(low(scale)) * static_cast<float>(q) - dmin * static_cast<float>(high(scale));
  }
}

void decode(const BlockQ3_K& b, float* out) {
  const float d = half_to_float(b.d);
  for (int i = 0; i < 256; ++i) {
    const int two = b.qs[i / 128 * 32 + i % 32] >> i / 32 % 4 * 2 & 3;
    const int third = b.hmask[i % 32] >> i / 32 & 1;  // set: nothing is taken off
    out[i] = d * static_cast<float>(scale_q3_k(b.scales, i / 16) - 32) *
             static_cast<float>(two - (third != 0 ? 0 : 4));
  }
}

// In Q4_K and Q5_K each 32 bytes hold 64 weights, the low nibbles first.

void decode(const BlockQ4_K& b, float* out) {
  const float d = half_to_float(b.d), dmin = half_to_float(b.dmin);
  for (int i = 0; i < 256; ++i) {
    const ScaleMin s = scale_min_k4(b.scales, i / 32);
    const int q = b.qs[i / 64 * 32 + i % 32] >> i / 32 % 2 * 4 & 15;
    out[i] = d * static_cast<float>(s.scale) * static_cast<float>(q) - dmin * static_cast<float>(s.min);
  }
}

void decode(const BlockQ5_K& b, float* out) {
  const float d = half_to_float(b.d), dmin = half_to_float(b.dmin);
  for (int i = 0; i < 256; ++i) {
    const ScaleMin s = scale_min_k4(b.scales, i / 32);
    const int q = (b.qs[i / 64 * 32 + i % 32] >> i / 32 % 2 * 4 & 15) | (b.qh[i % 32] >> i / 32 & 1) << 4;
    out[i] = d * static_cast<float>(s.scale) * static_cast<float>(q) - dmin * static_cast<float>(s.min);
  }
}

void decode(const BlockQ6_K& b, float* out) {
  const float d = half_to_float(b.d);
  for (int i = 0; i < 256; ++i) {
    const int four = b.ql[i / 128 * 64 + i % 64] >> i / 64 % 2 * 4 & 15;
    const int two = b.qh[i / 128 * 32 + i % 32] >> i / 32 % 4 * 2 & 3;
    out[i] = d * static_cast<float>(b.scales[i / 16]) * static_cast<float>((four | two << 4) - 32);
  }
}

void decode(const BlockIQ4_XS& b, float* out) {
  const float d = half_to_float(b.d);
  for (int i = 0; i < 256; ++i) {
    const int part = i / 32;
    const int scale = (b.scales_l[part / 2] >> part % 2 * 4 & 15) | (b.scales_h >> part * 2 & 3) << 4;
    const int q = b.qs[part * 16 + i % 16] >> i / 16 % 2 * 4 & 15;
    out[i] = d * static_cast<float>(scale - 32) * static_cast<float>(kIQ4Values[q]);
  }
}

template <class Block>
void decode_all(std::span<const std::byte> bytes, std::span<float> out) {
  const std::size_t blocks = bytes.size() / sizeof(Block);
  const std::size_t elements = out.size() / blocks;
  for (std::size_t i = 0; i < blocks; ++i) {
    Block block;  // a copy, as the bytes may lie at any address
    std::memcpy(&block, bytes.data() + i * sizeof(Block), sizeof(Block));
    decode(block, out.data() + i * elements);
  }
}

template <float (*Convert)(std::uint16_t)>
void widen(std::span<const std::byte> bytes, std::span<float> out) {
  for (std::size_t i = 0; i < out.size(); ++i) {
    std::uint16_t half;
    std::memcpy(&half, bytes.data() + i * 2, 2);
    out[i] = Convert(half);
  }
}

}  // namespace

void dequantize(TensorType type, std::span<const std::byte> bytes, std::span<float> out) {
  const TypeTraits traits = type_traits(type);
  AGON_CHECK(traits.elements != 0 && out.size() % traits.elements == 0);
  AGON_CHECK(bytes.size() == out.size() / traits.elements * traits.bytes);
  if (out.empty()) return;
  switch (type) {
    case TensorType::kF32:
      std::memcpy(out.data(), bytes.data(), bytes.size());
      break;
    case TensorType::kF16:
      widen<half_to_float>(bytes, out);
      break;
    case TensorType::kBF16:
      widen<bfloat_to_float>(bytes, out);
      break;
    case TensorType::kQ4_0:
      decode_all<BlockQ4_0>(bytes, out);
      break;
    case TensorType::kQ4_1:
      decode_all<BlockQ4_1>(bytes, out);
      break;
    case TensorType::kQ5_0:
      decode_all<BlockQ5_0>(bytes, out);
      break;
    case TensorType::kQ5_1:
      decode_all<BlockQ5_1>(bytes, out);
      break;
    case TensorType::kQ8_0:
      decode_all<BlockQ8_0>(bytes, out);
      break;
    case TensorType::kQ2_K:
      decode_all<BlockQ2_K>(bytes, out);
      break;
    case TensorType::kQ3_K:
      decode_all<BlockQ3_K>(bytes, out);
      break;
    case TensorType::kQ4_K:
      decode_all<BlockQ4_K>(bytes, out);
      break;
    case TensorType::kQ5_K:
      decode_all<BlockQ5_K>(bytes, out);
      break;
    case TensorType::kQ6_K:
      decode_all<BlockQ6_K>(bytes, out);
      break;
    case TensorType::kIQ4_NL:
      decode_all<BlockIQ4_NL>(bytes, out);
      break;
    case TensorType::kIQ4_XS:
      decode_all<BlockIQ4_XS>(bytes, out);
      break;
  }
}

}  // namespace agon::gguf
