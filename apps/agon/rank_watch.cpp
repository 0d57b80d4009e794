// agon rank watch: a board that follows a file of votes as it grows.
#include <fmt/format.h>

#include <CLI/CLI.hpp>
#include <chrono>
#include <memory>
#include <optional>
#include <thread>

#include "agon/base/file.h"
#include "agon/base/parallel.h"
#include "agon/data/battle_log.h"
#include "agon/ranking/board.h"
#include "agon/ranking/board_text.h"
#include "agon/report/number.h"
#include "agon/report/terminal.h"
#include "rank_input.h"
#include "rank_verbs.h"

namespace agon {
namespace {

using Clock = std::chrono::steady_clock;

struct WatchCommand {
  RankInput input;
  std::string output;
  double every = 1, idle = 0;
  std::size_t top = 20;
};

double seconds_since(Clock::time_point t) { return std::chrono::duration<double>(Clock::now() - t).count(); }

Status run(const WatchCommand& c) {
  if (c.input.files.size() != 1)
    return bad_call("watch follows one file", "one plain file of JSON Lines or CSV");
  AGON_TRY(check_outputs({c.output}));
  set_thread_count(c.input.common.threads);
  AGON_ASSIGN(BattleLog log, BattleLog::open(c.input.files.front(), c.input.read));
  const TerminalInfo info = terminal_info(1);
  Clock::time_point last_news = Clock::now();
  for (bool first = true;; first = false) {
    AGON_ASSIGN(const BattleLog::News news, log.poll());
    if (first || news.battles > 0 || news.restarted) {
      last_news = Clock::now();
      BoardOptions options;
      options.seed = c.input.common.seed;
      options.compare_ties = false;
      const auto board = make_board(log.battles(), options);
      std::string text = info.is_terminal ? "\x1b[H\x1b[2J" : "";
      if (board) {
        text += board_text(*board, {.colour = info.colour, .width = info.width, .top = c.top});
        text += fmt::format("\n+{} votes, board made in {} ms\n", format_count(news.battles),
                            format_fixed(1000 * seconds_since(last_news), 1));
        if (!c.output.empty()) AGON_TRY(write_file(c.output, board_json(*board, nullptr, nullptr, {})));
      } else {
        // Too few votes so far, or no finite ratings yet: that may change with the next ones.
        text += fmt::format("{} votes so far, no board yet: {}\n", format_count(log.battles().battles()),
                            board.error().to_string());
      }
      if (!c.input.common.quiet) AGON_TRY(print(text));
    }
    if (c.idle > 0 && seconds_since(last_news) >= c.idle) return {};
    std::this_thread::sleep_for(std::chrono::duration<double>(c.every));
  }
}

}  // namespace

void add_rank_watch(CLI::App& rank, int& exit_code) {
  CLI::App* watch = rank.add_subcommand("watch", "Follow a file of votes and refit as they are appended");
  const auto c = std::make_shared<WatchCommand>();
  add_input_options(*watch, c->input);
  watch->add_option("-o,--output", c->output, "Write the board as JSON after every refit")->type_name("FILE");
  watch->add_option("--every", c->every, "Seconds between looks at the file")
      ->type_name("S")
      ->check(CLI::Range(0.01, 86400.0))
      ->capture_default_str();
  watch->add_option("--until-idle", c->idle, "Stop after so many seconds without a new vote; 0: never")
      ->type_name("S")
      ->check(CLI::Range(0.0, 1e9))
      ->capture_default_str();
  watch->add_option("--top", c->top, "Rows shown, 0 for all")->type_name("N")->capture_default_str();
  watch->callback([c, &exit_code] { report_status(run(*c), exit_code); });
}

}  // namespace agon
