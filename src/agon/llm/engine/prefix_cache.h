// What was read before, kept page by page in case a later request begins with the same tokens.
//
// A tree: every node is one page of the KV cache, with the tokens whose keys and values lie in it; a path
// from the root is a prefix. Nodes are full pages but for leaves, which may hold fewer tokens.
//
//   [once upon a time ..16] - [there was a ..16] - [girl named Lil.. 9]
//                                                - [dog ..16] - [..]
//
// A request takes over the pages of the longest path that it begins with, and of one more node the part that
// it shares (the KV cache copies a page before it is written on by one of several users). Where
// log-probabilities of a prefix's own tokens were computed once, they are kept beside them.
//
// Pages that only the tree holds are given back leaf by leaf, the least recently used first.
#pragma once

#include <cstdint>
#include <memory>
#include <set>
#include <span>
#include <utility>
#include <vector>

#include "agon/llm/model/kv_cache.h"

namespace agon::llm {

/// How likely a token was at its place, and which one was the most probable there.
struct TokenScore {
  double logprob = 0, best_logprob = 0;
  std::int32_t best = -1;  ///< -1: not known.
  [[nodiscard]] bool known() const { return best >= 0; }
};

/// Not thread-safe.
class PrefixCache {
 public:
  /// Holds pages of `cache`, which must outlive it.
  explicit PrefixCache(KvCache& cache) : cache_(cache) {}
  ~PrefixCache();
  PrefixCache(const PrefixCache&) = delete;
  PrefixCache& operator=(const PrefixCache&) = delete;

  struct Match {
    int length = 0;                   ///< Tokens that were found.
    std::vector<std::int32_t> pages;  ///< Where they lie; the last one may hold others behind them.
    std::vector<TokenScore> scores;   ///< Of each of them, as far as known.
  };
  /// The longest kept prefix of `tokens`. The match holds until the next insert or make_room.
  [[nodiscard]] Match find(std::span<const std::int32_t> tokens) const;
  /// A sequence that begins with the first `length` tokens of the match of `tokens`, which is used just now.
  [[nodiscard]] int open(std::span<const std::int32_t> tokens, const Match& match, int length);

  /// Keeps the pages of `tokens`, the first of a sequence; a page that is not full only if `partial`. Where a
  /// prefix is kept already, its pages stay, and only scores are added. `scores` is empty or as long as
  /// `tokens`.
  void insert(std::span<const std::int32_t> tokens, std::span<const std::int32_t> pages,
              std::span<const TokenScore> scores, bool partial);
  /// Gives pages back until `pages` are free in the cache; false when nothing is left to give back.
  bool make_room(int pages);

  /// Nodes, which is pages held.
  [[nodiscard]] int pages() const { return nodes_; }

 private:
  struct Node {
    std::vector<std::int32_t> tokens;  // 1 to kPageTokens
    std::vector<TokenScore> scores;    // empty, or as tokens
    std::int32_t page = -1;
    Node* parent = nullptr;
    std::uint64_t used = 0, id = 0;
    std::vector<std::unique_ptr<Node>> children;  // ascending by tokens
  };
  using Key = std::pair<std::uint64_t, std::uint64_t>;  // used, id
  struct Leaf {
    Key key;
    Node* node;
    bool operator<(const Leaf& other) const { return key < other.key; }
  };
  // Which child shares most with the tokens, and how many.
  [[nodiscard]] static std::pair<Node*, int> closest(const Node& node, std::span<const std::int32_t> tokens);
  void touch(Node& node);
  void drop(Node& leaf);
  void note_scores(Node& node, std::span<const TokenScore> scores);

  KvCache& cache_;
  Node root_;
  std::set<Leaf> leaves_;
  std::uint64_t clock_ = 0, next_id_ = 0;
  int nodes_ = 0;
};

}  // namespace agon::llm
