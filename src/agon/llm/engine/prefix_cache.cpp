#include "agon/llm/engine/prefix_cache.h"

#include <algorithm>

#include "agon/base/check.h"

namespace agon::llm {
namespace {

std::span<const std::int32_t> block_at(std::span<const std::int32_t> tokens, std::size_t at) {
  return tokens.subspan(at, std::min<std::size_t>(kPageTokens, tokens.size() - at));
}

}  // namespace

PrefixCache::~PrefixCache() {
  while (!leaves_.empty()) drop(*leaves_.begin()->node);
}

std::pair<PrefixCache::Node*, int> PrefixCache::closest(const Node& node,
                                                        std::span<const std::int32_t> tokens) {
  // Whatever shares most with the tokens is next to where they would stand.
  const auto after = std::ranges::lower_bound(
      node.children, tokens,
      [](const auto& a, const auto& b) { return std::ranges::lexicographical_compare(a, b); },
      [](const std::unique_ptr<Node>& child) { return std::span<const std::int32_t>(child->tokens); });
  std::pair<Node*, int> best = {nullptr, 0};
  const auto consider = [&](Node& child) {
    const auto same = std::ranges::mismatch(child.tokens, tokens).in1 - child.tokens.begin();
    if (same > best.second) best = {&child, static_cast<int>(same)};
  };
  if (after != node.children.end()) consider(**after);
  if (after != node.children.begin()) consider(**std::prev(after));
  return best;
}

PrefixCache::Match PrefixCache::find(std::span<const std::int32_t> tokens) const {
  Match match;
  const Node* node = &root_;
  for (std::size_t at = 0; at < tokens.size(); at += kPageTokens) {
    const auto [child, same] = closest(*node, block_at(tokens, at));
    if (child == nullptr) break;
    match.length += same;
    match.pages.push_back(child->page);
    for (int i = 0; i < same; ++i)
      match.scores.push_back(child->scores.empty() ? TokenScore{}
                                                   : child->scores[static_cast<std::size_t>(i)]);
    if (same < kPageTokens) break;
    node = child;
  }
  return match;
}

int PrefixCache::open(std::span<const std::int32_t> tokens, const Match& match, int length) {
  AGON_CHECK(length <= match.length);
  ++clock_;
  Node* node = &root_;
  for (int at = 0; at < length; at += kPageTokens) {
    node = closest(*node, block_at(tokens, static_cast<std::size_t>(at))).first;
    AGON_CHECK(node != nullptr && node->page == match.pages[static_cast<std::size_t>(at / kPageTokens)]);
    touch(*node);
  }
  const auto pages = static_cast<std::size_t>((length + kPageTokens - 1) / kPageTokens);
  return cache_.adopt(std::span(match.pages).first(pages), length);
}

void PrefixCache::insert(std::span<const std::int32_t> tokens, std::span<const std::int32_t> pages,
                         std::span<const TokenScore> scores, bool partial) {
  AGON_CHECK(scores.empty() || scores.size() == tokens.size());
  ++clock_;
  Node* node = &root_;
  for (std::size_t at = 0; at < tokens.size(); at += kPageTokens) {
    const auto block = block_at(tokens, at);
    const auto its_scores = scores.empty() ? scores : scores.subspan(at, block.size());
    if (block.size() < kPageTokens && !partial) return;
    const auto [child, same] = closest(*node, block);
    const auto size = static_cast<int>(block.size());
    if (child != nullptr && same == size) {  // kept already, perhaps with more behind it
      touch(*child);
      note_scores(*child, its_scores);
      node = child;
      continue;
    }
    if (child != nullptr && same == static_cast<int>(child->tokens.size())) {
      // A leaf that is the beginning of this page: the longer one takes its place, and stands where it stood.
      const std::vector<TokenScore> known = std::move(child->scores);
      cache_.retain(pages[at / kPageTokens]);
      cache_.release(child->page);
      child->page = pages[at / kPageTokens];
      child->tokens.assign(block.begin(), block.end());
      child->scores.clear();
      note_scores(*child, known);
      note_scores(*child, its_scores);
      touch(*child);
      node = child;
      continue;
    }
    auto made = std::make_unique<Node>();
    made->tokens.assign(block.begin(), block.end());
    made->page = pages[at / kPageTokens];
    made->parent = node;
    made->used = clock_;
    made->id = next_id_++;
    note_scores(*made, its_scores);
    cache_.retain(made->page);
    ++nodes_;
    if (node->children.empty() && node != &root_) leaves_.erase({{node->used, node->id}, node});
    leaves_.insert({{made->used, made->id}, made.get()});
    const auto place =
        std::ranges::lower_bound(node->children, made->tokens, {},
                                 [](const std::unique_ptr<Node>& it) -> auto& { return it->tokens; });
    node = node->children.insert(place, std::move(made))->get();
  }
}

void PrefixCache::touch(Node& node) {
  const bool leaf = node.children.empty();
  if (leaf) leaves_.erase({{node.used, node.id}, &node});
  node.used = clock_;
  if (leaf) leaves_.insert({{node.used, node.id}, &node});
}

void PrefixCache::note_scores(Node& node, std::span<const TokenScore> scores) {
  for (std::size_t i = 0; i < std::min(scores.size(), node.tokens.size()); ++i) {
    if (!scores[i].known()) continue;
    if (node.scores.empty()) node.scores.resize(node.tokens.size());
    node.scores[i] = scores[i];
  }
}

bool PrefixCache::make_room(int pages) {
  while (cache_.free_pages() < pages) {
    if (leaves_.empty()) return false;
    drop(*leaves_.begin()->node);
  }
  return true;
}

void PrefixCache::drop(Node& leaf) {
  Node& parent = *leaf.parent;
  leaves_.erase({{leaf.used, leaf.id}, &leaf});
  cache_.release(leaf.page);
  --nodes_;
  const auto at = std::ranges::lower_bound(
      parent.children, leaf.tokens, {}, [](const std::unique_ptr<Node>& it) -> auto& { return it->tokens; });
  AGON_CHECK(at != parent.children.end() && at->get() == &leaf);
  parent.children.erase(at);
  if (parent.children.empty() && &parent != &root_) leaves_.insert({{parent.used, parent.id}, &parent});
}

}  // namespace agon::llm
