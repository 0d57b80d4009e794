// agon score: exact log-probabilities of given continuations, and perplexity of a text.
#include <fmt/format.h>

#include <CLI/CLI.hpp>
#include <memory>
#include <nlohmann/json.hpp>

#include "agon/base/file.h"
#include "agon/base/progress.h"
#include "agon/llm/access/embedded_model.h"
#include "agon/llm/access/items.h"
#include "agon/llm/engine/scoring.h"
#include "agon/report/number.h"
#include "common.h"
#include "llm_options.h"
#include "remote_options.h"
#include "verbs.h"

namespace agon {
namespace {

struct ScoreCommand {
  LlmOptions llm;
  RemoteCommandOptions remote;
  std::string items, output = "-", text;
  int window = 0;
  bool truncate = false, json = false;
};

// Scores of all items, written as a whole.
Result<llm::ItemCounts> score_file(llm::LanguageModel& model, const ScoreCommand& c,
                                   const Progress& progress) {
  AGON_ASSIGN(const auto reader, llm::ItemReader::open(c.items));
  AGON_ASSIGN(const auto out, AtomicFile::create(c.output));
  AGON_ASSIGN(const llm::ItemCounts counts,
              llm::score_items(
                  model, *reader, {.truncate = c.truncate},
                  [&](std::string_view lines) { return out->write(lines); }, progress));
  AGON_TRY(out->commit());
  finish_progress();
  if (!c.llm.quiet && c.output != "-")
    fmt::print(stderr, "{} items, {} continuations, {} tokens scored: {}\n", format_count(counts.items),
               format_count(counts.continuations), format_count(counts.tokens), c.output);
  return counts;
}

Status measure_text(llm::Engine& engine, const ScoreCommand& c, const Progress& progress) {
  AGON_ASSIGN(const std::string text, read_file(c.text, std::uint64_t{1} << 30));
  const auto part = [&](std::size_t done, std::size_t total) {
    if (progress) progress("perplexity", done, total);
  };
  auto result = llm::perplexity(engine, text, c.window, part);
  if (!result) {
    if (result.error().file.empty()) result.error().file = c.text;
    return std::unexpected(std::move(result.error()));
  }
  finish_progress();
  const llm::Perplexity& p = *result;
  std::string out;
  if (c.json) {
    out = nlohmann::ordered_json{{"tokens", p.tokens},
                                 {"loss", p.mean_loss},
                                 {"standard_error", p.standard_error},
                                 {"perplexity", p.perplexity},
                                 {"bits_per_byte", p.bits_per_byte}}
              .dump() +
          "\n";
  } else {
    out = fmt::format(
        "tokens         {}\nloss           {} ± {} nats a token (one standard error)\nperplexity     "
        "{}\nbits per "
        "byte  {}\n",
        format_count(p.tokens), format_fixed(p.mean_loss, 4), format_fixed(p.standard_error, 4),
        format_fixed(p.perplexity, 3), format_fixed(p.bits_per_byte, 4));
  }
  return c.output == "-" ? print(out) : write_file(c.output, out);
}

Status run(const ScoreCommand& c) {
  if (c.items.empty() == c.text.empty())
    return wrong_call(c.text.empty() ? "nothing to score" : "items and --perplexity are given",
                      "a file of items, or --perplexity FILE");
  if (c.text.empty() && (c.window > 0 || c.json))
    return wrong_call("--window and --json belong to --perplexity");
  AGON_TRY(check_outputs({c.output}));
  const Progress progress = c.llm.quiet ? Progress{} : terminal_progress();
  if (llm::is_url(c.llm.model)) {
    AGON_ASSIGN(const auto model, open_remote(c.remote, c.llm.model, c.output));
    AGON_TRY(score_file(*model, c, progress));
    return finish_remote(*model, c.remote, c.llm.quiet);
  }
  AGON_ASSIGN(const auto engine, open_engine(c.llm));
  if (!c.text.empty()) return measure_text(*engine, c, progress);
  llm::EmbeddedModel model(*engine, c.llm.model);
  AGON_ASSIGN(const llm::ItemCounts counts, score_file(model, c, progress));
  if (counts.cut > 0 && !c.llm.quiet)
    fmt::print(stderr,
               "agon: {} texts were longer than the context of {} tokens and were cut at their front\n",
               format_count(counts.cut), engine->context());
  return {};
}

}  // namespace

void add_score_command(CLI::App& app, int& exit_code) {
  CLI::App* score = app.add_subcommand("score", "Exact log-probabilities of given continuations or a text");
  const auto c = std::make_shared<ScoreCommand>();
  score
      ->add_option(
          "items", c->items,
          "JSON Lines, plain, .gz or .zst, '-' for standard input: {\"id\", \"context\" or \"messages\", "
          "\"continuations\": [...]}")
      ->type_name("ITEMS");
  score->add_option("-o,--output", c->output, "Where the scores go, one line an item, as JSON")
      ->type_name("OUT")
      ->capture_default_str();
  score->add_flag("--truncate", c->truncate,
                  "Cut contexts that are too long at their front, in place of an error");
  score
      ->add_option("--perplexity", c->text,
                   "Measure how well the model predicts this text, in place of items")
      ->type_name("FILE");
  score
      ->add_option("--window", c->window,
                   "Tokens that --perplexity reads together; 0: the context, at most 2,048")
      ->type_name("N")
      ->check(CLI::Range(0, 1 << 27))
      ->capture_default_str();
  score->add_flag("--json", c->json, "Print the figures of --perplexity as JSON");
  add_llm_options(*score, c->llm);
  add_remote_options(*score, c->remote);
  add_quiet_option(*score, c->llm);
  score->callback([c, score, &exit_code] {
    Status status = check_remote_call(*score, c->llm.model,
                                      local_options({"--truncate", "--perplexity", "--window", "--json"}));
    report_status(status ? run(*c) : status, exit_code);
  });
}

}  // namespace agon
