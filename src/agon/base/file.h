// Files in and out: whole, or not at all.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <string_view>

#include "agon/base/error.h"

namespace agon {

/// The bytes of a file, decompressed on the fly when it is gzip or zstd (told by its first bytes,
/// not by its name). "-" is standard input.
class ByteSource {
 public:
  virtual ~ByteSource() = default;
  /// Fills up to `capacity` bytes; 0 at the end. A damaged or cut archive is an Error with the byte.
  [[nodiscard]] virtual Result<std::size_t> read(char* buffer, std::size_t capacity) = 0;
  /// Raw bytes taken from the file so far and its size on disk (0 if unknown), for progress.
  [[nodiscard]] virtual std::uint64_t raw_bytes_read() const = 0;
  [[nodiscard]] virtual std::uint64_t raw_size() const = 0;
};
[[nodiscard]] Result<std::unique_ptr<ByteSource>> open_bytes(const std::string& path);
/// The same over bytes in memory (also decompressed when they are an archive); `name` stands for
/// the path in errors.
[[nodiscard]] Result<std::unique_ptr<ByteSource>> open_memory(std::string bytes, const std::string& name);

/// Whole file, decompressed, refused above `max_bytes`.
[[nodiscard]] Result<std::string> read_file(const std::string& path,
                                            std::uint64_t max_bytes = std::uint64_t{4} << 30);

/// Writes to a file of its own and renames on commit(), so that a failure leaves the old file whole.
/// A name that ends in .gz or .zst is compressed. "-" is standard output. Without commit() nothing is
/// left: the file has no name until then where the file system offers that (O_TMPFILE), so even a killed
/// process leaves none behind; elsewhere, or where `draft` asks for it, it stands beside the target. Links
/// are followed, and the mode of a file that is replaced is kept. What is no regular file (/dev/full, a pipe)
/// is written in place. Two writers of one path each have a temporary file of their own: the path always
/// holds one of them whole.
class AtomicFile {
 public:
  enum class Draft : std::uint8_t { kUnnamedIfPossible, kNamed };
  [[nodiscard]] static Result<std::unique_ptr<AtomicFile>> create(const std::string& path,
                                                                  Draft draft = Draft::kUnnamedIfPossible);
  virtual ~AtomicFile() = default;
  [[nodiscard]] virtual Status write(std::string_view bytes) = 0;
  /// Flushes to disk (fsync) and renames; an Error (for example "no space left on device") leaves
  /// the old file as it was.
  [[nodiscard]] virtual Status commit() = 0;
};
/// create + write + commit.
[[nodiscard]] Status write_file(const std::string& path, std::string_view bytes);

}  // namespace agon
