#include "agon/llm/remote/requests.h"

#include <fmt/format.h>

#include <iterator>

#include "agon/text/json.h"

namespace agon::llm {
namespace {

// One JSON object, field by field.
class Body {
 public:
  explicit Body(std::string_view model) { text("model", model); }
  Body& text(std::string_view name, std::string_view value) {
    append_json_string(field(name), value);
    return *this;
  }
  Body& raw(std::string_view name, std::string_view json) {
    field(name) += json;
    return *this;
  }
  template <class T>
  Body& number(std::string_view name, T value) {
    fmt::format_to(std::back_inserter(field(name)), "{}", value);
    return *this;
  }
  Body& texts(std::string_view name, std::span<const std::string> values) {
    std::string& out = field(name);
    out += '[';
    for (std::size_t i = 0; i < values.size(); ++i) {
      if (i > 0) out += ',';
      append_json_string(out, values[i]);
    }
    out += ']';
    return *this;
  }
  Body& messages(std::span<const ChatMessage> list) {
    std::string& out = field("messages");
    out += '[';
    for (std::size_t i = 0; i < list.size(); ++i) {
      out += i > 0 ? ",{\"role\":" : "{\"role\":";
      append_json_string(out, list[i].role);
      out += ",\"content\":";
      append_json_string(out, list[i].content);
      out += '}';
    }
    out += ']';
    return *this;
  }
  [[nodiscard]] std::string take() { return std::move(out_ += '}'); }

 private:
  std::string& field(std::string_view name) {
    out_ += out_.size() > 1 ? "," : "";
    append_json_string(out_, name);
    return out_ += ':';
  }
  std::string out_ = "{";
};

}  // namespace

std::string echo_request(std::string_view model, std::string_view prompt) {
  return Body(model)
      .text("prompt", prompt)
      .number("max_tokens", 1)
      .number("temperature", 0)
      .raw("echo", "true")
      .number("logprobs", 1)
      .take();
}

std::string score_request(std::string_view model, std::string_view context,
                          std::span<const ChatMessage> messages, std::span<const std::string> continuations) {
  Body body(model);
  if (messages.empty())
    body.text("context", context);
  else
    body.messages(messages);
  return body.texts("continuations", continuations).take();
}

std::string embedding_request(std::string_view model, std::span<const std::string> texts) {
  return Body(model).texts("input", texts).text("encoding_format", "float").take();
}

std::string rerank_request(std::string_view model, std::string_view query,
                           std::span<const std::string> documents) {
  return Body(model).text("query", query).texts("documents", documents).take();
}

std::string first_token_request(std::string_view model, std::span<const ChatMessage> messages) {
  return Body(model)
      .messages(messages)
      .number("max_tokens", 1)
      .number("temperature", 0)
      .raw("logprobs", "true")
      .number("top_logprobs", 20)
      .take();
}

std::string answer_request(std::string_view model, std::string_view prompt,
                           std::span<const ChatMessage> messages, const AnswerRequest& settings) {
  Body body(model);
  if (messages.empty())
    body.text("prompt", prompt);
  else
    body.messages(messages);
  const SamplerOptions& sampler = settings.sampler;
  body.number("temperature", sampler.temperature);
  if (sampler.temperature > 0) body.number("top_p", sampler.top_p).number("seed", sampler.seed);
  if (sampler.top_k > 0) body.number("top_k", sampler.top_k);
  if (sampler.min_p > 0) body.number("min_p", sampler.min_p);
  if (sampler.repetition_penalty != 1.0) body.number("repetition_penalty", sampler.repetition_penalty);
  if (sampler.frequency_penalty != 0.0) body.number("frequency_penalty", sampler.frequency_penalty);
  if (sampler.presence_penalty != 0.0) body.number("presence_penalty", sampler.presence_penalty);
  if (settings.max_tokens > 0) body.number("max_tokens", settings.max_tokens);
  if (!settings.stop.empty()) body.texts("stop", settings.stop);
  if (!settings.json_schema.empty())
    body.raw("response_format",
             R"({"type":"json_schema","json_schema":{"name":"answer","strict":true,"schema":)" +
                 settings.json_schema + "}}");
  else if (settings.json_object)
    body.raw("response_format", R"({"type":"json_object"})");
  return body.take();
}

}  // namespace agon::llm
