#include "agon/llm/remote/http_transfer.h"

#include <algorithm>
#include <string_view>

namespace agon::llm {
namespace {

std::size_t take_body(char* bytes, std::size_t one, std::size_t count, void* user) {
  auto& transfer = *static_cast<HttpTransfer*>(user);
  const std::size_t size = one * count;
  if (size > transfer.max_reply - std::min(transfer.max_reply, transfer.reply.body.size())) {
    transfer.too_large = true;
    return 0;  // ends the transfer
  }
  transfer.reply.body.append(bytes, size);
  return size;
}

// "name: value" of one line, when it has this name.
bool has_name(std::string_view line, std::string_view name) {
  return line.size() > name.size() && line[name.size()] == ':' &&
         std::equal(name.begin(), name.end(), line.begin(),
                    [](char a, char b) { return a == (b >= 'A' && b <= 'Z' ? b - 'A' + 'a' : b); });
}

std::size_t take_header(char* bytes, std::size_t one, std::size_t count, void* user) {
  auto& transfer = *static_cast<HttpTransfer*>(user);
  const std::string_view line(bytes, one * count);
  if (line.starts_with("HTTP/")) {  // a new head, for example after "100 Continue"
    transfer.retry_after.clear();
    transfer.reply.location.clear();
    transfer.head_ended = false;
  }
  if (line == "\r\n" || line == "\n") transfer.head_ended = true;
  const auto value = [&](std::size_t name) {
    std::string_view text = line.substr(name + 1, 1000);
    while (!text.empty() && (text.front() == ' ' || text.front() == '\t')) text.remove_prefix(1);
    while (!text.empty() && (text.back() == '\r' || text.back() == '\n' || text.back() == ' '))
      text.remove_suffix(1);
    return std::string(text);
  };
  if (has_name(line, "retry-after")) transfer.retry_after = value(11);
  if (has_name(line, "location")) transfer.reply.location = value(8);
  return line.size();
}

long milliseconds(double seconds) { return std::max(1L, static_cast<long>(seconds * 1000)); }

}  // namespace

Status HttpTransfer::prepare(const BaseUrl& url, const ApiKey& key, const std::string& ca_file,
                             const HttpOptions& options) {
  easy.reset(curl_easy_init());
  if (!easy) return fail("out of memory for a request");
  reply = {};
  retry_after.clear();
  max_reply = options.max_reply;
  too_large = false;
  head_ended = false;
  message.fill('\0');
  CURL* const handle = easy.get();
  const auto set = [&](CURLoption option, auto value) { curl_easy_setopt(handle, option, value); };
  bool all_added = true;
  const auto add = [&](const std::string& line) {
    curl_slist* longer = curl_slist_append(headers.get(), line.c_str());
    if (longer == nullptr) {
      all_added = false;
      return;
    }
    (void)headers.release();
    headers.reset(longer);
  };
  headers.reset();
  add("Content-Type: application/json");
  add("Accept: application/json");
  add("Expect:");  // bodies are sent without asking first
  if (!key.empty()) add("Authorization: " + key.authorization());
  // Without its key a request would be refused, or answered as somebody else's.
  if (!all_added) return fail("out of memory for a request");
  set(CURLOPT_HTTPHEADER, headers.get());
  set(CURLOPT_URL, (url.text + request.path).c_str());
  set(CURLOPT_PROTOCOLS_STR, "http,https");
  set(CURLOPT_FOLLOWLOCATION, 0L);
  set(CURLOPT_NETRC, static_cast<long>(CURL_NETRC_IGNORED));
  set(CURLOPT_USERAGENT, "agon");
  if (url.loopback) set(CURLOPT_PROXY, "");  // whatever the environment says of others
  set(CURLOPT_ACCEPT_ENCODING, "");
  set(CURLOPT_NOSIGNAL, 1L);
  set(CURLOPT_CONNECTTIMEOUT_MS, milliseconds(options.connect_timeout));
  set(CURLOPT_TIMEOUT_MS, milliseconds(options.timeout));
  set(CURLOPT_SSL_VERIFYPEER, 1L);
  set(CURLOPT_SSL_VERIFYHOST, 2L);
  set(CURLOPT_SSLVERSION, static_cast<long>(CURL_SSLVERSION_TLSv1_2));
  if (!ca_file.empty()) {
    set(CURLOPT_CAINFO, ca_file.c_str());
    set(CURLOPT_CAPATH, static_cast<char*>(nullptr));
  }
  if (!request.body.empty()) {
    set(CURLOPT_POST, 1L);
    set(CURLOPT_POSTFIELDS, request.body.data());
    set(CURLOPT_POSTFIELDSIZE_LARGE, static_cast<curl_off_t>(request.body.size()));
  }
  set(CURLOPT_WRITEFUNCTION, &take_body);
  set(CURLOPT_WRITEDATA, static_cast<void*>(this));
  set(CURLOPT_HEADERFUNCTION, &take_header);
  set(CURLOPT_HEADERDATA, static_cast<void*>(this));
  set(CURLOPT_ERRORBUFFER, message.data());
  set(CURLOPT_PRIVATE, static_cast<void*>(this));
  return {};
}

bool may_retry(CURLcode code) {
  switch (code) {
    case CURLE_COULDNT_RESOLVE_PROXY:
    case CURLE_COULDNT_RESOLVE_HOST:
    case CURLE_COULDNT_CONNECT:
    case CURLE_HTTP2:
    case CURLE_HTTP2_STREAM:
    case CURLE_PARTIAL_FILE:
    case CURLE_OPERATION_TIMEDOUT:
    case CURLE_SSL_CONNECT_ERROR:
    case CURLE_GOT_NOTHING:
    case CURLE_SEND_ERROR:
    case CURLE_RECV_ERROR:
      return true;
    default:
      return false;
  }
}

}  // namespace agon::llm
