// Chat templates around [INST]: Llama 2, and Mistral's of all versions.
#include <string>

#include "agon/llm/tokenizer/chat_words.h"

namespace agon::llm {

using namespace chat;

namespace {

// Names that templates with a turn for the system message use besides.
constexpr std::string_view kSystemNames[] = {"today",
                                             "default_system_message",
                                             "parallel_tool_prompt",
                                             "filtered_messages",
                                             "get",
                                             "block",
                                             "system_prompt",
                                             "arguments",
                                             "tools_description",
                                             "has_tools",
                                             "text",
                                             "type"};

/// Mistral's version 7 and later: a system message has marks of its own. Some print a default one, and some
/// of these have today's date in it.
struct SystemPrompt {
  std::string_view open, close;
  std::vector<std::string_view> texts;  // of the default message and of what is said about tools
  bool has_default = false, dated = false;
  std::string default_text;

  explicit SystemPrompt(const Words& words) {
    for (const JinjaWord& word : words.all()) {
      if (word.kind != Kind::kString) continue;
      if (one_of(word.text, {"[SYSTEM_PROMPT]", "[SYSTEM_PROMPT] "})) open = word.text;
      if (word.text == "[/SYSTEM_PROMPT]") close = word.text;
    }
    if (open.empty()) return;
    has_default = words.has_run({"set", "default_system_message", "="});
    for (const char* name : {"default_system_message", "parallel_tool_prompt"}) {
      const bool is_default = std::string_view(name) == "default_system_message";
      std::size_t i = words.find_run({"set", name, "="});
      for (i += 3; i < words.all().size() && words.all()[i].kind != Kind::kBlock &&
                   words.all()[i].kind != Kind::kOutput && words.all()[i].kind != Kind::kText;
           ++i) {
        const JinjaWord& word = words.all()[i];
        if (word.kind == Kind::kString) {
          texts.push_back(word.text);
          if (is_default) default_text += word.text;
        } else if (is_default && word.kind == Kind::kName) {
          dated = true;
        }
      }
    }
  }
  [[nodiscard]] bool knows(std::string_view text) const {
    if (open.empty()) return false;
    return one_of(text, {open, close, "%Y-%m-%d", "[IMG]", "image_url", "[TOOL_CALLS]", "[ARGS]", "[CALL_ID]",
                         "[TOOL_RESULTS]", "[TOOL_CONTENT]", "[/TOOL_RESULTS]", "[AVAILABLE_TOOLS]"}) ||
           std::ranges::find(texts, text) != texts.end();
  }
  /// False when the template prints the marks in a way that is not known.
  [[nodiscard]] bool put_into(ChatStyle& style, const Words& words) const {
    style.system_open = open;
    style.system_close = close;
    style.alternate = alternates(words);
    const auto prints = [&](Texts content) {
      std::vector<std::string_view> run;
      const std::string begin = "'" + std::string(open), end = "'" + std::string(close);
      run.push_back(begin);
      run.insert(run.end(), content.begin(), content.end());
      run.push_back(end);
      return words.has_run(std::span<const std::string_view>(run));
    };
    const bool in_place = prints({"+", "message", ".", "content", "+"});
    const bool before = prints({"+", "system_message", "+"}) || prints({"+", "system_prompt", "+"});
    if (!in_place && !before) return false;
    style.system = in_place ? ChatStyle::System::kTurn : ChatStyle::System::kFirstTurn;
    if (has_default && !before) return false;
    if (has_default) {
      style.dated_default = dated;
      if (!dated) style.default_system = default_text;
    }
    return prints_user(style, words) && prints_answer(style, words);
  }

 private:
  [[nodiscard]] static bool prints_user(const ChatStyle& style, const Words& words) {
    const std::string mark = "'" + style.open, end = "'" + style.close;
    return words.has_run({mark, "+", "message", ".", "content", "+", end}) ||
           (words.has_run(
                {mark, "if", "message", ".", "content", "is", "string", "message", ".", "content", "else"}) &&
            words.has_run({"endif", end, "elif"}));
  }
  // Behind a test of its role, of which kind the contents are, or of calls of tools.
  [[nodiscard]] static bool prints_answer(ChatStyle& style, const Words& words) {
    if (words.has_run({"'assistant", "' ", "+", "message", ".", "content", "+", "eos_token"})) {
      style.answer_prefix = " ";
      return true;
    }
    return words.has_run({"'assistant", "message", ".", "content", "+", "eos_token"}) ||
           words.has_run({"'assistant", "if", "message", ".", "content", "is", "string", "message", ".",
                          "content", "+", "eos_token"}) ||
           (words.has_run({"'assistant", "if", "message", ".", "get", "(", "'tool_calls", ")"}) &&
            words.has_run({"elif", "message", ".", "content", "is", "string", "message", ".", "content", "+",
                           "eos_token"})) ||
           (words.has_run({"'assistant", "if", "message", ".", "content", "is", "string", "message", ".",
                           "content", "else"}) &&
            words.has_run({"endif", "eos_token", "elif"}));
  }
};

}  // namespace

Result<ChatStyle> chat::recognise_instructions(const Words& words) {
  ChatStyle style;
  const bool llama2 = words.has_string("<<SYS>>\n");
  style.family = llama2 ? "llama2" : "mistral";
  std::string_view open, close;
  for (const JinjaWord& word : words.all()) {
    if (word.kind != Kind::kString) continue;
    if (one_of(word.text, {"[INST]", "[INST] ", " [INST] "})) {
      if (!open.empty() && open != word.text) return refuse(style.family, &word);
      open = word.text;
    } else if (one_of(word.text, {"[/INST]", " [/INST]"})) {
      if (!close.empty() && close != word.text) return refuse(style.family, &word);
      close = word.text;
    }
  }
  if (open.empty() || close.empty()) return refuse(style.family, nullptr);
  style.open = open;
  style.close = close;
  // A default system message: {% set system_message = '...' %}, behind "true == true".
  if (const std::size_t at = words.find_run({"set", "system_message", "="});
      llama2 && words.has_run({"elif", "true", "=", "=", "true"}))
    for (std::size_t i = at; i + 3 < words.all().size(); ++i)
      if (words.all()[i].is(Kind::kName, "system_message") && words.all()[i + 1].text == "=" &&
          words.all()[i + 2].kind == Kind::kString)
        style.default_system = words.all()[i + 2].text;
  const bool unused_default = llama2 && words.has_run({"elif", "false", "=", "=", "true"});
  const SystemPrompt prompt(words);
  const auto known = [&](std::string_view text) {
    if (one_of(text, {open, close, " ", "\n\n"}) || prompt.knows(text)) return true;
    if (llama2)
      return one_of(text, {"<<SYS>>\n", "\n<</SYS>>\n\n", "<<SYS>>"}) || unused_default ||
             (!style.default_system.empty() && text == style.default_system);
    return words.has_name("tools") && one_of(text, {"[AVAILABLE_TOOLS][",
                                                    "[AVAILABLE_TOOLS] [",
                                                    "[/AVAILABLE_TOOLS]",
                                                    "[TOOL_CALLS][",
                                                    "[TOOL_CALLS] [",
                                                    "[TOOL_RESULTS]{\"content\": ",
                                                    "[TOOL_RESULTS] {\"content\": ",
                                                    "}[/TOOL_RESULTS]",
                                                    "\"}[/TOOL_RESULTS]",
                                                    "{\"type\": \"function\", \"function\": {",
                                                    "\"",
                                                    "\": \"",
                                                    "\": ",
                                                    ", ",
                                                    "}}",
                                                    "]",
                                                    "return",
                                                    ", \"id\": \"",
                                                    "\"}",
                                                    "\"call_id\": \"",
                                                    "function",
                                                    "id",
                                                    "tool_call_id"});
  };
  constexpr std::string_view kMore[] = {"eos_token", "strip", "trim", "true"};
  const JinjaWord* wrong = first_of(
      {words.foreign({kMore, kToolNames, prompt.open.empty() ? Names() : Names(kSystemNames)}, known),
       words.stray_text()});
  if (wrong != nullptr) return refuse(style.family, wrong);
  if (!words.has_name("eos_token")) return refuse(style.family, nullptr);

  const bool reads_system = words.has_run({"set", "system_message", "="});
  style.alternate = alternates(words);
  style.bos_each_turn = words.has_run({"bos_token", "+", "'[INST] "});
  if (words.has_run({"eos_token", "+", "' "})) style.answer_suffix = " ";
  if (llama2) {
    // ' ' + content.strip() + ' ' + eos_token
    style.system = ChatStyle::System::kFirstUser;
    if (!words.has_run({"'[INST] ", "+", "content", ".", "strip", "(", ")", "+", "' [/INST]"}) ||
        !words.has_run({"' ", "+", "content", ".", "strip", "(", ")", "+", "' ", "+", "eos_token"}))
      return refuse(style.family, nullptr);
    style.trim = style.trim_answer = true;
    style.answer_prefix = " ";
    style.newline = " ";  // between the answer and eos
    return style;
  }
  style.newline = "";
  if (!words.has_run({"+", "message", ".", "content", "+"})) return refuse(style.family, nullptr);
  if (!prompt.open.empty()) {
    if (!prompt.put_into(style, words)) return refuse(style.family, nullptr);
    return style;
  }
  if (words.has_run({"' ", "+", "message", ".", "content"})) style.answer_prefix = " ";
  style.trim_answer = words.has_run({"message", ".", "content", "|", "trim", "+", "eos_token"});
  if (words.has_name("strip") || (words.has_name("trim") && !style.trim_answer))
    return refuse(style.family, nullptr);
  style.system = !reads_system ? ChatStyle::System::kRefused
                 : words.has_run({"loop", ".", "last", "and", "system_message"})
                     ? ChatStyle::System::kLastUser
                     : ChatStyle::System::kFirstUser;
  if (reads_system && !words.has_run({"+", "system_message", "+", "'\n\n", "+"}))
    return refuse(style.family, nullptr);
  return style;
}

}  // namespace agon::llm
