// One request on its way through libcurl. Includes curl's header; only for the HTTP client's sources.
#pragma once

#include <curl/curl.h>

#include <array>
#include <chrono>
#include <cstdint>
#include <memory>
#include <string>

#include "agon/llm/remote/http_client.h"

namespace agon::llm {

struct HttpTransfer {
  using Clock = std::chrono::steady_clock;
  struct Free {
    void operator()(CURL* easy) const { curl_easy_cleanup(easy); }
    void operator()(curl_slist* list) const { curl_slist_free_all(list); }
  };

  /// Makes curl's handle for the next try. An Error when curl has no memory.
  [[nodiscard]] Status prepare(const BaseUrl& url, const ApiKey& key, const std::string& ca_file,
                               const HttpOptions& options);

  std::size_t id = 0;
  HttpRequest request;
  int tries = 0;            // begun
  std::uint64_t epoch = 0;  // of the concurrency window when the last one began
  Clock::time_point due{};  // when it may be tried again

  // Of the last try.
  HttpReply reply;
  std::string retry_after;
  std::size_t max_reply = 0;
  bool too_large = false;
  bool head_ended = false;  // by its empty line
  std::array<char, CURL_ERROR_SIZE> message{};
  std::unique_ptr<curl_slist, Free> headers;
  std::unique_ptr<CURL, Free> easy;
};

/// True for failures below HTTP that may be others next time.
[[nodiscard]] bool may_retry(CURLcode code);

}  // namespace agon::llm
