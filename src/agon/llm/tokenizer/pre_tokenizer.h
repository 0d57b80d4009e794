// Text to words, inside which byte-level BPE merges: the pre-tokenizers of GPT-2 and its heirs.
//
// Each is a regular expression in the models' own files. Here they are scanners by hand: a word is found in
// one pass without backtracking. They work on UTF-8 that is well formed but for surrogates.
#pragma once

#include <cstdint>
#include <optional>
#include <string_view>

#include "agon/llm/tokenizer/byte_text.h"
#include "agon/llm/tokenizer/char_class.h"

namespace agon::llm {

/// The scanners. Names of pre-tokenizers in files are many more: see pre_tokenizer_named.
enum class WordPattern : std::uint8_t {
  /// 's|'t|'re|'ve|'m|'ll|'d| ?\p{L}+| ?\p{N}+| ?[^\s\p{L}\p{N}]+|\s+(?!\S)|\s+
  kGpt2,
  /// Every \p{N} apart first, then kGpt2 between them.
  kDigitsGpt2,
  /// (?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|
  /// \s+(?!\S)|\s+
  kLlama3,
  kQwen2,   ///< As kLlama3 with every \p{N} apart.
  kQwen35,  ///< As kQwen2 with [\p{L}\p{M}] for \p{L}.
  /// Runs of punctuation and $+<=>^~|` first, then kGpt2, then groups of three ASCII digits.
  kFalcon,
  /// As kFalcon without the `, and runs of \p{N} apart before the groups of three.
  kDefault,
  /// Words cut where case changes, no contractions, every \p{N} apart (Mistral's "tekken").
  kTekken,
  kGpt4o,  ///< As kTekken with contractions at the end of words and \p{N}{1,3}.
};

struct PreTokenizer {
  WordPattern pattern = WordPattern::kDefault;
  bool ignore_merges = false;  ///< A word that is a token as it stands is not taken apart.
  bool add_bos = false;        ///< Unless the file says otherwise.
};
/// By tokenizer.ggml.pre; nothing when the name is not known.
[[nodiscard]] std::optional<PreTokenizer> pre_tokenizer_named(std::string_view name);

/// Finds words. The functions return where the word that begins at `p` ends; p < end.
class WordScanner {
 public:
  WordScanner() : table_(CharClassTable::get()) {
    for (unsigned c = 0; c < 128; ++c) ascii_[c] = table_[c];
  }
  /// Calls `word(begin, end)` for every word in order; words cover the text. `text` must be UTF-8 (surrogates
  /// allowed).
  template <class Word>
  void split(WordPattern pattern, std::string_view text, Word&& word) const;

 private:
  struct Char {
    std::uint8_t classes;  ///< 0 past the end.
    std::uint8_t bytes;
  };
  [[nodiscard]] Char look(const char* p, const char* end) const {
    if (p >= end) return {0, 0};
    if (static_cast<std::uint8_t>(*p) < 0x80) return {ascii_[static_cast<std::uint8_t>(*p)], 1};
    const LenientChar c = decode_lenient(std::string_view(p, std::size_t(end - p)), 0);
    return {table_[c.code], c.bytes};
  }
  /// Past all characters from `p` on that have one of `classes`.
  [[nodiscard]] const char* skip(const char* p, const char* end, std::uint8_t classes) const {
    for (Char c = look(p, end); c.classes & classes; c = look(p, end)) p += c.bytes;
    return p;
  }
  [[nodiscard]] const char* skip_not(const char* p, const char* end, std::uint8_t classes) const {
    for (Char c = look(p, end); c.classes != 0 && !(c.classes & classes); c = look(p, end)) p += c.bytes;
    return p;
  }
  [[nodiscard]] const char* gpt2(const char* p, const char* end) const;
  [[nodiscard]] const char* llama3(const char* p, const char* end, int digits, std::uint8_t letters) const;
  [[nodiscard]] const char* cased(const char* p, const char* end, bool gpt4o) const;
  [[nodiscard]] const char* cased_letters(const char* p, const char* end) const;
  [[nodiscard]] const char* numbers(const char* p, const char* end, int most) const;
  [[nodiscard]] const char* spaces_by_line(const char* p, const char* end) const;
  [[nodiscard]] bool is_mark_run(const char* p, const char* end, bool backtick) const;
  template <class Word>
  void split_digits(const char* p, const char* end, Word&& word) const;
  template <class Word>
  void split_marks(const char* p, const char* end, bool is_default, Word&& word) const;

  const CharClassTable& table_;
  std::uint8_t ascii_[128];
};

/// Bytes of the contraction ('s 't 'm 'd 're 've 'll) at p, 0 when there is none.
[[nodiscard]] inline int contraction(const char* p, const char* end, bool any_case) {
  if (*p != '\'' || end - p < 2) return 0;
  const auto lower = [&](char c) { return any_case && c >= 'A' && c <= 'Z' ? char(c + 32) : c; };
  const char first = lower(p[1]);
  if (first == 's' || first == 't' || first == 'm' || first == 'd') return 2;
  if (end - p < 3) return 0;
  const char second = lower(p[2]);
  return (first == 'r' && second == 'e') || (first == 'v' && second == 'e') || (first == 'l' && second == 'l')
             ? 3
             : 0;
}

inline const char* WordScanner::gpt2(const char* p, const char* end) const {
  if (const int bytes = contraction(p, end, false)) return p + bytes;
  const char* q = p + (*p == ' ');
  const Char c = look(q, end);
  if (c.classes & kLetter) return skip(q, end, kLetter);
  if (c.classes & kNumber) return skip(q, end, kNumber);
  if (c.classes != 0 && !(c.classes & kSpace)) return skip_not(q, end, kSpace | kLetter | kNumber);
  // \s+(?!\S): a run of spaces leaves its last one to the word behind it.
  const char* last = p;
  for (q = p;;) {
    const Char space = look(q, end);
    if (!(space.classes & kSpace)) break;
    last = q;
    q += space.bytes;
  }
  return q != end && last != p ? last : q;
}

inline const char* WordScanner::numbers(const char* p, const char* end, int most) const {
  for (int i = 0; i < most; ++i) {
    const Char c = look(p, end);
    if (!(c.classes & kNumber)) break;
    p += c.bytes;
  }
  return p;
}

/// \s*[\r\n]+|\s+(?!\S)|\s+
inline const char* WordScanner::spaces_by_line(const char* p, const char* end) const {
  const char *last = p, *line_end = nullptr, *q = p;
  for (;;) {
    const Char space = look(q, end);
    if (!(space.classes & kSpace)) break;
    last = q;
    q += space.bytes;
    if (*last == '\r' || *last == '\n') line_end = q;
  }
  if (line_end != nullptr) return line_end;
  return q != end && last != p ? last : q;
}

inline const char* WordScanner::llama3(const char* p, const char* end, int digits,
                                       std::uint8_t letters) const {
  if (const int bytes = contraction(p, end, true)) return p + bytes;
  const Char c = look(p, end);
  if (c.classes & kNumber) return numbers(p, end, digits);
  if (*p != '\r' && *p != '\n') {
    if (c.classes & letters) return skip(p + c.bytes, end, letters);
    const Char next = look(p + c.bytes, end);
    if (next.classes & letters) return skip(p + c.bytes, end, letters);
  }
  const char* q = p + (*p == ' ');
  const Char d = look(q, end);
  if (d.classes != 0 && !(d.classes & (kSpace | kNumber | letters))) {
    q = skip_not(q, end, kSpace | kNumber | letters);
    while (q < end && (*q == '\r' || *q == '\n')) ++q;
    return q;
  }
  return spaces_by_line(p, end);
}

/// [upper]*[lower]+ or else [upper]+[lower]*, where "upper" is a letter but a-z, and "lower" is a letter but
/// A-Z: the peer's reading of \p{Lu} and \p{Ll}. Letters past ASCII are both. `p` is at a letter.
inline const char* WordScanner::cased_letters(const char* p, const char* end) const {
  const char* both_end = nullptr;  // behind the last letter of the upper run that is lower too
  for (Char c = look(p, end); (c.classes & kLetter) && !(*p >= 'a' && *p <= 'z'); c = look(p, end)) {
    p += c.bytes;
    if (c.bytes > 1) both_end = p;
  }
  const char* upper_end = p;
  for (Char c = look(p, end); (c.classes & kLetter) && !(*p >= 'A' && *p <= 'Z'); c = look(p, end))
    p += c.bytes;
  return p != upper_end ? p : both_end != nullptr ? both_end : upper_end;
}

inline const char* WordScanner::cased(const char* p, const char* end, bool gpt4o) const {
  const Char c = look(p, end);
  const auto with_contraction = [&](const char* q) {
    return q + (gpt4o && q < end ? contraction(q, end, true) : 0);
  };
  if (c.classes & kLetter) return with_contraction(cased_letters(p, end));
  if (c.classes & kNumber) return numbers(p, end, gpt4o ? 3 : 1);
  if (*p != '\r' && *p != '\n' && (look(p + c.bytes, end).classes & kLetter))
    return with_contraction(cased_letters(p + c.bytes, end));
  const char* q = p + (*p == ' ');
  const Char d = look(q, end);
  if (d.classes != 0 && !(d.classes & (kSpace | kNumber | kLetter))) {
    q = skip_not(q, end, kSpace | kNumber | kLetter);
    while (q < end && (*q == '\r' || *q == '\n' || *q == '/')) ++q;
    return q;
  }
  return spaces_by_line(p, end);
}

template <class Word>
void WordScanner::split_digits(const char* p, const char* end, Word&& word) const {
  while (p < end) {
    const Char c = look(p, end);
    if (c.classes & kNumber) {
      word(p, p + c.bytes);
      p += c.bytes;
      continue;
    }
    const char* stop = skip_not(p + c.bytes, end, kNumber);
    while (p < stop) {
      const char* q = gpt2(p, stop);
      word(p, q);
      p = q;
    }
  }
}

inline bool WordScanner::is_mark_run(const char* p, const char* end, bool backtick) const {
  constexpr std::string_view kMarks = "$+<=>^~|";
  return (look(p, end).classes & kPunctuation) || kMarks.find(*p) != std::string_view::npos ||
         (backtick && *p == '`');
}

template <class Word>
void WordScanner::split_marks(const char* p, const char* end, bool is_default, Word&& word) const {
  const auto triples = [&](const char* from, const char* to) {
    const char* at = from;
    int digits = 0;
    for (const char* q = from; q < to;) {
      digits = *q >= '0' && *q <= '9' ? digits + 1 : 0;
      ++q;
      if (digits < 3) continue;
      if (q - 3 > at) word(at, q - 3);
      word(q - 3, q);
      at = q;
      digits = 0;
    }
    if (at < to) word(at, to);
  };
  const auto number_runs = [&](const char* from, const char* to) {
    if (!is_default) return triples(from, to);
    while (from < to) {
      const char* q =
          look(from, to).classes & kNumber ? skip(from, to, kNumber) : skip_not(from, to, kNumber);
      triples(from, q);
      from = q;
    }
  };
  while (p < end) {
    const bool marks = is_mark_run(p, end, !is_default);
    const char* stop = p;
    while (stop < end && is_mark_run(stop, end, !is_default) == marks) stop += look(stop, end).bytes;
    while (p < stop) {
      const char* q = gpt2(p, stop);
      number_runs(p, q);
      p = q;
    }
  }
}

template <class Word>
void WordScanner::split(WordPattern pattern, std::string_view text, Word&& word) const {
  const char *p = text.data(), *end = p + text.size();
  const auto all = [&](auto&& next) {
    while (p < end) {
      const char* q = next(p);
      word(p, q);
      p = q;
    }
  };
  switch (pattern) {
    case WordPattern::kGpt2:
      return all([&](const char* at) { return gpt2(at, end); });
    case WordPattern::kDigitsGpt2:
      return split_digits(p, end, word);
    case WordPattern::kLlama3:
      return all([&](const char* at) { return llama3(at, end, 3, kLetter); });
    case WordPattern::kQwen2:
      return all([&](const char* at) { return llama3(at, end, 1, kLetter); });
    case WordPattern::kQwen35:
      return all([&](const char* at) { return llama3(at, end, 1, kLetter | kMark); });
    case WordPattern::kFalcon:
      return split_marks(p, end, false, word);
    case WordPattern::kDefault:
      return split_marks(p, end, true, word);
    case WordPattern::kTekken:
      return all([&](const char* at) { return cased(at, end, false); });
    case WordPattern::kGpt4o:
      return all([&](const char* at) { return cased(at, end, true); });
  }
}

}  // namespace agon::llm
