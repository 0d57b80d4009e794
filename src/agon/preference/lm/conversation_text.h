// One side of a vote as plain text, for models that take texts and not tokens.
#pragma once

#include <string>
#include <vector>

#include "agon/data/vote.h"
#include "agon/llm/tokenizer/chat_template.h"
#include "agon/preference/lm/reading_budget.h"

namespace agon {

/// The text, or "(empty)" for one that is: servers refuse empty texts, and that nothing was said is worth
/// showing.
[[nodiscard]] std::string text_or_empty(std::string text);

/// A conversation cut as ReadingBudget has it, four bytes (at whole characters) for a token.
struct ConversationText {
  std::vector<llm::ChatMessage> before = {};  ///< Prompts and answers up to the latest prompt.
  std::string asked = {};                     ///< The latest prompt.
  std::string answer = {};                    ///< The latest answer.

  /// All up to the latest answer: "User: ...\n\nAssistant:".
  [[nodiscard]] std::string opening() const;
  [[nodiscard]] std::string whole() const { return opening() + " " + answer; }
};
/// `side` 0 is A.
[[nodiscard]] ConversationText conversation_text(const Vote& vote, std::size_t side,
                                                 const ReadingBudget& budget);

/// Asks which of the two answers is better, A or B, or of several turns which of the two conversations;
/// `exchanged`: B's is shown as A.
[[nodiscard]] std::string verdict_question(const Vote& vote, bool exchanged, const ReadingBudget& budget);

}  // namespace agon
