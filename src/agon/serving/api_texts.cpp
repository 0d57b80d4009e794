// What is asked about given texts: embeddings, log-probabilities, tokens.
#include <fmt/format.h>
#include <openssl/evp.h>

#include <algorithm>
#include <bit>
#include <cmath>
#include <cstring>
#include <numeric>

#include "agon/llm/engine/generation.h"
#include "agon/llm/engine/scoring.h"
#include "agon/serving/api.h"
#include "agon/serving/api_replies.h"
#include "agon/serving/token_text.h"

namespace agon::serving {
namespace {

void add(llm::Usage& sum, const llm::Usage& more) {
  sum.prompt_tokens += more.prompt_tokens;
  sum.cached_tokens += more.cached_tokens;
}

void to_unit_length(llm::Embedding& embedding) {
  const double square = std::accumulate(embedding.begin(), embedding.end(), 0.0,
                                        [](double sum, float x) { return sum + double{x} * double{x}; });
  if (square <= 0) return;
  const double factor = 1 / std::sqrt(square);
  for (float& x : embedding) x = static_cast<float>(x * factor);
}

// Little-endian floats, as OpenAI's clients unpack them.
std::string base64(const llm::Embedding& embedding) {
  static_assert(std::endian::native == std::endian::little);
  std::vector<unsigned char> bytes(embedding.size() * sizeof(float));
  std::memcpy(bytes.data(), embedding.data(), bytes.size());
  std::string out(4 * ((bytes.size() + 2) / 3) + 1, '\0');  // with the terminator that EVP_EncodeBlock writes
  const int length = EVP_EncodeBlock(reinterpret_cast<unsigned char*>(out.data()), bytes.data(),
                                     static_cast<int>(bytes.size()));
  out.resize(static_cast<std::size_t>(length));
  return out;
}

Json score_json(const llm::Score& score, const llm::Tokenizer& tokenizer) {
  Json tokens = Json::array();
  for (const llm::Token token : score.tokens)
    tokens.push_back({{"id", token}, {"piece", tokenizer.piece(token, true)}});
  return {{"logprob", score.logprob},
          {"token_logprobs", score.token_logprobs},
          {"tokens", std::move(tokens)},
          {"is_greedy", score.is_greedy}};
}

}  // namespace

ApiResult<std::vector<llm::Score>> Api::run_scores(const Call& call, const ServedModel& model,
                                                   std::vector<llm::ServiceRequest> requests,
                                                   const std::string& field, llm::Usage& usage) {
  std::vector<llm::Score> scores(requests.size());
  auto ticket = submit(model, call, std::move(requests), field);
  if (!ticket) return std::unexpected(std::move(ticket.error()));
  auto status = follow(model, **ticket, scores.size(), call.peer, [&](llm::Event& event) {
    if (auto* score = std::get_if<llm::Score>(&event.what)) scores[event.request] = std::move(*score);
    if (const auto* end = std::get_if<llm::Finished>(&event.what)) add(usage, end->usage);
    return true;
  });
  if (!status) return std::unexpected(std::move(status.error()));
  return scores;
}

ApiResult<std::vector<llm::Embedding>> Api::run_embeddings(const Call& call, const ServedModel& model,
                                                           std::vector<llm::ServiceRequest> requests,
                                                           const std::string& field, llm::Usage& usage) {
  std::vector<llm::Embedding> embeddings(requests.size());
  auto ticket = submit(model, call, std::move(requests), field);
  if (!ticket) return std::unexpected(std::move(ticket.error()));
  auto status = follow(model, **ticket, embeddings.size(), call.peer, [&](llm::Event& event) {
    if (auto* one = std::get_if<llm::Embedding>(&event.what)) embeddings[event.request] = std::move(*one);
    if (const auto* end = std::get_if<llm::Finished>(&event.what)) add(usage, end->usage);
    return true;
  });
  if (!status) return std::unexpected(std::move(status.error()));
  return embeddings;
}

ApiResult<HttpReply> Api::embeddings(const Call& call) {
  auto body = read_embedding(call.request.body);
  if (!body) return std::unexpected(std::move(body.error()));
  const auto model = model_of(body->model);
  if (!model) return std::unexpected(model.error());
  std::vector<llm::ServiceRequest> requests;
  for (const Prompt& input : body->inputs) {
    const std::string field = body->inputs.size() == 1 ? "input" : fmt::format("input[{}]", requests.size());
    auto tokens = prompt_tokens(**model, input, false, field);
    if (!tokens) return std::unexpected(std::move(tokens.error()));
    requests.emplace_back(
        llm::EmbedRequest{.tokens = std::move(*tokens),
                          .pooling = body->last_token ? llm::Pooling::kLast : llm::Pooling::kMean});
  }
  llm::Usage usage;
  auto embeddings = run_embeddings(call, **model, std::move(requests), "input", usage);
  if (!embeddings) return std::unexpected(std::move(embeddings.error()));
  Json data = Json::array();
  for (llm::Embedding& embedding : *embeddings) {
    if (body->normalize) to_unit_length(embedding);
    Json one{{"object", "embedding"}, {"index", data.size()}};
    one["embedding"] = body->base64 ? Json(base64(embedding)) : Json(embedding);
    data.push_back(std::move(one));
  }
  return json_reply({{"object", "list"},
                     {"data", std::move(data)},
                     {"model", body->model.empty() ? (*model)->id : body->model},
                     {"usage", usage_json(usage)}});
}

ApiResult<HttpReply> Api::score(const Call& call) {
  auto body = read_score(call.request.body);
  if (!body) return std::unexpected(std::move(body.error()));
  const auto model = model_of(body->model);
  if (!model) return std::unexpected(model.error());
  const llm::Engine& engine = *(*model)->engine;
  std::vector<llm::ServiceRequest> requests;
  for (std::size_t i = 0; i < body->items.size(); ++i) {
    const ScoreBody::Item& item = body->items[i];
    const std::string at = body->single ? "" : fmt::format("items[{}].", i);
    std::string prompt;
    if (!item.messages.empty()) {
      if (!engine.chat_template())
        return std::unexpected(about(at + "messages", engine.chat_template().error()));
      auto rendered = engine.chat_template()->render(item.messages, true);
      if (!rendered) return std::unexpected(about(at + "messages", rendered.error()));
      prompt = std::move(*rendered);
    }
    for (std::size_t k = 0; k < item.continuations.size(); ++k) {
      const std::string field = fmt::format("{}continuations[{}]", at, k);
      const auto keep = llm::TooLong::kKeep;
      auto request = item.messages.empty()
                         ? llm::make_request(engine, item.context, item.continuations[k], keep)
                         : llm::continue_prompt(engine, prompt, item.continuations[k], keep);
      if (!request) return std::unexpected(about(field, request.error()));
      AGON_API_TRY(check_room(**model, request->tokens.size() - 1, field));  // the last one is not read
      requests.emplace_back(std::move(*request));
    }
  }
  llm::Usage usage;
  auto scores = run_scores(call, **model, std::move(requests), body->single ? "context" : "items", usage);
  if (!scores) return std::unexpected(std::move(scores.error()));
  Json data = Json::array();
  std::size_t next = 0;
  for (const ScoreBody::Item& item : body->items) {
    Json continuations = Json::array();
    for (std::size_t k = 0; k < item.continuations.size(); ++k)
      continuations.push_back(score_json((*scores)[next++], engine.tokenizer()));
    data.push_back(
        {{"index", data.size()}, {"object", "score"}, {"continuations", std::move(continuations)}});
  }
  return json_reply({{"object", "list"},
                     {"data", std::move(data)},
                     {"model", body->model.empty() ? (*model)->id : body->model},
                     {"usage", usage_json(usage)}});
}

ApiResult<HttpReply> Api::tokenize(const Call& call) {
  auto body = read_tokenize(call.request.body);
  if (!body) return std::unexpected(std::move(body.error()));
  const auto model = model_of(body->model);
  if (!model) return std::unexpected(model.error());
  const llm::Engine& engine = *(*model)->engine;
  llm::EncodeOptions options{.add_special = body->add_special, .parse_special = body->parse_special};
  std::string text;
  if (body->prompt) {
    text = std::move(*body->prompt);
  } else {
    if (!engine.chat_template()) return std::unexpected(about("messages", engine.chat_template().error()));
    auto rendered = engine.chat_template()->render(body->messages, body->add_generation_prompt);
    if (!rendered) return std::unexpected(about("messages", rendered.error()));
    text = std::move(*rendered);
    options.parse_special = true;
  }
  const std::vector<llm::Token> tokens = engine.tokenizer().encode(text, options);
  Json json{
      {"count", tokens.size()}, {"max_model_len", (*model)->service->max_context()}, {"tokens", tokens}};
  json["token_strs"] = nullptr;
  if (body->pieces) {
    Json pieces = Json::array();
    for (const llm::Token token : tokens)
      pieces.push_back(shown_bytes(engine.tokenizer().piece(token, true)));
    json["token_strs"] = std::move(pieces);
  }
  return json_reply(json);
}

ApiResult<HttpReply> Api::detokenize(const Call& call) {
  auto body = read_detokenize(call.request.body);
  if (!body) return std::unexpected(std::move(body.error()));
  const auto model = model_of(body->model);
  if (!model) return std::unexpected(model.error());
  const llm::Tokenizer& tokenizer = (*model)->engine->tokenizer();
  for (std::size_t i = 0; i < body->tokens.size(); ++i)
    if (body->tokens[i] >= tokenizer.vocabulary())
      return refuse(fmt::format("tokens[{}]", i),
                    fmt::format("'tokens[{}]': {} is none of the model's {} tokens", i, body->tokens[i],
                                tokenizer.vocabulary()));
  return json_reply({{"prompt", tokenizer.decode(body->tokens, !body->skip_special)}});
}

}  // namespace agon::serving
