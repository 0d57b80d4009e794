// One client's socket: requests in, answers out, everything with a bound in bytes and in time.
#pragma once

#include <chrono>
#include <cstdint>
#include <expected>
#include <functional>
#include <string>
#include <string_view>

#include "agon/serving/http_head.h"

namespace agon::serving {

struct ConnectionLimits {
  std::uint64_t max_body = 16 << 20;
  std::chrono::milliseconds request{30000};  ///< From a request's first byte to its last.
  std::chrono::milliseconds idle{30000};     ///< Between requests.
  std::chrono::milliseconds stall{30000};    ///< Without the client taking a byte of an answer.
};

class Connection {
 public:
  /// Takes over the socket and closes it.
  Connection(int socket, std::string remote, const ConnectionLimits& limits);
  ~Connection();
  Connection(const Connection&) = delete;
  Connection& operator=(const Connection&) = delete;

  /// Waits for the first byte of a request; false when none comes in time or the client hung up.
  [[nodiscard]] bool wait_for_request();
  /// The head of a request. A status of 0 means that the client hung up and nobody wants an answer.
  [[nodiscard]] std::expected<HttpHead, HeadRefusal> read_head();
  /// The body that belongs to a head. `may_hold` is told how much of it has come so far; when it says no, the
  /// rest is refused with 503.
  [[nodiscard]] std::expected<std::string, HeadRefusal> read_body(
      const HttpHead& head, const std::function<bool(std::size_t)>& may_hold);
  /// False when the client hung up or took nothing for too long; nothing can be written after that.
  [[nodiscard]] bool write(std::string_view bytes);
  /// Tells the client that no more comes, and passes over what it is still sending, for a moment: closing at
  /// once would make the answer vanish with a reset.
  void close_gently();

  [[nodiscard]] int socket() const { return socket_; }
  /// The client's address in digits.
  [[nodiscard]] const std::string& remote() const { return remote_; }

 private:
  using Clock = std::chrono::steady_clock;
  enum class Read : std::uint8_t { kSome, kEnd, kLate };
  [[nodiscard]] Read read_more(Clock::time_point until);
  [[nodiscard]] static HeadRefusal not_read(Read how);

  int socket_;
  std::string remote_;
  ConnectionLimits limits_;
  std::string buffer_;  // read and not used yet
  Clock::time_point request_until_;
  bool broken_ = false;
};

}  // namespace agon::serving
