// Text to tokens and back, by the vocabulary that a GGUF file carries.
#pragma once

#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "agon/base/error.h"
#include "agon/llm/gguf/file.h"

namespace agon::llm {

using Token = std::int32_t;
constexpr Token kNoToken = -1;

/// Tokens with a meaning of their own; kNoToken when the vocabulary has none.
struct SpecialTokens {
  Token bos = kNoToken, eos = kNoToken, eot = kNoToken, unknown = kNoToken, padding = kNoToken;
  Token separator = kNoToken, classification = kNoToken, mask = kNoToken;
  std::vector<Token> end_of_generation;  ///< All that end a generated answer, ascending.
  bool add_bos = false, add_eos = false, add_separator = false;  ///< What encode adds for `add_special`.
};

struct EncodeOptions {
  bool add_special = true;     ///< Add the BOS/EOS that the file asks for.
  bool add_end = true;         ///< The EOS or separator of these too; false for a text that goes on.
  bool parse_special = false;  ///< Read "<|im_end|>" in the text as the control token, not as its letters.
};

class TokenTrie;

/// A tokenizer is immutable and may be used from many threads.
class Tokenizer {
 public:
  /// Reads the vocabulary from the metadata (tokenizer.ggml.*): models "llama" (SentencePiece BPE),
  /// "gpt2" (byte-level BPE with the named pre-tokenizer), "t5" (SentencePiece unigram), "bert" (WordPiece).
  /// Unknown models and pre-tokenizers are refused by name.
  static Result<std::unique_ptr<Tokenizer>> read(const gguf::Metadata& metadata);
  ~Tokenizer();
  Tokenizer(const Tokenizer&) = delete;
  Tokenizer& operator=(const Tokenizer&) = delete;

  /// Tokens of a text. Any bytes are taken, invalid UTF-8 too; equal to llama.cpp's tokens for the same file.
  [[nodiscard]] std::vector<Token> encode(std::string_view text, const EncodeOptions& options = {}) const;
  /// The text of tokens. Control tokens are left out unless `special`. Bytes of a cut character come out as
  /// they are. The space that encode puts before a text (SentencePiece) is taken away again, so that
  /// decode(encode(text)) is the text wherever the vocabulary allows it. Ids outside the vocabulary give
  /// nothing.
  [[nodiscard]] std::string decode(std::span<const Token> tokens, bool special = false) const;
  /// The bytes that one token adds when it does not start the text; control tokens give nothing unless
  /// `special`.
  [[nodiscard]] std::string piece(Token token, bool special = false) const;

  [[nodiscard]] int vocabulary() const;
  [[nodiscard]] const SpecialTokens& special() const;
  /// The model's and pre-tokenizer's name, e.g. "gpt2/smollm", for `agon info`.
  [[nodiscard]] const std::string& name() const;
  /// The token whose stored text is exactly `text` ("<|im_start|>"), or kNoToken.
  [[nodiscard]] Token find(std::string_view text) const;
  /// All tokens by their bytes; made when it is first asked for, and outlives the tokenizer.
  [[nodiscard]] std::shared_ptr<const TokenTrie> trie() const;

 private:
  struct State;
  explicit Tokenizer(std::unique_ptr<State> state);
  std::unique_ptr<State> state_;
};

}  // namespace agon::llm
