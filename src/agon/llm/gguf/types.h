// The number formats a GGUF file stores tensors in.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string_view>

namespace agon::gguf {

/// Tensor formats that the engine reads; the values are those of the file format.
enum class TensorType : std::uint32_t {
  kF32 = 0,
  kF16 = 1,
  kQ4_0 = 2,
  kQ4_1 = 3,
  kQ5_0 = 6,
  kQ5_1 = 7,
  kQ8_0 = 8,
  kQ2_K = 10,
  kQ3_K = 11,
  kQ4_K = 12,
  kQ5_K = 13,
  kQ6_K = 14,
  kIQ4_NL = 20,
  kIQ4_XS = 23,
  kBF16 = 30,
};

/// What a format packs together: `elements` consecutive weights of a row take `bytes` bytes.
struct TypeTraits {
  std::string_view name;  ///< As people write it: "Q4_K".
  std::size_t elements;   ///< 1 for floats, 32 for the plain quantised formats, 256 for the K ones.
  std::size_t bytes;
};

/// Traits of a format; `name` is empty for a number that is no format the engine reads.
[[nodiscard]] TypeTraits type_traits(TensorType type);

}  // namespace agon::gguf
