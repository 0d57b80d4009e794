#include "agon/llm/tokenizer/chat_template.h"

#include <gtest/gtest.h>

#include <nlohmann/json.hpp>
#include <set>

#include "agon/llm/tokenizer/jinja_text.h"
#include "agon/llm/tokenizer/test_templates.h"

namespace agon::llm {
namespace {

using nlohmann::json;
using System = ChatStyle::System;

std::vector<ChatMessage> messages_of(const json& conversation) {
  std::vector<ChatMessage> messages;
  for (const json& message : conversation) messages.push_back({message[0], message[1]});
  return messages;
}

/// What agon refuses although the template would print something: a message that would vanish, or a place
/// for a system message that is none.
bool may_refuse(const ChatStyle& style, const std::vector<ChatMessage>& messages) {
  for (std::size_t i = 0; i < messages.size(); ++i)
    if (messages[i].role == "system" &&
        (style.system == System::kRefused || (i > 0 && style.system != System::kTurn)))
      return true;
  if (style.dated_default && messages.front().role != "system") return true;
  return style.system == System::kLastUser && messages.front().role == "system" &&
         messages.back().role != "user";
}

// The references are Jinja2's renderings (scripts/make_chat_golden.py).
TEST(ChatTemplate, RendersAsJinja) {
  const json templates = read_json(AGON_TEST_DATA "/tokenizer/chat_templates.json")["known"],
             golden = read_json(AGON_TEST_DATA "/tokenizer/chat_golden.json");
  std::set<std::string> families;
  int compared = 0, refused = 0;
  for (const auto& [name, text] : templates.items()) {
    const auto chat = ChatTemplate::read(with_template(text));
    ASSERT_TRUE(chat) << name << ": " << chat.error().to_string();
    families.insert(chat->family());
    for (std::size_t i = 0; i < golden["conversations"].size(); ++i) {
      const auto messages = messages_of(golden["conversations"][i]);
      for (const bool generate : {false, true}) {
        const json& expected = golden["rendered"][name][i][generate];
        const auto rendered = chat->render(messages, generate);
        if (expected.is_null()) {
          EXPECT_FALSE(rendered) << name << ", conversation " << i << ": " << *rendered;
        } else if (rendered) {
          EXPECT_EQ(*rendered, expected.get<std::string>()) << name << ", conversation " << i;
          ++compared;
        } else {
          EXPECT_TRUE(may_refuse(chat->style(), messages))
              << name << ", conversation " << i << ": " << rendered.error().to_string();
          ++refused;
        }
      }
    }
  }
  EXPECT_EQ(families, (std::set<std::string>{"chatml", "llama2", "llama3", "mistral", "gemma", "phi3",
                                             "zephyr", "smollm3", "deepseek"}));
  EXPECT_GT(compared, 1100);
  EXPECT_LT(refused, compared / 8);
}

TEST(ChatTemplate, ReadsTheDefaultSystemMessageOutOfTheTemplate) {
  const json templates = read_json(AGON_TEST_DATA "/tokenizer/chat_templates.json")["known"];
  const auto system_of = [&](const char* name) {
    return ChatTemplate::read(with_template(templates[name]))->style().default_system;
  };
  EXPECT_EQ(system_of("SmolLM2"), "You are a helpful AI assistant named SmolLM, trained by Hugging Face");
  EXPECT_EQ(system_of("Qwen2"), "You are a helpful assistant.");
  EXPECT_EQ(system_of("Qwen2.5"), "You are Qwen, created by Alibaba Cloud. You are a helpful assistant.");
  EXPECT_EQ(system_of("Qwen3"), "");
}

TEST(ChatTemplate, RefusesOthersWithAdvice) {
  for (const auto& [name, text] :
       read_json(AGON_TEST_DATA "/tokenizer/chat_templates.json")["refused"].items()) {
    const auto chat = ChatTemplate::read(with_template(text));
    ASSERT_FALSE(chat) << name << " was taken for " << chat->family();
    EXPECT_NE(chat.error().to_string().find("tokenizer.chat_template"), std::string::npos) << name;
    EXPECT_NE(chat.error().expected.find("--template"), std::string::npos) << chat.error().to_string();
  }
  const auto none = ChatTemplate::read(gguf::Metadata());
  ASSERT_FALSE(none);
  EXPECT_NE(none.error().to_string().find("--raw"), std::string::npos);
  EXPECT_FALSE(ChatTemplate::read(with_template(std::string(1 << 20, ' '))));
}

// Puts a "~" before every `mark` of a template in turn: those that are still taken render as before.
void change_marks(const std::string& name, const std::string& text, const std::string& mark,
                  const std::vector<ChatMessage>& messages, int& tried, int& taken) {
  const std::string original = *ChatTemplate::read(with_template(text))->render(messages, true);
  for (std::size_t at = text.find(mark); at != std::string::npos; at = text.find(mark, at + 1), ++tried) {
    std::string changed = text;
    changed.insert(at, "~");
    const auto chat = ChatTemplate::read(with_template(changed));
    if (!chat) continue;
    ++taken;
    EXPECT_EQ(chat->render(messages, true).value_or("refused"), original) << name << " with ~ at " << at;
  }
}

// A template whose marks are changed is refused, unless the change is in its default system message or in
// what it says about tools.
TEST(ChatTemplate, EveryMarkMatters) {
  const json templates = read_json(AGON_TEST_DATA "/tokenizer/chat_templates.json")["known"];
  const std::vector<ChatMessage> messages = {
      {"system", "s"}, {"user", "u"}, {"assistant", "a"}, {"user", "v"}};
  int tried = 0, taken = 0;
  for (const char* name : {"SmolLM2", "Qwen2.5", "Qwen3", "Llama 3", "Llama 3.1", "Zephyr", "Phi 3.5 mini",
                           "Qwen1.5", "QwQ", "SmolLM3"}) {
    const std::string text = templates[name];
    change_marks(name, text, "<|", messages, tried, taken);
  }
  EXPECT_GT(tried, 50);
  EXPECT_LE(taken, 5);
}

// The same with every mark of the families whose marks look otherwise.
TEST(ChatTemplate, EveryOtherMarkMatters) {
  const json templates = read_json(AGON_TEST_DATA "/tokenizer/chat_templates.json")["known"];
  const std::vector<ChatMessage> messages = {
      {"system", "s"}, {"user", "u"}, {"assistant", "<think>t</think>a"}, {"user", "v"}};
  int tried = 0, taken = 0;
  for (const auto& [name, mark] :
       std::vector<std::pair<std::string, std::string>>{{"DeepSeek V3", "<\uff5c"},
                                                        {"DeepSeek R1", "<\uff5c"},
                                                        {"DeepSeek V3.1", "<\uff5c"},
                                                        {"DeepSeek V3.1", "</"},
                                                        {"DeepSeek R1", "</"},
                                                        {"Mistral v7", "["},
                                                        {"Devstral", "["},
                                                        {"SmolLM3", "/"},
                                                        {"SmolLM3", "#"}}) {
    const std::string text = templates[name];
    change_marks(name, text, mark, messages, tried, taken);
  }
  EXPECT_GT(tried, 100);
  EXPECT_LT(taken, tried);
}

TEST(ChatTemplate, ADateIsNotGuessed) {
  const json templates = read_json(AGON_TEST_DATA "/tokenizer/chat_templates.json")["known"];
  const auto chat = ChatTemplate::read(with_template(templates["Mistral Small 3.2"]));
  ASSERT_TRUE(chat) << chat.error().to_string();
  const auto without = chat->render(std::vector<ChatMessage>{{"user", "x"}}, true);
  ASSERT_FALSE(without);
  EXPECT_NE(without.error().to_string().find("today's date"), std::string::npos);
  EXPECT_EQ(*chat->render(std::vector<ChatMessage>{{"system", "s"}, {"user", "x"}}, true),
            "[SYSTEM_PROMPT]s[/SYSTEM_PROMPT][INST]x[/INST]");
}

TEST(ChatTemplate, ByName) {
  const std::vector<ChatMessage> messages = {
      {"system", "S"}, {"user", " A "}, {"assistant", " B "}, {"user", "C"}};
  const auto render = [&](const char* name) { return *ChatTemplate::named(name)->render(messages, true); };
  EXPECT_EQ(render("chatml"),
            "<|im_start|>system\nS<|im_end|>\n<|im_start|>user\n A <|im_end|>\n<|im_start|>assistant\n B "
            "<|im_end|>\n<|im_start|>user\nC<|im_end|>\n<|im_start|>assistant\n");
  EXPECT_EQ(render("llama2"), "[INST] <<SYS>>\nS\n<</SYS>>\n\n A [/INST] B </s><s>[INST] C [/INST]");
  EXPECT_EQ(
      render("llama3"),
      "<|start_header_id|>system<|end_header_id|>\n\nS<|eot_id|><|start_header_id|>user<|end_header_id|>\n\n"
      "A<|eot_id|><|start_header_id|>assistant<|end_header_id|>\n\nB<|eot_id|><|start_header_id|>user<|end_"
      "header_id|>\n\nC<|eot_id|><|start_header_id|>assistant<|end_header_id|>\n\n");
  EXPECT_EQ(render("mistral"), "[INST] S\n\n A  [/INST] B </s>[INST] C [/INST]");
  EXPECT_EQ(render("gemma"),
            "<start_of_turn>user\nS\n\nA<end_of_turn>\n<start_of_turn>model\nB<end_of_turn>\n<start_of_turn>"
            "user\nC<end_of_turn>\n<start_of_turn>model\n");
  EXPECT_EQ(render("phi3"),
            "<|system|>\nS<|end|>\n<|user|>\n A <|end|>\n<|assistant|>\n B <|end|>\n<|user|>\nC<|end|>\n"
            "<|assistant|>\n");
  EXPECT_EQ(render("zephyr"),
            "<|system|>\nS</s>\n<|user|>\n A </s>\n<|assistant|>\n B </s>\n<|user|>\nC</s>\n<|assistant|>\n");
  const gguf::Metadata metadata = with_template("");
  EXPECT_NE(ChatTemplate::named("zephyr", &metadata)->render(messages, true)->find("S<EOS>"),
            std::string::npos);
  const auto unknown = ChatTemplate::named("alpaca");
  ASSERT_FALSE(unknown);
  EXPECT_EQ(unknown.error().exit_code(), 2);
}

TEST(ChatTemplate, RefusesConversationsItCannotShow) {
  const auto chatml = *ChatTemplate::named("chatml");
  EXPECT_FALSE(chatml.render({}, true));
  EXPECT_FALSE(chatml.render(std::vector<ChatMessage>{{"tool", "x"}}, true));
  const auto mistral = *ChatTemplate::named("mistral");
  EXPECT_FALSE(mistral.render(std::vector<ChatMessage>{{"user", "x"}, {"user", "y"}}, true));
  EXPECT_FALSE(mistral.render(std::vector<ChatMessage>{{"system", "x"}}, true));
}

TEST(JinjaText, DropsSpacesAsJinjaDoes) {
  const auto words = read_jinja("  {% if a %}\n  {{ b }}\n {%- else -%}\n c {# no #}\n{% endif %}\nd\n");
  ASSERT_TRUE(words);
  std::string text;
  for (const JinjaWord& word : *words) {
    text += word.kind == JinjaWord::Kind::kText     ? "[" + word.text + "]"
            : word.kind == JinjaWord::Kind::kOutput ? "{{"
            : word.kind == JinjaWord::Kind::kBlock  ? "{%"
                                                    : word.text + " ";
  }
  EXPECT_EQ(text, "{%if a [  ]{{b {%else [c ]{%endif [d]");
}

TEST(JinjaText, JoinsLiterals) {
  const auto words = read_jinja(R"({{ 'a\n' + "b" + x + '\'c' }})");
  ASSERT_TRUE(words);
  ASSERT_EQ(words->size(), 6u);
  EXPECT_EQ((*words)[1].text, "a\nb");
  EXPECT_EQ((*words)[5].text, "'c");
}

}  // namespace
}  // namespace agon::llm
