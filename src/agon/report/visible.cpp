#include "agon/report/visible.h"

#include <fmt/format.h>
#include <unicode/uchar.h>
#include <unicode/utf8.h>

namespace agon {
namespace {

constexpr UChar32 kJoiner = 0x200D;

void append_utf8(std::string& out, UChar32 c) {
  char buffer[4];
  std::size_t n = 0;
  UBool failed = false;
  U8_APPEND(buffer, n, sizeof buffer, c, failed);
  if (!failed) out.append(buffer, n);
}

bool turns_or_hides(UChar32 c) {
  return (c >= 0x202A && c <= 0x202E) || (c >= 0x2066 && c <= 0x2069) || (c >= 0xFFF9 && c <= 0xFFFB) ||
         (c >= 0xE0000 && c <= 0xE007F);
}

}  // namespace

std::string visible_form(std::int32_t c) {
  std::string out;
  if (c < 0x20 || c == 0x7F) {
    if (c != '\n' && c != '\t') append_utf8(out, c == 0x7F ? 0x2421 : 0x2400 + c);
  } else if ((c >= 0x80 && c <= 0x9F) || turns_or_hides(c)) {
    out = fmt::format("⟦U+{:04X}⟧", c);
  } else if ((c & 0xFFFE) == 0xFFFE || (c >= 0xFDD0 && c <= 0xFDEF)) {
    out = "\uFFFD";
  }
  return out;
}

std::string visible_text(std::string_view text, const VisibleOptions& options, bool* cut) {
  std::string out;
  out.reserve(std::min(text.size() + 16, options.max_bytes));
  std::size_t i = 0;
  bool shortened = false;
  while (i < text.size()) {
    const std::size_t before = out.size();
    UChar32 c = 0;
    U8_NEXT_OR_FFFD(text.data(), i, text.size(), c);
    if (c == '\r' && i < text.size() && text[i] == '\n') continue;
    if (!options.keep_lines && (c == '\n' || c == '\t')) {
      out += c == '\n' ? "␊" : " ";
    } else if (std::string form = visible_form(c); !form.empty()) {
      out += form;
    } else {
      append_utf8(out, c);
    }
    if (out.size() > options.max_bytes) {
      out.resize(before);
      shortened = true;
      break;
    }
  }
  if (cut != nullptr) *cut = shortened;
  return out;
}

int code_point_width(std::int32_t c) {
  if (c == 0) return 0;
  if (c >= 0x1160 && c <= 0x11FF) return 0;  // Hangul vowels and finals join the syllable before
  switch (u_charType(c)) {
    case U_NON_SPACING_MARK:
    case U_ENCLOSING_MARK:
    case U_FORMAT_CHAR:
      return c == 0xAD ? 1 : 0;  // a soft hyphen is drawn
    default:
      break;
  }
  switch (u_getIntPropertyValue(c, UCHAR_EAST_ASIAN_WIDTH)) {
    case U_EA_WIDE:
    case U_EA_FULLWIDTH:
      return 2;
    default:
      return 1;
  }
}

int display_width(std::string_view text) {
  int width = 0;
  bool joined = false;
  std::size_t i = 0;
  while (i < text.size()) {
    UChar32 c = 0;
    U8_NEXT_OR_FFFD(text.data(), i, text.size(), c);
    // Emoji families join into one picture; letters of Indic scripts do not shrink by a joiner.
    const bool joins = joined && u_hasBinaryProperty(c, UCHAR_EXTENDED_PICTOGRAPHIC);
    if (!joins) width += code_point_width(c);
    joined = c == kJoiner;
  }
  return width;
}

std::string clip_to_width(std::string_view text, int width) {
  if (display_width(text) <= width) return std::string(text);
  if (width <= 0) return {};
  int used = 0;
  bool joined = false;
  std::size_t i = 0;
  std::size_t keep = 0;
  while (i < text.size()) {
    UChar32 c = 0;
    U8_NEXT_OR_FFFD(text.data(), i, text.size(), c);
    const bool joins = joined && u_hasBinaryProperty(c, UCHAR_EXTENDED_PICTOGRAPHIC);
    if (!joins) used += code_point_width(c);
    joined = c == kJoiner;
    if (used > width - 1) break;
    keep = i;
  }
  return std::string(text.substr(0, keep)) + "…";
}

}  // namespace agon
