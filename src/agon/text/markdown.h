// The Markdown structure of a text, counted in one pass over its lines.
#pragma once

#include <cstdint>
#include <string_view>

namespace agon {

/// Additive over turns, except the last members, which describe the end of the last text added.
struct MarkdownCounts {
  std::uint32_t lines = 0, blank_lines = 0, paragraphs = 0;
  std::uint32_t headers = 0, bullets = 0, numbered = 0, nested_items = 0, quotes = 0, rules = 0;
  std::uint32_t bold = 0, italic = 0, bold_openers = 0;  ///< bold_openers: lines or items that begin bold
  std::uint32_t inline_code = 0, code_blocks = 0, code_lines = 0, code_bytes = 0;
  std::uint32_t table_rows = 0, latex = 0, links = 0, urls = 0;
  std::uint32_t longest_paragraph = 0;  ///< bytes; the maximum over turns
  bool open_code_block = false;         ///< a fence is not closed at the end
  bool ends_in_list = false, ends_in_colon = false;
  bool ends_closed = false;  ///< the last character ends a sentence or closes something
  bool empty = true;         ///< nothing but white space

  MarkdownCounts& operator+=(const MarkdownCounts& other);
};

[[nodiscard]] MarkdownCounts count_markdown(std::string_view text);

}  // namespace agon
