#include "agon/llm/tokenizer/utf8_stream.h"

#include <algorithm>
#include <cstdint>

namespace agon::llm {
namespace {

/// True when `second` may follow `first` (Unicode 15, table 3-7: no overlong forms, surrogates, or codes
/// past U+10FFFF).
bool may_follow(std::uint8_t first, std::uint8_t second) {
  switch (first) {
    case 0xE0:
      return second >= 0xA0 && second <= 0xBF;
    case 0xED:
      return second >= 0x80 && second <= 0x9F;
    case 0xF0:
      return second >= 0x90 && second <= 0xBF;
    case 0xF4:
      return second >= 0x80 && second <= 0x8F;
    default:
      return second >= 0x80 && second <= 0xBF;
  }
}

/// Bytes at the end of `text` that begin a character and do not finish it: 0 to 3.
std::size_t open_tail(std::string_view text) {
  const auto byte = [&](std::size_t back) { return static_cast<std::uint8_t>(text[text.size() - back]); };
  for (std::size_t back = 1; back <= std::min<std::size_t>(3, text.size()); ++back) {
    const std::uint8_t first = byte(back);
    if ((first & 0xC0) == 0x80) continue;
    const std::size_t needed = first >= 0xC2 && first < 0xE0   ? 2
                               : first >= 0xE0 && first < 0xF0 ? 3
                               : first >= 0xF0 && first < 0xF5 ? 4
                                                               : 0;
    if (needed <= back) return 0;
    return back == 1 || may_follow(first, byte(back - 1)) ? back : 0;
  }
  return 0;
}

}  // namespace

std::string Utf8Stream::push(std::string_view bytes) {
  held_.append(bytes);
  const std::size_t open = open_tail(held_);
  std::string whole = held_.substr(0, held_.size() - open);
  held_.erase(0, whole.size());
  return whole;
}

}  // namespace agon::llm
