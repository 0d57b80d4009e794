// The paths of the server and what they answer; docs/serve.md says it for users.
#pragma once

#include <atomic>
#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "agon/serving/api_error.h"
#include "agon/serving/api_keys.h"
#include "agon/serving/constraints.h"
#include "agon/serving/http_server.h"
#include "agon/serving/metrics.h"
#include "agon/serving/models.h"
#include "agon/serving/requests.h"
#include "agon/serving/work_gate.h"

namespace agon::serving {

struct ApiOptions {
  ApiKeys keys = {};
  /// Only programs on this machine reach the server: then pages of other names may not call it either, so
  /// that no web site gets at it through a browser by giving its own name this machine's address.
  bool loopback = true;
  std::function<int()> connections = {};  ///< For /metrics.
};

/// Answers all requests. The models must outlive it.
class Api : public HttpHandler {
 public:
  Api(const Models& models, ApiOptions options);

  [[nodiscard]] std::optional<HttpReply> check(const HttpHead& head, const std::string& remote) override;
  [[nodiscard]] HttpReply handle(const HttpRequest& request, HttpPeer& peer) override;
  [[nodiscard]] HttpReply refusal(int status, const std::string& message) override;

  /// What is only known when the address is bound; before the server starts.
  void set_reach(bool loopback, std::function<int()> connections);
  /// From now on requests for work are answered with 503.
  void drain() { draining_ = true; }

 private:
  /// What every answer of one request needs.
  struct Call {
    const HttpRequest& request;
    HttpPeer& peer;
    std::string client;      ///< Whose turn it is: the key's number, or the address.
    WorkGate::Place& place;  ///< Left when the request is handed in.
  };
  using Post = ApiResult<HttpReply> (Api::*)(const Call&);
  struct Route {
    std::string_view path;
    Post post = nullptr;  // or
    ApiResult<HttpReply> (Api::*get)(const HttpHead&) = nullptr;
    bool open = false;                // needs no key
    std::string_view parameter = {};  // the one that may stand in the address
  };
  static const std::vector<Route>& routes();
  static const Route* route_of(std::string_view path);

  // api.cpp
  ApiResult<HttpReply> page(const HttpHead& head);
  ApiResult<HttpReply> health(const HttpHead& head);
  ApiResult<HttpReply> metrics(const HttpHead& head);
  ApiResult<HttpReply> models(const HttpHead& head);
  ApiResult<HttpReply> tokenizer_info(const HttpHead& head);
  [[nodiscard]] ApiResult<void> check_origin(const HttpHead& head) const;
  [[nodiscard]] static ApiResult<void> check_query(const HttpHead& head, const Route& route);
  [[nodiscard]] ApiResult<const ServedModel*> model_of(const std::string& name) const;
  [[nodiscard]] HttpReply error_reply(const ApiError& error) const;
  [[nodiscard]] std::string new_id(std::string_view prefix);
  [[nodiscard]] std::uint64_t new_seed();

  // api_run.cpp
  /// Hands a submission in; what a refusal means for the client.
  [[nodiscard]] ApiResult<std::shared_ptr<llm::Ticket>> submit(const ServedModel& model, const Call& call,
                                                               std::vector<llm::ServiceRequest> requests,
                                                               const std::string& field);
  /// Takes events until all requests are finished, with the client watched meanwhile. `take` may say false to
  /// end everything. An error when a request failed, the client is gone or the server stops.
  [[nodiscard]] ApiResult<void> follow(const ServedModel& model, llm::Ticket& ticket, std::size_t requests,
                                       HttpPeer& peer, const std::function<bool(llm::Event&)>& take);

  // api_generate.cpp
  ApiResult<HttpReply> completions(const Call& call);
  ApiResult<HttpReply> chat(const Call& call);
  /// What the two make different.
  struct Shape;
  [[nodiscard]] ApiResult<HttpReply> generate(const Call& call, const ServedModel& model,
                                              const GenerationBody& body,
                                              std::vector<std::vector<llm::Token>> prompts,
                                              std::shared_ptr<Shape> shape);

  // api_texts.cpp
  ApiResult<HttpReply> embeddings(const Call& call);
  ApiResult<HttpReply> score(const Call& call);
  ApiResult<HttpReply> tokenize(const Call& call);
  ApiResult<HttpReply> detokenize(const Call& call);
  [[nodiscard]] ApiResult<std::vector<llm::Embedding>> run_embeddings(
      const Call& call, const ServedModel& model, std::vector<llm::ServiceRequest> requests,
      const std::string& field, llm::Usage& usage);
  [[nodiscard]] ApiResult<std::vector<llm::Score>> run_scores(const Call& call, const ServedModel& model,
                                                              std::vector<llm::ServiceRequest> requests,
                                                              const std::string& field, llm::Usage& usage);

  // api_rerank.cpp
  ApiResult<HttpReply> rerank(const Call& call);
  struct Relevance;
  /// By the outputs of the model's classification head.
  [[nodiscard]] ApiResult<std::vector<Relevance>> relevance_by_head(const Call& call,
                                                                    const ServedModel& model,
                                                                    const RerankBody& body,
                                                                    llm::Usage& usage);
  /// By how probable a document makes the query.
  [[nodiscard]] ApiResult<std::vector<Relevance>> relevance_by_query(const Call& call,
                                                                     const ServedModel& model,
                                                                     const RerankBody& body,
                                                                     llm::Usage& usage);

  const Models& models_;
  ApiOptions options_;
  Metrics metrics_;
  WorkGate gate_;
  Constraints constraints_;
  std::atomic<bool> draining_{false};
  std::uint64_t random_base_;
  std::atomic<std::uint64_t> draws_{0};
};

/// An error that says by how much when a text of `tokens` tokens is longer than the model's context here.
[[nodiscard]] ApiResult<void> check_room(const ServedModel& model, std::size_t tokens,
                                         const std::string& field);

/// Tokens of a prompt: as given, or encoded with the specials that the file asks for and those that stand in
/// the text. An error for tokens that the model does not have, and for no token at all.
[[nodiscard]] ApiResult<std::vector<llm::Token>> prompt_tokens(const ServedModel& model, const Prompt& prompt,
                                                               bool parse_special, const std::string& field);

}  // namespace agon::serving
