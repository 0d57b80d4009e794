// What kind of character a code point is, fast: a table over the basic plane, ICU above it.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string_view>

namespace agon {

/// Scripts told apart; all others are kOther. Common and inherited characters are kCommon.
enum class Script : std::uint8_t {
  kCommon,
  kLatin,
  kCyrillic,
  kGreek,
  kHan,
  kKana,
  kHangul,
  kArabic,
  kHebrew,
  kDevanagari,
  kThai,
  kOther
};
inline constexpr int kScriptCount = 12;

struct CharInfo {
  enum : std::uint8_t {
    kLetter = 1,
    kUpper = 2,
    kDigit = 4,
    kMark = 8,
    kSpace = 16,
    kPunct = 32,
    kSymbol = 64,
    kSingle =
        128,  ///< A word of its own: scripts written without spaces (Han, Kana, Thai, Lao, Khmer, Burmese).
  };
  std::uint8_t flags = 0;
  Script script = Script::kCommon;
  std::uint32_t lower = 0;  ///< simple lower-case mapping

  [[nodiscard]] bool is(std::uint8_t mask) const { return (flags & mask) != 0; }
};

/// The table of the basic plane (65,536 entries), made at first use.
[[nodiscard]] const CharInfo* basic_plane();
/// For code points above the basic plane.
[[nodiscard]] CharInfo look_up_char(char32_t c);
/// Never fails; unassigned code points have no flags.
[[nodiscard]] inline CharInfo char_info(char32_t c) {
  static const CharInfo* const table = basic_plane();
  return c < 0x10000 ? table[c] : look_up_char(c);
}

/// Decodes one code point of UTF-8 at `pos` and moves on; U+FFFD and one byte for what is not valid.
[[nodiscard]] inline char32_t next_char(std::string_view text, std::size_t& pos) {
  const auto* p = reinterpret_cast<const unsigned char*>(text.data()) + pos;
  const std::size_t left = text.size() - pos;
  const unsigned c = p[0];
  if (c < 0x80) {
    ++pos;
    return c;
  }
  const auto follows = [&](std::size_t i) { return i < left && (p[i] & 0xC0) == 0x80; };
  if (c >= 0xC2 && c < 0xE0 && follows(1)) {
    pos += 2;
    return ((c & 0x1Fu) << 6) | (p[1] & 0x3Fu);
  }
  if (c >= 0xE0 && c < 0xF0 && follows(1) && follows(2)) {
    const char32_t point = ((c & 0x0Fu) << 12) | ((p[1] & 0x3Fu) << 6) | (p[2] & 0x3Fu);
    if (point >= 0x800 && (point < 0xD800 || point > 0xDFFF)) {  // neither overlong nor half a pair
      pos += 3;
      return point;
    }
  }
  if (c >= 0xF0 && c < 0xF5 && follows(1) && follows(2) && follows(3)) {
    const char32_t point =
        ((c & 0x07u) << 18) | ((p[1] & 0x3Fu) << 12) | ((p[2] & 0x3Fu) << 6) | (p[3] & 0x3Fu);
    if (point >= 0x10000 && point <= 0x10FFFF) {
      pos += 4;
      return point;
    }
  }
  ++pos;
  return 0xFFFD;
}

}  // namespace agon
