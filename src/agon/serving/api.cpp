#include "agon/serving/api.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <map>
#include <nlohmann/json.hpp>
#include <random>
#include <thread>

#include "agon/base/random.h"
#include "agon/serving/api_replies.h"
#include "agon/serving/page.h"

namespace agon::serving {
namespace {

constexpr std::string_view kModels = "/v1/models";

std::unexpected<ApiError> failed(int status, std::string type, std::string message, std::string code = {}) {
  ApiError error;
  error.status = status;
  error.type = std::move(type);
  error.message = std::move(message);
  error.code = std::move(code);
  return std::unexpected(std::move(error));
}

/// A bug, or no memory: one request's harm, not that of all others who are being answered.
std::unexpected<ApiError> failed_inside(const std::exception& e) {
  return failed(500, "server_error", fmt::format("this failed inside: {}", e.what()));
}

/// The host of "host:port" or "[v6]:port".
std::string_view host_of(std::string_view authority) {
  if (authority.starts_with('['))
    return authority.substr(0, std::min(authority.find(']') + 1, authority.size()));
  return authority.substr(0, std::min(authority.find(':'), authority.size()));
}

bool is_loopback_name(std::string_view host) {
  return host == "localhost" || host == "[::1]" || host.starts_with("127.") || host.ends_with(".localhost");
}

Json model_json(const ServedModel& model, const std::string& id) {
  Json json{{"id", id},
            {"object", "model"},
            {"created", model.created},
            {"owned_by", "agon"},
            {"max_model_len", model.service->max_context()}};
  if (id != model.id) json["root"] = model.id;
  return json;
}

/// "a=1&b=2" as names and values, each as it was sent.
std::vector<std::pair<std::string_view, std::string_view>> query_parts(std::string_view query) {
  std::vector<std::pair<std::string_view, std::string_view>> parts;
  while (!query.empty()) {
    const std::string_view part = query.substr(0, query.find('&'));
    query.remove_prefix(std::min(part.size() + 1, query.size()));
    const std::size_t equals = std::min(part.find('='), part.size());
    if (!part.empty())
      parts.emplace_back(part.substr(0, equals), part.substr(std::min(equals + 1, part.size())));
  }
  return parts;
}

/// The value of one name, '+' and %XX resolved; empty when there is none.
std::string query_value(std::string_view query, std::string_view name) {
  for (const auto& [one, value] : query_parts(query)) {
    if (one != name) continue;
    std::string spaced(value);
    std::ranges::replace(spaced, '+', ' ');
    return percent_decoded(spaced).value_or(spaced);
  }
  return {};
}

}  // namespace

const std::vector<Api::Route>& Api::routes() {
  static const std::vector<Route> kRoutes = {
      {.path = "/", .get = &Api::page, .open = true},
      {.path = "/health", .get = &Api::health, .open = true},
      {.path = "/metrics", .get = &Api::metrics},
      {.path = kModels, .get = &Api::models},
      {.path = "/tokenizer_info", .get = &Api::tokenizer_info, .parameter = "model"},
      {.path = "/v1/chat/completions", .post = &Api::chat},
      {.path = "/v1/completions", .post = &Api::completions},
      {.path = "/v1/embeddings", .post = &Api::embeddings},
      {.path = "/v1/rerank", .post = &Api::rerank},
      {.path = "/v1/score", .post = &Api::score},
      {.path = "/tokenize", .post = &Api::tokenize},
      {.path = "/detokenize", .post = &Api::detokenize},
  };
  return kRoutes;
}

const Api::Route* Api::route_of(std::string_view path) {
  if (path.starts_with(kModels) && path.substr(kModels.size()).starts_with('/')) path = kModels;
  for (const Route& route : routes())
    if (route.path == path) return &route;
  return nullptr;
}

Api::Api(const Models& models, ApiOptions options)
    : models_(models),
      options_(std::move(options)),
      gate_(std::max(2, static_cast<int>(std::thread::hardware_concurrency()))) {
  std::random_device device;
  random_base_ = (static_cast<std::uint64_t>(device()) << 32) ^ device();
}

void Api::set_reach(bool loopback, std::function<int()> connections) {
  options_.loopback = loopback;
  options_.connections = std::move(connections);
}

std::uint64_t Api::new_seed() { return Random(random_base_, draws_++).next(); }

std::string Api::new_id(std::string_view prefix) {
  Random random(random_base_, draws_++);
  const std::uint64_t first = random.next();
  return fmt::format("{}-{:016x}{:016x}", prefix, first, random.next());
}

HttpReply Api::error_reply(const ApiError& error) const {
  HttpReply reply{.status = error.status, .body = error.json()};
  if (error.retry_after > 0)
    reply.headers.emplace_back("Retry-After",
                               fmt::format("{}", static_cast<std::int64_t>(std::ceil(error.retry_after))));
  if (error.status == 401) reply.headers.emplace_back("WWW-Authenticate", "Bearer");
  return reply;
}

HttpReply Api::refusal(int status, const std::string& message) {
  ApiError error;
  error.status = status;
  error.message = message;
  if (status == 503) {
    error.type = "server_error";
    error.retry_after = 1;
  }
  metrics_.answered("other", status);
  return error_reply(error);
}

ApiResult<void> Api::check_origin(const HttpHead& head) const {
  const std::string_view origin = head.header("origin");
  if (origin.empty()) return {};
  // A browser says which page a request comes from. Pages of other places have no business here.
  const std::string_view host = head.header("host");
  const std::size_t scheme = origin.find("://");
  const std::string_view from = scheme == std::string_view::npos ? origin : origin.substr(scheme + 3);
  if (from != host || (options_.loopback && !is_loopback_name(host_of(host))))
    return failed(403, "invalid_request_error", "pages of other origins may not call this server",
                  "origin_not_allowed");
  return {};
}

// The page may be reached with anything behind its name, as links are shared; elsewhere a parameter that does
// nothing would be a wish that nobody hears.
ApiResult<void> Api::check_query(const HttpHead& head, const Route& route) {
  if (route.open) return {};
  for (const auto& [name, value] : query_parts(head.query)) {
    if (name == route.parameter) continue;
    const std::string shown(name.substr(0, 100));
    return refuse(shown,
                  fmt::format("'{}': the address has no such parameter (fields stand in the body)", shown));
  }
  return {};
}

std::optional<HttpReply> Api::check(const HttpHead& head, const std::string&) {
  const auto done = [&](std::string_view path, const ApiError& error) {
    metrics_.answered(path, error.status);
    return error_reply(error);
  };
  const Route* route = route_of(head.path);
  if (route == nullptr) {
    ApiError error;
    error.status = 404;
    error.code = "unknown_path";
    error.message = fmt::format("there is nothing at '{}'", head.path.substr(0, 200));
    return done("other", error);
  }
  if (auto origin = check_origin(head); !origin) return done(route->path, origin.error());
  const bool is_get = head.method == "GET" || head.method == "HEAD";
  if (route->get != nullptr ? !is_get : head.method != "POST") {
    ApiError error;
    error.status = 405;
    error.code = "method_not_allowed";
    const std::string_view allowed = route->get != nullptr ? "GET, HEAD" : "POST";
    error.message = fmt::format("{} takes {}, not {}", route->path, allowed, head.method);
    HttpReply reply = done(route->path, error);
    reply.headers.emplace_back("Allow", allowed);
    return reply;
  }
  if (!route->open && options_.keys.required() && options_.keys.find(head.header("authorization")) == 0) {
    ApiError error;
    error.status = 401;
    error.type = "authentication_error";
    error.code = "invalid_api_key";
    error.message = head.header("authorization").empty()
                        ? "an API key is needed (expected a header: Authorization: Bearer KEY)"
                        : "this API key is not valid here";
    return done(route->path, error);
  }
  if (auto query = check_query(head, *route); !query) return done(route->path, query.error());
  if (route->get != nullptr) {
    auto reply = (this->*route->get)(head);
    if (!reply) return done(route->path, reply.error());
    metrics_.answered(route->path, reply->status);
    return std::move(*reply);
  }
  if (draining_) {
    ApiError error;
    error.status = 503;
    error.type = "server_error";
    error.message = "the server is about to stop";
    error.retry_after = 1;
    return done(route->path, error);
  }
  return {};
}

HttpReply Api::handle(const HttpRequest& request, HttpPeer& peer) {
  const Route* route = route_of(request.head.path);
  const std::size_t key =
      options_.keys.required() ? options_.keys.find(request.head.header("authorization")) : 0;
  WorkGate::Place place(gate_);
  const Call call{request, peer, key > 0 ? fmt::format("key {}", key) : request.remote, place};
  const auto answer = [&]() -> ApiResult<HttpReply> {
    try {
      return (this->*route->post)(call);
    } catch (const std::exception& e) {
      return failed_inside(e);
    }
  };
  auto reply = answer();
  metrics_.answered(route->path, reply ? reply->status : reply.error().status);
  if (!reply) return error_reply(reply.error());
  if (reply->stream) {
    reply->stream = [stream = std::move(reply->stream)](HttpSink& sink) {
      try {
        stream(sink);
      } catch (const std::exception& e) {
        (void)Events(sink).send_error(failed_inside(e).error());
      }
    };
  }
  return std::move(*reply);
}

ApiResult<const ServedModel*> Api::model_of(const std::string& name) const {
  if (name.empty()) {
    if (models_.all().size() == 1) return models_.all().front().get();
    return refuse("model", "'model': missing, and several are served (GET /v1/models lists them)");
  }
  if (const ServedModel* model = models_.find(name)) return model;
  ApiError error;
  error.status = 404;
  error.param = "model";
  error.code = "model_not_found";
  error.message = fmt::format("there is no model '{}' here (GET /v1/models lists them)", name.substr(0, 200));
  return std::unexpected(std::move(error));
}

ApiResult<HttpReply> Api::page(const HttpHead&) {
  return HttpReply{.type = "text/html; charset=utf-8",
                   .body = std::string(playground_page()),
                   .headers = {{"Content-Security-Policy",
                                "default-src 'none'; style-src 'unsafe-inline'; script-src 'unsafe-inline'; "
                                "connect-src 'self'; img-src data:; base-uri 'none'; form-action 'none'; "
                                "frame-ancestors 'none'"},
                               {"Referrer-Policy", "no-referrer"}}};
}

ApiResult<HttpReply> Api::health(const HttpHead&) {
  if (draining_) {
    HttpReply reply = json_reply({{"status", "stopping"}});
    reply.status = 503;
    return reply;
  }
  return json_reply({{"status", "ok"}});
}

ApiResult<HttpReply> Api::metrics(const HttpHead&) {
  std::map<std::string, llm::ServiceStats> services;
  for (const auto& model : models_.all()) services[model->id] = model->service->stats();
  return HttpReply{
      .type = "text/plain; version=0.0.4; charset=utf-8",
      .body = metrics_.text(options_.connections ? options_.connections() : 0) + service_metrics(services)};
}

ApiResult<HttpReply> Api::models(const HttpHead& head) {
  if (head.path.size() > kModels.size()) {
    const std::string name = head.path.substr(kModels.size() + 1);
    const auto model = model_of(name.empty() ? "/" : name);
    if (!model) return std::unexpected(model.error());
    return json_reply(model_json(**model, name));
  }
  Json list = Json::array();
  for (const auto& model : models_.all()) list.push_back(model_json(*model, model->id));
  for (const auto& [alias, id] : models_.aliases()) list.push_back(model_json(*models_.find(id), alias));
  return json_reply({{"object", "list"}, {"data", std::move(list)}});
}

ApiResult<HttpReply> Api::tokenizer_info(const HttpHead& head) {
  const auto model = model_of(query_value(head.query, "model"));
  if (!model) return std::unexpected(model.error());
  const llm::Tokenizer& tokenizer = (*model)->engine->tokenizer();
  const llm::SpecialTokens& special = tokenizer.special();
  const auto text = [&](llm::Token token) {
    return token == llm::kNoToken ? Json(nullptr) : Json(shown_bytes(tokenizer.piece(token, true)));
  };
  const auto jinja = (*model)->engine->file().metadata().string("tokenizer.chat_template");
  return json_reply({{"tokenizer_class", tokenizer.name()},
                     {"vocab_size", tokenizer.vocabulary()},
                     {"model_max_length", (*model)->service->max_context()},
                     {"add_bos_token", special.add_bos},
                     {"add_eos_token", special.add_eos},
                     {"bos_token", text(special.bos)},
                     {"eos_token", text(special.eos)},
                     {"pad_token", text(special.padding)},
                     {"unk_token", text(special.unknown)},
                     {"chat_template", jinja ? Json(*jinja) : Json(nullptr)}});
}

ApiResult<void> check_room(const ServedModel& model, std::size_t tokens, const std::string& field) {
  const auto limit = static_cast<std::size_t>(model.service->max_context());
  if (tokens <= limit) return {};
  ApiError error;
  error.param = field;
  error.code = "context_length_exceeded";
  error.message =
      fmt::format("'{}': {} tokens, {} more than the context of {}", field, tokens, tokens - limit, limit);
  return std::unexpected(std::move(error));
}

ApiResult<std::vector<llm::Token>> prompt_tokens(const ServedModel& model, const Prompt& prompt,
                                                 bool parse_special, const std::string& field) {
  const llm::Tokenizer& tokenizer = model.engine->tokenizer();
  std::vector<llm::Token> tokens;
  if (const auto* given = std::get_if<std::vector<llm::Token>>(&prompt)) {
    for (std::size_t i = 0; i < given->size(); ++i)
      if ((*given)[i] < 0 || (*given)[i] >= tokenizer.vocabulary())
        return refuse(field, fmt::format("'{}': token {} at place {} is none of the model's {}", field,
                                         (*given)[i], i, tokenizer.vocabulary()));
    tokens = *given;
  } else {
    tokens = tokenizer.encode(std::get<std::string>(prompt),
                              {.add_special = true, .parse_special = parse_special});
    // An empty text begins as any text does.
    if (tokens.empty() && tokenizer.special().bos != llm::kNoToken) tokens = {tokenizer.special().bos};
  }
  if (tokens.empty()) return refuse(field, fmt::format("'{}': no token at all", field));
  AGON_API_TRY(check_room(model, tokens.size(), field));
  return tokens;
}

}  // namespace agon::serving
