#include "agon/text/words.h"

#include "agon/base/check.h"

namespace agon {
namespace {

constexpr std::uint64_t kSeed = 0x9ae16a3b2f90404fULL;

std::uint64_t absorb(std::uint64_t hash, char32_t c) {
  hash = (hash ^ c) * 0x9ddfea08eb382d69ULL;
  return hash ^ (hash >> 29);
}
std::uint64_t finish(std::uint64_t hash) {
  hash ^= hash >> 32;
  hash *= 0xd6e8feb86659fd93ULL;
  return hash ^ (hash >> 32);
}

bool is_apostrophe(char32_t c) { return c == '\'' || c == 0x2019 || c == 0x02BC; }

bool is_emoji(char32_t c) { return (c >= 0x1F000 && c <= 0x1FAFF) || (c >= 0x2600 && c <= 0x27BF); }

bool ends_sentence(char32_t c) {
  return c == '.' || c == '!' || c == '?' || c == 0x3002 || c == 0xFF01 || c == 0xFF1F || c == 0x0964 ||
         c == 0x06D4 || c == 0x061F || c == 0x2026;
}

void count_mark(char32_t c, CharCounts& n) {
  switch (c) {
    case ',':
    case 0xFF0C:
    case 0x3001:
    case 0x060C:
      ++n.commas;
      break;
    case '.':
    case 0x3002:
      ++n.periods;
      break;
    case '!':
    case 0xFF01:
      ++n.exclamations;
      break;
    case '?':
    case 0xFF1F:
    case 0x061F:
      ++n.questions;
      break;
    case ':':
    case 0xFF1A:
      ++n.colons;
      break;
    case ';':
    case 0xFF1B:
    case 0x061B:
      ++n.semicolons;
      break;
    case '"':
    case 0x201C:
    case 0x201D:
    case 0x00AB:
    case 0x00BB:
    case 0x300C:
    case 0x300D:
      ++n.quotes;
      break;
    case '(':
    case ')':
    case '[':
    case ']':
    case 0xFF08:
    case 0xFF09:
      ++n.parens;
      break;
    case '-':
    case 0x2013:
    case 0x2014:
      ++n.dashes;
      break;
    case 0x2026:
      ++n.ellipses;
      break;
    case '/':
    case '\\':
      ++n.slashes;
      break;
    case '_':
      ++n.underscores;
      break;
    case '=':
    case '+':
      ++n.equals;
      break;
    case '{':
    case '}':
      ++n.braces;
      break;
    default:
      break;
  }
}

/// The word being read; keeps scan_words short.
struct OpenWord {
  Word word;
  std::uint64_t hash = kSeed;
  std::uint32_t upper = 0, digits = 0;

  void add(const CharInfo& info) {
    hash = absorb(hash, info.lower);
    if (word.chars < 0xFFFF) ++word.chars;
    upper += info.is(CharInfo::kUpper);
    digits += info.is(CharInfo::kDigit);
  }
  Word close(std::size_t end) {
    word.end = static_cast<std::uint32_t>(end);
    word.hash = finish(hash);
    if (upper == word.chars && word.chars > 1) word.flags |= Word::kAllCaps;
    if (digits == word.chars) word.flags |= Word::kNumber;
    return word;
  }
};

}  // namespace

CharCounts& CharCounts::operator+=(const CharCounts& o) {
  using C = CharCounts;
  for (auto member :
       {&C::bytes,       &C::chars,  &C::letters, &C::upper,        &C::digits,    &C::spaces,
        &C::newlines,    &C::punct,  &C::symbols, &C::emoji,        &C::non_ascii, &C::replacement,
        &C::sentences,   &C::commas, &C::periods, &C::exclamations, &C::questions, &C::colons,
        &C::semicolons,  &C::quotes, &C::parens,  &C::dashes,       &C::ellipses,  &C::slashes,
        &C::underscores, &C::equals, &C::braces})
    this->*member += o.*member;
  for (std::size_t i = 0; i < script.size(); ++i) script[i] += o.script[i];
  return *this;
}

CharCounts scan_words(std::string_view text, std::vector<Word>& words) {
  // Word offsets are 32 bits; readers bound a row far below this.
  AGON_CHECK(text.size() < 0xFFFFFFFFu);
  CharCounts n;
  n.bytes = static_cast<std::uint32_t>(text.size());
  OpenWord open;
  bool in_word = false, sentence_start = true, after_stop = false;
  const auto begin_word = [&](std::size_t begin) {
    open = OpenWord{};
    open.word.begin = static_cast<std::uint32_t>(begin);
    if (sentence_start) open.word.flags |= Word::kSentenceStart;
    sentence_start = after_stop = false;
    in_word = true;
  };
  const auto end_word = [&](std::size_t end) {
    if (in_word) words.push_back(open.close(end));
    in_word = false;
  };

  std::size_t pos = 0;
  while (pos < text.size()) {
    const std::size_t at = pos;
    const char32_t c = next_char(text, pos);
    const CharInfo info = char_info(c);
    ++n.chars;
    n.non_ascii += c >= 0x80;
    if (info.is(CharInfo::kLetter | CharInfo::kDigit | CharInfo::kMark)) {
      if (info.is(CharInfo::kLetter)) {
        ++n.letters;
        ++n.script[static_cast<std::size_t>(info.script)];
      }
      n.upper += info.is(CharInfo::kUpper);
      n.digits += info.is(CharInfo::kDigit);
      if (info.is(CharInfo::kSingle)) end_word(at);
      if (!in_word) {
        begin_word(at);
        if (info.is(CharInfo::kUpper)) open.word.flags |= Word::kCapital;
      }
      open.add(info);
      if (info.is(CharInfo::kSingle)) end_word(pos);
      continue;
    }
    if (in_word && is_apostrophe(c) && pos < text.size()) {
      std::size_t peek = pos;
      if (char_info(next_char(text, peek)).is(CharInfo::kLetter)) {
        ++n.punct;
        open.add(CharInfo{.flags = 0, .script = Script::kCommon, .lower = '\''});
        continue;
      }
    }
    end_word(at);
    if (info.is(CharInfo::kSpace)) {
      ++n.spaces;
      n.newlines += c == '\n';
      if (c == '\n' || after_stop) sentence_start = true;
      continue;
    }
    n.punct += info.is(CharInfo::kPunct);
    n.symbols += info.is(CharInfo::kSymbol);
    n.emoji += is_emoji(c);
    n.replacement += c == 0xFFFD;
    count_mark(c, n);
    if (ends_sentence(c)) {
      n.sentences += !after_stop;
      after_stop = true;
      if (c >= 0x80) sentence_start = true;  // full-width stops are not followed by a space
    }
  }
  end_word(text.size());
  return n;
}

std::uint64_t word_hash(std::string_view word) {
  std::uint64_t hash = kSeed;
  std::size_t pos = 0;
  while (pos < word.size()) {
    const char32_t c = next_char(word, pos);
    hash = absorb(hash, is_apostrophe(c) ? U'\'' : static_cast<char32_t>(char_info(c).lower));
  }
  return finish(hash);
}

}  // namespace agon
