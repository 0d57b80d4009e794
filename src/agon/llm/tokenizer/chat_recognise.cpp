// Which family a chat template belongs to, and how it differs from its kin (chat_words.h).
#include <algorithm>

#include "agon/llm/tokenizer/chat_words.h"

namespace agon::llm {
namespace {

using namespace chat;

Result<ChatStyle> chatml(const Words& words) {
  constexpr std::string_view kSystem = "<|im_start|>system\n", kEnd = "<|im_end|>\n";
  ChatStyle style;
  style.family = "chatml";
  const auto default_system = [&](std::string_view text) -> std::string_view {
    if (!text.starts_with(kSystem) || !text.ends_with(kEnd) || text.size() <= kSystem.size() + kEnd.size())
      return {};
    text = text.substr(kSystem.size(), text.size() - kSystem.size() - kEnd.size());
    return text.find("<|") == std::string_view::npos ? text : std::string_view{};
  };
  std::string_view tools_default;  // the same text, for conversations with tools
  for (const JinjaWord& word : words.all()) {
    if (word.kind != Kind::kString || default_system(word.text).empty()) continue;
    if (!style.default_system.empty() && style.default_system != default_system(word.text))
      return refuse(style.family, &word);
    style.default_system = default_system(word.text);
  }
  tools_default = style.default_system;
  style.thinking = words.has_run({"loop", ".", "index0", ">", "ns", ".", "last_query_index"});
  const auto known = [&](std::string_view text) {
    if (!tools_default.empty() && (text == tools_default || !default_system(text).empty())) return true;
    if (style.thinking &&
        one_of(text, {"</think>", "<think>", "\n<think>\n", "\n</think>\n\n", "<think>\n\n</think>\n\n"}))
      return true;
    if (one_of(text, {"<|im_start|>", "<|im_end|>", kEnd, "\n", kSystem, "<|im_start|>assistant\n",
                      "<|im_start|>user", "<|im_start|>user\n", "<|im_start|>assistant", "\n\n",
                      "<|im_start|>assistant\n<think>\n", "<tool_response>", "</tool_response>",
                      "\n<tool_response>\n", "\n</tool_response>", "\", \"arguments\": ", "}\n</tool_call>"}))
      return true;
    return words.has_name("tools") &&
           begins_with_one(text, {"\n\n# Tools\n\n", "# Tools\n\n", "\n</tools>\n\nFor each function call",
                                  "\n<tool_call>\n{\"name\": \"", "<tool_call>\n{\"name\": \""});
  };
  constexpr std::string_view kThinkingNames[] = {
      "multi_step_tool", "last_query_index", "index",    "reasoning_content",
      "enable_thinking", "startswith",       "endswith", "split",
      "strip",           "lstrip",           "rstrip"};
  // QwQ: answers but the last are shown without their thoughts.
  constexpr std::string_view kDropNames[] = {"split", "lstrip", "enable_thinking"};
  const bool drops =
      !style.thinking && words.has_run({"if", "not", "loop", ".", "last"}) &&
      words.has_run({"set", "content", "=", "message", ".", "content", ".",      "split", "(",   "'</think>",
                     ")",   "[",       "-", "1",       "]", ".",       "lstrip", "(",     "'\n", ")"});
  if (drops) style.thoughts = ChatStyle::Thoughts::kInLastAnswer;
  const auto known_or_thoughts = [&](std::string_view text) {
    return known(text) || (drops && text == "</think>");
  };
  const JinjaWord* wrong =
      first_of({words.foreign({kToolNames, style.thinking ? Names(kThinkingNames) : Names(),
                               drops ? Names(kDropNames) : Names()},
                              known_or_thoughts),
                words.stray_text()});
  if (wrong != nullptr) return refuse(style.family, wrong);
  // Qwen1.5: the last turn's end is only there where an answer is asked for, and none is asked for behind
  // one.
  style.open_end = words.has_run(
      {"(", "loop", ".", "last", "and", "add_generation_prompt", ")", "or", "not", "loop", ".", "last"});
  style.generate_after_user_only = words.has_run({"if", "add_generation_prompt", "and", "messages", "[", "-",
                                                  "1", "]", ".", "role", "!", "=", "'assistant"});
  if (style.open_end != words.has_run({"'<|im_start|>", "+", "message", ".", "role", "+", "'\n", "+",
                                       "message", ".", "content", "if"}))
    return refuse(style.family, nullptr);
  if (!words.has_name("add_generation_prompt") || !words.has_run({"for", "message", "in", "messages"}) ||
      !(words.has_run({"'<|im_start|>", "+", "message", ".", "role", "+", "'\n", "+", "message", ".",
                       "content", "+", "'<|im_end|>\n"}) ||
        ((style.thinking || drops) && words.has_run({"'<|im_start|>", "+", "message", ".", "role", "+", "'\n",
                                                     "+", "content", "+", "'<|im_end|>\n"})) ||
        style.open_end))
    return refuse(style.family, nullptr);
  if (style.thinking &&
      !words.has_run({"'\n<think>\n", "+", "reasoning_content", ".", "strip", "(", "'\n", ")", "+",
                      "'\n</think>\n\n", "+", "content", ".", "lstrip", "(", "'\n", ")"}))
    return refuse(style.family, nullptr);
  if (words.has_string("<|im_start|>assistant\n<think>\n")) style.generation_suffix = "<think>\n";
  if (drops) {
    // Perhaps with a switch that nobody has set.
    if (words.has_run({"if", "add_generation_prompt", "'<|im_start|>assistant\n<think>\n", "if", "not",
                       "enable_thinking", "'</think>", "endif", "endif"}))
      style.generation_suffix += "</think>";
    else if (!words.has_run({"if", "add_generation_prompt", "'<|im_start|>assistant\n<think>\n", "endif"}))
      return refuse(style.family, nullptr);
  }
  return style;
}

Result<ChatStyle> llama3(const Words& words) {
  ChatStyle style;
  style.family = "llama3";
  style.dates = words.has_string("Cutting Knowledge Date: December 2023\n");
  const auto known = [&](std::string_view text) {
    if (one_of(text, {"<|start_header_id|>", "<|end_header_id|>\n\n", "<|eot_id|>", "\n\n", "<|eom_id|>",
                      "<|start_header_id|>assistant<|end_header_id|>\n\n",
                      "<|start_header_id|>user<|end_header_id|>\n\n",
                      "<|start_header_id|>system<|end_header_id|>\n\n"}))
      return true;
    if (!style.dates) return false;
    // What is printed around tools, besides the dates.
    return one_of(text, {"Cutting Knowledge Date: December 2023\n", "Today Date: ", "26 Jul 2024", "%d %b %Y",
                         "Environment: ipython\n", "Tools: ", "code_interpreter", ", ", ".call(", "=\"", "\"",
                         ")", "{\"name\": \"", "\", ", "\"parameters\": ", "}", "<|python_tag|>",
                         "Do not use variables.\n\n", "<|start_header_id|>ipython<|end_header_id|>\n\n"}) ||
           begins_with_one(text, {"You have access to the following functions. To call",
                                  "Respond in the format {\"name\": function name",
                                  "Given the following functions, please respond with a JSON",
                                  "with its proper arguments that best answers"});
  };
  constexpr std::string_view kTrim[] = {"trim"};
  const JinjaWord* wrong = first_of(
      {words.foreign({kTrim, style.dates ? Names(kToolNames) : Names()}, known), words.stray_text()});
  if (wrong != nullptr) return refuse(style.family, wrong);
  if (!words.has_run({"'<|start_header_id|>", "+", "message", ".", "role", "+", "'<|end_header_id|>\n\n", "+",
                      "message", ".", "content"}))
    return refuse(style.family, nullptr);
  style.trim = words.has_run({"message", ".", "content", "|", "trim"});
  style.always_generate = !words.has_name("add_generation_prompt");
  return style;
}

Result<ChatStyle> gemma(const Words& words) {
  ChatStyle style;
  style.family = "gemma";
  const auto known = [](std::string_view text) {
    return one_of(text, {"<start_of_turn>", "\n", "<end_of_turn>\n", "<start_of_turn>model\n", "model",
                         "<start_of_image>", "\n\n"});
  };
  constexpr std::string_view kMore[] = {"trim", "first_user_prefix", "item", "iterable", "text", "type"};
  const JinjaWord* wrong = first_of({words.foreign({kMore}, known), words.stray_text()});
  if (wrong != nullptr) return refuse(style.family, wrong);
  style.trim = words.has_name("trim");
  style.alternate = alternates(words);
  style.always_generate = !words.has_name("add_generation_prompt");
  if (!words.has_run({"'<start_of_turn>", "+", "role", "+", "'\n"})) return refuse(style.family, nullptr);
  const bool two_lines =
      words.has_run({"first_user_prefix", "=", "messages", "[", "0", "]", ".", "content", "+", "'\n\n"});
  style.system_end = two_lines ? "\n\n" : "\n";
  style.system =
      words.has_name("first_user_prefix") ? ChatStyle::System::kFirstUser : ChatStyle::System::kRefused;
  return style;
}

Result<ChatStyle> phi3(const Words& words) {
  ChatStyle style;
  style.family = "phi3";
  const auto known = [](std::string_view text) {
    return one_of(
        text, {"<|user|>\n", "<|end|>\n<|assistant|>\n", "<|end|>\n", "<|system|>\n", "<|assistant|>\n", "<|",
               "|>\n", "|>", "<|end|>", "<|assistant|>", "<|tool|>", "<|/tool|><|end|>", "tools"});
  };
  constexpr std::string_view kMore[] = {"eos_token", "tools"};
  const JinjaWord* wrong = first_of({words.foreign({kMore}, known), words.stray_text()});
  if (wrong != nullptr) return refuse(style.family, wrong);
  style.answer_follows_user = words.has_string("<|end|>\n<|assistant|>\n");
  style.always_generate = style.answer_follows_user;
  style.eos_at_end = words.has_name("eos_token");
  style.skip_empty_system = words.has_run({"'system", "and", "message", ".", "content"});
  style.generate_after_user_only = words.has_run({"add_generation_prompt", "and", "messages"});
  if (words.has_string("|>")) style.newline = "";
  const bool by_role = words.has_string("<|");
  if (!style.answer_follows_user && !by_role && !words.has_string("<|system|>\n"))
    style.system = ChatStyle::System::kRefused;
  if (style.answer_follows_user && !words.has_string("<|system|>\n"))
    style.system = ChatStyle::System::kRefused;
  if (!style.answer_follows_user && !words.has_name("add_generation_prompt"))
    return refuse(style.family, nullptr);
  if (by_role ? !words.has_run({"'<|", "+", "message", ".", "role", "+"})
              : !words.has_run({"'<|user|>\n", "+", "message", ".", "content", "+"}))
    return refuse(style.family, nullptr);
  return style;
}

Result<ChatStyle> zephyr(const Words& words) {
  ChatStyle style;
  style.family = "zephyr";
  const auto known = [](std::string_view text) {
    return one_of(text, {"<|user|>\n", "<|system|>\n", "<|assistant|>\n", "<|assistant|>"});
  };
  constexpr std::string_view kMore[] = {"eos_token"};
  const JinjaWord* wrong = first_of({words.foreign({kMore}, known), words.stray_text("\n")});
  if (wrong != nullptr) return refuse(style.family, wrong);
  // Every turn ends in eos and the line break that stands behind its tag; the start of the answer too.
  const auto newlines = std::ranges::count(words.all(), Kind::kText, &JinjaWord::kind);
  const auto outputs = std::ranges::count(words.all(), Kind::kOutput, &JinjaWord::kind);
  if (newlines != outputs || !words.has_string("<|assistant|>") || !words.has_name("add_generation_prompt"))
    return refuse(style.family, nullptr);
  const auto has_turn = [&](std::string_view mark) {
    return words.has_run({mark, "+", "message", ".", "content", "+", "eos_token"});
  };
  if (!has_turn("'<|user|>\n") || !has_turn("'<|assistant|>\n")) return refuse(style.family, nullptr);
  if (!has_turn("'<|system|>\n")) style.system = ChatStyle::System::kRefused;
  return style;
}

}  // namespace

Result<ChatStyle> recognise_chat_template(std::string_view jinja) {
  auto read = read_jinja(jinja);
  if (!read) {
    read.error().expected = kTemplateAdvice;
    return std::unexpected(std::move(read.error()));
  }
  const Words words(std::move(*read));
  const auto prints = [&](std::string_view mark) {
    return std::ranges::any_of(words.all(), [&](const JinjaWord& word) {
      return (word.kind == Kind::kString || word.kind == Kind::kText) &&
             word.text.find(mark) != std::string::npos;
    });
  };
  if (prints("Reasoning Mode: ")) return recognise_smollm3(words);
  if (prints("<|im_start|>")) return chatml(words);
  if (prints("<|start_header_id|>")) return llama3(words);
  if (prints("[INST]")) return recognise_instructions(words);
  if (prints("<start_of_turn>")) return gemma(words);
  if (prints("<|end|>")) return phi3(words);
  if (prints("<|assistant|>") && words.has_name("eos_token")) return zephyr(words);
  if (prints("<\uff5cUser\uff5c>") || prints("User: ")) return recognise_deepseek(words);
  return refuse("", nullptr);
}

}  // namespace agon::llm
