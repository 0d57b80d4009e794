#include "agon/ranking/report.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>

#include "agon/ranking/board_text.h"
#include "agon/ranking/report_parts.h"
#include "agon/report/number.h"
#include "agon/report/page_parts.h"

namespace agon {
namespace rank_report {

std::string short_text(const std::string& text, std::size_t max_bytes) {
  return bounded_line(text, max_bytes);
}

std::string html_name(const std::string& name) { return "<bdi>" + escape_html(short_text(name)) + "</bdi>"; }

std::string html_sentence(const std::string& text) { return bounded_html(text, kMaxSentence); }

std::string number_text(double value, int decimals) {
  return std::isfinite(value) ? typographic(format_fixed(value, decimals)) : "n/a";
}

std::string interval_text(double low, double high, int decimals) {
  return typographic_interval(low, high, decimals);
}

std::string percent_text(double share) { return std::isfinite(share) ? format_percent(share) : "n/a"; }

std::string confidence_text(double share) {
  if (!std::isfinite(share)) return "n/a";
  if (share > 0.999) return ">\u00a0" + format_percent(0.999);
  if (share < 0.001) return "<\u00a0" + format_percent(0.001);
  return format_percent(share);
}

std::string rank_span(const RankRange& ranks) {
  return ranks.best == ranks.worst ? fmt::format("{}", ranks.best)
                                   : fmt::format("{}–{}", ranks.best, ranks.worst);
}

int decimals_of(const Board& board) { return std::abs(board.options.scale) >= 20 ? 1 : 3; }

double expected_share(const Board& board, std::size_t i, std::size_t j) {
  const BoardRow &a = board.rows[i], &b = board.rows[j];
  const PairedFit& fit = board.fit;
  if (fit.parameters.size() == fit.layout.size() && a.competitor < fit.competitors() &&
      b.competitor < fit.competitors()) {
    const auto first = outcome_probabilities(fit, a.competitor, b.competitor);
    const auto second = outcome_probabilities(fit, b.competitor, a.competitor);
    return (first[0] + second[1] + (first[2] + first[3] + second[2] + second[3]) / 2) / 2;
  }
  // A composite board has no fit of its own: the logistic curve of the ratings.
  return 1 / (1 + std::exp((b.rating.rating - a.rating.rating) / board.options.scale));
}

std::string name_of(const Board& board, std::uint32_t competitor) {
  return competitor < board.names.size() ? board.names[competitor] : fmt::format("no. {}", competitor);
}

bool fits(const Board& board, const Matrix& matrix) {
  const std::size_t n = board.rows.size();
  return n > 0 && matrix.rows == n && matrix.cols == n && matrix.values.size() == n * n;
}

namespace {

std::string_view tie_gloss(TieModel model) {
  switch (model) {
    case TieModel::kHalf:
      return "A tie is half a win for each. No probability is given to a tie.";
    case TieModel::kDavidson:
      return "A tie is an outcome of its own, likeliest between equals (Davidson 1970).";
    case TieModel::kRaoKupper:
      return "People call a tie when the difference is too small to notice (Rao and Kupper 1967).";
    case TieModel::kBadThreshold:
      return "As Rao and Kupper, and both are bad when neither reaches a threshold.";
  }
  return {};
}

/// "eta 0.45, threshold 1.2" as it is, but in words where no vote spoke of both being bad.
std::string parameter_words(const TieComparison& t) {
  constexpr std::string_view kNone = "threshold -inf";
  std::string text = t.parameter;
  if (const std::size_t at = text.find(kNone); at != std::string::npos)
    text.replace(at, kNone.size(), "no vote called both bad");
  return text + (t.converged ? "" : "; NOT CONVERGED");
}

std::string_view intervals_gloss(const Board& board) {
  if (!board.composite.empty()) return "from the categories' fits, which share votes";
  switch (board.options.intervals) {
    case IntervalKind::kSandwich:
      return "sandwich (Huber-White): right for independent votes even where the model is only an "
             "approximation";
    case IntervalKind::kModel:
      return "inverse information: right when the model is and votes are independent";
    case IntervalKind::kClustered:
      return "sandwich over clusters: right also when votes of one cluster go together";
    case IntervalKind::kBootstrap:
      return "bootstrap: the board fitted again to votes drawn anew";
    case IntervalKind::kClusteredBootstrap:
      return "bootstrap of whole clusters: right also when votes of one cluster go together";
    case IntervalKind::kProfile:
      return "profile likelihood";
  }
  return {};
}

}  // namespace

void add_ties(HtmlPage& page, const RankReport& report) {
  const Board& board = report.board;
  if (board.ties.empty()) return;
  page.section("ties", "How ties were treated");
  page.paragraph(
      "There is more than one way to read a tie. Each was fitted to the same votes. The lower the surprise a "
      "vote, the better a model foresaw what people said, but only models of the same outcomes can be "
      "compared.");
  std::string table =
      "<div class=\"scroll\"><table>\n<thead><tr><th scope=\"col\">Model</th><th scope=\"col\" "
      "class=\"num\">Surprise a vote (nats)</th><th scope=\"col\" class=\"num\">Votes</th><th "
      "scope=\"col\">Estimated</th><th scope=\"col\">Tells apart</th></tr></thead>\n<tbody>\n";
  const TieComparison *davidson = nullptr, *rao = nullptr;
  for (const TieComparison& t : board.ties) {
    const bool chosen = t.model == board.options.model.ties;
    if (t.error.empty() && t.model == TieModel::kDavidson) davidson = &t;
    if (t.error.empty() && t.model == TieModel::kRaoKupper) rao = &t;
    table += fmt::format(
        "<tr><td><b>{}</b>{}<span class=\"gloss\">{}</span></td><td class=\"num\">{}</td><td "
        "class=\"num\">{}</td><td>{}</td><td>{}</td></tr>\n",
        tie_model_name(t.model), chosen ? " (this board)" : "", tie_gloss(t.model),
        t.error.empty() ? number_text(t.loss, 6) : "n/a",
        t.error.empty() ? typographic_amount(t.votes) : "n/a",
        html_sentence(t.error.empty() ? parameter_words(t) : t.error),
        t.model == TieModel::kHalf           ? "win, loss"
        : t.model == TieModel::kBadThreshold ? "win, loss, tie, both bad"
                                             : "win, loss, tie");
  }
  page.add(table + "</tbody>\n</table></div>\n");
  std::string verdict;
  if (davidson != nullptr && rao != nullptr && std::isfinite(davidson->loss) && std::isfinite(rao->loss)) {
    const double gap = davidson->loss - rao->loss;
    verdict = std::abs(gap) < 5e-7
                  ? "Davidson and Rao-Kupper describe these votes equally well. "
                  : fmt::format("Of davidson and rao-kupper, {} describes these votes better, by {} a vote. ",
                                gap > 0 ? "rao-kupper" : "davidson", number_text(std::abs(gap), 6));
  }
  page.paragraph(
      verdict +
      "The figure of half is lower only because it foresees two outcomes, not three: it gives a tie no "
      "probability, so it cannot be compared with the others. bad-threshold foresees four outcomes and "
      "stands "
      "alone too.");
}

void add_provenance(HtmlPage& page, const RankReport& report) {
  const Board& board = report.board;
  const BoardOptions& o = board.options;
  page.section("provenance", "How it was made");
  page.paragraph("With the same files, options, seed and version the same command gives the same board.");
  std::vector<std::pair<std::string, std::string>> facts;
  facts.emplace_back("Method", method_words(board));
  facts.emplace_back("Fit", fit_words(board));
  if (board.composite.empty()) {
    facts.emplace_back("Penalty", board.fit.penalty().empty()
                                      ? "none: plain maximum likelihood, to the exact optimum"
                                      : board.fit.penalty());
  }
  facts.emplace_back("Intervals",
                     fmt::format("{}, {}; critical value {} for one competitor, {} for all at once",
                                 format_percent(o.level, 0), intervals_gloss(board), format_fixed(board.z, 3),
                                 board.z_all > 0 ? format_fixed(board.z_all, 3) : "n/a"));
  if (board.failed_draws > 0)
    facts.emplace_back("Draws that had no finite ratings", format_count(board.failed_draws));
  facts.emplace_back("Scale", fmt::format("{} points for odds of 10 to 1 (400 is Elo's)",
                                          format_short(o.scale * std::log(10.0), 5)));
  facts.emplace_back("Anchor",
                     o.anchor.empty()
                         ? fmt::format("the mean of all ratings is {}", format_short(o.base, 8))
                         : fmt::format("{} is set to {}: this moves all ratings together and no interval",
                                       short_text(o.anchor), format_short(o.base, 8)));
  if (o.balance_pairs) facts.emplace_back("Weights", "every pair counts alike, however often it met");
  facts.emplace_back("Seed", fmt::format("{}", o.seed));
  const std::size_t shown = std::min(report.provenance.size(), kMaxListed);
  for (std::size_t i = 0; i < shown; ++i) facts.push_back(report.provenance[i]);
  page.add(html_facts(facts, kMaxName, kMaxSentence));
  say_cut(page, report.provenance.size(), shown, "lines");
}

}  // namespace rank_report

std::string render_rank_report(const RankReport& report) {
  using namespace rank_report;
  HtmlPage page(report.title.empty() ? "Leaderboard" : short_text(report.title));
  add_headline(page, report);
  if (!report.board.rows.empty()) {
    add_board(page, report);
    add_pairs(page, report);
    add_better(page, report);
    add_style(page, report);
    add_categories(page, report);
    add_drift(page, report);
    add_ties(page, report);
  }
  add_graph(page, report);
  add_provenance(page, report);
  page.footer(
      "Made by agon. This page is one file: it loads nothing, runs nothing, and can be mailed or printed as "
      "it is.");
  return page.finish();
}

}  // namespace agon
