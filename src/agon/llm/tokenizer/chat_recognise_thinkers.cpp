// Chat templates of SmolLM3 and of DeepSeek's models.
#include <string>

#include "agon/llm/tokenizer/chat_words.h"

namespace agon::llm {

using namespace chat;

// A system turn that says whether thoughts are wanted, always there; "/think" and "/no_think" in the system
// message decide it. Templates that print today's date there are refused by that name.
Result<ChatStyle> chat::recognise_smollm3(const Words& words) {
  ChatStyle style;
  style.family = "smollm3";
  style.system = ChatStyle::System::kFirstTurn;
  constexpr std::string_view kDefault = "You are a helpful AI assistant named SmolLM", kEnd = "\n\n";
  std::vector<std::string_view> defaults;
  const auto known = [&](std::string_view text) {
    if (text.starts_with(kDefault) && text.ends_with(kEnd)) {
      defaults.push_back(text.substr(0, text.size() - kEnd.size()));
      return true;
    }
    return one_of(text, {"/think", "/no_think", "\n", "\n\n", "<|im_start|>", "<|im_start|>system\n",
                         "## Metadata\n\n", "Knowledge Cutoff Date: June 2025\n", "Reasoning Mode: ",
                         "## Custom Instructions\n\n", "<|im_end|>\n", "<|im_start|>assistant\n",
                         "<|im_start|>assistant\n<think>\n\n</think>\n", "<|im_start|>user\n"});
  };
  constexpr std::string_view kMore[] = {
      "enable_thinking", "reasoning_mode", "custom_instructions", "replace", "rstrip", "lstrip", "true"};
  const JinjaWord* wrong = first_of({words.foreign({kMore}, known), words.stray_text()});
  if (wrong != nullptr) return refuse(style.family, wrong);
  const Texts runs[] = {
      {"if", "enable_thinking", "is", "not", "defined", "set", "enable_thinking", "=", "true", "endif"},
      {"if", "enable_thinking", "set", "reasoning_mode", "=", "'/think", "else", "set", "reasoning_mode", "=",
       "'/no_think", "endif"},
      {"if", "'/no_think", "in", "system_message", "set", "reasoning_mode", "=", "'/no_think", "elif",
       "'/think", "in", "system_message", "set", "reasoning_mode", "=", "'/think", "endif"},
      {"=", "system_message", ".", "replace", "(", "'/no_think", ",", "'", ")"},
      {"=", "custom_instructions", ".", "replace", "(", "'/think", ",", "'", ")"},
      {"=", "custom_instructions", ".", "rstrip", "(", ")"},
      {"'## Metadata\n\n", "'Knowledge Cutoff Date: June 2025\n", "'Reasoning Mode: ", "+", "reasoning_mode",
       "+", "'\n\n", "'## Custom Instructions\n\n", "if", "custom_instructions", "custom_instructions", "+",
       "'\n\n", "elif", "reasoning_mode", "=", "=", "'/think"},
      {"'<|im_start|>", "+", "message", ".", "role", "+", "'\n", "+", "content", "+", "'<|im_end|>\n"},
      {"if",
       "reasoning_mode",
       "=",
       "=",
       "'/think",
       "'<|im_start|>assistant\n",
       "+",
       "content",
       ".",
       "lstrip",
       "(",
       "'\n",
       ")",
       "+",
       "'<|im_end|>\n",
       "else",
       "'<|im_start|>assistant\n<think>\n\n</think>\n",
       "+",
       "content",
       ".",
       "lstrip",
       "(",
       "'\n",
       ")",
       "+",
       "'<|im_end|>\n"},
      {"if", "add_generation_prompt", "if", "reasoning_mode", "=", "=", "'/think", "'<|im_start|>assistant\n",
       "else", "'<|im_start|>assistant\n<think>\n\n</think>\n", "endif", "endif"}};
  for (const Texts& run : runs)
    if (!words.has_run(run)) return refuse(style.family, nullptr);
  if (defaults.size() != 2) return refuse(style.family, nullptr);
  style.default_system = defaults[0];
  style.default_without_thoughts = defaults[1];
  return style;
}

// Version 2 writes roles out; later ones have tokens for them, print all system messages before the first
// turn, and show answers without their thoughts.
Result<ChatStyle> chat::recognise_deepseek(const Words& words) {
  ChatStyle style;
  style.family = "deepseek";
  constexpr std::string_view kUser = "<｜User｜>", kAnswer = "<｜Assistant｜>",
                             kEnd = "<｜end▁of▁sentence｜>";
  const bool marks = words.has_string(kUser);
  if (!marks) {
    const auto known = [](std::string_view text) {
      return one_of(text, {"User: ", "\n\n", "Assistant: ", "Assistant:"});
    };
    constexpr std::string_view kMore[] = {"eos_token"};
    const JinjaWord* wrong = first_of({words.foreign({kMore}, known), words.stray_text()});
    if (wrong != nullptr) return refuse(style.family, wrong);
    if (!words.has_run({"'User: ", "+", "message", ".", "content", "+", "'\n\n"}) ||
        !words.has_run({"'Assistant: ", "+", "message", ".", "content", "+", "eos_token"}) ||
        !words.has_run({"'system", "message", ".", "content", "+", "'\n\n"}) ||
        !words.has_run({"if", "add_generation_prompt", "'Assistant:", "endif"}))
      return refuse(style.family, nullptr);
    style.open = "User: ";
    style.close = style.system_close = "\n\n";
    style.answer_prefix = "Assistant: ";
    style.generation = "Assistant:";
    return style;
  }
  const auto known = [&](std::string_view text) {
    return one_of(text, {kUser, kAnswer, kEnd, "</think>", "<think>", "\n\n", "<｜Assistant｜><think>\n",
                         "<｜Assistant｜></think>", "<think></think>", "<｜Assistant｜><think></think>"}) ||
           // What stands around calls of tools.
           one_of(text, {"\n", "```", "\n```json\n", "<｜tool▁sep｜>", "<｜tool▁call▁end｜>",
                         "\n```<｜tool▁call▁end｜>", "<｜tool▁calls▁end｜>",
                         "<｜tool▁calls▁end｜><｜end▁of▁sentence｜>", "<｜tool▁outputs▁end｜>",
                         "<｜tool▁outputs▁begin｜><｜tool▁output▁begin｜>", "<｜tool▁output▁end｜>",
                         "<｜tool▁output▁begin｜>", "\n<｜tool▁output▁begin｜>", "<｜tool▁call▁begin｜>",
                         "\n<｜tool▁call▁begin｜>", "<｜tool▁calls▁begin｜><｜tool▁call▁begin｜>",
                         "<｜Assistant｜><｜tool▁calls▁begin｜><｜tool▁call▁begin｜>"});
  };
  constexpr std::string_view kMore[] = {
      "is_first", "is_tool",         "is_output_first", "system_prompt", "is_first_sp", "is_last_user",
      "thinking", "enable_thinking", "prefix",          "split",         "type",        "true"};
  const JinjaWord* wrong = first_of({words.foreign({kMore, kToolNames}, known), words.stray_text()});
  if (wrong != nullptr) return refuse(style.family, wrong);
  const std::string user = "'" + std::string(kUser), answer = "'" + std::string(kAnswer),
                    end = "'" + std::string(kEnd);
  // All system messages, or the last of them.
  const bool joined =
      words.has_run({"=", "ns", ".", "system_prompt", "+", "'\n\n", "+", "message", ".", "content"});
  const bool last = words.has_run({"ns", ".", "system_prompt", "=", "message", ".", "content"});
  if ((!joined && !last) || !words.has_run({"bos_token", "ns", ".", "system_prompt"}) ||
      !words.has_run({user, "+", "message", ".", "content"}))
    return refuse(style.family, nullptr);
  style.system = joined ? ChatStyle::System::kCollected : ChatStyle::System::kOneCollected;
  style.open = kUser;
  style.close = style.system_close = "";
  const bool first_part = words.has_run({"if", "'</think>", "in", "content", "set", "content", "=", "content",
                                         ".", "split", "(", "'</think>", ",", "1", ")", "[", "1", "]"});
  const bool last_part = words.has_run({"if", "'</think>", "in", "content", "set", "content", "=", "content",
                                        ".", "split", "(", "'</think>", ")", "[", "-", "1", "]"});
  style.thoughts = first_part  ? ChatStyle::Thoughts::kDroppedToFirstEnd
                   : last_part ? ChatStyle::Thoughts::kDropped
                               : ChatStyle::Thoughts::kKept;
  if (words.has_name("is_last_user")) {
    // Version 3.1: an answer's mark, and that it has no thoughts, only where it follows a user's message.
    for (const std::string none : {"'</think>", "'<think></think>"}) {
      if (words.has_run({"if", "ns", ".", "is_last_user", answer, "if", "message", ".", "prefix"}) &&
          words.has_run({"'<think>", "else", none, "endif", "endif"}) &&
          words.has_run({"content", "+", end}) && words.has_run({"set", "thinking", "=", "false"}) &&
          words.has_run({"if",       "add_generation_prompt",
                         "and",      "ns",
                         ".",        "is_last_user",
                         "and",      "not",
                         "ns",       ".",
                         "is_tool",  answer,
                         "if",       "not",
                         "thinking", none,
                         "else",     "'<think>",
                         "endif",    "endif"}))
        style.answer_prefix = std::string(kAnswer) + none.substr(1);
    }
    if (style.answer_prefix.empty()) return refuse(style.family, nullptr);
    style.answer_follows_user = style.generate_after_user_only = true;
    style.generation = style.answer_prefix;
  } else {
    if (!words.has_run({answer, "+", "content", "+", end}) &&
        !(style.thoughts == ChatStyle::Thoughts::kKept &&
          words.has_run({answer, "+", "message", ".", "content", "+", end})))
      return refuse(style.family, nullptr);
    style.answer_prefix = kAnswer;
    for (const std::string_view tail : {"", "<think>\n"}) {
      const std::string mark = answer + std::string(tail);
      if (words.has_run({"if", "add_generation_prompt", mark, "endif"}) ||
          words.has_run({"if", "add_generation_prompt", "and", "not", "ns", ".", "is_tool", mark, "endif"}))
        style.generation = mark.substr(1);
      // A switch that nobody has set.
      if (words.has_run({"if", "add_generation_prompt", "and", "not", "ns", ".", "is_tool", mark, "if", "not",
                         "enable_thinking", "'</think>", "endif", "endif"}))
        style.generation = mark.substr(1) + "</think>";
    }
    if (style.generation.empty()) return refuse(style.family, nullptr);
  }
  style.answer_suffix = kEnd;
  return style;
}

}  // namespace agon::llm
