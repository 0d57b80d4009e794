// Pairs on the leaderboard's page: who beat whom, how often they met, whether one is shown to be better,
// and what the graph of votes can bear.
#include <fmt/format.h>

#include <algorithm>
#include <cmath>

#include "agon/ranking/report_parts.h"
#include "agon/report/number.h"
#include "agon/report/svg.h"

namespace agon::rank_report {
namespace {

constexpr double kFewVotes = 10;  // below, a pair's own win rate says next to nothing

std::string label_of(const Board& board, std::size_t r) {
  return fmt::format("{} {}", r + 1, short_text(board.rows[r].name));
}
std::string tip_name(const Board& board, std::size_t r) {
  return short_text(board.rows[r].name, kMaxTipName);
}

HeatMap empty_map(const Board& board, std::size_t n) {
  HeatMap map;
  for (std::size_t r = 0; r < n; ++r) {
    map.rows.push_back(label_of(board, r));
    map.columns.push_back(label_of(board, r));
  }
  map.cells.resize(n * n);
  return map;
}

/// The distance from even that has the full colour: that of the pair furthest from it, within bounds.
double full_colour(const Board& board) {
  double most = 0.15;
  const std::size_t n = std::min(board.rows.size(), kHeatWide);
  for (std::size_t i = 0; i < n; ++i)
    for (std::size_t j = 0; j < n; ++j)
      if (i != j && board.met(i, j) >= kFewVotes)
        most = std::max(most, std::abs(board.won(i, j) / board.met(i, j) - 0.5));
  return std::min(0.5, std::ceil(most * 20 - 1e-9) / 20);
}

std::string win_map(const Board& board, std::size_t most, double full, double width) {
  const std::size_t n = std::min(board.rows.size(), most);
  HeatMap map = empty_map(board, n);
  map.text.title = "Win rates of pairs";
  map.text.description = "Each cell is the share of wins of the row's competitor against the column's.";
  for (std::size_t i = 0; i < n; ++i) {
    for (std::size_t j = 0; j < n; ++j) {
      HeatMap::Cell& cell = map.cells[i * n + j];
      if (i == j) {
        cell.blank = true;
        continue;
      }
      const double votes = board.met(i, j);
      const double expected = expected_share(board, i, j);
      cell.tip = fmt::format("{} against {}: ", tip_name(board, i), tip_name(board, j));
      if (votes > 0) {
        const double share = board.won(i, j) / votes;
        cell.value = (share - 0.5) / full;
        cell.label = number_text(share * 100, 0);
        cell.small = votes < kFewVotes;
        cell.tip += fmt::format("won {} of {} votes; the ratings expect {}", percent_text(share),
                                typographic_amount(votes), percent_text(expected));
      } else {
        cell.tip += fmt::format("never met; the ratings expect {}", percent_text(expected));
      }
    }
  }
  return heat_map(map, width);
}

std::string count_map(const Board& board, std::size_t most, double width) {
  const std::size_t n = std::min(board.rows.size(), most);
  HeatMap map = empty_map(board, n);
  map.text.title = "Votes between pairs";
  map.text.description = "Each cell is the number of votes on the row's and the column's competitor.";
  map.above = Ink::kMain;
  double largest = 0, least = INFINITY;
  for (std::size_t i = 0; i < n; ++i) {
    for (std::size_t j = 0; j < i; ++j) {
      const double votes = board.met(i, j);
      if (!(votes > 0) || !std::isfinite(votes)) continue;
      largest = std::max(largest, votes);
      least = std::min(least, votes);
    }
  }
  // Counts that hardly differ shall not look as if they did.
  least = std::min(least, largest / 10);
  for (std::size_t i = 0; i < n; ++i) {
    for (std::size_t j = 0; j < n; ++j) {
      HeatMap::Cell& cell = map.cells[i * n + j];
      const double votes = board.met(i, j);
      // The upper half says the same.
      cell.blank = j >= i;
      if (cell.blank) continue;
      cell.tip = fmt::format("{} and {}: {}", tip_name(board, i), tip_name(board, j),
                             votes > 0 ? typographic_amount(votes) + " votes" : "never met");
      if (!(votes > 0)) continue;
      cell.value = 0.1 + 0.7 * std::log(votes / least) / std::log(largest / least);
      cell.label = votes < 1000    ? number_text(votes, 0)
                   : votes < 99500 ? fmt::format("{}k", number_text(votes / 1000, votes < 9950 ? 1 : 0))
                                   : fmt::format("{}k", number_text(votes / 1000, 0));
    }
  }
  return heat_map(map, width);
}

/// "97.4", without the sign: for tables full of them.
std::string bare_percent(double share) {
  std::string text = confidence_text(share);
  if (const std::size_t at = text.find("\u00a0%"); at != std::string::npos) text.resize(at);
  if (const std::size_t at = text.find("\u00a0"); at != std::string::npos) text.erase(at, 2);
  return text;
}

struct PairLook {
  std::size_t i = 0, j = 0;
  double votes = 0, share = 0, expected = 0, order = 0;
};

/// The `most` pairs of largest `order`; `look` fills it, NaN leaves a pair out. i is the one that won more.
template <class Look>
std::vector<PairLook> leading_pairs(const Board& board, std::size_t most, const Look& look) {
  std::vector<PairLook> out;
  const std::size_t n = board.rows.size();
  const auto before = [](const PairLook& a, const PairLook& b) {
    return a.order != b.order ? a.order > b.order : a.i != b.i ? a.i < b.i : a.j < b.j;
  };
  for (std::size_t i = 0; i < n; ++i) {
    for (std::size_t j = i + 1; j < n; ++j) {
      const double votes = board.met(i, j);
      if (!(votes >= kFewVotes)) continue;
      PairLook one{i, j, votes, board.won(i, j) / votes, 0, 0};
      if (one.share < 0.5) one = {j, i, votes, 1 - one.share, 0, 0};
      one.order = look(one);
      if (!std::isfinite(one.order)) continue;
      if (out.size() == most && !before(one, out.back())) continue;
      out.insert(std::upper_bound(out.begin(), out.end(), one, before), one);
      if (out.size() > most) out.pop_back();
    }
  }
  for (PairLook& one : out) one.expected = expected_share(board, one.i, one.j);
  return out;
}

std::string pair_table(const Board& board, const std::vector<PairLook>& pairs) {
  std::string out =
      "<div class=\"scroll\"><table>\n<thead><tr><th scope=\"col\">Pair</th><th scope=\"col\" "
      "class=\"num\">Votes</th><th scope=\"col\" class=\"num\">Won</th><th scope=\"col\" "
      "class=\"num\">Expected</th></tr></thead>\n<tbody>\n";
  for (const PairLook& p : pairs) {
    out += fmt::format(
        "<tr><td><b>{}</b> against {}</td><td class=\"num\">{}</td><td class=\"num\">{}</td><td "
        "class=\"num\">{}</td></tr>\n",
        html_name(board.rows[p.i].name), html_name(board.rows[p.j].name), typographic_amount(p.votes),
        percent_text(p.share), percent_text(p.expected));
  }
  return out + "</tbody>\n</table></div>\n";
}

double total(const Matrix& m) {
  double sum = 0;
  for (const double v : m.values) sum += v;
  return sum;
}

std::string names_of(const Board& board, const std::vector<std::uint32_t>& competitors, std::size_t most) {
  std::string out;
  const std::size_t shown = std::min(competitors.size(), most);
  for (std::size_t i = 0; i < shown; ++i)
    out += (i > 0 ? ", " : "") + html_name(name_of(board, competitors[i]));
  if (shown < competitors.size()) out += fmt::format(" and {} more", competitors.size() - shown);
  return out;
}

/// What can be said of the graph, in words (HTML).
std::vector<std::string> graph_words(const Board& board) {
  const GraphHealth& g = board.graph;
  std::vector<std::string> out;
  const std::size_t n = board.rows.size();
  if (n < 2 || g.pairs_possible == 0) return out;
  if (g.meeting.count == 1) {
    out.emplace_back(
        "Everyone is linked to everyone by a chain of votes, so all ratings stand on one scale.");
  } else if (g.meeting.count > 1) {
    out.push_back(fmt::format(
        "The votes fall into {} groups that never met. Ratings of different groups cannot be compared.",
        g.meeting.count));
  }
  if (g.wins.count > 1) {
    out.push_back(
        fmt::format("There are {} groups of which one never lost a vote to another: without a penalty their "
                    "distance would "
                    "be infinite.",
                    g.wins.count));
  }
  out.push_back(fmt::format(
      "{} of {} possible pairs met ({}).", format_count(g.pairs_met), format_count(g.pairs_possible),
      format_percent(static_cast<double>(g.pairs_met) / static_cast<double>(g.pairs_possible))));
  if (std::isfinite(g.normalised_connectivity)) {
    const double c = g.normalised_connectivity;
    out.push_back(fmt::format(
        "Connectivity is {} on a scale where 1 is as good as everyone meeting everyone alike and 0 is "
        "falling "
        "apart: {}.",
        format_fixed(c, 3),
        c < 0.05  ? "two groups hardly met, and ratings across them are far less certain than within"
        : c < 0.3 ? "the votes are unevenly spread, which costs certainty but misleads nobody"
                  : "the votes are well spread"));
    if (c < 0.3 && !g.weakest_side.empty() && g.weakest_side.size() <= 12)
      out.push_back("Least linked to the others: " + names_of(board, g.weakest_side, 12) + ".");
  }
  if (!g.thin.empty()) {
    out.push_back(fmt::format(
        "{} pairs met with fewer than {} votes (small squares in the map): their own win rates say next to "
        "nothing, and the ratings hardly use them.",
        format_count(g.thin.size()), format_short(ExamineGraph{}.thin_votes)));
  }
  if (!g.bridges.empty()) {
    const Bridge& b = g.bridges.front();
    const std::string pair = html_name(name_of(board, b.a)) + " and " + html_name(name_of(board, b.b));
    out.push_back(
        g.bridges.size() == 1
            ? fmt::format("One pair alone holds two parts of the board together: {} ({} votes). A mistake "
                          "in them moves {}.",
                          pair, typographic_amount(b.votes), names_of(board, b.cut_off, 4))
            : fmt::format("{} pairs are each the only link between two parts of the board, among them {} "
                          "({} votes): a mistake in these moves {}.",
                          format_count(g.bridges.size()), pair, typographic_amount(b.votes),
                          names_of(board, b.cut_off, 4)));
  } else if (g.meeting.count == 1 && n > 2) {
    out.emplace_back(
        "No single pair holds the board together: take any pair's votes away and all stay linked.");
  }
  if (!g.one_opponent.empty()) {
    out.push_back(fmt::format(
        "{} met one opponent only; such a rating stands and falls with that opponent's: {}.",
        g.one_opponent.size() == 1 ? "One competitor" : format_count(g.one_opponent.size()) + " competitors",
        names_of(board, g.one_opponent, 6)));
  }
  return out;
}

}  // namespace

void add_pairs(HtmlPage& page, const RankReport& report) {
  const Board& board = report.board;
  const std::size_t n = board.rows.size();
  if (n < 2 || !fits(board, board.met) || !fits(board, board.won) || !(total(board.met) > 0)) return;
  page.section("pairs", "Who beat whom");
  const double full = full_colour(board);
  const auto which = [&](std::size_t wide, std::size_t narrow) {
    return n > narrow ? fmt::format(" Shown are the first {} of {}, {} on a narrow screen.",
                                    std::min(n, wide), n, narrow)
                      : std::string();
  };
  page.figure(
      html_legend({{Ink::kA, "the row's competitor won more"}, {Ink::kB, "it lost more"}}) +
          responsive(win_map(board, kHeatWide, full, kWide), win_map(board, kHeatNarrow, full, kNarrow)),
      fmt::format(
          "A cell says how many of a hundred votes the row's competitor won against the column's, a tie "
          "being half a win{}. Full colour is {} and {}. Small squares stand on fewer than ten votes; "
          "crossed-out cells are pairs that never met. Point at a cell for its votes and for what the "
          "ratings expect.{}",
          board.options.model.drop_both_bad && board.options.model.ties != TieModel::kBadThreshold
              ? " and votes of \"both bad\" being left out"
              : "",
          format_percent(0.5 + full, 0), format_percent(0.5 - full, 0), which(kHeatWide, kHeatNarrow)));
  page.subsection("counts", "How often they met");
  page.figure(
      responsive(count_map(board, kCountWide, kWide), count_map(board, kCountNarrow, kNarrow)),
      "Votes on each pair; each step of colour is the same factor. Crossed-out cells are pairs that never "
      "met: their order rests on opponents they share." +
          which(kCountWide, kCountNarrow));
}

void add_better(HtmlPage& page, const RankReport& report) {
  const Board& board = report.board;
  const std::size_t n = std::min(board.rows.size(), kBetter);
  if (n < 2 || !fits(board, board.better_corrected)) return;
  const bool alone = fits(board, board.better);
  page.section("better", "Is A better than B?");
  page.paragraph(
      fmt::format("How sure it is, in per cent, that the competitor of the row is better than that of the "
                  "column when all {} "
                  "pairs are asked about at once. Coloured cells reach {}: those may be claimed together. "
                  "The others are open, "
                  "which does not mean that both are equally good.{}",
                  format_count(static_cast<std::uint64_t>(board.rows.size()) * (board.rows.size() - 1) / 2),
                  format_percent(board.options.level, 0),
                  alone ? " The small figure is how sure it would be if that pair had been the only "
                          "question, chosen before "
                          "looking at the votes."
                        : ""));
  std::string table =
      "<div class=\"scroll\"><table class=\"versus\">\n<thead><tr><th scope=\"col\">better than</th>";
  for (std::size_t j = 1; j < n; ++j) {
    table += fmt::format("<th scope=\"col\" class=\"num\" title=\"{}\">{}</th>",
                         escape_html(short_text(board.rows[j].name)), j + 1);
  }
  table += "</tr></thead>\n<tbody>\n";
  for (std::size_t i = 0; i + 1 < n; ++i) {
    table += fmt::format("<tr><th scope=\"row\">{} {}</th>", i + 1, html_name(board.rows[i].name));
    for (std::size_t j = 1; j < n; ++j) {
      if (j <= i) {
        table += "<td></td>";
        continue;
      }
      const double sure = board.better_corrected(i, j);
      const bool shown = sure >= board.options.level;
      table +=
          fmt::format("<td class=\"num {}\" title=\"{}\">{}{}</td>", shown ? "shown" : "open",
                      escape_html(fmt::format("{} better than {}: {}", tip_name(board, i), tip_name(board, j),
                                              shown || sure >= 0.5 ? confidence_text(sure) : "open")),
                      shown || sure >= 0.5 ? escape_html(bare_percent(sure)) : "open",
                      alone ? "<small>" + escape_html(bare_percent(board.better(i, j))) + "</small>" : "");
    }
    table += "</tr>\n";
  }
  page.add(table + "</tbody>\n</table></div>\n");
  std::string last = html_name(board.rows[n - 1].name);
  page.add(fmt::format("<p class=\"fineprint\">{} is {}.</p>\n", n, last));
}

void add_graph(HtmlPage& page, const RankReport& report) {
  const Board& board = report.board;
  const std::vector<std::string> words = graph_words(board);
  const bool counted = board.rows.size() > 1 && fits(board, board.met) && fits(board, board.won);
  const std::size_t all = board.warnings.size() + report.health.size();
  if (words.empty() && all <= kWarnings && !counted) return;
  page.section("health", "Can these votes bear a ranking?");
  page.add("<ul class=\"notes\">\n");
  for (const std::string& line : words) page.add("<li>" + line + "</li>\n");
  // The first of the warnings stand at the top of the page.
  std::size_t at = 0;
  for (const auto* lines : {&board.warnings, &report.health}) {
    for (const std::string& line : *lines) {
      if (at >= kWarnings && at < kMaxListed) page.add("<li>" + html_sentence(line) + "</li>\n");
      ++at;
    }
  }
  page.add(fmt::format("<li>{}</li>\n", all == 0   ? "There are no warnings."
                                        : all == 1 ? "One warning stands at the top of this page."
                                                   : "Warnings stand at the top of this page."));
  page.add("</ul>\n");
  say_cut(page, all, std::min(all, kMaxListed), "findings");
  if (!counted) return;
  const auto lopsided = leading_pairs(board, 8, [](const PairLook& p) {
    // The lower end of Wilson's interval: a shut-out of 10 is less lopsided than one of 100.
    const double z = 1.96, n = p.votes;
    return (p.share + z * z / (2 * n) - z * std::sqrt(p.share * (1 - p.share) / n + z * z / (4 * n * n))) /
           (1 + z * z / n);
  });
  const auto odd = leading_pairs(board, 8, [&](const PairLook& p) {
    const double expected = expected_share(board, p.i, p.j);
    const double spread = std::sqrt(expected * (1 - expected) / p.votes);
    return spread > 0 ? std::abs(p.share - expected) / spread : std::nan("");
  });
  if (!lopsided.empty()) {
    page.subsection("lopsided", "The most lopsided pairings");
    page.add(pair_table(board, lopsided));
  }
  if (!odd.empty()) {
    page.subsection("surprises", "Where people disagree most with the ratings");
    page.paragraph(
        "One number for each competitor cannot say who beats whom in every case. These pairs lie furthest "
        "from "
        "what the ratings expect, measured against chance; with many pairs some always do.",
        "fineprint");
    page.add(pair_table(board, odd));
  }
}

}  // namespace agon::rank_report
