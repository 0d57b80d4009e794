// WordPiece (Devlin et al. 2019, BERT): text is cut into words at spaces, punctuation and CJK ideographs; a
// word is the longest tokens that match from the left, or unknown as a whole.
#include <unicode/uchar.h>
#include <unicode/unorm2.h>
#include <unicode/utf16.h>

#include "agon/llm/tokenizer/text_model.h"
#include "agon/llm/tokenizer/trie.h"

namespace agon::llm {
namespace {

class WordPiece final : public TextModel {
 public:
  WordPiece(const Vocabulary& vocabulary, bool lower_case, bool strip_accents);
  void encode(std::string_view text, bool after_special, EncodeScratch& scratch,
              TokenSink& out) const override;
  void append_text(std::string_view token_text, std::string& out) const override {
    append_unescaped(token_text, out);
  }

 private:
  void push_word(std::string_view word, TokenSink& out) const;

  const Vocabulary& vocabulary_;
  const bool lower_case_, strip_accents_;
  Trie tokens_;  // beginnings of words begin with the escaped space
};

WordPiece::WordPiece(const Vocabulary& vocabulary, bool lower_case, bool strip_accents)
    : vocabulary_(vocabulary), lower_case_(lower_case), strip_accents_(strip_accents) {
  for (Token token = 0; token < vocabulary.size(); ++token) tokens_.insert(vocabulary.text(token), token);
}

/// Ideographs, each a word of its own (BertTokenizer, with the bounds of its Rust edition).
bool is_ideograph(char32_t code) {
  return (code >= 0x4E00 && code <= 0x9FFF) || (code >= 0x3400 && code <= 0x4DBF) ||
         (code >= 0x20000 && code <= 0x2A6DF) || (code >= 0x2A700 && code <= 0x2B73F) ||
         (code >= 0x2B740 && code <= 0x2B81F) || (code >= 0x2B920 && code <= 0x2CEAF) ||
         (code >= 0xF900 && code <= 0xFAFF) || (code >= 0x2F800 && code <= 0x2FA1F);
}

/// The first character of the canonical decomposition: the letter under the accents.
char32_t without_accents(char32_t code) {
  if (code < 0xC0) return code;
  UErrorCode error = U_ZERO_ERROR;
  static const UNormalizer2* const normalizer = unorm2_getNFDInstance(&error);
  UChar buffer[32];
  error = U_ZERO_ERROR;
  const std::int32_t length = unorm2_getDecomposition(normalizer, UChar32(code), buffer, 32, &error);
  if (length <= 0 || U_FAILURE(error)) return code;
  UChar32 first;
  std::int32_t at = 0;
  U16_NEXT(buffer, at, length, first);
  return char32_t(first);
}

void WordPiece::encode(std::string_view text, bool /*after_special*/, EncodeScratch& scratch,
                       TokenSink& out) const {
  const CharClassTable& classes = CharClassTable::get();
  std::string& word = scratch.text;
  word.clear();
  const auto finish = [&] {
    if (!word.empty()) push_word(word, out);
    word.clear();
  };
  for (std::size_t at = 0; at < text.size();) {
    const LenientChar c = decode_lenient(text, at);
    at += c.code > 0x10FFFF ? 1 : c.bytes;
    char32_t code = c.code > 0x10FFFF ? 0xFFFD : c.code;
    if (strip_accents_) code = without_accents(code);
    const std::uint8_t is = classes[code];
    if (is & kSpace) {
      finish();
    } else if (code == 0 || code == 0xFFFD || (is & kControl) || (strip_accents_ && (is & kMark))) {
      continue;
    } else {
      const char32_t written = lower_case_ ? char32_t(u_tolower(UChar32(code))) : code;
      const bool alone = (is & kPunctuation) || (code < 0x7F && (is & kSymbol)) || is_ideograph(code);
      if (alone) finish();
      append_code(word, written);
      if (alone) finish();
    }
  }
  finish();
}

void WordPiece::push_word(std::string_view word, TokenSink& out) const {
  const std::size_t before = out.size();
  Trie::Node start = Trie::kRoot;
  for (const char c : kEscapedSpace)
    if (start != Trie::kNone) start = tokens_.child(start, c);
  // The first token begins with the escaped space, and may be nothing but it.
  std::size_t at = 0;
  for (bool first = true; first || at < word.size(); first = false) {
    Trie::Node node = first ? start : Trie::kRoot;
    Token longest = kNoToken;
    std::size_t end = at;
    if (first && node != Trie::kNone) longest = tokens_.value(node);
    for (std::size_t i = at; node != Trie::kNone && i < word.size();) {
      node = tokens_.child(node, word[i++]);
      if (node == Trie::kNone) break;
      if (tokens_.value(node) == Trie::kNoValue) continue;
      longest = tokens_.value(node);
      end = i;
    }
    if (longest == kNoToken) {
      out.cut(before);
      break;
    }
    out.push(longest);
    at = end;
  }
  if (out.size() == before && vocabulary_.special().unknown != kNoToken)
    out.push(vocabulary_.special().unknown);
}

}  // namespace

Result<std::unique_ptr<TextModel>> make_wordpiece(const Vocabulary& vocabulary,
                                                  const gguf::Metadata& metadata) {
  AGON_ASSIGN(const bool lower_case, metadata.boolean_or("tokenizer.ggml.normalizer.lowercase", true));
  AGON_ASSIGN(const bool strip_accents,
              metadata.boolean_or("tokenizer.ggml.normalizer.strip_accents", lower_case));
  return std::make_unique<WordPiece>(vocabulary, lower_case, strip_accents);
}

}  // namespace agon::llm
