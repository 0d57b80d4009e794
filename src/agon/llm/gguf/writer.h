// Writes GGUF files: converters, random models for tests and benchmarks.
#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <span>
#include <string>
#include <vector>

#include "agon/base/error.h"
#include "agon/llm/gguf/file.h"

namespace agon::gguf {

/// Collects metadata and tensors and writes them as GGUF version 3 (or 2) with an alignment of 32.
class Writer {
 public:
  /// Written in order. Integers as uint32 where they fit and as int64 where not; arrays of integers as int32
  /// or int64; reals as float32. A key "general.alignment" is left out.
  Metadata metadata;

  /// Adds a tensor with bytes that are already in `type`. Names are of 1 to 64 bytes and come once.
  void add(std::string name, TensorType type, std::vector<std::uint64_t> shape, std::vector<std::byte> bytes);
  /// Adds a tensor of floats, quantised to `type`.
  void add(std::string name, TensorType type, std::vector<std::uint64_t> shape,
           std::span<const float> values);
  /// Adds a tensor whose bytes are made when they are written, so that a large file needs little memory.
  /// `make` gives the same bytes whenever it is called.
  void add(std::string name, TensorType type, std::vector<std::uint64_t> shape,
           std::function<std::vector<std::byte>()> make);

  /// Number of tensors added, and bytes of all their data.
  [[nodiscard]] std::size_t tensor_count() const { return items_.size(); }
  [[nodiscard]] std::uint64_t data_bytes() const;

  /// The whole file.
  [[nodiscard]] std::vector<std::byte> bytes(int version = 3) const;
  /// Writes it beside `path` and renames.
  [[nodiscard]] Status write(const std::string& path, int version = 3) const;

 private:
  struct Item {
    std::string name;
    TensorType type;
    std::vector<std::uint64_t> shape;
    std::uint64_t size;
    std::function<std::vector<std::byte>()> make;
  };
  [[nodiscard]] std::string header(int version) const;
  // Hands out the file piece by piece.
  [[nodiscard]] Status put(int version, const std::function<Status(std::string_view)>& sink) const;

  std::vector<Item> items_;
};

}  // namespace agon::gguf
