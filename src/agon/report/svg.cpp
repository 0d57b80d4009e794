#include "agon/report/svg.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>

#include "agon/base/check.h"
#include "agon/report/number.h"

namespace agon {
namespace {

/// Two digits are a hundredth of a pixel; trailing zeros are cut to keep pages small.
std::string place(double value) {
  AGON_CHECK(std::isfinite(value));
  std::string text = format_fixed(value, 2);
  text.erase(text.find_last_not_of('0') + 1);
  if (text.back() == '.') text.pop_back();
  return text;
}

std::string class_attribute(std::string_view css_class) {
  return css_class.empty() ? std::string() : fmt::format(" class=\"{}\"", css_class);
}

}  // namespace

SvgWriter::SvgWriter(double width, double height, std::string_view title, std::string_view description) {
  const std::string label = escape_html(title);
  out_ = fmt::format("<svg viewBox=\"0 0 {} {}\" role=\"img\" aria-label=\"{}\">\n<title>{}</title>\n",
                     place(width), place(height), label, label);
  if (!description.empty()) out_ += fmt::format("<desc>{}</desc>\n", escape_html(description));
}

void SvgWriter::line(double x1, double y1, double x2, double y2, std::string_view css_class) {
  out_ += fmt::format("<line x1=\"{}\" y1=\"{}\" x2=\"{}\" y2=\"{}\"{}/>\n", place(x1), place(y1), place(x2),
                      place(y2), class_attribute(css_class));
}

void SvgWriter::rect(double x, double y, double width, double height, std::string_view css_class,
                     double radius) {
  out_ += fmt::format("<rect x=\"{}\" y=\"{}\" width=\"{}\" height=\"{}\"{}{}/>\n", place(x), place(y),
                      place(std::max(0.0, width)), place(std::max(0.0, height)),
                      radius > 0 ? fmt::format(" rx=\"{}\"", place(radius)) : "", class_attribute(css_class));
}

void SvgWriter::circle(double x, double y, double radius, std::string_view css_class) {
  out_ += fmt::format("<circle cx=\"{}\" cy=\"{}\" r=\"{}\"{}/>\n", place(x), place(y), place(radius),
                      class_attribute(css_class));
}

void SvgWriter::path(std::span<const std::pair<double, double>> points, std::string_view css_class,
                     bool closed) {
  if (points.empty()) return;
  out_ += "<path d=\"";
  char command = 'M';
  for (const auto& [x, y] : points) {
    out_ += fmt::format("{}{} {}", command, place(x), place(y));
    command = 'L';
  }
  if (closed) out_ += 'Z';
  out_ += fmt::format("\"{}/>\n", class_attribute(css_class));
}

void SvgWriter::text(double x, double y, std::string_view text, std::string_view css_class,
                     std::string_view anchor, double rotate) {
  out_ += fmt::format("<text x=\"{}\" y=\"{}\"{}", place(x), place(y), class_attribute(css_class));
  if (anchor != "start") out_ += fmt::format(" text-anchor=\"{}\"", anchor);
  if (rotate != 0) out_ += fmt::format(" transform=\"rotate({} {} {})\"", place(rotate), place(x), place(y));
  out_ += fmt::format(">{}</text>\n", escape_html(text));
}

void SvgWriter::open(std::string_view tip) {
  out_ += "<g>";
  if (!tip.empty()) out_ += fmt::format("<title>{}</title>", escape_html(tip));
  out_ += '\n';
  ++depth_;
}

void SvgWriter::close() {
  AGON_CHECK(depth_ > 0);
  --depth_;
  out_ += "</g>\n";
}

std::string SvgWriter::finish() {
  AGON_CHECK(depth_ == 0);
  out_ += "</svg>\n";
  return std::move(out_);
}

std::string split_bar(double a, double tie, double b, std::string_view title, double width) {
  const double sum = a + tie + b;
  if (!std::isfinite(sum) || !(sum > 0) || a < 0 || tie < 0 || b < 0) return {};
  SvgWriter svg(width, 34, title, {});
  const double shares[] = {a / sum, tie / sum, b / sum};
  const std::string_view fills[] = {"f-a", "f-tie", "f-b"};
  const std::string_view names[] = {"A", "tie", "B"};
  double x = 0;
  for (int i = 0; i < 3; ++i) {
    const double part = shares[i] * width;
    svg.rect(x + (i > 0 ? 0.75 : 0), 0, part - (i > 0 ? 0.75 : 0) - (i < 2 ? 0.75 : 0), 12, fills[i]);
    // A label under each part that is wide enough for it: "A 64 %" takes about 46 pixels.
    const std::string label = fmt::format("{} {}", names[i], format_percent(shares[i], 0));
    if (part > 24 + 8.0 * static_cast<double>(names[i].size())) {
      const std::string_view anchor = i == 0 ? "start" : i == 1 ? "middle" : "end";
      svg.text(i == 0 ? 0 : i == 1 ? x + part / 2 : width, 28, label, "small soft", anchor);
    }
    x += part;
  }
  return svg.finish();
}

std::string responsive(std::string_view wide, std::string_view narrow) {
  if (wide.empty() && narrow.empty()) return {};
  return fmt::format("<div class=\"wide\">{}</div>\n<div class=\"narrow\">{}</div>\n", wide, narrow);
}

std::string small_multiples(std::span<const Multiple> charts) {
  std::string out;
  for (const Multiple& one : charts) {
    if (one.chart.empty()) continue;
    out += fmt::format("<div><p class=\"of\"><b>{}</b>", escape_html(one.title));
    if (!one.detail.empty()) out += fmt::format("<code>{}</code>", escape_html(one.detail));
    out += fmt::format("</p>{}</div>\n", one.chart);
  }
  return out.empty() ? out : "<div class=\"multiples\">\n" + out + "</div>\n";
}

}  // namespace agon
