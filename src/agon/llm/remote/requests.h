// Bodies of requests in OpenAI's form, and results as the journal keeps them.
#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "agon/base/error.h"
#include "agon/llm/model/sampler.h"
#include "agon/llm/remote/replies.h"
#include "agon/llm/tokenizer/chat_template.h"

namespace agon::llm {

/// POST /completions: the prompt echoed with log-probabilities and one token behind it, as
/// lm-evaluation-harness asks.
[[nodiscard]] std::string echo_request(std::string_view model, std::string_view prompt);
/// POST /score of agon's server: one item.
[[nodiscard]] std::string score_request(std::string_view model, std::string_view context,
                                        std::span<const ChatMessage> messages,
                                        std::span<const std::string> continuations);
[[nodiscard]] std::string embedding_request(std::string_view model, std::span<const std::string> texts);
[[nodiscard]] std::string rerank_request(std::string_view model, std::string_view query,
                                         std::span<const std::string> documents);
/// POST /chat/completions: one token at temperature 0, with the 20 most probable ones (the most that OpenAI
/// gives).
[[nodiscard]] std::string first_token_request(std::string_view model, std::span<const ChatMessage> messages);

struct AnswerRequest {
  SamplerOptions sampler = {};  ///< What OpenAI knows is always sent; top_k, min_p and repetition_penalty
                                ///< only when they do something, since not every server has them.
  std::vector<std::string> stop = {};
  int max_tokens = 0;            ///< 0: not sent.
  std::string json_schema = {};  ///< As JSON; empty: none.
  bool json_object = false;
};
/// POST /chat/completions with messages, POST /completions without.
[[nodiscard]] std::string answer_request(std::string_view model, std::string_view prompt,
                                         std::span<const ChatMessage> messages,
                                         const AnswerRequest& settings);

/// Results as one line of JSON, and back. Reading is for what was written here; damage is an Error all the
/// same.
[[nodiscard]] std::string kept_score(const ScoredReply& score);
[[nodiscard]] Result<ScoredReply> read_kept_score(std::string_view json);
[[nodiscard]] std::string kept_numbers(std::span<const double> numbers);
[[nodiscard]] std::string kept_numbers(std::span<const float> numbers);
[[nodiscard]] Result<std::vector<double>> read_kept_numbers(std::string_view json);
/// Text, reason of the end and tokens of an answer; of `tokens` the first one's alternatives only.
[[nodiscard]] std::string kept_answer(const GeneratedReply& answer);
[[nodiscard]] Result<GeneratedReply> read_kept_answer(std::string_view json);

}  // namespace agon::llm
