// What stands around the answers of a conversation, for every chat template that the tests know.
#include "agon/preference/lm/conversation_parts.h"

#include <gtest/gtest.h>

#include <nlohmann/json.hpp>

#include "agon/llm/tokenizer/test_templates.h"

namespace agon {
namespace {

using llm::read_json;
using nlohmann::json;

llm::ChatTemplate template_of(const std::string& text) {
  auto chat = llm::ChatTemplate::read(llm::with_template(text));
  EXPECT_TRUE(chat) << chat.error().to_string();
  return std::move(*chat);
}

std::string joined(const std::vector<std::string>& parts, const std::vector<std::string>& answers) {
  std::string text = parts[0];
  for (std::size_t i = 1; i < parts.size(); ++i) text += answers[i - 1] + parts[i];
  return text;
}

// The references are Jinja2's renderings of one to three turns (scripts/make_chat_golden.py); with a system
// message in place of ours where a template needs one.
TEST(ConversationParts, AreWhatJinjaPutsAroundTheAnswers) {
  struct Case {
    std::size_t conversation;  // of the golden file
    std::vector<std::string> prompts, answers;
  };
  const std::vector<Case> cases = {
      {0, {"Hi"}, {}}, {2, {"Hi", "And?"}, {"Hello!"}}, {4, {"a", "c", "e"}, {"b", "d"}}};
  const json templates = read_json(AGON_TEST_DATA "/tokenizer/chat_templates.json")["known"],
             golden = read_json(AGON_TEST_DATA "/tokenizer/chat_golden.json");
  int compared = 0;
  for (const auto& [name, text] : templates.items()) {
    const llm::ChatTemplate chat = template_of(text);
    for (const Case& c : cases) {
      const auto parts = conversation_parts(&chat, c.prompts);
      ASSERT_TRUE(parts) << name << ": " << parts.error().to_string();
      ASSERT_EQ(parts->size(), c.prompts.size()) << name;
      if (!opening_messages(chat).empty()) continue;
      EXPECT_EQ(joined(*parts, c.answers), golden["rendered"][name][c.conversation][1].get<std::string>())
          << name;
      ++compared;
    }
  }
  EXPECT_GT(compared, 100);
}

TEST(ConversationParts, GiveASystemMessageWhereADateWouldStand) {
  const json templates = read_json(AGON_TEST_DATA "/tokenizer/chat_templates.json")["known"],
             golden = read_json(AGON_TEST_DATA "/tokenizer/chat_golden.json");
  const llm::ChatTemplate chat = template_of(templates["Mistral Small 3.2"]);
  const auto opening = opening_messages(chat);
  ASSERT_EQ(opening.size(), 1U);
  std::string expected = golden["rendered"]["Mistral Small 3.2"][1][1];  // "Be brief.", then "Hi"
  const std::string other = "Be brief.";
  expected.replace(expected.find(other), other.size(), opening[0].content);
  const std::string prompt = "Hi";
  EXPECT_EQ(conversation_parts(&chat, std::span(&prompt, 1)), std::vector<std::string>{expected});
}

TEST(ConversationParts, LeavePromptsThatLookLikeTheirOwnMarksAlone) {
  const llm::ChatTemplate chat =
      template_of(read_json(AGON_TEST_DATA "/tokenizer/chat_templates.json")["known"]["ChatML"]);
  const std::vector<std::string> prompts = {"AnswerOfTheAssistant", "AnswerOfTheAssistantAgain and again"};
  for (const llm::ChatTemplate* each : {&chat, static_cast<const llm::ChatTemplate*>(nullptr)}) {
    const auto parts = conversation_parts(each, prompts);
    ASSERT_TRUE(parts);
    ASSERT_EQ(parts->size(), 2U);
    for (std::size_t i = 0; i < 2; ++i) EXPECT_TRUE((*parts)[i].contains(prompts[i])) << (*parts)[i];
  }
  EXPECT_EQ(joined(*conversation_parts(nullptr, std::vector<std::string>{"a", "b"}), {"x"}),
            "User: a\n\nAssistant: x\n\nUser: b\n\nAssistant: ");
}

}  // namespace
}  // namespace agon
