#include "agon/llm/engine/lookahead.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "agon/base/random.h"

namespace agon::llm {
namespace {

using ::testing::ElementsAre;
using ::testing::IsEmpty;

using Tokens = std::vector<Token>;

Tokens guess(const Tokens& text, Token next, std::size_t most = 100) {
  Lookahead lookahead;
  const auto found = lookahead.guess(text, next, most);
  return {found.begin(), found.end()};
}

TEST(Lookahead, SaysWhatFollowedTheLastTime) {
  EXPECT_THAT(guess({1, 2, 3, 4, 5, 1, 2}, 3), ElementsAre(4, 5));
  EXPECT_THAT(guess({1, 2, 3, 4, 9, 1, 2, 3, 7, 8, 1, 2}, 3), ElementsAre(7, 8));  // the latest place
  EXPECT_THAT(guess({1, 2, 3, 4, 5, 1, 2}, 3, 1), ElementsAre(4));
  EXPECT_THAT(guess({1, 2, 3, 4, 5, 1, 2}, 3, 0), IsEmpty());
  EXPECT_THAT(guess({9, 2, 3, 4, 5, 1, 2}, 3), IsEmpty());  // two tokens agree, not three
  EXPECT_THAT(guess({}, 3), IsEmpty());
  EXPECT_THAT(guess({3}, 3), IsEmpty());
  EXPECT_THAT(guess({1, 2}, 3), IsEmpty());
}

TEST(Lookahead, GoesOnWithAPeriod) {
  EXPECT_THAT(guess({7, 7, 7}, 7), ElementsAre(7, 7));
  EXPECT_THAT(guess({1, 2, 1, 2}, 1), ElementsAre(2, 1));
}

TEST(Lookahead, GuessesMoreAfterRightOnesAndAsksForMoreAfterWrongOnes) {
  Tokens text;
  for (int i = 0; i < 80; ++i) text.push_back(i % 20);
  Lookahead lookahead;
  EXPECT_EQ(lookahead.guess(text, 0, 100).size(), 2U);
  lookahead.learn(2);
  EXPECT_EQ(lookahead.guess(text, 0, 100).size(), 4U);
  lookahead.learn(4);
  EXPECT_EQ(lookahead.guess(text, 0, 100).size(), Lookahead::kMost);
  lookahead.learn(3);
  EXPECT_EQ(lookahead.guess(text, 0, 100).size(), 3U);
  lookahead.learn(0);
  EXPECT_EQ(lookahead.guess(text, 0, 100).size(), 1U);
  // Three tokens agree, which is no longer enough.
  const Tokens short_text = {1, 2, 3, 4, 5, 1, 2};
  EXPECT_THAT(lookahead.guess(short_text, 3, 100), IsEmpty());
  // What was not guessed teaches nothing.
  lookahead.learn(0);
  EXPECT_EQ(lookahead.guess(text, 0, 100).size(), 1U);
  lookahead.learn(1);
  EXPECT_THAT(lookahead.guess(short_text, 3, 100), ElementsAre(4, 5));
}

// All places from the end, each token compared anew.
TEST(Lookahead, AgreesWithTheDefinition) {
  Random random(7);
  for (int round = 0; round < 2000; ++round) {
    Tokens text(random.below(40));
    for (Token& token : text) token = static_cast<Token>(random.below(3));
    const auto next = static_cast<Token>(random.below(3));
    Tokens whole = text;
    whole.push_back(next);
    Tokens expected;
    for (std::size_t place = whole.size() - 1; place-- > 2 && expected.empty();) {
      bool same = true;
      for (std::size_t back = 0; back < 3; ++back)
        same = same && whole[place - back] == whole[whole.size() - 1 - back];
      if (!same) continue;
      Tokens longer = whole;
      for (std::size_t i = 1; i <= 2; ++i) {
        expected.push_back(longer[place + i]);
        longer.push_back(longer[place + i]);
      }
    }
    EXPECT_EQ(guess(text, next), expected);
  }
}

}  // namespace
}  // namespace agon::llm
