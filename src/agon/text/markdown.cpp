#include "agon/text/markdown.h"

#include <algorithm>
#include <array>

namespace agon {
namespace {

std::string_view trim_right(std::string_view s) {
  const std::size_t last = s.find_last_not_of(" \t\r\n");
  return s.substr(0, last == std::string_view::npos ? 0 : last + 1);
}

/// "1." or "12)" followed by a space; the length of the marker, 0 when there is none.
std::size_t number_marker(std::string_view line) {
  std::size_t i = 0;
  while (i < line.size() && i < 4 && line[i] >= '0' && line[i] <= '9') ++i;
  if (i == 0 || i + 1 >= line.size()) return 0;
  return (line[i] == '.' || line[i] == ')') && line[i + 1] == ' ' ? i + 2 : 0;
}

/// The length of a bullet with the spaces behind it, 0 when there is none. Typographic bullets need no space.
std::size_t bullet_marker(std::string_view line) {
  std::size_t length = 0;
  if (line.size() >= 2 && (line[0] == '-' || line[0] == '*' || line[0] == '+') && line[1] == ' ') length = 2;
  for (const std::string_view bullet : {"\u2022", "\u25CF", "\u00B7"})
    if (line.starts_with(bullet)) length = bullet.size();
  while (length > 0 && length < line.size() && line[length] == ' ') ++length;
  return length;
}

bool is_rule(std::string_view line) {
  return line.size() >= 3 && (line[0] == '-' || line[0] == '*' || line[0] == '_') &&
         line.find_first_not_of(line[0]) == std::string_view::npos;
}

void count_inline(std::string_view line, MarkdownCounts& n) {
  static constexpr std::array<bool, 256> kInteresting = [] {
    std::array<bool, 256> table{};
    for (const unsigned char c : {'*', '`', '$', '\\', ']', ':'}) table[c] = true;
    return table;
  }();
  std::uint32_t stars = 0, ticks = 0, dollars = 0;
  const auto at = [&](std::size_t i) { return i < line.size() ? line[i] : '\0'; };
  for (std::size_t i = 0; i < line.size(); ++i) {
    if (!kInteresting[static_cast<unsigned char>(line[i])]) continue;
    switch (line[i]) {
      case '*':
        if (at(i + 1) == '*') {
          ++stars;
          ++i;
        } else if (at(i + 1) != ' ' && at(i + 1) != '\0' && (i == 0 || line[i - 1] == ' ')) {
          ++n.italic;
        }
        break;
      case '`':
        ++ticks;
        break;
      case '$':
        ++dollars;
        if (at(i + 1) == '$') ++i;
        break;
      case '\\':
        if (at(i + 1) == '(' || at(i + 1) == '[' || line.substr(i).starts_with("\\frac") ||
            line.substr(i).starts_with("\\begin"))
          ++n.latex;
        break;
      case ']':
        n.links += at(i + 1) == '(';
        break;
      case ':':
        n.urls += line.substr(i).starts_with("://");
        break;
      default:
        break;
    }
  }
  n.bold += stars / 2;
  n.inline_code += ticks / 2;
  // A lone dollar sign is money; a pair with an operator or a brace in the line is mathematics.
  if (dollars >= 2 && line.find_first_of("=^_\\{") != std::string_view::npos) n.latex += dollars / 2;
}

void count_line(std::string_view line, std::size_t indent, MarkdownCounts& n) {
  n.ends_in_list = false;
  if (line[0] == '#') {
    const std::size_t level = line.find_first_not_of('#');
    if (level != std::string_view::npos && level <= 6 && line[level] == ' ') ++n.headers;
  } else if (is_rule(line)) {
    ++n.rules;
  } else if (const std::size_t bullet = bullet_marker(line); bullet != 0) {
    ++n.bullets;
    n.ends_in_list = true;
    n.nested_items += indent >= 2;
    n.bold_openers += line.substr(bullet).starts_with("**");
  } else if (const std::size_t marker = number_marker(line); marker != 0) {
    ++n.numbered;
    n.ends_in_list = true;
    n.nested_items += indent >= 2;
    n.bold_openers += line.substr(marker).starts_with("**");
  } else if (line[0] == '>') {
    ++n.quotes;
  } else if (line[0] == '|' && line.size() > 2 && line.back() == '|') {
    ++n.table_rows;
  } else if (line.starts_with("**")) {
    ++n.bold_openers;
  }
  count_inline(line, n);
}

bool closes(std::string_view tail) {
  for (const std::string_view end : {".", "!", "?", "`", ")", "\"", "*", "|", "}", "\u3002", "\uFF01",
                                     "\uFF1F", "\u201D", "\u0964", "\u300D"})
    if (tail.ends_with(end)) return true;
  return false;
}

}  // namespace

MarkdownCounts& MarkdownCounts::operator+=(const MarkdownCounts& o) {
  using M = MarkdownCounts;
  for (auto member : {&M::lines,      &M::blank_lines,  &M::paragraphs,  &M::headers,     &M::bullets,
                      &M::numbered,   &M::nested_items, &M::quotes,      &M::rules,       &M::bold,
                      &M::italic,     &M::bold_openers, &M::inline_code, &M::code_blocks, &M::code_lines,
                      &M::code_bytes, &M::table_rows,   &M::latex,       &M::links,       &M::urls})
    this->*member += o.*member;
  longest_paragraph = std::max(longest_paragraph, o.longest_paragraph);
  open_code_block = o.open_code_block;
  ends_in_list = o.ends_in_list;
  ends_in_colon = o.ends_in_colon;
  ends_closed = o.ends_closed;
  empty = empty && o.empty;
  return *this;
}

MarkdownCounts count_markdown(std::string_view text) {
  MarkdownCounts n;
  bool in_code = false, in_paragraph = false;
  std::uint32_t paragraph_bytes = 0;
  std::size_t pos = 0;
  while (pos < text.size()) {
    const std::size_t end = std::min(text.find('\n', pos), text.size());
    const std::string_view raw = text.substr(pos, end - pos);
    pos = end + 1;
    ++n.lines;
    const std::size_t indent = std::min(raw.find_first_not_of(" \t"), raw.size());
    const std::string_view line = trim_right(raw.substr(indent));
    if (line.empty()) {
      ++n.blank_lines;
      in_paragraph = false;
      continue;
    }
    if (!in_paragraph) {
      ++n.paragraphs;
      paragraph_bytes = 0;
      in_paragraph = true;
    }
    paragraph_bytes += static_cast<std::uint32_t>(line.size());
    n.longest_paragraph = std::max(n.longest_paragraph, paragraph_bytes);
    if (line.starts_with("```") || line.starts_with("~~~")) {
      n.code_blocks += !in_code;
      in_code = !in_code;
      n.ends_in_list = false;
    } else if (in_code) {
      ++n.code_lines;
      n.code_bytes += static_cast<std::uint32_t>(line.size());
    } else {
      count_line(line, indent, n);
    }
  }
  n.open_code_block = in_code;
  const std::string_view tail = trim_right(text);
  n.empty = tail.empty();
  n.ends_in_colon = tail.ends_with(":");
  n.ends_closed = closes(tail);
  return n;
}

}  // namespace agon
