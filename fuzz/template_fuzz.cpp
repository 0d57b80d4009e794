// Chat templates that are any text: refused with advice, or recognised, and then every message is in the
// prompt, in order, whatever else the template says.
#include <string>
#include <vector>

#include "agon/base/check.h"
#include "agon/llm/tokenizer/chat_template.h"
#include "agon/text/utf8.h"

using namespace agon;

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  gguf::Metadata metadata;
  metadata.set("tokenizer.chat_template", std::string(reinterpret_cast<const char*>(data), size));
  const auto chat = llm::ChatTemplate::read(metadata);
  if (!chat) {
    AGON_CHECK(!chat.error().message.empty() && is_valid_utf8(chat.error().to_string()));
    return 0;
  }
  std::vector<llm::ChatMessage> messages = {
      {"user", "first-question"}, {"assistant", "an-answer"}, {"user", "more"}};
  for (const bool system : {false, true}) {
    if (system) messages.insert(messages.begin(), {"system", "the-rules"});
    for (const bool generate : {false, true}) {
      const auto prompt = chat->render(messages, generate);
      if (!prompt) {
        AGON_CHECK((system || chat->style().dated_default) && is_valid_utf8(prompt.error().to_string()));
        continue;
      }
      std::size_t at = 0;
      for (const char* text : {"first-question", "an-answer", "more"}) {
        at = prompt->find(text, at);
        AGON_CHECK(at != std::string::npos);
      }
      AGON_CHECK(!system || prompt->find("the-rules") != std::string::npos);
    }
  }
  return 0;
}
