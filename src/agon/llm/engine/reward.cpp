#include "agon/llm/engine/reward.h"

#include <algorithm>
#include <string>

#include "agon/base/check.h"
#include "agon/llm/engine/embedding.h"
#include "agon/llm/kernels/kernels.h"
#include "agon/llm/model/head.h"

namespace agon::llm {
namespace {

// The template with both texts in the places that it has for them. One pass: what looks like a place in a
// text is none.
std::string filled(std::string_view pattern, std::string_view query, std::string_view document) {
  constexpr std::string_view kQuery = "{query}", kDocument = "{document}";
  std::string out;
  while (!pattern.empty()) {
    if (pattern.starts_with(kQuery)) {
      out += query;
      pattern.remove_prefix(kQuery.size());
    } else if (pattern.starts_with(kDocument)) {
      out += document;
      pattern.remove_prefix(kDocument.size());
    } else {
      out += pattern.front();
      pattern.remove_prefix(1);
    }
  }
  return out;
}

}  // namespace

Result<std::vector<float>> reward(Engine& engine, std::span<const std::vector<Token>> texts) {
  AGON_ASSIGN(const std::vector<Embedding> outputs, embed(engine, texts, -1, Pooling::kRank));
  std::vector<float> rewards;
  for (const Embedding& one : outputs) rewards.push_back(one.front());
  return rewards;
}

Status check_head(const Engine& engine) {
  if (engine.config().head) return {};
  Error error;
  error.message = "the model has no classification head, so that it gives no rewards";
  error.file = engine.file().path();
  error.expected = "a reward model or a reranker: a file with a tensor 'cls.output.weight' or 'cls.weight'";
  return std::unexpected(std::move(error));
}

Result<std::vector<float>> head_outputs(const Engine& engine, std::span<const float> state, bool normed) {
  const Weights& weights = engine.weights();
  AGON_CHECK(state.size() == static_cast<std::size_t>(engine.config().embedding));
  std::vector<float> behind_norm(state.begin(), state.end());
  if (!normed) {
    kernels().rms_norm(state.data(), weights.output_norm().data(), engine.config().embedding,
                       static_cast<float>(engine.config().norm_epsilon), behind_norm.data());
  }
  return apply_head(engine.config().head, weights.head(), behind_norm);
}

std::string query_text(std::span<const ChatMessage> before, std::string_view query) {
  if (before.empty()) return std::string(query);
  std::string text;
  for (const ChatMessage& message : before)
    text += (message.role == "user" ? "User: " : "Assistant: ") + message.content + "\n\n";
  return text.append("User: ").append(query);
}

Result<std::vector<Token>> rerank_tokens(const Engine& engine, std::string_view query,
                                         std::string_view document, std::span<const ChatMessage> before) {
  const Tokenizer& tokenizer = engine.tokenizer();
  const std::string pattern =
      engine.file().metadata().string_or("tokenizer.chat_template.rerank", "").value_or("");
  if (pattern.find("{query}") != std::string::npos && pattern.find("{document}") != std::string::npos)
    return tokenizer.encode(filled(pattern, query_text(before, query), document),
                            {.add_special = false, .parse_special = true});
  if (const auto& chat = engine.chat_template()) {
    std::vector<ChatMessage> messages(before.begin(), before.end());
    messages.push_back({"user", std::string(query)});
    messages.push_back({"assistant", std::string(document)});
    AGON_ASSIGN(const std::string text, chat->render(messages, false));
    return tokenizer.encode(text, {.add_special = true, .parse_special = true});
  }
  std::vector<Token> tokens;
  const auto special = [&](Token token) {
    if (token >= 0) tokens.push_back(token);
  };
  const auto text = [&](std::string_view words) {
    std::ranges::copy(tokenizer.encode(words, {.add_special = false, .parse_special = true}),
                      std::back_inserter(tokens));
  };
  special(tokenizer.special().bos);
  text(query_text(before, query));
  special(tokenizer.special().eos);
  special(tokenizer.special().separator);
  text(document);
  special(tokenizer.special().eos);
  return tokens;
}

}  // namespace agon::llm
