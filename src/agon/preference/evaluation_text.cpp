#include "agon/preference/evaluation_text.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <nlohmann/json.hpp>

#include "agon/report/number.h"
#include "agon/report/table.h"

namespace agon {
namespace {

struct Figure {
  const char* key;
  const char* label;
  Estimate Metrics::* member;
  int decimals;
};
constexpr Figure kFigures[] = {
    {"log_loss", "log loss", &Metrics::log_loss, 4},
    {"log_loss_a", "  where A won", &Metrics::log_loss_a, 4},
    {"log_loss_b", "  where B won", &Metrics::log_loss_b, 4},
    {"log_loss_tie", "  where they tied", &Metrics::log_loss_tie, 4},
    {"accuracy", "accuracy", &Metrics::accuracy, 4},
    {"auc", "AUC of A against B", &Metrics::auc, 4},
    {"brier", "Brier score", &Metrics::brier, 4},
    {"ece", "calibration error", &Metrics::ece, 4},
};

nlohmann::ordered_json number(double x) {
  return std::isfinite(x) ? nlohmann::ordered_json(x) : nlohmann::ordered_json();
}

nlohmann::ordered_json estimate(const Estimate& e) {
  return {{"value", number(e.value)}, {"low", number(e.low)}, {"high", number(e.high)}, {"n", e.n}};
}

nlohmann::ordered_json metrics(const Metrics& m) {
  nlohmann::ordered_json out{{"rows", m.rows}, {"prompt_groups", m.clusters}};
  for (const Figure& f : kFigures) out[f.key] = estimate(m.*f.member);
  return out;
}

}  // namespace

std::string evaluation_text(const Evaluation& e, const EvaluationTextOptions& options) {
  const Table::TerminalOptions shape{.width = options.width, .indent = 2, .colour = options.colour};
  Table figures({{"", Align::kLeft},
                 {"agon", Align::kRight},
                 {"95 % interval", Align::kRight},
                 {"length only", Align::kRight},
                 {"prior", Align::kRight}});
  for (const Figure& f : kFigures) {
    const Estimate& own = e.overall.*f.member;
    figures.add_row({f.label, format_fixed(own.value, f.decimals),
                     format_interval(own.low, own.high, f.decimals),
                     format_fixed((e.length_only.*f.member).value, f.decimals),
                     format_fixed((e.prior.*f.member).value, f.decimals)});
  }
  std::string out = figures.terminal(shape);
  const auto difference = [](const char* name, const Estimate& d) {
    return fmt::format("  log loss minus that of the {}: {} {}\n", name, format_signed(d.value, 4),
                       format_interval(d.low, d.high, 4));
  };
  out += "\n" + difference("prior", e.vs_prior) + difference("length-only model", e.vs_length_only);
  if (!e.slices.empty()) {
    Table slices({{"slice", Align::kLeft, 28},
                  {"rows", Align::kRight},
                  {"log loss", Align::kRight},
                  {"minus prior", Align::kRight},
                  {"95 % interval", Align::kRight}});
    for (const Slice& s : e.slices)
      slices.add_row({s.dimension + " = " + s.value, format_count(s.metrics.rows),
                      format_fixed(s.metrics.log_loss.value, 4), format_signed(s.vs_prior.value, 4),
                      format_interval(s.vs_prior.low, s.vs_prior.high, 4)});
    out += "\n" + slices.terminal(shape);
  }
  return out;
}

std::string evaluation_json(const Evaluation& e,
                            const std::vector<std::pair<std::string, std::string>>& facts) {
  nlohmann::ordered_json out;
  out["overall"] = metrics(e.overall);
  out["baselines"] = {{"prior", metrics(e.prior)}, {"length_only", metrics(e.length_only)}};
  out["log_loss_minus_prior"] = estimate(e.vs_prior);
  out["log_loss_minus_length_only"] = estimate(e.vs_length_only);
  out["slices"] = nlohmann::ordered_json::array();
  for (const Slice& s : e.slices)
    out["slices"].push_back({{"dimension", s.dimension},
                             {"value", s.value},
                             {"metrics", metrics(s.metrics)},
                             {"log_loss_minus_prior", estimate(s.vs_prior)}});
  nlohmann::ordered_json made = nlohmann::ordered_json::array();
  for (const auto& [key, value] : facts) made.push_back({{"what", key}, {"value", value}});
  out["made_by"] = std::move(made);
  return out.dump(2, ' ', false, nlohmann::ordered_json::error_handler_t::replace) + "\n";
}

}  // namespace agon
