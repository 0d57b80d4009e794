// Small vocabularies for the tests of constraints.
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "agon/base/check.h"
#include "agon/llm/tokenizer/tokenizer.h"

namespace agon::llm {

/// A SentencePiece vocabulary: <unk>, <s>, </s> (which ends a generation), a token for each byte, and these.
inline std::unique_ptr<Tokenizer> make_tokenizer(const std::vector<std::string>& pieces,
                                                 std::string_view left_out_bytes = {}) {
  gguf::Strings tokens = {"<unk>", "<s>", "</s>"};
  gguf::Integers types = {2, 3, 3};
  constexpr std::string_view kHex = "0123456789ABCDEF";
  for (std::size_t b = 0; b < 256; ++b) {
    if (left_out_bytes.find(static_cast<char>(b)) != std::string_view::npos) continue;
    tokens.push_back(std::string("<0x") + kHex[b / 16] + kHex[b % 16] + ">");
    types.push_back(6);
  }
  for (const std::string& piece : pieces) {
    tokens.push_back(piece);
    types.push_back(1);
  }
  gguf::Metadata metadata;
  metadata.set("tokenizer.ggml.model", std::string("llama"));
  metadata.set("tokenizer.ggml.tokens", tokens);
  metadata.set("tokenizer.ggml.token_type", types);
  metadata.set("tokenizer.ggml.scores", gguf::Reals(tokens.size(), 0.0));
  auto tokenizer = Tokenizer::read(metadata);
  AGON_CHECK(tokenizer.has_value());
  return std::move(*tokenizer);
}

/// The text of tokens as constraints see it.
inline std::string text_of(const Tokenizer& tokenizer, const std::vector<Token>& tokens) {
  std::string out;
  for (const Token token : tokens) out += tokenizer.piece(token);
  return out;
}

}  // namespace agon::llm
