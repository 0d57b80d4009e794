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

double seconds_between(Clock::time_point from, Clock::time_point to) {
  return std::chrono::duration<double>(to - from).count();
}
double seconds_since(Clock::time_point t) { return seconds_between(t, Clock::now()); }
std::string milliseconds(double seconds) { return format_fixed(1000 * seconds, 1); }

Status run(const WatchCommand& c) {
  if (c.input.files.size() != 1)
    return bad_call("watch follows one file", "one plain file of JSON Lines or CSV");
  AGON_TRY(check_outputs({c.output}));
  set_thread_count(c.input.common.threads);
  AGON_ASSIGN(BattleLog log, BattleLog::open(c.input.files.front(), c.input.read));
  const TerminalInfo info = terminal_info(1);
  Clock::time_point last_news = Clock::now();
  // The last board: every fit begins where the one before ended.
  std::optional<Board> board;
  for (bool first = true;; first = false) {
    const Clock::time_point look = Clock::now();
    AGON_ASSIGN(const BattleLog::News news, log.poll());
    if (first || news.battles > 0 || news.restarted) {
      last_news = Clock::now();
      const double read = seconds_between(look, last_news);
      BoardOptions options;
      options.seed = c.input.common.seed;
      options.compare_ties = false;
      Clock::time_point fit_begins = last_news, fit_ends = last_news;
      const Progress stages = [&](std::string_view stage, std::uint64_t, std::uint64_t) {
        if (stage == "fit") fit_begins = Clock::now();
        if (stage == "intervals") fit_ends = Clock::now();
      };
      // After a restart the competitors have other numbers.
      const Board* const previous = board && !news.restarted ? &*board : nullptr;
      auto fresh = make_board(log.battles(), options, {}, "all", stages, previous);
      const double made = seconds_between(last_news, Clock::now());
      std::string text = info.is_terminal ? "\x1b[H\x1b[2J" : "";
      if (fresh) {
        board = std::move(*fresh);
        text += board_text(*board, {.colour = info.colour, .width = info.width, .top = c.top});
        text += fmt::format("\n+{} votes: read in {} ms, {} in {} ms, the whole board in {} ms\n",
                            format_count(news.battles), milliseconds(read), previous ? "refitted" : "fitted",
                            milliseconds(seconds_between(fit_begins, fit_ends)), milliseconds(made));
        if (!c.output.empty()) AGON_TRY(write_file(c.output, board_json(*board, nullptr, nullptr, {})));
      } else {
        board.reset();
        // Too few votes so far, or no finite ratings yet: that may change with the next ones.
        text += fmt::format("{} votes so far, no board yet: {}\n", format_count(log.battles().battles()),
                            fresh.error().to_string());
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
