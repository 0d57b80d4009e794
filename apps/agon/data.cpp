// agon data check: what is in a file of votes, and what is wrong with it.

#include <CLI/CLI.hpp>
#include <memory>
#include <string>
#include <vector>

#include "agon/base/file.h"
#include "agon/base/progress.h"
#include "agon/data/check.h"
#include "agon/data/vote_reader.h"
#include "agon/report/data_check_text.h"
#include "agon/report/terminal.h"
#include "common.h"
#include "verbs.h"

namespace agon {
namespace {

struct DataCheckOptions {
  std::vector<std::string> files, against;
  std::string json;
  ReadOptions read{.need_labels = false};
};

DataCheckTextOptions text_options() {
  const TerminalInfo info = terminal_info(1);
  DataCheckTextOptions options;
  options.colour = info.colour;
  if (info.width > 0) options.width = info.width;
  return options;
}

Status run_check(const DataCheckOptions& options) {
  const Progress progress = terminal_progress();
  AGON_ASSIGN(const auto files, vote_files(options.files));
  AGON_ASSIGN(const auto against_files, vote_files(options.against));
  AGON_ASSIGN(const VoteSet set, read_votes(files, options.read, progress));
  VoteSet against;
  if (!against_files.empty()) {
    AGON_ASSIGN(against, read_votes(against_files, options.read, progress));
  }
  const DataReport report = check_votes(set, against_files.empty() ? nullptr : &against, {}, progress);
  finish_progress();
  if (!options.json.empty()) AGON_TRY(write_file(options.json, to_json(report)));
  if (options.json == "-") return {};  // the JSON is the output then
  return print(data_check_text(report, text_options()));
}

}  // namespace

void add_data_command(CLI::App& app, int& exit_code) {
  CLI::App* data = app.add_subcommand("data", "Look into files of votes");
  data->require_subcommand(1);
  CLI::App* check =
      data->add_subcommand("check", "Say what is in a file of votes, and what is wrong with it");
  const auto options = std::make_shared<DataCheckOptions>();
  check->add_option("files", options->files, "Votes as CSV or JSON Lines, plain, .gz or .zst")
      ->required()
      ->type_name("FILE...");
  check
      ->add_option("--against", options->against,
                   "Look for prompts and votes that TEST shares with the files")
      ->type_name("TEST");
  check
      ->add_option("--json", options->json,
                   "Write the report as JSON to OUT too ('-': only that, to standard output)")
      ->type_name("OUT");
  check->add_flag("--skip-bad", options->read.skip_bad, "Pass over bad rows, count and list them");
  check->add_flag("--plain-text", options->read.plain_text,
                  "Cells are plain text of one turn, not JSON lists");
  check->callback([options, &exit_code] { report_status(run_check(*options), exit_code); });
}

}  // namespace agon
