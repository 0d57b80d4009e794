// agon embed: hidden states of texts.
#include <fmt/format.h>

#include <CLI/CLI.hpp>
#include <memory>

#include "agon/base/file.h"
#include "agon/base/progress.h"
#include "agon/llm/access/embedded_model.h"
#include "agon/llm/access/items.h"
#include "agon/report/number.h"
#include "common.h"
#include "llm_options.h"
#include "remote_options.h"
#include "verbs.h"

namespace agon {
namespace {

struct EmbedCommand {
  LlmOptions llm;
  RemoteCommandOptions remote;
  std::string texts, output = "-", pooling = "mean";
  int layer = -1;
  bool truncate = false;
};

// Embeddings of all texts, written as a whole; `layer` is the one that is named in the output, -1 for none.
Result<llm::ItemCounts> embed_file(llm::LanguageModel& model, const EmbedCommand& c, int layer) {
  const llm::Pooling pooling = c.pooling == "last"   ? llm::Pooling::kLast
                               : c.pooling == "none" ? llm::Pooling::kNone
                               : c.pooling == "rank" ? llm::Pooling::kRank
                                                     : llm::Pooling::kMean;
  AGON_ASSIGN(const auto reader, llm::ItemReader::open(c.texts));
  AGON_ASSIGN(const auto out, AtomicFile::create(c.output));
  const Progress progress = c.llm.quiet ? Progress{} : terminal_progress();
  AGON_ASSIGN(const llm::ItemCounts counts,
              llm::embed_items(
                  model, *reader, {.layer = c.layer, .pooling = pooling}, layer, {.truncate = c.truncate},
                  [&](std::string_view lines) { return out->write(lines); }, progress));
  AGON_TRY(out->commit());
  finish_progress();
  if (!c.llm.quiet && c.output != "-")
    fmt::print(stderr, "{} texts, {} tokens: {}\n", format_count(counts.items), format_count(counts.tokens),
               c.output);
  return counts;
}

Status run(const EmbedCommand& c) {
  AGON_TRY(check_outputs({c.output}));
  if (llm::is_url(c.llm.model)) {
    AGON_ASSIGN(const auto model, open_remote(c.remote, c.llm.model, c.output));
    AGON_TRY(embed_file(*model, c, -1));
    return finish_remote(*model, c.remote, c.llm.quiet);
  }
  AGON_ASSIGN(const auto engine, open_engine(c.llm));
  const int layers = engine->config().layer_count();
  if (c.layer > layers)
    return wrong_call(
        fmt::format("--layer {}: this model has layers 0 (the embeddings) to {}", c.layer, layers));
  llm::EmbeddedModel model(*engine, c.llm.model);
  AGON_ASSIGN(const llm::ItemCounts counts, embed_file(model, c, c.layer < 0 ? layers : c.layer));
  if (counts.cut > 0 && !c.llm.quiet)
    fmt::print(stderr,
               "agon: {} texts were longer than the context of {} tokens and were cut at their front\n",
               format_count(counts.cut), engine->context());
  return {};
}

}  // namespace

void add_embed_command(CLI::App& app, int& exit_code) {
  CLI::App* embed = app.add_subcommand("embed", "Hidden states of texts by a language model");
  const auto c = std::make_shared<EmbedCommand>();
  embed
      ->add_option("texts", c->texts,
                   "JSON Lines, plain, .gz or .zst, '-' for standard input: {\"id\", \"text\"}, or "
                   "\"messages\" for \"text\"")
      ->required()
      ->type_name("TEXTS");
  embed->add_option("-o,--output", c->output, "Where the numbers go, one line a text, as JSON")
      ->type_name("OUT")
      ->capture_default_str();
  embed->add_option("--layer", c->layer, "States after so many layers: 0 the embeddings, -1 all layers")
      ->type_name("N")
      ->check(CLI::Range(-1, 65536))
      ->capture_default_str();
  embed
      ->add_option(
          "--pooling", c->pooling,
          "mean of the tokens, last token, or none: every token's; rank: the reward of a reward model")
      ->type_name("KIND")
      ->check(CLI::IsMember({"mean", "last", "none", "rank"}))
      ->capture_default_str();
  embed->add_flag("--truncate", c->truncate,
                  "Cut texts that are too long at their front, in place of an error");
  add_llm_options(*embed, c->llm);
  add_remote_options(*embed, c->remote);
  add_quiet_option(*embed, c->llm);
  embed->callback([c, embed, &exit_code] {
    Status status =
        check_remote_call(*embed, c->llm.model, local_options({"--layer", "--pooling", "--truncate"}));
    report_status(status ? run(*c) : status, exit_code);
  });
}

}  // namespace agon
