// Completions and chats: one way through the engine, two shapes of answers, whole or streamed.
#include <fmt/format.h>

#include <algorithm>
#include <ctime>
#include <numeric>

#include "agon/serving/api.h"
#include "agon/serving/api_replies.h"
#include "agon/serving/token_text.h"

namespace agon::serving {
namespace {

constexpr int kDefaultCompletion = 16;  // tokens; OpenAI's

std::string_view finish_word(llm::FinishReason reason) {
  return reason == llm::FinishReason::kLength || reason == llm::FinishReason::kContext ? "length" : "stop";
}

/// One choice as it arises.
struct Choice {
  std::string text;
  std::vector<llm::TokenEvent> tokens;  // with log-probabilities, if they are wanted
  llm::PromptDone prompt;
  llm::FinishReason reason = llm::FinishReason::kEnd;
  llm::Usage usage;

  /// OpenAI's measure of the best: log-probability a token.
  [[nodiscard]] double goodness() const {
    const double sum = std::accumulate(tokens.begin(), tokens.end(), 0.0,
                                       [](double total, const auto& t) { return total + t.logprob; });
    return tokens.empty() ? 0.0 : sum / static_cast<double>(tokens.size());
  }
};

/// What one prompt cost: it is read once however many choices it has.
class UsageSum {
 public:
  UsageSum(std::size_t prompts, std::size_t choices) : choices_(choices), prompts_(prompts) {}
  void add(std::size_t request, const llm::Usage& usage) {
    auto& prompt = prompts_[request / choices_];
    // The choice that read the most is the one that read it first.
    prompt.cached = prompt.tokens < 0 ? usage.cached_tokens : std::min(prompt.cached, usage.cached_tokens);
    prompt.tokens = usage.prompt_tokens;
    generated_ += usage.generated_tokens;
  }
  [[nodiscard]] Json json() const {
    std::int64_t tokens = 0, cached = 0;
    for (const Prompt& prompt : prompts_) {
      tokens += std::max(prompt.tokens, 0);
      cached += prompt.cached;
    }
    return {{"prompt_tokens", tokens},
            {"completion_tokens", generated_},
            {"total_tokens", tokens + generated_},
            {"prompt_tokens_details", {{"cached_tokens", cached}}}};
  }

 private:
  struct Prompt {
    int tokens = -1, cached = 0;
  };
  std::size_t choices_;
  std::vector<Prompt> prompts_;
  std::int64_t generated_ = 0;
};

}  // namespace

/// What an answer is made of, other than by the engine.
struct Api::Shape {
  bool is_chat = false;
  std::string id, model;
  std::time_t created = 0;
  const llm::Tokenizer* tokenizer = nullptr;
  bool logprobs = false, include_usage = false;
  std::vector<std::string> echoes;  // by prompt; empty: none are wanted
  int choices = 1;                  // of one prompt that are given back

  [[nodiscard]] Json frame(bool chunk, Json list) const {
    const char* object = is_chat ? (chunk ? "chat.completion.chunk" : "chat.completion") : "text_completion";
    Json json{{"id", id}, {"object", object}, {"created", created}, {"model", model}};
    json["choices"] = std::move(list);
    if (chunk && include_usage) json["usage"] = nullptr;
    return json;
  }

  [[nodiscard]] Json whole(std::size_t index, Choice& choice, const std::string* echo) const {
    Json json;
    if (is_chat) {
      json = {
          {"index", index},
          {"message", {{"role", "assistant"}, {"content", std::move(choice.text)}, {"refusal", nullptr}}}};
      json["logprobs"] = logprobs ? chat_logprobs(*tokenizer, choice.tokens) : Json(nullptr);
    } else {
      json = {{"index", index}, {"text", (echo != nullptr ? *echo : std::string()) + choice.text}};
      json["logprobs"] = nullptr;
      if (logprobs) {
        CompletionLogprobs list(*tokenizer);
        if (echo != nullptr) list.add_prompt(choice.prompt.tokens, *echo);
        for (const llm::TokenEvent& token : choice.tokens) list.add(token);
        json["logprobs"] = list.take();
      }
    }
    json["finish_reason"] = finish_word(choice.reason);
    return json;
  }

  [[nodiscard]] Json piece(std::size_t index, std::string text, Json list, Json finish) const {
    Json json{{"index", index}};
    if (is_chat)
      json["delta"] = text.empty() && !finish.is_null() ? Json::object() : Json{{"content", std::move(text)}};
    else
      json["text"] = std::move(text);
    json["logprobs"] = std::move(list);
    json["finish_reason"] = std::move(finish);
    return frame(true, Json::array({std::move(json)}));
  }
};

ApiResult<HttpReply> Api::generate(const Call& call, const ServedModel& model, const GenerationBody& body,
                                   std::vector<std::vector<llm::Token>> prompts,
                                   std::shared_ptr<Shape> shape) {
  const std::string field = shape->is_chat ? "messages" : "prompt";
  auto constraint = constraints_.compile(body.constraint, model.engine->tokenizer());
  if (!constraint) return std::unexpected(std::move(constraint.error()));
  const auto per_prompt = static_cast<std::size_t>(body.best_of);
  const std::uint64_t seed = body.has_seed ? body.sampler.seed : new_seed();
  const auto context = static_cast<std::size_t>(model.service->max_context());

  std::vector<llm::ServiceRequest> requests;
  for (const std::vector<llm::Token>& prompt : prompts) {
    llm::GenerateRequest request{.prompt = prompt, .sampler = body.sampler, .stop = body.stop};
    request.max_tokens = body.max_tokens;
    if (body.max_tokens && prompt.size() + static_cast<std::size_t>(*body.max_tokens) > context) {
      ApiError error;
      error.param = field;
      error.code = "context_length_exceeded";
      error.message = fmt::format(
          "the prompt's {} tokens and max_tokens of {} are {} more than the context of {}", prompt.size(),
          *body.max_tokens, prompt.size() + static_cast<std::size_t>(*body.max_tokens) - context, context);
      return std::unexpected(std::move(error));
    }
    if (!body.max_tokens && !shape->is_chat)
      request.max_tokens =
          static_cast<int>(std::min<std::size_t>(kDefaultCompletion, context - prompt.size()));
    // Who echoes a prompt with log-probabilities and asks for one token more (as lm-evaluation-harness does)
    // counts on that token, and takes it off the end; so it is given even when it is the one that ends texts.
    request.ignore_end =
        body.ignore_end || (!shape->echoes.empty() && shape->logprobs && request.max_tokens == 1);
    request.top_logprobs = body.best_of > body.n ? std::max(body.top_logprobs, 0) : body.top_logprobs;
    if (!shape->echoes.empty()) request.prompt_logprobs = body.top_logprobs;
    request.constraint = *constraint;
    for (std::size_t i = 0; i < per_prompt; ++i) {
      request.sampler.seed = seed + i;
      requests.emplace_back(request);
    }
  }
  const std::size_t count = requests.size();
  auto ticket = submit(model, call, std::move(requests), field);
  if (!ticket) return std::unexpected(std::move(ticket.error()));
  const UsageSum no_usage(prompts.size(), per_prompt);

  if (body.stream) {
    HttpReply reply{.type = "text/event-stream"};
    reply.stream = [this, &model, &peer = call.peer, shape, ticket = *ticket, count, per_prompt,
                    no_usage](HttpSink& sink) {
      Events events(sink);
      UsageSum usage = no_usage;
      std::vector<CompletionLogprobs> lists(count, CompletionLogprobs(*shape->tokenizer));
      const auto begin = [&](std::size_t index, const llm::PromptDone& prompt) {
        if (shape->is_chat) {
          Json json{{"index", index},
                    {"delta", {{"role", "assistant"}, {"content", ""}}},
                    {"logprobs", nullptr},
                    {"finish_reason", nullptr}};
          return events.send(shape->frame(true, Json::array({std::move(json)})));
        }
        if (shape->echoes.empty()) return true;
        const std::string& echo = shape->echoes[index / per_prompt];
        lists[index].add_prompt(prompt.tokens, echo);
        return events.send(
            shape->piece(index, echo, shape->logprobs ? lists[index].take() : Json(), nullptr));
      };
      const auto go_on = [&](std::size_t index, llm::TokenEvent& token) {
        if (token.text.empty() && !shape->logprobs) return true;
        Json list;
        if (shape->logprobs && shape->is_chat) list = chat_logprobs(*shape->tokenizer, std::span(&token, 1));
        if (shape->logprobs && !shape->is_chat) {
          lists[index].add(token);
          list = lists[index].take();
        }
        return events.send(shape->piece(index, std::move(token.text), std::move(list), nullptr));
      };
      const auto end = [&](std::size_t index, llm::Finished& finished) {
        usage.add(index, finished.usage);
        if (finished.reason == llm::FinishReason::kError || finished.reason == llm::FinishReason::kCancelled)
          return true;
        if (!finished.text.empty() &&
            !events.send(shape->piece(index, std::move(finished.text), nullptr, nullptr)))
          return false;
        return events.send(shape->piece(index, {}, nullptr, finish_word(finished.reason)));
      };
      const auto status = follow(model, *ticket, count, peer, [&](llm::Event& event) {
        if (auto* prompt = std::get_if<llm::PromptDone>(&event.what)) return begin(event.request, *prompt);
        if (auto* token = std::get_if<llm::TokenEvent>(&event.what)) return go_on(event.request, *token);
        if (auto* finished = std::get_if<llm::Finished>(&event.what)) return end(event.request, *finished);
        return true;
      });
      if (!status) {
        (void)events.send_error(status.error());
        return;
      }
      if (shape->include_usage) {
        Json last = shape->frame(true, Json::array());
        last["usage"] = usage.json();
        if (!events.send(last)) return;
      }
      (void)events.done();
    };
    return reply;
  }

  std::vector<Choice> choices(count);
  UsageSum usage = no_usage;
  const bool keep_tokens = shape->logprobs || body.best_of > body.n;
  auto status = follow(model, **ticket, count, call.peer, [&](llm::Event& event) {
    Choice& choice = choices[event.request];
    if (auto* prompt = std::get_if<llm::PromptDone>(&event.what)) choice.prompt = std::move(*prompt);
    if (auto* token = std::get_if<llm::TokenEvent>(&event.what)) {
      choice.text += token->text;
      if (keep_tokens) choice.tokens.push_back(std::move(*token));
    }
    if (auto* finished = std::get_if<llm::Finished>(&event.what)) {
      choice.text += finished->text;
      choice.reason = finished->reason;
      usage.add(event.request, finished->usage);
    }
    return true;
  });
  if (!status) return std::unexpected(std::move(status.error()));

  Json list = Json::array();
  for (std::size_t p = 0; p < prompts.size(); ++p) {
    const auto first = choices.begin() + static_cast<std::ptrdiff_t>(p * per_prompt);
    const std::string* echo = shape->echoes.empty() ? nullptr : &shape->echoes[p];
    if (body.best_of > body.n)
      std::stable_sort(first, first + body.best_of,
                       [](const Choice& a, const Choice& b) { return a.goodness() > b.goodness(); });
    for (int i = 0; i < body.n; ++i) list.push_back(shape->whole(list.size(), first[i], echo));
  }
  Json json = shape->frame(false, std::move(list));
  json["usage"] = usage.json();
  return HttpReply{.body = dumped(json) + "\n"};
}

ApiResult<HttpReply> Api::completions(const Call& call) {
  auto body = read_completion(call.request.body);
  if (!body) return std::unexpected(std::move(body.error()));
  const auto model = model_of(body->generation.model);
  if (!model) return std::unexpected(model.error());
  const auto shape = std::make_shared<Shape>();
  shape->id = new_id("cmpl");
  shape->model = body->generation.model.empty() ? (*model)->id : body->generation.model;
  shape->created = std::time(nullptr);
  shape->tokenizer = &(*model)->engine->tokenizer();
  shape->logprobs = body->generation.top_logprobs >= 0;
  shape->include_usage = body->generation.include_usage;
  shape->choices = body->generation.n;
  std::vector<std::vector<llm::Token>> prompts;
  for (const Prompt& prompt : body->prompts) {
    const std::string field =
        body->prompts.size() == 1 ? "prompt" : fmt::format("prompt[{}]", prompts.size());
    auto tokens = prompt_tokens(**model, prompt, true, field);
    if (!tokens) return std::unexpected(std::move(tokens.error()));
    if (body->echo) {
      const auto* text = std::get_if<std::string>(&prompt);
      shape->echoes.push_back(text != nullptr ? *text : shape->tokenizer->decode(*tokens));
    }
    prompts.push_back(std::move(*tokens));
  }
  return generate(call, **model, body->generation, std::move(prompts), shape);
}

ApiResult<HttpReply> Api::chat(const Call& call) {
  auto body = read_chat(call.request.body);
  if (!body) return std::unexpected(std::move(body.error()));
  const auto model = model_of(body->generation.model);
  if (!model) return std::unexpected(model.error());
  const llm::Engine& engine = *(*model)->engine;
  auto tokens = engine.encode_chat(body->messages);
  if (!tokens) return refuse("messages", fmt::format("'messages': {}", tokens.error().to_string()));
  auto checked = prompt_tokens(**model, std::move(*tokens), true, "messages");
  if (!checked) return std::unexpected(std::move(checked.error()));
  const auto shape = std::make_shared<Shape>();
  shape->is_chat = true;
  shape->id = new_id("chatcmpl");
  shape->model = body->generation.model.empty() ? (*model)->id : body->generation.model;
  shape->created = std::time(nullptr);
  shape->tokenizer = &engine.tokenizer();
  shape->logprobs = body->generation.top_logprobs >= 0;
  shape->include_usage = body->generation.include_usage;
  shape->choices = body->generation.n;
  std::vector<std::vector<llm::Token>> prompts;
  prompts.push_back(std::move(*checked));
  return generate(call, **model, body->generation, std::move(prompts), shape);
}

}  // namespace agon::serving
