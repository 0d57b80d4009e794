// Token sequences as a tree, so that what they share at the start is read by the model once.
//
//   the cat sat     ->  "the" - "cat" - "sat"
//   the cat ran                       - "ran"
//   the dog sat               - "dog sat"
//
// Every node holds a run of tokens; a sequence is a path from the root. What is wanted after a token ("how
// likely is `ran` after `the cat`?") is kept at the node that ends with, or holds, that token.
#pragma once

#include <cstdint>
#include <memory>
#include <span>
#include <vector>

namespace agon::llm {

/// One node: tokens, and the next tokens whose log-probability is wanted after some of them.
struct PrefixNode {
  struct Want {
    int offset;  ///< After tokens[offset] of this node.
    std::int32_t token;
    double logprob = 0;  ///< Filled in by whoever runs the model.
    std::int32_t best = -1;
  };
  std::vector<std::int32_t> tokens;
  int depth = 0;  ///< Tokens of the path before this node.
  std::vector<std::unique_ptr<PrefixNode>> children;
  std::vector<Want> wants;  ///< After finish(): ascending by offset and token, each once.
};

/// Built from sequences, then filled by a model, then asked for what was wanted.
class PrefixTree {
 public:
  /// Adds a sequence whose tokens from index `first` on are to be scored; first >= 1. The last token is only
  /// scored, never read.
  void add(std::span<const std::int32_t> tokens, int first);
  /// Sorts what is wanted. Call once, after the last add().
  void finish();
  [[nodiscard]] PrefixNode& root() { return root_; }
  /// Tokens in all nodes: what the model has to read.
  [[nodiscard]] std::size_t token_count() const;

  /// The wants of a sequence that was added, in order of its tokens from `first` on.
  [[nodiscard]] std::vector<const PrefixNode::Want*> find(std::span<const std::int32_t> tokens,
                                                          int first) const;

 private:
  PrefixNode root_;  // no tokens of its own
};

}  // namespace agon::llm
