#include "agon/llm/access/embedded_model.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <filesystem>
#include <iterator>

#include "agon/base/check.h"
#include "agon/base/hash.h"
#include "agon/llm/access/choices.h"
#include "agon/llm/access/item_error.h"
#include "agon/llm/constrain/constraint.h"
#include "agon/llm/engine/generation.h"
#include "agon/llm/engine/relevance.h"
#include "agon/llm/engine/reward.h"
#include "agon/llm/engine/scoring.h"

namespace agon::llm {
namespace {

// The text of a conversation, as the file's template shapes it.
Result<std::string> rendered(const Engine& engine, const std::vector<ChatMessage>& messages) {
  if (!engine.chat_template()) return std::unexpected(engine.chat_template().error());
  return engine.chat_template()->render(messages, true);
}

// A text, or a conversation that is over.
Result<std::vector<Token>> whole_tokens(const Engine& engine, const ModelInput& input) {
  if (input.messages.empty()) return engine.tokenizer().encode(input.text);
  if (!engine.chat_template()) return std::unexpected(engine.chat_template().error());
  AGON_ASSIGN(const std::string text, engine.chat_template()->render(input.messages, false));
  return engine.tokenizer().encode(text, {.add_special = true, .parse_special = true});
}

Result<std::vector<ScoreRequest>> requests_of(const Engine& engine, std::size_t item, const ScoreInput& input,
                                              TooLong too_long) {
  std::string prompt;
  const bool chat = !input.context.messages.empty();
  if (chat) {
    auto text = rendered(engine, input.context.messages);
    if (!text) return about(item, "messages", std::move(text.error()));
    prompt = std::move(*text);
  }
  std::vector<ScoreRequest> requests;
  for (const std::string& continuation : input.continuations) {
    auto request = chat ? continue_prompt(engine, prompt, continuation, too_long)
                        : make_request(engine, input.context.text, continuation, too_long);
    if (!request)
      return about(item, fmt::format("continuations[{}]", requests.size()), std::move(request.error()));
    requests.push_back(std::move(*request));
  }
  return requests;
}

ScoreProgress part_of(const Progress& progress, const char* stage) {
  return [&progress, stage](std::size_t done, std::size_t total) {
    if (progress) progress(stage, done, total);
  };
}

ContinuationScore shown(const Engine& engine, const ScoreRequest& request, Score score) {
  ContinuationScore result{.logprob = score.logprob,
                           .token_logprobs = std::move(score.token_logprobs),
                           .is_greedy = score.is_greedy,
                           .cut = request.cut};
  for (const Token token : score.tokens)
    result.tokens.push_back({token, engine.tokenizer().piece(token, true)});
  return result;
}

}  // namespace

Result<std::unique_ptr<EmbeddedModel>> EmbeddedModel::open(const std::string& path,
                                                           const EngineOptions& options, std::string key) {
  AGON_ASSIGN(auto engine, Engine::open(path, options));
  auto model = std::make_unique<EmbeddedModel>(*engine, path);
  model->owned_ = std::move(engine);
  model->key_ = std::move(key);
  return model;
}

Result<ModelIdentity> EmbeddedModel::identity() {
  if (key_.empty()) {
    AGON_ASSIGN(key_, sha256_file(path_));
  }
  std::error_code none;
  const std::uintmax_t bytes = std::filesystem::file_size(path_, none);
  return ModelIdentity{std::filesystem::path(path_).filename().string(), key_, none ? 0 : bytes};
}

Result<std::vector<TextEmbedding>> EmbeddedModel::embed(std::span<const ModelInput> inputs,
                                                        const EmbedSettings& settings,
                                                        const Progress& progress) {
  constexpr std::size_t kGroupTokens = 1u << 14;  // whose states are in memory together
  std::vector<TextEmbedding> results;
  std::vector<std::vector<Token>> tokens;
  for (const ModelInput& input : inputs) {
    auto encoded = whole_tokens(*engine_, input);
    if (!encoded) return about(results.size(), "messages", std::move(encoded.error()));
    std::vector<Token> one = std::move(*encoded);
    TextEmbedding result;
    if (one.empty()) return about(results.size(), "text", {.message = "an empty text has no hidden states"});
    const auto limit = static_cast<std::size_t>(engine_->context());
    if (one.size() > limit && settings.truncate) {
      result.cut = static_cast<int>(one.size() - limit);
      one.erase(one.begin(), one.end() - static_cast<std::ptrdiff_t>(limit));
    }
    if (Status status = engine_->check_length(one.size(), "the text"); !status)
      return about(results.size(), "text", std::move(status.error()));
    result.tokens = static_cast<std::int64_t>(one.size());
    results.push_back(std::move(result));
    tokens.push_back(std::move(one));
  }
  for (std::size_t first = 0; first < tokens.size();) {
    std::size_t last = first, sum = 0;
    while (last < tokens.size() && (last == first || sum + tokens[last].size() <= kGroupTokens))
      sum += tokens[last++].size();
    AGON_ASSIGN(std::vector<Embedding> states,
                llm::embed(*engine_, std::span(tokens).subspan(first, last - first), settings.layer,
                           settings.pooling));
    for (std::size_t i = first; i < last; ++i) results[i].values = std::move(states[i - first]);
    first = last;
    if (progress) progress("embed", first, tokens.size());
  }
  return results;
}

Result<std::vector<std::vector<ContinuationScore>>> EmbeddedModel::score(std::span<const ScoreInput> items,
                                                                         const ScoreSettings& settings,
                                                                         const Progress& progress) {
  std::vector<ScoreRequest> requests;
  const TooLong too_long = settings.truncate ? TooLong::kCut : TooLong::kRefuse;
  for (std::size_t i = 0; i < items.size(); ++i) {
    AGON_ASSIGN(std::vector<ScoreRequest> more, requests_of(*engine_, i, items[i], too_long));
    std::ranges::move(more, std::back_inserter(requests));
  }
  std::vector<Score> scores;
  if (!requests.empty()) {
    AGON_ASSIGN(scores, llm::score(*engine_, requests, 0, part_of(progress, "score")));
  }
  std::vector<std::vector<ContinuationScore>> results(items.size());
  std::size_t next = 0;
  for (std::size_t i = 0; i < items.size(); ++i)
    for (std::size_t k = 0; k < items[i].continuations.size(); ++k, ++next)
      results[i].push_back(shown(*engine_, requests[next], std::move(scores[next])));
  return results;
}

Result<std::vector<ChoiceResult>> EmbeddedModel::choose(std::span<const ChoiceInput> items,
                                                        const Progress& progress) {
  return choose_by_scores(*this, items, progress);
}

Result<std::vector<Answer>> EmbeddedModel::generate(std::span<const ModelInput> inputs,
                                                    const GenerateSettings& settings,
                                                    const Progress& progress) {
  GenerationOptions options{.sampler = settings.sampler,
                            .stop = settings.stop,
                            .max_tokens = settings.max_tokens,
                            .truncate = settings.truncate};
  if (!settings.json_schema.empty()) {
    AGON_ASSIGN(options.constraint, Constraint::from_json_schema(settings.json_schema, engine_->tokenizer()));
  } else if (settings.json_object) {
    AGON_ASSIGN(options.constraint, Constraint::any_json_object(engine_->tokenizer()));
  }
  std::vector<std::vector<Token>> prompts;
  std::size_t longest = 0;
  for (const ModelInput& input : inputs) {
    std::vector<Token> tokens;
    if (input.messages.empty()) {
      tokens = engine_->tokenizer().encode(input.text);
      const Token bos = engine_->tokenizer().special().bos;
      if (tokens.empty() && bos != kNoToken) tokens = {bos};
    } else {
      auto chat = engine_->encode_chat(input.messages);
      if (!chat) return about(prompts.size(), "messages", std::move(chat.error()));
      tokens = std::move(*chat);
    }
    longest = std::max(longest, tokens.size());
    prompts.push_back(std::move(tokens));
  }
  const auto context = static_cast<std::size_t>(engine_->context());
  const std::size_t room =
      settings.max_tokens > 0 ? longest + static_cast<std::size_t>(settings.max_tokens) : context;
  AGON_ASSIGN(Session session, Session::create(*engine_, static_cast<int>(std::min(room, context))));
  std::vector<Answer> answers;
  for (const std::vector<Token>& prompt : prompts) {
    auto result = session.generate(prompt, options);
    if (!result)
      return about(answers.size(), inputs[answers.size()].messages.empty() ? "text" : "messages",
                   std::move(result.error()));
    answers.push_back({.text = std::move(result->text),
                       .stopped_by = std::string(stop_reason_name(result->reason)),
                       .prompt_tokens = static_cast<std::int64_t>(result->prompt_tokens),
                       .tokens = static_cast<std::int64_t>(result->tokens.size())});
    if (progress) progress("generate", answers.size(), prompts.size());
  }
  return answers;
}

Result<std::vector<std::vector<double>>> EmbeddedModel::rerank(std::span<const RerankInput> items,
                                                               const Progress& progress) {
  if (engine_->config().head) return rerank_by_head(items, progress);
  std::vector<ScoreRequest> requests;
  for (std::size_t i = 0; i < items.size(); ++i) {
    for (std::size_t k = 0; k < items[i].documents.size(); ++k) {
      auto request =
          relevance_request(*engine_, query_text(items[i].before, items[i].query), items[i].documents[k]);
      if (!request) return about(i, fmt::format("documents[{}]", k), std::move(request.error()));
      requests.push_back(std::move(*request));
    }
  }
  std::vector<Score> scores;
  if (!requests.empty()) {
    AGON_ASSIGN(scores, llm::score(*engine_, requests, 0, part_of(progress, "rerank")));
  }
  std::vector<std::vector<double>> results(items.size());
  std::size_t next = 0;
  for (std::size_t i = 0; i < items.size(); ++i)
    for (std::size_t k = 0; k < items[i].documents.size(); ++k)
      results[i].push_back(std::exp(mean_logprob(scores[next++])));
  return results;
}

Result<std::vector<std::vector<double>>> EmbeddedModel::rerank_by_head(std::span<const RerankInput> items,
                                                                       const Progress& progress) {
  std::vector<std::vector<Token>> texts;
  for (std::size_t i = 0; i < items.size(); ++i)
    for (std::size_t k = 0; k < items[i].documents.size(); ++k) {
      auto tokens = rerank_tokens(*engine_, items[i].query, items[i].documents[k], items[i].before);
      if (tokens)
        if (const Status fits = engine_->check_length(tokens->size(), "the text"); !fits)
          tokens = std::unexpected(fits.error());
      if (!tokens) return about(i, fmt::format("documents[{}]", k), std::move(tokens.error()));
      texts.push_back(std::move(*tokens));
    }
  AGON_ASSIGN(const std::vector<float> rewards, reward(*engine_, texts));
  if (progress) progress("rerank", texts.size(), texts.size());
  std::vector<std::vector<double>> results(items.size());
  std::size_t next = 0;
  for (std::size_t i = 0; i < items.size(); ++i)
    for (std::size_t k = 0; k < items[i].documents.size(); ++k)
      results[i].push_back(static_cast<double>(rewards[next++]));
  return results;
}

}  // namespace agon::llm
