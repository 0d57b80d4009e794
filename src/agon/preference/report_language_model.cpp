// The section on what a language model brought.
#include <fmt/format.h>

#include <cmath>

#include "agon/preference/report_parts.h"
#include "agon/report/number.h"
#include "agon/report/svg.h"
#include "agon/report/table.h"
#include "agon/stats/normal.h"

namespace agon::report_parts {
namespace {

std::string label_of(const BlockGain& gain) {
  return gain.block == "all" ? "all together" : short_text(gain.block);
}

/// Seconds a vote of a block, or of all; "n/a" where nothing was read anew, "kept" where nothing of this
/// block was.
std::string cost_text(const LanguageModelReport& lm, const std::string& block) {
  double seconds = lm.seconds;
  for (const BlockCost& cost : lm.costs)
    if (cost.block == block) seconds = cost.seconds;
  return lm.votes_read == 0 ? "n/a" : cost_a_vote(seconds, lm.votes_read);
}

Estimate estimate_of(const BlockGain& gain) {
  const double half = critical_value(0.95) * gain.error;
  return {.value = gain.mean, .low = gain.mean - half, .high = gain.mean + half};
}

std::string block_table(const LanguageModelReport& lm) {
  Table table({{"Block", Align::kLeft, 0},
               {"Change of log loss", Align::kRight, 0},
               {"95 % interval", Align::kRight, 0},
               {"Kept", Align::kRight, 0},
               {"Direction on", Align::kRight, 0},
               {"Tie on", Align::kRight, 0},
               {"Seconds a vote", Align::kRight, 0}});
  for (const BlockGain& g : shown_gains(lm.gains)) {
    const auto fits = [&](int on) { return fmt::format("{} of {}", on, g.fits); };
    table.add_row({label_of(g), value_text(g.mean, 4), interval_text(estimate_of(g), 4), fits(g.kept),
                   fits(g.direction_on), fits(g.tie_on), cost_text(lm, g.block)});
  }
  return table.html();
}

std::string gain_chart(const LanguageModelReport& lm, double width) {
  DotChart chart;
  chart.text.title = "Log loss with each block, less that without it";
  chart.text.description = "Left of zero a block makes predictions better; lines are 95 % intervals.";
  chart.plus = true;
  chart.decimals = 4;
  chart.references.push_back({"brings nothing", 0});
  for (const BlockGain& g : shown_gains(lm.gains)) {
    const Estimate gain = estimate_of(g);
    chart.rows.push_back({.label = label_of(g),
                          .detail = fmt::format("kept in {} of {} fits", g.kept, g.fits),
                          .value = gain.value,
                          .low = gain.low,
                          .high = gain.high,
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
      "it the log loss is {}. A block is kept when predictions of rows that were held out are better with "
      "it.",
      short_text(lm.name), value_text(lm.log_loss_without, 4));
  if (lm.votes_read > 0)
    text += fmt::format(" It read {} votes anew in {} s: {} s a vote.", format_count(lm.votes_read),
                        format_fixed(lm.seconds, 1),
                        format_fixed(lm.seconds / static_cast<double>(lm.votes_read), 3));
  if (lm.verdicts_untold > 0) text += " " + untold_line(lm.verdicts_untold) + ".";
  page.paragraph(text);
  page.figure(responsive(gain_chart(lm, kWide), gain_chart(lm, kNarrow)),
              "A dot is the change of log loss that a block brings, measured out of fold: left of zero it "
              "helps. Its line "
              "is the 95 % interval over prompts.");
  page.add(block_table(lm));
  page.paragraph(
      "Change: predictions with the block less those without it, beside the other blocks that are kept. "
      "Kept: the fits that keep it. On: those that move who is preferred, or how likely a tie is, by it. "
      "Seconds: of reading a vote that was not kept from an earlier run; blocks that come out of one pass "
      "over the answers each take all of its time.",
      "fineprint");
}

}  // namespace agon::report_parts
