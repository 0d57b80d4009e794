#include "agon/ranking/board_text.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>

#include "agon/base/time_text.h"
#include "agon/report/number.h"
#include "agon/report/table.h"
#include "agon/report/terminal.h"
#include "agon/report/visible.h"
#include "agon/text/csv.h"

namespace agon {
namespace {

std::string tie_words(const PairedOptions& o) {
  const std::string bad = o.ties == TieModel::kBadThreshold ? ""
                          : o.drop_both_bad                 ? ", votes of both bad left out"
                                                            : "";
  switch (o.ties) {
    case TieModel::kHalf:
      return "ties as half wins" + bad;
    case TieModel::kDavidson:
      return "ties by Davidson" + bad;
    case TieModel::kRaoKupper:
      return "ties by Rao and Kupper" + bad;
    case TieModel::kBadThreshold:
      return "ties by Rao and Kupper with a threshold for both bad";
  }
  return {};
}

bool any_both_bad(const Board& board) {
  // Where they are left out, the comparison still has the model that tells them apart.
  double fewest = INFINITY, most = 0;
  for (const TieComparison& t : board.ties) {
    if (!t.error.empty()) continue;
    fewest = std::min(fewest, t.votes);
    most = std::max(most, t.votes);
  }
  return fewest < most ||
         std::ranges::any_of(board.rows, [](const BoardRow& row) { return row.both_bad > 0; });
}

Table board_table(const Board& board, std::size_t top) {
  const bool styled = !board.rows.empty() && board.rows.front().styled.has_value();
  const bool elo = !board.rows.empty() && board.rows.front().elo.has_value();
  std::vector<TableColumn> columns = {{"rank", Align::kRight},
                                      {"model", Align::kLeft},
                                      {"rating", Align::kRight},
                                      {format_percent(board.options.level, 0) + " interval", Align::kRight},
                                      {"for all at once", Align::kRight},
                                      {"votes", Align::kRight},
                                      {"wins", Align::kRight}};
  if (styled) columns.push_back({"style controlled", Align::kRight});
  if (elo)
    columns.push_back({"Elo in order", Align::kRight}), columns.push_back({"Elo shuffled", Align::kRight});
  Table table(columns);
  for (std::size_t r = 0; r < board.rows.size() && (top == 0 || r < top); ++r) {
    const BoardRow& row = board.rows[r];
    std::vector<std::string> cells = {rank_words(row.ranks),
                                      row.name,
                                      format_fixed(row.rating.rating, 1),
                                      format_interval(row.rating.low, row.rating.high, 1),
                                      format_interval(row.low_all, row.high_all, 1),
                                      format_amount(row.votes),
                                      format_percent(row.win_rate(), 1)};
    if (styled)
      cells.push_back(format_fixed(row.styled->rating, 1) + " " +
                      format_interval(row.styled->low, row.styled->high, 1));
    if (elo) {
      cells.push_back(format_fixed(row.elo->in_order, 1));
      cells.push_back(format_interval(row.elo->low, row.elo->high, 1));
    }
    table.add_row(std::move(cells));
  }
  return table;
}

std::string effect_line(const StyleEffect& e) {
  return fmt::format("  {:<28} {} {}\n", visible_text(e.name, {}), format_signed(e.value, 4),
                     format_interval(e.low, e.high, 4));
}

}  // namespace

std::string rank_words(const RankRange& ranks) {
  return ranks.best == ranks.worst ? fmt::format("{}", ranks.best)
                                   : fmt::format("{} to {}", ranks.best, ranks.worst);
}

std::string method_words(const Board& board) {
  const BoardOptions& o = board.options;
  if (!board.composite.empty())
    return fmt::format("weighted mean of the boards {}; {} intervals of {}",
                       visible_text(board.composite, {}), o.cluster.empty() ? "sandwich" : "clustered",
                       format_percent(o.level, 0));
  std::string out = "Bradley-Terry, " + tie_words(o.model);
  if (!board.fit.penalty().empty()) out += ", " + board.fit.penalty();
  if (o.model.position) out += ", with an effect of being shown first";
  if (o.balance_pairs) out += ", every pair weighing the same";
  out += fmt::format("; {} intervals of {}", interval_name(o.intervals), format_percent(o.level, 0));
  if (board.clusters > 0)
    out += fmt::format(" over {} clusters of '{}'", format_count(board.clusters), o.cluster);
  return out;
}

std::string fit_words(const Board& board) {
  return fmt::format("{} in {} iterations, largest gradient {} a vote",
                     board.fit.converged ? "converged" : "NOT CONVERGED", board.fit.iterations,
                     format_short(board.fit.gradient_norm, 2));
}

std::string board_text(const Board& board, const BoardTextOptions& options) {
  const Table::TerminalOptions shape{.width = options.width, .indent = 0, .colour = options.colour};
  std::string out =
      fmt::format("{} votes on {} competitors\n\n", format_count(board.battles), board.rows.size());
  out += board_table(board, options.top).terminal(shape);
  if (options.top > 0 && options.top < board.rows.size())
    out += fmt::format("... and {} more (--top 0 shows all)\n", board.rows.size() - options.top);
  out += fmt::format("\n{}; {}.\n", method_words(board), fit_words(board));
  if (!board.options.anchor.empty())
    out += fmt::format("{} is set to {}: that moves all ratings together and no interval.\n",
                       visible_text(board.options.anchor, {}), format_short(board.options.base, 8));
  if (board.position) out += "\nlog odds for being shown first:\n" + effect_line(*board.position);
  if (!board.style.empty()) {
    out += "\nlog odds of winning for one standard deviation more:\n";
    for (const StyleEffect& e : board.style) out += effect_line(e);
    if (board.style_left_out > 0)
      out += fmt::format("  {} votes lack one of these numbers and are left out\n",
                         format_count(board.style_left_out));
    if (!board.style_converged) out += "  the style fit did NOT CONVERGE\n";
  }
  if (!board.ties.empty()) {
    Table ties({{"ties", Align::kLeft},
                {"-ln L a vote", Align::kRight},
                {"votes", Align::kRight},
                {"", Align::kLeft}});
    for (const TieComparison& t : board.ties)
      ties.add_row({tie_model_name(t.model), t.error.empty() ? format_fixed(t.loss, 6) : "n/a",
                    format_amount(t.votes), t.error.empty() ? t.parameter : t.error});
    out += "\n" + ties.terminal(shape);
    out += any_both_bad(board) ? "Compare davidson with rao-kupper only: half has no probability of a tie, "
                                 "bad-threshold tells four "
                                 "outcomes apart.\n"
                               : "Compare davidson with rao-kupper only: half has no probability of a tie.\n";
  }
  if (!board.warnings.empty()) {
    out += "\n";
    for (const std::string& w : board.warnings)
      out += painted("! ", Paint::kWarning, options.colour) + visible_text(w, {}) + "\n";
  }
  return out;
}

std::string categories_text(const Board& overall, const Categories& categories,
                            const BoardTextOptions& options) {
  constexpr std::size_t kMostColumns = 12;
  std::vector<TableColumn> columns = {{"model", Align::kLeft}, {"all", Align::kRight}};
  const std::size_t shown = std::min(kMostColumns, categories.boards.size());
  for (std::size_t c = 0; c < shown; ++c) columns.push_back({categories.boards[c].name, Align::kRight, 16});
  Table table(columns);
  for (std::size_t r = 0; r < overall.rows.size() && (options.top == 0 || r < options.top); ++r) {
    std::vector<std::string> cells = {overall.rows[r].name, rank_words(overall.rows[r].ranks)};
    for (std::size_t c = 0; c < shown; ++c) {
      const auto& rows = categories.boards[c].rows;
      const auto found = std::ranges::find(rows, overall.rows[r].name, &BoardRow::name);
      cells.push_back(found == rows.end() ? "-" : rank_words(found->ranks));
    }
    table.add_row(std::move(cells));
  }
  std::string out = fmt::format("\nRanks by '{}':\n\n", visible_text(categories.column, {}));
  out += table.terminal({.width = options.width, .indent = 0, .colour = options.colour});
  if (shown < categories.boards.size())
    out += fmt::format("... and {} more categories (-o board.json or board.html has all)\n",
                       categories.boards.size() - shown);
  for (const std::string& left : categories.left_out)
    out += painted("! ", Paint::kWarning, options.colour) + "left out: " + visible_text(left, {}) + "\n";
  return out;
}

std::string drift_text(const Board& overall, const Drift& drift, const BoardTextOptions& options) {
  std::vector<TableColumn> columns = {{"model", Align::kLeft}};
  for (const DriftPoint& p : drift.points) columns.push_back({date_text(p.begin), Align::kRight});
  Table table(columns);
  const std::size_t top = options.top == 0 ? overall.rows.size() : options.top;
  for (std::size_t r = 0; r < std::min(top, overall.rows.size()); ++r) {
    std::vector<std::string> cells = {overall.rows[r].name};
    for (const DriftPoint& p : drift.points) {
      const auto found = std::ranges::find(p.board.rows, overall.rows[r].name, &BoardRow::name);
      cells.push_back(found == p.board.rows.end()
                          ? "-"
                          : fmt::format("{} ±{}", format_fixed(found->rating.rating, 0),
                                        format_fixed(p.board.z * found->rating.se, 0)));
    }
    table.add_row(std::move(cells));
  }
  std::string out = "\nRatings over time (spans begin on):\n\n";
  out += table.terminal({.width = options.width, .indent = 0, .colour = options.colour});
  for (const std::string& left : drift.left_out)
    out += painted("! ", Paint::kWarning, options.colour) + "left out: " + visible_text(left, {}) + "\n";
  return out;
}

std::string board_markdown(const Board& board) {
  std::string out = board_table(board, 0).markdown();
  out += fmt::format("\n{} votes. {}; {}.\n", format_count(board.battles), method_words(board),
                     fit_words(board));
  return out;
}

std::string board_csv(const std::vector<const Board*>& boards) {
  std::string out =
      "board,rank_best,rank_worst,model,rating,low,high,low_all,high_all,se,rank_best_alone,rank_worst_alone,"
      "votes,"
      "wins,losses,ties,both_bad,style_rating,style_low,style_high,elo,elo_low,elo_high,converged,iterations,"
      "gradient_norm\n";
  const auto number = [](double x) { return std::isfinite(x) ? fmt::format("{}", x) : std::string(); };
  for (const Board* board : boards)
    for (const BoardRow& row : board->rows) {
      append_csv_field(out, board->name);
      out += fmt::format(",{},{},", row.ranks.best, row.ranks.worst);
      append_csv_field(out, row.name);
      for (const double x :
           {row.rating.rating, row.rating.low, row.rating.high, row.low_all, row.high_all, row.rating.se})
        out += "," + number(x);
      out += fmt::format(",{},{}", row.ranks_alone.best, row.ranks_alone.worst);
      for (const double x : {row.votes, row.wins, row.losses, row.ties, row.both_bad}) out += "," + number(x);
      if (row.styled)
        out += fmt::format(",{},{},{}", number(row.styled->rating), number(row.styled->low),
                           number(row.styled->high));
      else
        out += ",,,";
      if (row.elo)
        out +=
            fmt::format(",{},{},{}", number(row.elo->in_order), number(row.elo->low), number(row.elo->high));
      else
        out += ",,,";
      out += fmt::format(",{},{},{}\n", board->fit.converged ? 1 : 0, board->fit.iterations,
                         number(board->fit.gradient_norm));
    }
  return out;
}

}  // namespace agon
