// HTTP/1.1 over threads: as many as there are connections, and no more connections than allowed.
//
// Every connection has a thread while it lasts, so one that reads slowly or sends slowly holds up nobody.
// What they wait for is bounded: a request must come whole in time, an answer must be taken in time, and an
// idle connection is closed after a while. Beyond the bound of connections a client is told 503 and let go.
//
// Debian's cpp-httplib 0.11.4 was looked at and left: it answers Range headers without a bound (8 KiB of
// ranges made it work for 40 s and send 40 MB, before any handler is asked), takes chunked bodies and headers
// without end, unpacks bodies of clients, and listens with a backlog of five, all compiled in. What would
// have been left for it to do are the few lines of http_body.cpp.
#pragma once

#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "agon/base/error.h"
#include "agon/serving/connection.h"

namespace agon::serving {

struct HttpRequest {
  HttpHead head;
  std::string remote;  ///< The client's address in digits.
  std::string body;
};

/// Takes a streamed answer piece by piece.
class HttpSink {
 public:
  virtual ~HttpSink() = default;
  /// False when the client is gone: nothing more is of use.
  [[nodiscard]] virtual bool write(std::string_view bytes) = 0;
};

struct HttpReply {
  int status = 200;
  std::string type = "application/json";
  std::string body = {};
  std::vector<std::pair<std::string, std::string>> headers = {};
  /// In place of a body: writes the answer as it arises.
  std::function<void(HttpSink&)> stream = {};
};

/// What a handler may know of who waits for its answer.
class HttpPeer {
 public:
  virtual ~HttpPeer() = default;
  /// Runs `work`; when the client hangs up meanwhile, `gone` is called at once, from another thread. After
  /// return it is not called any more.
  virtual void with_watch(const std::function<void()>& gone, const std::function<void()>& work) = 0;
};

/// Answers requests, from many threads at once.
class HttpHandler {
 public:
  virtual ~HttpHandler() = default;
  /// Asked when a request's head is read: an answer that needs no body, or nothing, to read the body and call
  /// handle().
  [[nodiscard]] virtual std::optional<HttpReply> check(const HttpHead& head, const std::string& remote) = 0;
  /// `peer` lives until the reply's stream has ended; the request does not.
  [[nodiscard]] virtual HttpReply handle(const HttpRequest& request, HttpPeer& peer) = 0;
  /// The answer to a request that is no HTTP, too long, or late.
  [[nodiscard]] virtual HttpReply refusal(int status, const std::string& message) = 0;
};

struct HttpOptions {
  std::string host = "127.0.0.1";  ///< A name or an address; "0.0.0.0" or "::" for all.
  int port = 8080;                 ///< 0: any that is free.
  /// Beyond them a client is told 503. Where not only this machine can reach the server, one address (of
  /// IPv6, one network of 64 bits) may have three quarters of them.
  int max_connections = 512;
  /// Bytes of all requests' bodies, from when they come until they are answered; who sends more is told 503.
  /// A single one may have limits.max_body whatever this says.
  std::uint64_t max_bodies = std::uint64_t{256} << 20U;
  ConnectionLimits limits = {};
};

class HttpServer {
 public:
  /// Binds and listens; the handler must outlive the server. Nothing is answered before start(). An Error
  /// when the address is not to be had.
  static Result<std::unique_ptr<HttpServer>> listen(const HttpOptions& options, HttpHandler& handler);
  ~HttpServer();  ///< As stop().

  /// Begins to answer.
  void start();
  /// Takes no more connections, lets the requests that are being answered finish, and returns when all
  /// connections are closed.
  void stop();

  [[nodiscard]] int port() const;
  /// "127.0.0.1:8080" or "[::1]:8080".
  [[nodiscard]] const std::string& address() const;
  /// Only programs on this machine can reach it.
  [[nodiscard]] bool is_loopback() const;
  [[nodiscard]] int connections() const;

 private:
  struct State;
  explicit HttpServer(std::unique_ptr<State> state);
  std::unique_ptr<State> state_;
};

}  // namespace agon::serving
