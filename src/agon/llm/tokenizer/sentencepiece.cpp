// SentencePiece BPE (Kudo and Richardson 2018): of all neighbouring parts whose texts join to a token, the
// pair whose token has the highest score is joined first, the leftmost among equals. What is no token in the
// end comes out as tokens of its bytes.
//
// The whole text is one word to this method. But parts are only ever joined to a token, so where two
// neighbouring characters stand side by side in no token, the text can be cut without changing the result.
// The pieces between such cuts are mostly words, which a cache knows. Which pairs occur is kept exactly for
// ASCII and the escaped space, and in a hash filter for others (a false hit only makes a longer piece).
#include <algorithm>

#include "agon/llm/tokenizer/text_model.h"

namespace agon::llm {
namespace {

constexpr std::size_t kShortWord = 40;
constexpr std::size_t kSmall = 129;  // ASCII and the escaped space

class SentencePiece final : public TextModel {
 public:
  SentencePiece(const Vocabulary& vocabulary, bool add_space_prefix);
  void encode(std::string_view text, bool after_special, EncodeScratch& scratch,
              TokenSink& out) const override;
  void append_text(std::string_view token_text, std::string& out) const override;

 private:
  struct Pair {
    float score = 0;
    bool joins = false;
  };
  [[nodiscard]] Pair pair_of(std::string_view text) const {
    const Token token = vocabulary_.find(text);
    return token == kNoToken ? Pair{} : Pair{vocabulary_.score(token), true};
  }
  /// A character as a number: its bytes. The escaped space counts as small.
  static std::uint32_t code_of(std::string_view text, std::size_t at, std::size_t bytes) {
    std::uint32_t code = 0;
    for (std::size_t i = 0; i < bytes; ++i)
      code |= std::uint32_t{static_cast<std::uint8_t>(text[at + i])} << 8 * i;
    return code == 0x8196E2 ? 128 : code;
  }
  /// ASCII and the escaped space are below kSmall; so is the lone byte 0x80, which then counts as that.
  [[nodiscard]] bool may_join(std::uint32_t left, std::uint32_t right) const {
    if (left < kSmall && right < kSmall) return small_[left * kSmall + right];
    const std::uint64_t bit = mix64(left, right) & filter_mask_;
    return filter_[bit >> 6] >> (bit & 63) & 1;
  }
  void encode_word(std::string_view word, EncodeScratch& scratch, TokenSink& out) const;
  void merge_long(std::string_view word, EncodeScratch& scratch, TokenSink& out) const;
  void push_part(std::string_view part, TokenSink& out) const;

  const Vocabulary& vocabulary_;
  const bool add_space_prefix_;
  std::array<Token, 256> bytes_{};
  std::array<bool, kSmall * kSmall> small_{};
  std::vector<std::uint64_t> filter_;
  std::uint64_t filter_mask_;
};

SentencePiece::SentencePiece(const Vocabulary& vocabulary, bool add_space_prefix)
    : vocabulary_(vocabulary), add_space_prefix_(add_space_prefix) {
  constexpr std::string_view kHex = "0123456789ABCDEF";
  for (unsigned byte = 0; byte < 256; ++byte) {
    const char name[] = {'<', '0', 'x', kHex[byte >> 4], kHex[byte & 15], '>'};
    const char itself = char(byte);
    Token token = vocabulary.find(std::string_view(name, sizeof name));
    if (token == kNoToken) token = vocabulary.find(std::string_view(&itself, 1));
    bytes_[byte] = token != kNoToken ? token : vocabulary.special().unknown;
  }
  const std::size_t bits = std::bit_ceil(std::size_t(8 * vocabulary.size() + 64));
  filter_.resize(bits / 64);
  filter_mask_ = bits - 1;
  for (Token token = 0; token < vocabulary.size(); ++token) {
    const std::string_view text = vocabulary.text(token);
    std::uint32_t left = 0;
    for (std::size_t at = 0; at < text.size();) {
      const std::size_t bytes = std::min(char_bytes(text[at]), text.size() - at);
      const std::uint32_t right = code_of(text, at, bytes);
      if (at > 0) {
        if (left < kSmall && right < kSmall) {
          small_[left * kSmall + right] = true;
        } else {
          const std::uint64_t bit = mix64(left, right) & filter_mask_;
          filter_[bit >> 6] |= std::uint64_t{1} << (bit & 63);
        }
      }
      left = right;
      at += bytes;
    }
  }
}

void SentencePiece::encode(std::string_view text, bool after_special, EncodeScratch& scratch,
                           TokenSink& out) const {
  std::string& escaped = scratch.text;
  escaped.clear();
  if (add_space_prefix_ && after_special) escaped += kEscapedSpace;
  for (std::size_t begin = 0;;) {
    const std::size_t space = text.find(' ', begin);
    escaped.append(text.substr(begin, space - begin));
    if (space == std::string_view::npos) break;
    escaped += kEscapedSpace;
    begin = space + 1;
  }
  const std::string_view all = escaped;
  std::size_t begin = 0;
  std::uint32_t left = 0;
  const auto finish = [&](std::size_t end) {
    const std::string_view word = all.substr(begin, end - begin);
    begin = end;
    if (word.size() > WordCache::kLongestWord) return encode_word(word, scratch, out);
    bool hit = false;
    WordCache::Slot& slot =
        scratch.cache.find(word, std::size_t(word.data() - all.data()) + 32 <= all.size(), hit);
    if (hit) {
      std::memcpy(out.room(WordCache::kMostTokens), slot.tokens.data(), sizeof slot.tokens);
      return out.add(slot.count);
    }
    const std::size_t before = out.size();
    encode_word(word, scratch, out);
    if (const std::size_t count = out.size() - before; count <= WordCache::kMostTokens) {
      std::copy_n(out.data() + before, count, slot.tokens.begin());
      slot.count = std::uint32_t(count);
    } else {
      WordCache::forget(slot);
    }
  };
  for (std::size_t at = 0; at < all.size();) {
    const std::size_t bytes = std::min(char_bytes(all[at]), all.size() - at);
    const std::uint32_t right = code_of(all, at, bytes);
    if (at > 0 && !may_join(left, right)) finish(at);
    left = right;
    at += bytes;
  }
  if (begin < all.size()) finish(all.size());
}

void SentencePiece::encode_word(std::string_view word, EncodeScratch& scratch, TokenSink& out) const {
  if (word.size() > kShortWord) return merge_long(word, scratch, out);
  std::array<std::uint8_t, kShortWord + 1> begins;  // of the parts, and the end
  std::array<Pair, kShortWord> pairs;
  std::size_t count = 0;
  for (std::size_t at = 0; at < word.size(); at += std::min(char_bytes(word[at]), word.size() - at))
    begins[count++] = std::uint8_t(at);
  begins[count] = std::uint8_t(word.size());
  const auto look_up = [&](std::size_t i) {
    return pair_of(word.substr(begins[i], std::size_t(begins[i + 2] - begins[i])));
  };
  for (std::size_t i = 0; i + 1 < count; ++i) pairs[i] = look_up(i);
  while (count > 1) {
    std::size_t best = count;
    for (std::size_t i = 0; i + 1 < count; ++i)
      if (pairs[i].joins && (best == count || pairs[i].score > pairs[best].score)) best = i;
    if (best == count) break;
    std::copy(begins.begin() + best + 2, begins.begin() + count + 1, begins.begin() + best + 1);
    std::copy(pairs.begin() + best + 1, pairs.begin() + (count - 1), pairs.begin() + best);
    --count;
    if (best > 0) pairs[best - 1] = look_up(best - 1);
    if (best + 1 < count) pairs[best] = look_up(best);
  }
  for (std::size_t i = 0; i < count; ++i)
    push_part(word.substr(begins[i], std::size_t(begins[i + 1] - begins[i])), out);
}

void SentencePiece::merge_long(std::string_view word, EncodeScratch& scratch, TokenSink& out) const {
  auto& parts = scratch.parts;
  auto& heap = scratch.heap;
  parts.clear();
  heap.clear();
  for (std::size_t at = 0; at < word.size();) {
    const std::size_t bytes = std::min(char_bytes(word[at]), word.size() - at);
    const auto i = std::int32_t(parts.size());
    parts.push_back({std::uint32_t(at), std::uint32_t(bytes), i - 1, at + bytes < word.size() ? i + 1 : -1});
    at += bytes;
  }
  const auto push = [&](std::int32_t left, std::int32_t right) {
    if (left < 0 || right < 0) return;
    const MergePart &a = parts[std::size_t(left)], &b = parts[std::size_t(right)];
    const Pair pair = pair_of(word.substr(a.id, a.bytes + b.bytes));
    if (!pair.joins) return;
    heap.push_back({pair.score, 0, left, right, a.bytes, b.bytes, 0});
    std::push_heap(heap.begin(), heap.end());
  };
  for (std::size_t i = 1; i < parts.size(); ++i) push(std::int32_t(i - 1), std::int32_t(i));
  while (!heap.empty()) {
    std::pop_heap(heap.begin(), heap.end());
    const MergeCandidate pair = heap.back();
    heap.pop_back();
    MergePart &left = parts[std::size_t(pair.left)], &right = parts[std::size_t(pair.right)];
    if (left.bytes != pair.left_state || right.bytes != pair.right_state) continue;
    left.bytes += right.bytes;
    right.bytes = 0;
    left.next = right.next;
    if (right.next >= 0) parts[std::size_t(right.next)].previous = pair.left;
    push(left.previous, pair.left);
    push(pair.left, left.next);
  }
  for (std::int32_t i = 0; i >= 0; i = parts[std::size_t(i)].next)
    push_part(word.substr(parts[std::size_t(i)].id, parts[std::size_t(i)].bytes), out);
}

void SentencePiece::push_part(std::string_view part, TokenSink& out) const {
  if (const Token token = vocabulary_.find(part); token != kNoToken) return out.push(token);
  for (const char c : part)
    if (const Token token = bytes_[static_cast<std::uint8_t>(c)]; token != kNoToken) out.push(token);
}

void SentencePiece::append_text(std::string_view token_text, std::string& out) const {
  append_unescaped(token_text, out);
}

}  // namespace

Result<std::unique_ptr<TextModel>> make_sentencepiece(const Vocabulary& vocabulary, bool add_space_prefix) {
  return std::make_unique<SentencePiece>(vocabulary, add_space_prefix);
}

}  // namespace agon::llm
