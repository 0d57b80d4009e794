#include "agon/llm/remote/session.h"

#include <fmt/format.h>

#include <algorithm>
#include <optional>

#include "agon/base/hash.h"
#include "agon/report/number.h"

namespace agon::llm {
namespace {

// "gpt-4o" is answered by "gpt-4o-2024-08-06": the name with a date behind it.
bool same_model(std::string_view asked, std::string_view answered) {
  if (asked == answered) return true;
  if (!answered.starts_with(asked) || answered.size() < asked.size() + 5 || answered[asked.size()] != '-')
    return false;
  return answered.substr(asked.size() + 1).find_first_not_of("0123456789-") == std::string_view::npos;
}

Result<ApiKey> read_key(const RemoteOptions& options) {
  if (!options.key_file.empty()) return ApiKey::from_file(options.key_file);
  if (!options.key_env.empty()) return ApiKey::from_environment(options.key_env, false);
  return ApiKey::from_environment(kDefaultKeyVariable, true);
}

std::string in_reply(const Error& error) {
  std::string text = "in the reply, ";
  if (!error.column.empty()) text += fmt::format("'{}': ", error.column);
  text += error.message;
  if (!error.expected.empty()) text += fmt::format(" (expected {})", error.expected);
  return text;
}

}  // namespace

Result<std::unique_ptr<RemoteSession>> RemoteSession::open(const RemoteOptions& options) {
  std::unique_ptr<RemoteSession> session(new RemoteSession(options));
  AGON_ASSIGN(const BaseUrl url, parse_base_url(options.url));
  AGON_ASSIGN(ApiKey key, read_key(options));
  AGON_ASSIGN(session->client_, HttpClient::create(url, std::move(key), options.http, options.key_over_http));
  // Before there is a journal: a run that fails here leaves none.
  if (options.name.empty()) AGON_TRY(session->choose_name());
  if (options.journal.empty()) {
    session->journal_ = Journal::in_memory();
  } else {
    AGON_ASSIGN(session->journal_, Journal::open(options.journal));
    session->budget_.add(session->journal_->usage());
  }
  return session;
}

Result<std::vector<std::pair<std::string, std::string>>> RemoteSession::models() {
  const HttpRequest request{.path = "/models", .body = {}};
  AGON_ASSIGN(const HttpReply reply, client_->ask(request));
  if (reply.status < 200 || reply.status > 299) {
    if (reply.status == 404 || reply.status == 405) return std::vector<std::pair<std::string, std::string>>();
    return std::unexpected(client_->error_of(request.path, reply));
  }
  auto models = read_models_reply(reply.body);
  if (!models) return fail(fmt::format("{}{}: {}", url().text, request.path, in_reply(models.error())));
  return models;
}

Status RemoteSession::choose_name() {
  AGON_ASSIGN(const auto list, models());
  if (list.size() == 1) {
    options_.name = list.front().first;
    return {};
  }
  std::string names;
  for (const auto& [name, owner] : list) {
    names += (names.empty() ? "" : ", ") + shown(name, client_->key());
    if (names.size() > 300) {
      names += ", ...";
      break;
    }
  }
  return std::unexpected(
      Error{.message = list.empty() ? fmt::format("{} does not say which models it has", url().text)
                                    : fmt::format("{} has {} models: {}", url().text, list.size(), names),
            .expected = "--name MODEL",
            .kind = ErrorKind::kUsage});
}

Result<bool> RemoteSession::is_agon() {
  if (agon_ < 0) {
    AGON_ASSIGN(const auto list, models());
    agon_ = std::ranges::any_of(list, [](const auto& one) { return one.second == "agon"; }) ? 1 : 0;
  }
  return agon_ == 1;
}

std::string RemoteSession::key(std::string_view path, std::string_view request) const {
  return sha256_hex(fmt::format("agon remote 1\n{}\n{}\n{}\n{}", url().text, options_.name, path, request));
}

void RemoteSession::forget() {
  if (journal_->path().empty()) journal_ = Journal::in_memory();
}

Status RemoteSession::check_model(const ReplyHead& head) const {
  if (options_.any_name || head.model.empty() || same_model(options_.name, head.model)) return {};
  return std::unexpected(
      Error{.message = fmt::format("{} was asked for the model '{}' and answered with '{}'", url().text,
                                   options_.name, shown(head.model, client_->key())),
            .expected = "the same name, or --any-name where a server has its own name for a model"});
}

// Reads one reply and keeps its results; a text says why it is asked for again.
Result<std::string> RemoteSession::take(const RemoteCall& call, const HttpReply& reply, const Reader& reader,
                                        TokenUsage& usage) {
  const std::string& path = call.request.path;
  if (reply.status < 200 || reply.status > 299) {
    Error error = client_->error_of(path, reply);
    if (reply.status == 404 || reply.status == 405 || reply.status == 501)
      error.expected = fmt::format("a server with POST {} that has the model '{}'", path, options_.name);
    if (reply.status == 401 || reply.status == 403)
      error.expected =
          fmt::format("a key that is valid there, from --key-env, --key-file or {}", kDefaultKeyVariable);
    return std::unexpected(std::move(error));
  }
  if (is_cut_off(reply.body))
    return fmt::format("{}{}: the reply ends in the middle, after {} bytes", url().text, path,
                       reply.body.size());
  auto results = results_of(call, reply.body, reader);
  if (!results) {
    // Of a reply that is no JSON nothing can be read, and the next one may be whole.
    if (const auto head = read_reply_head(reply.body)) {
      usage = head->usage;
      AGON_TRY(journal_->refuse(refusal_key(call), reply.body, usage));
    }
    return std::unexpected(std::move(results.error()));
  }
  usage = results->head.usage;
  AGON_TRY(keep(call, std::move(*results), usage));
  return std::string();
}

Result<CallResults> RemoteSession::results_of(const RemoteCall& call, std::string_view body,
                                              const Reader& reader) const {
  auto results = reader(call, body);
  if (!results)
    return fail(fmt::format("{}{}: {}", url().text, call.request.path, in_reply(results.error())));
  AGON_TRY(check_model(results->head));
  return results;
}

Status RemoteSession::keep(const RemoteCall& call, CallResults results, const TokenUsage& usage) {
  std::vector<Journal::Item> items;
  for (std::size_t i = 0; i < call.keys.size(); ++i)
    items.push_back({call.keys[i], std::move(results.results[i]), i == 0 ? usage : TokenUsage()});
  return journal_->append(items);
}

Status RemoteSession::look_again(const RemoteCall& call, const Reader& reader) {
  if (options_.ask_again) return {};
  AGON_ASSIGN(const auto reply, journal_->refused(refusal_key(call)));
  if (!reply) return {};
  auto results = results_of(call, *reply, reader);
  if (results) return keep(call, std::move(*results), {});  // what it took counts where it stands as refused
  Error error = std::move(results.error());
  error.message = client_->key().redact(std::move(error.message));
  error.message +=
      "; this reply was paid for earlier, and the same request is not sent again (--ask-again sends it)";
  error.row = call.item + 1;
  return std::unexpected(how_to_go_on(std::move(error)));
}

// Says what is kept, and that the same command goes on from there, with a `change` (" with ...") to it if
// need be.
Error RemoteSession::how_to_go_on(Error error, std::string_view change) const {
  if (journal_->path().empty()) return error;
  error.message +=
      fmt::format("; finished items ({}) are kept in {}, and the same command{} goes on from there",
                  format_count(journal_->size()), journal_->path(), change);
  return error;
}

Status RemoteSession::run(std::span<const RemoteCall> calls, const Reader& reader, std::string_view stage,
                          const Progress& progress) {
  budget_.settle();
  for (const RemoteCall& call : calls) AGON_TRY(look_again(call, reader));
  std::size_t done = 0, next = 0;
  std::vector<std::size_t> sent;  // calls by the client's numbers
  const auto estimate = [](const RemoteCall& call) {
    return Budget::Estimate{call.request.body.size(), call.output_tokens};
  };
  const auto is_kept = [&](const RemoteCall& call) {
    return std::ranges::all_of(call.keys, [&](const std::string& key) { return journal_->contains(key); });
  };
  const auto report = [&] {
    if (progress) progress(stage, done, calls.size());
  };
  bool held_back = false;
  const HttpClient::Source source = [&]() -> std::optional<HttpRequest> {
    for (; next < calls.size() && is_kept(calls[next]); ++next) ++done;
    report();
    held_back = next < calls.size() && !budget_.allows(estimate(calls[next]));
    if (next >= calls.size() || held_back) return std::nullopt;
    budget_.begin(estimate(calls[next]));
    sent.push_back(next);
    return calls[next++].request;
  };
  const HttpClient::Handler handler = [&](std::size_t id, HttpReply& reply) -> Result<std::string> {
    const RemoteCall& call = calls[sent[id]];
    TokenUsage usage;
    auto again = take(call, reply, reader, usage);
    if (!again) {
      budget_.end(estimate(call), usage);  // refused, and paid for all the same
      return again;
    }
    if (!again->empty()) {
      budget_.lose(estimate(call));
      return again;
    }
    budget_.end(estimate(call), usage);
    ++done;
    report();
    if (budget_.is_limited() && !usage.given)
      return fail(fmt::format("{}{}: the reply has no 'usage', without which a budget cannot be kept",
                              url().text, call.request.path));
    return again;
  };
  for (;;) {
    const std::size_t first_sent = sent.size();
    if (auto status = client_->run(
            source, [&](std::size_t id, HttpReply& reply) { return handler(first_sent + id, reply); });
        !status) {
      Error error = std::move(status.error().error);
      if (error.row == 0 && error.file.empty())
        error.row = calls[sent[first_sent + status.error().id]].item + 1;
      return std::unexpected(how_to_go_on(std::move(error)));
    }
    if (next >= calls.size()) return {};
    // Nothing is in flight now, so that what is left of the budget is known.
    if (held_back && !budget_.allows(estimate(calls[next]))) {
      Error error{.message = "stopped before the budget is exceeded: " + budget_.text()};
      const std::string change = " with a higher " + budget_.bound(estimate(calls[next]));
      return std::unexpected(how_to_go_on(std::move(error), change));
    }
  }
}

}  // namespace agon::llm
