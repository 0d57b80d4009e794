// The first screens of the leaderboard's page: who leads and how surely, and the board itself.
#include <fmt/format.h>

#include <algorithm>
#include <cmath>

#include "agon/ranking/board_text.h"
#include "agon/ranking/report_parts.h"
#include "agon/report/number.h"
#include "agon/report/svg.h"

namespace agon::rank_report {
namespace {

std::string total_votes(const Board& board) {
  double sum = 0;
  for (const BoardRow& row : board.rows) sum += row.votes;
  return board.battles > 0 ? format_count(board.battles) : typographic_amount(sum / 2);
}

/// Everyone who may hold the first place.
std::vector<const BoardRow*> contenders(const Board& board) {
  std::vector<const BoardRow*> out;
  for (const BoardRow& row : board.rows)
    if (row.ranks.best == 1) out.push_back(&row);
  return out;
}

std::string name_list(const std::vector<const BoardRow*>& rows, std::size_t most) {
  std::string out;
  const std::size_t shown = rows.size() <= most + 1 ? rows.size() : most;
  for (std::size_t i = 0; i < shown; ++i) {
    if (i > 0) out += i + 1 == rows.size() ? " and " : ", ";
    out += "<b>" + html_name(rows[i]->name) + "</b>";
  }
  if (shown < rows.size()) out += fmt::format(" and {} more", rows.size() - shown);
  return out;
}

/// Who leads, in two or three sentences (HTML).
std::string lede(const Board& board) {
  const std::size_t n = board.rows.size();
  const BoardRow& top = board.rows.front();
  const std::string level = format_percent(board.options.level, 0);
  if (n == 1) return html_name(top.name) + " is the only competitor: there is nobody to compare it with.";
  const auto first = contenders(board);
  const std::size_t beaten = n >= top.ranks.worst ? n - top.ranks.worst : 0;
  if (first.size() <= 1) {
    return fmt::format(
        "<b>{}</b> leads. With {} certainty the people who voted prefer it to {}.", html_name(top.name),
        level, n == 2 ? "the other competitor" : fmt::format("each of the other {} competitors", n - 1));
  }
  std::string text = fmt::format("The first place is not settled: {} competitors may hold it, {}. ",
                                 first.size(), name_list(first, 4));
  text += fmt::format("<b>{}</b> has the highest rating", html_name(top.name));
  if (beaten > 0) {
    text += fmt::format(
        " and is shown to be better than {} of the other {} ({} certainty for all such "
        "statements at once).",
        beaten, n - 1, level);
  } else {
    text += fmt::format(", yet it is not shown to be better than any other (at {} certainty).", level);
  }
  return text;
}

std::string tiles(const Board& board) {
  const std::size_t n = board.rows.size();
  const BoardRow& top = board.rows.front();
  const int d = decimals_of(board);
  const std::size_t beaten = n >= top.ranks.worst ? n - top.ranks.worst : 0;
  std::string out = "<div class=\"tiles\">\n";
  out += html_tile("Highest rating", number_text(top.rating.rating, d),
                   interval_text(top.rating.low, top.rating.high, d), short_text(top.name, kMaxTipName));
  out += html_tile("Its rank", rank_words(top.ranks), fmt::format("of {}", format_count(n)),
                   fmt::format("shown to be better than {} of the {} others", beaten, n - 1));
  const auto first = contenders(board);
  out += html_tile(
      "May be first", format_count(first.size()), first.size() == 1 ? "competitor" : "competitors",
      first.size() <= 1 ? "the first place is settled" : "nobody was shown to be better than these");
  std::string met;
  if (board.graph.pairs_possible > 0)
    met = fmt::format("{} of {} pairs met", format_count(board.graph.pairs_met),
                      format_count(board.graph.pairs_possible));
  out += html_tile("Votes", total_votes(board), met, fmt::format("on {} competitors", format_count(n)));
  std::vector<double> half;
  for (const BoardRow& row : board.rows)
    if (std::isfinite(row.rating.high - row.rating.low))
      half.push_back((row.rating.high - row.rating.low) / 2);
  std::ranges::sort(half);
  out += html_tile("Typical uncertainty",
                   half.empty() ? "n/a" : "±\u00a0" + number_text(half[half.size() / 2], d), "rating points",
                   fmt::format("half the competitors have a narrower {} interval",
                               format_percent(board.options.level, 0)));
  out += html_tile("Fit", board.fit.converged ? "converged" : "not converged",
                   fmt::format("{} iterations", board.fit.iterations),
                   board.fit.converged ? "the ratings are the exact optimum" : "do not publish these ratings",
                   board.fit.converged ? "good" : "bad");
  return out + "</div>\n";
}

std::vector<std::string> meaning(const Board& board) {
  std::vector<std::string> out;
  const double points = std::abs(board.options.scale) >= 20 ? 100 : 1;
  const double share = 1 / (1 + std::exp(-points / board.options.scale));
  if (std::isfinite(share)) {
    out.push_back(fmt::format(
        "Only differences of ratings mean something: {} points more is about {} of the wins in direct "
        "comparison (a tie being half a win), wherever on the scale.",
        format_short(points), format_percent(share, 0)));
  }
  out.push_back(
      fmt::format("\"Rank 2 to 5\" says that one competitor was shown to be better and all below the fifth "
                  "to be worse. All "
                  "these ranges hold together with {} certainty, so the table may be read as a whole.",
                  format_percent(board.options.level, 0)));
  out.emplace_back(
      "The certainty is about chance only: other votes of the same people on the same kind of prompts. It "
      "knows nothing of another crowd, other tasks, or votes that were not honest.");
  return out;
}

std::string ratings_chart(const Board& board, double width) {
  DotChart chart;
  const std::size_t shown = std::min(board.rows.size(), kOpenRows);
  chart.text.title = fmt::format("Ratings of the first {} of {}", shown, board.rows.size());
  chart.text.description =
      "A dot for each rating; thick whiskers for one competitor, thin ones for all at once.";
  chart.text.x_label = "rating (further right is better)";
  chart.decimals = std::min(decimals_of(board), 1) == 1 ? 0 : decimals_of(board);
  if (std::abs(board.options.scale) < 20) chart.decimals = 2;
  chart.row_height = 22;
  for (std::size_t r = 0; r < shown; ++r) {
    const BoardRow& row = board.rows[r];
    DotChart::Row one{short_text(row.name),
                      "rank " + rank_span(row.ranks),
                      row.rating.rating,
                      row.rating.low,
                      row.rating.high,
                      row.ranks.best == 1 ? Ink::kB : Ink::kMain,
                      false};
    one.outer_low = row.low_all;
    one.outer_high = row.high_all;
    chart.rows.push_back(std::move(one));
  }
  return dot_chart(chart, width);
}

/// "1315.2" and its interval beneath.
std::string with_interval(double value, double low, double high, int decimals) {
  return fmt::format("<td class=\"num\">{}<small>{}</small></td>", number_text(value, decimals),
                     interval_text(low, high, decimals));
}

std::string table_rows(const Board& board, std::size_t from, std::size_t to) {
  const int d = decimals_of(board);
  const bool styled = board.rows.front().styled.has_value(), elo = board.rows.front().elo.has_value();
  const auto head = [](std::string_view name) {
    return fmt::format("<th scope=\"col\" class=\"num\">{}</th>", name);
  };
  // With further ratings the interval stands beneath the rating, as it does in theirs: nine columns side by
  // side are wider than the page.
  const bool stacked = styled || elo;
  const std::string interval = format_percent(board.options.level, 0) + " interval";
  std::string out =
      "<div class=\"scroll\"><table class=\"standing\">\n<thead><tr>" + head("Rank") +
      "<th scope=\"col\">Competitor</th>" +
      (stacked ? head("Rating<small>" + interval + "</small>") : head("Rating") + head(interval)) +
      head(stacked ? "For all<small>at once</small>" : "For all at once") + head("Votes") + head("Win rate");
  if (styled) out += head("Style<small>controlled</small>");
  if (elo) out += head("Elo<small>by order</small>");
  out += "</tr></thead>\n<tbody>\n";
  for (std::size_t r = from; r < to; ++r) {
    const BoardRow& row = board.rows[r];
    out += fmt::format(
        "<tr><td class=\"num\">{}</td><th scope=\"row\">{}</th><td class=\"num\"><b>{}</b>{}{}{}<td "
        "class=\"num "
        "soft\">{}</td><td class=\"num\">{}</td><td class=\"num\">{}</td>",
        rank_span(row.ranks), html_name(row.name), number_text(row.rating.rating, d),
        stacked ? "<small>" : "</td><td class=\"num\">", interval_text(row.rating.low, row.rating.high, d),
        stacked ? "</small></td>" : "</td>", interval_text(row.low_all, row.high_all, d),
        typographic_amount(row.votes), percent_text(row.win_rate()));
    constexpr std::string_view kNone = "<td class=\"num\">n/a</td>";
    if (styled)
      out += row.styled ? with_interval(row.styled->rating, row.styled->low, row.styled->high, d) : kNone;
    if (elo) out += row.elo ? with_interval(row.elo->in_order, row.elo->low, row.elo->high, d) : kNone;
    out += "</tr>\n";
  }
  return out + "</tbody>\n</table></div>\n";
}

}  // namespace

void add_headline(HtmlPage& page, const RankReport& report) {
  const Board& board = report.board;
  std::string head = fmt::format(
      "<p class=\"kicker\">{}</p>\n<h1>{}</h1>\n",
      board.name.empty() || board.name == "all" ? std::string("Leaderboard")
                                                : "Leaderboard: " + escape_html(short_text(board.name)),
      escape_html(report.title.empty() ? "Leaderboard" : short_text(report.title)));
  if (board.rows.empty()) {
    page.header(head + "<p class=\"lede\">There are no competitors with votes, so there is no board.</p>\n");
    return;
  }
  page.header(head + "<p class=\"lede\">" + lede(board) + "</p>\n");
  page.section("headline", "In short");
  page.add(tiles(board));
  const std::size_t all = board.warnings.size() + report.health.size();
  if (all > 0) {
    page.add("<div class=\"meaning caution\"><h3>Before you rely on it</h3>\n<ul>\n");
    std::size_t shown = 0;
    for (const auto* lines : {&board.warnings, &report.health}) {
      for (const std::string& line : *lines) {
        if (shown++ < kWarnings) page.add("<li>" + html_sentence(line) + "</li>\n");
      }
    }
    if (all > kWarnings) {
      page.add(fmt::format("<li>{} more stand <a href=\"#health\">further down</a>.</li>\n",
                           format_count(all - kWarnings)));
    }
    page.add("</ul></div>\n");
  }
  page.add("<div class=\"meaning\"><h3>What this means</h3>\n<ul>\n");
  for (const std::string& line : meaning(board)) page.add("<li>" + escape_html(line) + "</li>\n");
  page.add("</ul></div>\n");
}

void add_board(HtmlPage& page, const RankReport& report) {
  const Board& board = report.board;
  const std::size_t n = board.rows.size();
  page.section("board", "The board");
  page.figure(
      html_legend({{Ink::kB, "may be first"}, {Ink::kMain, "shown not to be first"}}) +
          responsive(ratings_chart(board, kWide), ratings_chart(board, kNarrow)),
      fmt::format(
          "Each dot is a rating. The thick line is its own {0} interval, the thin one reaches as far as "
          "is needed for all intervals to hold at once. Two competitors whose thick lines overlap may "
          "still be told apart, since they met the same opponents: the rank ranges say which were.{1}",
          format_percent(board.options.level, 0),
          n > kOpenRows ? fmt::format(" The first {} of {}; the table has all.", kOpenRows, n) : ""));
  const std::size_t last = std::min(n, kMaxRows);
  const std::size_t open = last <= kOpenRows + 10 ? last : kOpenRows;
  page.paragraph(
      "Rank is the range of places that the votes allow. \"For all at once\" is the interval that holds for "
      "the whole table. The win rate counts a tie "
      "as half a win and depends on whom a competitor met: the rating does not.",
      "fineprint");
  page.add(table_rows(board, 0, open));
  if (open < last) {
    page.add(fmt::format("<details class=\"more\"><summary>Places {} to {}</summary>\n", open + 1, last));
    page.add(table_rows(board, open, last));
    page.add("</details>\n");
  }
  say_cut(page, n, last, "competitors");
}

}  // namespace agon::rank_report
