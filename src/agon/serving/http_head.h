// The head of an HTTP/1.1 request, read strictly and with bounds.
#pragma once

#include <cstdint>
#include <expected>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace agon::serving {

constexpr std::size_t kMaxHeadBytes = 32 << 10;
constexpr std::size_t kMaxHeaders = 100;

/// Why a head is refused.
struct HeadRefusal {
  int status = 400;
  std::string message;
};

struct HttpHead {
  std::string method;
  std::string path;   ///< With %XX resolved; valid UTF-8, no control characters.
  std::string query;  ///< Behind '?', as it was sent.
  int minor = 1;      ///< HTTP/1.minor
  std::vector<std::pair<std::string, std::string>> headers;  ///< Names in lower case.
  std::uint64_t content_length = 0;
  bool chunked = false;
  bool keep_alive = true;
  bool expects_continue = false;

  [[nodiscard]] bool has_body() const { return chunked || content_length > 0; }
  /// The value of a header, empty when there is none (the first of several).
  [[nodiscard]] std::string_view header(std::string_view lower_name) const;
};

/// Reads a head: everything up to and with the empty line. `max_body` bounds the announced length.
[[nodiscard]] std::expected<HttpHead, HeadRefusal> parse_http_head(std::string_view bytes,
                                                                   std::uint64_t max_body);

/// The length of the head at the start of `bytes` with its empty line, 0 when it has not come whole.
[[nodiscard]] std::size_t http_head_length(std::string_view bytes);

/// Resolves %XX; nothing when a '%' has no two hex digits behind it.
[[nodiscard]] std::optional<std::string> percent_decoded(std::string_view text);

/// The words for a status code.
[[nodiscard]] std::string_view http_status_words(int status);

}  // namespace agon::serving
