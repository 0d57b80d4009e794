// Conversations as plain text: the same rule of cutting as for tokens.
#include "agon/preference/lm/conversation_text.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace agon {
namespace {

using testing::HasSubstr;
using Numbers = std::vector<std::size_t>;

Vote vote_of(std::vector<std::string> prompts, std::vector<std::string> a, std::vector<std::string> b) {
  const auto turns = [](std::vector<std::string>& texts) {
    Turns out;
    for (std::string& text : texts) out.push_back({.text = std::move(text)});
    return out;
  };
  Vote vote;
  vote.prompt = turns(prompts);
  vote.response_a = turns(a);
  vote.response_b = turns(b);
  return vote;
}

TEST(ReadingBudget, SharesWhatShortTurnsLeave) {
  EXPECT_EQ(share_out({5, 100, 100}, 65), (Numbers{5, 30, 30}));
  EXPECT_EQ(share_out({100, 5}, 10), (Numbers{5, 5}));
  EXPECT_EQ(share_out({1, 2, 3}, 100), (Numbers{1, 2, 3}));
  EXPECT_EQ(share_out({}, 10), Numbers{});
  EXPECT_EQ(share_out({9, 9, 9}, 2), (Numbers{0, 1, 1}));
}

TEST(ReadingBudget, ReadsTheFirstTurnAndTheLatest) {
  EXPECT_EQ(turns_read(0), Numbers{0});
  EXPECT_EQ(turns_read(3), (Numbers{0, 1, 2}));
  EXPECT_EQ(turns_read(10), (Numbers{0, 3, 4, 5, 6, 7, 8, 9}));
}

TEST(ConversationText, IsCutAtWholeCharacters) {
  const Vote vote = vote_of({"\u00e4\u00e4\u00e4\u00e4"}, {"\u20ac\u20ac\u20ac\u20ac\u20ac\u20ac"}, {"b"});
  const ConversationText a = conversation_text(vote, 0, {.prompt_tokens = 1, .answer_tokens = 2});
  EXPECT_EQ(a.asked, "\u00e4\u00e4");
  EXPECT_EQ(a.answer, "\u20ac ... \u20ac");
  EXPECT_EQ(a.opening(), "User: \u00e4\u00e4\n\nAssistant:");
  EXPECT_EQ(a.whole(), "User: \u00e4\u00e4\n\nAssistant: \u20ac ... \u20ac");
}

TEST(ConversationText, HasEveryTurnAndCutsTheLongOnes) {
  const Vote vote = vote_of({" One? ", "Two?"}, {std::string(100, 'x') + "end", "So.\n"}, {"p", "q"});
  const ConversationText a = conversation_text(vote, 0, {.prompt_tokens = 100, .answer_tokens = 4});
  // Sixteen bytes, of which the short answer leaves thirteen.
  EXPECT_EQ(a.opening(), "User: One?\n\nAssistant: xxxxxxx ... xxxend\n\nUser: Two?\n\nAssistant:");
  EXPECT_EQ(a.answer, "So.");
  EXPECT_EQ(conversation_text(vote, 1, {}).whole(),
            "User: One?\n\nAssistant: p\n\nUser: Two?\n\nAssistant: q");
}

TEST(ConversationText, TakesTheFirstTurnAndTheLatestOfMany) {
  std::vector<std::string> prompts, answers;
  for (int t = 0; t < 12; ++t) {
    prompts.push_back("p" + std::to_string(t));
    answers.push_back("a" + std::to_string(t));
  }
  const std::string all = conversation_text(vote_of(prompts, answers, answers), 0, {}).whole();
  EXPECT_THAT(all, HasSubstr("User: p0\n\nAssistant: a0\n\nUser: p5\n"));
  EXPECT_THAT(all, testing::Not(HasSubstr("p4")));
}

TEST(VerdictQuestion, ShowsAnswersOrConversations) {
  const Vote one = vote_of({"Why?"}, {"a"}, {""});
  EXPECT_THAT(verdict_question(one, false, {}),
              HasSubstr("Question:\nWhy?\n\nAnswer A:\na\n\nAnswer B:\n(empty)\n"));
  EXPECT_THAT(verdict_question(one, true, {}), HasSubstr("Answer A:\n(empty)\n\nAnswer B:\na\n"));
  const std::string two = verdict_question(vote_of({"Why?", "And?"}, {"a", "c"}, {"b", "d"}), true, {});
  EXPECT_THAT(two, HasSubstr("Conversation A:\nUser: Why?\n\nAssistant: b\n\nUser: And?\n\nAssistant: d\n\n"
                             "Conversation B:\nUser: Why?\n\nAssistant: a\n"));
}

}  // namespace
}  // namespace agon
