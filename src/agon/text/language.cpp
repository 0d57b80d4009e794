#include "agon/text/language.h"

#include <unicode/uchar.h>
#include <unicode/uscript.h>
#include <unicode/utf8.h>

#include <algorithm>
#include <array>
#include <cstdint>
#include <string>
#include <unordered_map>
#include <vector>

#include "agon/text/fold.h"
#include "agon/text/language_words.h"

namespace agon {
namespace {

constexpr std::size_t kReadBytes = 4000;
constexpr std::size_t kLanguages = std::size(kLatinLanguages);
constexpr std::size_t kEnglish = 0;
constexpr std::string_view kUndetermined = "und";
static_assert(kLatinLanguages[kEnglish].language == "en");

struct Voter {
  std::uint8_t language;
  double weight;
};

/// Words and letters to the languages that have them, each weighing 1 / (number of languages).
struct LatinTables {
  std::unordered_map<std::string_view, std::vector<Voter>> words;
  std::unordered_map<UChar32, std::vector<Voter>> letters;

  LatinTables() {
    for (std::size_t language = 0; language < kLanguages; ++language) {
      const auto voter = static_cast<std::uint8_t>(language);
      std::string_view rest = kLatinLanguages[language].words;
      while (!rest.empty()) {
        const std::size_t end = std::min(rest.find(' '), rest.size());
        auto& voters = words[rest.substr(0, end)];
        if (voters.empty() || voters.back().language != voter) voters.push_back({voter, 1});
        rest.remove_prefix(std::min(end + 1, rest.size()));
      }
      const std::string_view own = kLatinLanguages[language].letters;
      for (std::int32_t i = 0; i < static_cast<std::int32_t>(own.size());) {
        UChar32 c = 0;
        U8_NEXT(own.data(), i, static_cast<std::int32_t>(own.size()), c);
        letters[c].push_back({voter, 1});
      }
    }
    for (auto& [word, voters] : words) {
      // One-letter words are variables, options and bullets as often as words.
      const double whole = word.size() == 1 ? 0.4 : 1.0;
      for (Voter& voter : voters) {
        voter.weight = whole / static_cast<double>(voters.size());
        // Most texts are English, so a word that English shares speaks for it more than for the others.
        if (voter.language == kEnglish) voter.weight = std::max(voter.weight, whole / 2);
      }
    }
    for (auto& [letter, voters] : letters)
      for (Voter& voter : voters) voter.weight = 1.0 / static_cast<double>(voters.size());
  }
};

std::string_view latin_language(std::string_view text) {
  static const LatinTables tables;
  std::array<double, kLanguages> score{};
  const auto count = [&](const auto& table, const auto& key) {
    if (const auto it = table.find(key); it != table.end())
      for (const Voter& voter : it->second) score[voter.language] += voter.weight;
  };
  const auto size = static_cast<std::int32_t>(text.size());
  std::array<bool, 256> letters_seen{};
  for (std::size_t begin = 0; begin < text.size();) {
    const std::size_t end = std::min(text.find(' ', begin), text.size());
    const std::string_view word = text.substr(begin, end - begin);
    begin = end + 1;
    if (word.size() == 1) {  // once each: "x + y = 4 y" is no Spanish
      const auto letter = static_cast<unsigned char>(word[0]);
      if (letters_seen[letter]) continue;
      letters_seen[letter] = true;
    }
    count(tables.words, word);
  }
  for (std::int32_t i = 0; i < size;) {
    UChar32 c = 0;
    U8_NEXT(text.data(), i, size, c);
    if (c >= 128) count(tables.letters, c);
  }
  const auto best = static_cast<std::size_t>(std::max_element(score.begin(), score.end()) - score.begin());
  double second = 0;
  for (std::size_t i = 0; i < kLanguages; ++i)
    if (i != best) second = std::max(second, score[i]);
  if (best == kEnglish) return score[best] >= 0.5 && score[best] > second ? "en" : kUndetermined;
  // One word of a language's own is enough; a shared one is not.
  if (score[best] < 0.7 || score[best] < 1.1 * second) return kUndetermined;
  return kLatinLanguages[best].language;
}

/// How often the letters of `set` occur in `text`.
int occurrences(std::string_view text, std::string_view set) {
  std::vector<UChar32> wanted;
  for (std::int32_t i = 0; i < static_cast<std::int32_t>(set.size());) {
    UChar32 c = 0;
    U8_NEXT(set.data(), i, static_cast<std::int32_t>(set.size()), c);
    wanted.push_back(c);
  }
  int count = 0;
  for (std::int32_t i = 0; i < static_cast<std::int32_t>(text.size());) {
    UChar32 c = 0;
    U8_NEXT(text.data(), i, static_cast<std::int32_t>(text.size()), c);
    count += std::find(wanted.begin(), wanted.end(), c) != wanted.end();
  }
  return count;
}

bool has_word(std::string_view text, std::initializer_list<std::string_view> words) {
  for (std::size_t begin = 0; begin < text.size();) {
    const std::size_t end = std::min(text.find(' ', begin), text.size());
    if (std::find(words.begin(), words.end(), text.substr(begin, end - begin)) != words.end()) return true;
    begin = end + 1;
  }
  return false;
}

std::string_view cyrillic_language(std::string_view text) {
  const int kazakh = occurrences(text, "әғқңөұүһ"), belarusian = occurrences(text, "ў"),
            serbian = occurrences(text, "ђјљњћџ"), ukrainian = occurrences(text, "їєґ"),
            i_with_dot = occurrences(text, "і"), russian = occurrences(text, "ыэё");
  if (kazakh > 0 && kazakh >= ukrainian) return "kk";
  if (belarusian > 0) return "be";
  if (serbian > 0) return "sr";
  if (ukrainian + i_with_dot > russian) return "uk";
  if (russian > 0) return "ru";
  // Bulgarian writes neither ы, э nor ё, and its small words are its own.
  if (has_word(text, {"е", "са", "да", "ще", "на", "се", "които", "какво", "защо", "съм", "със", "моля"}) &&
      has_word(text, {"е", "са", "ще", "какво", "защо", "съм", "със", "които", "българия", "ми", "от"}) &&
      !has_word(text, {"и", "в", "не", "что", "как", "это", "с", "мне", "про"}))
    return "bg";
  if (occurrences(text, "ъ") > 1) return "bg";
  return "ru";
}

std::string_view arabic_language(std::string_view text) {
  const int urdu = occurrences(text, "ٹڈڑںےہھ"), persian = occurrences(text, "پچژگکی"),
            arabic = occurrences(text, "ةىيكأإ");
  if (urdu > 0 && urdu * 4 >= persian) return "ur";
  return persian > arabic || (persian > 0 && persian == arabic) ? "fa" : "ar";
}

std::string without_fences(std::string_view text) {
  std::string out;
  while (!text.empty()) {
    const std::size_t open = text.find("```");
    out += text.substr(0, open);
    out += ' ';
    if (open == std::string_view::npos) break;
    const std::size_t close = text.find("```", open + 3);
    if (close == std::string_view::npos) break;
    text.remove_prefix(close + 3);
  }
  return out;
}

std::string_view utf8_prefix(std::string_view text, std::size_t bytes) {
  if (text.size() <= bytes) return text;
  while (bytes > 0 && (static_cast<unsigned char>(text[bytes]) & 0xC0) == 0x80) --bytes;
  return text.substr(0, bytes);
}

struct ScriptLanguage {
  UScriptCode script;
  std::string_view language;
};
constexpr ScriptLanguage kOneLanguage[] = {
    {USCRIPT_GREEK, "el"},    {USCRIPT_HEBREW, "he"},   {USCRIPT_DEVANAGARI, "hi"}, {USCRIPT_THAI, "th"},
    {USCRIPT_HANGUL, "ko"},   {USCRIPT_BENGALI, "bn"},  {USCRIPT_TAMIL, "ta"},      {USCRIPT_TELUGU, "te"},
    {USCRIPT_GUJARATI, "gu"}, {USCRIPT_GURMUKHI, "pa"}, {USCRIPT_KANNADA, "kn"},    {USCRIPT_MALAYALAM, "ml"},
    {USCRIPT_SINHALA, "si"},  {USCRIPT_GEORGIAN, "ka"}, {USCRIPT_ARMENIAN, "hy"},   {USCRIPT_KHMER, "km"},
    {USCRIPT_LAO, "lo"},      {USCRIPT_MYANMAR, "my"},  {USCRIPT_ETHIOPIC, "am"},   {USCRIPT_TIBETAN, "bo"},
};

/// The script most letters are of, with Han and Kana as one (USCRIPT_JAPANESE when Kana is part of it).
UScriptCode main_script(std::string_view text) {
  std::array<int, USCRIPT_CODE_LIMIT> letters{};
  const auto size = static_cast<std::int32_t>(text.size());
  for (std::int32_t i = 0; i < size;) {
    UChar32 c = 0;
    U8_NEXT(text.data(), i, size, c);
    if (c < 128) {
      if (c >= 'a' && c <= 'z') ++letters[USCRIPT_LATIN];
      continue;
    }
    UErrorCode status = U_ZERO_ERROR;
    const UScriptCode script = u_isalpha(c) ? uscript_getScript(c, &status) : USCRIPT_COMMON;
    if (U_SUCCESS(status) && script > USCRIPT_INHERITED && script < USCRIPT_CODE_LIMIT)
      ++letters[static_cast<std::size_t>(script)];
  }
  const int kana = letters[USCRIPT_HIRAGANA] + letters[USCRIPT_KATAKANA];
  letters[USCRIPT_HIRAGANA] = letters[USCRIPT_KATAKANA] = 0;
  letters[USCRIPT_HAN] = 3 * (letters[USCRIPT_HAN] + kana);
  letters[USCRIPT_HANGUL] *= 3;
  const auto most = std::max_element(letters.begin(), letters.end());
  if (*most == 0) return USCRIPT_COMMON;
  const auto script = static_cast<UScriptCode>(most - letters.begin());
  // Japanese is a fifth Kana even in dense prose; a Chinese text that quotes a word of it is not.
  return script == USCRIPT_HAN && kana * 15 * 3 > letters[USCRIPT_HAN] * 2 ? USCRIPT_JAPANESE : script;
}

}  // namespace

std::string_view guess_language(std::string_view utf8) {
  const std::string_view start = utf8_prefix(utf8, kReadBytes);
  std::string text = folded(without_fences(start));
  if (text.empty()) text = folded(start);
  const UScriptCode script = main_script(text);
  switch (script) {
    case USCRIPT_LATIN:
      return latin_language(text);
    case USCRIPT_CYRILLIC:
      return cyrillic_language(text);
    case USCRIPT_ARABIC:
      return arabic_language(text);
    case USCRIPT_HAN:
      return "zh";
    case USCRIPT_JAPANESE:
      return "ja";
    default:
      break;
  }
  for (const ScriptLanguage& known : kOneLanguage)
    if (known.script == script) return known.language;
  return kUndetermined;
}

}  // namespace agon
