// What servers with OpenAI's interface answer, read as the text of a stranger: every field that is used is
// checked, and an error says which one was missing or wrong.
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "agon/base/error.h"
#include "agon/llm/remote/api_key.h"

namespace agon::llm {

/// Tokens that a request was charged for, as `usage` says.
struct TokenUsage {
  std::int64_t input = 0;
  std::int64_t output = 0;
  bool given = false;  ///< The reply had a `usage`.
};

struct ReplyHead {
  std::string model;  ///< That the server says it used; empty when it does not say.
  TokenUsage usage;
};

/// A token as a server shows it.
struct ReplyToken {
  std::string text;
  std::optional<double> logprob;  ///< Natural logarithm; none where the server gave null.
  std::vector<std::pair<std::string, double>>
      top;                             ///< The most probable tokens at its place, if they were given.
  std::optional<std::int64_t> offset;  ///< In the text, in code points, as the server counts.
};

/// One choice of /completions or /chat/completions.
struct GeneratedReply {
  ReplyHead head;
  std::string text;
  std::string finish_reason;  ///< "stop", "length", ...; empty when not given.
  bool has_logprobs = false;
  std::vector<ReplyToken> tokens;  ///< Empty without log-probabilities.
};
/// The head of any reply that is a JSON object, whatever else is in it.
[[nodiscard]] Result<ReplyHead> read_reply_head(std::string_view body);
[[nodiscard]] Result<GeneratedReply> read_completion_reply(std::string_view body);
[[nodiscard]] Result<GeneratedReply> read_chat_reply(std::string_view body);

struct EmbeddingReply {
  ReplyHead head;
  std::vector<std::vector<float>> embeddings;  ///< In the order of the inputs, all of one length, finite.
};
[[nodiscard]] Result<EmbeddingReply> read_embedding_reply(std::string_view body, std::size_t inputs);

struct RerankReply {
  ReplyHead head;
  std::vector<double> scores;  ///< In the order of the documents, finite.
};
[[nodiscard]] Result<RerankReply> read_rerank_reply(std::string_view body, std::size_t documents);

/// One continuation as agon's /score has it, and as it is kept.
struct ScoredReply {
  double logprob = 0;
  std::vector<double> token_logprobs;
  std::vector<std::pair<std::int64_t, std::string>> tokens;  ///< Id (-1: not known) and text.
  std::optional<bool> is_greedy;
};
struct ScoreReply {
  ReplyHead head;
  std::vector<ScoredReply> continuations;
};
[[nodiscard]] Result<ScoreReply> read_score_reply(std::string_view body, std::size_t continuations);

/// Ids of /models, with who owns them ("agon" for agon's own server).
[[nodiscard]] Result<std::vector<std::pair<std::string, std::string>>> read_models_reply(
    std::string_view body);

/// What a server says of an error: the message of OpenAI's, vLLM's and FastAPI's forms, else the start of the
/// body in one line. At most 500 bytes, visible characters only, and without the key: it is taken out before
/// the text is cut, which could leave a part of it.
[[nodiscard]] std::string error_text(std::string_view body, const ApiKey& key);

/// A name or token of a server's, fit for a message: visible, in one line, at most 200 bytes.
[[nodiscard]] std::string shown(std::string_view text);
/// The same of a text that may hold the key.
[[nodiscard]] std::string shown(std::string_view text, const ApiKey& key);

/// True when a body stops before its JSON does.
[[nodiscard]] bool is_cut_off(std::string_view body);

}  // namespace agon::llm
