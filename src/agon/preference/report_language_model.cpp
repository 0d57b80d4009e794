// The section on what a language model brought.
#include <fmt/format.h>

#include <cmath>

#include "agon/preference/report_parts.h"
#include "agon/report/number.h"
#include "agon/report/svg.h"
#include "agon/stats/normal.h"

namespace agon::report_parts {
namespace {

std::string gain_chart(const LanguageModelReport& lm, double width) {
  const double half = critical_value(0.95);
  DotChart chart;
  chart.text.title = "Log loss with each block, less that without it";
  chart.text.description = "Left of zero a block makes predictions better; lines are 95 % intervals.";
  chart.plus = true;
  chart.decimals = 4;
  chart.references.push_back({"brings nothing", 0});
  for (const BlockGain& g : shown_gains(lm.gains)) {
    chart.rows.push_back(
        {.label = g.block == "all" ? "all together" : short_text(g.block),
         .detail = fmt::format("direction {}, tie {} of {} fits", g.direction_on, g.tie_on, g.fits),
         .value = g.mean,
         .low = g.mean - half * g.error,
         .high = g.mean + half * g.error,
         .ink = g.mean < 0 ? Ink::kMain : Ink::kTie});
  }
  return dot_chart(chart, width);
}

}  // namespace

void add_language_model(HtmlPage& page, const ReportData& data) {
  const LanguageModelReport& lm = data.language_model;
  if (lm.name.empty()) return;
  page.section("language-model", "What the language model brought");
  std::string text = fmt::format(
      "{} read the answers. What it says of them is added to a finished prediction, block by block; without "
      "it the log loss is {}. A block that was found to bring nothing is left out of the predictor.",
      short_text(lm.name), value_text(lm.log_loss_without, 4));
  if (lm.votes_read > 0)
    text += fmt::format(" It read {} votes anew in {} s: {} s a vote.", format_count(lm.votes_read),
                        format_fixed(lm.seconds, 1),
                        format_fixed(lm.seconds / static_cast<double>(lm.votes_read), 3));
  page.paragraph(text);
  page.figure(responsive(gain_chart(lm, kWide), gain_chart(lm, kNarrow)),
              "A dot is the change of log loss that a block brings, measured out of fold: left of zero it "
              "helps. Its line "
              "is the 95 % interval over prompts.");
}

}  // namespace agon::report_parts
