#include "agon/preference/lm/conversation_text.h"

#include <fmt/format.h>

#include <algorithm>
#include <string_view>

namespace agon {
namespace {

constexpr std::size_t kCharactersOfToken = 4;

bool continues(char byte) { return (static_cast<unsigned char>(byte) & 0xC0U) == 0x80U; }

std::string start_of(std::string_view text, std::size_t bytes) {
  if (text.size() <= bytes) return std::string(text);
  while (bytes > 0 && continues(text[bytes])) --bytes;
  return std::string(text.substr(0, bytes));
}

std::string both_ends(std::string_view text, std::size_t bytes) {
  if (text.size() <= bytes) return std::string(text);
  std::size_t from = text.size() - bytes / 2;
  while (from < text.size() && continues(text[from])) ++from;
  return start_of(text, (bytes + 1) / 2) + " ... " + std::string(text.substr(from));
}

std::size_t bytes_of(int tokens, std::size_t turns) {
  return std::max<std::size_t>(1, kCharactersOfToken * static_cast<std::size_t>(tokens) / turns);
}

}  // namespace

ConversationText conversation_text(const Vote& vote, std::size_t side, const ReadingBudget& budget) {
  const Turns& answers = side == 0 ? vote.response_a : vote.response_b;
  const std::size_t turns = std::max({vote.prompt.size(), answers.size(), std::size_t{1}});
  const std::size_t first = turns > ReadingBudget::kMostTurns ? turns - ReadingBudget::kMostTurns : 0;
  const std::size_t shown = turns - first;
  ConversationText out;
  for (std::size_t t = first; t < turns; ++t) {
    out.asked =
        t < vote.prompt.size() ? start_of(vote.prompt[t].text, bytes_of(budget.prompt_tokens, shown)) : "";
    out.answer = t < answers.size() ? both_ends(answers[t].text, bytes_of(budget.answer_tokens, shown)) : "";
    out.before += fmt::format("User: {}\n\nAssistant:", out.asked);
    if (t + 1 < turns) out.before += fmt::format(" {}\n\n", out.answer);
  }
  return out;
}

std::string verdict_question(const Vote& vote, bool exchanged, const ReadingBudget& budget) {
  const ConversationText a = conversation_text(vote, exchanged ? 1 : 0, budget),
                         b = conversation_text(vote, exchanged ? 0 : 1, budget);
  return fmt::format(
      "Two assistants answered the same question. Which answer would most people prefer?\n\n"
      "Question:\n{}\n\nAnswer A:\n{}\n\nAnswer B:\n{}\n\nReply with one letter, A or B.",
      a.asked, a.answer, b.answer);
}

}  // namespace agon
