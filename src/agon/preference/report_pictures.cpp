// The report's charts: calibration, learning curve, what the model looks at, slices.
#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <map>

#include "agon/preference/report_parts.h"
#include "agon/report/number.h"
#include "agon/report/scale.h"
#include "agon/report/svg.h"
#include "agon/report/table.h"

namespace agon::report_parts {
namespace {

constexpr double kSmall = 250;
constexpr int kHistogramBars = 25;

struct ClassView {
  std::string_view name, noun;
  Ink ink;
  const std::vector<ReliabilityBin>* bins;
  double Prediction::* member;
};

double largest(const ReportData& data, std::span<const ClassView> classes) {
  double most = 0;
  for (const ClassView& c : classes) {
    for (const auto& bin : *c.bins) {
      for (const double v : {bin.predicted, bin.observed, bin.high}) {
        if (std::isfinite(v)) most = std::max(most, v);
      }
    }
    for (const Prediction& p : data.predictions) {
      if (std::isfinite(p.*c.member)) most = std::max(most, p.*c.member);
    }
  }
  return std::clamp(std::ceil(most * 5 - 1e-9) / 5, 0.2, 1.0);
}

/// Share of the labelled rows whose prediction lies in each of kHistogramBars equal parts of [0, max].
std::vector<double> histogram(const ReportData& data, double Prediction::* member, double max) {
  std::vector<double> out(kHistogramBars, 0);
  double rows = 0;
  for (std::size_t i = 0; i < std::min(data.predictions.size(), data.votes.size()); ++i) {
    const double p = data.predictions[i].*member;
    if (data.votes[i].outcome == Outcome::kUnknown || !std::isfinite(p)) continue;
    const double at = std::clamp(p / max * kHistogramBars, 0.0, kHistogramBars - 1.0);
    out[static_cast<std::size_t>(at)] += 1;
    rows += 1;
  }
  if (rows == 0) return {};
  for (double& share : out) share /= rows;
  return out;
}

std::string learning_chart(const ReportData& data, double width, double height) {
  LineChart chart;
  chart.text.title = "Learning curve";
  chart.text.description = "Log loss on held-out rows against the number of training rows.";
  chart.text.x_label = "training rows (each doubling takes the same width)";
  chart.text.y_label = "log loss on held-out rows";
  chart.log_x = true;
  chart.decimals = 4;
  LineChart::Series series{"this model", Ink::kMain, {}};
  for (const LearningPoint& p : data.learning_curve) {
    series.points.push_back({static_cast<double>(p.rows), p.log_loss.value, p.log_loss.low, p.log_loss.high});
  }
  std::stable_sort(series.points.begin(), series.points.end(),
                   [](const auto& p, const auto& q) { return p.x < q.x; });
  if (series.points.size() > kMaxListed) series.points.resize(kMaxListed);
  chart.series.push_back(std::move(series));
  const Evaluation& e = data.evaluation;
  if (e.prior.rows > 0) chart.references.push_back({"base rates", e.prior.log_loss.value});
  if (e.length_only.rows > 0) chart.references.push_back({"length only", e.length_only.log_loss.value});
  return line_chart(chart, width, height);
}

std::string importance_chart(const ReportData& data, double width) {
  BarChart chart;
  chart.text.title = "What the model looks at";
  chart.text.description = "Rise of log loss when one feature is shuffled; the longest bar matters most.";
  for (const FeatureImportance& f : data.importances) {
    if (chart.bars.size() == kMaxBars) break;
    const bool described = !f.description.empty();
    chart.bars.push_back({short_text(described ? f.description : f.name),
                          described ? short_text(f.name) : std::string(), f.importance,
                          f.drives_tie ? Ink::kTie : Ink::kMain});
  }
  return bar_chart(chart, width);
}

void effect_range(const ReportData& data, double& low, double& high) {
  low = 1;
  high = 0;
  for (std::size_t i = 0; i < std::min(data.effects.size(), kMaxEffects); ++i) {
    for (const Prediction& p : data.effects[i].mean) {
      for (const double v : {p.a, p.b, p.tie}) {
        if (!std::isfinite(v)) continue;
        low = std::min(low, v);
        high = std::max(high, v);
      }
    }
  }
  if (low > high) {
    low = 0;
    high = 1;
  }
  widen_to_nice(low, high, 4);
  low = std::max(low, 0.0);
  high = std::min(high, 1.0);
}

Multiple effect_picture(const EffectCurve& curve, const FeatureImportance* about, double low, double high) {
  EffectChart chart;
  chart.text.title =
      short_text(about != nullptr && !about->description.empty() ? about->description : curve.name);
  chart.text.description = "Mean predicted probability of A, B and tie as this feature changes.";
  chart.text.x_label = about != nullptr && about->drives_tie ? "value" : "A minus B";
  chart.y_low = low;
  chart.y_high = high;
  const std::size_t n = std::min(curve.x.size(), curve.mean.size());
  const std::size_t step = std::max<std::size_t>(1, (n + kMaxEffectPoints - 1) / kMaxEffectPoints);
  const bool counted = curve.histogram.size() == n;
  for (std::size_t i = 0; i < n; i += step) {
    chart.points.push_back({curve.x[i], curve.mean[i].a, curve.mean[i].b, curve.mean[i].tie});
    if (counted) {
      double share = 0;
      for (std::size_t k = i; k < std::min(n, i + step); ++k) share += curve.histogram[k];
      chart.histogram.push_back(share);
    }
  }
  const std::string detail = chart.text.title == curve.name ? std::string() : short_text(curve.name);
  return {chart.text.title, detail, effect_chart(chart, kSmall, 190)};
}

std::string rows_text(std::uint64_t n) { return format_count(n) + (n == 1 ? " row" : " rows"); }

std::string slice_chart(std::span<const Slice* const> slices, double width) {
  DotChart chart;
  chart.text.title = "Log loss minus base rates, by slice";
  chart.text.description =
      "A dot for each slice with its interval; left of zero the model beats the base rates.";
  chart.text.x_label = "log loss minus that of base rates (further left is better)";
  chart.decimals = 3;
  chart.plus = true;
  std::string dimension;
  for (const Slice* slice : slices) {
    if (chart.rows.empty() || slice->dimension != dimension) {
      dimension = slice->dimension;
      chart.rows.push_back(
          {dimension.empty() ? "(unnamed)" : short_text(dimension), {}, 0, 0, 0, Ink::kMain, true});
    }
    const Estimate& d = slice->vs_prior;
    const Ink ink = d.low > 0 ? Ink::kB : d.high < 0 ? Ink::kMain : Ink::kQuiet;
    chart.rows.push_back({slice->value.empty() ? "(empty)" : short_text(slice->value),
                          rows_text(slice->metrics.rows), d.value, d.low, d.high, ink, false});
  }
  return dot_chart(chart, width);
}

}  // namespace

void add_reliability(HtmlPage& page, const ReportData& data) {
  const Evaluation& e = data.evaluation;
  const ClassView classes[] = {{"A wins", "A win", Ink::kA, &e.reliability_a, &Prediction::a},
                               {"Tie", "tie", Ink::kTie, &e.reliability_tie, &Prediction::tie},
                               {"B wins", "B win", Ink::kB, &e.reliability_b, &Prediction::b}};
  const double max = largest(data, classes);
  std::vector<Multiple> charts;
  for (const ClassView& c : classes) {
    ReliabilityChart chart;
    chart.text.title = c.name;
    chart.text.description =
        fmt::format("Stated probability of a {} against the share of rows where it happened.", c.noun);
    chart.text.x_label = "stated probability";
    chart.text.y_label = "how often it happened";
    chart.ink = c.ink;
    chart.max = max;
    for (const auto& bin : *c.bins) {
      if (chart.bins.size() < kMaxListed)
        chart.bins.push_back({bin.predicted, bin.observed, bin.low, bin.high, bin.n});
    }
    chart.histogram = histogram(data, c.member, max);
    charts.push_back({std::string(c.name), {}, reliability_chart(chart, kSmall)});
  }
  const std::string pictures = small_multiples(charts);
  if (pictures.empty()) return;
  page.section("calibration", "Can the probabilities be trusted?");
  page.paragraph("When the model says 40\u00a0%, it should happen in 40 of 100 such rows.");
  page.figure(pictures,
              "Each dot holds rows with about the same stated probability; its height is how often the "
              "outcome came true, "
              "with a 95\u00a0% interval. Dots on the dashed line are right; below it the outcome came true "
              "less often than "
              "stated, above it more often. The bars beneath show how often each probability is stated.");
}

void add_learning_curve(HtmlPage& page, const ReportData& data) {
  const std::string picture =
      responsive(learning_chart(data, kWide, 330), learning_chart(data, kNarrow, 260));
  if (picture.empty()) return;
  page.section("learning", "Would more votes help?");
  page.figure(
      picture,
      fmt::format("Each dot is the log loss after training on so many rows; the band is its {} interval. "
                  "A line still falling at its right end says that more votes would help; a flat one "
                  "says that other features would.",
                  level_text(data)));
}

void add_importances(HtmlPage& page, const ReportData& data) {
  const std::string bars = responsive(importance_chart(data, kWide), importance_chart(data, kNarrow));
  std::map<std::string, const FeatureImportance*> by_name;
  for (const FeatureImportance& f : data.importances) by_name.emplace(f.name, &f);
  double low = 0, high = 1;
  effect_range(data, low, high);
  std::vector<Multiple> curves;
  for (std::size_t i = 0; i < std::min(data.effects.size(), kMaxEffects); ++i) {
    const auto found = by_name.find(data.effects[i].name);
    curves.push_back(
        effect_picture(data.effects[i], found == by_name.end() ? nullptr : found->second, low, high));
  }
  const std::string effects = small_multiples(curves);
  if (bars.empty() && effects.empty()) return;
  page.section("features", "What the model looks at");
  if (!bars.empty()) {
    page.figure(
        html_legend({{Ink::kMain, "decides between A and B"}, {Ink::kTie, "decides how likely a tie is"}}) +
            bars,
        "A bar shows how much worse the log loss becomes when this one column is shuffled among the rows. "
        "Columns "
        "that say nearly the same stand in for each other, so each of them looks smaller than it is.");
    if (data.importances.size() > kMaxBars) {
      page.paragraph(fmt::format("The {} most important of {} features.", kMaxBars,
                                 format_count(data.importances.size())),
                     "fineprint");
    }
  }
  if (!effects.empty()) {
    page.subsection("effects", "How the prediction moves");
    page.figure(
        html_legend({{Ink::kA, "A wins"}, {Ink::kTie, "tie (dotted)"}, {Ink::kB, "B wins (dashed)"}}) +
            effects,
        "Each picture changes one feature and leaves all else as it is; the lines are the mean predictions. "
        "Right of "
        "zero A has more of it than B. The grey hills show where real rows lie: where there are none, the "
        "line is a "
        "guess. What the model has learned need not be a cause.");
    if (data.effects.size() > kMaxEffects) {
      page.paragraph(
          fmt::format("The first {} of {} curves.", kMaxEffects, format_count(data.effects.size())),
          "fineprint");
    }
  }
}

void add_slices(HtmlPage& page, const ReportData& data) {
  const auto& all = data.evaluation.slices;
  if (all.empty()) return;
  // Dimensions in order of first appearance, the values within each as they came.
  std::vector<std::string> dimensions;
  for (const Slice& s : all) {
    if (std::find(dimensions.begin(), dimensions.end(), s.dimension) == dimensions.end())
      dimensions.push_back(s.dimension);
    if (dimensions.size() == kMaxListed) break;
  }
  std::vector<const Slice*> slices;
  for (const std::string& dimension : dimensions) {
    for (const Slice& s : all) {
      if (s.dimension == dimension && slices.size() < kMaxListed) slices.push_back(&s);
    }
  }
  page.section("slices", "Where it does well, and where not");
  page.figure(
      responsive(slice_chart(slices, kWide), slice_chart(slices, kNarrow)),
      "Each line is a part of the rows. Left of zero the model beats the base rates there; a grey dot's "
      "interval "
      "includes zero, so nothing is certain; orange is worse. Among twenty slices one will stray by chance.");
  Table table({{"Part", Align::kLeft, 0},
               {"Value", Align::kLeft, 0},
               {"Rows", Align::kRight, 0},
               {"Log loss", Align::kRight, 0},
               {"Against base rates", Align::kRight, 0},
               {"Accuracy", Align::kRight, 0}});
  const Slice* before = nullptr;
  for (const Slice* s : slices) {
    if (before != nullptr && before->dimension != s->dimension) table.add_gap();
    before = s;
    table.add_row(
        {short_text(s->dimension), short_text(s->value), format_count(s->metrics.rows),
         format_fixed(s->metrics.log_loss.value, 4) + " " +
             format_interval(s->metrics.log_loss.low, s->metrics.log_loss.high, 3),
         format_signed(s->vs_prior.value, 4) + " " + format_interval(s->vs_prior.low, s->vs_prior.high, 3),
         format_percent(s->metrics.accuracy.value)});
  }
  page.add("<details class=\"more\"><summary>The same as a table</summary>\n" + table.html() +
           "</details>\n");
  if (all.size() > slices.size()) {
    page.paragraph(
        fmt::format("{} more slices are not shown here.", format_count(all.size() - slices.size())),
        "fineprint");
  }
}

}  // namespace agon::report_parts
