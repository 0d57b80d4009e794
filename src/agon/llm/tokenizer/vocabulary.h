// The tokens of a GGUF file: texts, scores, attributes, and which of them have a meaning of their own.
#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "agon/base/error.h"
#include "agon/llm/gguf/file.h"
#include "agon/llm/tokenizer/tokenizer.h"

namespace agon::llm {

/// The four ways of tokenizing, named in GGUF "llama", "gpt2", "t5" and "bert".
enum class TokenizerModel : std::uint8_t { kSentencePiece, kByteLevel, kUnigram, kWordPiece };

/// Bits of a token.
enum TokenAttribute : std::uint8_t {
  kUnknownToken = 1,
  kUnusedToken = 2,
  kNormalToken = 4,
  kControlToken = 8,
  kUserDefinedToken = 16,
  kByteToken = 32,
  kStripLeft = 64,    ///< Takes the white space before it along.
  kStripRight = 128,  ///< Takes the white space behind it along.
};

class Vocabulary {
 public:
  /// Reads and checks tokenizer.ggml.tokens, scores, token_type and the special tokens. At least one token,
  /// at most 2^24, each at most 64 KiB, no two alike; as many scores and types as tokens, or more. An empty
  /// token becomes "[EMPTY_<id>]". Ids of special tokens past the end count as absent.
  static Result<Vocabulary> read(const gguf::Metadata& metadata, TokenizerModel model);

  [[nodiscard]] int size() const { return static_cast<int>(attributes_.size()); }
  [[nodiscard]] std::string_view text(Token token) const {
    const auto i = static_cast<std::size_t>(token);
    return std::string_view(texts_).substr(begins_[i], begins_[i + 1] - begins_[i]);
  }
  [[nodiscard]] float score(Token token) const {
    return scores_.empty() ? 0.0f : scores_[static_cast<std::size_t>(token)];
  }
  [[nodiscard]] std::uint8_t attributes(Token token) const {
    return attributes_[static_cast<std::size_t>(token)];
  }
  /// The attributes as the file has them, before tokens are recognised by their texts.
  [[nodiscard]] std::uint8_t stored_attributes(Token token) const {
    return stored_attributes_[static_cast<std::size_t>(token)];
  }
  [[nodiscard]] bool has(Token token) const { return token >= 0 && token < size(); }
  /// The token with exactly this text, or kNoToken.
  [[nodiscard]] Token find(std::string_view text) const;
  [[nodiscard]] const SpecialTokens& special() const { return special_; }
  [[nodiscard]] SpecialTokens& special() { return special_; }

 private:
  Status read_texts(const gguf::Strings& tokens);
  Status read_scores(const gguf::Metadata& metadata);
  Status read_types(const gguf::Metadata& metadata);
  Status read_special(const gguf::Metadata& metadata, TokenizerModel model);
  void recognise_by_text();
  void set_strip_attributes(const gguf::Metadata& metadata);
  Token first_of(std::span<const std::string_view> texts);

  struct Slot {
    std::uint32_t tag = 0;  ///< Upper half of the hash.
    Token token = kNoToken;
  };
  std::string texts_;  // all texts, one behind the other
  std::vector<std::uint32_t> begins_;
  std::vector<float> scores_;
  std::vector<std::uint8_t> attributes_, stored_attributes_;
  std::vector<Slot> slots_;  // open addressing, a power of two
  SpecialTokens special_;
};

}  // namespace agon::llm
