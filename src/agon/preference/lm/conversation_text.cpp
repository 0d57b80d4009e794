#include "agon/preference/lm/conversation_text.h"

#include <fmt/format.h>

#include <algorithm>
#include <string_view>

#include "agon/llm/engine/reward.h"

namespace agon {
namespace {

constexpr std::size_t kBytesOfToken = 4;

bool continues(char byte) { return (static_cast<unsigned char>(byte) & 0xC0U) == 0x80U; }

std::string start_of(std::string_view text, std::size_t bytes) {
  if (text.size() <= bytes) return std::string(text);
  while (bytes > 0 && continues(text[bytes])) --bytes;
  return std::string(text.substr(0, bytes));
}

std::string both_ends(std::string_view text, std::size_t bytes) {
  if (text.size() <= bytes) return std::string(text);
  std::size_t from = text.size() - (bytes - head_of(bytes));
  while (from < text.size() && continues(text[from])) ++from;
  return start_of(text, head_of(bytes)).append(ReadingBudget::kGap).append(text.substr(from));
}

std::vector<std::size_t> rooms(const std::vector<std::string_view>& texts, int tokens) {
  std::vector<std::size_t> sizes;
  for (const std::string_view text : texts) sizes.push_back(text.size());
  return share_out(sizes, kBytesOfToken * static_cast<std::size_t>(tokens));
}

}  // namespace

std::string text_or_empty(std::string text) { return text.empty() ? "(empty)" : std::move(text); }

std::string ConversationText::opening() const {
  return (before.empty() ? "User: " + asked : llm::query_text(before, asked)) + "\n\nAssistant:";
}

ConversationText conversation_text(const Vote& vote, std::size_t side, const ReadingBudget& budget) {
  const Turns& answers = side == 0 ? vote.response_a : vote.response_b;
  std::vector<std::string_view> asked, said;
  for (const std::size_t t : turns_read(std::max(vote.prompt.size(), answers.size()))) {
    asked.push_back(t < vote.prompt.size() ? trimmed(vote.prompt[t].text) : std::string_view{});
    said.push_back(t < answers.size() ? trimmed(answers[t].text) : std::string_view{});
  }
  const std::vector<std::size_t> prompt_room = rooms(asked, budget.prompt_tokens),
                                 answer_room = rooms(said, budget.answer_tokens);
  ConversationText out;
  for (std::size_t t = 0; t < asked.size(); ++t) {
    if (t > 0) {
      out.before.push_back({"user", std::move(out.asked)});
      out.before.push_back({"assistant", std::move(out.answer)});
    }
    out.asked = start_of(asked[t], prompt_room[t]);
    out.answer = both_ends(said[t], answer_room[t]);
  }
  return out;
}

std::string verdict_question(const Vote& vote, bool exchanged, const ReadingBudget& budget) {
  const ConversationText a = conversation_text(vote, exchanged ? 1 : 0, budget),
                         b = conversation_text(vote, exchanged ? 0 : 1, budget);
  if (a.before.empty() && b.before.empty())
    return fmt::format(
        "Two assistants answered the same question. Which answer would most people prefer?\n\n"
        "Question:\n{}\n\nAnswer A:\n{}\n\nAnswer B:\n{}\n\nReply with one letter, A or B.",
        text_or_empty(a.asked), text_or_empty(a.answer), text_or_empty(b.answer));
  return fmt::format(
      "Two assistants had a conversation with the same user. Which one's answers would most people "
      "prefer?\n\n"
      "Conversation A:\n{}\n\nConversation B:\n{}\n\nReply with one letter, A or B.",
      a.whole(), b.whole());
}

}  // namespace agon
