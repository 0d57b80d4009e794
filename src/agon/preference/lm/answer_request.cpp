#include "agon/preference/lm/answer_request.h"

#include <algorithm>
#include <numeric>
#include <string>
#include <string_view>

#include "agon/preference/lm/conversation_parts.h"
#include "agon/text/utf8.h"

namespace agon {
namespace {

using llm::Token;

// What each may keep of a budget: all of them alike, what short ones leave shared by the others.
std::vector<std::size_t> share_out(const std::vector<std::size_t>& wanted, std::size_t budget) {
  std::vector<std::size_t> order(wanted.size()), kept(wanted.size());
  std::iota(order.begin(), order.end(), std::size_t{0});
  std::ranges::stable_sort(order, {}, [&](std::size_t i) { return wanted[i]; });
  std::size_t left = budget;
  for (std::size_t k = 0; k < order.size(); ++k) {
    kept[order[k]] = std::min(wanted[order[k]], left / (order.size() - k));
    left -= kept[order[k]];
  }
  return kept;
}

std::vector<std::size_t> sizes(const std::vector<std::vector<Token>>& texts) {
  std::vector<std::size_t> out;
  for (const std::vector<Token>& text : texts) out.push_back(text.size());
  return out;
}

// Turns that are read: all, or the first and the latest.
std::vector<std::size_t> chosen_turns(std::size_t turns) {
  std::vector<std::size_t> out;
  const std::size_t skipped = turns > ReadingBudget::kMostTurns ? turns - ReadingBudget::kMostTurns : 0;
  for (std::size_t i = 0; i < turns; ++i)
    if (i == 0 || i > skipped) out.push_back(i);
  return out;
}

std::string_view trimmed(std::string_view text) {
  constexpr std::string_view kSpace = " \t\r\n\f\v";
  const std::size_t first = text.find_first_not_of(kSpace);
  return first == std::string_view::npos ? std::string_view{}
                                         : text.substr(first, text.find_last_not_of(kSpace) + 1 - first);
}

}  // namespace

Result<llm::ReadRequest> answer_request(const llm::Engine& engine, const Turns& prompts, const Turns& answers,
                                        const ReadingBudget& budget) {
  const llm::Tokenizer& tokenizer = engine.tokenizer();
  const auto encode = [&](std::string_view text) { return tokenizer.encode(text, {.add_special = false}); };
  std::vector<std::vector<Token>> asked, said;
  for (const std::size_t i : chosen_turns(std::max({prompts.size(), answers.size(), std::size_t{1}}))) {
    asked.push_back(encode(i < prompts.size() ? trimmed(prompts[i].text) : std::string_view{}));
    said.push_back(encode(i < answers.size() ? trimmed(answers[i].text) : std::string_view{}));
  }
  const auto prompt_room = share_out(sizes(asked), static_cast<std::size_t>(budget.prompt_tokens));
  const auto answer_room = share_out(sizes(said), static_cast<std::size_t>(budget.answer_tokens));
  const std::vector<Token> gap = encode(" ... ");

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
    const auto head = static_cast<std::ptrdiff_t>((answer_room[t] + 1) / 2),
               tail = static_cast<std::ptrdiff_t>(answer_room[t] / 2);
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
