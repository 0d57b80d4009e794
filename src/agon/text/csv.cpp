#include "agon/text/csv.h"

#include <fmt/format.h>

#include <algorithm>
#include <bit>
#include <cstring>
#include <unordered_set>

#include "agon/text/utf8.h"

#if defined(__SSE2__)
#include <emmintrin.h>
#endif
#include "agon/text/refill.h"

namespace agon {
namespace {

// 256 KiB stays in the second-level cache: larger windows measured slower, not faster.
constexpr std::size_t kWindow = std::size_t{1} << 18;

struct Scan {
  const char* at;           // the quote, or `end`
  std::uint64_t lines = 0;  // newlines before it
  bool nul = false;         // a NUL byte before it
};

// The hot loop: finds the next quote and counts newlines on the way.
Scan scan_quoted(const char* at, const char* end) {
  Scan scan{at};
#if defined(__SSE2__)
  const __m128i quote = _mm_set1_epi8('"'), newline = _mm_set1_epi8('\n'), zero = _mm_setzero_si128();
  for (; end - at >= 16; at += 16) {
    const __m128i block = _mm_loadu_si128(reinterpret_cast<const __m128i*>(at));
    auto quotes = static_cast<unsigned>(_mm_movemask_epi8(_mm_cmpeq_epi8(block, quote)));
    auto lines = static_cast<unsigned>(_mm_movemask_epi8(_mm_cmpeq_epi8(block, newline)));
    auto nuls = static_cast<unsigned>(_mm_movemask_epi8(_mm_cmpeq_epi8(block, zero)));
    if (quotes != 0) {
      const unsigned before = (quotes & -quotes) - 1;
      lines &= before;
      nuls &= before;
    }
    if (lines != 0) scan.lines += static_cast<unsigned>(std::popcount(lines));
    scan.nul |= nuls != 0;
    if (quotes != 0) {
      scan.at = at + std::countr_zero(quotes);
      return scan;
    }
  }
#endif
  for (; at < end && *at != '"'; ++at) {
    scan.lines += *at == '\n';
    scan.nul |= *at == '\0';
  }
  scan.at = at;
  return scan;
}

std::string_view trimmed(std::string_view text) {
  while (!text.empty() && (text.front() == ' ' || text.front() == '\t')) text.remove_prefix(1);
  while (!text.empty() && (text.back() == ' ' || text.back() == '\t')) text.remove_suffix(1);
  return text;
}

}  // namespace

CsvReader::CsvReader(std::unique_ptr<ByteSource> source, std::string name, const CsvOptions& options)
    : source_(std::move(source)), name_(std::move(name)), options_(options), buffer_(kWindow) {}

Error CsvReader::error_here(std::string message, std::string column) const {
  repair_utf8(message);  // it may quote bytes of the file
  repair_utf8(column);
  return {.message = std::move(message), .file = name_, .row = record_, .column = std::move(column)};
}

Result<CsvReader> CsvReader::open(std::unique_ptr<ByteSource> source, std::string name,
                                  const CsvOptions& options) {
  CsvReader csv(std::move(source), std::move(name), options);
  while (csv.end_ < 3 && !csv.eof_) AGON_TRY(csv.more());
  const std::string_view start(csv.buffer_.data(), csv.end_);
  if (start.starts_with("\xFF\xFE") || start.starts_with("\xFE\xFF")) {
    auto error = csv.error_here("the file is UTF-16");
    error.expected = "UTF-8";
    return std::unexpected(std::move(error));
  }
  if (start.starts_with("\xEF\xBB\xBF")) csv.record_begin_ = csv.at_ = 3;

  auto got = csv.read_record();
  csv.record_ = 0;
  if (!got) {
    got.error().row = 0;
    got.error().message = "in the header: " + got.error().message;
    return std::unexpected(std::move(got.error()));
  }
  if (!*got) return std::unexpected(csv.error_here("the file is empty"));
  std::unordered_set<std::string> seen;
  for (const Field& field : csv.fields_) {
    const char* base = csv.buffer_.data() + csv.record_begin_;
    csv.header_.emplace_back(trimmed({base + field.begin, field.end - field.begin}));
    if (!seen.insert(csv.header_.back()).second) {
      return std::unexpected(csv.error_here(fmt::format("two columns are named '{}'", csv.header_.back())));
    }
  }
  return csv;
}

Result<bool> CsvReader::next(std::vector<std::string_view>& fields) {
  if (broken_) return std::unexpected(error_here("the file could not be read further"));
  fields.clear();
  AGON_ASSIGN(const bool got, read_record());
  if (!got) return false;
  if (fields_.size() != header_.size()) {
    auto error = error_here(fmt::format("{} fields where the header has {} (record on line {})",
                                        fields_.size(), header_.size(), record_line_));
    error.byte = record_byte_;
    error.has_byte = true;
    return std::unexpected(std::move(error));
  }
  const char* base = buffer_.data() + record_begin_;
  for (const Field& field : fields_) fields.emplace_back(base + field.begin, field.end - field.begin);
  return true;
}

/// Tops up the window; false at the end of the file. Keeps what lies from record_begin_ on.
Result<bool> CsvReader::more() {
  if (eof_) return false;
  auto some = refill(*source_, buffer_, {record_begin_, at_, end_, window_byte_});
  if (!some) {
    broken_ = true;
    if (record_ != 0) some.error().row = record_;
    return some;
  }
  eof_ = !*some;
  return some;
}

/// Moves over the end of a line (LF, CR or CRLF) at at_.
void CsvReader::end_line() {
  if (buffer_[at_] == '\r' && at_ + 1 < end_ && buffer_[at_ + 1] == '\n') ++at_;
  ++at_;
  ++line_;
}

Result<bool> CsvReader::read_record() {
  for (;;) {  // passes over blank lines
    record_begin_ = at_;
    if (at_ == end_) {
      AGON_ASSIGN(const bool some, more());
      if (!some) return false;
    }
    if (buffer_[at_] != '\r' && buffer_[at_] != '\n') break;
    if (buffer_[at_] == '\r' && at_ + 1 == end_) AGON_TRY(more());  // is it a CRLF?
    end_line();
  }
  ++record_;
  record_line_ = line_;
  record_byte_ = window_byte_ + record_begin_;
  has_nul_ = false;
  fields_.clear();
  AGON_TRY(read_fields());
  if (has_nul_) {
    auto error = error_here(fmt::format("a NUL byte (record on line {})", record_line_));
    error.byte = record_byte_;
    error.has_byte = true;
    error.expected = "text in UTF-8";
    return std::unexpected(std::move(error));
  }
  return true;
}

Result<bool> CsvReader::read_fields() {
  for (;;) {
    if (at_ == end_) {
      AGON_ASSIGN(const bool some, more());
      if (!some) {  // the file ends behind a comma: a last, empty field
        fields_.push_back({at_ - record_begin_, at_ - record_begin_});
        return true;
      }
    }
    auto again = buffer_[at_] == '"' ? read_quoted() : read_unquoted();
    if (!again) return again;
    if (!*again) return true;
  }
}

/// Reads a field and what ends it; true when a comma did, so that another field follows.
Result<bool> CsvReader::read_unquoted() {
  const std::size_t begin = at_ - record_begin_;
  for (;;) {
    const char* data = buffer_.data();
    while (at_ < end_ && data[at_] != ',' && data[at_] != '\n' && data[at_] != '\r') {
      has_nul_ |= data[at_] == '\0';
      ++at_;
    }
    if (at_ < end_ && (data[at_] != '\r' || at_ + 1 < end_ || eof_)) break;
    if (at_ - record_begin_ > options_.max_row_bytes) {
      return too_long(Skip::kUnquoted, 0);
    }
    AGON_ASSIGN(const bool some, more());
    if (!some && at_ == end_) break;
  }
  if (at_ - record_begin_ > options_.max_row_bytes) {
    return too_long(Skip::kUnquoted, 0);
  }
  fields_.push_back({begin, at_ - record_begin_});
  if (at_ == end_) return false;
  if (buffer_[at_] == ',') {
    ++at_;
    return true;
  }
  end_line();
  return false;
}

Result<bool> CsvReader::read_quoted() {
  const std::uint64_t open_line = line_, open_byte = window_byte_ + at_;
  ++at_;
  const std::size_t begin = at_ - record_begin_;
  std::size_t out = begin;  // end of the unescaped text
  for (;;) {
    const Scan scan = scan_quoted(buffer_.data() + at_, buffer_.data() + end_);
    const auto length = static_cast<std::size_t>(scan.at - (buffer_.data() + at_));
    char* const target = buffer_.data() + record_begin_ + out;
    if (target != buffer_.data() + at_) std::memmove(target, buffer_.data() + at_, length);
    out += length;
    at_ += length;
    line_ += scan.lines;
    has_nul_ |= scan.nul;
    if (at_ - record_begin_ > options_.max_row_bytes) {
      return too_long(Skip::kQuoted, open_line);
    }
    if (at_ == end_) {
      if (!eof_) {
        AGON_TRY(more());
        continue;
      }
      auto error = error_here(fmt::format("unterminated quote, opened on line {}", open_line));
      error.byte = open_byte;
      error.has_byte = true;
      return std::unexpected(std::move(error));
    }
    // The byte behind a quote tells whether it closes the field: have both in the window.
    if (at_ + 1 == end_ && !eof_) AGON_TRY(more());
    if (at_ + 1 < end_ && buffer_[at_ + 1] == '"') {
      buffer_[record_begin_ + out++] = '"';
      at_ += 2;
      continue;
    }
    break;
  }
  ++at_;
  fields_.push_back({begin, out});
  if (at_ == end_) return false;
  if (buffer_[at_] == ',') {
    ++at_;
    return true;
  }
  if (buffer_[at_] == '\r' && at_ + 1 == end_ && !eof_) AGON_TRY(more());
  if (buffer_[at_] == '\r' || buffer_[at_] == '\n') {
    end_line();
    return false;
  }
  const std::uint64_t byte = window_byte_ + at_;
  auto error = error_here(fmt::format("text after a closing quote, on line {}", line_));
  error.byte = byte;
  error.has_byte = true;
  error.expected = "a comma or the end of the line; quotes inside a field are doubled";
  AGON_TRY(skip_record(Skip::kUnquoted, 0));
  return std::unexpected(std::move(error));
}

/// After an Error: moves behind the end of this record, in a window that does not grow. Follows the
/// same grammar as reading does (text after a closing quote counts as unquoted), so that where the
/// next record begins does not depend on where the Error was noticed. Returns the line of the quote
/// that is still open at the end of the file, or 0.
Result<std::uint64_t> CsvReader::skip_record(Skip state, std::uint64_t open_line) {
  for (;;) {
    for (; at_ < end_; ++at_) {
      const char c = buffer_[at_];
      if (state == Skip::kQuoted) {
        line_ += c == '\n';
        if (c == '"') state = Skip::kBehindQuote;
      } else if (c == '"' && state != Skip::kUnquoted) {  // a doubled quote, or the first of a field
        if (state == Skip::kFieldStart) open_line = line_;
        state = Skip::kQuoted;
      } else if (c == ',') {
        state = Skip::kFieldStart;
      } else if (c == '\n' || c == '\r') {
        record_begin_ = at_;
        if (c == '\r' && at_ + 1 == end_ && !eof_) AGON_TRY(more());  // is it a CRLF?
        end_line();
        return std::uint64_t{0};
      } else {
        state = Skip::kUnquoted;
      }
    }
    record_begin_ = at_;
    AGON_ASSIGN(const bool some, more());
    if (!some) return state == Skip::kQuoted ? open_line : 0;
  }
}

std::unexpected<Error> CsvReader::too_long(Skip state, std::uint64_t open_line) {
  auto open = skip_record(state, open_line);
  if (!open) return std::unexpected(std::move(open.error()));
  std::string message = fmt::format("longer than {} bytes", options_.max_row_bytes);
  if (*open != 0) message += fmt::format("; is the quote on line {} never closed?", *open);
  return std::unexpected(error_here(std::move(message)));
}

void append_csv_field(std::string& out, std::string_view field) {
  const bool quote = field.find_first_of(",\"\r\n") != std::string_view::npos ||
                     (!field.empty() && (field.front() == ' ' || field.back() == ' '));
  if (!quote) {
    out.append(field);
    return;
  }
  out += '"';
  for (std::size_t at = 0;;) {
    const std::size_t found = field.find('"', at);
    if (found == std::string_view::npos) {
      out.append(field.substr(at));
      break;
    }
    out.append(field.substr(at, found + 1 - at));
    out += '"';
    at = found + 1;
  }
  out += '"';
}

}  // namespace agon
