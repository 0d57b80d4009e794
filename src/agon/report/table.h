// Tables for terminals, Markdown and pages from one description.
#pragma once

#include <string>
#include <string_view>
#include <vector>

namespace agon {

enum class Align { kLeft, kRight };

struct TableColumn {
  std::string header;
  Align align = Align::kLeft;
  int max_width = 0;  ///< Terminal columns; longer cells end in "…". 0 is no limit.
};

/// Cells are text as it comes; each output makes it safe: a terminal gets no control characters, a
/// page no markup, Markdown no '|' that would end a cell.
class Table {
 public:
  explicit Table(std::vector<TableColumn> columns) : columns_(std::move(columns)) {}

  /// Missing cells are empty; more cells than columns is a bug.
  void add_row(std::vector<std::string> cells);
  /// A blank line (terminal) or thicker spacing before the next row; nothing in Markdown.
  void add_gap();
  [[nodiscard]] std::size_t rows() const { return rows_.size(); }

  struct TerminalOptions {
    int width = 0;        ///< Columns of the terminal; left-aligned columns shrink to fit. 0 is no limit.
    int indent = 2;       ///< Spaces in front of every line.
    bool colour = false;  ///< Header dim, by ANSI codes.
  };
  /// Aligned columns two spaces apart, the header underlined by "─"; East-Asian wide characters take
  /// two columns. No trailing spaces; ends in a line break.
  [[nodiscard]] std::string terminal(const TerminalOptions& options) const;
  [[nodiscard]] std::string terminal() const { return terminal(TerminalOptions{}); }
  [[nodiscard]] std::string markdown() const;
  /// A `<table>` in a box that scrolls sideways on small screens.
  [[nodiscard]] std::string html(std::string_view caption = {}) const;

 private:
  struct Row {
    std::vector<std::string> cells;
    bool gap = false;
  };
  std::vector<TableColumn> columns_;
  std::vector<Row> rows_;
  bool gap_ = false;
};

}  // namespace agon
