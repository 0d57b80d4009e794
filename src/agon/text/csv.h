// CSV after RFC 4180, streamed: one record at a time, in memory bounded by the longest record.
//
//   AGON_ASSIGN(auto csv, CsvReader::open(std::move(bytes), "votes.csv"));
//   csv.header();                          // names of the columns
//   std::vector<std::string_view> fields;
//   for (;;) {
//     AGON_ASSIGN(const bool more, csv.next(fields));
//     if (!more) break;
//   }
//
// Beyond the RFC: a byte-order mark is skipped, LF and CR end records as CRLF does, blank lines are
// passed over, a missing final newline is fine, and a quote inside an unquoted field is text. Not
// accepted: text after a closing quote, a quote never closed, NUL bytes, a record of another width
// than the header. After such an Error the next call goes on with the next record, so that a caller
// may skip bad records; only when the bytes themselves cannot be read does every call fail.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "agon/base/error.h"
#include "agon/base/file.h"

namespace agon {

struct CsvOptions {
  std::uint64_t max_row_bytes = std::uint64_t{32} << 20;  ///< A longer record is an Error.
};

class CsvReader {
 public:
  /// Reads the header. An empty file, an unreadable header or two columns of one name is an Error.
  [[nodiscard]] static Result<CsvReader> open(std::unique_ptr<ByteSource> source, std::string name,
                                              const CsvOptions& options = {});

  /// Names of the columns, trimmed of spaces around them.
  [[nodiscard]] const std::vector<std::string>& header() const { return header_; }
  /// Fills `fields` with one record, as wide as the header; false at the end. The views hold until
  /// the next call. The bytes are as in the file: UTF-8 is not checked here.
  [[nodiscard]] Result<bool> next(std::vector<std::string_view>& fields);

  /// Of the record last read or failed: its 1-based number after the header, the physical line it
  /// begins on (1-based) and the offset of its first byte (after decompression).
  [[nodiscard]] std::uint64_t record() const { return record_; }
  [[nodiscard]] std::uint64_t line() const { return record_line_; }
  [[nodiscard]] std::uint64_t byte() const { return record_byte_; }
  /// True when the last Error ended the reading for good (the source failed).
  [[nodiscard]] bool broken() const { return broken_; }
  /// An Error that names this file and the current record.
  [[nodiscard]] Error error_here(std::string message, std::string column = {}) const;
  [[nodiscard]] const ByteSource& source() const { return *source_; }

 private:
  struct Field {
    std::size_t begin, end;  // relative to record_begin_
  };
  CsvReader(std::unique_ptr<ByteSource> source, std::string name, const CsvOptions& options);
  Result<bool> read_record();
  Result<bool> read_fields();
  Result<bool> read_quoted();
  Result<bool> read_unquoted();
  Result<bool> more();
  void end_line();
  enum class Skip : std::uint8_t { kFieldStart, kUnquoted, kQuoted, kBehindQuote };
  Result<std::uint64_t> skip_record(Skip state, std::uint64_t open_line);
  std::unexpected<Error> too_long(Skip state, std::uint64_t open_line);

  std::unique_ptr<ByteSource> source_;
  std::string name_;
  CsvOptions options_;
  std::vector<std::string> header_;
  std::vector<Field> fields_;

  // The window on the file: buffer_[record_begin_, end_) holds the record being read, at_ is the next
  // byte to look at. Quoted fields are unescaped in place, behind at_.
  std::vector<char> buffer_;
  std::size_t record_begin_ = 0, at_ = 0, end_ = 0;
  std::uint64_t window_byte_ = 0;  // offset in the file of buffer_[0]
  std::uint64_t line_ = 1, record_line_ = 1, record_byte_ = 0, record_ = 0;
  bool eof_ = false, broken_ = false, has_nul_ = false;
};

/// Appends a field, in quotes when it needs them (comma, quote, CR, LF, or a space at either end).
void append_csv_field(std::string& out, std::string_view field);

}  // namespace agon
