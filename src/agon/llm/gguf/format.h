// Numbers of the file format, shared by its reader and its writer.
// Source: the GGUF specification, github.com/ggml-org/ggml, docs/gguf.md.
#pragma once

#include <cstddef>
#include <cstdint>

namespace agon::gguf {

/// "GGUF", then version (u32), tensors (u64), keys (u64); then keys, tensor descriptions, padding, data.
inline constexpr std::uint32_t kMagic = 0x46554747;
/// Data starts, and every tensor starts, at a multiple of this unless general.alignment says otherwise.
inline constexpr std::uint64_t kDefaultAlignment = 32;

/// Types of metadata values.
enum class ValueType : std::uint32_t {
  kUint8 = 0,
  kInt8 = 1,
  kUint16 = 2,
  kInt16 = 3,
  kUint32 = 4,
  kInt32 = 5,
  kFloat32 = 6,
  kBool = 7,
  kString = 8,
  kArray = 9,
  kUint64 = 10,
  kInt64 = 11,
  kFloat64 = 12,
};

// Bounds far above any real model, so that a file cannot ask for more memory or time than it is worth.
inline constexpr std::uint64_t kMaxKeys = 4096;       ///< Real files have about 50.
inline constexpr std::uint64_t kMaxTensors = 65536;   ///< Real files have hundreds.
inline constexpr std::uint64_t kMaxKeyBytes = 65535;  ///< As the specification says.
inline constexpr std::uint64_t kMaxNameBytes = 64;    ///< Of a tensor's name, as the specification says.
inline constexpr std::uint64_t kMaxStringBytes = 1u << 24;  ///< Chat templates have kilobytes.
inline constexpr std::uint64_t kMaxArray = 1u << 24;        ///< The largest vocabularies have 2^18 words.
inline constexpr std::uint64_t kMaxMetadataBytes = 1u << 29;
inline constexpr std::uint64_t kMaxElements = std::uint64_t{1} << 48;  ///< Of a tensor.
inline constexpr std::uint64_t kMinAlignment = 8, kMaxAlignment = 1u << 20;

}  // namespace agon::gguf
