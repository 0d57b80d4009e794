// What stands around the answers of a conversation when a model's chat template shapes it.
#pragma once

#include <span>
#include <string>
#include <vector>

#include "agon/base/error.h"
#include "agon/llm/tokenizer/chat_template.h"

namespace agon {

/// Messages that a template wants before the user's first: a system message where, without one, the template
/// would print today's date (Mistral Small 3.2); none for others.
[[nodiscard]] std::vector<llm::ChatMessage> opening_messages(const llm::ChatTemplate& chat);

/// The text before each answer, as many as there are prompts: the first from the start of the conversation,
/// the others from where the answer before ends, and the last with the start of an answer that is yet to be
/// given. The texts between answers are what the template makes of past turns, so that the first of two
/// answers stands where a finished answer stands, and the last where the model would begin to write. Models
/// without a template read "User: ...\n\nAssistant: ...". A template that refuses a plain conversation, or
/// shows one of its answers not exactly once, is an Error.
[[nodiscard]] Result<std::vector<std::string>> conversation_parts(const llm::ChatTemplate* chat,
                                                                  std::span<const std::string> prompts);

}  // namespace agon
