#include "rank_input.h"

#include <fmt/format.h>

#include <CLI/CLI.hpp>

#include "agon/base/parallel.h"
#include "agon/report/number.h"

namespace agon {

std::unexpected<Error> bad_call(std::string message, std::string expected) {
  Error error;
  error.kind = ErrorKind::kUsage;
  error.message = std::move(message);
  error.expected = std::move(expected);
  return std::unexpected(std::move(error));
}

Progress RankInput::progress() const { return common.quiet ? Progress{} : terminal_progress(); }

void add_input_options(CLI::App& verb, RankInput& input, bool required) {
  CLI::Option* files =
      verb.add_option("files", input.files,
                      "Votes: battles or votes as CSV or JSON, pair counts, arena-hard games, alpaca_eval "
                      "annotations; plain, .gz or .zst; '-' is standard input")
          ->type_name("FILE...");
  if (required) files->required();
  const auto column = [&](const char* flag, std::string& to, const char* what) {
    verb.add_option(flag, to, what)->type_name("COLUMN")->group("Columns");
  };
  column("--first", input.read.first_column, "Column of the competitor shown first (known names are found)");
  column("--second", input.read.second_column, "Column of the competitor shown second");
  column("--winner", input.read.winner_column, "Column of the winner");
  column("--weight", input.read.weight_column, "Column of the votes' weights");
  column("--time", input.read.time_column,
         "Column of times: seconds or milliseconds since 1970, or ISO 8601");
  column("--voter", input.read.voter_column, "Column of the voters");
  column("--prompt", input.read.prompt_column, "Column of the prompts");
  verb.add_option("--strong-weight", input.read.strong_weight, "Votes that A>>B counts in arena-hard games")
      ->type_name("X")
      ->check(CLI::Range(0.01, 1000.0))
      ->capture_default_str();
  verb.add_flag("--skip-bad", input.read.skip_bad,
                "Pass over rows that can't be read, and say how many and which");
  verb.add_option("--seed", input.common.seed, "Seed of every random draw")
      ->type_name("N")
      ->capture_default_str();
  verb.add_option("--threads", input.common.threads,
                  "Threads to use, 0 for all cores; the result does not depend on it")
      ->type_name("N")
      ->check(CLI::Range(0, 4096))
      ->capture_default_str();
  verb.add_flag("-q,--quiet", input.common.quiet, "Print nothing but errors");
}

void add_tie_option(CLI::App& verb, TieModel& ties) {
  constexpr TieModel kModels[] = {TieModel::kHalf, TieModel::kDavidson, TieModel::kRaoKupper,
                                  TieModel::kBadThreshold};
  std::vector<std::string> names;
  for (const TieModel model : kModels) names.emplace_back(tie_model_name(model));
  verb.add_option_function<std::string>(
          "--tie",
          [&ties, kModels](const std::string& name) {
            for (const TieModel model : kModels)
              if (name == tie_model_name(model)) ties = model;
          },
          "What a tie is: half a win each, an outcome by Davidson or by Rao and Kupper, or with both bad as "
          "a fourth one")
      ->check(CLI::IsMember(names))
      ->type_name("MODEL")
      ->default_str("half");
}

Result<BattleSet> read_input(const RankInput& input) {
  set_thread_count(input.common.threads);
  AGON_ASSIGN(BattleSet set, read_battles(input.files, input.read, input.progress()));
  finish_progress();
  for (const BattleSource& s : set.sources) {
    if (s.skipped == 0) continue;
    fmt::print(stderr, "agon: {}: {} bad rows skipped\n", s.path, s.skipped);
    for (const Error& e : s.skip_list) fmt::print(stderr, "  {}\n", e.to_string());
    if (s.skipped > s.skip_list.size())
      fmt::print(stderr, "  ... and {} more\n", s.skipped - s.skip_list.size());
  }
  return set;
}

Facts rank_facts(const BattleSet& set, const CommonOptions& options) {
  Facts facts;
  for (const BattleSource& s : set.sources)
    facts.emplace_back("file", fmt::format("{}: {}, {} votes{}{}", s.path, s.form, format_count(s.rows),
                                           s.skipped > 0 ? fmt::format(", {} skipped", s.skipped) : "",
                                           s.sha256.empty() ? "" : ", SHA-256 " + s.sha256));
  for (auto& fact : run_facts(options)) facts.push_back(std::move(fact));
  return facts;
}

}  // namespace agon
