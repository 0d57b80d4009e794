#include "agon/text/phrases.h"

#include <gtest/gtest.h>

#include <array>

namespace agon {
namespace {

std::array<std::uint32_t, 3> count(const PhraseSet& set, std::string_view text) {
  std::vector<Word> words;
  scan_words(text, words);
  std::array<std::uint32_t, 3> counts{};
  set.count(words, counts);
  return counts;
}
using Counts = std::array<std::uint32_t, 3>;

PhraseSet sample() {
  PhraseSet set;
  set.add(0, "sorry|i am|i can't");
  set.add(1, "i am sorry that|am sorry");
  set.add(2, "\u5bf9\u4e0d\u8d77");
  return set;
}

TEST(Phrases, CountsTheLongestThatFitsAndPassesOverItsWords) {
  const PhraseSet set = sample();
  EXPECT_EQ(count(set, "I am sorry that"), (Counts{0, 1, 0}));   // not "i am", "sorry" or "am sorry" too
  EXPECT_EQ(count(set, "I am sorry, dear"), (Counts{2, 0, 0}));  // "i am", then "sorry"
  EXPECT_EQ(count(set, "am sorry"), (Counts{0, 1, 0}));
  EXPECT_EQ(count(set, "sorry sorry"), (Counts{2, 0, 0}));
}

TEST(Phrases, FoldsCaseAndApostrophesAndReadsAcrossPunctuation) {
  const PhraseSet set = sample();
  EXPECT_EQ(count(set, "I CAN\u2019T"), (Counts{1, 0, 0}));
  EXPECT_EQ(count(set, "I. Am"), (Counts{1, 0, 0}));
  EXPECT_EQ(count(set, "\u554a\uff0c\u5bf9\u4e0d\u8d77\uff01"), (Counts{0, 0, 1}));
}

TEST(Phrases, PartsAtTheEndAreNoMatch) {
  const PhraseSet set = sample();
  EXPECT_EQ(count(set, "i"), (Counts{}));
  EXPECT_EQ(count(set, "\u5bf9\u4e0d"), (Counts{}));
  EXPECT_EQ(count(set, ""), (Counts{}));
  EXPECT_EQ(count(PhraseSet(), "i am"), (Counts{}));
}

TEST(Phrases, EmptyPhrasesAreIgnored) {
  PhraseSet set;
  set.add(0, "||...|a|");
  EXPECT_EQ(count(set, "a b"), (Counts{1, 0, 0}));
}

}  // namespace
}  // namespace agon
