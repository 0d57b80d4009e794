// agon data check: what is in a file of votes, and what is wrong with it.
#include <fmt/format.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include <CLI/CLI.hpp>
#include <cstdio>
#include <cstdlib>
#include <memory>
#include <string>
#include <vector>

#include "agon/base/file.h"
#include "agon/base/progress.h"
#include "agon/data/check.h"
#include "agon/data/vote_reader.h"
#include "agon/report/data_check_text.h"
#include "verbs.h"

namespace agon {
namespace {

struct DataCheckOptions {
  std::vector<std::string> files, against;
  std::string json;
  ReadOptions read{.need_labels = false};
};

Result<std::vector<VoteFile>> vote_files(const std::vector<std::string>& arguments) {
  std::vector<VoteFile> files;
  for (const std::string& argument : arguments) {
    AGON_ASSIGN(VoteFile file, parse_vote_file(argument));
    files.push_back(std::move(file));
  }
  return files;
}

DataCheckTextOptions text_options() {
  DataCheckTextOptions options;
  if (isatty(STDOUT_FILENO) == 0) return options;
  const char* no_colour = std::getenv("NO_COLOR");  // https://no-color.org
  options.colour = no_colour == nullptr || *no_colour == '\0';
  winsize size{};
  if (ioctl(STDOUT_FILENO, TIOCGWINSZ, &size) == 0 && size.ws_col > 0) options.width = size.ws_col;
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
  const std::string text = data_check_text(report, text_options());
  if (std::fwrite(text.data(), 1, text.size(), stdout) != text.size() || std::fflush(stdout) != 0)
    return fail("cannot write to standard output");
  return {};
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
  check->callback([options, &exit_code] {
    const Status status = run_check(*options);
    if (status) return;
    finish_progress();
    fmt::print(stderr, "agon: {}\n", status.error().to_string());
    exit_code = status.error().exit_code();
  });
}

}  // namespace agon
