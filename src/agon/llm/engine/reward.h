// Rewards and relevances: what a model with a classification head says of texts.
#pragma once

#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "agon/base/error.h"
#include "agon/llm/engine/engine.h"

namespace agon::llm {

/// The rewards that a reward model gives to texts: the first output of its head (of a reranker that says yes
/// or no, the probability of yes). Texts as for embed(), whose Pooling::kRank gives all outputs. A text's
/// reward is the same to the last bit whatever it is computed together with.
[[nodiscard]] Result<std::vector<float>> reward(Engine& engine, std::span<const std::vector<Token>> texts);

/// An error that says so when the model has no classification head.
[[nodiscard]] Status check_head(const Engine& engine);

/// The head's outputs for a token's hidden state behind all layers, and behind the final norm if `normed`.
[[nodiscard]] Result<std::vector<float>> head_outputs(const Engine& engine, std::span<const float> state,
                                                      bool normed);

/// The query as one text with the turns of a conversation before it: "User: ...\n\nAssistant: ...\n\nUser:
/// QUERY", or the query alone where there are none.
[[nodiscard]] std::string query_text(std::span<const ChatMessage> before, std::string_view query);

/// What a reranker reads to judge a document: its own template (tokenizer.chat_template.rerank) around
/// query_text() and document, as llama.cpp's converter writes it; else, by the chat template, the turns
/// before, the query as the user's message and the document as the answer; else, without one, BOS, query
/// text, EOS, separator, document, EOS, as far as the vocabulary has these. Special tokens in the texts are
/// read as such, as in all prompts.
[[nodiscard]] Result<std::vector<Token>> rerank_tokens(const Engine& engine, std::string_view query,
                                                       std::string_view document,
                                                       std::span<const ChatMessage> before = {});

}  // namespace agon::llm
