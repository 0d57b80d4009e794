// Line charts, reliability diagrams and effect curves.
#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <limits>

#include "agon/report/number.h"
#include "agon/report/scale.h"
#include "agon/report/svg.h"

namespace agon {
namespace {

constexpr double kInfinity = std::numeric_limits<double>::infinity();
using Points = std::vector<std::pair<double, double>>;

struct Range {
  double low = kInfinity, high = -kInfinity;
  void add(double value) {
    if (!std::isfinite(value)) return;
    low = std::min(low, value);
    high = std::max(high, value);
  }
  [[nodiscard]] bool empty() const { return low > high; }
};

std::string tick_label(double value, const Ticks& ticks) {
  if (std::abs(value) >= 1000 && ticks.decimals == 0 && std::abs(value) < 1e15) {
    const std::string text = format_count(static_cast<std::uint64_t>(std::llround(std::abs(value))));
    return value < 0 ? "−" + text : text;
  }
  if (ticks.decimals > 6 || std::abs(value) >= 1e15) return typographic(format_short(value, 3));
  return typographic(format_fixed(value, ticks.decimals));
}

struct AxisLabel {
  double middle, half;
  std::string text;
};

/// Whether every `stride`-th label from `first` on leaves a gap to the next.
bool labels_fit(const std::vector<AxisLabel>& labels, std::size_t first, std::size_t stride) {
  for (std::size_t i = first; i + stride < labels.size(); i += stride) {
    const AxisLabel &here = labels[i], &next = labels[i + stride];
    if (next.middle - next.half < here.middle + here.half + 6) return false;
  }
  return true;
}

/// Labels under the x axis. Where they would touch, every second one (third ...) of evenly spaced ticks
/// is written, zero among them; of others those that touch the one before are left out.
void x_axis(SvgWriter& svg, const Scale& x, const Ticks& ticks, double y, double width,
            bool percent = false) {
  std::vector<AxisLabel> labels;
  std::size_t zero = 0;
  for (const double value : ticks.at) {
    const double at = x(value);
    svg.line(at, y, at, y + 4, "axis");
    std::string label = percent ? format_percent(value, 0) : tick_label(value, ticks);
    const double half = text_width(label, 12) / 2;
    if (value == 0) zero = labels.size();
    labels.push_back({std::clamp(at, half, std::max(half, width - half)), half, std::move(label)});
  }
  std::size_t stride = 1;
  while (ticks.step > 0 && stride < labels.size() && !labels_fit(labels, zero % stride, stride)) ++stride;
  double free_from = -kInfinity;
  for (std::size_t i = zero % stride; i < labels.size(); i += stride) {
    const AxisLabel& label = labels[i];
    if (label.middle - label.half < free_from) continue;
    svg.text(label.middle, y + 17, label.text, "soft", "middle");
    free_from = label.middle + label.half + 6;
  }
}

/// The same with names in place of numbers; those that would touch the one before are left out.
void named_axis(SvgWriter& svg, const Scale& x, const std::vector<std::pair<double, std::string>>& names,
                double y, double width) {
  double free_from = -kInfinity;
  for (const auto& [value, name] : names) {
    const double at = x(value), half = text_width(name, 12) / 2;
    const double middle = std::clamp(at, half, std::max(half, width - half));
    svg.line(at, y, at, y + 4, "axis");
    if (middle - half < free_from) continue;
    svg.text(middle, y + 17, name, "soft", "middle");
    free_from = middle + half + 10;
  }
}

/// Grid lines with labels left of `left`.
void y_axis(SvgWriter& svg, const Scale& y, const Ticks& ticks, double left, double right, bool percent) {
  for (const double value : ticks.at) {
    const double at = y(value);
    svg.line(left, at, right, at, "grid");
    svg.text(left - 8, at + 4, percent ? format_percent(value, 0) : tick_label(value, ticks), "soft", "end");
  }
}

double widest_label(const Ticks& ticks, bool percent) {
  double widest = 0;
  for (const double value : ticks.at) {
    widest = std::max(widest, text_width(percent ? format_percent(value, 0) : tick_label(value, ticks), 12));
  }
  return widest;
}

/// Points of one series that can be drawn.
std::vector<LineChart::Point> drawable(const LineChart::Series& series, bool log_x) {
  std::vector<LineChart::Point> points;
  for (const auto& p : series.points) {
    if (std::isfinite(p.x) && std::isfinite(p.y) && (!log_x || p.x > 0)) points.push_back(p);
  }
  return points;
}

std::string line_class(const LineChart::Series& series) {
  return fmt::format("line {}s-{}", series.broken ? "broken " : "", ink_name(series.ink));
}

bool has_interval(const LineChart::Point& p) { return std::isfinite(p.low) && std::isfinite(p.high); }

/// The points' own places when they are few and whole numbers: better names than round numbers, which
/// are scarce on a logarithmic axis. Empty otherwise.
std::vector<double> own_ticks(const LineChart& chart) {
  constexpr std::size_t kFew = 8;
  std::vector<double> places;
  for (const auto& series : chart.series) {
    for (const auto& p : drawable(series, chart.log_x)) {
      if (p.x != std::floor(p.x)) return {};
      places.push_back(p.x);
    }
  }
  std::sort(places.begin(), places.end());
  places.erase(std::unique(places.begin(), places.end()), places.end());
  return places.size() <= kFew ? places : std::vector<double>();
}

void draw_series(SvgWriter& svg, const LineChart& chart, const LineChart::Series& series, const Scale& x,
                 const Scale& y) {
  const auto points = drawable(series, chart.log_x);
  Points band, back, line;
  for (const auto& p : points) {
    line.emplace_back(x(p.x), y(p.y));
    if (!has_interval(p)) continue;
    band.emplace_back(x(p.x), y(p.high));
    back.emplace_back(x(p.x), y(p.low));
  }
  const std::string_view ink = ink_name(series.ink);
  band.insert(band.end(), back.rbegin(), back.rend());
  const bool whiskers = chart.whiskers || back.size() == 1;
  if (!whiskers && back.size() > 1) svg.path(band, fmt::format("band f-{}", ink), true);
  if (line.size() > 1) svg.path(line, line_class(series));
  for (const auto& p : points) {
    std::string where = tick_label(p.x, {.at = {}, .step = 0, .decimals = p.x == std::floor(p.x) ? 0 : 3});
    const auto named = std::ranges::find(chart.x_names, p.x, &std::pair<double, std::string>::first);
    if (named != chart.x_names.end()) where = series.name + ", " + named->second;
    std::string tip = fmt::format("{}: {}", where, typographic(format_fixed(p.y, chart.decimals)));
    if (has_interval(p)) tip += " " + typographic(format_interval(p.low, p.high, chart.decimals));
    svg.open(tip);
    if (has_interval(p) && whiskers)
      svg.line(x(p.x), y(p.low), x(p.x), y(p.high),
               fmt::format("whisker {}s-{}", chart.whiskers ? "thin " : "", ink));
    svg.circle(x(p.x), y(p.y), 4, fmt::format("dot f-{}", ink));
    svg.close();
  }
}

}  // namespace

std::string line_chart(const LineChart& chart, double width, double height) {
  Range xs, ys;
  for (const auto& series : chart.series) {
    for (const auto& p : drawable(series, chart.log_x)) {
      xs.add(p.x);
      ys.add(p.y);
      ys.add(p.low);
      ys.add(p.high);
    }
  }
  if (xs.empty()) return {};
  for (const auto& reference : chart.references) ys.add(reference.value);
  widen_to_nice(ys.low, ys.high, 5);
  for (const auto& [at, name] : chart.x_names) xs.add(at);
  if (!chart.log_x && chart.x_names.empty())
    widen_to_nice(xs.low, xs.high, std::max(2, static_cast<int>(width / 110)));
  const Ticks y_ticks = nice_ticks(ys.low, ys.high, 5);

  // Names stand at the right, at the height of what they name.
  std::vector<std::pair<double, std::string>> names;
  double name_width = 0;
  const double most = width * 0.34;
  std::vector<std::string> samples;  // of several lines: a piece of each beside its name
  const bool sampled = chart.series.size() > 2;
  const double sample_width = sampled ? 24 : 0;
  const auto add_name = [&](double value, const std::string& name, std::string sample) {
    if (name.empty() || !std::isfinite(value)) return;
    names.emplace_back(value, fit_text(name, 12, most));
    name_width = std::max(name_width, text_width(names.back().second, 12) + sample_width);
    samples.push_back(std::move(sample));
  };
  for (const auto& series : chart.series) {
    const auto points = drawable(series, chart.log_x);
    if (!points.empty()) add_name(points.back().y, series.name, line_class(series));
  }
  for (const auto& reference : chart.references) add_name(reference.value, reference.label, "guide");

  const double left = widest_label(y_ticks, false) + 12;
  const double right = width - (names.empty() ? 14 : name_width + 14);
  const double top = chart.text.y_label.empty() ? 12 : 30;
  const double bottom = height - (chart.text.x_label.empty() ? 24 : 44);
  const Scale x{xs.low, xs.high, left + 10, right - 10, chart.log_x};
  const Scale y{ys.low, ys.high, bottom, top, false};
  SvgWriter svg(width, height, chart.text.title, chart.text.description);
  y_axis(svg, y, y_ticks, left, right, false);
  svg.line(left, bottom, right, bottom, "axis");
  const int x_target = std::max(2, static_cast<int>((right - left) / 80));
  Ticks x_ticks = chart.log_x ? log_ticks(xs.low, xs.high, x_target) : nice_ticks(xs.low, xs.high, x_target);
  const std::vector<double> own = own_ticks(chart);
  if (chart.log_x && !own.empty()) x_ticks = {.at = own, .step = 0, .decimals = 0};
  if (chart.x_names.empty()) {
    x_axis(svg, x, x_ticks, bottom, width);
  } else {
    named_axis(svg, x, chart.x_names, bottom, width);
  }
  if (!chart.text.y_label.empty()) svg.text(0, 12, chart.text.y_label, "soft");
  if (!chart.text.x_label.empty()) {
    svg.text((left + right) / 2, height - 6, chart.text.x_label, "soft", "middle");
  }
  for (const auto& reference : chart.references) {
    if (std::isfinite(reference.value))
      svg.line(left, y(reference.value), right, y(reference.value), "guide");
  }
  for (const auto& series : chart.series) draw_series(svg, chart, series, x, y);
  std::vector<double> wanted;
  for (const auto& name : names) wanted.push_back(y(name.first));
  const auto placed = spread_labels(wanted, 16, top, bottom);
  for (std::size_t i = 0; i < names.size(); ++i) {
    if (sampled) svg.line(right + 8, placed[i], right + 26, placed[i], samples[i]);
    svg.text(right + 8 + sample_width, placed[i] + 4, names[i].second);
  }
  return svg.finish();
}

std::string reliability_chart(const ReliabilityChart& chart, double width) {
  const double max = std::isfinite(chart.max) && chart.max > 0 ? chart.max : 1;
  const double left = 46, right = width - 20;
  const double top = chart.text.y_label.empty() ? 8 : 28;
  const double side = right - left;
  const double bottom = top + side;
  const bool counted = !chart.histogram.empty();
  const double strip = counted ? 40 : 0;
  const double height = bottom + strip + 24 + (chart.text.x_label.empty() ? 0 : 20);
  std::vector<ReliabilityChart::Bin> bins;
  for (const auto& bin : chart.bins) {
    if (std::isfinite(bin.predicted) && std::isfinite(bin.observed)) bins.push_back(bin);
  }
  if (bins.empty()) return {};

  const std::string_view ink = ink_name(chart.ink);
  const Scale x{0, max, left, right, false};
  const Scale y{0, max, bottom, top, false};
  const Ticks ticks = nice_ticks(0, max, 5);
  SvgWriter svg(width, height, chart.text.title, chart.text.description);
  if (!chart.text.y_label.empty()) svg.text(0, top - 17, chart.text.y_label, "soft small");
  y_axis(svg, y, ticks, left, right, true);
  for (const double value : ticks.at) svg.line(x(value), top, x(value), bottom, "grid");
  svg.line(x(0), y(0), x(max), y(max), "guide");
  for (const auto& bin : bins) {
    svg.open(fmt::format("predicted {}, happened {} ({} rows)", format_percent(bin.predicted),
                         format_percent(bin.observed), format_count(bin.n)));
    if (std::isfinite(bin.low) && std::isfinite(bin.high)) {
      svg.line(x(bin.predicted), y(bin.low), x(bin.predicted), y(bin.high), fmt::format("whisker s-{}", ink));
    }
    svg.circle(x(bin.predicted), y(bin.observed), 4, fmt::format("dot f-{}", ink));
    svg.close();
  }
  const double floor = bottom + strip;
  if (counted) {
    double highest = 0;
    for (const double share : chart.histogram) {
      if (std::isfinite(share)) highest = std::max(highest, share);
    }
    const double bar = side / static_cast<double>(chart.histogram.size());
    for (std::size_t i = 0; i < chart.histogram.size() && highest > 0; ++i) {
      const double share = chart.histogram[i];
      if (!std::isfinite(share) || share <= 0) continue;
      const double tall = std::max(0.75, share / highest * (strip - 8));
      svg.rect(left + bar * static_cast<double>(i) + 0.5, floor - tall, bar - 1, tall,
               fmt::format("bin f-{}", ink));
    }
  }
  svg.line(left, floor, right, floor, "axis");
  x_axis(svg, x, ticks, floor, width, true);
  if (!chart.text.x_label.empty()) {
    svg.text((left + right) / 2, height - 5, chart.text.x_label, "soft small", "middle");
  }
  return svg.finish();
}

std::string effect_chart(const EffectChart& chart, double width, double height) {
  const bool counted = !chart.histogram.empty() && chart.histogram.size() == chart.points.size();
  std::vector<EffectChart::Point> points;
  std::vector<double> shares;
  Range xs;
  double highest = 0;
  for (std::size_t i = 0; i < chart.points.size(); ++i) {
    const auto& p = chart.points[i];
    if (!std::isfinite(p.x) || !std::isfinite(p.a) || !std::isfinite(p.b) || !std::isfinite(p.tie)) continue;
    points.push_back(p);
    xs.add(p.x);
    const double share = counted && std::isfinite(chart.histogram[i]) ? std::max(0.0, chart.histogram[i]) : 0;
    shares.push_back(share);
    highest = std::max(highest, share);
  }
  if (points.empty()) return {};
  const double strip = highest > 0 ? 26 : 0;
  const double top = 8;
  const double left = 44, right = width - 12;
  const double bottom = height - 22 - strip - (chart.text.x_label.empty() ? 0 : 18);
  const Scale x{xs.low, xs.high, left, right, false};
  const Scale y{chart.y_low, chart.y_high, bottom, top, false};
  SvgWriter svg(width, height, chart.text.title, chart.text.description);
  y_axis(svg, y, nice_ticks(y.low, y.high, 4), left, right, true);

  struct Line {
    double EffectChart::Point::* member;
    std::string_view ink, name;
  };
  constexpr Line kLines[] = {{&EffectChart::Point::a, "a", "A"},
                             {&EffectChart::Point::tie, "tie", "tie"},
                             {&EffectChart::Point::b, "b", "B"}};
  if (xs.low < 0 && xs.high > 0) svg.line(x(0), top, x(0), bottom, "grid");
  for (const Line& line : kLines) {
    Points path;
    for (const auto& p : points) path.emplace_back(x(p.x), y(p.*line.member));
    svg.open(fmt::format("{}: from {} to {}", line.name, format_percent(points.front().*line.member, 0),
                         format_percent(points.back().*line.member, 0)));
    if (path.size() > 1) svg.path(path, fmt::format("line s-{}", line.ink));
    if (path.size() == 1) svg.circle(path[0].first, path[0].second, 4, fmt::format("dot f-{}", line.ink));
    svg.close();
  }
  const double floor = bottom + strip;
  for (std::size_t i = 0; i < points.size() && highest > 0; ++i) {
    // A bar reaches half-way to its neighbours.
    const double from = i == 0 ? x(points[i].x) : (x(points[i - 1].x) + x(points[i].x)) / 2;
    const double to = i + 1 == points.size() ? x(points[i].x) : (x(points[i].x) + x(points[i + 1].x)) / 2;
    const double tall = shares[i] / highest * (strip - 6);
    if (tall > 0 && to > from) svg.rect(from, floor - tall, to - from, tall, "bin f-quiet");
  }
  svg.line(left, floor, right, floor, "axis");
  const int target = std::max(2, static_cast<int>((right - left) / 60));
  x_axis(svg, x, nice_ticks(xs.low, xs.high, target), floor, width);
  if (!chart.text.x_label.empty()) {
    svg.text((left + right) / 2, height - 4, fit_text(chart.text.x_label, 11, right - left), "soft small",
             "middle");
  }
  return svg.finish();
}

}  // namespace agon
