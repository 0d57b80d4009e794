// Which family a chat template belongs to, and how it differs from its kin.
//
// Every family is described by the literals its templates print and the names they use. A template with one
// more is refused. Then details are read from which of the literals are there, and from short runs of words.
#include <algorithm>
#include <array>
#include <initializer_list>
#include <span>

#include "agon/llm/tokenizer/chat_template.h"
#include "agon/llm/tokenizer/jinja_text.h"
#include "agon/text/utf8.h"

namespace agon::llm {
namespace {

using Kind = JinjaWord::Kind;
using Texts = std::initializer_list<std::string_view>;
using Names = std::span<const std::string_view>;

constexpr std::string_view kAdvice =
    "a template of the families chatml, llama2, llama3, mistral, gemma, phi3 or zephyr; --template "
    "NAME uses one of these, --raw none";

/// Names that templates of all families use.
constexpr std::string_view kNames[] = {"messages",
                                       "message",
                                       "loop",
                                       "first",
                                       "last",
                                       "index0",
                                       "if",
                                       "else",
                                       "elif",
                                       "endif",
                                       "for",
                                       "endfor",
                                       "in",
                                       "set",
                                       "not",
                                       "and",
                                       "or",
                                       "is",
                                       "defined",
                                       "none",
                                       "role",
                                       "content",
                                       "system_message",
                                       "loop_messages",
                                       "add_generation_prompt",
                                       "raise_exception",
                                       "string",
                                       "false",
                                       "bos_token",
                                       "namespace",
                                       "ns",
                                       "length"};
/// Names around tools, which agon gives none of.
constexpr std::string_view kToolNames[] = {"tools",
                                           "tool",
                                           "tool_calls",
                                           "tool_call",
                                           "function",
                                           "name",
                                           "arguments",
                                           "tojson",
                                           "custom_tools",
                                           "tools_in_user_message",
                                           "true",
                                           "date_string",
                                           "strftime_now",
                                           "builtin_tools",
                                           "reject",
                                           "join",
                                           "t",
                                           "indent",
                                           "first_user_message",
                                           "arg_name",
                                           "arg_val",
                                           "items",
                                           "mapping",
                                           "iterable",
                                           "user_messages",
                                           "selectattr",
                                           "list",
                                           "index",
                                           "key",
                                           "val",
                                           "out",
                                           "id",
                                           "tool_call_id",
                                           "None",
                                           "undefined",
                                           "tool_results",
                                           "available_tools",
                                           "call_id",
                                           "safe"};
/// Literals that are compared with, or looked up.
constexpr std::string_view kLiterals[] = {"",        "system",  "user",    "assistant",   "role",
                                          "content", "tool",    "text",    "tool_calls",  "type",
                                          "image",   "ipython", "equalto", "tool_results"};

class Words {
 public:
  /// message['role'] and message.role become one.
  explicit Words(std::vector<JinjaWord> words) {
    const auto closes = [&](std::size_t i) {
      return i + 2 < words.size() && words[i].is(Kind::kOperator, "[") &&
             words[i + 1].kind == Kind::kString && words[i + 2].is(Kind::kOperator, "]");
    };
    for (std::size_t i = 0; i < words.size(); ++i) {
      const bool indexed =
          !words_.empty() && (words_.back().kind == Kind::kName || words_.back().text == "]");
      if (indexed && closes(i)) {
        words_.push_back({Kind::kOperator, "."});
        words_.push_back({Kind::kName, std::move(words[i + 1].text)});
        i += 2;
      } else {
        words_.push_back(std::move(words[i]));
      }
    }
  }

  [[nodiscard]] bool has(Kind kind, std::string_view text) const {
    return std::ranges::any_of(words_, [&](const JinjaWord& word) { return word.is(kind, text); });
  }
  [[nodiscard]] bool has_name(std::string_view name) const { return has(Kind::kName, name); }
  [[nodiscard]] bool has_string(std::string_view text) const { return has(Kind::kString, text); }
  /// True when these words stand in a row; "'x" is the literal x, letters are a name, others operators.
  [[nodiscard]] bool has_run(Texts run) const { return find_run(run) != words_.size(); }
  [[nodiscard]] std::size_t find_run(Texts run) const {
    const auto matches = [](const JinjaWord& word, std::string_view wanted) {
      if (wanted.starts_with('\'')) return word.is(Kind::kString, wanted.substr(1));
      return word.text == wanted && (word.kind == Kind::kName || word.kind == Kind::kOperator);
    };
    return std::size_t(std::ranges::search(words_, run, matches).begin() - words_.begin());
  }
  [[nodiscard]] const std::vector<JinjaWord>& all() const { return words_; }

  /// The first word that is neither in the lists nor `allowed` by a test of its literal; null when none.
  template <class Allowed>
  [[nodiscard]] const JinjaWord* foreign(std::initializer_list<Names> names, Allowed&& allowed) const {
    for (std::size_t i = 0; i < words_.size(); ++i) {
      const JinjaWord& word = words_[i];
      const auto in = [&](Names texts) { return std::ranges::find(texts, word.text) != texts.end(); };
      if (word.kind == Kind::kName) {
        if (!in(kNames) && !std::ranges::any_of(names, in)) return &word;
      } else if (word.kind == Kind::kString) {
        const bool complaint = i >= 2 && words_[i - 2].is(Kind::kName, "raise_exception");
        if (!complaint && !in(kLiterals) && !allowed(word.text)) return &word;
      }
    }
    return nullptr;
  }
  /// Text outside of tags other than `allowed`.
  [[nodiscard]] const JinjaWord* stray_text(std::string_view allowed = "") const {
    for (const JinjaWord& word : words_)
      if (word.kind == Kind::kText && (allowed.empty() || word.text != allowed)) return &word;
    return nullptr;
  }

 private:
  std::vector<JinjaWord> words_;
};

bool one_of(std::string_view text, Texts texts) { return std::ranges::find(texts, text) != texts.end(); }
bool begins_with_one(std::string_view text, Texts texts) {
  return std::ranges::any_of(texts, [&](std::string_view start) { return text.starts_with(start); });
}

bool alternates(const Words& words) {
  return words.has_name("raise_exception") &&
         (words.has_run({"loop", ".", "index0", "%", "2"}) || words.has_run({"ns", ".", "index", "%", "2"}));
}

std::unexpected<Error> refuse(std::string_view resembles, const JinjaWord* because) {
  Error error;
  error.message = "tokenizer.chat_template is not one that agon knows";
  if (!resembles.empty()) error.message += "; it resembles " + std::string(resembles);
  if (because != nullptr) {
    std::string text = because->text.substr(0, 40);
    repair_utf8(text);
    std::ranges::replace(text, '\n', ' ');
    error.message += " but for '" + text + "'";
  }
  error.expected = kAdvice;
  return std::unexpected(std::move(error));
}

const JinjaWord* first_of(std::initializer_list<const JinjaWord*> candidates) {
  for (const JinjaWord* word : candidates)
    if (word != nullptr) return word;
  return nullptr;
}

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
  const JinjaWord* wrong =
      first_of({words.foreign({kToolNames, style.thinking ? Names(kThinkingNames) : Names()}, known),
                words.stray_text()});
  if (wrong != nullptr) return refuse(style.family, wrong);
  if (!words.has_name("add_generation_prompt") || !words.has_run({"for", "message", "in", "messages"}) ||
      !(words.has_run({"'<|im_start|>", "+", "message", ".", "role", "+", "'\n", "+", "message", ".",
                       "content", "+", "'<|im_end|>\n"}) ||
        (style.thinking && words.has_run({"'<|im_start|>", "+", "message", ".", "role", "+", "'\n", "+",
                                          "content", "+", "'<|im_end|>\n"}))))
    return refuse(style.family, nullptr);
  if (style.thinking &&
      !words.has_run({"'\n<think>\n", "+", "reasoning_content", ".", "strip", "(", "'\n", ")", "+",
                      "'\n</think>\n\n", "+", "content", ".", "lstrip", "(", "'\n", ")"}))
    return refuse(style.family, nullptr);
  if (words.has_string("<|im_start|>assistant\n<think>\n")) style.generation_suffix = "<think>\n";
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

Result<ChatStyle> instructions(const Words& words) {  // Llama 2 and Mistral
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
  const auto known = [&](std::string_view text) {
    if (one_of(text, {open, close, " ", "\n\n"})) return true;
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
  const JinjaWord* wrong = first_of({words.foreign({kMore, kToolNames}, known), words.stray_text()});
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
  AGON_ASSIGN(std::vector<JinjaWord> read, read_jinja(jinja));
  const Words words(std::move(read));
  const auto prints = [&](std::string_view mark) {
    return std::ranges::any_of(words.all(), [&](const JinjaWord& word) {
      return (word.kind == Kind::kString || word.kind == Kind::kText) &&
             word.text.find(mark) != std::string::npos;
    });
  };
  if (prints("<|im_start|>")) return chatml(words);
  if (prints("<|start_header_id|>")) return llama3(words);
  if (prints("[INST]")) return instructions(words);
  if (prints("<start_of_turn>")) return gemma(words);
  if (prints("<|end|>")) return phi3(words);
  if (prints("<|assistant|>") && words.has_name("eos_token")) return zephyr(words);
  return refuse("", nullptr);
}

}  // namespace agon::llm
