// Bodies that come in chunks (RFC 9112, section 7.1), taken apart as they arrive.
#pragma once

#include <cstdint>
#include <expected>
#include <string>
#include <string_view>

#include "agon/serving/http_head.h"

namespace agon::serving {

/// Takes the bytes of a chunked body in pieces of any size. Extensions and trailers are passed over, within
/// bounds.
class ChunkedBody {
 public:
  explicit ChunkedBody(std::uint64_t max_body) : max_body_(max_body) {}

  /// Takes bytes off the front of `bytes`: all of them, or up to the body's end. Data is appended to `body`.
  /// 413 when it grows beyond the limit, 400 when it is broken.
  [[nodiscard]] std::expected<void, HeadRefusal> push(std::string_view& bytes, std::string& body);
  [[nodiscard]] bool ended() const { return state_ == State::kEnded; }

 private:
  enum class State : std::uint8_t { kSize, kData, kDataEnd, kTrailer, kEnded };
  [[nodiscard]] std::expected<void, HeadRefusal> take_line();

  std::uint64_t max_body_;
  State state_ = State::kSize;
  std::string line_;
  std::uint64_t left_ = 0;      // of the chunk
  std::uint64_t overhead_ = 0;  // bytes that were no data
};

}  // namespace agon::serving
