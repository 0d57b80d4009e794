// Many requests to one server: as many at once as it takes, again where that may help, with a bound on
// everything.
#pragma once

#include <cstddef>
#include <cstdint>
#include <expected>
#include <functional>
#include <memory>
#include <optional>
#include <string>

#include "agon/base/error.h"
#include "agon/llm/remote/api_key.h"
#include "agon/llm/remote/base_url.h"

namespace agon::llm {

struct HttpOptions {
  double connect_timeout = 10;   ///< Seconds until a connection stands, TLS included.
  double timeout = 600;          ///< Seconds for a whole request with its answer.
  int max_concurrency = 16;      ///< Requests in flight, from 1.
  int max_tries = 6;             ///< Of one request, from 1.
  double first_delay = 0.5;      ///< Seconds; doubles with every failure, see backoff().
  double max_delay = 60;         ///< Seconds that are waited between tries unless the server says how long.
  double max_retry_after = 600;  ///< Seconds; a server that asks for more ends the run.
  std::size_t max_reply = std::size_t{64} << 20;  ///< Bytes of one answer, unpacked.
  std::string ca_file =
      {};  ///< Certificates to trust in place of the system's; empty: SSL_CERT_FILE, or these.
  std::uint64_t seed = 1;  ///< Of the jitter.
};

struct HttpRequest {
  std::string path;  ///< Behind the base URL, with its slash.
  std::string body;  ///< JSON; empty: a GET.
};

/// A whole answer whose status is none that is tried again.
struct HttpReply {
  long status = 0;
  std::string body;
  std::string location;  ///< Where a redirect points; it is never followed.
};

/// One server, asked over kept-open connections. Certificates are always verified, redirects never followed,
/// and the key goes nowhere but into the Authorization header. For one thread at a time.
class HttpClient {
 public:
  /// Refused: a key that would go over plain http to another machine, unless `key_over_http`; a CA file that
  /// cannot be read.
  static Result<std::unique_ptr<HttpClient>> create(const BaseUrl& url, ApiKey key,
                                                    const HttpOptions& options, bool key_over_http = false);
  ~HttpClient();

  /// The next request, or nothing when there is none now.
  using Source = std::function<std::optional<HttpRequest>()>;
  /// Takes the reply to the request that the source gave as number `id` (from 0). What it returns says how it
  /// went: an empty text is done, another says why the request is to be tried again, an Error ends the run.
  using Handler = std::function<Result<std::string>(std::size_t id, HttpReply& reply)>;
  struct Failure {
    Error error;
    std::size_t id = 0;  ///< The request it is about.
  };
  /// Asks until the source has nothing more and all is answered. Connections that fail or break, time-outs,
  /// answers that are cut off, and statuses of may_retry() are tried again after backoff() or Retry-After, up
  /// to `max_tries` in all. After a failure nothing new is sent, but what is in flight, and perhaps paid, is
  /// still handed over; then the first failure is returned.
  [[nodiscard]] std::expected<void, Failure> run(const Source& source, const Handler& handler);

  /// One request by itself.
  [[nodiscard]] Result<HttpReply> ask(const HttpRequest& request);

  [[nodiscard]] const BaseUrl& url() const;
  /// Requests sent so far, tries included.
  [[nodiscard]] std::uint64_t sent() const;
  /// The Error that a reply with a status other than 2xx is: path, status and what the server says.
  [[nodiscard]] Error error_of(const std::string& path, const HttpReply& reply) const;
  [[nodiscard]] const ApiKey& key() const;

 private:
  struct State;
  explicit HttpClient(std::unique_ptr<State> state);
  std::unique_ptr<State> state_;
};

}  // namespace agon::llm
