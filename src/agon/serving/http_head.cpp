#include "agon/serving/http_head.h"

#include <fmt/format.h>

#include <algorithm>
#include <charconv>

#include "agon/text/utf8.h"

namespace agon::serving {
namespace {

std::unexpected<HeadRefusal> wrong(int status, std::string message) {
  return std::unexpected(HeadRefusal{status, std::move(message)});
}

char lower(char c) { return c >= 'A' && c <= 'Z' ? static_cast<char>(c - 'A' + 'a') : c; }

std::string lowered(std::string_view text) {
  std::string out(text);
  std::transform(out.begin(), out.end(), out.begin(), lower);
  return out;
}

// RFC 9110, section 5.6.2.
bool is_token(std::string_view text) {
  return !text.empty() && std::all_of(text.begin(), text.end(), [](char c) {
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
           std::string_view("!#$%&'*+-.^_`|~").find(c) != std::string_view::npos;
  });
}

std::string_view trimmed(std::string_view text) {
  while (!text.empty() && (text.front() == ' ' || text.front() == '\t')) text.remove_prefix(1);
  while (!text.empty() && (text.back() == ' ' || text.back() == '\t')) text.remove_suffix(1);
  return text;
}

int hex(char c) {
  return c >= '0' && c <= '9'   ? c - '0'
         : c >= 'a' && c <= 'f' ? c - 'a' + 10
         : c >= 'A' && c <= 'F' ? c - 'A' + 10
                                : -1;
}

std::expected<std::string, HeadRefusal> decoded_path(std::string_view raw) {
  auto path = percent_decoded(raw);
  if (!path) return wrong(400, "the path has a '%' without two hex digits");
  const bool control = std::any_of(path->begin(), path->end(),
                                   [](char c) { return static_cast<unsigned char>(c) < 0x20 || c == 0x7F; });
  if (control || !is_valid_utf8(*path)) return wrong(400, "the path has control characters or is no UTF-8");
  return std::move(*path);
}

std::expected<void, HeadRefusal> read_request_line(std::string_view line, HttpHead& head) {
  const std::size_t first = line.find(' '), last = line.rfind(' ');
  if (first == std::string_view::npos || first == last)
    return wrong(400, "the request line is broken (expected METHOD PATH HTTP/1.1)");
  const std::string_view target = line.substr(first + 1, last - first - 1), version = line.substr(last + 1);
  if (!version.starts_with("HTTP/")) return wrong(400, "the request line does not end in HTTP/1.1");
  if (version != "HTTP/1.1" && version != "HTTP/1.0")
    return wrong(505, "this version of HTTP is not spoken here (expected HTTP/1.1)");
  head.minor = version.back() - '0';
  head.method = line.substr(0, first);
  if (!is_token(head.method) || head.method.size() > 20) return wrong(400, "this is no method of HTTP");
  if (target.empty() || target.front() != '/' || target.find(' ') != std::string_view::npos)
    return wrong(400, "the path does not begin with '/'");
  if (target.size() > 2048) return wrong(414, "the path is longer than 2048 bytes");
  const std::size_t query = target.find('?');
  auto path = decoded_path(target.substr(0, query));
  if (!path) return std::unexpected(std::move(path.error()));
  head.path = std::move(*path);
  if (query != std::string_view::npos) head.query = target.substr(query + 1);
  return {};
}

std::expected<void, HeadRefusal> read_body_headers(HttpHead& head, std::uint64_t max_body) {
  bool has_length = false;
  for (const auto& [name, value] : head.headers) {
    if (name == "content-length") {
      if (value.empty() || value.size() > 18 ||
          !std::all_of(value.begin(), value.end(), [](char c) { return c >= '0' && c <= '9'; }))
        return wrong(400, "Content-Length is no number of bytes");
      std::uint64_t length = 0;
      std::from_chars(value.data(), value.data() + value.size(), length);
      if (has_length && length != head.content_length)
        return wrong(400, "Content-Length is given twice, differently");
      has_length = true;
      head.content_length = length;
    } else if (name == "transfer-encoding") {
      if (head.chunked || lowered(value) != "chunked")
        return wrong(501, "this Transfer-Encoding is not supported (expected chunked)");
      head.chunked = true;
    } else if (name == "content-encoding") {
      if (!value.empty() && lowered(value) != "identity")
        return wrong(415, "packed bodies are not supported: send no Content-Encoding");
    } else if (name == "content-type") {
      if (lowered(value).starts_with("multipart/"))
        return wrong(415, "multipart bodies are not supported (expected application/json)");
    } else if (name == "connection") {
      const std::string word = lowered(value);
      if (word.find("close") != std::string::npos) head.keep_alive = false;
      if (head.minor == 0 && word.find("keep-alive") != std::string::npos) head.keep_alive = true;
    } else if (name == "expect") {
      if (lowered(value) != "100-continue") return wrong(417, "only 100-continue can be expected");
      head.expects_continue = true;
    }
  }
  if (has_length && head.chunked)
    return wrong(400, "both Content-Length and Transfer-Encoding are given (expected one of them)");
  if (head.content_length > max_body)
    return wrong(413, fmt::format("the body has {} bytes, {} more than the limit of {}", head.content_length,
                                  head.content_length - max_body, max_body));
  if (!has_length && !head.chunked &&
      (head.method == "POST" || head.method == "PUT" || head.method == "PATCH"))
    return wrong(411, "how long the body is was not said (expected Content-Length)");
  return {};
}

}  // namespace

std::optional<std::string> percent_decoded(std::string_view text) {
  std::string decoded;
  for (std::size_t i = 0; i < text.size(); ++i) {
    if (text[i] != '%') {
      decoded += text[i];
      continue;
    }
    const int high = i + 2 < text.size() ? hex(text[i + 1]) : -1,
              low = i + 2 < text.size() ? hex(text[i + 2]) : -1;
    if (high < 0 || low < 0) return std::nullopt;
    decoded += static_cast<char>(high * 16 + low);
    i += 2;
  }
  return decoded;
}

std::string_view HttpHead::header(std::string_view lower_name) const {
  for (const auto& [name, value] : headers)
    if (name == lower_name) return value;
  return {};
}

std::size_t http_head_length(std::string_view bytes) {
  const std::size_t at = bytes.find("\r\n\r\n");
  return at == std::string_view::npos ? 0 : at + 4;
}

std::expected<HttpHead, HeadRefusal> parse_http_head(std::string_view bytes, std::uint64_t max_body) {
  HttpHead head;
  bool first = true, ended = false;
  while (!bytes.empty() && !ended) {
    const std::size_t end = bytes.find("\r\n");
    if (end == std::string_view::npos) return wrong(400, "the head of the request does not end");
    const std::string_view line = bytes.substr(0, end);
    bytes.remove_prefix(end + 2);
    const bool control = std::any_of(line.begin(), line.end(), [](char c) {
      return (static_cast<unsigned char>(c) < 0x20 && c != '\t') || c == 0x7F;
    });
    if (control) return wrong(400, "the head of the request has control characters");
    if (first) {
      if (auto status = read_request_line(line, head); !status) return std::unexpected(status.error());
      head.keep_alive = head.minor == 1;
      first = false;
      continue;
    }
    if (line.empty()) {
      ended = true;
      break;
    }
    const std::size_t colon = line.find(':');
    if (colon == std::string_view::npos || !is_token(line.substr(0, colon)))
      return wrong(400, "a header is broken (expected Name: value)");
    if (head.headers.size() == kMaxHeaders)
      return wrong(431, fmt::format("more than {} headers", kMaxHeaders));
    head.headers.emplace_back(lowered(line.substr(0, colon)), trimmed(line.substr(colon + 1)));
  }
  if (!ended) return wrong(400, "the head of the request does not end");
  if (auto status = read_body_headers(head, max_body); !status) return std::unexpected(status.error());
  return head;
}

std::string_view http_status_words(int status) {
  switch (status) {
    case 200:
      return "OK";
    case 400:
      return "Bad Request";
    case 401:
      return "Unauthorized";
    case 403:
      return "Forbidden";
    case 404:
      return "Not Found";
    case 405:
      return "Method Not Allowed";
    case 408:
      return "Request Timeout";
    case 411:
      return "Length Required";
    case 413:
      return "Payload Too Large";
    case 414:
      return "URI Too Long";
    case 415:
      return "Unsupported Media Type";
    case 417:
      return "Expectation Failed";
    case 429:
      return "Too Many Requests";
    case 431:
      return "Request Header Fields Too Large";
    case 499:
      return "Client Closed Request";
    case 501:
      return "Not Implemented";
    case 503:
      return "Service Unavailable";
    case 505:
      return "HTTP Version Not Supported";
    default:
      return "Internal Server Error";
  }
}

}  // namespace agon::serving
