#include "agon/llm/tokenizer/chat_words.h"

#include "agon/text/utf8.h"

namespace agon::llm::chat {

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
  error.expected = kTemplateAdvice;
  return std::unexpected(std::move(error));
}

}  // namespace agon::llm::chat
