// A GGUF model file, memory-mapped and fully checked before anything of it is used.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

#include "agon/base/error.h"
#include "agon/llm/gguf/types.h"

namespace agon::gguf {

/// Arrays of the metadata. Integers of every width are widened, floats to double.
using Integers = std::vector<std::int64_t>;
using Reals = std::vector<double>;
using Strings = std::vector<std::string>;
/// A value of the metadata. Unsigned 64-bit values beyond int64 are refused when the file is opened.
using Value = std::variant<bool, std::int64_t, double, std::string, Integers, Reals, Strings>;

/// The key-value part of a file, in file order, keys unique.
class Metadata {
 public:
  void set(std::string key, Value value);
  [[nodiscard]] const Value* find(std::string_view key) const;
  [[nodiscard]] bool has(std::string_view key) const { return find(key) != nullptr; }
  /// Typed look-ups. The error names the key and what was expected. An int64 serves as a real too.
  [[nodiscard]] Result<std::int64_t> integer(std::string_view key) const;
  [[nodiscard]] Result<double> real(std::string_view key) const;
  [[nodiscard]] Result<bool> boolean(std::string_view key) const;
  [[nodiscard]] Result<std::string> string(std::string_view key) const;
  /// The value if present and of the right type, else the fallback; a wrong type is an error.
  [[nodiscard]] Result<std::int64_t> integer_or(std::string_view key, std::int64_t fallback) const;
  [[nodiscard]] Result<double> real_or(std::string_view key, double fallback) const;
  [[nodiscard]] Result<bool> boolean_or(std::string_view key, bool fallback) const;
  [[nodiscard]] Result<std::string> string_or(std::string_view key, std::string fallback) const;
  /// Arrays, null when absent or of another type.
  [[nodiscard]] const Strings* strings(std::string_view key) const;
  [[nodiscard]] const Integers* integers(std::string_view key) const;
  [[nodiscard]] const Reals* reals(std::string_view key) const;

  [[nodiscard]] const std::vector<std::pair<std::string, Value>>& entries() const { return entries_; }

 private:
  std::vector<std::pair<std::string, Value>> entries_;
};

/// A tensor of the file. `shape[0]` is the length of a row (the fastest index); a matrix that maps n inputs
/// to m outputs has shape {n, m}: m rows of n weights.
struct Tensor {
  std::string name;
  TensorType type = TensorType::kF32;
  std::vector<std::uint64_t> shape;  ///< 1 to 4 sizes, each at least 1, product below 2^48.
  std::span<const std::byte> bytes;  ///< Exactly elements / traits.elements * traits.bytes, inside the map.

  [[nodiscard]] std::uint64_t columns() const { return shape[0]; }
  [[nodiscard]] std::uint64_t rows() const;      ///< Product of shape[1...].
  [[nodiscard]] std::uint64_t elements() const;  ///< Product of all.
};

/// An open model file. Movable; tensors point into the mapping and live as long as it.
class File {
 public:
  /// Opens, maps and checks a GGUF file of version 2 or 3 (little endian): counts, lengths, types, offsets,
  /// alignment, overlaps and bounds are checked against the size of the file before anything is allocated.
  /// Errors name the file, the byte offset, and the key or tensor.
  static Result<File> open(const std::string& path);
  /// The same for bytes that the caller owns and keeps (tests, fuzzers); `name` stands in for the path in
  /// errors. Bytes at an address that is no multiple of 16 are copied, so that tensors are aligned.
  static Result<File> parse(std::span<const std::byte> bytes, const std::string& name);

  File(File&&) noexcept;
  File& operator=(File&&) noexcept;
  ~File();

  [[nodiscard]] const std::string& path() const;
  [[nodiscard]] std::uint64_t size() const;
  [[nodiscard]] int version() const;
  [[nodiscard]] const Metadata& metadata() const;
  [[nodiscard]] const std::vector<Tensor>& tensors() const;
  /// The tensor of that name, null when the file has none.
  [[nodiscard]] const Tensor* find(std::string_view name) const;
  /// An error when the file has become shorter than it was when mapped, as reading past its new end would
  /// kill the program. The guard of MappedFile covers the moment between this check and the read: it ends
  /// the program with a message.
  [[nodiscard]] Status check_not_truncated() const;
  /// Tells the kernel that the whole pages inside `part` of a tensor's bytes are not needed any more (after
  /// repacking).
  void drop_pages(std::span<const std::byte> part) const;
  /// Copies `part` of a tensor's bytes to as many bytes without making it part of this program's memory.
  void read(std::span<const std::byte> part, std::span<std::byte> to) const;

 private:
  struct State;
  explicit File(std::unique_ptr<State> state);
  std::unique_ptr<State> state_;
};

}  // namespace agon::gguf
