#include "agon/serving/connection.h"

#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>

#include "agon/serving/http_body.h"

namespace agon::serving {
namespace {

constexpr std::size_t kReadBytes = 64 << 10;

// Waits for events on a socket until a moment; false when it has come.
bool wait_for(int socket, short events, std::chrono::steady_clock::time_point until) {
  for (;;) {
    const auto left = std::chrono::ceil<std::chrono::milliseconds>(until - std::chrono::steady_clock::now());
    pollfd wanted{socket, events, 0};
    const int count =
        ::poll(&wanted, 1, static_cast<int>(std::clamp<std::int64_t>(left.count(), 0, 1 << 30)));
    if (count > 0) return true;
    if (count == 0 || errno != EINTR) return false;
  }
}

}  // namespace

Connection::Connection(int socket, std::string remote, const ConnectionLimits& limits)
    : socket_(socket), remote_(std::move(remote)), limits_(limits) {}

Connection::~Connection() { ::close(socket_); }

Connection::Read Connection::read_more(Clock::time_point until) {
  for (;;) {
    if (!wait_for(socket_, POLLIN, until)) return Read::kLate;
    const std::size_t had = buffer_.size();
    buffer_.resize(had + kReadBytes);
    const ssize_t count = ::recv(socket_, buffer_.data() + had, kReadBytes, MSG_DONTWAIT);
    buffer_.resize(had + static_cast<std::size_t>(std::max<ssize_t>(count, 0)));
    if (count > 0) return Read::kSome;
    if (count < 0 && (errno == EINTR || errno == EAGAIN || errno == EWOULDBLOCK)) continue;
    return Read::kEnd;
  }
}

HeadRefusal Connection::not_read(Read how) {
  if (how == Read::kLate) return {408, "the request did not come whole in time"};
  return {0, "the client hung up"};
}

bool Connection::wait_for_request() {
  // Empty lines before a request are passed over (RFC 9112, section 2.2).
  const auto drop = [&] { buffer_.erase(0, std::min(buffer_.find_first_not_of("\r\n"), buffer_.size())); };
  drop();
  const auto until = Clock::now() + limits_.idle;
  while (buffer_.empty()) {
    if (read_more(until) != Read::kSome) return false;
    drop();
  }
  request_until_ = Clock::now() + limits_.request;
  return true;
}

std::expected<HttpHead, HeadRefusal> Connection::read_head() {
  std::size_t length = 0;
  while ((length = http_head_length(buffer_)) == 0 && buffer_.size() <= kMaxHeadBytes)
    if (const Read how = read_more(request_until_); how != Read::kSome) return std::unexpected(not_read(how));
  if (length == 0 || length > kMaxHeadBytes)
    return std::unexpected(HeadRefusal{431, "the head of the request is too long"});
  auto head = parse_http_head(std::string_view(buffer_).substr(0, length), limits_.max_body);
  buffer_.erase(0, length);
  return head;
}

std::expected<std::string, HeadRefusal> Connection::read_body(
    const HttpHead& head, const std::function<bool(std::size_t)>& may_hold) {
  std::string body;
  if (!head.has_body()) return body;
  if (head.expects_continue && buffer_.empty() && !write("HTTP/1.1 100 Continue\r\n\r\n"))
    return std::unexpected(not_read(Read::kEnd));
  const auto too_much = [] {
    return std::unexpected(
        HeadRefusal{503, "too much is being sent to this server at once; try again later"});
  };
  ChunkedBody chunks(limits_.max_body);
  for (;;) {
    if (head.chunked) {
      std::string_view rest = buffer_;
      auto status = chunks.push(rest, body);
      if (!status) return std::unexpected(std::move(status.error()));
      buffer_.erase(0, buffer_.size() - rest.size());
      if (!may_hold(body.size())) return too_much();
      if (chunks.ended()) return body;
    } else {
      const std::size_t missing = static_cast<std::size_t>(head.content_length) - body.size();
      const std::size_t count = std::min(missing, buffer_.size());
      body.append(buffer_, 0, count);
      buffer_.erase(0, count);
      if (!may_hold(body.size())) return too_much();
      if (count == missing) return body;
    }
    if (const Read how = read_more(request_until_); how != Read::kSome) return std::unexpected(not_read(how));
  }
}

bool Connection::write(std::string_view bytes) {
  auto until = Clock::now() + limits_.stall;
  while (!bytes.empty() && !broken_) {
    const ssize_t count = ::send(socket_, bytes.data(), bytes.size(), MSG_NOSIGNAL | MSG_DONTWAIT);
    if (count > 0) {
      bytes.remove_prefix(static_cast<std::size_t>(count));
      until = Clock::now() + limits_.stall;
    } else if (count < 0 && (errno == EAGAIN || errno == EWOULDBLOCK)) {
      broken_ = !wait_for(socket_, POLLOUT, until);
    } else if (count < 0 && errno != EINTR) {
      broken_ = true;
    }
  }
  return !broken_;
}

void Connection::close_gently() {
  if (broken_ || ::shutdown(socket_, SHUT_WR) != 0) return;
  // Bounded in time and bytes: who goes on sending gets the reset.
  const auto until =
      Clock::now() + std::min<std::chrono::milliseconds>(limits_.request, std::chrono::seconds(2));
  std::uint64_t passed = 0;
  while (passed < 2 * limits_.max_body + (64u << 20)) {
    buffer_.clear();
    if (read_more(until) != Read::kSome) return;
    passed += buffer_.size();
  }
}

}  // namespace agon::serving
