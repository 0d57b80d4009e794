// JSON as it occurs in votes: lists of turns in a CSV cell, and JSON Lines.
#pragma once

#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "agon/base/error.h"
#include "agon/base/file.h"

namespace agon {

/// What was put right on the way.
struct TextRepairs {
  std::uint64_t lone_surrogates = 0;  ///< \ud800..\udfff escapes without partner, now U+FFFD.
  std::uint64_t invalid_utf8 = 0;     ///< Ill-formed byte sequences, now U+FFFD.
};

/// Parses `["turn", null, ...]`: a list of strings and nulls, nothing else. One pass, no recursion:
/// a file of votes is mostly such lists, and a general parser can neither say at which byte a cell
/// went wrong nor let a lone surrogate pass (simdjson refuses the whole document).
class JsonTextList {
 public:
  struct Item {
    std::string_view text;  ///< Valid UTF-8.
    bool null = false;
  };
  /// The items hold until the next call. An Error says at which byte of `json` what was expected.
  [[nodiscard]] Result<std::span<const Item>> parse(std::string_view json, TextRepairs& repairs);

 private:
  std::vector<Item> items_;
  std::string buffer_;    // the unescaped text of all items
  std::string repaired_;  // a copy of the input, when its UTF-8 had to be repaired
};

/// Makes a JSON text fit for a strict parser: ill-formed UTF-8 becomes U+FFFD and escapes of lone
/// surrogates become \ufffd. Returns true when the text was changed.
bool repair_json(std::string& json, TextRepairs& repairs);

/// Appends `text` as a JSON string in quotes. Ill-formed UTF-8 becomes U+FFFD.
void append_json_string(std::string& out, std::string_view text);

/// Records of a JSON Lines file, or the elements of a file that is one JSON array: the first byte
/// tells which. Streams; a record longer than `max_bytes` is an Error, after which next() goes on.
class JsonRecordReader {
 public:
  JsonRecordReader(std::unique_ptr<ByteSource> source, std::string name, std::uint64_t max_bytes);
  /// The next record as raw JSON text (not checked); false at the end. Holds until the next call.
  [[nodiscard]] Result<bool> next(std::string_view& json);
  /// 1-based number, line and offset of the record last read.
  [[nodiscard]] std::uint64_t record() const { return record_; }
  [[nodiscard]] std::uint64_t line() const { return record_line_; }
  [[nodiscard]] std::uint64_t byte() const { return record_byte_; }
  /// True when the last Error ended the reading for good.
  [[nodiscard]] bool broken() const { return broken_; }
  [[nodiscard]] Error error_here(std::string message, std::string field = {}) const;
  [[nodiscard]] const ByteSource& source() const { return *source_; }

 private:
  enum class Form : std::uint8_t { kUnknown, kLines, kArray };
  Result<bool> more();
  Result<bool> next_line(std::string_view& json);
  Result<bool> next_element(std::string_view& json);
  Status skip_space(bool newlines);
  Error broken_here(std::string message, std::string expected);

  std::unique_ptr<ByteSource> source_;
  std::string name_;
  std::uint64_t max_bytes_;
  Form form_ = Form::kUnknown;
  std::vector<char> buffer_;
  std::size_t begin_ = 0, at_ = 0, end_ = 0;  // the record begins at begin_
  std::uint64_t window_byte_ = 0, line_ = 1, record_ = 0, record_line_ = 1, record_byte_ = 0;
  bool eof_ = false, broken_ = false, array_begun_ = false, array_ended_ = false;
};

}  // namespace agon
