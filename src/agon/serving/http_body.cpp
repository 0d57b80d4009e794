#include "agon/serving/http_body.h"

#include <fmt/format.h>

#include <algorithm>
#include <charconv>

namespace agon::serving {
namespace {

constexpr std::size_t kMaxLine = 1024;  // a chunk's size with its extensions, or a trailer

}  // namespace

std::expected<void, HeadRefusal> ChunkedBody::push(std::string_view& bytes, std::string& body) {
  while (!bytes.empty() && state_ != State::kEnded) {
    if (state_ == State::kData) {
      const auto count = static_cast<std::size_t>(std::min<std::uint64_t>(left_, bytes.size()));
      if (count > max_body_ - std::min<std::uint64_t>(max_body_, body.size()))
        return std::unexpected(
            HeadRefusal{413, fmt::format("the body is longer than the limit of {} bytes", max_body_)});
      body.append(bytes.substr(0, count));
      bytes.remove_prefix(count);
      left_ -= count;
      if (left_ == 0) state_ = State::kDataEnd;
      continue;
    }
    const std::size_t end = bytes.find('\n');
    const std::size_t count = end == std::string_view::npos ? bytes.size() : end + 1;
    line_.append(bytes.substr(0, std::min(count, kMaxLine + 1)));
    overhead_ += count;
    bytes.remove_prefix(count);
    if (line_.size() > kMaxLine) return std::unexpected(HeadRefusal{400, "a chunk's size line is too long"});
    // Data in chunks of one byte costs six; nobody sends much of that in good faith.
    if (overhead_ > max_body_ + (64u << 10))
      return std::unexpected(HeadRefusal{413, "the body's chunks are smaller than their sizes' lines"});
    if (line_.ends_with('\n')) {
      if (auto status = take_line(); !status) return status;
      line_.clear();
    }
  }
  return {};
}

std::expected<void, HeadRefusal> ChunkedBody::take_line() {
  if (!line_.ends_with("\r\n"))
    return std::unexpected(HeadRefusal{400, "a chunk's line does not end in CR LF"});
  const std::string_view line = std::string_view(line_).substr(0, line_.size() - 2);
  switch (state_) {
    case State::kSize: {
      const std::string_view digits = line.substr(0, std::min(line.find_first_of("; \t"), line.size()));
      const auto [end, error] = std::from_chars(digits.data(), digits.data() + digits.size(), left_, 16);
      if (error != std::errc{} || end != digits.data() + digits.size() || digits.size() > 15)
        return std::unexpected(HeadRefusal{400, "a chunk's size is no hexadecimal number"});
      state_ = left_ == 0 ? State::kTrailer : State::kData;
      break;
    }
    case State::kDataEnd:
      if (!line.empty()) return std::unexpected(HeadRefusal{400, "a chunk is longer than its size"});
      state_ = State::kSize;
      break;
    case State::kTrailer:
      if (line.empty()) state_ = State::kEnded;
      break;
    default:
      break;
  }
  return {};
}

}  // namespace agon::serving
