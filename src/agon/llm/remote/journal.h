// What was paid for, on disk as soon as it is there: a run that is killed goes on where it stopped.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <unordered_map>

#include "agon/base/error.h"
#include "agon/llm/remote/replies.h"

namespace agon::llm {

/// Finished items by their keys. On disk this is JSON Lines: a first line that says what the file is, then
///   {"key":"<64 hex digits>","sum":"<16 hex digits>","tokens":[in,out],"result":<JSON>}
/// where `sum` is XXH3 over the rest. Lines that belong together are written by one call, behind all others.
/// A process that is killed loses none of them. They are forced to the disk by an append that comes a second
/// or more after the last time, and when the journal is closed: a loss of power may take what came since.
/// Only one process may have a journal open; it is let go when the process ends, however it ends. For one
/// thread at a time.
///
/// A reply that was paid for and could not be used is kept as the result {"refused":<the reply>}, under a key
/// of its own; it is no finished item.
class Journal {
 public:
  /// Opens or makes the file. A last line that was torn is dropped; a line that is damaged, a file that is
  /// something else or of another version, and a journal that another process has open are Errors.
  static Result<std::unique_ptr<Journal>> open(const std::string& path);
  /// Items in memory only.
  static std::unique_ptr<Journal> in_memory();
  ~Journal();

  struct Item {
    std::string key, result;  ///< The result is one line of JSON.
    TokenUsage usage = {};
  };

  [[nodiscard]] bool contains(const std::string& key) const;
  /// The result that was kept; its checksum is verified again as it is read.
  [[nodiscard]] Result<std::string> find(const std::string& key) const;
  /// Adds items by one write, in the file before this returns. A second item of a key takes the place of the
  /// first. After an Error, a full disk say, the file is as it was; where even that could not be had, nothing
  /// more is taken.
  [[nodiscard]] Status append(std::span<const Item> items);
  [[nodiscard]] Status append(std::string key, std::string_view result, const TokenUsage& usage);
  /// Keeps a reply (JSON) that was paid for and could not be used.
  [[nodiscard]] Status refuse(std::string key, std::string_view reply, const TokenUsage& usage);
  /// Such a reply, or nothing when none is kept under this key.
  [[nodiscard]] Result<std::optional<std::string>> refused(const std::string& key) const;

  /// Finished items.
  [[nodiscard]] std::size_t size() const;
  /// Tokens of all items and refused replies, those of earlier runs too.
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
