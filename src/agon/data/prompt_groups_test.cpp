#include "agon/data/prompt_groups.h"

#include <gtest/gtest.h>
#include <rapidcheck/gtest.h>

#include <algorithm>
#include <map>
#include <string>

#include "agon/base/random.h"

namespace agon {
namespace {

Vote vote(std::initializer_list<std::string> turns) {
  Vote v;
  for (const std::string& text : turns) v.prompt.push_back({text, false});
  return v;
}

std::string words(Random& random, std::size_t count) {
  std::string text;
  for (std::size_t i = 0; i < count; ++i) text += (i ? " w" : "w") + std::to_string(random.below(20000));
  return text;
}

TEST(PromptGroups, EqualButForCaseSpacesAndPunctuation) {
  const std::vector<Vote> votes = {vote({"Hello!"}),  vote({"What is up?"}), vote({"hello"}),
                                   vote({" HELLO "}), vote({"hell"}),        vote({"what is  up"})};
  EXPECT_EQ(prompt_groups(votes), (std::vector<std::uint32_t>{0, 1, 0, 0, 2, 1}));
}

TEST(PromptGroups, TheFirstTurnIsEnough) {
  const std::vector<Vote> votes = {vote({"Write a haiku."}), vote({"Write a haiku.", "Now in French."}),
                                   vote({"Now in French."})};
  EXPECT_EQ(prompt_groups(votes), (std::vector<std::uint32_t>{0, 0, 1}));
}

TEST(PromptGroups, ANullFirstTurnLeavesTheNextOne) {
  std::vector<Vote> votes = {vote({"", "Why is the sky blue?"}), vote({"why is the sky blue"}),
                             vote({"", "Why is grass green?"})};
  votes[0].prompt[0].null = votes[2].prompt[0].null = true;
  EXPECT_EQ(prompt_groups(votes), (std::vector<std::uint32_t>{0, 0, 1}));
}

TEST(PromptGroups, PromptsWithoutLettersCompareAsTheyAre) {
  const std::vector<Vote> votes = {vote({"?"}), vote({"!!!"}), vote({"?"}),
                                   vote({""}),  vote({}),      vote({"\u2665"})};
  EXPECT_EQ(prompt_groups(votes), (std::vector<std::uint32_t>{0, 1, 0, 2, 2, 3}));
}

TEST(PromptGroups, ShortPromptsMatchOnlyWhenEqual) {
  const std::vector<Vote> votes = {vote({"write a poem about love"}), vote({"write a poem about love now"}),
                                   vote({"hi"}), vote({"hi there"})};
  EXPECT_EQ(prompt_groups(votes), (std::vector<std::uint32_t>{0, 1, 2, 3}));
}

TEST(PromptGroups, AnyScript) {
  const std::vector<Vote> votes = {
      vote({"请用简单的语言解释什么是量子力学,并且举三个生活中的例子来说明它的应用"}),
      vote({"请用简单的语言解释什么是量子力学,并且举三个生活中的例子来说明它的应用吧"}),
      vote({"请写一首关于春天的诗,要求押韵,并且不超过八行,语言要优美,适合小学生朗读"}),
  };
  EXPECT_EQ(prompt_groups(votes), (std::vector<std::uint32_t>{0, 0, 1}));
}

TEST(PromptGroups, ALinkThroughAThird) {
  Random random(1);
  const std::string base = words(random, 40);
  // Each is near the next, the first and the last are not near each other.
  std::vector<Vote> votes;
  for (int i = 0; i < 6; ++i) votes.push_back(vote({base + " " + words(random, 0)}));
  std::string text = base;
  for (Vote& v : votes) {
    v.prompt[0].text = text;
    text = text.substr(text.find(' ') + 1);
    text = text.substr(text.find(' ') + 1) + " " + words(random, 2);
  }
  EXPECT_EQ(prompt_groups(votes), std::vector<std::uint32_t>(6, 0));
  EXPECT_EQ(prompt_groups(std::vector<Vote>{votes[0], votes[5]}), (std::vector<std::uint32_t>{0, 1}));
}

RC_GTEST_PROP(PromptGroups, OneChangedWordOfFiftyIsNear, ()) {
  Random random(*rc::gen::arbitrary<std::uint64_t>());
  const std::size_t count = 50 + random.below(1500);
  std::vector<std::string> all;
  for (std::size_t i = 0; i < count; ++i) all.push_back("w" + std::to_string(random.below(1000000)));
  const auto join = [&] {
    std::string text;
    for (const std::string& word : all) text += word + " ";
    return text;
  };
  std::vector<Vote> votes = {vote({join()}), vote({words(random, count)})};
  all[random.below(count)] = "changed";
  votes.push_back(vote({join()}));
  RC_ASSERT(prompt_groups(votes) == (std::vector<std::uint32_t>{0, 1, 0}));
}

// As real files have them: long instructions around a short, different input are not one prompt.
TEST(PromptGroups, ATemplateWithRealInputsDoesNotChain) {
  Random random(2);
  const std::string head = words(random, 30), tail = words(random, 10);
  std::vector<Vote> votes;
  for (int i = 0; i < 500; ++i) votes.push_back(vote({head + " " + words(random, 25) + " " + tail}));
  const auto groups = prompt_groups(votes);
  for (std::uint32_t i = 0; i < 500; ++i) EXPECT_EQ(groups[i], i);
}

TEST(PromptGroups, OfNothing) { EXPECT_TRUE(prompt_groups({}).empty()); }

TEST(PromptKey, IsOfTheWholePrompt) {
  EXPECT_EQ(prompt_key(vote({"A b!"})), prompt_key(vote({"a B"})));
  EXPECT_NE(prompt_key(vote({"A b!"})), prompt_key(vote({"a B", "c"})));
  EXPECT_NE(prompt_key(vote({"?"})), prompt_key(vote({"!"})));
}

RC_GTEST_PROP(GroupedFolds, KeepGroupsWholeAndBalanceRows, ()) {
  const auto folds = static_cast<std::uint32_t>(*rc::gen::inRange(1, 12));
  const auto seed = *rc::gen::arbitrary<std::uint64_t>();
  Random random(seed);
  std::vector<std::uint32_t> groups;
  for (std::uint64_t i = random.below(400); i > 0; --i)
    groups.push_back(static_cast<std::uint32_t>(random.below(120)) * 1000003U);
  const auto fold = grouped_folds(groups, folds, seed);
  RC_ASSERT(fold == grouped_folds(groups, folds, seed));
  std::map<std::uint32_t, std::uint32_t> of_group;
  std::map<std::uint32_t, std::size_t> size;
  std::vector<std::size_t> rows(folds, 0);
  for (std::size_t i = 0; i < groups.size(); ++i) {
    RC_ASSERT(fold[i] < folds);
    RC_ASSERT(of_group.try_emplace(groups[i], fold[i]).first->second == fold[i]);
    ++size[groups[i]];
    ++rows[fold[i]];
  }
  std::size_t largest = 0;
  for (const auto& [group, n] : size) largest = std::max(largest, n);
  const auto [least, most] = std::minmax_element(rows.begin(), rows.end());
  RC_ASSERT(*most - *least <= largest);
}

TEST(GroupedFolds, DependOnTheSeedAndSplitEvenly) {
  std::vector<std::uint32_t> groups(1000);
  for (std::uint32_t i = 0; i < 1000; ++i) groups[i] = i;
  EXPECT_NE(grouped_folds(groups, 5, 1), grouped_folds(groups, 5, 2));
  std::map<std::uint32_t, int> rows;
  for (const std::uint32_t f : grouped_folds(groups, 5, 1)) ++rows[f];
  for (const auto& [fold, n] : rows) EXPECT_EQ(n, 200);
}

}  // namespace
}  // namespace agon
