// Guesses of how a text goes on, from what it said before: where its last tokens stood already, what followed
// them may follow again. A model checks several guessed tokens in little more time than it needs for one, as
// most of that goes into bringing its weights from memory.
#pragma once

#include <cstddef>
#include <span>
#include <vector>

#include "agon/llm/tokenizer/tokenizer.h"

namespace agon::llm {

/// Prompt lookup decoding (Saxena 2023, github.com/apoorvumang/prompt-lookup-decoding), with a length that
/// follows from how the last guesses turned out.
class Lookahead {
 public:
  static constexpr std::size_t kMost = 7;  ///< Tokens of a guess.

  /// At most `most` tokens that may follow `text` and `next`: those that followed the latest place where so
  /// many tokens as are asked for (three, more after wrong guesses) stood before; where that place reaches to
  /// the end of the text, its period goes on. Empty when there is none.
  [[nodiscard]] std::span<const Token> guess(std::span<const Token> text, Token next, std::size_t most);
  /// How many tokens of the last guess, from its start, were right; may be called once for each.
  void learn(std::size_t right);

 private:
  static constexpr std::size_t kShortest = 3, kLongest = 12;  // tokens that have to agree
  std::vector<Token> guess_;
  std::size_t most_ = 2;
  std::size_t agreeing_ = kShortest;
};

}  // namespace agon::llm
