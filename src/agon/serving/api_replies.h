// Pieces that several answers have in common.
#pragma once

#include <fmt/format.h>

#include <string>

#include "agon/llm/engine/service.h"
#include "agon/serving/api_error.h"
#include "agon/serving/http_server.h"
#include "agon/serving/token_text.h"

namespace agon::serving {

[[nodiscard]] inline HttpReply json_reply(const Json& json) { return {.body = dumped(json) + "\n"}; }

/// Of texts that were only read.
[[nodiscard]] inline Json usage_json(const llm::Usage& usage) {
  return {{"prompt_tokens", usage.prompt_tokens},
          {"total_tokens", usage.prompt_tokens},
          {"prompt_tokens_details", {{"cached_tokens", usage.cached_tokens}}}};
}

/// What the engine says of a field.
[[nodiscard]] inline ApiError about(const std::string& field, const Error& error) {
  ApiError api;
  api.param = field;
  api.message = fmt::format("'{}': {}", field, error.to_string());
  return api;
}

}  // namespace agon::serving
