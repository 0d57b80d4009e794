#include "agon/llm/engine/prefix_tree.h"

#include <gtest/gtest.h>

#include <functional>
#include <map>
#include <set>

#include "agon/base/random.h"

namespace agon::llm {
namespace {

using Tokens = std::vector<std::int32_t>;

// Fills every want with a number made of its whole path, as a model would.
void fill(PrefixNode& node, Tokens path) {
  for (PrefixNode::Want& want : node.wants) {
    double code = 0;
    for (const std::int32_t token : path) code = code * 7 + token;
    for (int i = 0; i <= want.offset; ++i) code = code * 7 + node.tokens[static_cast<std::size_t>(i)];
    want.logprob = code * 7 + want.token;
  }
  path.insert(path.end(), node.tokens.begin(), node.tokens.end());
  for (const auto& child : node.children) {
    EXPECT_EQ(child->depth, static_cast<int>(path.size()));
    fill(*child, path);
  }
}

TEST(PrefixTree, ReadsWhatIsSharedOnce) {
  PrefixTree tree;
  tree.add(Tokens{1, 2, 3, 4}, 2);
  tree.add(Tokens{1, 2, 3, 5}, 2);
  tree.add(Tokens{1, 2, 6, 7}, 2);
  tree.finish();
  // 1 2 3 and 1 2 6: the last token of each is never read.
  EXPECT_EQ(tree.token_count(), 4U);
  ASSERT_EQ(tree.root().children.size(), 1U);
  EXPECT_EQ(tree.root().children[0]->tokens, (Tokens{1, 2}));
  EXPECT_EQ(tree.root().children[0]->children.size(), 2U);
}

TEST(PrefixTree, SameSequenceTwiceCostsNothing) {
  PrefixTree tree;
  for (int i = 0; i < 3; ++i) tree.add(Tokens{4, 5, 6}, 1);
  tree.finish();
  EXPECT_EQ(tree.token_count(), 2U);
  EXPECT_EQ(tree.find(Tokens{4, 5, 6}, 1).size(), 2U);
}

TEST(PrefixTree, OneSequenceIsTheStartOfAnother) {
  for (const bool long_first : {true, false}) {
    PrefixTree tree;
    if (long_first) tree.add(Tokens{1, 2, 3, 4, 5}, 4);
    tree.add(Tokens{1, 2, 3}, 1);
    if (!long_first) tree.add(Tokens{1, 2, 3, 4, 5}, 4);
    tree.finish();
    EXPECT_EQ(tree.token_count(), 4U);
    fill(tree.root(), {});
    const auto wants = tree.find(Tokens{1, 2, 3}, 1);
    ASSERT_EQ(wants.size(), 2U);
    EXPECT_EQ(wants[0]->logprob, 1 * 7 + 2);
    EXPECT_EQ(wants[1]->logprob, (1 * 7 + 2) * 7 + 3);
    EXPECT_EQ(tree.find(Tokens{1, 2, 3, 4, 5}, 4).size(), 1U);
  }
}

TEST(PrefixTree, EveryWantBelongsToItsOwnPath) {
  Random random(7);
  for (int round = 0; round < 50; ++round) {
    PrefixTree tree;
    std::vector<std::pair<Tokens, int>> all;
    std::set<Tokens> read;  // prefixes that a model has to read
    const int count = 1 + static_cast<int>(random.below(30));
    for (int i = 0; i < count; ++i) {
      Tokens tokens(2 + random.below(9));
      for (std::int32_t& token : tokens) token = static_cast<std::int32_t>(random.below(3));
      const int first = 1 + static_cast<int>(random.below(tokens.size() - 1));
      tree.add(tokens, first);
      for (std::size_t n = 1; n < tokens.size(); ++n)
        read.emplace(tokens.begin(), tokens.begin() + static_cast<std::ptrdiff_t>(n));
      all.emplace_back(tokens, first);
    }
    tree.finish();
    EXPECT_EQ(tree.token_count(), read.size());
    fill(tree.root(), {});
    for (const auto& [tokens, first] : all) {
      const auto wants = tree.find(tokens, first);
      ASSERT_EQ(wants.size(), tokens.size() - static_cast<std::size_t>(first));
      for (std::size_t i = 0; i < wants.size(); ++i) {
        double code = 0;
        for (std::size_t j = 0; j <= static_cast<std::size_t>(first) + i; ++j) code = code * 7 + tokens[j];
        EXPECT_EQ(wants[i]->logprob, code);
      }
    }
  }
}

}  // namespace
}  // namespace agon::llm
