// Charts read back: well-formed, finite, labels apart, the same bytes each time.
#include "agon/report/svg.h"

#include <gtest/gtest.h>
#include <rapidcheck.h>

#include <cmath>
#include <cstdlib>
#include <limits>
#include <regex>

#include "agon/report/scale.h"
#include "markup_check.h"

namespace agon {
namespace {

using testing::markup_fault;

constexpr double kNaN = std::numeric_limits<double>::quiet_NaN();
constexpr double kInfinity = std::numeric_limits<double>::infinity();

struct Label {
  std::string text, css_class;
  double left, right, baseline, size;
};

std::string unescaped(std::string text) {
  const std::pair<const char*, const char*> kEntities[] = {{"&lt;", "<"},  {"&gt;", ">"},  {"&quot;", "\""},
                                                           {"&#39;", "'"}, {"&#96;", "`"}, {"&amp;", "&"}};
  for (const auto& [entity, plain] : kEntities) {
    for (std::size_t at = text.find(entity); at != std::string::npos; at = text.find(entity, at + 1)) {
      text.replace(at, std::string(entity).size(), plain);
    }
  }
  return text;
}

/// Where each upright text lies, by the width it may take.
std::vector<Label> labels(const std::string& svg) {
  static const std::regex kText(
      "<text x=\"([-0-9.]+)\" y=\"([-0-9.]+)\"(?: class=\"([^\"]*)\")?(?: "
      "text-anchor=\"([a-z]+)\")?>([^<]*)</text>");
  std::vector<Label> out;
  for (std::sregex_iterator it(svg.begin(), svg.end(), kText), end; it != end; ++it) {
    const std::string css = (*it)[3];
    const double size = css.find("tiny") != std::string::npos    ? 9.5
                        : css.find("small") != std::string::npos ? 11
                        : css.find("big") != std::string::npos   ? 13
                                                                 : 12;
    const std::string text = unescaped((*it)[5]);
    const double x = std::atof((*it)[1].str().c_str());
    // text_width errs on the wide side by up to a fifth for figures; what is tested is real overlap.
    const double width = text_width(text, size) * 0.85;
    const std::string anchor = (*it)[4];
    const double left = anchor == "middle" ? x - width / 2 : anchor == "end" ? x - width : x;
    out.push_back({text, css, left, left + width, std::atof((*it)[2].str().c_str()), size});
  }
  return out;
}

/// The first two labels that lie on each other, or empty.
std::string overlap(const std::string& svg) {
  const auto all = labels(svg);
  for (std::size_t i = 0; i < all.size(); ++i) {
    for (std::size_t k = 0; k < i; ++k) {
      const bool beside = all[i].left >= all[k].right || all[k].left >= all[i].right;
      const bool apart =
          std::abs(all[i].baseline - all[k].baseline) >= 0.75 * std::max(all[i].size, all[k].size);
      if (!beside && !apart) return "'" + all[i].text + "' and '" + all[k].text + "'";
    }
  }
  return {};
}

/// Empty when the chart is well-formed, accessible, without overlap and without numbers that are none.
std::string fault(const std::string& svg) {
  if (std::string wrong = markup_fault(svg); !wrong.empty()) return wrong;
  if (!svg.starts_with("<svg viewBox=")) return "no viewBox";
  if (svg.find("<title>") == std::string::npos) return "no title";
  static const std::regex kNumbers("=\"[^\"]*(nan|inf)[^\"]*\"");
  if (std::regex_search(svg, kNumbers)) return "a coordinate is no number";
  const double width = std::atof(svg.c_str() + std::string("<svg viewBox=\"0 0 ").size());
  for (const Label& label : labels(svg)) {
    if (label.left < -0.5 || label.right > width + 0.5) return "'" + label.text + "' leaves the picture";
  }
  if (std::string both = overlap(svg); !both.empty()) return both + " overlap";
  return {};
}

LineChart learning_curve() {
  LineChart chart;
  chart.text = {"Learning & curve", "desc <x>", "rows", "log loss"};
  chart.series = {
      {"model <a>", Ink::kMain, {{100, 1.08, 1.06, 1.1}, {1000, 1.04, 1.03, 1.06}, {10000, 1.01, 1.0, 1.03}}},
      {"length", Ink::kQuiet, {{100, 1.09, kNaN, kNaN}, {10000, 1.0101, kNaN, kNaN}}}};
  chart.references = {{"prior", 1.0101}, {"uniform", 1.0986}};
  chart.log_x = true;
  return chart;
}

TEST(LineChart, IsWellFormedAndKeepsNamesApart) {
  for (const double width : {340.0, 760.0}) {
    const std::string svg = line_chart(learning_curve(), width, 300);
    EXPECT_EQ(fault(svg), "");
    EXPECT_EQ(svg, line_chart(learning_curve(), width, 300));
    EXPECT_NE(svg.find("model &lt;a&gt;"), std::string::npos);
    EXPECT_NE(svg.find("band f-main"), std::string::npos);
    EXPECT_EQ(svg.find("band f-quiet"), std::string::npos);  // no interval, no band
  }
}

TEST(LineChart, NothingToDraw) {
  EXPECT_EQ(line_chart({}, 300, 200), "");
  LineChart chart;
  chart.series = {{"x", Ink::kMain, {{0, 1, 1, 1}, {kNaN, 1, 1, 1}, {10, kInfinity, 1, 1}}}};
  chart.log_x = true;  // 0 has no logarithm
  EXPECT_EQ(line_chart(chart, 300, 200), "");
}

TEST(LineChart, AnyNumbers) {
  EXPECT_TRUE(rc::check("well-formed", [] {
    LineChart chart;
    chart.log_x = *rc::gen::arbitrary<bool>();
    const auto number =
        rc::gen::element(0.0, 1.0, -1.0, 1e-12, 1e9, -1e300, 3.14, kNaN, kInfinity, -kInfinity);
    const auto n = *rc::gen::inRange(0, 8);
    LineChart::Series series{"s", Ink::kA, {}};
    for (int i = 0; i < n; ++i) series.points.push_back({*number, *number, *number, *number});
    std::sort(series.points.begin(), series.points.end(), [](const auto& p, const auto& q) {
      return (std::isnan(p.x) ? kInfinity : p.x) < (std::isnan(q.x) ? kInfinity : q.x);
    });
    chart.series.push_back(series);
    chart.references.push_back({"r", *number});
    const std::string svg = line_chart(chart, 400, 250);
    if (!svg.empty()) RC_ASSERT(markup_fault(svg) == "");
    RC_ASSERT(svg.find("\"nan") == std::string::npos);
  }));
}

TEST(ReliabilityChart, DrawsEveryBinWhereItBelongs) {
  ReliabilityChart chart;
  chart.text = {"A wins", "d", "stated", "happened"};
  chart.ink = Ink::kA;
  chart.bins = {{0.5, 0.5, 0.4, 0.6, 10}, {kNaN, 0.5, 0.4, 0.6, 0}, {1, 0, kNaN, kNaN, 3}};
  chart.histogram = {0.25, 0.75};
  const std::string svg = reliability_chart(chart, 260);
  EXPECT_EQ(fault(svg), "");
  // Axes reach from 46 to 240 and the square from 28 to 222: its middle is (143, 125).
  EXPECT_NE(svg.find("<circle cx=\"143\" cy=\"125\""), std::string::npos) << svg;
  EXPECT_NE(svg.find("<circle cx=\"240\" cy=\"222\""), std::string::npos) << svg;
  EXPECT_EQ(svg.find("<circle", svg.find("cx=\"240\"")), std::string::npos);
  EXPECT_EQ(reliability_chart({}, 260), "");
}

TEST(BarChart, LengthsAreInProportion) {
  BarChart chart;
  chart.text.title = "bars";
  chart.bars = {
      {"first", "", 0.02, Ink::kMain}, {"second", "", 0.01, Ink::kTie}, {"third", "", kNaN, Ink::kMain}};
  chart.decimals = 2;
  const std::string svg = bar_chart(chart, 700);
  EXPECT_EQ(fault(svg), "");
  static const std::regex kWidth("<rect [^>]*width=\"([0-9.]+)\"");
  std::vector<double> widths;
  for (std::sregex_iterator it(svg.begin(), svg.end(), kWidth), end; it != end; ++it)
    widths.push_back(std::atof((*it)[1].str().c_str()));
  ASSERT_EQ(widths.size(), 2U);
  EXPECT_NEAR(widths[0], 2 * widths[1], 0.02);
  EXPECT_NE(svg.find("n/a"), std::string::npos);
}

TEST(RowCharts, LabelsNeverOverlap) {
  EXPECT_TRUE(rc::check("bars and dots at any width", [] {
    const double width = *rc::gen::element(320, 340, 519, 520, 760);
    const auto count = *rc::gen::inRange(1, 9);
    BarChart bars;
    DotChart dots;
    dots.plus = *rc::gen::arbitrary<bool>();
    bars.text.title = dots.text.title = "t";
    dots.text.x_label = "log loss";
    for (int i = 0; i < count; ++i) {
      const std::string label(*rc::gen::inRange<std::size_t>(0, 120), *rc::gen::element('m', 'i', 'W'));
      const double value = *rc::gen::inRange(-2000, 2000) / 1000.0;
      bars.bars.push_back({label, *rc::gen::element<std::string>("", "some.feature.name"), value, Ink::kA});
      dots.rows.push_back({label, *rc::gen::element<std::string>("", "1,234 rows"), value, value - 0.1,
                           value + 0.2, Ink::kA, *rc::gen::inRange(0, 5) == 0});
    }
    dots.references = {{"one reference", 0.5}, {"another reference", *rc::gen::inRange(-2, 3) / 2.0}};
    RC_ASSERT(fault(bar_chart(bars, width)) == "");
    const std::string svg = dot_chart(dots, width);
    if (!svg.empty()) RC_ASSERT(fault(svg) == "");
  }));
}

TEST(DotChart, WhatCannotBeComputedIsSaid) {
  DotChart chart;
  chart.text.title = "dots";
  chart.rows = {{"known", "", 1.0, 0.9, 1.1, Ink::kMain, false},
                {"unknown", "", kNaN, kNaN, kNaN, Ink::kMain, false}};
  const std::string svg = dot_chart(chart, 700);
  EXPECT_EQ(fault(svg), "");
  EXPECT_NE(svg.find(">n/a<"), std::string::npos);
  chart.rows.erase(chart.rows.begin());
  EXPECT_EQ(dot_chart(chart, 700), "");
}

TEST(DotChart, SecondIntervalLiesAroundTheFirst) {
  DotChart chart;
  chart.text.title = "dots";
  chart.row_height = 20;
  chart.rows = {{"both", "rank 1", 10, 9, 11, Ink::kMain, false, 5, 15},
                {"one", "", 10, 9, 11, Ink::kMain, false, -kInfinity, 12}};
  const std::string svg = dot_chart(chart, 700);
  EXPECT_EQ(fault(svg), "");
  static const std::regex kWhisker(
      "<line x1=\"([0-9.]+)\" y1=\"[0-9.]+\" x2=\"([0-9.]+)\"[^>]*whisker( thin)? s-main");
  std::vector<std::pair<double, double>> thick, thin;
  for (std::sregex_iterator it(svg.begin(), svg.end(), kWhisker), end; it != end; ++it)
    ((*it)[3].matched ? thin : thick)
        .emplace_back(std::atof((*it)[1].str().c_str()), std::atof((*it)[2].str().c_str()));
  ASSERT_EQ(thick.size(), 2U);
  ASSERT_EQ(thin.size(), 1U);  // an endless one is not drawn
  EXPECT_NEAR(thin[0].second - thin[0].first, 5 * (thick[0].second - thick[0].first), 0.1);
  EXPECT_LT(thin[0].first, thick[0].first);
}

TEST(LineChart, DatesInPlaceOfNumbers) {
  LineChart chart;
  chart.text = {"drift", "d", "time", "rating"};
  chart.whiskers = true;
  chart.x_names = {{1e12, "2001-09-09"}, {1.1e12, "2004-11-09"}, {1.2e12, "2008-01-10"}};
  for (const char* name : {"a", "b", "c"})
    chart.series.push_back({name, Ink::kA, {{1e12, 1, 0, 2}, {1.2e12, 2, 1, 3}}, *name == 'b'});
  for (const double width : {340.0, 780.0}) {
    const std::string svg = line_chart(chart, width, 300);
    EXPECT_EQ(fault(svg), "");
    EXPECT_NE(svg.find(">2001-09-09<"), std::string::npos);
    EXPECT_NE(svg.find("<title>a, 2001-09-09: 1.000"), std::string::npos);
    EXPECT_EQ(svg.find("band"), std::string::npos);
    EXPECT_NE(svg.find("line broken s-a"), std::string::npos);
  }
}

HeatMap heat_example(std::size_t rows, std::size_t columns) {
  HeatMap map;
  map.text = {"heat & map", "d", "", ""};
  for (std::size_t r = 0; r < rows; ++r) map.rows.push_back("row <" + std::to_string(r) + ">");
  for (std::size_t c = 0; c < columns; ++c) map.columns.push_back("a column named " + std::to_string(c));
  for (std::size_t i = 0; i < rows * columns; ++i)
    map.cells.push_back(
        {static_cast<double>(i % 5) / 2 - 1, std::to_string(i), "tip \"" + std::to_string(i) + "\""});
  return map;
}

std::size_t occurrences(const std::string& text, std::string_view part) {
  std::size_t n = 0;
  for (std::size_t at = text.find(part); at != std::string::npos; at = text.find(part, at + 1)) ++n;
  return n;
}

TEST(HeatMap, EachCellSaysWhatItIs) {
  HeatMap map = heat_example(2, 5);  // values -1, -0.5, 0, 0.5, 1 in each row
  map.cells[0].blank = true;
  map.cells[9].value = kNaN;
  const std::string svg = heat_map(map, 700);
  EXPECT_EQ(fault(svg), "");
  EXPECT_EQ(occurrences(svg, "class=\"f-b\""), 1U);  // -1; the other is blank
  EXPECT_EQ(occurrences(svg, "class=\"f-b v5\""), 2U);
  EXPECT_EQ(occurrences(svg, "class=\"f-a v5\""), 2U);
  EXPECT_EQ(occurrences(svg, "class=\"f-a\""), 1U);  // the other is no number
  EXPECT_EQ(occurrences(svg, "\"hatch\""), 1U);
  EXPECT_EQ(occurrences(svg, ">tip &quot;"), 9U);
  EXPECT_EQ(svg.find(">9</text>"), std::string::npos);  // a missing figure has no label
  EXPECT_EQ(heat_map(heat_example(0, 3), 700), "");
  map.cells.pop_back();
  EXPECT_EQ(heat_map(map, 700), "");
}

TEST(HeatMap, AnyShape) {
  EXPECT_TRUE(rc::check("well-formed, labels apart", [] {
    const auto rows = *rc::gen::inRange<std::size_t>(1, 40), columns = *rc::gen::inRange<std::size_t>(1, 40);
    HeatMap map = heat_example(rows, columns);
    for (HeatMap::Cell& cell : map.cells) {
      cell.value = *rc::gen::element(0.0, -1.0, 0.33, 7.0, kNaN, kInfinity);
      cell.small = *rc::gen::arbitrary<bool>();
      cell.label = *rc::gen::element("", "7", "100", "12–118");
    }
    RC_ASSERT(fault(heat_map(map, *rc::gen::element(320.0, 340.0, 780.0))) == "");
  }));
}

TEST(SlopeChart, LabelsOfCrowdedLinesStayApart) {
  EXPECT_TRUE(rc::check("well-formed", [] {
    SlopeChart chart;
    chart.text.title = "slopes";
    chart.left_name = "before it was taken out";
    chart.right_name = "after it was taken out";
    const auto count = *rc::gen::inRange(1, 30);
    for (int i = 0; i < count; ++i) {
      const double crowd = *rc::gen::element(1.0, 1000.0);
      chart.lines.push_back({std::string(*rc::gen::inRange<std::size_t>(0, 60), 'm'),
                             *rc::gen::inRange(-50, 50) / crowd, *rc::gen::inRange(-50, 50) / crowd,
                             Ink::kA});
    }
    RC_ASSERT(fault(slope_chart(chart, *rc::gen::element(320.0, 340.0, 780.0))) == "");
  }));
  SlopeChart none;
  none.lines = {{"x", kNaN, 1, Ink::kA}};
  EXPECT_EQ(slope_chart(none, 700), "");
}

TEST(EffectChart, LinesAndStack) {
  EffectChart chart;
  chart.text = {"effect", "d", "A minus B", ""};
  for (int i = 0; i <= 10; ++i) {
    const double a = 0.2 + 0.04 * i;
    chart.points.push_back({i - 5.0, a, 0.75 - a, 0.25});
    chart.histogram.push_back(0.1);
  }
  chart.points[3].a = kNaN;
  chart.y_low = 0.1;
  chart.y_high = 0.7;
  const std::string svg = effect_chart(chart, 250, 190);
  EXPECT_EQ(fault(svg), "");
  for (const char* ink : {"-a\"", "-b\"", "-tie\""})
    EXPECT_NE(svg.find("line s" + std::string(ink)), std::string::npos) << ink;
  EXPECT_EQ(effect_chart({}, 250, 190), "");
}

TEST(SplitBar, SharesOfTheWidth) {
  const std::string svg = split_bar(0.5, 0.25, 0.25, "p", 200);
  EXPECT_EQ(fault(svg), "");
  EXPECT_NE(svg.find("width=\"99.25\" height=\"12\" class=\"f-a\""), std::string::npos) << svg;
  EXPECT_EQ(split_bar(kNaN, 0.5, 0.5, "p", 200), "");
  EXPECT_EQ(split_bar(0, 0, 0, "p", 200), "");
}

TEST(SmallMultiples, EmptyOnesAreLeftOut) {
  EXPECT_EQ(small_multiples(std::vector<Multiple>{{"a", "", ""}}), "");
  EXPECT_EQ(markup_fault(small_multiples(std::vector<Multiple>{{"<a>", "b&c", "<svg></svg>"}})), "");
}

}  // namespace
}  // namespace agon
