#include "agon/data/battle_style.h"

#include <vector>

#include "agon/text/json.h"
#include "agon/text/markdown.h"
#include "agon/text/utf8.h"
#include "agon/text/words.h"

namespace agon::battle_parts {

void add_text_style(TextStyle& style, std::string_view text) {
  thread_local std::vector<Word> words;
  words.clear();
  scan_words(text, words);
  const MarkdownCounts counts = count_markdown(text);
  style[0] += static_cast<float>(words.size());
  style[1] += static_cast<float>(counts.headers);
  style[2] += static_cast<float>(counts.bullets + counts.numbered);
  style[3] += static_cast<float>(counts.bold);
  style[4] += static_cast<float>(counts.code_blocks);
}

TextStyle style_of_cell(std::string_view cell) {
  TextStyle style{};
  thread_local JsonTextList list;
  TextRepairs repairs;
  if (const auto turns = list.parse(cell, repairs)) {
    for (const JsonTextList::Item& turn : *turns) add_text_style(style, turn.text);
    return style;
  }
  if (cell == "null") return style;
  std::string repaired(cell);
  repair_utf8(repaired);
  add_text_style(style, repaired);
  return style;
}

}  // namespace agon::battle_parts
