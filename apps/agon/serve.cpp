// agon serve: models for many clients, over HTTP.
#include <fcntl.h>
#include <fmt/format.h>
#include <unistd.h>

#include <CLI/CLI.hpp>
#include <algorithm>
#include <cerrno>
#include <csignal>
#include <filesystem>
#include <memory>
#include <utility>

#include "agon/serving/api.h"
#include "agon/serving/http_server.h"
#include "agon/serving/models.h"
#include "common.h"
#include "llm_options.h"
#include "verbs.h"

namespace agon {
namespace {

struct ServeCommand {
  LlmOptions llm;
  std::vector<std::string> models, aliases;
  std::string host = "127.0.0.1", key_file;
  int port = 8080, slots = 16, queue = 256, max_context = 0, cache_tokens = 0, connections = 512;
  double max_body = 16, request_timeout = 30, stall_timeout = 30;  // MiB, seconds
};

int signal_pipe[2] = {-1, -1};
void tell_signal(int) { (void)!::write(signal_pipe[1], "", 1); }

/// From now on the first SIGINT or SIGTERM is told to wait_for_signal(); before that, and after, they end the
/// program at once.
Status catch_signals() {
  if (::pipe2(signal_pipe, O_CLOEXEC) != 0) return fail("no more files can be opened");
  struct sigaction action{};
  action.sa_handler = tell_signal;
  action.sa_flags = static_cast<int>(SA_RESETHAND);
  sigemptyset(&action.sa_mask);
  sigaction(SIGINT, &action, nullptr);
  sigaction(SIGTERM, &action, nullptr);
  return {};
}

void wait_for_signal() {
  char byte = 0;
  while (::read(signal_pipe[0], &byte, 1) < 0 && errno == EINTR) {
  }
  std::signal(SIGINT, SIG_DFL);
  std::signal(SIGTERM, SIG_DFL);
}

/// --alias NAME=MODEL
struct Alias {
  std::string name, of;
  bool done = false;
};

Result<std::vector<Alias>> read_aliases(const ServeCommand& c) {
  std::vector<Alias> aliases;
  for (const std::string& alias : c.aliases) {
    const std::size_t equals = alias.find('=');
    if (equals == 0 || equals == std::string::npos || equals + 1 == alias.size())
      return wrong_call(fmt::format("--alias {}", alias), "NAME=MODEL");
    aliases.push_back({.name = alias.substr(0, equals), .of = alias.substr(equals + 1)});
  }
  return aliases;
}

Status add_models(const ServeCommand& c, serving::Models& models) {
  const llm::ServiceOptions options{
      .slots = c.slots, .max_queue = c.queue, .cache_tokens = c.cache_tokens, .max_context = c.max_context};
  AGON_ASSIGN(std::vector<Alias> aliases, read_aliases(c));
  std::vector<std::string> ids;  // by c.models
  for (const std::string& path : c.models) {
    LlmOptions llm = c.llm;
    llm.model = path;
    AGON_ASSIGN(auto engine, open_engine(llm));
    if (c.max_context > engine->context())
      return wrong_call(
          fmt::format("--max-context {}: {} is meant for {} tokens", c.max_context, path, engine->context()));
    std::string id = std::filesystem::path(path).stem().string();
    // Of two files whose last parts are the same the second is known by its alias alone.
    if (models.find(id) != nullptr) {
      const auto alias =
          std::ranges::find_if(aliases, [&](const Alias& it) { return !it.done && it.of == path; });
      if (alias != aliases.end()) {
        id = alias->name;
        alias->done = true;
      }
    }
    AGON_TRY(models.add(id, std::move(engine), options));
    ids.push_back(std::move(id));
  }
  for (const Alias& alias : aliases) {
    if (alias.done) continue;
    const std::string* found = nullptr;
    for (std::size_t i = 0; i < ids.size(); ++i) {
      const std::filesystem::path path = c.models[i];
      // By its whole path first, and of those with the same name the first.
      if (path == alias.of) found = &ids[i];
      if (found == nullptr && (ids[i] == alias.of || path.filename() == alias.of)) found = &ids[i];
    }
    if (found == nullptr)
      return wrong_call(fmt::format("--alias {}={}: no -m gives '{}'", alias.name, alias.of, alias.of),
                        "NAME=MODEL");
    AGON_TRY(models.add_alias(alias.name, *found));
  }
  return {};
}

/// What this model can be asked, as a path and a body for curl.
std::pair<std::string_view, std::string> first_question(const serving::ServedModel& model) {
  if (!model.engine->config().causal || model.engine->config().head)
    return {"/v1/rerank",
            fmt::format(R"({{"model": "{}", "query": "Hello", "documents": ["Hi", "Bye"]}})", model.id)};
  if (model.engine->chat_template())
    return {
        "/v1/chat/completions",
        fmt::format(R"({{"model": "{}", "messages": [{{"role": "user", "content": "Hello"}}]}})", model.id)};
  return {"/v1/completions", fmt::format(R"({{"model": "{}", "prompt": "Once upon a time"}})", model.id)};
}

std::string how_to_call(const ServeCommand& c, const serving::Models& models,
                        const serving::HttpServer& server, bool key) {
  // An address that stands for all of the machine's is none to call.
  std::string url = "http://" + server.address();
  for (const auto& [all, one] : {std::pair{"//0.0.0.0:", "//127.0.0.1:"}, std::pair{"//[::]:", "//[::1]:"}})
    if (const std::size_t at = url.find(all); at != std::string::npos)
      url.replace(at, std::string_view(all).size(), one);
  const std::string& model = models.all().front()->id;
  const auto [path, body] = first_question(*models.all().front());
  std::string text;
  for (const auto& one : models.all()) {
    text += fmt::format("{}: context {}, {} slots", one->id, one->service->max_context(), c.slots);
    for (const auto& [alias, id] : models.aliases())
      if (id == one->id) text += fmt::format(", also called {}", alias);
    text += '\n';
  }
  text += fmt::format("Listening at http://{} ({})\n\n", server.address(),
                      server.is_loopback() ? "this machine only; --host 0.0.0.0 opens it to others"
                                           : "other machines can reach it");
  const std::string header = key ? " -H \"Authorization: Bearer $KEY\"" : "";
  text += fmt::format(
      "  a page to try it    {}/\n"
      "  from a shell        curl {}{}{} \\\n"
      "                        -d '{}'\n"
      "  from Python         openai.OpenAI(base_url=\"{}/v1\", api_key={})\n"
      "  lm-eval             --model local-completions --model_args model={},base_url={}/v1/completions\n\n",
      url, url, path, header, body, url, key ? "KEY" : "\"none\"", model, url);
  return text;
}

Status run(const ServeCommand& c) {
  serving::ApiOptions options;
  if (!c.key_file.empty()) {
    AGON_ASSIGN(options.keys, serving::ApiKeys::read(c.key_file));
  }
  const bool key = options.keys.required();
  serving::Models models;
  serving::Api api(models, std::move(options));
  const auto milliseconds = [](double seconds) {
    return std::chrono::milliseconds(static_cast<std::int64_t>(seconds * 1000));
  };
  serving::HttpOptions http{.host = c.host, .port = c.port, .max_connections = c.connections};
  http.limits.max_body = static_cast<std::uint64_t>(c.max_body * 1048576);
  http.limits.request = milliseconds(c.request_timeout);
  http.limits.stall = milliseconds(c.stall_timeout);
  // A port that is taken is said before models are opened, which may take long.
  AGON_ASSIGN(const auto server, serving::HttpServer::listen(http, api));
  AGON_TRY(add_models(c, models));
  api.set_reach(server->is_loopback(), [&server] { return server->connections(); });
  AGON_TRY(catch_signals());
  server->start();
  if (!c.llm.quiet) AGON_TRY(print(how_to_call(c, models, *server, key)));
  if (!server->is_loopback() && !key)
    fmt::print(stderr,
               "agon: warning: anybody who reaches {} can use this server (--api-key-file asks for keys)\n",
               server->address());

  wait_for_signal();
  if (!c.llm.quiet)
    fmt::print(stderr, "agon: stopping when what runs is finished; once more to stop at once\n");
  api.drain();
  models.drain();
  server->stop();
  return {};
}

}  // namespace

void add_serve_command(CLI::App& app, int& exit_code) {
  CLI::App* serve = app.add_subcommand("serve", "Serve language models over HTTP, as OpenAI's API");
  const auto c = std::make_shared<ServeCommand>();
  serve
      ->add_option("-m,--model", c->models,
                   "A GGUF file; repeatable. Its name without .gguf is the model's id")
      ->required()
      ->type_name("MODEL");
  serve->add_option("--alias", c->aliases, "Another name for a model; repeatable")->type_name("NAME=MODEL");
  serve->add_option("--host", c->host, "Address to listen at; 0.0.0.0 or :: for all of the machine's")
      ->type_name("ADDRESS")
      ->capture_default_str();
  serve->add_option("--port", c->port, "Port to listen at; 0: any that is free")
      ->type_name("N")
      ->check(CLI::Range(0, 65535))
      ->capture_default_str();
  serve->add_option("--api-key-file", c->key_file, "Keys that clients must show one of, one a line")
      ->type_name("FILE");
  serve->add_option("--slots", c->slots, "Sequences that are generated at once, of each model")
      ->type_name("N")
      ->check(CLI::Range(1, 1024))
      ->capture_default_str();
  serve->add_option("--queue", c->queue, "Requests that may wait for a slot; more are answered with 429")
      ->type_name("N")
      ->check(CLI::Range(1, 1 << 20))
      ->capture_default_str();
  serve
      ->add_option("--max-context", c->max_context,
                   "Longest prompt with its answer in tokens; 0: the model's")
      ->type_name("N")
      ->check(CLI::Range(0, 1 << 27))
      ->capture_default_str();
  serve
      ->add_option(
          "--cache-tokens", c->cache_tokens,
          "Tokens whose keys and values are kept, shared by all requests of a model; 0: four contexts, "
          "at least 16,384")
      ->type_name("N")
      ->check(CLI::Range(0, 1 << 27))
      ->capture_default_str();
  serve->add_option("--max-body", c->max_body, "Longest body of a request in MiB")
      ->type_name("MIB")
      ->check(CLI::Range(0.001, 1024.0))
      ->capture_default_str();
  serve->add_option("--max-connections", c->connections, "Connections that may be open at once")
      ->type_name("N")
      ->check(CLI::Range(1, 65536))
      ->capture_default_str();
  serve
      ->add_option("--request-timeout", c->request_timeout, "Seconds in which a request must have come whole")
      ->type_name("SECONDS")
      ->check(CLI::Range(0.1, 86400.0))
      ->capture_default_str();
  serve
      ->add_option("--stall-timeout", c->stall_timeout,
                   "Seconds after which a client that takes nothing of its answer is let go")
      ->type_name("SECONDS")
      ->check(CLI::Range(0.1, 86400.0))
      ->capture_default_str();
  add_engine_options(*serve, c->llm);
  add_quiet_option(*serve, c->llm);
  serve->callback([c, &exit_code] { report_status(run(*c), exit_code); });
}

}  // namespace agon
