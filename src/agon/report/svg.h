// Charts as inline SVG: coloured by the page's stylesheet, so that they follow light and dark.
#pragma once

#include <limits>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "agon/report/html.h"

namespace agon {

/// Writes SVG elements with fixed two-digit coordinates; texts are escaped, coordinates must be finite.
class SvgWriter {
 public:
  /// `title` and `description` are what a screen reader says.
  SvgWriter(double width, double height, std::string_view title, std::string_view description);
  void line(double x1, double y1, double x2, double y2, std::string_view css_class);
  void rect(double x, double y, double width, double height, std::string_view css_class, double radius = 0);
  void circle(double x, double y, double radius, std::string_view css_class);
  /// An open line through the points, or the area within them.
  void path(std::span<const std::pair<double, double>> points, std::string_view css_class,
            bool closed = false);
  /// `anchor` is "start", "middle" or "end"; y is the baseline.
  void text(double x, double y, std::string_view text, std::string_view css_class = {},
            std::string_view anchor = "start", double rotate = 0);
  /// What follows until close() shows `tip` when pointed at.
  void open(std::string_view tip);
  void close();
  [[nodiscard]] std::string finish();

 private:
  std::string out_;
  int depth_ = 0;
};

struct ChartText {
  std::string title;        ///< Said to screen readers.
  std::string description;  ///< Said to screen readers: what the chart shows in one sentence.
  std::string x_label, y_label;
};

struct ReferenceLine {
  std::string label;
  double value = 0;
};

/// Lines with an interval around them. Points with x or y that is not finite are left out, as are
/// intervals with a bound that is not.
struct LineChart {
  struct Point {
    double x = 0, y = 0, low = 0, high = 0;
  };
  struct Series {
    std::string name;
    Ink ink = Ink::kMain;
    std::vector<Point> points;  ///< Ascending in x.
    bool broken = false;        ///< Long dashes: a second line in the same ink.
  };
  ChartText text;
  std::vector<Series> series;
  std::vector<ReferenceLine> references;  ///< Horizontal, dashed.
  bool log_x = false;                     ///< Points at x <= 0 are then left out.
  int decimals = 3;                       ///< Of y in tips.
  /// Ascending places on the x axis and what they are called (dates), in place of round numbers.
  std::vector<std::pair<double, std::string>> x_names;
  bool whiskers = false;  ///< Intervals as whiskers in place of bands, which hide each other when many.
};
/// Empty when nothing can be drawn; so are the others.
[[nodiscard]] std::string line_chart(const LineChart& chart, double width, double height);

/// Predicted against observed with whiskers, the diagonal, and how often each prediction is made.
struct ReliabilityChart {
  struct Bin {
    double predicted = 0, observed = 0, low = 0, high = 0;
    std::uint64_t n = 0;
  };
  ChartText text;
  Ink ink = Ink::kMain;
  std::vector<Bin> bins;
  std::vector<double> histogram;  ///< Share of predictions in equal parts of [0, max]; may be empty.
  double max = 1;                 ///< End of both axes.
};
[[nodiscard]] std::string reliability_chart(const ReliabilityChart& chart, double width);

struct BarChart {
  struct Bar {
    std::string label, detail;  ///< Detail is small, beneath the label.
    double value = 0;
    Ink ink = Ink::kMain;
  };
  ChartText text;
  std::vector<Bar> bars;
  int decimals = 4;
};
/// Horizontal bars from zero, the value at their end. Below 520 pixels labels lie above the bars.
[[nodiscard]] std::string bar_chart(const BarChart& chart, double width);

struct DotChart {
  struct Row {
    std::string label, detail;  ///< Detail is small, after the label ("812 rows").
    double value = 0, low = 0, high = 0;
    Ink ink = Ink::kMain;
    bool heading = false;  ///< A group's name; carries no value.
    /// A second, wider interval, drawn thin around the first; none unless both are finite.
    double outer_low = std::numeric_limits<double>::quiet_NaN();
    double outer_high = std::numeric_limits<double>::quiet_NaN();
  };
  ChartText text;
  std::vector<Row> rows;
  std::vector<ReferenceLine> references;  ///< Vertical lines, labelled above; zero is drawn solid.
  int decimals = 3;
  bool plus = false;       ///< Differences: '+' in front of positive values.
  double row_height = 26;  ///< At least 18. On narrow charts rows are 42 whatever this is.
};
/// A dot for each value and a line for its interval; values in a column at the right.
[[nodiscard]] std::string dot_chart(const DotChart& chart, double width);

/// How three probabilities move with one number.
struct EffectChart {
  struct Point {
    double x = 0, a = 0, b = 0, tie = 0;
  };
  ChartText text;
  std::vector<Point> points;      ///< Ascending in x.
  std::vector<double> histogram;  ///< Share of rows near each point; aligned with `points`, or empty.
  double y_low = 0, y_high = 1;   ///< Range of the lines; shared between charts that are compared.
};
[[nodiscard]] std::string effect_chart(const EffectChart& chart, double width, double height);

/// A table of coloured squares with names at the left and on top.
struct HeatMap {
  struct Cell {
    double value = std::numeric_limits<double>::quiet_NaN();  ///< -1 to 1; not finite: no figure, hatched
    std::string label;   ///< Written where there is room: keep it to a few characters.
    std::string tip;     ///< Shown when pointed at.
    bool blank = false;  ///< Nothing is drawn at all (a diagonal).
    bool small = false;  ///< Drawn at half its width: little stands behind it.
  };
  ChartText text;
  std::vector<std::string> rows, columns;
  std::vector<Cell> cells;               ///< rows x columns, row by row
  Ink below = Ink::kB, above = Ink::kA;  ///< of values below and above zero; zero itself is the paper
  double tallest = 30;                   ///< no row is taller; cells are as wide as there is room
};
/// Empty without rows or columns, or when `cells` is not rows x columns. Column names stand upright where
/// cells are too narrow for them. Colours have ten steps, so that the page stays small.
[[nodiscard]] std::string heat_map(const HeatMap& chart, double width);

/// Two values of each of several things, and how they moved: one line each from left to right.
struct SlopeChart {
  struct Line {
    std::string label;
    double left = 0, right = 0;
    Ink ink = Ink::kQuiet;
  };
  ChartText text;  ///< The axis labels are not drawn.
  std::string left_name, right_name;
  std::vector<Line> lines;  ///< Those with a value that is not finite are left out.
  int decimals = 1;
};
/// Labels at both ends, moved apart where they would touch; below 520 pixels names stand at the right only.
[[nodiscard]] std::string slope_chart(const SlopeChart& chart, double width);

/// One bar split in three, with the outcome marked: a row's prediction at a glance.
[[nodiscard]] std::string split_bar(double a, double tie, double b, std::string_view title, double width);

/// Two drawings of one chart: the stylesheet shows `narrow` on a phone and `wide` elsewhere.
[[nodiscard]] std::string responsive(std::string_view wide, std::string_view narrow);
/// Charts side by side, as many in a row as there is room for, each under its name. Empty charts are
/// left out.
struct Multiple {
  std::string title, detail;  ///< Detail is small and monospaced, beneath the title; may be empty.
  std::string chart;
};
[[nodiscard]] std::string small_multiples(std::span<const Multiple> charts);

}  // namespace agon
