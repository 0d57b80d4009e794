// agon rank check: are these votes fit to rank from?

#include <CLI/CLI.hpp>
#include <memory>
#include <string>
#include <vector>

#include "agon/base/file.h"
#include "agon/ranking/health_text.h"
#include "agon/ranking/vote_health.h"
#include "agon/report/terminal.h"
#include "common.h"
#include "rank_input.h"
#include "rank_verbs.h"

namespace agon {
namespace {

struct CheckCommand {
  RankInput input;
  HealthOptions health;
  std::vector<std::string> variants;
  std::string json;
};

// False: not fit to rank from.
Result<bool> run(CheckCommand& c) {
  AGON_TRY(check_outputs({c.json}));
  HealthOptions health = c.health;
  health.seed = c.input.common.seed;
  for (const std::string& text : c.variants) {
    AGON_ASSIGN(VariantGroup group, parse_variants(text));
    health.variants.push_back(std::move(group));
  }
  c.input.read.keep_rows = true;
  if (!health.id_column.empty()) c.input.read.code_columns.push_back(health.id_column);
  AGON_ASSIGN(const BattleSet set, read_input(c.input));
  AGON_ASSIGN(const VoteHealth found, examine_votes(set, health, c.input.progress()));
  finish_progress();
  if (!c.json.empty())
    AGON_TRY(write_file(c.json, health_json(set, found, health, rank_facts(set, c.input.common))));
  if (c.json == "-" || c.input.common.quiet) return found.rankable;
  const TerminalInfo info = terminal_info(1);
  AGON_TRY(print(health_text(set, found, health, {.colour = info.colour, .width = info.width})));
  return found.rankable;
}

}  // namespace

void add_rank_check(CLI::App& rank, int& exit_code) {
  CLI::App* check = rank.add_subcommand(
      "check", "Say whether votes are fit to rank from, and what a board of them leans on");
  const auto c = std::make_shared<CheckCommand>();
  add_input_options(*check, c->input);
  check
      ->add_option("--json", c->json,
                   "Write everything as JSON to OUT too ('-': only that, to standard output)")
      ->type_name("OUT");
  check->add_flag("--drop-both-bad", c->health.drop_both_bad,
                  "Leave out votes that call both answers bad, in place of reading them as ties");
  check->add_option("--id", c->health.id_column, "Column of the votes' ids: look for repeated ones")
      ->type_name("COLUMN")
      ->group("Columns");
  check
      ->add_option("--variants", c->variants,
                   "NAME is the best of these private variants, or of N: say what the choice adds "
                   "(repeatable)")
      ->type_name("NAME=V1,V2,...|N")
      ->expected(1)
      ->multi_option_policy(CLI::MultiOptionPolicy::TakeAll);
  check->add_option("--alarm-level", c->health.voters.level, "Bound on false alarms about voters")
      ->type_name("P")
      ->check(CLI::Range(1e-6, 0.5))
      ->capture_default_str();
  check->add_option("--thin", c->health.thin_votes, "A pair with fewer votes is thin")
      ->type_name("N")
      ->check(CLI::Range(0.0, 1e9))
      ->capture_default_str();
  check->callback([c, &exit_code] {
    const Result<bool> fit = run(*c);
    report_status(fit ? Status{} : Status{std::unexpected(fit.error())}, exit_code);
    if (fit && !*fit) exit_code = 1;
  });
}

}  // namespace agon
