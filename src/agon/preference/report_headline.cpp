// The first screen of the report: the figures that matter, and what they mean in plain words.
#include <fmt/format.h>

#include <cmath>

#include "agon/preference/report_parts.h"
#include "agon/report/number.h"
#include "agon/report/page_parts.h"
#include "agon/report/svg.h"

namespace agon::report_parts {
namespace {

const double kBlindGuess = std::log(3.0);
constexpr std::uint64_t kFewRows = 1000;  // intervals of log loss are then wider than most gains

enum class Verdict { kUnknown, kBetter, kWorse, kUnclear };

Verdict verdict(const Estimate& difference) {
  if (!std::isfinite(difference.value) || !std::isfinite(difference.low) || !std::isfinite(difference.high)) {
    return Verdict::kUnknown;
  }
  if (difference.high < 0) return Verdict::kBetter;
  if (difference.low > 0) return Verdict::kWorse;
  return Verdict::kUnclear;
}

std::string compared(const Estimate& difference, std::string_view with) {
  const std::string by = format_fixed(std::abs(difference.value), 4);
  const std::string interval = interval_text(difference, 4);
  switch (verdict(difference)) {
    case Verdict::kBetter:
      return fmt::format(
          "The model beats {} by {} nats a row. The interval {} lies wholly below zero, so this is hardly "
          "luck.",
          with, by, interval);
    case Verdict::kWorse:
      return fmt::format(
          "The model does worse than {} by {} nats a row, and the interval {} lies wholly above zero: on "
          "these rows it should not be used.",
          with, by, interval);
    case Verdict::kUnclear:
      return fmt::format(
          "The model cannot be told apart from {} on these rows: the difference is {} and its interval {} "
          "includes zero.",
          with, value_text(difference.value, 4), interval);
    case Verdict::kUnknown:
      break;
  }
  return fmt::format("The model could not be compared with {} (n/a).", with);
}

std::string difference_tile(std::string_view name, const Estimate& difference, std::string_view gloss) {
  const Verdict v = verdict(difference);
  const std::string_view css = v == Verdict::kBetter ? "good" : v == Verdict::kWorse ? "bad" : "";
  return html_tile(name, typographic(format_signed(difference.value, 4)), interval_text(difference, 4), gloss,
                   css);
}

std::string lede(const Evaluation& e) {
  const double given = std::exp(-e.overall.log_loss.value);
  std::string text = fmt::format(
      "For each of {} votes the model said how likely it was that A would win, that B would win, "
      "and that it would be a tie. ",
      format_count(e.overall.rows));
  if (std::isfinite(given)) {
    text += fmt::format("To what people then really chose it had typically given {} (the geometric mean)",
                        format_percent(given));
    const double by_prior = std::exp(-e.prior.log_loss.value);
    if (e.prior.rows > 0 && std::isfinite(by_prior)) {
      text +=
          fmt::format("; always stating how often each outcome occurs gives {}", format_percent(by_prior));
    }
    text += fmt::format(", and a blind guess {}.", format_percent(1.0 / 3));
  }
  return text;
}

std::vector<std::string> meaning(const Evaluation& e) {
  std::vector<std::string> out;
  out.push_back(
      "Log loss is the average surprise: 0 would be perfect foresight, 1.0986 is saying one third three "
      "times. "
      "A confident mistake costs much. People often disagree about two answers to one question, so nobody "
      "can come near 0; results close to 1.0 are common for votes of this kind.");
  if (is_given(e.vs_prior)) {
    std::string text = "Base rates means always stating how often each outcome occurs. " +
                       compared(e.vs_prior, "the base rates");
    const double share = -e.vs_prior.value / e.prior.log_loss.value;
    if (verdict(e.vs_prior) == Verdict::kBetter && e.prior.rows > 0 && std::isfinite(share)) {
      text += fmt::format(" It removes {} of the uncertainty that base rates leave.", format_percent(share));
    }
    out.push_back(std::move(text));
  }
  if (is_given(e.vs_length_only)) {
    std::string text;
    const double gain = e.prior.log_loss.value - e.length_only.log_loss.value;
    if (e.prior.rows > 0 && e.length_only.rows > 0 && std::isfinite(gain)) {
      text = fmt::format("Knowing nothing but how long the answers are {} (log loss {} instead of {}). ",
                         gain > 0 ? "already helps" : "does not help here",
                         value_text(e.length_only.log_loss.value, 4), value_text(e.prior.log_loss.value, 4));
    }
    out.push_back(text + compared(e.vs_length_only, "a model that knows the lengths only"));
  }
  if (std::isfinite(e.overall.ece.value)) {
    out.push_back(fmt::format(
        "Its probabilities can be taken at their word to within about {} percentage points on average (a "
        "figure above zero is partly chance, more so with fewer rows).",
        format_fixed(e.overall.ece.value * 100, 1)));
  }
  if (e.overall.rows < kFewRows) {
    out.push_back(fmt::format(
        "Only {} rows stand behind these figures. Look at the intervals before comparing two models.",
        format_count(e.overall.rows)));
  }
  return out;
}

std::string comparison_chart(const Evaluation& e, double width) {
  DotChart chart;
  chart.text.title = "Log loss of the model and of the baselines";
  chart.text.description = "A dot for each model with its interval; further left is better.";
  chart.text.x_label = "log loss, nats a row (further left is better)";
  chart.decimals = 4;
  const auto add = [&](std::string label, const Metrics& m, Ink ink) {
    if (m.rows > 0)
      chart.rows.push_back(
          {std::move(label), {}, m.log_loss.value, m.log_loss.low, m.log_loss.high, ink, false});
  };
  add("This model", e.overall, Ink::kMain);
  add("Length only", e.length_only, Ink::kQuiet);
  add("Base rates", e.prior, Ink::kQuiet);
  chart.references.push_back({"blind guess 1.0986", kBlindGuess});
  return chart.rows.size() < 2 ? std::string() : dot_chart(chart, width);
}

}  // namespace

void add_headline(HtmlPage& page, const ReportData& data) {
  const Evaluation& e = data.evaluation;
  std::string head;
  if (!data.kind.empty()) head += "<p class=\"kicker\">" + escape_html(short_text(data.kind)) + "</p>\n";
  head += "<h1>" +
          escape_html(data.title.empty() ? "How well the model predicts votes" : short_text(data.title)) +
          "</h1>\n";
  if (e.overall.rows == 0) {
    page.header(head + "<p class=\"lede\">No labelled rows were evaluated, so there are no figures.</p>\n");
    return;
  }
  page.header(head + "<p class=\"lede\">" + escape_html(lede(e)) + "</p>\n");

  page.section("headline", "In short");
  std::string tiles = "<div class=\"tiles\">\n";
  tiles += html_tile("Log loss", value_text(e.overall.log_loss.value, 4),
                     interval_text(e.overall.log_loss, 4), "average surprise, lower is better");
  if (is_given(e.vs_prior)) {
    tiles +=
        difference_tile("Against base rates", e.vs_prior, "difference of log loss; below zero is better");
  }
  if (is_given(e.vs_length_only)) {
    tiles += difference_tile("Against length only", e.vs_length_only,
                             "difference of log loss; below zero is better");
  }
  std::string usual = "the most likely outcome came true";
  if (e.prior.rows > 0 && std::isfinite(e.prior.accuracy.value)) {
    usual = fmt::format("the most likely outcome came true; base rates {}",
                        format_percent(e.prior.accuracy.value));
  }
  const Estimate& accuracy = e.overall.accuracy;
  std::string accuracy_range = "n/a";
  if (std::isfinite(accuracy.low) && std::isfinite(accuracy.high)) {
    accuracy_range = fmt::format("[{}, {}]", format_percent(accuracy.low), format_percent(accuracy.high));
  }
  tiles += html_tile("Accuracy", format_percent(accuracy.value), accuracy_range, usual);
  tiles += html_tile("A against B (AUC)", value_text(e.overall.auc.value, 3), interval_text(e.overall.auc, 3),
                     "0.5 is a coin, 1 is perfect");
  tiles += html_tile("Calibration error", value_text(e.overall.ece.value, 3), interval_text(e.overall.ece, 3),
                     "stated against observed, lower is better");
  page.add(tiles + "</div>\n");
  page.paragraph(fmt::format("In brackets: {} intervals from a bootstrap that draws whole groups of prompts.",
                             level_text(data)),
                 "fineprint");
  page.figure(
      responsive(comparison_chart(e, 760), comparison_chart(e, 340)),
      "Each dot is one model's log loss, the line through it is its interval. Intervals of two models may "
      "overlap although one is surely better, since both met the same rows: the differences above settle "
      "it.");
  page.add("<div class=\"meaning\"><h3>What this means</h3>\n<ul>\n");
  for (const std::string& line : meaning(e)) page.add("<li>" + escape_html(line) + "</li>\n");
  page.add("</ul></div>\n");
}

}  // namespace agon::report_parts
