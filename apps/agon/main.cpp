// The program: one verb a file, each parses its options, calls the library and prints.
#include <CLI/CLI.hpp>
#include <csignal>

#include "common.h"
#include "verbs.h"

int main(int argc, char** argv) {
  // A closed pipe is an error of the write that met it, with a message and an exit code.
  std::signal(SIGPIPE, SIG_IGN);
  agon::remember_command(argc, argv);
  CLI::App app("agon: evaluate language models by human preference", "agon");
  app.set_version_flag("--version", "agon " AGON_VERSION);
  app.require_subcommand(1);
  app.footer("Exit codes: 0 done, 1 the data or the run failed, 2 the command line is wrong.");
  int exit_code = 0;
  agon::add_train_command(app, exit_code);
  agon::add_predict_command(app, exit_code);
  agon::add_evaluate_command(app, exit_code);
  agon::add_rank_command(app, exit_code);
  agon::add_data_command(app, exit_code);
  agon::add_generate_command(app, exit_code);
  agon::add_chat_command(app, exit_code);
  agon::add_score_command(app, exit_code);
  agon::add_embed_command(app, exit_code);
  agon::add_serve_command(app, exit_code);
  agon::add_bench_model_command(app, exit_code);
  agon::add_info_command(app, exit_code);
  agon::add_model_command(app, exit_code);
  agon::add_tokenize_command(app, exit_code);
  agon::add_completion_command(app, exit_code);
  try {
    app.parse(argc, argv);
  } catch (const CLI::ParseError& error) {
    return app.exit(error) == 0 ? 0 : 2;
  }
  return exit_code;
}
