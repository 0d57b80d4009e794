// Heat maps, and lines between two values.
#include <fmt/format.h>

#include <algorithm>
#include <cmath>

#include "agon/report/number.h"
#include "agon/report/scale.h"
#include "agon/report/svg.h"

namespace agon {
namespace {

constexpr double kNarrow = 520;

/// Steps of a cell's colour, 0 (paper) to 10 (full).
int shade(double value) {
  return std::clamp(static_cast<int>(std::lround(std::abs(std::clamp(value, -1.0, 1.0)) * 10)), 0, 10);
}

/// Letters on dark cells take the paper's colour: from step 9 on, on dark pages from step 6.
std::string label_class(int step, std::string_view size) {
  return fmt::format("{}{}", size, step >= 9 ? " w2" : step >= 6 ? " w1" : "");
}

void draw_cell(SvgWriter& svg, const HeatMap& chart, const HeatMap::Cell& cell, double x, double y,
               double width, double height) {
  svg.open(cell.tip);
  if (!std::isfinite(cell.value)) {
    svg.rect(x, y, width, height, "void");
    svg.line(x, y + height, x + width, y, "hatch");
    svg.close();
    return;
  }
  const int step = shade(cell.value);
  const std::string_view ink = ink_name(cell.value < 0 ? chart.below : chart.above);
  const double inset = cell.small ? 0.25 : 0;
  if (cell.small || step == 0) svg.rect(x, y, width, height, "void");
  if (step > 0) {
    svg.rect(x + inset * width, y + inset * height, (1 - 2 * inset) * width, (1 - 2 * inset) * height,
             step == 10 ? fmt::format("f-{}", ink) : fmt::format("f-{} v{}", ink, step));
  }
  // A small cell's letters would lie half on its colour and half on the paper.
  if (!cell.small && !cell.label.empty()) {
    const bool roomy = text_width(cell.label, 11) + 6 <= width && height >= 15;
    if (roomy || (text_width(cell.label, 9.5) * 0.9 + 2.5 <= width && height >= 11)) {
      svg.text(x + width / 2, y + height / 2 + (roomy ? 4 : 3.4), cell.label,
               label_class(step, roomy ? "small" : "tiny"), "middle");
    }
  }
  svg.close();
}

/// `text` in at most `most` lines of `width` pixels, broken at spaces; what is left over ends in "…".
std::vector<std::string> wrapped(const std::string& text, double size, double width, std::size_t most) {
  std::vector<std::string> lines;
  std::size_t from = 0;
  while (from < text.size() && lines.size() + 1 < most && text_width(text.substr(from), size) > width) {
    std::size_t cut = std::string::npos;
    for (std::size_t at = text.find(' ', from); at != std::string::npos; at = text.find(' ', at + 1)) {
      if (text_width(text.substr(from, at - from), size) > width) break;
      cut = at;
    }
    if (cut == std::string::npos) break;
    lines.push_back(text.substr(from, cut - from));
    from = cut + 1;
  }
  lines.push_back(fit_text(text.substr(from), size, width));
  return lines;
}

/// Names over the columns; returns the height that they take.
class ColumnNames {
 public:
  ColumnNames(const HeatMap& chart, double width, double cell) : cell_(cell) {
    constexpr double kWordWidth = 44;  // cells of this width hold a word
    upright_ = std::ranges::any_of(
                   chart.columns, [&](const std::string& name) { return text_width(name, 11) + 4 > cell; }) &&
               cell < kWordWidth;
    for (const std::string& name : chart.columns) {
      if (upright_) {
        names_.push_back({fit_text(name, 11, std::min(150.0, width * 0.3))});
        height_ = std::max(height_, text_width(names_.back().front(), 11) + 8);
      } else {
        names_.push_back(wrapped(name, 11, cell - 4, 3));
        height_ = std::max(height_, 14.0 * static_cast<double>(names_.back().size()) + 6);
      }
    }
  }
  [[nodiscard]] double height() const { return height_; }
  void draw(SvgWriter& svg, double left) const {
    // Cells narrower than a line of text keep every second name, and so on.
    const auto stride = static_cast<std::size_t>(std::max(1.0, std::ceil(12 / cell_)));
    for (std::size_t c = 0; c < names_.size(); ++c) {
      const double middle = left + cell_ * (static_cast<double>(c) + 0.5);
      if (upright_) {
        if (c % stride == 0) svg.text(middle + 4, height_ - 6, names_[c].front(), "small soft", "start", -90);
        continue;
      }
      double y = height_ - 6 - 14 * static_cast<double>(names_[c].size() - 1);
      for (const std::string& line : names_[c]) {
        svg.text(middle, y, line, "small soft", "middle");
        y += 14;
      }
    }
  }

 private:
  double cell_;
  bool upright_ = false;
  double height_ = 20;
  std::vector<std::vector<std::string>> names_;
};

}  // namespace

std::string heat_map(const HeatMap& chart, double width) {
  const std::size_t rows = chart.rows.size(), columns = chart.columns.size();
  if (rows == 0 || columns == 0 || chart.cells.size() != rows * columns) return {};
  double label_width = 0;
  for (const std::string& name : chart.rows) label_width = std::max(label_width, text_width(name, 12));
  label_width = std::min(label_width, width * (width < kNarrow ? 0.36 : 0.28));
  const double left = label_width + 8;
  const double wide = std::min((width - left) / static_cast<double>(columns), 90.0);
  const double tall = std::clamp(wide, 15.0, std::max(15.0, chart.tallest));
  const ColumnNames names(chart, width, wide);
  const double top = names.height();
  SvgWriter svg(width, top + tall * static_cast<double>(rows) + 2, chart.text.title, chart.text.description);
  names.draw(svg, left);
  const double gap = wide > 14 ? 1 : 0.5;
  for (std::size_t r = 0; r < rows; ++r) {
    const double y = top + tall * static_cast<double>(r);
    svg.open(chart.rows[r]);
    svg.text(label_width, y + tall / 2 + 4, fit_text(chart.rows[r], 12, label_width), {}, "end");
    svg.close();
    for (std::size_t c = 0; c < columns; ++c) {
      const HeatMap::Cell& cell = chart.cells[r * columns + c];
      if (cell.blank) continue;
      draw_cell(svg, chart, cell, left + wide * static_cast<double>(c) + gap / 2, y + gap / 2, wide - gap,
                tall - gap);
    }
  }
  return svg.finish();
}

std::string slope_chart(const SlopeChart& chart, double width) {
  std::vector<const SlopeChart::Line*> lines;
  double low = INFINITY, high = -INFINITY, number_width = 0, name_width = 0;
  const auto number = [&](double value) { return typographic(format_fixed(value, chart.decimals)); };
  for (const SlopeChart::Line& line : chart.lines) {
    if (!std::isfinite(line.left) || !std::isfinite(line.right)) continue;
    lines.push_back(&line);
    low = std::min({low, line.left, line.right});
    high = std::max({high, line.left, line.right});
    number_width =
        std::max({number_width, text_width(number(line.left), 12), text_width(number(line.right), 12)});
    name_width = std::max(name_width, text_width(line.label, 12));
  }
  if (lines.empty()) return {};
  const bool narrow = width < kNarrow;
  name_width = std::min(name_width, width * (narrow ? 0.36 : 0.29));
  const double left = (narrow ? 0 : name_width + 8) + number_width + 10;
  const double right = width - name_width - 8 - number_width - 10;
  const double top = 30;
  const double height = top + std::max(60.0, 19.0 * static_cast<double>(lines.size())) + 14;
  const Scale y{low, high, height - 12, top + 8, false};
  SvgWriter svg(width, height, chart.text.title, chart.text.description);
  svg.text(0, 12, fit_text(chart.left_name, 12, width * 0.48), "soft");
  svg.text(width, 12, fit_text(chart.right_name, 12, width * 0.48), "soft", "end");
  std::vector<double> wanted_left, wanted_right;
  for (const auto* line : lines) {
    wanted_left.push_back(y(line->left));
    wanted_right.push_back(y(line->right));
  }
  const auto at_left = spread_labels(wanted_left, 15, top + 4, height - 8);
  const auto at_right = spread_labels(wanted_right, 15, top + 4, height - 8);
  for (std::size_t i = 0; i < lines.size(); ++i) {
    const SlopeChart::Line& line = *lines[i];
    const std::string_view ink = ink_name(line.ink);
    const std::string name = fit_text(line.label, 12, name_width);
    svg.open(fmt::format("{}: {} to {}", line.label, number(line.left), number(line.right)));
    // Short pieces lead from a label that had to move to the end of its line.
    const std::pair<double, double> path[] = {{left - 7, at_left[i]},
                                              {left + 7, y(line.left)},
                                              {right - 7, y(line.right)},
                                              {right + 7, at_right[i]}};
    svg.path(path, fmt::format("line slope s-{}", ink));
    svg.circle(left + 7, y(line.left), 3, fmt::format("f-{}", ink));
    svg.circle(right - 7, y(line.right), 3, fmt::format("f-{}", ink));
    if (!narrow) svg.text(0, at_left[i] + 4, name);
    svg.text(left - 10, at_left[i] + 4, number(line.left), "soft", "end");
    svg.text(right + 10 + number_width, at_right[i] + 4, number(line.right), "soft", "end");
    svg.text(right + 10 + number_width + 8, at_right[i] + 4, name);
    svg.close();
  }
  return svg.finish();
}

}  // namespace agon
