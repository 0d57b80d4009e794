// A set of byte strings that is walked byte by byte.
#pragma once

#include <array>
#include <cstdint>
#include <string_view>
#include <vector>

#include "agon/llm/tokenizer/flat_map.h"

namespace agon::llm {

class Trie {
 public:
  using Node = std::uint32_t;
  static constexpr Node kRoot = 0, kNone = ~Node{0};
  static constexpr std::int32_t kNoValue = -1;

  /// A text that is already in keeps its place and takes the new value.
  void insert(std::string_view text, std::int32_t value) {
    Node node = kRoot;
    for (const char c : text) {
      const auto byte = static_cast<std::uint8_t>(c);
      Node next = child(node, c);
      if (next == kNone) {
        next = Node(values_.size());
        values_.push_back(kNoValue);
        if (node == kRoot)
          first_[byte] = next;
        else
          children_.insert(std::uint64_t{node} << 8 | byte, next);
      }
      node = next;
    }
    values_[node] = value;
  }
  [[nodiscard]] Node child(Node node, char c) const {
    const auto byte = static_cast<std::uint8_t>(c);
    if (node == kRoot) return first_[byte];
    const Node* next = children_.find(std::uint64_t{node} << 8 | byte);
    return next != nullptr ? *next : kNone;
  }
  [[nodiscard]] std::int32_t value(Node node) const { return values_[node]; }
  [[nodiscard]] bool empty() const { return values_.size() == 1; }

 private:
  static constexpr std::array<Node, 256> nothing() {
    std::array<Node, 256> none{};
    none.fill(kNone);
    return none;
  }
  std::array<Node, 256> first_ = nothing();
  FlatMap<Node> children_;
  std::vector<std::int32_t> values_ = {kNoValue};
};

}  // namespace agon::llm
