// Documents by relevance to a query: by a model that was made for it, or by any causal model.
#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <numeric>

#include "agon/llm/engine/relevance.h"
#include "agon/llm/engine/reward.h"
#include "agon/llm/engine/scoring.h"
#include "agon/serving/api.h"
#include "agon/serving/api_replies.h"

namespace agon::serving {

/// Of one document.
struct Api::Relevance {
  double rank = 0;  // by which documents are sorted
  Json json;        // its numbers
};

ApiResult<std::vector<Api::Relevance>> Api::relevance_by_head(const Call& call, const ServedModel& model,
                                                              const RerankBody& body, llm::Usage& usage) {
  std::vector<llm::ServiceRequest> requests;
  for (const std::string& document : body.documents) {
    const std::string field = fmt::format("documents[{}]", requests.size());
    auto tokens = llm::rerank_tokens(*model.engine, body.query, document);
    if (!tokens) return std::unexpected(about(field, tokens.error()));
    AGON_API_TRY(check_room(model, tokens->size(), field));
    requests.emplace_back(llm::EmbedRequest{.tokens = std::move(*tokens), .pooling = llm::Pooling::kRank});
  }
  auto outputs = run_embeddings(call, model, std::move(requests), "documents", usage);
  if (!outputs) return std::unexpected(std::move(outputs.error()));
  const std::vector<std::string>& names = model.engine->config().head.names;
  std::vector<Relevance> result;
  for (const llm::Embedding& one : *outputs) {
    Relevance relevance{.rank = double{one.front()}, .json = {{"relevance_score", one.front()}}};
    if (one.size() > 1) {
      Json& labels = relevance.json["outputs"] = Json::array();
      for (std::size_t i = 0; i < one.size(); ++i) {
        Json output{{"score", one[i]}};
        if (i < names.size()) output["label"] = names[i];
        labels.push_back(std::move(output));
      }
    }
    result.push_back(std::move(relevance));
  }
  return result;
}

// Query likelihood (Ponte and Croft 1998; with language models, Sachan et al. 2022, arXiv 2204.07496): a
// document is the more relevant, the more probable it makes the query.
ApiResult<std::vector<Api::Relevance>> Api::relevance_by_query(const Call& call, const ServedModel& model,
                                                               const RerankBody& body, llm::Usage& usage) {
  std::vector<llm::ServiceRequest> requests;
  for (const std::string& document : body.documents) {
    const std::string field = fmt::format("documents[{}]", requests.size());
    auto request = llm::relevance_request(*model.engine, body.query, document, llm::TooLong::kKeep);
    if (!request) return std::unexpected(about(field, request.error()));
    AGON_API_TRY(check_room(model, request->tokens.size() - 1, field));
    requests.emplace_back(std::move(*request));
  }
  auto scores = run_scores(call, model, std::move(requests), "documents", usage);
  if (!scores) return std::unexpected(std::move(scores.error()));
  std::vector<Relevance> result;
  for (const llm::Score& score : *scores) {
    const double mean = llm::mean_logprob(score);
    result.push_back({.rank = mean, .json = {{"relevance_score", std::exp(mean)}, {"mean_logprob", mean}}});
  }
  return result;
}

ApiResult<HttpReply> Api::rerank(const Call& call) {
  auto body = read_rerank(call.request.body);
  if (!body) return std::unexpected(std::move(body.error()));
  const auto model = model_of(body->model);
  if (!model) return std::unexpected(model.error());
  llm::Usage usage;
  auto relevances = (*model)->engine->config().head ? relevance_by_head(call, **model, *body, usage)
                                                    : relevance_by_query(call, **model, *body, usage);
  if (!relevances) return std::unexpected(std::move(relevances.error()));
  std::vector<std::size_t> order(relevances->size());
  std::iota(order.begin(), order.end(), std::size_t{0});
  std::ranges::stable_sort(order, std::greater<>(), [&](std::size_t i) { return (*relevances)[i].rank; });
  if (body->top_n > 0 && body->top_n < order.size()) order.resize(body->top_n);
  Json results = Json::array();
  for (const std::size_t i : order) {
    Json one{{"index", i}};
    one.update((*relevances)[i].json);
    if (body->return_documents) one["document"] = {{"text", body->documents[i]}};
    results.push_back(std::move(one));
  }
  return json_reply({{"id", new_id("rerank")},
                     {"model", body->model.empty() ? (*model)->id : body->model},
                     {"results", std::move(results)},
                     {"usage", usage_json(usage)}});
}

}  // namespace agon::serving
