// Where a server's API begins.
#pragma once

#include <string>
#include <string_view>

#include "agon/base/error.h"

namespace agon::llm {

/// "https://host:port/v1", checked. Paths such as "/completions" are put behind `text`.
struct BaseUrl {
  std::string text;       ///< Without a slash at the end.
  std::string host;       ///< Without brackets.
  bool tls = false;       ///< https.
  bool loopback = false;  ///< This machine: "localhost" and names below it, 127.0.0.0/8, ::1.
};

/// True when a model is named by a URL (of any scheme) and not by a file.
[[nodiscard]] bool is_url(std::string_view model);

/// Refused, as mistakes of the call: schemes but http and https, user names and passwords (they would stand
/// in lists of processes), queries and fragments.
[[nodiscard]] Result<BaseUrl> parse_base_url(const std::string& text);

}  // namespace agon::llm
