// Conversations to prompts, by the chat template that a GGUF file carries.
#pragma once

#include <cstdint>
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

/// How a family's template differs from model to model; read out of the Jinja text.
struct ChatStyle {
  /// Where a system message goes.
  enum class System : std::uint8_t {
    kTurn,          ///< A turn of its own.
    kFirstTurn,     ///< The same, only before all others.
    kFirstUser,     ///< Before the first user message, inside its turn.
    kLastUser,      ///< Before the last message, when that is the user's.
    kCollected,     ///< All of them before the first turn, wherever they stood.
    kOneCollected,  ///< The same, but only one is taken.
    kRefused,
  };
  /// What becomes of the thoughts in answers that were given: all up to "</think>".
  enum class Thoughts : std::uint8_t {
    kKept,
    kInLastAnswer,       ///< Kept in the last message only (QwQ).
    kDropped,            ///< Up to the last "</think>" (DeepSeek R1).
    kDroppedToFirstEnd,  ///< Up to the first (DeepSeek V3.1).
  };
  std::string family;
  std::string bos = "<s>", eos = "</s>";  ///< Texts of these tokens, for turns that begin or end with them.
  System system = System::kTurn;
  std::string default_system;       ///< Of the first turn when no system message is given; empty for none.
  std::string system_end = "\n\n";  ///< Between a system message and the user's, inside one turn.
  bool alternate = false;           ///< User and assistant must take turns, the user first.
  bool trim = false;                ///< White space around messages is dropped.
  Thoughts thoughts = Thoughts::kKept;
  /// The template prints a default system message with today's date in it, where none is given: agon asks for
  /// one.
  bool dated_default = false;
  bool always_generate = false;  ///< The start of the answer is there whether asked for or not.
  // ChatML
  bool thinking = false;          ///< Qwen3: thoughts are dropped from past answers, and shown in the last.
  std::string generation_suffix;  ///< Begins the answer, behind its role ("<think>\n").
  bool open_end = false;          ///< The last turn ends only where an answer is asked for (Qwen1.5).
  // SmolLM3
  std::string default_without_thoughts;  ///< The default system message where no thoughts are wanted.
  // Llama 2, Mistral and DeepSeek
  std::string system_open, system_close;             ///< Around a system message that is a turn of its own.
  std::string generation;                            ///< Starts the answer.
  std::string open = "[INST] ", close = " [/INST]";  ///< Around a user message.
  std::string answer_prefix, answer_suffix;          ///< Around an answer; its eos is between.
  bool bos_each_turn = false;
  bool trim_answer = false;
  // Llama 3
  bool dates = false;  ///< 3.1 and later: a system turn with dates, always.
  // Phi 3
  bool answer_follows_user = false;  ///< The first Phi 3: the assistant's mark ends the user's turn.
  bool eos_at_end = false;           ///< eos where no answer is asked for.
  bool skip_empty_system = false;
  bool generate_after_user_only = false;  ///< No start of an answer behind an answer.
  std::string newline = "\n";             ///< Behind marks and turns; Phi 4 mini has none.
};

/// A template of a known family. The Jinja text in the file is recognised, not executed: a stranger's program
/// is never run. Families: ChatML (SmolLM2, Qwen1.5 to Qwen3, QwQ), SmolLM3, Llama 2, Llama 3, Mistral (all
/// versions), Gemma, Phi 3, Zephyr, DeepSeek (V2 to V3.1, R1). Conversations here use no tools, so that what
/// a template does for them is passed over.
///
/// Recognised means: every literal and every name in the text is one that the family's templates are made of,
/// so that a template that prints anything else, or computes anything else, is refused.
class ChatTemplate {
 public:
  /// From tokenizer.chat_template. No template, or one that is not recognised, is an error with advice
  /// (--raw, or --template NAME).
  static Result<ChatTemplate> read(const gguf::Metadata& metadata);
  /// By family name: "chatml", "llama2", "llama3", "mistral", "gemma", "phi3", "zephyr". With `metadata`,
  /// turns that end in the end-of-sequence token use the file's, else "</s>".
  static Result<ChatTemplate> named(std::string_view family, const gguf::Metadata* metadata = nullptr);

  /// The prompt, to be encoded with parse_special and add_special (BOS is never part of the text's start).
  /// With `add_generation_prompt` it ends where the assistant's answer starts. No message, a role the family
  /// does not know, or an order it refuses, is an error. Where a template would drop a message without a word
  /// (a system message in the first Phi 3), that is an error too. Templates that ask for today's date
  /// (Llama 3.2) get the one they fall back to, 26 Jul 2024: a prompt does not depend on the day.
  [[nodiscard]] Result<std::string> render(std::span<const ChatMessage> messages,
                                           bool add_generation_prompt) const;
  [[nodiscard]] const std::string& family() const { return style_.family; }
  [[nodiscard]] const ChatStyle& style() const { return style_; }

 private:
  explicit ChatTemplate(ChatStyle style) : style_(std::move(style)) {}
  ChatStyle style_;
};

/// The style of a template's text, an Error with advice when no family's. The texts of bos and eos are not
/// set.
[[nodiscard]] Result<ChatStyle> recognise_chat_template(std::string_view jinja);

}  // namespace agon::llm
