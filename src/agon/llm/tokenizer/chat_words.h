// A chat template's words, and what the families' recognisers ask of them. Internal to chat_recognise*.cpp.
//
// Every family is described by the literals its templates print and the names they use. A template with one
// more is refused. Then details are read from which of the literals are there, and from short runs of words.
#pragma once

#include <algorithm>
#include <initializer_list>
#include <span>
#include <string_view>
#include <vector>

#include "agon/llm/tokenizer/chat_template.h"
#include "agon/llm/tokenizer/jinja_text.h"

namespace agon::llm::chat {

using Kind = JinjaWord::Kind;
using Texts = std::initializer_list<std::string_view>;
using Names = std::span<const std::string_view>;

/// Names that templates of all families use.
inline constexpr std::string_view kNames[] = {"messages",
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
inline constexpr std::string_view kToolNames[] = {"tools",
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
inline constexpr std::string_view kLiterals[] = {"",        "system",  "user",    "assistant",   "role",
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
  /// True when these words stand in a row, in one tag or over the borders of several; "'x" is the literal x,
  /// letters are a name, others operators.
  [[nodiscard]] bool has_run(Texts run) const { return has_run(Names(run.begin(), run.size())); }
  [[nodiscard]] bool has_run(Names run) const { return find_run(run) != words_.size(); }
  [[nodiscard]] std::size_t find_run(Texts run) const { return find_run(Names(run.begin(), run.size())); }
  [[nodiscard]] std::size_t find_run(Names run) const {
    const auto matches = [](const JinjaWord& word, std::string_view wanted) {
      if (wanted.starts_with('\'')) return word.is(Kind::kString, wanted.substr(1));
      return word.text == wanted && (word.kind == Kind::kName || word.kind == Kind::kOperator);
    };
    const auto is_border = [](const JinjaWord& word) {
      return word.kind == Kind::kBlock || word.kind == Kind::kOutput;
    };
    for (std::size_t begin = 0; begin < words_.size(); ++begin) {
      auto wanted = run.begin();
      for (std::size_t i = begin; i < words_.size() && wanted != run.end(); ++i) {
        if (i > begin && is_border(words_[i])) continue;
        if (!matches(words_[i], *wanted)) break;
        ++wanted;
      }
      if (wanted == run.end()) return begin;
    }
    return words_.size();
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

/// What can be done about a template that is not taken.
inline constexpr const char* kTemplateAdvice =
    "a template of the families chatml, llama2, llama3, mistral, gemma, phi3, zephyr or deepseek, or "
    "SmolLM3's; --template NAME uses one of the first seven, --raw none";

[[nodiscard]] inline bool one_of(std::string_view text, Texts texts) {
  return std::ranges::find(texts, text) != texts.end();
}
[[nodiscard]] inline bool begins_with_one(std::string_view text, Texts texts) {
  return std::ranges::any_of(texts, [&](std::string_view start) { return text.starts_with(start); });
}
[[nodiscard]] inline const JinjaWord* first_of(std::initializer_list<const JinjaWord*> candidates) {
  for (const JinjaWord* word : candidates)
    if (word != nullptr) return word;
  return nullptr;
}
/// The template raises an exception where user and assistant don't take turns.
[[nodiscard]] bool alternates(const Words& words);
/// The error with advice: which family it resembles, and the word that is none of that family's.
[[nodiscard]] std::unexpected<Error> refuse(std::string_view resembles, const JinjaWord* because);

/// Llama 2 and Mistral.
[[nodiscard]] Result<ChatStyle> recognise_instructions(const Words& words);
[[nodiscard]] Result<ChatStyle> recognise_smollm3(const Words& words);
[[nodiscard]] Result<ChatStyle> recognise_deepseek(const Words& words);

}  // namespace agon::llm::chat
