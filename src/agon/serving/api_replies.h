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

/// Writes server-sent events; false when the client is gone.
class Events {
 public:
  explicit Events(HttpSink& sink) : sink_(sink) {}
  [[nodiscard]] bool send(const Json& json) { return sink_.write("data: " + dumped(json) + "\n\n"); }
  [[nodiscard]] bool send_error(const ApiError& error) {
    std::string line = error.json();
    line.pop_back();
    return sink_.write("data: " + line + "\n\n");
  }
  [[nodiscard]] bool done() { return sink_.write("data: [DONE]\n\n"); }

 private:
  HttpSink& sink_;
};

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
