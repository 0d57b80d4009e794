#include "agon/preference/lm/answer_request.h"

#include <algorithm>
#include <string>
#include <string_view>

#include "agon/preference/lm/conversation_parts.h"
#include "agon/text/utf8.h"

namespace agon {
namespace {

using llm::Token;

std::vector<std::size_t> sizes(const std::vector<std::vector<Token>>& texts) {
  std::vector<std::size_t> out;
  for (const std::vector<Token>& text : texts) out.push_back(text.size());
  return out;
}

}  // namespace

Result<llm::ReadRequest> answer_request(const llm::Engine& engine, const Turns& prompts, const Turns& answers,
                                        const ReadingBudget& budget) {
  const llm::Tokenizer& tokenizer = engine.tokenizer();
  const auto encode = [&](std::string_view text) { return tokenizer.encode(text, {.add_special = false}); };
  std::vector<std::vector<Token>> asked, said;
  for (const std::size_t i : turns_read(std::max(prompts.size(), answers.size()))) {
    asked.push_back(encode(i < prompts.size() ? trimmed(prompts[i].text) : std::string_view{}));
    said.push_back(encode(i < answers.size() ? trimmed(answers[i].text) : std::string_view{}));
  }
  const auto prompt_room = share_out(sizes(asked), static_cast<std::size_t>(budget.prompt_tokens));
  const auto answer_room = share_out(sizes(said), static_cast<std::size_t>(budget.answer_tokens));
  const std::vector<Token> gap = encode(ReadingBudget::kGap);

  std::vector<std::string> shown;
  for (std::size_t t = 0; t < asked.size(); ++t) {
    asked[t].resize(prompt_room[t]);
    repair_utf8(shown.emplace_back(tokenizer.decode(asked[t])));  // the cut may go through a character
  }
  AGON_ASSIGN(const auto parts,
              conversation_parts(engine.chat_template() ? &*engine.chat_template() : nullptr, shown));

  llm::ReadRequest request;
  for (std::size_t t = 0; t < parts.size(); ++t) {
    const std::vector<Token> tokens =
        tokenizer.encode(parts[t], {.add_special = t == 0, .parse_special = true});
    request.tokens.insert(request.tokens.end(), tokens.begin(), tokens.end());
    const auto observe = [&](auto first, auto last) {
      const int begin = static_cast<int>(request.tokens.size());
      request.tokens.insert(request.tokens.end(), first, last);
      if (first != last) request.observed.push_back({begin, static_cast<int>(request.tokens.size())});
    };
    const auto head = static_cast<std::ptrdiff_t>(head_of(answer_room[t])),
               tail = static_cast<std::ptrdiff_t>(answer_room[t]) - head;
    if (answer_room[t] < said[t].size()) {
      observe(said[t].begin(), said[t].begin() + head);
      request.tokens.insert(request.tokens.end(), gap.begin(), gap.end());
      observe(said[t].end() - tail, said[t].end());
    } else {
      observe(said[t].begin(), said[t].end());
    }
  }
  const llm::SpecialTokens& special = tokenizer.special();
  request.end = special.eot != llm::kNoToken ? special.eot : special.eos;
  return request;
}

}  // namespace agon
