#include "agon/ranking/next_text.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <nlohmann/json.hpp>

#include "agon/ranking/paired_model.h"
#include "agon/report/number.h"
#include "agon/report/table.h"
#include "agon/report/terminal.h"
#include "agon/report/visible.h"

namespace agon {
namespace {

using Json = nlohmann::ordered_json;

constexpr std::size_t kWidthsShown = 10;

std::string shown(const std::string& text) { return visible_text(text, {.keep_lines = false}); }

std::string goal_words(const NextPlan& plan, const std::vector<std::string>& names) {
  const NextOptions& o = plan.options;
  switch (o.goal) {
    case NextGoal::kAll:
      return "the ratings of all models";
    case NextGoal::kModel:
      return "the rating of " + shown(names[o.a]);
    case NextGoal::kBetween:
      return "the difference between " + shown(names[o.a]) + " and " + shown(names[o.b]);
    case NextGoal::kTop:
      return fmt::format("the order of the first {}", o.top);
  }
  return "";
}
const char* goal_name(NextGoal goal) {
  switch (goal) {
    case NextGoal::kAll:
      return "all";
    case NextGoal::kModel:
      return "model";
    case NextGoal::kBetween:
      return "between";
    case NextGoal::kTop:
      return "top";
  }
  return "";
}

std::string points(double log_odds) { return format_fixed(kEloScale * log_odds, 1); }

std::string width_name(const NextWidth& w, const std::vector<std::string>& names) {
  return w.model == w.against ? names[w.model] : names[w.model] + " - " + names[w.against];
}

Json number(double x) { return std::isfinite(x) ? Json(x) : Json(); }

}  // namespace

std::string next_text(const NextPlan& plan, const std::vector<std::string>& names,
                      const NextTextOptions& options) {
  const Table::TerminalOptions shape{.width = options.width, .indent = 0, .colour = options.colour};
  std::string out =
      fmt::format("The next {} votes, for {}\n\n", format_count(plan.options.votes), goal_words(plan, names));
  if (!plan.ridge.empty())
    out += painted(fmt::format("No finite ratings yet: {}.", shown(plan.ridge)), Paint::kWarning,
                   options.colour) +
           "\n\n";
  Table pairs({{"votes", Align::kRight},
               {"model", Align::kLeft, 40},
               {"against", Align::kLeft, 40},
               {"± now", Align::kRight},
               {"± then", Align::kRight}});
  for (std::size_t k = 0; k < plan.pairs.size() && (options.top == 0 || k < options.top); ++k) {
    const PairToAsk& p = plan.pairs[k];
    pairs.add_row({format_count(p.votes), names[p.a], names[p.b], points(p.before), points(p.after)});
  }
  out += pairs.terminal(shape);
  if (options.top > 0 && plan.pairs.size() > options.top)
    out += fmt::format("... and {} more pairs (--top-pairs 0 shows all)\n", plan.pairs.size() - options.top);

  // Those that gain most.
  std::vector<NextWidth> widths = plan.widths;
  std::stable_sort(widths.begin(), widths.end(), [](const NextWidth& a, const NextWidth& b) {
    return a.before - a.after > b.before - b.after;
  });
  Table gains({{plan.options.goal == NextGoal::kBetween || plan.options.goal == NextGoal::kTop ? "difference"
                                                                                               : "rating",
                Align::kLeft, 60},
               {"± now", Align::kRight},
               {"± then", Align::kRight},
               {"± if spread evenly", Align::kRight}});
  for (std::size_t k = 0; k < widths.size() && k < kWidthsShown; ++k)
    gains.add_row({width_name(widths[k], names), points(widths[k].before), points(widths[k].after),
                   points(widths[k].uniform)});
  out += "\n" + gains.terminal(shape);
  if (widths.size() > kWidthsShown)
    out += fmt::format("... and {} more (in the JSON)\n", widths.size() - kWidthsShown);
  out +=
      fmt::format("\n± is half the {} interval in rating points{}. ", format_percent(plan.options.level, 0),
                  plan.options.ties == TieModel::kHalf
                      ? ""
                      : fmt::format(", ties by the {} model", tie_model_name(plan.options.ties)));
  if (std::isfinite(plan.uniform_votes))
    out += fmt::format(
        "Spread evenly over all pairs, the same would take {} votes{}.\n",
        format_count(static_cast<std::uint64_t>(std::llround(plan.uniform_votes))),
        plan.options.votes > 0
            ? fmt::format(", {} times as many",
                          format_fixed(plan.uniform_votes / static_cast<double>(plan.options.votes), 1))
            : "");
  else
    out += "Spread evenly over all pairs, no number of votes would do the same.\n";
  return out;
}

std::string next_json(const NextPlan& plan, const std::vector<std::string>& names,
                      const std::vector<std::pair<std::string, std::string>>& facts) {
  const auto scaled = [](double x) { return number(kEloScale * x); };
  Json out{
      {"goal", goal_name(plan.options.goal)}, {"votes", plan.options.votes}, {"level", plan.options.level}};
  out["ties"] = tie_model_name(plan.options.ties);
  if (plan.options.goal == NextGoal::kModel) out["model"] = names[plan.options.a];
  if (plan.options.goal == NextGoal::kBetween) out["models"] = {names[plan.options.a], names[plan.options.b]};
  if (plan.options.goal == NextGoal::kTop) out["top"] = plan.options.top;
  out["no_finite_ratings"] = plan.ridge.empty() ? Json() : Json(plan.ridge);
  out["tie_share"] = number(plan.tie_share);
  out["pairs"] = Json::array();
  for (const PairToAsk& p : plan.pairs)
    out["pairs"].push_back({{"model_a", names[p.a]},
                            {"model_b", names[p.b]},
                            {"votes", p.votes},
                            {"half_width_now", scaled(p.before)},
                            {"half_width_then", scaled(p.after)}});
  out["widths"] = Json::array();
  for (const NextWidth& w : plan.widths) {
    Json one{{"model", names[w.model]}};
    if (w.model != w.against) one["against"] = names[w.against];
    one["half_width_now"] = scaled(w.before);
    one["half_width_then"] = scaled(w.after);
    one["half_width_if_spread_evenly"] = scaled(w.uniform);
    out["widths"].push_back(std::move(one));
  }
  out["votes_spread_evenly_for_the_same"] = number(plan.uniform_votes);
  Json made = Json::array();
  for (const auto& [key, value] : facts) made.push_back({{"what", key}, {"value", value}});
  out["made_by"] = std::move(made);
  return out.dump(2, ' ', false, Json::error_handler_t::replace) + "\n";
}

}  // namespace agon
