#include "agon/serving/token_text.h"

#include <fmt/format.h>

#include <algorithm>

#include "agon/text/utf8.h"

namespace agon::serving {
namespace {

// JSON has no minus infinity; OpenAI's clients know this number for it.
double finite(double logprob) { return std::max(logprob, -9999.0); }

// Characters that begin in these bytes: of a character that several tokens share, the first counts it.
std::size_t characters(std::string_view bytes) {
  return static_cast<std::size_t>(std::count_if(
      bytes.begin(), bytes.end(), [](char c) { return (static_cast<unsigned char>(c) & 0xC0) != 0x80; }));
}

}  // namespace

std::string dumped(const Json& json) { return json.dump(-1, ' ', false, Json::error_handler_t::replace); }

std::string shown_bytes(std::string_view bytes) {
  if (is_valid_utf8(bytes)) return std::string(bytes);
  std::string out;
  for (const char c : bytes) out += fmt::format("\\x{:02x}", static_cast<unsigned char>(c));
  return out;
}

Json chat_token(const llm::Tokenizer& tokenizer, llm::Token token, double logprob) {
  const std::string piece = tokenizer.piece(token, true);
  Json bytes = Json::array();
  for (const char c : piece) bytes.push_back(static_cast<unsigned char>(c));
  return {{"token", shown_bytes(piece)}, {"logprob", finite(logprob)}, {"bytes", std::move(bytes)}};
}

Json chat_logprobs(const llm::Tokenizer& tokenizer, std::span<const llm::TokenEvent> tokens) {
  Json content = Json::array();
  for (const llm::TokenEvent& token : tokens) {
    Json one = chat_token(tokenizer, token.token, token.logprob);
    Json top = Json::array();
    for (const llm::TokenLogprob& other : token.top)
      top.push_back(chat_token(tokenizer, other.token, other.logprob));
    one["top_logprobs"] = std::move(top);
    content.push_back(std::move(one));
  }
  return {{"content", std::move(content)}, {"refusal", nullptr}};
}

std::string CompletionLogprobs::name(llm::Token token) const {
  const std::string piece = tokenizer_->piece(token, true);
  return is_valid_utf8(piece) ? piece : "bytes:" + shown_bytes(piece);
}

void CompletionLogprobs::add(llm::Token token, const double* logprob,
                             std::span<const llm::TokenLogprob> top) {
  tokens_.push_back(name(token));
  offsets_.push_back(offset_);
  if (logprob == nullptr) {
    logprobs_.push_back(nullptr);
    top_.push_back(nullptr);
  } else {
    logprobs_.push_back(finite(*logprob));
    // Names may be alike where tokens differ; the most probable one has the name then. The token itself is
    // always there, as in OpenAI's answers, even when it is none of the most probable ones.
    Json alternatives = Json::object();
    for (const llm::TokenLogprob& other : top) {
      const std::string key = name(other.token);
      if (!alternatives.contains(key)) alternatives[key] = finite(other.logprob);
    }
    if (const std::string key = name(token); !alternatives.contains(key))
      alternatives[key] = finite(*logprob);
    top_.push_back(std::move(alternatives));
  }
  offset_ += characters(tokenizer_->piece(token, false));
}

void CompletionLogprobs::add_prompt(std::span<const llm::PromptToken> tokens, std::string_view text) {
  const std::size_t begin = offset_;
  for (const llm::PromptToken& token : tokens)
    add(token.token, token.logprob ? &*token.logprob : nullptr, token.top);
  // A tokenizer that puts a space before a text has one character more in its pieces than the text has.
  const std::size_t end = begin + characters(text);
  if (offset_ > end) {
    const std::size_t more = offset_ - end;
    for (Json& offset : offsets_) {
      const auto at = offset.get<std::size_t>();
      if (at > begin) offset = std::max(begin, at - std::min(at, more));
    }
  }
  offset_ = end;
}

void CompletionLogprobs::skip(std::string_view text) { offset_ += characters(text); }

void CompletionLogprobs::add(const llm::TokenEvent& token) { add(token.token, &token.logprob, token.top); }

Json CompletionLogprobs::take() {
  Json taken{{"text_offset", std::move(offsets_)},
             {"token_logprobs", std::move(logprobs_)},
             {"tokens", std::move(tokens_)},
             {"top_logprobs", std::move(top_)}};
  tokens_ = Json::array();
  logprobs_ = Json::array();
  top_ = Json::array();
  offsets_ = Json::array();
  return taken;
}

}  // namespace agon::serving
