#include "agon/serving/token_text.h"

#include <gtest/gtest.h>

#include "agon/llm/engine/test_stories.h"

namespace agon::serving {
namespace {

TEST(TokenText, ShowsWholeCharactersAsTheyAreAndOthersByTheirBytes) {
  EXPECT_EQ(shown_bytes("caf\xC3\xA9"), "caf\xC3\xA9");
  EXPECT_EQ(shown_bytes("\xE2\x80"), "\\xe2\\x80");
  EXPECT_EQ(shown_bytes(""), "");
}

class CompletionLogprobsTest : public testing::Test {
 protected:
  std::unique_ptr<llm::Engine> engine_ = llm::open_stories();
  const llm::Tokenizer& tokenizer_ = engine_->tokenizer();

  std::vector<llm::PromptToken> prompt(const std::string& text) {
    std::vector<llm::PromptToken> tokens;
    for (const llm::Token token : tokenizer_.encode(text)) {
      llm::PromptToken one{.token = token};
      if (!tokens.empty()) {
        one.logprob = -0.5;
        one.top = {{token, -0.5}};
      }
      tokens.push_back(one);
    }
    return tokens;
  }
};

TEST_F(CompletionLogprobsTest, OffsetsAreCharactersOfTheText) {
  // Bytes of one character are several tokens here: all of them stand where it begins or behind it.
  const std::string text = "a \xF0\x9F\x99\x82 dog";
  CompletionLogprobs list(tokenizer_);
  list.add_prompt(prompt(text), text);
  list.add({.token = tokenizer_.find("."), .text = ".", .logprob = -1, .top = {}});
  const Json json = list.take();
  EXPECT_TRUE(json["token_logprobs"][0].is_null() && json["top_logprobs"][0].is_null());
  EXPECT_EQ(json["tokens"].size(), json["text_offset"].size());
  EXPECT_EQ(json["text_offset"][0], 0);
  EXPECT_EQ(json["text_offset"].back(), 7);  // behind "a", space, smile, " dog"
  std::size_t last = 0;
  for (const Json& offset : json["text_offset"]) {
    EXPECT_GE(offset.get<std::size_t>(), last);
    last = offset.get<std::size_t>();
  }
  // The next part goes on where this one ended.
  list.add({.token = tokenizer_.find("."), .text = ".", .logprob = -1, .top = {}});
  EXPECT_EQ(list.take()["text_offset"], Json::array({8}));
}

TEST_F(CompletionLogprobsTest, TheTokenIsAlwaysAmongItsAlternatives) {
  const llm::Token dot = tokenizer_.find("."), comma = tokenizer_.find(",");
  CompletionLogprobs list(tokenizer_);
  list.add({.token = dot, .text = ".", .logprob = -3, .top = {{comma, -1}}});
  list.add({.token = dot, .text = ".", .logprob = -3, .top = {{dot, -3}}});
  list.add({.token = dot, .text = ".", .logprob = -std::numeric_limits<double>::infinity(), .top = {}});
  const Json json = list.take();
  EXPECT_EQ(json["top_logprobs"], Json::parse(R"([{",": -1.0, ".": -3.0}, {".": -3.0}, {".": -9999.0}])"));
  EXPECT_EQ(json["token_logprobs"], Json::array({-3.0, -3.0, -9999.0}));
}

}  // namespace
}  // namespace agon::serving
