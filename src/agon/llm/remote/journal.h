// What was paid for, on disk as soon as it is there: a run that is killed goes on where it stopped.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <unordered_map>

#include "agon/base/error.h"
#include "agon/llm/remote/replies.h"

namespace agon::llm {

/// Finished items by their keys. On disk this is JSON Lines: a first line that says what the file is, then
///   {"key":"<64 hex digits>","sum":"<16 hex digits>","tokens":[in,out],"result":<JSON>}
/// where `sum` is XXH3 over the rest. A line is written by one call, behind all others, and its bytes are on
/// the disk at the latest a second later. Only one process may have a journal open; it is let go when the
/// process ends, however it ends. For one thread at a time.
class Journal {
 public:
  /// Opens or makes the file. A last line that was torn is dropped; a line that is damaged, a file that is
  /// something else or of another version, and a journal that another process has open are Errors.
  static Result<std::unique_ptr<Journal>> open(const std::string& path);
  /// Items in memory only.
  static std::unique_ptr<Journal> in_memory();
  ~Journal();

  [[nodiscard]] bool contains(const std::string& key) const;
  /// The result that was kept, checked again as it is read.
  [[nodiscard]] Result<std::string> find(const std::string& key) const;
  /// Adds one item, on disk before this returns (but for what a loss of power may take). A second item of a
  /// key takes the place of the first. After an Error, a full disk say, the file is as it was.
  [[nodiscard]] Status append(const std::string& key, std::string_view result, const TokenUsage& usage);

  [[nodiscard]] std::size_t size() const;
  /// Tokens of all items, those of earlier runs too.
  [[nodiscard]] TokenUsage usage() const;
  /// Empty when it is in memory.
  [[nodiscard]] const std::string& path() const;
  /// Bytes that the torn line had which open() dropped.
  [[nodiscard]] std::uint64_t dropped() const;
  /// Deletes the file: the run is done.
  [[nodiscard]] Status remove();

 private:
  struct State;
  explicit Journal(std::unique_ptr<State> state);
  std::unique_ptr<State> state_;
};

}  // namespace agon::llm
