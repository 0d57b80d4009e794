// SentencePiece unigram (Kudo 2018, "Subword Regularization"): the tokens whose log probabilities sum
// highest, by dynamic programming over the ends of tokens (Viterbi). Sums are doubles and the first of equal
// sums wins.
#include <algorithm>
#include <limits>

#include "agon/llm/tokenizer/charsmap.h"
#include "agon/llm/tokenizer/text_model.h"
#include "agon/llm/tokenizer/trie.h"

namespace agon::llm {
namespace {

constexpr float kUnknownPenalty = 10;        // below the unlikeliest token (SentencePiece)
constexpr std::size_t kLongestToken = 1024;  // bounds the walk that starts at every character

class Unigram final : public TextModel {
 public:
  Unigram(const Vocabulary& vocabulary, Charsmap charsmap, bool add_space_prefix, bool merge_spaces);
  void encode(std::string_view text, bool after_special, EncodeScratch& scratch,
              TokenSink& out) const override;
  void append_text(std::string_view token_text, std::string& out) const override {
    append_unescaped(token_text, out);
  }

 private:
  struct Best {
    double score = std::numeric_limits<double>::lowest();
    Token token = kNoToken;
    std::uint32_t bytes = 0;
  };
  void normalise(std::string_view text, std::string& out) const;
  [[nodiscard]] std::size_t user_defined_bytes(std::string_view text) const;

  const Vocabulary& vocabulary_;
  const Charsmap charsmap_;
  const bool add_space_prefix_, merge_spaces_;
  Trie tokens_, user_defined_;
  double unknown_score_ = 0;
};

Unigram::Unigram(const Vocabulary& vocabulary, Charsmap charsmap, bool add_space_prefix, bool merge_spaces)
    : vocabulary_(vocabulary),
      charsmap_(std::move(charsmap)),
      add_space_prefix_(add_space_prefix),
      merge_spaces_(merge_spaces) {
  float lowest = std::numeric_limits<float>::max();
  for (Token token = 0; token < vocabulary.size(); ++token) {
    const std::uint8_t attributes = vocabulary.stored_attributes(token);
    if (attributes & kNormalToken) lowest = std::min(lowest, vocabulary.score(token));
    if (attributes & (kNormalToken | kUserDefinedToken | kUnusedToken))
      tokens_.insert(vocabulary.text(token), token);
    if (attributes & kUserDefinedToken) user_defined_.insert(vocabulary.text(token), token);
  }
  unknown_score_ = lowest - kUnknownPenalty;
}

/// How far `text` goes along user-defined tokens, not only to the end of one: as the peer has it.
std::size_t Unigram::user_defined_bytes(std::string_view text) const {
  std::size_t bytes = 0;
  for (Trie::Node node = Trie::kRoot; bytes < text.size(); ++bytes) {
    node = user_defined_.child(node, text[bytes]);
    if (node == Trie::kNone) break;
  }
  return bytes;
}

void Unigram::normalise(std::string_view text, std::string& out) const {
  out.clear();
  bool prefixed = false, inside_word = false;
  const auto add = [&](std::string_view part) {
    for (const char c : part) {
      if (c == ' ') {
        inside_word = false;
        if (!merge_spaces_) out += kEscapedSpace;
        continue;
      }
      if (!inside_word) {
        inside_word = true;
        if ((add_space_prefix_ && !prefixed) || merge_spaces_) {
          out += kEscapedSpace;
          prefixed = true;
        }
      }
      out.push_back(c);
    }
  };
  while (!text.empty()) {
    std::size_t bytes = user_defined_bytes(text);
    if (bytes > 0) {
      add(text.substr(0, bytes));
    } else if (const auto match = charsmap_.longest(text)) {
      bytes = match->bytes;
      add(match->replacement);
    } else {
      const LenientChar c = decode_lenient(text, 0);
      bytes = c.bytes;
      add(c.valid ? text.substr(0, bytes) : "\xEF\xBF\xBD");
    }
    text.remove_prefix(bytes);
  }
}

void Unigram::encode(std::string_view text, bool /*after_special*/, EncodeScratch& scratch,
                     TokenSink& out) const {
  normalise(text, scratch.text);
  const std::string_view input = scratch.text;
  if (input.empty()) return;
  const Token unknown = vocabulary_.special().unknown;
  std::vector<Best> best(input.size() + 1);  // of the text up to here
  best[0].score = 0;
  const auto offer = [&](std::size_t end, double score, Token token, std::size_t bytes) {
    if (score > best[end].score) best[end] = {score, token, std::uint32_t(bytes)};
  };
  for (std::size_t begin = 0; begin < input.size();) {
    const std::size_t char_size = std::min(char_bytes(input[begin]), input.size() - begin);
    const double score = best[begin].score;
    bool whole_char = false;
    Trie::Node node = Trie::kRoot;
    for (std::size_t end = begin; end < input.size();) {
      node = tokens_.child(node, input[end++]);
      if (node == Trie::kNone) break;
      const Token token = tokens_.value(node);
      if (token == Trie::kNoValue) continue;
      whole_char |= end - begin == char_size;
      // A user-defined token is free, so that it is preferred.
      const bool free = vocabulary_.attributes(token) & kUserDefinedToken;
      offer(end, score + (free ? 0.0 : double{vocabulary_.score(token)}), token, end - begin);
    }
    if (!whole_char) offer(begin + char_size, score + unknown_score_, unknown, char_size);
    begin += char_size;
  }
  const std::size_t first = out.size();
  bool after_unknown = false;
  for (std::size_t end = input.size(); end > 0; end -= best[end].bytes) {
    const bool is_unknown = best[end].token == unknown;
    if (!(is_unknown && after_unknown)) out.push(best[end].token);  // a run of unknowns is one token
    after_unknown = is_unknown;
  }
  std::reverse(out.data() + first, out.data() + out.size());
}

}  // namespace

Result<std::unique_ptr<TextModel>> make_unigram(const Vocabulary& vocabulary, const gguf::Metadata& metadata,
                                                bool add_space_prefix) {
  if (vocabulary.special().unknown == kNoToken)
    return fail("tokenizer.ggml.unknown_token_id: a unigram vocabulary needs an unknown token");
  for (Token token = 0; token < vocabulary.size(); ++token)
    if (vocabulary.text(token).size() > kLongestToken)
      return fail("tokenizer.ggml.tokens: token " + std::to_string(token) + " has " +
                  std::to_string(vocabulary.text(token).size()) + " bytes (expected at most " +
                  std::to_string(kLongestToken) + ")");
  AGON_ASSIGN(Charsmap charsmap, Charsmap::read(metadata));
  AGON_ASSIGN(const bool merge_spaces, metadata.boolean_or("tokenizer.ggml.remove_extra_whitespaces", false));
  return std::make_unique<Unigram>(vocabulary, std::move(charsmap), add_space_prefix, merge_spaces);
}

}  // namespace agon::llm
