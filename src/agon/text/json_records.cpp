// JsonRecordReader: cuts a stream into JSON texts without understanding more of them than it must.
#include <fmt/format.h>

#include <cstring>

#include "agon/text/json.h"
#include "agon/text/refill.h"
#include "agon/text/utf8.h"

namespace agon {
namespace {

constexpr std::size_t kWindow = std::size_t{1} << 18;
bool is_space(char c) { return c == ' ' || c == '\t' || c == '\n' || c == '\r'; }

}  // namespace

JsonRecordReader::JsonRecordReader(std::unique_ptr<ByteSource> source, std::string name,
                                   std::uint64_t max_bytes)
    : source_(std::move(source)), name_(std::move(name)), max_bytes_(max_bytes), buffer_(kWindow) {}

Error JsonRecordReader::error_here(std::string message, std::string field) const {
  repair_utf8(message);  // it may quote bytes of the file
  repair_utf8(field);
  return {.message = std::move(message), .file = name_, .row = record_, .column = std::move(field)};
}

Error JsonRecordReader::broken_here(std::string message, std::string expected) {
  broken_ = true;
  auto error = error_here(std::move(message));
  error.byte = window_byte_ + at_;
  error.has_byte = true;
  error.expected = std::move(expected);
  return error;
}

/// Tops up the window; false at the end of the file. Keeps what lies from begin_ on.
Result<bool> JsonRecordReader::more() {
  if (eof_) return false;
  auto some = refill(*source_, buffer_, {begin_, at_, end_, window_byte_});
  if (!some) {
    broken_ = true;
    if (record_ != 0) some.error().row = record_;
    return some;
  }
  eof_ = !*some;
  return some;
}

Status JsonRecordReader::skip_space(bool newlines) {
  for (;;) {
    while (at_ < end_ && is_space(buffer_[at_]) && (newlines || buffer_[at_] != '\n')) {
      line_ += buffer_[at_] == '\n';
      ++at_;
    }
    begin_ = at_;
    if (at_ < end_) return {};
    AGON_ASSIGN(const bool some, more());
    if (!some) return {};
  }
}

Result<bool> JsonRecordReader::next(std::string_view& json) {
  if (broken_) return std::unexpected(error_here("the file could not be read further"));
  if (form_ == Form::kUnknown) {
    while (end_ < 3 && !eof_) AGON_TRY(more());
    if (std::string_view(buffer_.data(), end_).starts_with("\xEF\xBB\xBF")) begin_ = at_ = 3;
    AGON_TRY(skip_space(true));
    form_ = at_ < end_ && buffer_[at_] == '[' ? Form::kArray : Form::kLines;
  }
  return form_ == Form::kArray ? next_element(json) : next_line(json);
}

Result<bool> JsonRecordReader::next_line(std::string_view& json) {
  AGON_TRY(skip_space(true));  // blank lines too
  if (at_ == end_) return false;
  ++record_;
  record_line_ = line_;
  record_byte_ = window_byte_ + begin_;
  bool too_long = false;
  for (;;) {
    const void* found = std::memchr(buffer_.data() + at_, '\n', end_ - at_);
    at_ =
        found != nullptr ? static_cast<std::size_t>(static_cast<const char*>(found) - buffer_.data()) : end_;
    too_long = too_long || at_ - begin_ > max_bytes_;
    if (found != nullptr) break;
    if (too_long) begin_ = at_;  // let go of it, in a window that does not grow
    AGON_ASSIGN(const bool some, more());
    if (!some) break;
  }
  json = {buffer_.data() + begin_, at_ - begin_};
  if (at_ < end_) {
    ++at_;
    ++line_;
  }
  begin_ = at_;
  if (too_long) return std::unexpected(error_here(fmt::format("longer than {} bytes", max_bytes_)));
  return true;
}

Result<bool> JsonRecordReader::next_element(std::string_view& json) {
  AGON_TRY(skip_space(true));
  if (array_ended_) {
    if (at_ == end_) return false;
    return std::unexpected(broken_here("text after the end of the JSON array", "the end of the file"));
  }
  if (!array_begun_) {
    array_begun_ = true;
    ++at_;  // '['
    AGON_TRY(skip_space(true));
  } else if (at_ < end_ && buffer_[at_] == ',') {
    ++at_;
    AGON_TRY(skip_space(true));
  } else if (at_ < end_ && buffer_[at_] != ']') {
    return std::unexpected(broken_here("two elements of the JSON array are not parted", "',' or ']'"));
  }
  if (at_ < end_ && buffer_[at_] == ']') {
    array_ended_ = true;
    ++at_;
    AGON_TRY(skip_space(true));
    if (at_ == end_) return false;
    return std::unexpected(broken_here("text after the end of the JSON array", "the end of the file"));
  }
  ++record_;
  record_line_ = line_;
  record_byte_ = window_byte_ + begin_;
  bool in_string = false, escaped = false, too_long = false, ended = false;
  std::uint64_t depth = 0;
  while (!ended) {
    for (; at_ < end_; ++at_) {
      const char c = buffer_[at_];
      if (in_string) {
        if (escaped) {
          escaped = false;
        } else if (c == '\\') {
          escaped = true;
        } else if (c == '"') {
          in_string = false;
        }
      } else if (c == '"') {
        in_string = true;
      } else if (c == '{' || c == '[') {
        ++depth;
      } else if (c == '}' || c == ']') {
        if (depth == 0) {  // the array's own ']', behind an element such as a number
          ended = true;
          break;
        }
        --depth;
      } else if (c == ',' && depth == 0) {
        ended = true;
        break;
      }
      line_ += c == '\n';
    }
    too_long = too_long || at_ - begin_ > max_bytes_;
    if (ended) break;
    if (too_long) begin_ = at_;
    AGON_ASSIGN(const bool some, more());
    if (!some) return std::unexpected(broken_here("the JSON array is cut short", "',' or ']'"));
  }
  json = {buffer_.data() + begin_, at_ - begin_};
  begin_ = at_;
  if (too_long) return std::unexpected(error_here(fmt::format("longer than {} bytes", max_bytes_)));
  return true;
}

}  // namespace agon
