#include "agon/text/chars.h"

#include <unicode/uchar.h>
#include <unicode/uscript.h>

#include <memory>

namespace agon {
namespace {

constexpr std::uint32_t kTableSize = 0x10000;

Script script_of(UScriptCode code) {
  switch (code) {
    case USCRIPT_COMMON:
    case USCRIPT_INHERITED:
      return Script::kCommon;
    case USCRIPT_LATIN:
      return Script::kLatin;
    case USCRIPT_CYRILLIC:
      return Script::kCyrillic;
    case USCRIPT_GREEK:
      return Script::kGreek;
    case USCRIPT_HAN:
      return Script::kHan;
    case USCRIPT_HIRAGANA:
    case USCRIPT_KATAKANA:
      return Script::kKana;
    case USCRIPT_HANGUL:
      return Script::kHangul;
    case USCRIPT_ARABIC:
      return Script::kArabic;
    case USCRIPT_HEBREW:
      return Script::kHebrew;
    case USCRIPT_DEVANAGARI:
      return Script::kDevanagari;
    case USCRIPT_THAI:
      return Script::kThai;
    default:
      return Script::kOther;
  }
}

bool written_without_spaces(UScriptCode code) {
  return code == USCRIPT_HAN || code == USCRIPT_HIRAGANA || code == USCRIPT_KATAKANA ||
         code == USCRIPT_THAI || code == USCRIPT_LAO || code == USCRIPT_KHMER || code == USCRIPT_MYANMAR;
}

}  // namespace

CharInfo look_up_char(char32_t c) {
  const auto point = static_cast<UChar32>(c);
  UErrorCode status = U_ZERO_ERROR;
  const UScriptCode script = uscript_getScript(point, &status);
  CharInfo info;
  info.script = script_of(script);
  info.lower = static_cast<std::uint32_t>(u_tolower(point));
  const auto mask = U_MASK(u_charType(point));
  if (mask & U_GC_L_MASK) info.flags |= CharInfo::kLetter;
  if (mask & (U_GC_LU_MASK | U_GC_LT_MASK)) info.flags |= CharInfo::kUpper;
  if (mask & U_GC_N_MASK) info.flags |= CharInfo::kDigit;
  if (mask & U_GC_M_MASK) info.flags |= CharInfo::kMark;
  if (mask & U_GC_P_MASK) info.flags |= CharInfo::kPunct;
  if (mask & U_GC_S_MASK) info.flags |= CharInfo::kSymbol;
  if (u_isUWhiteSpace(point)) info.flags |= CharInfo::kSpace;
  if ((mask & U_GC_L_MASK) && written_without_spaces(script)) info.flags |= CharInfo::kSingle;
  return info;
}

const CharInfo* basic_plane() {
  static const std::unique_ptr<CharInfo[]> table = [] {
    auto made = std::make_unique<CharInfo[]>(kTableSize);
    for (std::uint32_t c = 0; c < kTableSize; ++c) made[c] = look_up_char(c);
    return made;
  }();
  return table.get();
}

}  // namespace agon
