// One side of a vote as plain text, for models that take texts and not tokens.
#pragma once

#include <string>

#include "agon/data/vote.h"
#include "agon/preference/lm/answer_request.h"

namespace agon {

/// Cut as ReadingBudget has it, four characters (bytes, at whole characters) for a token.
struct ConversationText {
  std::string asked;   ///< The latest prompt.
  std::string before;  ///< All up to the latest answer: "User: ...\n\nAssistant:".
  std::string answer;  ///< The latest answer.
  [[nodiscard]] std::string whole() const { return before + " " + answer; }
};
/// `side` 0 is A.
[[nodiscard]] ConversationText conversation_text(const Vote& vote, std::size_t side,
                                                 const ReadingBudget& budget);

/// Asks which of the two answers is better, A or B; `exchanged`: B's answer is shown as A.
[[nodiscard]] std::string verdict_question(const Vote& vote, bool exchanged, const ReadingBudget& budget);

}  // namespace agon
