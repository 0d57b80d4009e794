// Writes GGUF files: converters, random models for tests and benchmarks.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <vector>

#include "agon/base/error.h"
#include "agon/llm/gguf/file.h"

namespace agon::gguf {

/// Collects metadata and tensors and writes them as GGUF version 3 (or 2) with an alignment of 32.
class Writer {
 public:
  Metadata metadata;  ///< Written in order. Integers as int64 unless they fit uint32, reals as float32.

  /// Adds a tensor with bytes that are already in `type`.
  void add(std::string name, TensorType type, std::vector<std::uint64_t> shape, std::vector<std::byte> bytes);
  /// Adds a tensor of floats, quantised to `type`.
  void add(std::string name, TensorType type, std::vector<std::uint64_t> shape,
           std::span<const float> values);
  /// The whole file.
  [[nodiscard]] std::vector<std::byte> bytes(int version = 3) const;
  /// Writes it beside `path` and renames.
  [[nodiscard]] Status write(const std::string& path, int version = 3) const;

 private:
  struct Item {
    std::string name;
    TensorType type;
    std::vector<std::uint64_t> shape;
    std::vector<std::byte> bytes;
  };
  std::vector<Item> items_;
};

}  // namespace agon::gguf
