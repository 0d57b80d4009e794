#include "agon/preference/report_page.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>

#include "agon/preference/report_parts.h"
#include "agon/report/number.h"
#include "agon/report/page_parts.h"
#include "agon/report/svg.h"
#include "agon/report/table.h"

namespace agon {
namespace report_parts {

std::string short_text(const std::string& text) { return bounded_line(text, kMaxShortText); }

bool is_given(const Estimate& e) { return e.n > 0 || e.value != 0 || e.low != 0 || e.high != 0; }

std::string value_text(double value, int decimals) { return typographic(format_fixed(value, decimals)); }

std::string interval_text(const Estimate& e, int decimals) {
  return typographic_interval(e.low, e.high, decimals);
}

std::string level_text(const ReportData& data) { return format_percent(data.interval_level, 0); }

void add_metrics(HtmlPage& page, const ReportData& data) {
  const Evaluation& e = data.evaluation;
  if (e.overall.rows == 0) return;
  struct Line {
    std::string_view name, gloss;
    Estimate Metrics::* member;
    int decimals;
  };
  constexpr Line kLines[] = {
      {"Log loss", "Average surprise at what happened, in nats. Lower is better; 1.0986 is blind guessing.",
       &Metrics::log_loss, 4},
      {"Log loss where A won", "The same over the rows that A won.", &Metrics::log_loss_a, 4},
      {"Log loss where B won", "The same over the rows that B won.", &Metrics::log_loss_b, 4},
      {"Log loss of ties", "The same over the rows that were ties.", &Metrics::log_loss_tie, 4},
      {"Accuracy", "Share of rows where the most likely outcome came true. Higher is better.",
       &Metrics::accuracy, 3},
      {"AUC, A against B",
       "Of a row that A won and one that B won, how often A's got the higher score. "
       "0.5 is a coin, 1 is perfect.",
       &Metrics::auc, 3},
      {"Brier score",
       "Squared distance between the three probabilities and what happened, 0 to 2. Lower is better.",
       &Metrics::brier, 4},
      {"Calibration error",
       "How far stated probabilities lie from observed shares, on average. Lower is better.", &Metrics::ece,
       4},
  };
  std::vector<std::pair<std::string_view, const Metrics*>> columns = {{"This model", &e.overall}};
  if (e.length_only.rows > 0) columns.emplace_back("Length only", &e.length_only);
  if (e.prior.rows > 0) columns.emplace_back("Base rates", &e.prior);

  page.section("figures", "All figures");
  page.paragraph(
      fmt::format("Measured on {} votes from {} groups of prompts. In brackets stands the {} interval: it "
                  "shows how much a figure would move with other prompts of the same kind.",
                  format_count(e.overall.rows), format_count(e.overall.clusters), level_text(data)));
  std::string table =
      "<div class=\"scroll\"><table class=\"figures\">\n<thead><tr><th scope=\"col\">Figure</th>";
  for (const auto& column : columns) {
    table += fmt::format("<th scope=\"col\" class=\"num\">{}</th>", escape_html(column.first));
  }
  table += "</tr></thead>\n<tbody>\n";
  for (const Line& line : kLines) {
    table += fmt::format("<tr><td><b>{}</b><span class=\"gloss\">{}</span></td>", line.name,
                         escape_html(line.gloss));
    for (const auto& column : columns) {
      const Estimate& figure = column.second->*line.member;
      table += fmt::format("<td class=\"num\">{}<small>{}</small></td>",
                           value_text(figure.value, line.decimals), interval_text(figure, line.decimals));
    }
    table += "</tr>\n";
  }
  page.add(table + "</tbody>\n</table></div>\n");
}

void add_learners(HtmlPage& page, const ReportData& data) {
  if (data.learners.empty()) return;
  page.section("learners", "What the model is made of");
  page.paragraph(
      "The prediction is a blend of several learners that make different mistakes. Each one's log loss "
      "alone was measured on rows that it had not been trained on.");
  double heaviest = 0;
  for (const auto& learner : data.learners) {
    if (std::isfinite(learner.weight)) heaviest = std::max(heaviest, std::abs(learner.weight));
  }
  std::string table =
      "<div class=\"scroll\"><table>\n<thead><tr><th scope=\"col\">Learner</th><th scope=\"col\" "
      "class=\"num\">Log "
      "loss alone</th><th scope=\"col\" class=\"num\">Weight</th><th></th></tr></thead>\n<tbody>\n";
  const std::size_t shown = std::min(data.learners.size(), kMaxListed);
  for (std::size_t i = 0; i < shown; ++i) {
    const BaseLearner& learner = data.learners[i];
    std::string bar;
    if (heaviest > 0 && std::isfinite(learner.weight)) {
      SvgWriter svg(100, 10, fmt::format("weight {}", value_text(learner.weight, 3)), {});
      svg.rect(0, 1, std::abs(learner.weight) / heaviest * 100, 8, learner.weight < 0 ? "f-b" : "f-main", 2);
      bar = svg.finish();
    }
    table += fmt::format(
        "<tr><td><b>{}</b><span class=\"gloss\">{}</span></td><td class=\"num\">{}</td>"
        "<td class=\"num\">{}</td><td class=\"meter\">{}</td></tr>\n",
        escape_html(short_text(learner.name)), escape_html(short_text(learner.description)),
        value_text(learner.log_loss, 4), value_text(learner.weight, 3), bar);
  }
  page.add(table + "</tbody>\n</table></div>\n");
  say_cut(page, data.learners.size(), shown, "learners");
}

void add_notes(HtmlPage& page, const ReportData& data) {
  if (data.notes.empty()) return;
  page.section("notes", "Notes");
  const std::size_t shown = std::min(data.notes.size(), kMaxListed);
  page.add("<ul class=\"notes\">\n");
  for (std::size_t i = 0; i < shown; ++i)
    page.add("<li>" + bounded_html(data.notes[i], kMaxLongText) + "</li>\n");
  page.add("</ul>\n");
  say_cut(page, data.notes.size(), shown, "notes");
}

void add_provenance(HtmlPage& page, const ReportData& data) {
  if (data.provenance.empty()) return;
  page.section("provenance", "How it was made");
  page.paragraph("With the same files, seed and version the same command gives the same figures again.");
  const std::size_t shown = std::min(data.provenance.size(), kMaxListed);
  page.add(html_facts(std::span(data.provenance).first(shown), kMaxShortText, kMaxLongText));
  say_cut(page, data.provenance.size(), shown, "lines");
}

}  // namespace report_parts

std::string render_report(const ReportData& data) {
  using namespace report_parts;
  HtmlPage page(data.title.empty() ? "How well the model predicts votes" : short_text(data.title));
  add_headline(page, data);
  add_metrics(page, data);
  add_reliability(page, data);
  add_learning_curve(page, data);
  add_importances(page, data);
  add_learners(page, data);
  add_language_model(page, data);
  add_slices(page, data);
  add_surprises(page, data);
  add_notes(page, data);
  add_provenance(page, data);
  page.footer(
      "Made by agon. This page is one file: it loads nothing, runs nothing, and can be mailed or printed as "
      "it is.");
  return page.finish();
}

}  // namespace agon
