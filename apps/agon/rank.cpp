// agon rank: leaderboards from votes.
#include <fmt/format.h>

#include <CLI/CLI.hpp>
#include <algorithm>
#include <charconv>
#include <cmath>
#include <map>
#include <memory>

#include "agon/base/file.h"
#include "agon/ranking/board.h"
#include "agon/ranking/board_text.h"
#include "agon/ranking/report.h"
#include "agon/ranking/vote_health.h"
#include "agon/report/terminal.h"
#include "agon/text/csv.h"
#include "rank_input.h"
#include "rank_verbs.h"
#include "verbs.h"

namespace agon {
namespace {

struct RankCommand {
  RankInput input;
  BoardOptions board;
  std::vector<std::string> outputs, style_columns, composite;
  std::string anchor, by, organisations;
  bool style = false, elo = false;
  int windows = 0;
  std::size_t top = 0;
};

constexpr IntervalKind kIntervals[] = {IntervalKind::kSandwich,           IntervalKind::kModel,
                                       IntervalKind::kClustered,          IntervalKind::kBootstrap,
                                       IntervalKind::kClusteredBootstrap, IntervalKind::kProfile};

/// The names of a list of choices, for the check of an option.
template <class Choices, class Name>
std::vector<std::string> names_of(const Choices& choices, const Name& name) {
  std::vector<std::string> out;
  for (const auto choice : choices) out.emplace_back(name(choice));
  return out;
}

/// "NAME=NUMBER"; the last '=' parts them, since names may hold one.
Result<std::pair<std::string, double>> named_number(const std::string& text, const char* option) {
  const std::size_t at = text.rfind('=');
  double value = 0;
  const char* end = text.data() + text.size();
  const bool good = at != std::string::npos && at > 0 &&
                    std::from_chars(text.data() + at + 1, end, value).ptr == end && at + 1 < text.size() &&
                    std::isfinite(value);
  if (!good) return bad_call(fmt::format("{} {}", option, text), "NAME=NUMBER");
  return std::pair{text.substr(0, at), value};
}

/// CSV with the columns model and organisation; a judge is a model too.
Result<std::map<std::string, std::string>> read_organisations(const std::string& path) {
  AGON_ASSIGN(auto source, open_bytes(path));
  AGON_ASSIGN(auto csv, CsvReader::open(std::move(source), path));
  const auto place = [&](const char* name) {
    return static_cast<std::size_t>(std::ranges::find(csv.header(), name) - csv.header().begin());
  };
  const std::size_t model = place("model"), organisation = place("organisation");
  if (std::max(model, organisation) >= csv.header().size())
    return std::unexpected(csv.error_here("a file of organisations has the columns model and organisation"));
  std::map<std::string, std::string> out;
  std::vector<std::string_view> fields;
  for (;;) {
    AGON_ASSIGN(const bool more, csv.next(fields));
    if (!more) return out;
    if (!out.emplace(fields[model], fields[organisation]).second)
      return std::unexpected(csv.error_here("a model that occurs twice", "model"));
  }
}

bool is_kind(const std::string& path, std::string_view ending) {
  return path.ends_with(ending) || path.ends_with(std::string(ending) + ".gz") ||
         path.ends_with(std::string(ending) + ".zst");
}

Status check_kinds(const std::vector<std::string>& outputs) {
  for (const std::string& path : outputs)
    if (!is_kind(path, ".html") && !is_kind(path, ".csv") && !is_kind(path, ".json") && !is_kind(path, ".md"))
      return bad_call(fmt::format("-o {}: what kind of file is that?", path),
                      "a name that ends in .html, .csv, .json or .md");
  return {};
}

struct Boards {
  Board board;
  std::optional<Categories> categories;
  std::optional<Drift> drift;
};

std::string page_of(const BattleSet& set, const Boards& boards, const BoardOptions& options,
                    const Facts& facts) {
  // The page says what `agon rank check` would: whoever reads a board should know.
  std::vector<std::string> health;
  HealthOptions how;
  how.drop_both_bad = options.model.drop_both_bad;
  if (const auto found = examine_votes(set, how); found)
    for (const HealthFinding& finding : found->findings)
      if (finding.grade <= HealthGrade::kWarning) health.push_back(finding.what);
  std::string of;
  for (const BattleSource& s : set.sources) of += (of.empty() ? "" : ", ") + file_name(s.path);
  return render_rank_report({.title = "Leaderboard from " + of,
                             .board = boards.board,
                             .categories = boards.categories ? &*boards.categories : nullptr,
                             .drift = boards.drift ? &*boards.drift : nullptr,
                             .health = health,
                             .provenance = facts});
}

Status write_outputs(const RankCommand& c, const BattleSet& set, const Boards& boards) {
  const Facts facts = rank_facts(set, c.input.common);
  const Categories* categories = boards.categories ? &*boards.categories : nullptr;
  const Drift* drift = boards.drift ? &*boards.drift : nullptr;
  for (const std::string& path : c.outputs) {
    if (is_kind(path, ".csv")) {
      std::vector<const Board*> all = {&boards.board};
      if (categories != nullptr)
        for (const Board& b : categories->boards) all.push_back(&b);
      AGON_TRY(write_file(path, board_csv(all)));
    } else if (is_kind(path, ".json")) {
      AGON_TRY(write_file(path, board_json(boards.board, categories, drift, facts)));
    } else if (is_kind(path, ".md")) {
      AGON_TRY(write_file(path, board_markdown(boards.board)));
    } else {
      AGON_TRY(write_file(path, page_of(set, boards, c.board, facts)));
    }
  }
  return {};
}

Status run(RankCommand& c) {
  AGON_TRY(check_kinds(c.outputs));
  AGON_TRY(check_outputs(c.outputs));
  BoardOptions& o = c.board;
  o.seed = c.input.common.seed;
  if (!c.anchor.empty()) {
    AGON_ASSIGN(const auto anchor, named_number(c.anchor, "--anchor"));
    o.anchor = anchor.first;
    o.base = anchor.second;
  }
  std::vector<std::pair<std::string, double>> composite;
  for (const std::string& part : c.composite) {
    AGON_ASSIGN(auto weight, named_number(part, "--composite"));
    composite.push_back(std::move(weight));
  }
  if (!composite.empty() && c.by.empty())
    return bad_call("--composite needs boards to compose", "--by COLUMN beside it");
  if (!o.cluster.empty() && o.intervals == IntervalKind::kSandwich) o.intervals = IntervalKind::kClustered;
  const bool clustered =
      o.intervals == IntervalKind::kClustered || o.intervals == IntervalKind::kClusteredBootstrap;
  if (clustered && o.cluster.empty()) o.cluster = "voter";
  if (c.elo) o.elo_shuffles = 100;
  if (!c.organisations.empty()) {
    AGON_ASSIGN(o.organisations, read_organisations(c.organisations));
  }

  ReadBattles& read = c.input.read;
  if (c.style || !c.style_columns.empty())
    read.style_columns = c.style_columns.empty() ? std::vector<std::string>{"auto"} : c.style_columns;
  if (!c.by.empty()) read.code_columns.push_back(c.by);
  if (!o.cluster.empty() && o.cluster != "voter" && o.cluster != "prompt")
    read.code_columns.push_back(o.cluster);
  read.keep_rows = clustered || c.elo || !o.organisations.empty() || c.windows > 0 || !c.by.empty() ||
                   !read.style_columns.empty();
  AGON_ASSIGN(const BattleSet set, read_input(c.input));
  if (!read.style_columns.empty()) {
    for (const PairedColumn& column : set.rows.style) o.style.push_back(column.name);
  }

  const Progress progress = c.input.progress();
  Boards boards;
  AGON_ASSIGN(boards.board, make_board(set, o, {}, "all", progress));
  if (!c.by.empty()) {
    AGON_ASSIGN(boards.categories, category_boards(set, c.by, o, progress));
  }
  if (!composite.empty()) {
    AGON_ASSIGN(Board mean, composite_of(set, *boards.categories, composite, o));
    boards.board = std::move(mean);
  }
  if (c.windows > 0) {
    AGON_ASSIGN(boards.drift, drift(set, c.windows, o));
  }
  finish_progress();
  AGON_TRY(write_outputs(c, set, boards));
  if (c.input.common.quiet) return {};
  const TerminalInfo info = terminal_info(1);
  const BoardTextOptions shape{.colour = info.colour, .width = info.width, .top = c.top};
  std::string text = board_text(boards.board, shape);
  if (boards.categories) text += categories_text(boards.board, *boards.categories, shape);
  if (boards.drift) text += drift_text(boards.board, *boards.drift, shape);
  for (const std::string& path : c.outputs)
    text += fmt::format("{}wrote  {}\n", &path == &c.outputs.front() ? "\n" : "", path);
  return print(text);
}

void add_board_options(CLI::App& rank, RankCommand& c) {
  BoardOptions& o = c.board;
  rank.add_option("-o,--output", c.outputs,
                  "Write the board to FILE, by its ending: .html, .csv, .json or .md (repeatable)")
      ->type_name("FILE")
      ->expected(1)
      ->multi_option_policy(CLI::MultiOptionPolicy::TakeAll);
  rank.add_option("--anchor", c.anchor, "Move all ratings so that MODEL has RATING; no interval changes")
      ->type_name("MODEL=RATING");
  rank.add_option("--base", o.base, "Mean of all ratings, without an anchor")
      ->type_name("X")
      ->capture_default_str();
  add_tie_option(rank, o.model.ties);
  rank.add_flag("--drop-both-bad", o.model.drop_both_bad,
                "Leave out votes that call both answers bad, in place of reading them as ties");
  rank.add_flag("--position", o.model.position, "Estimate the advantage of being shown first");
  rank.add_option("--ridge", o.model.ridge,
                  "Shrink strengths: for votes without finite ratings; named in the output")
      ->type_name("X")
      ->check(CLI::Range(0.0, 1e9));
  rank.add_flag("--firth", o.model.firth,
                "Firth's penalty: the same without a number to choose (half-win ties only)");
  rank.add_flag("--balance-pairs", o.balance_pairs,
                "Weigh votes so that every pair counts alike however often it met");
  rank.add_option_function<std::string>(
          "--intervals",
          [&o](const std::string& name) {
            for (const IntervalKind kind : kIntervals)
              if (name == interval_name(kind)) o.intervals = kind;
          },
          "How intervals are made")
      ->check(CLI::IsMember(names_of(kIntervals, interval_name)))
      ->type_name("KIND")
      ->default_str("sandwich");
  rank.add_option("--cluster", o.cluster,
                  "Votes with the same value of COLUMN go together ('voter', 'prompt' or any column)")
      ->type_name("COLUMN");
  rank.add_option("--level", o.level, "Level of all intervals")
      ->type_name("P")
      ->check(CLI::Range(0.5, 0.9999))
      ->capture_default_str();
  rank.add_option("--draws", o.draws, "Draws of the bootstrap")
      ->type_name("N")
      ->check(CLI::Range(10, 1000000))
      ->capture_default_str();
  rank.add_flag("--style", c.style,
                "Control for style: numbers of each answer in the files, or those computed from the texts");
  rank.add_option("--style-columns", c.style_columns,
                  "Control for these numbers only: NAME for columns NAME_a and NAME_b")
      ->type_name("NAME,...")
      ->delimiter(',')
      ->allow_extra_args(false);
  rank.add_flag("--style-centre", o.style_centre,
                "Standardise style differences with their mean taken out, as LMArena's notebook does");
  rank.add_option(
          "--organisations", c.organisations,
          "CSV of model and organisation: estimate the advantage with a judge of the same organisation")
      ->type_name("FILE");
  rank.add_option("--by", c.by, "A board for every value of COLUMN, or for every tag column COLUMN.*")
      ->type_name("COLUMN");
  rank.add_option("--composite", c.composite, "With --by: one board as a weighted mean of these categories")
      ->type_name("NAME=WEIGHT,...")
      ->delimiter(',')
      ->allow_extra_args(false);
  rank.add_option("--windows", c.windows, "Ratings in N equal spans of time")
      ->type_name("N")
      ->check(CLI::Range(0, 1000));
  rank.add_flag("--elo", c.elo, "Online Elo too, in the files' order and over 100 shuffles");
  rank.add_option("--top", c.top, "Show this many rows only; files have all")->type_name("N");
}

}  // namespace

void add_rank_command(CLI::App& app, int& exit_code) {
  CLI::App* rank = app.add_subcommand("rank", "A leaderboard from votes");
  const auto c = std::make_shared<RankCommand>();
  add_input_options(*rank, c->input, false);
  add_board_options(*rank, *c);
  add_rank_check(*rank, exit_code);
  add_rank_next(*rank, exit_code);
  add_rank_powered(*rank, exit_code);
  add_rank_watch(*rank, exit_code);

  rank->callback([c, rank, &exit_code] {
    if (!rank->get_subcommands().empty()) return;  // check, next and watch have callbacks of their own
    if (c->input.files.empty()) throw CLI::RequiredError("files");
    report_status(run(*c), exit_code);
  });
}

}  // namespace agon
