#include "agon/llm/engine/lookahead.h"

#include <algorithm>

namespace agon::llm {
namespace {

// Looked through for each guess: 20 microseconds' worth at most.
constexpr std::size_t kLookedThrough = 32768;

}  // namespace

std::span<const Token> Lookahead::guess(std::span<const Token> text, Token next, std::size_t most) {
  guess_.clear();
  most = std::min(most, most_);
  if (most == 0) return guess_;
  text = text.last(std::min(text.size(), kLookedThrough));
  const std::size_t size = text.size();
  // Place i has `next`, as the place behind the text; before it stand the text's last tokens.
  for (std::size_t end = size; end >= agreeing_; --end) {
    const std::size_t i = end - 1;
    if (text[i] != next) continue;
    std::size_t same = 1;
    while (same < agreeing_ && text[i - same] == text[size - same]) ++same;
    if (same < agreeing_) continue;
    const std::size_t period = size - i;
    for (std::size_t j = 0; j < most; ++j) {
      const std::size_t from = i + 1 + j;
      guess_.push_back(from < size ? text[from] : from == size ? next : guess_[j - period]);
    }
    break;
  }
  return guess_;
}

void Lookahead::learn(std::size_t right) {
  if (guess_.empty()) return;
  if (right == guess_.size()) {
    most_ = std::min(kMost, std::max(most_, 2 * guess_.size()));
  } else {
    most_ = std::max<std::size_t>(1, right);
  }
  agreeing_ = right > 0 ? kShortest : std::min(kLongest, agreeing_ + 1);
}

}  // namespace agon::llm
