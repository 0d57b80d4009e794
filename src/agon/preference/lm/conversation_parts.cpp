#include "agon/preference/lm/conversation_parts.h"

#include <algorithm>
#include <string_view>

namespace agon {
namespace {

std::vector<std::string> plain_parts(std::span<const std::string> prompts) {
  std::vector<std::string> parts;
  for (const std::string& prompt : prompts)
    parts.push_back((parts.empty() ? "User: " : "\n\nUser: ") + prompt + "\n\nAssistant: ");
  return parts;
}

/// Stands for an answer while the template is rendered: letters, which no template changes, and in no prompt.
std::string placeholder_for(std::span<const std::string> prompts) {
  std::string placeholder = "AnswerOfTheAssistant";
  while (std::ranges::any_of(prompts, [&](const std::string& p) { return p.contains(placeholder); }))
    placeholder += "Again";
  return placeholder;
}

}  // namespace

std::vector<llm::ChatMessage> opening_messages(const llm::ChatTemplate& chat) {
  if (!chat.style().dated_default) return {};
  return {{"system", "You are a helpful assistant."}};
}

Result<std::vector<std::string>> conversation_parts(const llm::ChatTemplate* chat,
                                                    std::span<const std::string> prompts) {
  if (chat == nullptr) return plain_parts(prompts);
  const std::string placeholder = placeholder_for(prompts);
  std::vector<llm::ChatMessage> messages = opening_messages(*chat);
  for (std::size_t t = 0; t < prompts.size(); ++t) {
    if (t > 0) messages.push_back({"assistant", placeholder});
    messages.push_back({"user", prompts[t]});
  }
  AGON_ASSIGN(const std::string text, chat->render(messages, true));
  std::vector<std::string> parts;
  std::size_t from = 0;
  for (std::size_t at = text.find(placeholder); at != std::string::npos; at = text.find(placeholder, from)) {
    parts.push_back(text.substr(from, at - from));
    from = at + placeholder.size();
  }
  parts.push_back(text.substr(from));
  if (parts.size() != prompts.size())
    return std::unexpected(
        Error{.message = "the chat template does not show each answer of a conversation once",
              .expected = "a template that leaves past answers as they are (see --lm-template)"});
  return parts;
}

}  // namespace agon
