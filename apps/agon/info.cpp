// agon info: the card of a model, of ours or of a language model.
#include <CLI/CLI.hpp>
#include <fstream>
#include <memory>

#include "agon/llm/gguf/file.h"
#include "agon/llm/model/description.h"
#include "agon/report/table.h"
#include "agon/report/terminal.h"
#include "common.h"
#include "verbs.h"

namespace agon {
namespace {

struct InfoOptions {
  std::string model;
  int context = 0;
};

bool is_gguf(const std::string& path) {
  char start[4] = {};
  std::ifstream(path, std::ios::binary).read(start, sizeof start);
  return std::string_view(start, sizeof start) == "GGUF";
}

Table::TerminalOptions table_options() {
  return {.width = 0, .indent = 0, .colour = terminal_info(1).colour};
}

Status print_language_model(const InfoOptions& options) {
  AGON_ASSIGN(const gguf::File file, gguf::File::open(options.model));
  const llm::Description description = llm::describe(file, options.context);
  return print(llm::description_text(description, file_name(options.model), table_options()));
}

Status print_preference_model(const InfoOptions& options) {
  if (options.context != 0) {
    Error error;
    error.message = "--context is for language models, and this is none";
    error.file = options.model;
    error.kind = ErrorKind::kUsage;
    return std::unexpected(std::move(error));
  }
  AGON_ASSIGN(const PreferenceModel model, load_model(options.model));
  Table table({{"", Align::kLeft}, {options.model, Align::kLeft}});
  for (const auto& [key, value] : model.card()) table.add_row({key, value});
  table.add_row({"blend", blend_words(model.weights())});
  table.add_row({"columns", std::to_string(model.columns().size())});
  return print(table.terminal(table_options()));
}

Status run(const InfoOptions& options) {
  return is_gguf(options.model) ? print_language_model(options) : print_preference_model(options);
}

}  // namespace

void add_info_command(CLI::App& app, int& exit_code) {
  CLI::App* info = app.add_subcommand("info", "Print the card of a model");
  const auto options = std::make_shared<InfoOptions>();
  info->add_option("model", options->model,
                   "A file that `agon train` wrote, 'default', or a language model (GGUF)")
      ->required()
      ->type_name("MODEL");
  info->add_option("--context", options->context,
                   "Tokens to give a language model's memory for; its own context when not given")
      ->check(CLI::Range(1, 1 << 27))
      ->type_name("N");
  info->callback([options, &exit_code] { report_status(run(*options), exit_code); });
}

}  // namespace agon
