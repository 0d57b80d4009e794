// All tokens of a vocabulary by their bytes, laid out so that one forward scan visits a tree of prefixes.
#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "agon/llm/tokenizer/tokenizer.h"

namespace agon::llm {

/// Immutable. Holds tokens that add text: control, unknown and unused tokens and those that end a generation
/// are left out, and so are tokens without bytes.
class TokenTrie {
 public:
  /// A node for each prefix, in the order of a depth-first walk: children follow their parent.
  struct Node {
    std::uint32_t end;    ///< Behind the last node below this one: where the walk goes on without them.
    std::uint32_t depth;  ///< Bytes of the prefix; 0 for the root, which is node 0.
    Token token;          ///< The lowest token that is this prefix, or kNoToken.
    std::uint8_t byte;    ///< Its last byte.
    bool alike;           ///< True when there are other tokens of the same bytes.
  };

  explicit TokenTrie(const Tokenizer& tokenizer);

  [[nodiscard]] std::span<const Node> nodes() const { return nodes_; }
  /// Another token of the same bytes (a byte token and the letter, say), or kNoToken.
  [[nodiscard]] Token next_alike(Token token) const { return alike_[static_cast<std::size_t>(token)]; }
  /// The bytes that a token adds; none for those that are left out and for ids outside the vocabulary.
  [[nodiscard]] std::string_view bytes(Token token) const;
  /// True when there is a token of just this byte.
  [[nodiscard]] bool has_byte(std::uint8_t byte) const { return single_[byte]; }
  /// Length of the longest token.
  [[nodiscard]] std::uint32_t depth() const { return depth_; }
  [[nodiscard]] int vocabulary() const { return static_cast<int>(alike_.size()); }
  /// Tokens that end a generation, ascending.
  [[nodiscard]] std::span<const Token> end_of_generation() const { return ends_; }

 private:
  std::vector<Node> nodes_;
  std::vector<Token> alike_, ends_;
  std::string texts_;
  std::vector<std::uint32_t> begins_;
  bool single_[256] = {};
  std::uint32_t depth_ = 0;
};

}  // namespace agon::llm
