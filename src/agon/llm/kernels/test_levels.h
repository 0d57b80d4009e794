// What the tests of the kernels share: the tables this machine can run, and random numbers and weights.
#pragma once

#include <cmath>
#include <cstddef>
#include <cstring>
#include <numbers>
#include <span>
#include <string>
#include <vector>

#include "agon/base/random.h"
#include "agon/llm/gguf/blocks.h"
#include "agon/llm/gguf/half.h"
#include "agon/llm/gguf/types.h"
#include "agon/llm/kernels/cpu.h"
#include "agon/llm/kernels/kernels.h"
#include "agon/llm/kernels/memory.h"

namespace agon::llm {

struct Level {
  std::string name;
  const Kernels* table;
  bool pairs = false;  ///< BF16 matrices are multiplied by activations rounded to bfloat16, pair by pair.
};

/// The tables that this machine can run, called directly whatever AGON_CPU says; the plain one first.
inline std::vector<Level> test_levels() {
  std::vector<Level> levels = {{"plain", &plain_kernels()}};
  if (machine_cpu_level() >= CpuLevel::kAvx2) levels.push_back({"avx2", &avx2_kernels()});
  if (machine_cpu_level() >= CpuLevel::kAvx512) levels.push_back({"avx512", &avx512_kernels()});
  if (machine_cpu_level() >= CpuLevel::kVnni) levels.push_back({"vnni", &vnni_kernels()});
  if (machine_cpu_level() >= CpuLevel::kBf16) levels.push_back({"bf16", &bf16_kernels(), true});
  if (machine_cpu_level() >= CpuLevel::kAmx) levels.push_back({"amx", &amx_kernels(), true});
  return levels;
}

/// N(0, 1) (Box and Muller 1958).
inline float gaussian(Random& random) {
  // In two steps: the order of two draws in one expression is the compiler's choice.
  const double radius = std::sqrt(-2 * std::log(1 - random.uniform()));
  return static_cast<float>(radius * std::cos(2 * std::numbers::pi * random.uniform()));
}

inline std::vector<float> gaussians(std::size_t count, Random& random, float scale = 1) {
  std::vector<float> values(count);
  for (float& x : values) x = scale * gaussian(random);
  return values;
}

/// Half the distance from 1 to the next float: what one operation adds in relative error.
constexpr double kUnit = 0x1p-24;

/// gamma_n = n u / (1 - n u): bounds the relative error that n roundings add up to (Higham, "Accuracy and
/// Stability of Numerical Algorithms", lemma 3.1).
constexpr double gamma(double n) { return n * kUnit / (1 - n * kUnit); }

/// Every format of weights that the kernels take.
constexpr gguf::TensorType kAllTypes[] = {
    gguf::TensorType::kF32,  gguf::TensorType::kF16,    gguf::TensorType::kBF16,  gguf::TensorType::kQ4_0,
    gguf::TensorType::kQ4_1, gguf::TensorType::kQ5_0,   gguf::TensorType::kQ5_1,  gguf::TensorType::kQ8_0,
    gguf::TensorType::kQ2_K, gguf::TensorType::kQ3_K,   gguf::TensorType::kQ4_K,  gguf::TensorType::kQ5_K,
    gguf::TensorType::kQ6_K, gguf::TensorType::kIQ4_NL, gguf::TensorType::kIQ4_XS};

/// Stored weights of random codes with scales and minima about `scale`, of either sign: every code and every
/// scale occurs, which the output of a quantiser would not give. `fill` at 0 to 255 makes all bytes but the
/// scales that one.
inline std::vector<std::byte> random_stored(gguf::TensorType type, std::size_t count, Random& random,
                                            double scale, int fill = -1) {
  const gguf::TypeTraits traits = gguf::type_traits(type);
  std::vector<std::byte> bytes(count / traits.elements * traits.bytes);
  const auto number = [&] { return static_cast<float>(scale * gaussian(random)); };
  if (traits.elements == 1) {
    for (std::size_t i = 0; i < count; ++i) {
      const float x = number();
      const std::uint16_t half =
          type == gguf::TensorType::kF16 ? gguf::float_to_half(x) : gguf::float_to_bfloat(x);
      if (type == gguf::TensorType::kF32) {
        std::memcpy(bytes.data() + 4 * i, &x, 4);
      } else {
        std::memcpy(bytes.data() + 2 * i, &half, 2);
      }
    }
    return bytes;
  }
  for (std::byte& byte : bytes) byte = static_cast<std::byte>(fill >= 0 ? fill : random.below(256));
  for (std::size_t at = 0; at < bytes.size(); at += traits.bytes) {
    const auto put = [&](std::size_t offset) {
      const std::uint16_t half = gguf::float_to_half(number());
      std::memcpy(bytes.data() + at + offset, &half, 2);
    };
    switch (type) {
      case gguf::TensorType::kQ4_1:
      case gguf::TensorType::kQ5_1:
      case gguf::TensorType::kQ4_K:
      case gguf::TensorType::kQ5_K:
        put(0);
        put(2);
        break;
      case gguf::TensorType::kQ2_K:
        put(offsetof(gguf::BlockQ2_K, d));
        put(offsetof(gguf::BlockQ2_K, dmin));
        break;
      case gguf::TensorType::kQ3_K:
        put(offsetof(gguf::BlockQ3_K, d));
        break;
      case gguf::TensorType::kQ6_K:
        put(offsetof(gguf::BlockQ6_K, d));
        break;
      default:
        put(0);
    }
  }
  return bytes;
}

/// The minimum that is added to `column` of a stored row; 0 for formats without.
inline double stored_minimum(gguf::TensorType type, const std::byte* row, std::size_t column) {
  const gguf::TypeTraits traits = gguf::type_traits(type);
  const std::byte* block = row + column / traits.elements * traits.bytes;
  const auto at = static_cast<int>(column % traits.elements);
  const auto read = [&]<class Block>(Block) {
    Block copy;
    std::memcpy(&copy, block, sizeof copy);
    return copy;
  };
  const auto half = [](std::uint16_t bits) { return static_cast<double>(gguf::half_to_float(bits)); };
  switch (type) {
    case gguf::TensorType::kQ4_1:
      return half(read(gguf::BlockQ4_1()).m);
    case gguf::TensorType::kQ5_1:
      return half(read(gguf::BlockQ5_1()).m);
    case gguf::TensorType::kQ2_K: {
      const auto b = read(gguf::BlockQ2_K());
      return -half(b.dmin) * (b.scales[at / 16] >> 4);
    }
    case gguf::TensorType::kQ4_K: {
      const auto b = read(gguf::BlockQ4_K());
      return -half(b.dmin) * gguf::scale_min_k4(b.scales, at / 32).min;
    }
    case gguf::TensorType::kQ5_K: {
      const auto b = read(gguf::BlockQ5_K());
      return -half(b.dmin) * gguf::scale_min_k4(b.scales, at / 32).min;
    }
    default:
      return 0;
  }
}

/// Rows of floats ready for the kernels, as values and as blocks made by the plain table, whose rests are
/// used when `with_rests` is set.
struct TestActivations {
  TestActivations(std::span<const float> from, int row_count, int column_count)
      : rows(row_count),
        columns(column_count),
        stride(static_cast<std::size_t>(column_count) + 32),
        values((static_cast<std::size_t>(row_count) + Activations::kTile) * stride * sizeof(float)),
        rest(static_cast<std::ptrdiff_t>(Activations::block_count(row_count, column_count))),
        blocks(2 * static_cast<std::size_t>(rest) * sizeof(ActivationBlock)) {
    for (int row = 0; row < rows; ++row) {
      float* to = values.as<float>() + static_cast<std::size_t>(row) * stride;
      std::memcpy(to, from.data() + static_cast<std::size_t>(row) * static_cast<std::size_t>(columns),
                  static_cast<std::size_t>(columns) * sizeof(float));
      plain_kernels().quantize(
          to, columns, blocks.as<ActivationBlock>() + Activations::block_index(row, 0, columns), rest);
    }
  }
  /// Makes the blocks those of matmul_pairs.
  void round_pairs(const Kernels& table) {
    for (int row = 0; row < rows; ++row) {
      table.round_pairs(values.as<float>() + static_cast<std::size_t>(row) * stride, columns,
                        blocks.as<ActivationBlock>() + Activations::block_index(row, 0, columns));
    }
  }
  /// Rows `first` to first + count, which must start a tile for quantised matrices.
  [[nodiscard]] Activations view(int first, int count) {
    return {count,
            columns,
            blocks.as<ActivationBlock>() + Activations::block_index(first, 0, columns),
            values.as<float>() + static_cast<std::size_t>(first) * stride,
            stride,
            with_rests ? rest : 0};
  }
  [[nodiscard]] float value(int row, int column) {
    return values.as<float>()[static_cast<std::size_t>(row) * stride + static_cast<std::size_t>(column)];
  }
  /// The number that the block holds for it, and what its rest does.
  [[nodiscard]] double rounded(int row, int column) { return held(row, column, 0); }
  [[nodiscard]] double rest_of(int row, int column) { return held(row, column, rest); }

  int rows, columns;
  std::size_t stride;
  AlignedBytes values;
  std::ptrdiff_t rest;
  AlignedBytes blocks;
  bool with_rests = false;

 private:
  [[nodiscard]] double held(int row, int column, std::ptrdiff_t behind) {
    const ActivationBlock& block =
        (blocks.as<ActivationBlock>() + Activations::block_index(row, column / kBlock, columns))[behind];
    return static_cast<double>(block.d) * block.q[column % kBlock];
  }
};

}  // namespace agon::llm
