// One way to turn text without special tokens into tokens.
#pragma once

#include <memory>
#include <string_view>

#include "agon/base/error.h"
#include "agon/llm/gguf/file.h"
#include "agon/llm/tokenizer/encode_scratch.h"
#include "agon/llm/tokenizer/pre_tokenizer.h"
#include "agon/llm/tokenizer/vocabulary.h"

namespace agon::llm {

class TextModel {
 public:
  virtual ~TextModel() = default;
  /// Appends the tokens of any bytes. `after_special`: nothing or a special token comes before the text.
  virtual void encode(std::string_view text, bool after_special, EncodeScratch& scratch,
                      TokenSink& out) const = 0;
  /// Appends the bytes an ordinary token stands for.
  virtual void append_text(std::string_view token_text, std::string& out) const = 0;
};

/// Byte-level BPE (GPT-2): tokenizer.ggml.merges by rank inside the words of the pre-tokenizer. The
/// vocabulary must outlive the model; so for all.
Result<std::unique_ptr<TextModel>> make_byte_bpe(const Vocabulary& vocabulary, const gguf::Metadata& metadata,
                                                 const PreTokenizer& pre);
/// SentencePiece BPE (Llama 2, Gemma): pairs by the score of the token they make, bytes for the rest.
Result<std::unique_ptr<TextModel>> make_sentencepiece(const Vocabulary& vocabulary, bool add_space_prefix);
/// SentencePiece unigram (T5): the likeliest tokens by Viterbi's method.
Result<std::unique_ptr<TextModel>> make_unigram(const Vocabulary& vocabulary, const gguf::Metadata& metadata,
                                                bool add_space_prefix);
/// WordPiece (BERT): longest match from the left inside words.
Result<std::unique_ptr<TextModel>> make_wordpiece(const Vocabulary& vocabulary,
                                                  const gguf::Metadata& metadata);

}  // namespace agon::llm
