// agon info: the card of a model.
#include <CLI/CLI.hpp>
#include <memory>

#include "agon/report/table.h"
#include "agon/report/terminal.h"
#include "common.h"
#include "verbs.h"

namespace agon {
namespace {

Status run(const std::string& name) {
  AGON_ASSIGN(const PreferenceModel model, load_model(name));
  Table table({{"", Align::kLeft}, {name, Align::kLeft}});
  for (const auto& [key, value] : model.card()) table.add_row({key, value});
  table.add_row({"blend", blend_words(model.weights())});
  table.add_row({"columns", std::to_string(model.columns().size())});
  return print(table.terminal({.width = 0, .indent = 0, .colour = terminal_info(1).colour}));
}

}  // namespace

void add_info_command(CLI::App& app, int& exit_code) {
  CLI::App* info = app.add_subcommand("info", "Print the card of a model");
  const auto name = std::make_shared<std::string>();
  info->add_option("model", *name, "A file that `agon train` wrote, or 'default'")
      ->required()
      ->type_name("MODEL");
  info->callback([name, &exit_code] { report_status(run(*name), exit_code); });
}

}  // namespace agon
