#include "agon/report/table.h"

#include <algorithm>

#include "agon/base/check.h"
#include "agon/report/html.h"
#include "agon/report/number.h"
#include "agon/report/visible.h"

namespace agon {
namespace {

constexpr int kColumnGap = 2;
constexpr int kNarrowest = 8;  // a shrunken column keeps at least this much of its text

std::string one_line(std::string_view text) {
  // A cell is read at a glance: more than 4 KiB of it would only fill the memory.
  return visible_text(text, {.keep_lines = false, .max_bytes = 4096});
}

std::string padded(const std::string& text, int width, Align align) {
  const int missing = std::max(0, width - display_width(text));
  const std::string spaces(static_cast<std::size_t>(missing), ' ');
  return align == Align::kRight ? spaces + text : text + spaces;
}

void trim_right(std::string& line) { line.erase(line.find_last_not_of(' ') + 1); }

std::string markdown_cell(std::string_view text) {
  std::string out;
  for (const char c : one_line(text)) {
    // Text from files must not become markup or raw HTML where the Markdown is rendered.
    if (std::string_view("\\|`*_[]<>#~").find(c) != std::string_view::npos) out += '\\';
    out += c;
  }
  return out;
}

}  // namespace

void Table::add_row(std::vector<std::string> cells) {
  AGON_CHECK(cells.size() <= columns_.size());
  cells.resize(columns_.size());
  rows_.push_back({std::move(cells), gap_});
  gap_ = false;
}

void Table::add_gap() { gap_ = !rows_.empty(); }

std::string Table::terminal(const TerminalOptions& options) const {
  const std::size_t n = columns_.size();
  std::vector<std::vector<std::string>> lines(rows_.size() + 1, std::vector<std::string>(n));
  std::vector<int> width(n, 0);
  for (std::size_t c = 0; c < n; ++c) {
    lines[0][c] = one_line(columns_[c].header);
    for (std::size_t r = 0; r < rows_.size(); ++r) lines[r + 1][c] = one_line(rows_[r].cells[c]);
    for (auto& line : lines) {
      if (columns_[c].max_width > 0) line[c] = clip_to_width(line[c], columns_[c].max_width);
      width[c] = std::max(width[c], display_width(line[c]));
    }
  }
  // Text gives way, numbers never: the widest left-aligned column shrinks until the table fits.
  int total = options.indent + kColumnGap * std::max(0, static_cast<int>(n) - 1);
  for (const int w : width) total += w;
  while (options.width > 0 && total > options.width) {
    std::size_t widest = n;
    for (std::size_t c = 0; c < n; ++c) {
      if (columns_[c].align != Align::kLeft || width[c] <= kNarrowest) continue;
      if (widest == n || width[c] > width[widest]) widest = c;
    }
    if (widest == n) break;
    --width[widest];
    --total;
  }
  const std::string indent(static_cast<std::size_t>(std::max(0, options.indent)), ' ');
  std::string out;
  const auto put = [&](const std::vector<std::string>& cells, bool dim) {
    std::string line;
    for (std::size_t c = 0; c < n; ++c) {
      if (c > 0) line.append(kColumnGap, ' ');
      line += padded(clip_to_width(cells[c], width[c]), width[c], columns_[c].align);
    }
    trim_right(line);
    if (dim && options.colour) line = "\x1b[2m" + line + "\x1b[0m";
    if (!line.empty()) out += indent + line;
    out += '\n';
  };
  const bool headed =
      std::any_of(lines[0].begin(), lines[0].end(), [](const std::string& h) { return !h.empty(); });
  if (headed) {
    put(lines[0], true);
    std::vector<std::string> rules(n);
    for (std::size_t c = 0; c < n; ++c) {
      for (int i = 0; i < width[c]; ++i) rules[c] += "─";
    }
    put(rules, true);
  }
  for (std::size_t r = 0; r < rows_.size(); ++r) {
    if (rows_[r].gap) out += '\n';
    put(lines[r + 1], false);
  }
  return out;
}

std::string Table::markdown() const {
  std::string out = "|";
  for (const auto& column : columns_) out += " " + markdown_cell(column.header) + " |";
  out += "\n|";
  for (const auto& column : columns_) out += column.align == Align::kRight ? " ---: |" : " --- |";
  out += '\n';
  for (const Row& row : rows_) {
    out += '|';
    for (const auto& cell : row.cells) out += " " + markdown_cell(cell) + " |";
    out += '\n';
  }
  return out;
}

std::string Table::html(std::string_view caption) const {
  const auto cell = [&](std::string_view tag, std::size_t c, std::string_view text) {
    const bool number = columns_[c].align == Align::kRight;
    std::string out = "<";
    out += tag;
    if (number) out += " class=\"num\"";
    if (tag == "th") out += " scope=\"col\"";
    const std::string shown = one_line(text);
    out += ">" + escape_html(number ? typographic(shown) : shown) + "</";
    out += tag;
    return out + ">";
  };
  std::string out = "<div class=\"scroll\"><table>\n";
  if (!caption.empty()) out += "<caption>" + escape_html(caption) + "</caption>\n";
  out += "<thead><tr>";
  for (std::size_t c = 0; c < columns_.size(); ++c) out += cell("th", c, columns_[c].header);
  out += "</tr></thead>\n<tbody>\n";
  for (const Row& row : rows_) {
    out += row.gap ? "<tr class=\"gap\">" : "<tr>";
    for (std::size_t c = 0; c < columns_.size(); ++c) out += cell("td", c, row.cells[c]);
    out += "</tr>\n";
  }
  return out + "</tbody>\n</table></div>\n";
}

}  // namespace agon
