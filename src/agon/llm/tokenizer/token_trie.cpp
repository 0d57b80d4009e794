#include "agon/llm/tokenizer/token_trie.h"

#include <algorithm>
#include <numeric>

namespace agon::llm {

TokenTrie::TokenTrie(const Tokenizer& tokenizer) {
  const auto size = static_cast<std::size_t>(tokenizer.vocabulary());
  ends_ = tokenizer.special().end_of_generation;
  alike_.assign(size, kNoToken);
  begins_.reserve(size + 1);
  std::vector<Token> order;
  for (std::size_t i = 0; i < size; ++i) {
    const auto token = static_cast<Token>(i);
    begins_.push_back(static_cast<std::uint32_t>(texts_.size()));
    if (std::ranges::binary_search(ends_, token)) continue;
    texts_ += tokenizer.piece(token);
    if (texts_.size() > begins_.back()) order.push_back(token);
  }
  begins_.push_back(static_cast<std::uint32_t>(texts_.size()));
  std::ranges::sort(order, [&](Token a, Token b) {
    const std::string_view left = bytes(a), right = bytes(b);
    return left != right ? left < right : a < b;
  });

  nodes_.push_back({.end = 0, .depth = 0, .token = kNoToken, .byte = 0, .alike = false});
  std::vector<std::uint32_t> path = {0};  // nodes of the prefixes of the token before
  std::string_view before;
  Token last = kNoToken;
  const auto close_to = [&](std::size_t depth) {
    while (path.size() > depth + 1) {
      nodes_[path.back()].end = static_cast<std::uint32_t>(nodes_.size());
      path.pop_back();
    }
  };
  for (const Token token : order) {
    const std::string_view text = bytes(token);
    if (text == before) {
      alike_[static_cast<std::size_t>(last)] = token;
      nodes_[path.back()].alike = true;
      last = token;
      continue;
    }
    const auto common = static_cast<std::size_t>(std::ranges::mismatch(text, before).in1 - text.begin());
    close_to(common);
    for (std::size_t i = common; i < text.size(); ++i) {
      path.push_back(static_cast<std::uint32_t>(nodes_.size()));
      nodes_.push_back({.end = 0,
                        .depth = static_cast<std::uint32_t>(i + 1),
                        .token = kNoToken,
                        .byte = static_cast<std::uint8_t>(text[i]),
                        .alike = false});
    }
    nodes_[path.back()].token = token;
    if (text.size() == 1) single_[static_cast<std::uint8_t>(text[0])] = true;
    depth_ = std::max(depth_, static_cast<std::uint32_t>(text.size()));
    before = text;
    last = token;
  }
  close_to(0);
  nodes_[0].end = static_cast<std::uint32_t>(nodes_.size());
}

std::string_view TokenTrie::bytes(Token token) const {
  const auto i = static_cast<std::size_t>(token);
  if (token < 0 || i + 1 >= begins_.size()) return {};
  return std::string_view(texts_).substr(begins_[i], begins_[i + 1] - begins_[i]);
}

}  // namespace agon::llm
