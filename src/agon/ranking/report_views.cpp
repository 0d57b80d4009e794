// Other views of the same votes on the leaderboard's page: style control, categories, time.
#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <map>
#include <numeric>

#include "agon/base/time_text.h"
#include "agon/ranking/report_parts.h"
#include "agon/report/number.h"
#include "agon/report/svg.h"

namespace agon::rank_report {
namespace {

/// Places (1 the best) by the style-controlled rating; 0 where there is none.
std::vector<std::size_t> styled_places(const Board& board) {
  std::vector<std::size_t> order;
  for (std::size_t r = 0; r < board.rows.size(); ++r)
    if (board.rows[r].styled && std::isfinite(board.rows[r].styled->rating)) order.push_back(r);
  std::ranges::stable_sort(order, std::ranges::greater{},
                           [&](std::size_t r) { return board.rows[r].styled->rating; });
  std::vector<std::size_t> places(board.rows.size(), 0);
  for (std::size_t k = 0; k < order.size(); ++k) places[order[k]] = k + 1;
  return places;
}

std::string shift_text(double shift, int decimals) {
  return std::isfinite(shift) ? typographic(format_signed(shift, decimals)) : "n/a";
}

std::string style_slopes(const Board& board, const std::vector<std::size_t>& places, double width) {
  SlopeChart chart;
  chart.text.title = "Rating against style-controlled rating";
  chart.text.description = "A line for each competitor from its rating to its rating with style controlled.";
  chart.left_name = "rating";
  chart.right_name = "with style controlled";
  chart.decimals = std::abs(board.options.scale) >= 20 ? 0 : 2;
  for (std::size_t r = 0; r < std::min(board.rows.size(), kSlopeLines); ++r) {
    const BoardRow& row = board.rows[r];
    if (!row.styled) continue;
    const Ink ink = places[r] == 0 || places[r] == r + 1 ? Ink::kQuiet
                    : places[r] < r + 1                  ? Ink::kA
                                                         : Ink::kB;
    chart.lines.push_back({short_text(row.name), row.rating.rating, row.styled->rating, ink});
  }
  return slope_chart(chart, width);
}

std::string effects_chart(const std::vector<StyleEffect>& effects, double width) {
  DotChart chart;
  chart.text.title = "What style does to the odds";
  chart.text.description = "A dot for each effect with its interval; right of zero helps to win.";
  chart.text.x_label = "log odds of winning for one standard deviation more (right of zero helps)";
  chart.plus = true;
  for (std::size_t i = 0; i < std::min(effects.size(), kMaxListed); ++i) {
    const StyleEffect& e = effects[i];
    const bool clear = e.low > 0 || e.high < 0;
    chart.rows.push_back(
        {short_text(e.name), {}, e.value, e.low, e.high, clear ? Ink::kMain : Ink::kQuiet, false});
  }
  return dot_chart(chart, width);
}

/// "More of 'tokens' helps: ..." (HTML)
std::string effect_words(const StyleEffect& e, bool first) {
  const std::string what = first ? "Being shown first" : "More of <b>" + html_name(e.name) + "</b>";
  if (!std::isfinite(e.value) || !std::isfinite(e.low) || !std::isfinite(e.high)) return what + ": n/a.";
  const auto share = [](double odds) { return format_percent(1 / (1 + std::exp(-odds))); };
  const std::string range = fmt::format("{} [{}, {}]", share(e.value), share(e.low), share(e.high));
  if (e.low <= 0 && e.high >= 0)
    return fmt::format(
        "{} makes no difference that these votes could show: of two equal competitors it wins {}.", what,
        range);
  return fmt::format("{} {}: of two equal competitors, the one with {} wins {}.", what,
                     e.value > 0 ? "helps" : "hurts",
                     first ? "the first place" : "one standard deviation more", range);
}

/// Place of each name on a board.
std::map<std::string_view, const BoardRow*> by_name(const Board& board) {
  std::map<std::string_view, const BoardRow*> out;
  for (const BoardRow& row : board.rows) out.emplace(row.name, &row);
  return out;
}

using Lookup = std::vector<std::map<std::string_view, const BoardRow*>>;

/// How much higher each competitor of a category stands there, in standard errors of its rating there.
/// Ratings are taken against the mean of those that are on both boards.
std::map<std::string_view, double> shifts(const Lookup::value_type& here, const Lookup::value_type& overall) {
  std::map<std::string_view, double> out;
  double sum = 0;
  for (const auto& [name, row] : here) {
    const auto at = overall.find(name);
    if (at == overall.end()) continue;
    const double shift = row->rating.rating - at->second->rating.rating;
    if (!std::isfinite(shift)) continue;
    out[name] = shift;
    sum += shift;
  }
  const double mean = out.empty() ? 0 : sum / static_cast<double>(out.size());
  for (auto& [name, shift] : out) {
    const double se = here.at(name)->rating.se;
    shift = se > 0 && std::isfinite(se) ? (shift - mean) / se : 0;
  }
  return out;
}

std::string category_map(const Board& board, const Categories& categories, const Lookup& found,
                         std::size_t most_rows, std::size_t most_columns, double width) {
  HeatMap map;
  map.text.title = "Ranks by category";
  map.text.description = "Each cell is a rank range; its colour compares it with the whole board.";
  map.tallest = 22;
  const std::size_t rows = std::min(board.rows.size(), most_rows);
  const std::size_t columns = std::min(categories.boards.size(), most_columns);
  map.columns.emplace_back("all");
  const auto overall = by_name(board);
  std::vector<std::map<std::string_view, double>> shift;
  for (std::size_t c = 0; c < columns; ++c) {
    map.columns.push_back(short_text(categories.boards[c].name));
    shift.push_back(shifts(found[c], overall));
  }
  for (std::size_t r = 0; r < rows; ++r) {
    const BoardRow& row = board.rows[r];
    map.rows.push_back(short_text(row.name));
    HeatMap::Cell& own = map.cells.emplace_back();
    own.value = 0;
    own.label = rank_span(row.ranks);
    own.tip = fmt::format("{}, all votes: rank {}", short_text(row.name, kMaxTipName), own.label);
    for (std::size_t c = 0; c < columns; ++c) {
      HeatMap::Cell& cell = map.cells.emplace_back();
      const auto at = found[c].find(row.name);
      cell.tip = fmt::format("{}, {}: ", short_text(row.name, kMaxTipName),
                             short_text(categories.boards[c].name, kMaxTipName));
      if (at == found[c].end()) {
        cell.tip += "no votes";
        continue;
      }
      const BoardRow& here = *at->second;
      cell.label = rank_span(here.ranks);
      // Below one standard error it is chance.
      const double z = shift[c].contains(row.name) ? shift[c].at(row.name) : 0;
      cell.value = std::abs(z) < 1 ? 0 : std::clamp(z / 5, -1.0, 1.0);
      cell.tip +=
          fmt::format("rank {}, rating {} {}, {} votes", cell.label, number_text(here.rating.rating, 1),
                      interval_text(here.rating.low, here.rating.high, 1), typographic_amount(here.votes));
    }
  }
  return heat_map(map, width);
}

std::string category_table(const Board& board, const Categories& categories, const Lookup& found) {
  const std::size_t rows = std::min(board.rows.size(), kCategoryRows);
  std::string out =
      "<div class=\"scroll\"><table class=\"standing\">\n<thead><tr><th scope=\"col\">Competitor</th><th "
      "scope=\"col\" class=\"num\">all</th>";
  for (std::size_t c = 0; c < found.size(); ++c)
    out += "<th scope=\"col\" class=\"num\">" + html_name(categories.boards[c].name) + "</th>";
  out += "</tr></thead>\n<tbody>\n";
  for (std::size_t r = 0; r < rows; ++r) {
    const BoardRow& row = board.rows[r];
    out += fmt::format("<tr><th scope=\"row\">{}</th><td class=\"num\">{}</td>", html_name(row.name),
                       rank_span(row.ranks));
    for (const auto& names : found) {
      const auto at = names.find(row.name);
      out += at == names.end() ? "<td></td>"
                               : fmt::format("<td class=\"num\">{}</td>", rank_span(at->second->ranks));
    }
    out += "</tr>\n";
  }
  return out + "</tbody>\n</table></div>\n";
}

void left_out(HtmlPage& page, const std::vector<std::string>& lines) {
  if (lines.empty()) return;
  page.paragraph("Left out:", "fineprint");
  page.add("<ul class=\"notes fineprint\">\n");
  const std::size_t shown = std::min(lines.size(), kMaxListed);
  for (std::size_t i = 0; i < shown; ++i) page.add("<li>" + html_sentence(lines[i]) + "</li>\n");
  page.add("</ul>\n");
  say_cut(page, lines.size(), shown, "of these");
}

std::string drift_chart(const Board& board, const Drift& drift, double width) {
  LineChart chart;
  chart.text.title = "Ratings over time";
  chart.text.description = "A line for each of the leaders through its rating in every span of time.";
  chart.text.y_label = "rating";
  chart.text.x_label = "span of time, by its middle";
  chart.decimals = decimals_of(board);
  chart.whiskers = true;
  const std::size_t points = std::min(drift.points.size(), kMaxWindows);
  const auto at = [](const DriftPoint& p) {
    return static_cast<double>(p.begin) / 2 + static_cast<double>(p.end) / 2;
  };
  Lookup found;
  for (std::size_t w = 0; w < points; ++w) {
    chart.x_names.emplace_back(at(drift.points[w]),
                               date_text(drift.points[w].begin / 2 + drift.points[w].end / 2));
    found.push_back(by_name(drift.points[w].board));
  }
  constexpr Ink kInks[] = {Ink::kMain, Ink::kB, Ink::kTie, Ink::kA};
  const std::size_t lines = std::min(board.rows.size(), kDriftLines);
  for (std::size_t r = 0; r < lines; ++r) {
    LineChart::Series series{short_text(board.rows[r].name), kInks[r % 4], {}, r >= 4};
    for (std::size_t w = 0; w < points; ++w) {
      const auto here = found[w].find(board.rows[r].name);
      if (here == found[w].end()) continue;
      const Rating& rating = here->second->rating;
      series.points.push_back({at(drift.points[w]), rating.rating, rating.low, rating.high});
    }
    chart.series.push_back(std::move(series));
  }
  return line_chart(chart, width, width < 520 ? 380 : 460);
}

}  // namespace

void add_style(HtmlPage& page, const RankReport& report) {
  const Board& board = report.board;
  std::vector<StyleEffect> effects = board.style;
  const bool styled = board.rows.front().styled.has_value();
  if (effects.empty() && !board.position && !styled) return;
  page.section("style", styled ? "With style taken out" : "The advantage of being shown first");
  if (styled) {
    const auto places = styled_places(board);
    page.paragraph(
        "People like long and well-formatted answers. Here the ratings are estimated together with the "
        "effect of "
        "style, so that they compare what answers would be worth in the same style. It does not say that "
        "style is "
        "unimportant.");
    page.figure(html_legend({{Ink::kA, "higher place without its style"},
                             {Ink::kB, "lower place"},
                             {Ink::kQuiet, "same place"}}) +
                    responsive(style_slopes(board, places, kWide), style_slopes(board, places, kNarrow)),
                fmt::format("Each line is a competitor, from its rating at the left to its rating with style "
                            "controlled at the right.{}",
                            board.rows.size() > kSlopeLines
                                ? fmt::format(" The first {} of {}; the board's table has all.", kSlopeLines,
                                              board.rows.size())
                                : std::string()));
    std::vector<std::size_t> movers(board.rows.size());
    std::iota(movers.begin(), movers.end(), std::size_t{0});
    const auto moved = [&](std::size_t r) {
      return places[r] == 0 ? 0.0 : std::abs(static_cast<double>(places[r]) - static_cast<double>(r + 1));
    };
    std::ranges::stable_sort(movers, std::ranges::greater{}, moved);
    if (moved(movers.front()) > 0) {
      page.subsection("movers", "Who moves most");
      std::string table =
          "<div class=\"scroll\"><table class=\"standing\">\n<thead><tr><th scope=\"col\">Competitor</th><th "
          "scope=\"col\" "
          "class=\"num\">Place by rating</th><th scope=\"col\" class=\"num\">With style controlled</th><th "
          "scope=\"col\" class=\"num\">Rating moves by</th></tr></thead>\n<tbody>\n";
      for (std::size_t k = 0; k < std::min<std::size_t>(8, movers.size()) && moved(movers[k]) > 0; ++k) {
        const BoardRow& row = board.rows[movers[k]];
        table += fmt::format(
            "<tr><th scope=\"row\">{}</th><td class=\"num\">{}</td><td class=\"num\">{}</td><td "
            "class=\"num\">{}</td></tr>\n",
            html_name(row.name), movers[k] + 1, places[movers[k]],
            shift_text(row.styled->rating - row.rating.rating, decimals_of(board)));
      }
      page.add(table + "</tbody>\n</table></div>\n");
    }
  }
  // With style control the position is among its effects already.
  if (board.position && effects.empty()) effects.push_back(*board.position);
  if (!effects.empty()) {
    page.subsection("effects", "What style does");
    page.figure(
        responsive(effects_chart(effects, kWide), effects_chart(effects, kNarrow)),
        fmt::format("A dot is the effect of one standard deviation more than the opponent's answer, the line "
                    "its {} interval. Grey ones may be nothing.",
                    format_percent(board.options.level, 0)));
    page.add("<ul class=\"notes\">\n");
    const std::size_t shown = std::min(effects.size(), kMaxListed);
    for (std::size_t i = 0; i < shown; ++i)
      page.add("<li>" + effect_words(effects[i], effects[i].name == "first position") + "</li>\n");
    page.add("</ul>\n");
    say_cut(page, effects.size(), shown, "effects");
  }
  if (board.style_left_out > 0)
    page.paragraph(fmt::format("{} votes lack one of these numbers and are left out here.",
                               format_count(board.style_left_out)),
                   "fineprint");
  if (!board.style_converged)
    page.paragraph("The fit with style did not reach its optimum: do not publish these figures.", "bad");
}

void add_categories(HtmlPage& page, const RankReport& report) {
  if (report.categories == nullptr || report.categories->boards.empty()) return;
  const Board& board = report.board;
  const Categories& categories = *report.categories;
  const std::size_t columns = std::min(categories.boards.size(), kMaxCategories);
  Lookup found;
  for (std::size_t c = 0; c < columns; ++c) found.push_back(by_name(categories.boards[c]));
  page.section("categories", fmt::format("By {}", short_text(categories.column)));
  constexpr std::size_t kColumns = 12, kNarrowColumns = 4;
  page.figure(
      html_legend({{Ink::kA, "better than on the whole board"}, {Ink::kB, "worse"}}) +
          responsive(category_map(board, categories, found, kHeatWide, kColumns, kWide),
                     category_map(board, categories, found, kHeatWide, kNarrowColumns, kNarrow)),
      fmt::format(
          "Ranges of ranks in each category, largest first. Blue cells: its rating there is higher than "
          "on the whole board, orange: lower, measured against how uncertain it is there (full colour from "
          "five standard errors, none below one). Point at a cell for rating and votes.{}",
          board.rows.size() > kHeatWide || categories.boards.size() > kColumns ? " The table below has more."
                                                                               : ""));
  page.add("<details class=\"more\"><summary>All ranks as a table</summary>\n");
  page.add(category_table(board, categories, found));
  say_cut(page, board.rows.size(), std::min(board.rows.size(), kCategoryRows), "competitors");
  say_cut(page, categories.boards.size(), columns, "categories");
  page.add("</details>\n");
  left_out(page, categories.left_out);
}

void add_drift(HtmlPage& page, const RankReport& report) {
  if (report.drift == nullptr || report.drift->points.empty()) return;
  const Board& board = report.board;
  const Drift& drift = *report.drift;
  page.section("drift", "Over time");
  page.figure(
      responsive(drift_chart(board, drift, kWide), drift_chart(board, drift, kNarrow)),
      fmt::format("Ratings of the first {} in {} equal spans of time, each fitted on its own votes, with {} "
                  "intervals. {}",
                  std::min(board.rows.size(), kDriftLines), drift.points.size(),
                  format_percent(board.options.level, 0),
                  board.options.anchor.empty()
                      ? "The mean of those present is the same in each span, so that a newcomer that is "
                        "strong pushes the others down a little."
                      : "The anchor is level by definition."));
  say_cut(page, drift.points.size(), std::min(drift.points.size(), kMaxWindows), "spans");
  left_out(page, drift.left_out);
}

}  // namespace agon::rank_report
