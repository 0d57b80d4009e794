#include "remote_options.h"

#include <fmt/format.h>

#include <CLI/CLI.hpp>
#include <algorithm>
#include <array>
#include <filesystem>

#include "agon/report/number.h"
#include "llm_options.h"

namespace agon {
namespace {

constexpr std::array kRemoteNames = {"--name",          "--any-name", "--key-env",     "--key-file",
                                     "--key-over-http", "--ca-file",  "--concurrency", "--timeout",
                                     "--max-tries",     "--journal",  "--ask-again",   "--max-tokens-total",
                                     "--max-cost",      "--price-in", "--price-out",   "--connect-timeout"};

}  // namespace

void add_remote_options(CLI::App& app, RemoteCommandOptions& o, const char* model_option) {
  llm::RemoteOptions& r = o.remote;
  if (model_option != nullptr)
    app.get_option(model_option)
        ->description("A GGUF file, or where a server's API begins: http://HOST:PORT/v1");
  const auto add = [&](const char* name, auto& value, const char* what, const char* type) {
    return app.add_option(name, value, what)->type_name(type)->group("Remote models");
  };
  const auto flag = [&](const char* name, bool& value, const char* what) {
    app.add_flag(name, value, what)->group("Remote models");
  };
  add("--name", r.name, "The model's name at the server; the only one there when not given", "MODEL");
  flag("--any-name", r.any_name, "Take answers of a model with another name");
  add("--key-env", r.key_env,
      "Environment variable that holds the key; AGON_API_KEY, if it is set, when not given", "NAME");
  add("--key-file", r.key_file, "File whose first line is the key", "FILE");
  flag("--key-over-http", r.key_over_http, "Send the key over plain http to other machines too");
  add("--ca-file", r.http.ca_file, "Certificates to trust, in place of SSL_CERT_FILE's or the system's",
      "FILE");
  add("--concurrency", r.http.max_concurrency, "Requests in flight at most; fewer when the server is busy",
      "N")
      ->check(CLI::Range(1, 1024))
      ->capture_default_str();
  add("--connect-timeout", r.http.connect_timeout, "Seconds until a connection stands", "SECONDS")
      ->check(CLI::Range(0.001, 86400.0))
      ->capture_default_str();
  add("--timeout", r.http.timeout, "Seconds for a request with its answer", "SECONDS")
      ->check(CLI::Range(0.001, 86400.0))
      ->capture_default_str();
  add("--max-tries", r.http.max_tries, "How often a request is sent before the run gives up", "N")
      ->check(CLI::Range(1, 1000))
      ->capture_default_str();
  add("--journal", r.journal,
      "Where finished items are kept for good; OUT.journal, until the run is done, when not given", "FILE");
  flag("--ask-again", r.ask_again,
       "Send requests again whose replies, in the journal, were of no use and paid for");
  add("--max-tokens-total", o.max_tokens_total, "Stop before input and output have more tokens than this",
      "N")
      ->check(CLI::Range(std::int64_t{1}, std::int64_t{1} << 50));
  add("--max-cost", o.max_cost, "Stop before the run costs more than this, by --price-in and --price-out",
      "X")
      ->check(CLI::Range(0.0, 1e12));
  add("--price-in", r.budget.price_in, "Price of a million tokens of input", "X")
      ->check(CLI::Range(0.0, 1e12));
  add("--price-out", r.budget.price_out, "Price of a million tokens of output", "X")
      ->check(CLI::Range(0.0, 1e12));
}

std::vector<std::string> local_options(std::vector<std::string> more) {
  more.insert(more.end(), {"--context", "--packed", "--threads", "--cache-type", "--precision", "--template",
                           "--rope-scaling", "--rope-factor", "--rope-original", "--rope-theta"});
  return more;
}

Status check_remote_call(const CLI::App& app, const std::string& model,
                         const std::vector<std::string>& local) {
  // Not every command has all of them.
  const auto given = [&](const std::string& name) {
    const CLI::Option* option = app.get_option_no_throw(name);
    return option != nullptr && option->count() > 0;
  };
  if (!llm::is_url(model)) {
    const auto found = std::ranges::find_if(kRemoteNames, given);
    if (found == kRemoteNames.end()) return {};
    return wrong_call(fmt::format("{} is for remote models, and {} is a file", *found, model),
                      "-m http://HOST:PORT/v1 or https://HOST/v1");
  }
  const auto found = std::ranges::find_if(local, given);
  if (found != local.end())
    return wrong_call(fmt::format("{} is for model files: a remote model cannot be told", *found),
                      "-m FILE.gguf, or no " + *found);
  if (given("--key-env") && given("--key-file"))
    return wrong_call("--key-env and --key-file are given", "one of them");
  if (given("--max-cost") && !given("--price-in") && !given("--price-out"))
    return wrong_call("--max-cost without a price", "--price-in and --price-out");
  return {};
}

std::string journal_beside(const std::string& output) {
  if (output.empty() || output == "-") return {};
  std::error_code none;
  const auto kind = std::filesystem::status(output, none).type();
  const bool is_file =
      kind == std::filesystem::file_type::not_found || kind == std::filesystem::file_type::regular;
  return is_file ? output + ".journal" : std::string();
}

Result<std::unique_ptr<llm::RemoteModel>> open_remote(const RemoteCommandOptions& o, const std::string& url,
                                                      const std::string& output, const char* places) {
  llm::RemoteOptions options = o.remote;
  options.url = url;
  options.budget.max_tokens = o.max_tokens_total;
  options.budget.max_cost = o.max_cost;
  if (options.journal.empty()) options.journal = journal_beside(output);
  if (options.journal.empty() && (o.max_tokens_total || o.max_cost))
    return wrong_call("a budget without a place to keep what it paid for", places);
  return llm::RemoteModel::open(options);
}

Status finish_remote(llm::RemoteModel& model, const RemoteCommandOptions& o, bool quiet) {
  llm::RemoteSession& session = model.session();
  if (o.remote.journal.empty()) AGON_TRY(session.journal().remove());
  if (quiet) return {};
  const llm::TokenUsage& spent = session.budget().spent();
  std::string money;
  if (o.remote.budget.price_in > 0 || o.remote.budget.price_out > 0)
    money = fmt::format(", {:.6g} in money", session.budget().cost());
  fmt::print(stderr, "{}: {} requests, {} tokens in and {} out{}\n", session.name(),
             format_count(session.sent()), format_count(static_cast<std::uint64_t>(spent.input)),
             format_count(static_cast<std::uint64_t>(spent.output)), money);
  return {};
}

}  // namespace agon
