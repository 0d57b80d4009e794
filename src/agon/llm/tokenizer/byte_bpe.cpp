// Byte-level BPE (Radford et al. 2019, "Language Models are Unsupervised Multitask Learners", section 2.2).
//
// Vocabulary and merges are written in an alphabet of 256 printable characters, one a byte. Here a byte goes
// straight to the symbol of its character, and symbols are merged as numbers: a pair of symbols is looked up
// in one table that knows the rank of the merge and the symbol it makes. A symbol is a token, or a text that
// occurs in merges only (numbers from the size of the vocabulary on).
#include <algorithm>
#include <limits>
#include <unordered_map>

#include "agon/llm/tokenizer/text_model.h"
#include "agon/text/utf8.h"

namespace agon::llm {
namespace {

constexpr std::uint32_t kNoRank = std::numeric_limits<std::uint32_t>::max();
constexpr std::size_t kShortWord = 48;  // up to here searching all pairs is faster than a heap
constexpr std::size_t kMostMerges = std::size_t{1} << 24;

/// The character that stands for a byte: printable Latin-1 for itself, the rest from U+0100 on.
struct ByteAlphabet {
  std::array<char32_t, 256> of_byte{};
  std::array<std::int16_t, 0x144> to_byte{};

  ByteAlphabet() {
    to_byte.fill(-1);
    char32_t next = 256;
    for (unsigned byte = 0; byte < 256; ++byte) {
      const bool printable = (byte >= 0x21 && byte <= 0x7E) || (byte >= 0xA1 && byte <= 0xAC) || byte >= 0xAE;
      of_byte[byte] = printable ? byte : next++;
      to_byte[of_byte[byte]] = std::int16_t(byte);
    }
  }
  static const ByteAlphabet& get() {
    static const ByteAlphabet alphabet;
    return alphabet;
  }
};

class ByteBpe final : public TextModel {
 public:
  ByteBpe(const Vocabulary& vocabulary, const PreTokenizer& pre) : vocabulary_(vocabulary), pre_(pre) {}

  Status read_merges(const gguf::Strings& merges);
  void encode(std::string_view text, bool after_special, EncodeScratch& scratch,
              TokenSink& out) const override;
  void append_text(std::string_view token_text, std::string& out) const override;

 private:
  struct Merge {
    std::uint32_t rank = kNoRank, symbol = 0;
  };
  [[nodiscard]] Merge merge_of(std::uint32_t left, std::uint32_t right) const {
    const Merge* merge = merges_.find(std::uint64_t{left} << 32 | right);
    return merge != nullptr ? *merge : Merge{};
  }
  void encode_word(std::string_view word, EncodeScratch& scratch, TokenSink& out) const;
  void merge_short(std::string_view word, TokenSink& out) const;
  void merge_long(std::string_view word, EncodeScratch& scratch, TokenSink& out) const;
  void push_symbol(std::uint32_t symbol, TokenSink& out) const {
    if (symbol < std::uint32_t(vocabulary_.size())) return out.push(Token(symbol));
    for (const Token token : beyond_[symbol - std::uint32_t(vocabulary_.size())]) out.push(token);
  }

  const Vocabulary& vocabulary_;
  const PreTokenizer pre_;
  const WordScanner scanner_;
  FlatMap<Merge> merges_;
  std::array<std::uint32_t, 256> byte_symbols_{};
  std::vector<std::vector<Token>> beyond_;  // what symbols that are no tokens come out as
};

Status ByteBpe::read_merges(const gguf::Strings& merges) {
  if (merges.size() > kMostMerges)
    return fail("tokenizer.ggml.merges: " + std::to_string(merges.size()) + " merges (expected at most " +
                std::to_string(kMostMerges) + ")");
  std::unordered_map<std::string, std::uint32_t> others;
  const auto symbol_of = [&](std::string_view text) {
    if (const Token token = vocabulary_.find(text); token != kNoToken) return std::uint32_t(token);
    const auto [at, added] =
        others.try_emplace(std::string(text), std::uint32_t(vocabulary_.size() + int(beyond_.size())));
    if (added) {
      std::vector<Token>& tokens = beyond_.emplace_back();
      for (const char& c : text)
        if (const Token token = vocabulary_.find(std::string_view(&c, 1)); token != kNoToken)
          tokens.push_back(token);
    }
    return at->second;
  };
  std::string text;
  for (unsigned byte = 0; byte < 256; ++byte) {
    text.clear();
    append_code(text, ByteAlphabet::get().of_byte[byte]);
    byte_symbols_[byte] = symbol_of(text);
  }
  merges_ = FlatMap<Merge>(merges.size());
  for (std::size_t rank = 0; rank < merges.size(); ++rank) {
    const std::string_view line = merges[rank];
    const std::size_t space = line.find(' ', 1);
    if (space == std::string_view::npos || space + 1 == line.size()) continue;  // merges nothing
    const std::string_view left = line.substr(0, space), right = line.substr(space + 1);
    text.assign(left).append(right);
    merges_.insert(std::uint64_t{symbol_of(left)} << 32 | symbol_of(right),
                   {std::uint32_t(rank), symbol_of(text)});
  }
  return {};
}

void ByteBpe::encode(std::string_view text, bool /*after_special*/, EncodeScratch& scratch,
                     TokenSink& out) const {
  if (!is_valid_utf8(text)) {  // a byte that is no character becomes U+FFFD, overlong forms their characters
    scratch.text.clear();
    for (std::size_t at = 0; at < text.size();) {
      const LenientChar c = decode_lenient(text, at);
      const bool beyond = c.code > 0x10FFFF;
      append_code(scratch.text, beyond ? 0xFFFD : c.code);
      at += beyond ? 1 : c.bytes;
    }
    text = scratch.text;
  }
  const char* const end = text.data() + text.size();
  scanner_.split(pre_.pattern, text, [&](const char* from, const char* to) {
    const std::string_view word(from, std::size_t(to - from));
    if (word.size() > WordCache::kLongestWord) return encode_word(word, scratch, out);
    bool hit = false;
    WordCache::Slot& slot = scratch.cache.find(word, end - from >= 32, hit);
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
  });
}

void ByteBpe::encode_word(std::string_view word, EncodeScratch& scratch, TokenSink& out) const {
  if (pre_.ignore_merges) {
    scratch.encoded.clear();
    for (const char c : word)
      append_code(scratch.encoded, ByteAlphabet::get().of_byte[static_cast<std::uint8_t>(c)]);
    if (const Token token = vocabulary_.find(scratch.encoded); token != kNoToken) return out.push(token);
  }
  if (word.size() <= kShortWord)
    merge_short(word, out);
  else
    merge_long(word, scratch, out);
}

void ByteBpe::merge_short(std::string_view word, TokenSink& out) const {
  std::array<std::uint32_t, kShortWord> symbols;
  std::array<Merge, kShortWord> pairs;  // pairs[i] joins symbols i and i + 1
  std::size_t count = word.size();
  for (std::size_t i = 0; i < count; ++i) symbols[i] = byte_symbols_[static_cast<std::uint8_t>(word[i])];
  for (std::size_t i = 0; i + 1 < count; ++i) pairs[i] = merge_of(symbols[i], symbols[i + 1]);
  while (count > 1) {
    std::size_t best = 0;
    for (std::size_t i = 1; i + 1 < count; ++i)
      if (pairs[i].rank < pairs[best].rank) best = i;
    if (pairs[best].rank == kNoRank) break;
    symbols[best] = pairs[best].symbol;
    std::copy(symbols.begin() + best + 2, symbols.begin() + count, symbols.begin() + best + 1);
    std::copy(pairs.begin() + best + 1, pairs.begin() + (count - 1), pairs.begin() + best);
    --count;
    if (best > 0) pairs[best - 1] = merge_of(symbols[best - 1], symbols[best]);
    if (best + 1 < count) pairs[best] = merge_of(symbols[best], symbols[best + 1]);
  }
  for (std::size_t i = 0; i < count; ++i) push_symbol(symbols[i], out);
}

void ByteBpe::merge_long(std::string_view word, EncodeScratch& scratch, TokenSink& out) const {
  auto& parts = scratch.parts;
  auto& heap = scratch.heap;
  parts.clear();
  heap.clear();
  const auto count = std::int32_t(word.size());
  for (std::int32_t i = 0; i < count; ++i)
    parts.push_back({byte_symbols_[static_cast<std::uint8_t>(word[std::size_t(i)])], 1, i - 1,
                     i + 1 < count ? i + 1 : -1});
  const auto push = [&](std::int32_t left, std::int32_t right) {
    if (left < 0 || right < 0) return;
    const MergePart &a = parts[std::size_t(left)], &b = parts[std::size_t(right)];
    const Merge merge = merge_of(a.id, b.id);
    if (merge.rank == kNoRank) return;
    heap.push_back({0, merge.rank, left, right, a.id, b.id, merge.symbol});
    std::push_heap(heap.begin(), heap.end());
  };
  for (std::int32_t i = 1; i < count; ++i) push(i - 1, i);
  while (!heap.empty()) {
    std::pop_heap(heap.begin(), heap.end());
    const MergeCandidate pair = heap.back();
    heap.pop_back();
    MergePart &left = parts[std::size_t(pair.left)], &right = parts[std::size_t(pair.right)];
    if (left.next != pair.right || left.id != pair.left_state || right.id != pair.right_state ||
        left.bytes == 0)
      continue;
    left.id = pair.merged;
    right.bytes = 0;
    left.next = right.next;
    if (right.next >= 0) parts[std::size_t(right.next)].previous = pair.left;
    push(left.previous, pair.left);
    push(pair.left, left.next);
  }
  for (std::int32_t i = 0; i >= 0; i = parts[std::size_t(i)].next) push_symbol(parts[std::size_t(i)].id, out);
}

void ByteBpe::append_text(std::string_view token_text, std::string& out) const {
  const ByteAlphabet& alphabet = ByteAlphabet::get();
  for (std::size_t at = 0; at < token_text.size();) {
    const LenientChar c = decode_lenient(token_text, at);
    at += c.bytes;
    if (c.code < alphabet.to_byte.size() && alphabet.to_byte[c.code] >= 0) {
      out.push_back(char(alphabet.to_byte[c.code]));
      continue;
    }
    // A character outside the alphabet: shown as the peer shows it.
    std::string bytes;
    append_code(bytes, c.code > 0x10FFFF ? 0xFFFD : c.code);
    out += "[UNK_BYTE_0x";
    for (const char byte : bytes) {
      constexpr std::string_view kHex = "0123456789abcdef";
      out.push_back(kHex[static_cast<std::uint8_t>(byte) >> 4]);
      out.push_back(kHex[static_cast<std::uint8_t>(byte) & 15]);
    }
    out.append(token_text);
    out.push_back(']');
  }
}

}  // namespace

Result<std::unique_ptr<TextModel>> make_byte_bpe(const Vocabulary& vocabulary, const gguf::Metadata& metadata,
                                                 const PreTokenizer& pre) {
  const gguf::Strings* merges = metadata.strings("tokenizer.ggml.merges");
  if (merges == nullptr) return fail("tokenizer.ggml.merges: the file has no merges (expected strings)");
  auto model = std::make_unique<ByteBpe>(vocabulary, pre);
  AGON_TRY(model->read_merges(*merges));
  return model;
}

}  // namespace agon::llm
