// A file mapped into memory, read only, with a guard against its being cut short meanwhile.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>
#include <string>

#include "agon/base/error.h"

namespace agon {

/// A regular file as bytes of memory; unmapped when this goes.
///
/// Whoever may write to the file may also cut it, and reading a page past the new end raises SIGBUS, which
/// kills a program without a word. While any file is mapped a handler of that signal is installed (once, for
/// good): for an address inside one of our mappings it prints "agon: FILE: was truncated while it was in use"
/// to standard error and ends the program with exit code 1; for any other address it puts back the handler
/// that was there before, which then gets the signal. A handler installed by others later replaces ours.
/// Bytes that are overwritten in place are not noticed: whoever reads them must bound what they say.
class MappedFile {
 public:
  /// Maps the whole of a regular file of at least one byte.
  static Result<MappedFile> open(const std::string& path);

  MappedFile(MappedFile&&) noexcept;
  MappedFile& operator=(MappedFile&&) noexcept;
  ~MappedFile();

  [[nodiscard]] std::span<const std::byte> bytes() const;
  [[nodiscard]] const std::string& path() const;
  /// An error when the file is now shorter than it was when mapped.
  [[nodiscard]] Status check_not_truncated() const;
  /// Tells the kernel that the whole pages inside `part` (of `bytes()`) are not needed any more. They stay
  /// readable: reading them again brings them back from the file.
  void drop_pages(std::span<const std::byte> part) const;
  /// Copies `part` (of `bytes()`) to as many bytes without making it part of this program's memory: where
  /// the system keeps files in large pages, touching one byte of the map brings megabytes.
  void read(std::span<const std::byte> part, std::span<std::byte> to) const;

 private:
  struct State;
  explicit MappedFile(std::unique_ptr<State> state);
  std::unique_ptr<State> state_;
};

}  // namespace agon
