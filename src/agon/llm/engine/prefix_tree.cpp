#include "agon/llm/engine/prefix_tree.h"

#include <algorithm>
#include <tuple>

#include "agon/base/check.h"

namespace agon::llm {
namespace {

PrefixNode* child_with(const PrefixNode& node, std::int32_t token) {
  for (const auto& child : node.children) {
    if (child->tokens.front() == token) return child.get();
  }
  return nullptr;
}

// Cuts a node in two after `length` of its tokens: it keeps those, a new only child gets the rest.
void split(PrefixNode& node, int length) {
  auto rest = std::make_unique<PrefixNode>();
  rest->tokens.assign(node.tokens.begin() + length, node.tokens.end());
  rest->depth = node.depth + length;
  rest->children = std::move(node.children);
  node.children.clear();
  node.tokens.resize(static_cast<std::size_t>(length));
  for (const PrefixNode::Want& want : node.wants) {
    if (want.offset >= length) rest->wants.push_back({want.offset - length, want.token});
  }
  std::erase_if(node.wants, [length](const PrefixNode::Want& want) { return want.offset >= length; });
  node.children.push_back(std::move(rest));
}

bool before(const PrefixNode::Want& a, const PrefixNode::Want& b) {
  return std::tie(a.offset, a.token) < std::tie(b.offset, b.token);
}

}  // namespace

void PrefixTree::add(std::span<const std::int32_t> tokens, int first) {
  const int count = static_cast<int>(tokens.size());
  AGON_CHECK(first >= 1 && first < count);
  PrefixNode* node = &root_;
  int at = 0;  // tokens of the sequence that are in the tree
  while (at < count - 1) {
    PrefixNode* child = child_with(*node, tokens[static_cast<std::size_t>(at)]);
    if (child == nullptr) {
      auto fresh = std::make_unique<PrefixNode>();
      fresh->depth = at;
      fresh->tokens.assign(tokens.begin() + at, tokens.end() - 1);
      child = fresh.get();
      node->children.push_back(std::move(fresh));
    }
    const int length = std::min(static_cast<int>(child->tokens.size()), count - 1 - at);
    const auto here = tokens.subspan(static_cast<std::size_t>(at), static_cast<std::size_t>(length));
    const int shared = static_cast<int>(std::ranges::mismatch(here, child->tokens).in1 - here.begin());
    if (shared < static_cast<int>(child->tokens.size())) split(*child, shared);
    for (int i = 0; i < shared; ++i) {
      if (at + i + 1 >= first) child->wants.push_back({i, tokens[static_cast<std::size_t>(at + i + 1)]});
    }
    at += shared;
    node = child;
  }
}

void PrefixTree::finish() {
  std::vector<PrefixNode*> open = {&root_};
  while (!open.empty()) {
    PrefixNode* node = open.back();
    open.pop_back();
    std::ranges::sort(node->wants, before);
    const auto same = [](const auto& a, const auto& b) { return a.offset == b.offset && a.token == b.token; };
    node->wants.erase(std::ranges::unique(node->wants, same).begin(), node->wants.end());
    for (const auto& child : node->children) open.push_back(child.get());
  }
}

std::size_t PrefixTree::token_count() const {
  std::size_t total = 0;
  std::vector<const PrefixNode*> open = {&root_};
  while (!open.empty()) {
    const PrefixNode* node = open.back();
    open.pop_back();
    total += node->tokens.size();
    for (const auto& child : node->children) open.push_back(child.get());
  }
  return total;
}

std::vector<const PrefixNode::Want*> PrefixTree::find(std::span<const std::int32_t> tokens, int first) const {
  std::vector<const PrefixNode::Want*> result;
  const PrefixNode* node = &root_;
  for (int at = 0; at + 1 < static_cast<int>(tokens.size());) {
    node = child_with(*node, tokens[static_cast<std::size_t>(at)]);
    AGON_CHECK(node != nullptr);
    for (int i = 0; i < static_cast<int>(node->tokens.size()); ++i) {
      if (at + i + 1 < first) continue;
      const PrefixNode::Want wanted{i, tokens[static_cast<std::size_t>(at + i + 1)]};
      const auto it = std::ranges::lower_bound(node->wants, wanted, before);
      AGON_CHECK(it != node->wants.end() && it->offset == i && it->token == wanted.token);
      result.push_back(&*it);
    }
    at += static_cast<int>(node->tokens.size());
  }
  return result;
}

}  // namespace agon::llm
