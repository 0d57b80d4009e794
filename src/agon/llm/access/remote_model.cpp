#include "agon/llm/access/remote_model.h"

#include <fmt/format.h>

#include <algorithm>
#include <unordered_set>

#include "agon/base/hash.h"
#include "agon/llm/access/choices.h"
#include "agon/llm/access/item_error.h"
#include "agon/llm/engine/reward.h"
#include "agon/llm/remote/echo.h"
#include "agon/llm/remote/requests.h"

namespace agon::llm {
namespace {

std::unexpected<Error> cannot(std::string what) {
  return std::unexpected(Error{.message = std::move(what), .kind = ErrorKind::kUsage});
}

// Calls that are still to be made: no key twice.
class Plan {
 public:
  explicit Plan(const RemoteSession& session) : session_(session) {}
  /// True when this result is neither kept nor asked for yet; then it counts as asked for.
  [[nodiscard]] bool wants(const std::string& key) { return !session_.has(key) && asked_.insert(key).second; }
  void add(RemoteCall call) { calls_.push_back(std::move(call)); }
  [[nodiscard]] std::span<const RemoteCall> calls() const { return calls_; }

 private:
  const RemoteSession& session_;
  std::unordered_set<std::string> asked_;
  std::vector<RemoteCall> calls_;
};

// Lets results go at the end of an operation when there is no journal.
class Forgetting {
 public:
  explicit Forgetting(RemoteSession& session) : session_(session) {}
  ~Forgetting() { session_.forget(); }
  Forgetting(const Forgetting&) = delete;
  Forgetting& operator=(const Forgetting&) = delete;

 private:
  RemoteSession& session_;
};

std::string stop_word(const std::string& finish_reason) {
  return finish_reason == "stop" ? "end" : finish_reason;
}

}  // namespace

Result<std::unique_ptr<RemoteModel>> RemoteModel::open(const RemoteOptions& options) {
  AGON_ASSIGN(auto session, RemoteSession::open(options));
  return std::unique_ptr<RemoteModel>(new RemoteModel(std::move(session)));
}

Result<ModelIdentity> RemoteModel::identity() {
  const std::string url = session_->url().text;
  return ModelIdentity{fmt::format("{} at {}", session_->name(), url),
                       sha256_hex(fmt::format("agon remote model\n{}\n{}", url, session_->name())), 0};
}

Result<std::vector<TextEmbedding>> RemoteModel::embed(std::span<const ModelInput> inputs,
                                                      const EmbedSettings& settings,
                                                      const Progress& progress) {
  if (settings.layer != -1)
    return cannot("a remote model gives no states of a chosen layer: /embeddings knows none");
  if (settings.pooling != Pooling::kMean) return cannot("a remote model pools as its server does");
  if (settings.truncate) return cannot("a remote model does not cut texts: they go to the server whole");
  std::vector<std::string> whole;
  for (std::size_t i = 0; i < inputs.size(); ++i) {
    if (!inputs[i].messages.empty())
      return about(i, "messages",
                   {.message = "/embeddings takes texts, no conversations", .expected = "a text"});
    whole.push_back(inputs[i].text);
  }
  const std::span<const std::string> texts(whole);
  const Forgetting forgetting(*session_);
  constexpr std::size_t kTexts = 16, kBytes = std::size_t{1} << 18;  // of one request
  const std::string path = "/embeddings", &name = session_->name();
  Plan plan(*session_);
  std::vector<std::string> keys, batch;
  RemoteCall call;
  std::size_t bytes = 0;
  const auto flush = [&] {
    if (batch.empty()) return;
    call.request = {.path = path, .body = embedding_request(name, batch)};
    plan.add(std::exchange(call, {}));
    batch.clear();
    bytes = 0;
  };
  for (std::size_t i = 0; i < texts.size(); ++i) {
    if (texts[i].empty()) return about(i, "text", {.message = "an empty text has no embedding"});
    keys.push_back(session_->key(path, embedding_request(name, texts.subspan(i, 1))));
    if (!plan.wants(keys.back())) continue;
    if (batch.size() >= kTexts || bytes + texts[i].size() > kBytes) flush();
    if (batch.empty()) call.item = i;
    call.keys.push_back(keys.back());
    batch.push_back(texts[i]);
    bytes += texts[i].size();
  }
  flush();
  const auto reader = [](const RemoteCall& one, std::string_view body) -> Result<CallResults> {
    AGON_ASSIGN(EmbeddingReply reply, read_embedding_reply(body, one.keys.size()));
    CallResults results{std::move(reply.head), {}};
    for (const std::vector<float>& values : reply.embeddings)
      results.results.push_back(kept_numbers(std::span<const float>(values)));
    return results;
  };
  AGON_TRY(session_->run(plan.calls(), reader, "embed", progress));
  std::vector<TextEmbedding> results;
  for (const std::string& key : keys) {
    AGON_ASSIGN(const std::string kept, session_->result(key));
    AGON_ASSIGN(const std::vector<double> numbers, read_kept_numbers(kept));
    TextEmbedding& result = results.emplace_back();
    for (const double number : numbers) result.values.push_back(static_cast<float>(number));
    if (result.values.size() != results.front().values.size())
      return about(results.size() - 1, "text",
                   {.message = fmt::format("the server gave {} numbers for this text and {} for another",
                                           result.values.size(), results.front().values.size())});
  }
  return results;
}

Result<std::vector<std::vector<ContinuationScore>>> RemoteModel::score(std::span<const ScoreInput> items,
                                                                       const ScoreSettings& settings,
                                                                       const Progress& progress) {
  if (settings.truncate) return cannot("a remote model does not cut texts: they go to the server whole");
  const Forgetting forgetting(*session_);
  AGON_ASSIGN(const bool agon, session_->is_agon());
  const std::string path = agon ? "/score" : "/completions", &name = session_->name();
  Plan plan(*session_);
  std::vector<std::string> keys;  // one a continuation
  std::vector<std::pair<std::size_t, std::size_t>>
      parts;  // of the calls at other servers: item and continuation
  for (std::size_t i = 0; i < items.size(); ++i) {
    const ModelInput& context = items[i].context;
    if (!agon && !context.messages.empty())
      return about(
          i, "messages",
          {.message = fmt::format("{} does not score answers to messages: its /completions knows texts only",
                                  session_->url().text),
           .expected = "'context' with the prompt as the model wants it, or agon's own server"});
    RemoteCall call{.request = {}, .keys = {}, .item = i};
    std::vector<std::string> wanted;
    for (std::size_t k = 0; k < items[i].continuations.size(); ++k) {
      const std::string& continuation = items[i].continuations[k];
      if (continuation.empty())
        return about(i, fmt::format("continuations[{}]", k),
                     {.message = "an empty continuation has no log-probability"});
      // The request for this continuation alone says all that its score depends on.
      keys.push_back(session_->key(
          path, score_request(name, context.text, context.messages, std::span(&continuation, 1))));
      if (!plan.wants(keys.back())) continue;
      if (agon) {
        call.keys.push_back(keys.back());
        wanted.push_back(continuation);
      } else {
        parts.emplace_back(i, k);
        plan.add({.request = {path, echo_request(name, context.text + continuation)},
                  .keys = {keys.back()},
                  .output_tokens = 1,
                  .item = i});
      }
    }
    if (call.keys.empty()) continue;
    call.request = {path, score_request(name, context.text, context.messages, wanted)};
    plan.add(std::move(call));
  }
  const auto read_agon = [](const RemoteCall& one, std::string_view body) -> Result<CallResults> {
    AGON_ASSIGN(ScoreReply reply, read_score_reply(body, one.keys.size()));
    CallResults results{std::move(reply.head), {}};
    for (const ScoredReply& score : reply.continuations) results.results.push_back(kept_score(score));
    return results;
  };
  const auto read_echo = [&](const RemoteCall& one, std::string_view body) -> Result<CallResults> {
    const auto [item, k] = parts[static_cast<std::size_t>(&one - plan.calls().data())];
    AGON_ASSIGN(GeneratedReply reply, read_completion_reply(body));
    AGON_ASSIGN(const ScoredReply score,
                score_echo(reply, items[item].context.text, items[item].continuations[k]));
    return CallResults{std::move(reply.head), {kept_score(score)}};
  };
  AGON_TRY(agon ? session_->run(plan.calls(), read_agon, "score", progress)
                : session_->run(plan.calls(), read_echo, "score", progress));
  std::vector<std::vector<ContinuationScore>> results(items.size());
  std::size_t next = 0;
  for (std::size_t i = 0; i < items.size(); ++i) {
    for (std::size_t k = 0; k < items[i].continuations.size(); ++k) {
      AGON_ASSIGN(const std::string kept, session_->result(keys[next++]));
      AGON_ASSIGN(ScoredReply score, read_kept_score(kept));
      ContinuationScore& result = results[i].emplace_back();
      result.logprob = score.logprob;
      result.token_logprobs = std::move(score.token_logprobs);
      for (auto& [id, text] : score.tokens) result.tokens.push_back({id, std::move(text)});
      result.is_greedy = score.is_greedy;
    }
  }
  return results;
}

Result<std::vector<ChoiceResult>> RemoteModel::choose(std::span<const ChoiceInput> items,
                                                      const Progress& progress) {
  for (std::size_t i = 0; i < items.size(); ++i)
    if (items[i].choices.empty()) return about(i, "choices", {.message = "there is nothing to choose from"});
  AGON_ASSIGN(const bool agon, session_->is_agon());
  const auto has_messages = [](const ChoiceInput& item) { return !item.context.messages.empty(); };
  if (agon || std::ranges::none_of(items, has_messages)) return choose_by_scores(*this, items, progress);
  if (!std::ranges::all_of(items, has_messages))
    return cannot("items with messages and items without are asked for in one call");
  return choose_by_chat(items, progress);
}

Result<std::vector<ChoiceResult>> RemoteModel::choose_by_chat(std::span<const ChoiceInput> items,
                                                              const Progress& progress) {
  const Forgetting forgetting(*session_);
  const std::string path = "/chat/completions";
  Plan plan(*session_);
  std::vector<std::string> keys;
  for (std::size_t i = 0; i < items.size(); ++i) {
    std::string body = first_token_request(session_->name(), items[i].context.messages);
    keys.push_back(session_->key(path, body));
    if (plan.wants(keys.back()))
      plan.add({.request = {path, std::move(body)}, .keys = {keys.back()}, .output_tokens = 1, .item = i});
  }
  const auto reader = [](const RemoteCall&, std::string_view body) -> Result<CallResults> {
    AGON_ASSIGN(GeneratedReply reply, read_chat_reply(body));
    if (!reply.has_logprobs || reply.tokens.empty() || reply.tokens.front().top.empty())
      return fail(
          "the server gives no log-probabilities of answers: 'choices[0].logprobs.content[0].top_logprobs' "
          "is missing");
    std::string kept = kept_answer(reply);
    return CallResults{std::move(reply.head), {std::move(kept)}};
  };
  AGON_TRY(session_->run(plan.calls(), reader, "choose", progress));
  std::vector<ChoiceResult> results;
  for (std::size_t i = 0; i < items.size(); ++i) {
    AGON_ASSIGN(const std::string kept, session_->result(keys[i]));
    AGON_ASSIGN(const GeneratedReply reply, read_kept_answer(kept));
    if (reply.tokens.empty())
      return about(i, "choices", {.message = "no log-probabilities are kept for this item"});
    auto result = choose_by_first_token(items[i].choices, reply.tokens.front().top);
    if (!result) return about(i, "choices", std::move(result.error()));
    results.push_back(std::move(*result));
  }
  return results;
}

Result<std::vector<Answer>> RemoteModel::generate(std::span<const ModelInput> inputs,
                                                  const GenerateSettings& settings,
                                                  const Progress& progress) {
  if (settings.truncate) return cannot("a remote model does not cut prompts: they go to the server whole");
  if (settings.max_tokens <= 0 && session_->budget().is_limited())
    return std::unexpected(Error{.message = "a budget cannot be kept when an answer may be of any length",
                                 .expected = "--max-tokens N from 1",
                                 .kind = ErrorKind::kUsage});
  if (!settings.sampler.logit_bias.empty())
    return cannot("a remote model's tokens have no known numbers to bias");
  const Forgetting forgetting(*session_);
  const AnswerRequest request{.sampler = settings.sampler,
                              .stop = settings.stop,
                              .max_tokens = settings.max_tokens,
                              .json_schema = settings.json_schema,
                              .json_object = settings.json_object};
  Plan plan(*session_);
  std::vector<std::string> keys;
  for (std::size_t i = 0; i < inputs.size(); ++i) {
    const std::string path = inputs[i].messages.empty() ? "/completions" : "/chat/completions";
    std::string body = answer_request(session_->name(), inputs[i].text, inputs[i].messages, request);
    keys.push_back(session_->key(path, body));
    if (plan.wants(keys.back()))
      plan.add({.request = {path, std::move(body)},
                .keys = {keys.back()},
                .output_tokens = settings.max_tokens,
                .item = i});
  }
  const auto reader = [](const RemoteCall& call, std::string_view body) -> Result<CallResults> {
    const bool chat = call.request.path == "/chat/completions";
    AGON_ASSIGN(GeneratedReply reply, chat ? read_chat_reply(body) : read_completion_reply(body));
    reply.tokens.clear();
    std::string kept = kept_answer(reply);
    return CallResults{std::move(reply.head), {std::move(kept)}};
  };
  AGON_TRY(session_->run(plan.calls(), reader, "generate", progress));
  std::vector<Answer> answers;
  for (const std::string& key : keys) {
    AGON_ASSIGN(const std::string kept, session_->result(key));
    AGON_ASSIGN(GeneratedReply reply, read_kept_answer(kept));
    answers.push_back({.text = std::move(reply.text),
                       .stopped_by = stop_word(reply.finish_reason),
                       .prompt_tokens = reply.head.usage.input,
                       .tokens = reply.head.usage.output});
  }
  return answers;
}

Result<std::vector<std::vector<double>>> RemoteModel::rerank(std::span<const RerankInput> items,
                                                             const Progress& progress) {
  const Forgetting forgetting(*session_);
  const std::string path = "/rerank";
  Plan plan(*session_);
  std::vector<std::string> keys;
  for (std::size_t i = 0; i < items.size(); ++i) {
    if (items[i].documents.empty()) return about(i, "documents", {.message = "there is nothing to rank"});
    std::string body =
        rerank_request(session_->name(), query_text(items[i].before, items[i].query), items[i].documents);
    keys.push_back(session_->key(path, body));
    if (plan.wants(keys.back()))
      plan.add({.request = {path, std::move(body)}, .keys = {keys.back()}, .item = i});
  }
  const auto reader = [&](const RemoteCall& call, std::string_view body) -> Result<CallResults> {
    AGON_ASSIGN(RerankReply reply, read_rerank_reply(body, items[call.item].documents.size()));
    return CallResults{std::move(reply.head), {kept_numbers(std::span<const double>(reply.scores))}};
  };
  AGON_TRY(session_->run(plan.calls(), reader, "rerank", progress));
  std::vector<std::vector<double>> results;
  for (const std::string& key : keys) {
    AGON_ASSIGN(const std::string kept, session_->result(key));
    AGON_ASSIGN(std::vector<double> scores, read_kept_numbers(kept));
    results.push_back(std::move(scores));
  }
  return results;
}

}  // namespace agon::llm
