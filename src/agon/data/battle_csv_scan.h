// CSV in memory, block by block: where separators lie, where records end, what their fields are.
// Internal to the reader of battles. The grammar is text/csv's (RFC 4180 and its known extensions).
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

namespace agon::battle_parts {

/// Appends the offsets of all commas, LF and CR. False, with `separators` of no use, when there is a
/// quote or a NUL byte: such a block needs the exact way. At most 4 GiB.
[[nodiscard]] bool find_separators(std::string_view block, std::vector<std::uint32_t>& separators);

/// Follows the grammar over bytes that come in pieces.
class CsvRecordEnd {
 public:
  /// Offset behind the terminator (LF or CR) of the record that goes on at `at`, or npos when the
  /// bytes end before it; the next call then goes on with the bytes that follow. Of a CRLF only the CR
  /// is passed: the LF is a blank line.
  [[nodiscard]] std::size_t find(std::string_view bytes, std::size_t at);
  /// Begins a new record.
  void reset() { state_ = State::kFieldStart; }

 private:
  enum class State : std::uint8_t { kFieldStart, kUnquoted, kQuoted, kBehindQuote };
  State state_ = State::kFieldStart;
};

enum class CsvFault : std::uint8_t { kNone, kTextAfterQuote, kUnterminated, kNul };
struct CsvSplit {
  CsvFault fault = CsvFault::kNone;
  std::size_t at = 0;  ///< offset of the fault: the text behind the quote, the opening quote
};
/// Cuts one record (without or with its terminator) into fields. `unescaped` holds fields with doubled
/// quotes; of columns for which `wanted` is false only the raw text is given.
[[nodiscard]] CsvSplit split_record(std::string_view record, const std::vector<char>& wanted,
                                    std::vector<std::string_view>& fields, std::string& unescaped);

}  // namespace agon::battle_parts
