// agon rank next: which pairs to ask people about next, and what their votes would buy.

#include <fmt/format.h>

#include <CLI/CLI.hpp>
#include <algorithm>
#include <memory>
#include <string>
#include <vector>

#include "agon/base/file.h"
#include "agon/ranking/graph.h"
#include "agon/ranking/next_pairs.h"
#include "agon/ranking/next_text.h"
#include "agon/report/terminal.h"
#include "common.h"
#include "rank_input.h"
#include "rank_verbs.h"

namespace agon {
namespace {

struct NextCommand {
  RankInput input;
  NextOptions plan;
  std::string model, json;
  std::vector<std::string> between, without;
  std::size_t top_pairs = 20;
};

Result<std::uint32_t> number_of(const std::string& name, const std::vector<std::string>& names,
                                const char* option) {
  const auto place = std::ranges::find(names, name);
  if (place != names.end()) return static_cast<std::uint32_t>(place - names.begin());
  Error error;
  error.message =
      fmt::format("{}: '{}' is not among the {} competitors with votes", option, name, names.size());
  error.kind = ErrorKind::kUsage;
  return std::unexpected(std::move(error));
}

Status run(NextCommand& c) {
  AGON_TRY(check_outputs({c.json}));
  AGON_ASSIGN(const BattleSet set, read_input(c.input));
  const Restricted met = restrict_pairs(set.pairs, who_met(set.pairs, set.competitors.size()));
  std::vector<std::string> names;
  for (const std::uint32_t i : met.kept) names.push_back(set.competitors[i]);
  NextOptions& o = c.plan;
  if (!c.model.empty()) {
    o.goal = NextGoal::kModel;
    AGON_ASSIGN(o.a, number_of(c.model, names, "--for"));
  }
  if (!c.between.empty()) {
    o.goal = NextGoal::kBetween;
    AGON_ASSIGN(o.a, number_of(c.between[0], names, "--between"));
    AGON_ASSIGN(o.b, number_of(c.between[1], names, "--between"));
  }
  if (!c.without.empty()) o.left_out.assign(names.size(), false);
  for (const std::string& name : c.without) {
    AGON_ASSIGN(const std::uint32_t i, number_of(name, names, "--without"));
    o.left_out[i] = true;
  }
  AGON_ASSIGN(const NextPlan plan, plan_next_pairs(met.pairs, names.size(), o));
  if (!c.json.empty()) AGON_TRY(write_file(c.json, next_json(plan, names, rank_facts(set, c.input.common))));
  if (c.json == "-" || c.input.common.quiet) return {};
  const TerminalInfo info = terminal_info(1);
  return print(next_text(plan, names, {.colour = info.colour, .width = info.width, .top = c.top_pairs}));
}

}  // namespace

void add_rank_next(CLI::App& rank, int& exit_code) {
  CLI::App* next =
      rank.add_subcommand("next", "Say which pairs to ask about next, and what the votes would buy");
  const auto c = std::make_shared<NextCommand>();
  add_input_options(*next, c->input);
  next->add_option("--votes", c->plan.votes, "Votes to give out")
      ->type_name("N")
      ->check(CLI::Range(std::uint64_t{1}, std::uint64_t{1'000'000'000}))
      ->capture_default_str();
  CLI::Option* model = next->add_option("--for", c->model, "For the rating of MODEL, in place of all ratings")
                           ->type_name("MODEL");
  CLI::Option* between = next->add_option("--between", c->between, "For the difference of two models")
                             ->type_name("A,B")
                             ->delimiter(',')
                             ->expected(2)
                             ->excludes(model);
  next->add_option("--top", c->plan.top, "For the order of the first K")
      ->type_name("K")
      ->check(CLI::Range(1, 100000))
      ->excludes(model)
      ->excludes(between)
      ->each([c](const std::string&) { c->plan.goal = NextGoal::kTop; });
  next->add_option("--without", c->without, "Models that can't be asked about any more (repeatable)")
      ->type_name("MODEL")
      ->expected(1)
      ->multi_option_policy(CLI::MultiOptionPolicy::TakeAll);
  next->add_option("--level", c->plan.level, "Level of the intervals")
      ->type_name("P")
      ->check(CLI::Range(0.5, 0.9999))
      ->capture_default_str();
  add_tie_option(*next, c->plan.ties);
  next->add_flag("--drop-both-bad", c->plan.drop_both_bad,
                 "Leave out votes that call both answers bad, in place of reading them as ties");
  next->add_option("--top-pairs", c->top_pairs, "Pairs shown, 0 for all")
      ->type_name("N")
      ->capture_default_str();
  next->add_option("--json", c->json,
                   "Write the plan as JSON to OUT too ('-': only that, to standard output)")
      ->type_name("OUT");
  next->callback([c, &exit_code] { report_status(run(*c), exit_code); });
}

}  // namespace agon
