#include "agon/data/vote_facts.h"

#include <gtest/gtest.h>

namespace agon {
namespace {

Vote vote(const std::string& prompt, const std::string& a, const std::string& b) {
  Vote v;
  v.prompt = {{prompt, false}};
  v.response_a = {{a, false}};
  v.response_b = {{b, false}};
  return v;
}

TEST(VoteFacts, CountsCharactersAndWords) {
  EXPECT_EQ(count_characters("añb你"), 4U);
  EXPECT_EQ(count_words("  two\twords\n"), 2U);
  EXPECT_EQ(count_words(""), 0U);
  EXPECT_EQ(answer_characters(vote("ignored", "é", "ab")), 3U);
}

TEST(VoteFacts, BlankAndSameText) {
  EXPECT_TRUE(is_blank({}));
  EXPECT_TRUE(is_blank({{"", true}, {" \n\t", false}}));
  EXPECT_FALSE(is_blank({{"", true}, {"x", false}}));
  EXPECT_TRUE(same_text({{"", true}}, {{"", false}}));
  EXPECT_FALSE(same_text({{"x", false}}, {{"x", false}, {"", false}}));
  EXPECT_EQ(joined({{"a", false}, {"b", false}}), "a\nb");
}

TEST(VoteFacts, LanguageFallsBackOnTheAnswersAndIgnoresTheirOrder) {
  EXPECT_EQ(language_of(vote("Wie geht es dir?", "I am fine and how are you", "")), "de");
  const Vote from_answers = vote("123", "Das ist eine Zahl und nicht mehr", "456");
  EXPECT_EQ(language_of(from_answers), "de");
  EXPECT_EQ(language_of(swapped(from_answers)), "de");
  const Vote unclear = vote("123", "Das ist eine Zahl und nicht mehr", "This is a number and that is it");
  EXPECT_EQ(language_of(unclear), "und");
}

TEST(VoteFacts, Code) {
  EXPECT_TRUE(has_code(vote("how do I sort?", "Like so:\n```python\nx.sort()\n```", "no")));
  EXPECT_TRUE(has_code(vote("why?\nint main() {\n  return 0;\n}", "a", "b")));
  EXPECT_FALSE(has_code(vote("what does ``` mean", "a", "b")));
  EXPECT_FALSE(has_code(vote("First line;\nsecond line.\nimport taxes are high.", "a", "b")));
}

}  // namespace
}  // namespace agon
