// Conversations to prompts, by the chat template that a GGUF file carries.
#pragma once

#include <span>
#include <string>
#include <string_view>

#include "agon/base/error.h"
#include "agon/llm/gguf/file.h"

namespace agon::llm {

struct ChatMessage {
  std::string role;  ///< "system", "user" or "assistant".
  std::string content;
};

/// A template of a known family. The Jinja text in the file is recognised, not executed: a stranger's program
/// is never run. Families: ChatML (SmolLM2, Qwen2, Qwen3), Llama 2, Llama 3, Mistral, Gemma, Phi 3, Zephyr.
class ChatTemplate {
 public:
  /// From tokenizer.chat_template. No template, or one that is not recognised, is an error with advice
  /// (--raw, or --template NAME).
  static Result<ChatTemplate> read(const gguf::Metadata& metadata);
  /// By family name: "chatml", "llama2", "llama3", "mistral", "gemma", "phi3", "zephyr".
  static Result<ChatTemplate> named(std::string_view family);

  /// The prompt, to be encoded with parse_special and add_special (BOS is never part of the text).
  /// With `add_generation_prompt` it ends where the assistant's answer starts. A role the family does not
  /// know, or an order it refuses, is an error.
  [[nodiscard]] Result<std::string> render(std::span<const ChatMessage> messages,
                                           bool add_generation_prompt) const;
  [[nodiscard]] const std::string& family() const { return family_; }

 private:
  std::string family_;
  std::string default_system_;  ///< What the template puts in when no system message is given.
};

}  // namespace agon::llm
