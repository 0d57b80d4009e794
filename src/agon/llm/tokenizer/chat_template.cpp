#include "agon/llm/tokenizer/chat_template.h"

#include <optional>

#include "agon/llm/tokenizer/byte_text.h"

namespace agon::llm {
namespace {

using System = ChatStyle::System;

/// What Python's str.strip takes away, as templates are written for it.
bool is_python_space(char32_t c) {
  return (c >= 9 && c <= 13) || (c >= 0x1C && c <= 0x20) || c == 0x85 || c == 0xA0 || c == 0x1680 ||
         (c >= 0x2000 && c <= 0x200A) || c == 0x2028 || c == 0x2029 || c == 0x202F || c == 0x205F ||
         c == 0x3000;
}

std::string_view trimmed(std::string_view text) {
  while (!text.empty()) {
    const LenientChar c = decode_lenient(text, 0);
    if (!is_python_space(c.code)) break;
    text.remove_prefix(c.bytes);
  }
  while (!text.empty()) {
    std::size_t at = text.size() - 1;
    while (at > 0 && text.size() - at < 4 && (static_cast<std::uint8_t>(text[at]) & 0xC0) == 0x80) --at;
    const LenientChar c = decode_lenient(text, at);
    if (at + c.bytes != text.size() || !is_python_space(c.code)) break;
    text.remove_suffix(c.bytes);
  }
  return text;
}

std::string_view without_newlines(std::string_view text, bool left, bool right) {
  while (left && text.starts_with('\n')) text.remove_prefix(1);
  while (right && text.ends_with('\n')) text.remove_suffix(1);
  return text;
}

std::string replaced(std::string text, std::string_view what) {
  for (std::size_t at = text.find(what); at != std::string::npos; at = text.find(what, at))
    text.erase(at, what.size());
  return text;
}

std::string_view without_thoughts(std::string_view text, ChatStyle::Thoughts thoughts, bool last) {
  constexpr std::string_view kEnd = "</think>";
  const bool to_first = thoughts == ChatStyle::Thoughts::kDroppedToFirstEnd;
  const std::size_t end = to_first ? text.find(kEnd) : text.rfind(kEnd);
  switch (thoughts) {
    case ChatStyle::Thoughts::kKept:
      return text;
    case ChatStyle::Thoughts::kInLastAnswer:
      if (last) return text;
      if (end != std::string_view::npos) text.remove_prefix(end + kEnd.size());
      return without_newlines(text, true, false);
    case ChatStyle::Thoughts::kDropped:
    case ChatStyle::Thoughts::kDroppedToFirstEnd:
      if (end != std::string_view::npos) text.remove_prefix(end + kEnd.size());
      return text;
  }
  return text;
}

std::unexpected<Error> refuse(std::string message, std::string expected = {}) {
  Error error;
  error.message = "chat template: " + std::move(message);
  error.expected = std::move(expected);
  return std::unexpected(std::move(error));
}

/// A conversation whose system message is split off.
struct Conversation {
  std::optional<std::string> system;
  std::span<const ChatMessage> turns;
};

class Renderer {
 public:
  Renderer(const ChatStyle& style, bool generate)
      : style_(style), generate_(generate || style.always_generate) {}

  std::string render(std::span<const ChatMessage> messages) {
    Conversation all;
    all.turns = messages;
    if (messages.front().role == "system") {
      all.system = messages.front().content;
      all.turns = messages.subspan(1);
    }
    if (style_.family == "chatml") {
      chatml(messages, all);
    } else if (style_.family == "llama3") {
      llama3(all);
    } else if (style_.family == "llama2" || style_.family == "mistral") {
      instructions(all);
    } else if (style_.family == "gemma") {
      gemma(all);
    } else if (style_.family == "phi3") {
      phi3(messages);
    } else if (style_.family == "smollm3") {
      smollm3(all);
    } else if (style_.family == "deepseek") {
      deepseek(messages);
    } else {
      zephyr(messages);
    }
    return std::move(out_);
  }

 private:
  void add(std::initializer_list<std::string_view> parts) {
    for (const std::string_view part : parts) out_ += part;
  }
  [[nodiscard]] std::string_view content(const std::string& text) const {
    return style_.trim ? trimmed(text) : std::string_view(text);
  }

  void chatml(std::span<const ChatMessage> messages, const Conversation& all) {
    if (!all.system && !style_.default_system.empty())
      add({"<|im_start|>system\n", style_.default_system, "<|im_end|>\n"});
    std::size_t last_query = messages.size() - 1;
    for (std::size_t i = messages.size(); i-- > 0;) {
      const std::string& text = messages[i].content;
      if (messages[i].role != "user" ||
          (text.starts_with("<tool_response>") && text.ends_with("</tool_response>")))
        continue;
      last_query = i;
      break;
    }
    for (std::size_t i = 0; i < messages.size(); ++i) {
      add({"<|im_start|>", messages[i].role, "\n"});
      if (style_.thinking && messages[i].role == "assistant")
        answer_with_thoughts(messages[i].content, i > last_query, i + 1 == messages.size());
      else if (messages[i].role == "assistant")
        add({without_thoughts(messages[i].content, style_.thoughts, i + 1 == messages.size())});
      else
        add({messages[i].content});
      if (!style_.open_end || generate_ || i + 1 < messages.size()) add({"<|im_end|>\n"});
    }
    const bool answered = style_.generate_after_user_only && messages.back().role == "assistant";
    if (generate_ && !answered) add({"<|im_start|>assistant\n", style_.generation_suffix});
  }

  /// Qwen3: what stands between <think> and </think> is shown only in answers to the last question.
  void answer_with_thoughts(std::string_view text, bool after_last_query, bool last) {
    constexpr std::string_view kOpen = "<think>", kClose = "</think>";
    std::string_view thoughts, answer = text;
    if (const std::size_t end = text.rfind(kClose); end != std::string_view::npos) {
      answer = without_newlines(text.substr(end + kClose.size()), true, false);
      thoughts = without_newlines(text.substr(0, text.find(kClose)), false, true);
      if (const std::size_t begin = thoughts.rfind(kOpen); begin != std::string_view::npos)
        thoughts.remove_prefix(begin + kOpen.size());
      thoughts = without_newlines(thoughts, true, false);
    }
    if (after_last_query && (last || !thoughts.empty()))
      add({"<think>\n", without_newlines(thoughts, true, true), "\n</think>\n\n",
           without_newlines(answer, true, false)});
    else
      add({answer});
  }

  void llama3(const Conversation& all) {
    const auto turn = [&](std::string_view role, std::string_view before, const std::string& text) {
      add({"<|start_header_id|>", role, "<|end_header_id|>\n\n", before, content(text), "<|eot_id|>"});
    };
    if (style_.dates)
      turn("system", "Cutting Knowledge Date: December 2023\nToday Date: 26 Jul 2024\n\n",
           all.system.value_or(""));
    else if (all.system)
      turn("system", "", *all.system);
    for (const ChatMessage& message : all.turns) turn(message.role, "", message.content);
    if (generate_) add({"<|start_header_id|>assistant<|end_header_id|>\n\n"});
  }

  void smollm3(const Conversation& all) {
    bool thinks = true;
    std::string system;
    if (all.system) {
      thinks = all.system->find("/no_think") == std::string::npos;
      system = replaced(replaced(*all.system, "/no_think"), "/think");
      system.resize(trimmed("." + system).size() - 1);  // at the end only
    }
    if (system.empty()) system = thinks ? style_.default_system : style_.default_without_thoughts;
    add({"<|im_start|>system\n## Metadata\n\nKnowledge Cutoff Date: June 2025\nReasoning Mode: ",
         thinks ? "/think" : "/no_think", "\n\n## Custom Instructions\n\n", system, "\n\n<|im_end|>\n"});
    const std::string_view thoughts = thinks ? "" : "<think>\n\n</think>\n";
    for (const ChatMessage& message : all.turns) {
      add({"<|im_start|>", message.role, "\n"});
      if (message.role == "assistant")
        add({thoughts, without_newlines(message.content, true, false)});
      else
        add({message.content});
      add({"<|im_end|>\n"});
    }
    if (generate_) add({"<|im_start|>assistant\n", thoughts});
  }

  void deepseek(std::span<const ChatMessage> messages) {
    const bool in_place = style_.system == System::kTurn;
    bool first = true;
    for (const ChatMessage& message : messages) {
      if (in_place || message.role != "system") continue;
      add({first ? "" : "\n\n", message.content});
      first = false;
    }
    bool after_user = false;
    for (const ChatMessage& message : messages) {
      if (message.role == "system") {
        if (in_place) add({message.content, style_.system_close});
        continue;
      }
      if (message.role == "user") {
        add({style_.open, message.content, style_.close});
      } else {
        if (!style_.answer_follows_user || after_user) add({style_.answer_prefix});
        add({without_thoughts(message.content, style_.thoughts, false),
             style_.answer_suffix.empty() ? style_.eos : style_.answer_suffix});
      }
      after_user = message.role == "user";
    }
    if (generate_ && (!style_.generate_after_user_only || after_user)) add({style_.generation});
  }

  void instructions(const Conversation& all) {
    const bool llama2 = style_.family == "llama2";
    const bool turn = !style_.system_open.empty();
    std::optional<std::string> system = all.system;
    if (!system && !style_.default_system.empty()) system = style_.default_system;
    if (turn && system) add({style_.system_open, *system, style_.system_close});
    if (turn) system = std::nullopt;
    for (std::size_t i = 0; i < all.turns.size(); ++i) {
      const ChatMessage& message = all.turns[i];
      if (message.role == "system") {
        add({style_.system_open, message.content, style_.system_close});
      } else if (message.role == "user") {
        if (style_.bos_each_turn && i > 0) add({style_.bos});
        const bool here = system && (style_.system == System::kLastUser ? i + 1 == all.turns.size() : i == 0);
        std::string text;
        if (here && llama2)
          text = "<<SYS>>\n" + *system + "\n<</SYS>>\n\n";
        else if (here)
          text = *system + style_.system_end;
        text += message.content;
        add({style_.open, content(text), style_.close});
      } else {
        const std::string_view text = style_.trim_answer ? trimmed(message.content) : message.content;
        add({style_.answer_prefix, text, style_.newline, style_.eos, style_.answer_suffix});
      }
    }
  }

  void gemma(const Conversation& all) {
    for (std::size_t i = 0; i < all.turns.size(); ++i) {
      const ChatMessage& message = all.turns[i];
      add({"<start_of_turn>", message.role == "assistant" ? "model" : message.role, "\n"});
      if (i == 0 && all.system) add({*all.system, style_.system_end});
      add({content(message.content), "<end_of_turn>\n"});
    }
    if (generate_) add({"<start_of_turn>model\n"});
  }

  void phi3(std::span<const ChatMessage> messages) {
    for (const ChatMessage& message : messages) {
      if (style_.answer_follows_user && message.role == "assistant") {
        add({message.content, "<|end|>\n"});
        continue;
      }
      if (message.role == "system" && message.content.empty() && style_.skip_empty_system) continue;
      add({"<|", message.role, "|>", style_.newline, message.content, "<|end|>", style_.newline});
      if (style_.answer_follows_user && message.role == "user") add({"<|assistant|>\n"});
    }
    if (style_.answer_follows_user) return;
    const bool answered = style_.generate_after_user_only && messages.back().role == "assistant";
    if (generate_ && !answered)
      add({"<|assistant|>", style_.newline});
    else if (style_.eos_at_end)
      add({style_.eos});
  }

  void zephyr(std::span<const ChatMessage> messages) {
    for (const ChatMessage& message : messages)
      add({"<|", message.role, "|>\n", message.content, style_.eos, "\n"});
    if (generate_) add({"<|assistant|>\n"});
  }

  const ChatStyle& style_;
  const bool generate_;
  std::string out_;
};

/// The text of the token that the file names, or the fallback.
std::string token_text(const gguf::Metadata& metadata, std::string_view key, std::string_view fallback) {
  const auto id = metadata.integer_or(key, -1);
  const gguf::Strings* tokens = metadata.strings("tokenizer.ggml.tokens");
  if (!id || tokens == nullptr || *id < 0 || *id >= std::int64_t(tokens->size()))
    return std::string(fallback);
  return (*tokens)[std::size_t(*id)];
}

void set_token_texts(const gguf::Metadata& metadata, ChatStyle& style) {
  style.bos = token_text(metadata, "tokenizer.ggml.bos_token_id", style.bos);
  style.eos = token_text(metadata, "tokenizer.ggml.eos_token_id", style.eos);
}

}  // namespace

Result<ChatTemplate> ChatTemplate::read(const gguf::Metadata& metadata) {
  constexpr const char* kKey = "tokenizer.chat_template";
  if (!metadata.has(kKey))
    return refuse("the file has none", "--template NAME to choose one, or --raw to do without");
  AGON_ASSIGN(const std::string jinja, metadata.string(kKey));
  AGON_ASSIGN(ChatStyle style, recognise_chat_template(jinja));
  set_token_texts(metadata, style);
  return ChatTemplate(std::move(style));
}

Result<ChatTemplate> ChatTemplate::named(std::string_view family, const gguf::Metadata* metadata) {
  ChatStyle style;
  style.family = family;
  if (family == "llama3") {
    style.trim = true;
  } else if (family == "llama2") {
    style.system = System::kFirstUser;
    style.alternate = style.trim = style.trim_answer = style.bos_each_turn = true;
    style.answer_prefix = style.newline = " ";
  } else if (family == "mistral") {
    style.system = System::kFirstUser;
    style.alternate = true;
    style.newline = "";
  } else if (family == "gemma") {
    style.system = System::kFirstUser;
    style.alternate = style.trim = true;
  } else if (family != "chatml" && family != "phi3" && family != "zephyr") {
    Error error;
    error.message = "'" + std::string(family) + "' is no chat template";
    error.expected = "chatml, llama2, llama3, mistral, gemma, phi3 or zephyr";
    error.kind = ErrorKind::kUsage;
    return std::unexpected(std::move(error));
  }
  if (metadata != nullptr) set_token_texts(*metadata, style);
  return ChatTemplate(std::move(style));
}

Result<std::string> ChatTemplate::render(std::span<const ChatMessage> messages,
                                         bool add_generation_prompt) const {
  if (messages.empty()) return refuse("no message");
  for (std::size_t i = 0; i < messages.size(); ++i) {
    const std::string& role = messages[i].role;
    const std::string place = "message " + std::to_string(i + 1);
    if (role != "system" && role != "user" && role != "assistant")
      return refuse(place + " has the role '" + role + "'", "system, user or assistant");
    if (role != "system") continue;
    if (style_.system == System::kRefused) return refuse(place + ": this model takes no system message");
    const bool anywhere = style_.system == System::kTurn || style_.system == System::kCollected;
    if (i > 0 && !anywhere) return refuse(place + " is a system message", "the system message first, if any");
  }
  if (style_.dated_default && messages.front().role != "system")
    return refuse("without a system message the template prints one with today's date", "a system message");
  if (style_.system == System::kLastUser && messages.front().role == "system" &&
      messages.back().role != "user")
    return refuse("a system message goes before the last message", "a user message at the end");
  if (style_.system == System::kFirstUser && messages.front().role == "system" && messages.size() == 1)
    return refuse("a system message alone", "a user message behind it");
  if (style_.alternate)
    for (std::size_t i = messages.front().role == "system", turn = 0; i < messages.size(); ++i, ++turn)
      if ((messages[i].role == "user") != (turn % 2 == 0))
        return refuse("message " + std::to_string(i + 1) + " is the " + messages[i].role + "'s",
                      "user and assistant in turn, the user first");
  return Renderer(style_, add_generation_prompt).render(messages);
}

}  // namespace agon::llm
