// Words of any script as hashes, and the character statistics of a text, in one pass.
#pragma once

#include <array>
#include <cstdint>
#include <string_view>
#include <vector>

#include "agon/text/chars.h"

namespace agon {

/// One word: its place in the text and a 64-bit hash of its lower-cased code points.
struct Word {
  enum : std::uint8_t { kCapital = 1, kAllCaps = 2, kNumber = 4, kSentenceStart = 8 };
  std::uint64_t hash = 0;
  std::uint32_t begin = 0, end = 0;  ///< byte range in the text scanned
  std::uint16_t chars = 0;           ///< code points, saturating
  std::uint8_t flags = 0;
};

/// Counts over a text. Additive: the counts of two turns are the sums of theirs.
struct CharCounts {
  std::uint32_t bytes = 0, chars = 0, letters = 0, upper = 0, digits = 0, spaces = 0, newlines = 0, punct = 0,
                symbols = 0, emoji = 0, non_ascii = 0, replacement = 0, sentences = 0;
  std::uint32_t commas = 0, periods = 0, exclamations = 0, questions = 0, colons = 0, semicolons = 0,
                quotes = 0, parens = 0, dashes = 0, ellipses = 0, slashes = 0, underscores = 0, equals = 0,
                braces = 0;
  std::array<std::uint32_t, kScriptCount> script{};  ///< letters by script

  CharCounts& operator+=(const CharCounts& other);
};

/// Splits into words and counts characters. A word is a run of letters, marks and digits of any
/// script, with apostrophes kept inside ("don't", typographic ones folded); scripts written without
/// spaces give one word a character. Appends to `words`. Text below 4 GiB.
CharCounts scan_words(std::string_view text, std::vector<Word>& words);

/// The hash that scan_words gives this one word ("don't"); for lexicons.
[[nodiscard]] std::uint64_t word_hash(std::string_view word);

}  // namespace agon
