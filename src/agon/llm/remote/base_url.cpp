#include "agon/llm/remote/base_url.h"

#include <arpa/inet.h>
#include <curl/curl.h>
#include <fmt/format.h>

#include <memory>

namespace agon::llm {
namespace {

bool is_loopback(const std::string& host) {
  if (host == "localhost" || host.ends_with(".localhost") || host == "::1") return true;
  in_addr address{};
  return ::inet_pton(AF_INET, host.c_str(), &address) == 1 && (ntohl(address.s_addr) >> 24) == 127;
}

std::unexpected<Error> bad_url(std::string message) {
  return std::unexpected(Error{.message = std::move(message),
                               .expected = "http://HOST:PORT/v1 or https://HOST/v1",
                               .kind = ErrorKind::kUsage});
}

}  // namespace

bool is_url(std::string_view model) {
  const std::size_t colon = model.find("://");
  if (colon == std::string_view::npos || colon == 0) return false;
  return model.find_first_not_of("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789+-.") ==
         colon;
}

Result<BaseUrl> parse_base_url(const std::string& text) {
  const std::unique_ptr<CURLU, decltype(&curl_url_cleanup)> url(curl_url(), curl_url_cleanup);
  if (!url) return fail("out of memory for a URL");
  // A password that was typed in spite of all is not repeated by a message.
  const std::string shown = text.find('@') == std::string::npos ? fmt::format("'{}'", text) : "the URL";
  if (const CURLUcode code = curl_url_set(url.get(), CURLUPART_URL, text.c_str(), CURLU_NON_SUPPORT_SCHEME);
      code != CURLUE_OK)
    return bad_url(fmt::format("{} is no URL: {}", shown, curl_url_strerror(code)));
  const auto part = [&](CURLUPart which) {
    char* value = nullptr;
    if (curl_url_get(url.get(), which, &value, 0) != CURLUE_OK) return std::string();
    std::string copy(value);
    curl_free(value);
    return copy;
  };
  const std::string scheme = part(CURLUPART_SCHEME);
  if (scheme != "http" && scheme != "https")
    return bad_url(fmt::format("{} has the scheme '{}'", shown, scheme));
  if (!part(CURLUPART_USER).empty() || !part(CURLUPART_PASSWORD).empty())
    return bad_url("the URL holds a user name or password; keys come from --key-env or --key-file");
  if (text.find_first_of("?#") != std::string::npos)
    return bad_url(fmt::format("{} has a query or fragment", shown));
  BaseUrl result;
  result.host = part(CURLUPART_HOST);
  if (result.host.size() > 2 && result.host.front() == '[')
    result.host = result.host.substr(1, result.host.size() - 2);
  result.tls = scheme == "https";
  result.loopback = is_loopback(result.host);
  result.text = part(CURLUPART_URL);
  while (result.text.ends_with('/')) result.text.pop_back();
  return result;
}

}  // namespace agon::llm
