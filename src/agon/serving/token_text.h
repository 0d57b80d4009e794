// Tokens as answers show them: as text, as bytes, and where they stand in a text. Includes nlohmann's header.
#pragma once

#include <cstddef>
#include <nlohmann/json.hpp>
#include <span>
#include <string>
#include <string_view>

#include "agon/llm/engine/service.h"
#include "agon/llm/tokenizer/tokenizer.h"

namespace agon::serving {

using Json = nlohmann::ordered_json;

/// Bytes that are no whole characters, as OpenAI writes them: "\xe2\x80"; anything else as it is.
[[nodiscard]] std::string shown_bytes(std::string_view bytes);

/// {"token", "logprob", "bytes"}, as a chat's answer has it.
[[nodiscard]] Json chat_token(const llm::Tokenizer& tokenizer, llm::Token token, double logprob);
/// {"content": [...], "refusal": null}: each token with its alternatives.
[[nodiscard]] Json chat_logprobs(const llm::Tokenizer& tokenizer, std::span<const llm::TokenEvent> tokens);

/// A completion's "logprobs": {"text_offset", "token_logprobs", "tokens", "top_logprobs"}, built token by
/// token.
class CompletionLogprobs {
 public:
  explicit CompletionLogprobs(const llm::Tokenizer& tokenizer) : tokenizer_(&tokenizer) {}
  /// All tokens of a prompt, whose text is `text`; the first has no log-probability.
  void add_prompt(std::span<const llm::PromptToken> tokens, std::string_view text);
  /// Leaves room for a prompt that is echoed without log-probabilities.
  void skip(std::string_view text);
  void add(const llm::TokenEvent& token);
  /// What was added since the last call. Offsets go on, in characters from the start of the text.
  [[nodiscard]] Json take();

 private:
  void add(llm::Token token, const double* logprob, std::span<const llm::TokenLogprob> top);
  [[nodiscard]] std::string name(llm::Token token) const;

  const llm::Tokenizer* tokenizer_;
  std::size_t offset_ = 0;
  Json tokens_ = Json::array(), logprobs_ = Json::array(), top_ = Json::array(), offsets_ = Json::array();
};

/// JSON in one line; ill-formed UTF-8 becomes U+FFFD.
[[nodiscard]] std::string dumped(const Json& json);

}  // namespace agon::serving
