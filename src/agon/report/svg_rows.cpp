// Charts with one line of text a row: bars, and dots with whiskers.
#include <fmt/format.h>

#include <algorithm>
#include <cmath>

#include "agon/report/number.h"
#include "agon/report/scale.h"
#include "agon/report/svg.h"

namespace agon {
namespace {

constexpr double kNarrow = 520;  // below this labels lie above what they name

std::string dot_value(const DotChart& chart, double value) {
  return typographic(chart.plus ? format_signed(value, chart.decimals) : format_fixed(value, chart.decimals));
}

bool has_value(const DotChart::Row& row) { return !row.heading && std::isfinite(row.value); }

}  // namespace

std::string bar_chart(const BarChart& chart, double width) {
  if (chart.bars.empty()) return {};
  const bool narrow = width < kNarrow;
  double low = 0, high = 0, value_width = 0, negative_width = 0, label_width = 0;
  for (const auto& bar : chart.bars) {
    const double wide = text_width(typographic(format_fixed(bar.value, chart.decimals)), 12) + 8;
    value_width = std::max(value_width, wide);
    if (bar.value < 0) negative_width = std::max(negative_width, wide);
    label_width = std::max({label_width, text_width(bar.label, 13), text_width(bar.detail, 11)});
    if (!std::isfinite(bar.value)) continue;
    low = std::min(low, bar.value);
    high = std::max(high, bar.value);
  }
  if (low == high) high = low + 1;
  label_width = narrow ? width : std::min(label_width, width * 0.5);
  const bool detailed =
      std::any_of(chart.bars.begin(), chart.bars.end(), [](const auto& bar) { return !bar.detail.empty(); });
  const double text_height = detailed ? 32 : 18;
  const double row = narrow ? text_height + 28 : text_height + 8;
  const double top = 2;
  const double height = top + row * static_cast<double>(chart.bars.size()) + 2;
  const double left = (narrow ? 0 : label_width + 14) + negative_width;
  const Scale x{low, high, left, width - value_width - 2, false};
  SvgWriter svg(width, height, chart.text.title, chart.text.description);
  for (std::size_t i = 0; i < chart.bars.size(); ++i) {
    const auto& bar = chart.bars[i];
    const double y = top + row * static_cast<double>(i);
    const std::string value = typographic(format_fixed(bar.value, chart.decimals));
    svg.open(fmt::format("{}: {}", bar.label, value));
    const double first = narrow ? y + 13 : y + (detailed && !bar.detail.empty() ? 14 : row / 2 + 4);
    svg.text(0, first, fit_text(bar.label, 13, label_width), "big");
    if (!bar.detail.empty())
      svg.text(0, first + 15, fit_text(bar.detail, 11, label_width), "small soft mono");
    const double middle = narrow ? y + text_height + 10 : y + row / 2;
    if (narrow && low < 0) svg.line(x(0), middle - 9, x(0), middle + 9, "zero");
    if (std::isfinite(bar.value)) {
      const double from = std::min(x(0), x(bar.value));
      const double wide = std::max(1.0, std::abs(x(bar.value) - x(0)));
      svg.rect(from, middle - 7, wide, 14, fmt::format("f-{}", ink_name(bar.ink)), 2);
      if (bar.value < 0) {
        svg.text(from - 6, middle + 4, value, "soft", "end");
      } else {
        svg.text(from + wide + 6, middle + 4, value, "soft");
      }
    } else {
      svg.text(x(0) + 6, middle + 4, value, "soft");
    }
    svg.close();
  }
  if (low < 0 && !narrow) svg.line(x(0), top, x(0), height - 2, "zero");
  return svg.finish();
}

std::string dot_chart(const DotChart& chart, double width) {
  const bool narrow = width < kNarrow;
  bool any = false;
  bool zero = chart.plus;
  double low = chart.plus ? 0 : INFINITY;
  double high = chart.plus ? 0 : -INFINITY;
  double label_width = 0, value_width = 0;
  const auto value_text = [&](const DotChart::Row& row) {
    std::string text = dot_value(chart, row.value);
    const std::string interval = typographic(format_interval(row.low, row.high, chart.decimals));
    if (has_value(row) && interval != "n/a") text += "  " + interval;
    return text;
  };
  for (const auto& row : chart.rows) {
    if (row.heading) continue;
    const double detail = row.detail.empty() ? 0 : text_width(row.detail, 11) + 10;
    label_width = std::max(label_width, text_width(row.label, 13) + detail);
    value_width = std::max(value_width, text_width(value_text(row), 12));
    if (!has_value(row)) continue;
    any = true;
    for (const double v : {row.value, row.low, row.high, row.outer_low, row.outer_high}) {
      if (!std::isfinite(v)) continue;
      low = std::min(low, v);
      high = std::max(high, v);
    }
  }
  if (!any) return {};
  for (const auto& reference : chart.references) {
    if (!std::isfinite(reference.value)) continue;
    low = std::min(low, reference.value);
    high = std::max(high, reference.value);
  }
  const bool dense = chart.row_height < 26;
  label_width = narrow ? width : std::min(label_width, width * (dense ? 0.42 : 0.36));
  const double left = narrow ? 8 : label_width + 20;
  const double right = narrow ? width - 8 : width - value_width - 20;
  const double pad = high > low ? (high - low) * 0.04 : std::max(std::abs(low) * 0.1, 0.1);
  low -= pad;
  high += pad;
  const Scale x{low, high, left, right, false};
  const Ticks ticks = nice_ticks(low, high, std::max(2, static_cast<int>((right - left) / 60)));
  zero = zero && low <= 0 && high >= 0;

  // Reference labels share one line above the rows, or take one line each when they would touch.
  const double line_height = 16;
  const double top = 6 + line_height * static_cast<double>(chart.references.size());
  const double row_height = narrow ? 42 : std::max(18.0, chart.row_height);
  const double heading_height = 34;
  double height = top;
  for (const auto& row : chart.rows) height += row.heading ? heading_height : row_height;
  const double bottom = height + 4;
  height = bottom + 24 + (chart.text.x_label.empty() ? 0 : 18);
  SvgWriter svg(width, height, chart.text.title, chart.text.description);
  for (const double value : ticks.at) {
    const double at = x(value);
    if (!narrow) svg.line(at, top, at, bottom, "grid");
  }
  double free_from = -INFINITY;
  for (const double value : ticks.at) {
    const std::string label =
        typographic(chart.plus ? format_signed(value, ticks.decimals) : format_fixed(value, ticks.decimals));
    const double half = text_width(label, 12) / 2;
    const double at = std::clamp(x(value), half, width - half);
    if (at - half < free_from) continue;
    svg.text(at, bottom + 17, label, "soft", "middle");
    free_from = at + half + 8;
  }
  if (zero && !narrow) svg.line(x(0), top, x(0), bottom, "zero");
  for (std::size_t i = 0; i < chart.references.size(); ++i) {
    const auto& reference = chart.references[i];
    if (!std::isfinite(reference.value)) continue;
    const double baseline = 12 + line_height * static_cast<double>(i);
    const std::string label = fit_text(reference.label, 11, width);
    const double half = text_width(label, 11) / 2;
    const double at = x(reference.value);
    svg.line(at, baseline + 4, at, narrow ? top : bottom, "guide");
    svg.text(std::clamp(at, half, std::max(half, width - half)), baseline, label, "soft small", "middle");
  }
  double y = top;
  for (const auto& row : chart.rows) {
    if (row.heading) {
      svg.text(0, y + heading_height - 9, fit_text(row.label, 13, width), "big head");
      y += heading_height;
      continue;
    }
    const double middle = narrow ? y + 30 : y + row_height / 2;
    const double baseline = narrow ? y + 15 : middle + 4;
    const double label_room = narrow ? std::max(80.0, width - value_width - 12) : label_width;
    const double detail_width = row.detail.empty() ? 0 : text_width(row.detail, 11) + 10;
    const bool detail_fits = detail_width > 0 && text_width(row.label, 13) + detail_width <= label_room;
    const std::string shown = fit_text(row.label, 13, label_room);
    svg.open(
        fmt::format("{}: {}{}{}", row.label, value_text(row), row.detail.empty() ? "" : ", ", row.detail));
    svg.text(0, baseline, shown, "big");
    if (detail_fits) {
      if (narrow) {
        svg.text(text_width(shown, 13) + 6, baseline, row.detail, "small soft");
      } else {
        svg.text(label_width, baseline, row.detail, "small soft", "end");
      }
    }
    svg.text(width, baseline, value_text(row), "soft", "end");
    if (narrow) {
      // Lines from top to bottom would cross the labels, so each row gets its piece.
      for (const double value : ticks.at) svg.line(x(value), middle - 8, x(value), middle + 8, "grid");
      if (zero) svg.line(x(0), middle - 8, x(0), middle + 8, "zero");
      for (const auto& reference : chart.references) {
        if (!std::isfinite(reference.value)) continue;
        svg.line(x(reference.value), middle - 8, x(reference.value), middle + 8, "guide");
      }
    }
    if (has_value(row)) {
      const std::string_view ink = ink_name(row.ink);
      if (std::isfinite(row.outer_low) && std::isfinite(row.outer_high)) {
        svg.line(x(row.outer_low), middle, x(row.outer_high), middle, fmt::format("whisker thin s-{}", ink));
      }
      if (std::isfinite(row.low) && std::isfinite(row.high)) {
        svg.line(x(row.low), middle, x(row.high), middle, fmt::format("whisker s-{}", ink));
      }
      svg.circle(x(row.value), middle, dense ? 3.5 : 4.5, fmt::format("dot f-{}", ink));
    }
    svg.close();
    y += row_height;
  }
  if (!chart.text.x_label.empty()) {
    svg.text((left + right) / 2, height - 4, fit_text(chart.text.x_label, 11, width), "soft small", "middle");
  }
  return svg.finish();
}

}  // namespace agon
