// The rows that surprised the model most, with their text: read safely, folded, cut where too long.
#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <cmath>

#include "agon/preference/report_parts.h"
#include "agon/report/number.h"
#include "agon/report/svg.h"

namespace agon::report_parts {
namespace {

constexpr std::size_t kMaxTurns = 6;  // of one conversation; the last ones, which were judged
constexpr std::size_t kMaxRowBytes = 30'000;
constexpr std::size_t kSnippetBytes = 240;

std::string_view outcome_name(Outcome outcome) {
  switch (outcome) {
    case Outcome::kA:
      return "A won";
    case Outcome::kB:
      return "B won";
    case Outcome::kTie:
      return "tie";
    case Outcome::kUnknown:
      break;
  }
  return "not known";
}

std::string_view outcome_class(Outcome outcome) {
  if (outcome == Outcome::kUnknown) return "quiet";
  return ink_name(outcome == Outcome::kA ? Ink::kA : outcome == Outcome::kB ? Ink::kB : Ink::kTie);
}

/// One text of a conversation in a box, at most `max_bytes` once escaped.
std::string said(const Turns& turns, std::size_t turn, std::size_t max_bytes) {
  if (turn >= turns.size()) return "<p class=\"empty\">(no answer in this turn)</p>\n";
  if (turns[turn].null) return "<p class=\"empty\">(null)</p>\n";
  if (turns[turn].text.empty()) return "<p class=\"empty\">(empty)</p>\n";
  bool cut = false;
  // A leading line break right after <div> is kept: HTML drops one only in <pre> and <textarea>.
  std::string out =
      "<div class=\"said\" dir=\"auto\">" + escape_html(turns[turn].text, max_bytes, &cut) + "</div>\n";
  if (cut) {
    out += fmt::format("<p class=\"empty\">… cut here; the whole text has {} bytes.</p>\n",
                       format_count(turns[turn].text.size()));
  }
  return out;
}

std::string snippet(const Vote& vote) {
  std::string_view text;
  for (auto turn = vote.prompt.rbegin(); turn != vote.prompt.rend() && text.empty(); ++turn)
    text = turn->text;
  if (text.empty()) return "(empty prompt)";
  std::string line(text.substr(0, 4 * kSnippetBytes));
  std::replace(line.begin(), line.end(), '\n', ' ');
  bool cut = false;
  std::string out = escape_html(line, kSnippetBytes, &cut);
  return cut ? out + "…" : out;
}

std::string stated(const Prediction& p) {
  std::array<std::pair<double, std::string_view>, 3> shares{
      {{p.a, "A wins"}, {p.tie, "tie"}, {p.b, "B wins"}}};
  std::stable_sort(shares.begin(), shares.end(),
                   [](const auto& x, const auto& y) { return x.first > y.first; });
  std::string out;
  for (const auto& [share, name] : shares) {
    out += fmt::format("{}{} {}", out.empty() ? "" : ", ", name, format_percent(share, 0));
  }
  return out;
}

std::string talk(const Vote& vote, std::size_t max_bytes) {
  const std::size_t turns = std::max({vote.prompt.size(), vote.response_a.size(), vote.response_b.size()});
  const std::size_t first = turns > kMaxTurns ? turns - kMaxTurns : 0;
  const std::size_t share = max_bytes / std::max<std::size_t>(1, turns - first);
  std::string out;
  if (first > 0)
    out += fmt::format("<p class=\"empty\">The first {} of {} turns are left out.</p>\n", first, turns);
  for (std::size_t t = first; t < turns; ++t) {
    const std::string of = turns > 1 ? fmt::format(", turn {} of {}", t + 1, turns) : std::string();
    out += fmt::format("<div class=\"prompt\"><p class=\"label\">Prompt{}</p>\n{}</div>\n", of,
                       said(vote.prompt, t, share / 5));
    out += fmt::format(
        "<div class=\"pair\"><div class=\"answer of-a\"><p class=\"label\">Answer A</p>\n{}</div>\n"
        "<div class=\"answer of-b\"><p class=\"label\">Answer B</p>\n{}</div></div>\n",
        said(vote.response_a, t, share * 2 / 5), said(vote.response_b, t, share * 2 / 5));
  }
  return out;
}

}  // namespace

void add_surprises(HtmlPage& page, const ReportData& data) {
  std::vector<const SurprisingRow*> rows;
  std::size_t usable = 0;
  for (const SurprisingRow& row : data.evaluation.surprising) {
    if (row.index >= data.votes.size() || row.index >= data.predictions.size()) continue;
    ++usable;
    if (rows.size() < kMaxSurprisingRows) rows.push_back(&row);
  }
  if (rows.empty()) return;
  page.section("surprises", "The most surprising rows");
  page.paragraph(
      "Here the model was surest and most wrong. Some are its mistakes, some are votes that few others would "
      "have "
      "cast. Open a row to read the prompt and both answers.");
  const std::size_t budget = std::min(kMaxRowBytes, kSurprisingBytes / rows.size());
  for (const SurprisingRow* row : rows) {
    const Vote& vote = data.votes[row->index];
    const Prediction& p = data.predictions[row->index];
    page.add("<details class=\"row\"><summary>");
    page.add(fmt::format("<span class=\"snippet\" dir=\"auto\">{}</span>\n", snippet(vote)));
    page.add(fmt::format(
        "<span class=\"verdict\">Stated: {}. Happened: <b class=\"t-{}\">{}{}</b>. Loss {}.</span>\n",
        stated(p), outcome_class(vote.outcome), outcome_name(vote.outcome),
        vote.both_bad ? " (both bad)" : "", value_text(row->loss, 2)));
    page.add("<span class=\"odds\">" + split_bar(p.a, p.tie, p.b, "Stated: " + stated(p), 190) +
             "</span></summary>\n");
    page.add("<div class=\"talk\">\n" + talk(vote, budget));
    std::string about = fmt::format("Row {}, id {}", format_count(vote.row), short_text(vote.id));
    if (!vote.model_a.empty() || !vote.model_b.empty()) {
      about += fmt::format(". A was {}, B was {} (the model is not told)", short_text(vote.model_a),
                           short_text(vote.model_b));
    }
    page.paragraph(about + ".", "fineprint");
    page.add("</div></details>\n");
  }
  if (usable > rows.size()) {
    page.paragraph(fmt::format("{} more are not shown here.", format_count(usable - rows.size())),
                   "fineprint");
  }
}

}  // namespace agon::report_parts
