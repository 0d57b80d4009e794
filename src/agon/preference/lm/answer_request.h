// One side of a vote as tokens: the conversation in the model's chat template, cut by one rule, answers
// observed.
#pragma once

#include "agon/base/error.h"
#include "agon/data/vote.h"
#include "agon/llm/engine/engine.h"
#include "agon/llm/engine/reading.h"

namespace agon {

/// How much of a conversation a language model reads. The rule: every prompt keeps its start; every answer
/// keeps both ends, its middle replaced by " ... "; turns share a budget equally, and what short ones leave
/// goes to the longer ones. Of more than kMostTurns turns the first and the latest stay.
struct ReadingBudget {
  int prompt_tokens = 128;  ///< Of all prompts together.
  int answer_tokens = 384;  ///< Of one side's answers together.
  static constexpr std::size_t kMostTurns = 8;

  bool operator==(const ReadingBudget&) const = default;
};

/// Tokens of the conversation, its answers observed. An empty answer has nothing that is observed but still
/// its end. What stands around the answers: see conversation_parts().
[[nodiscard]] Result<llm::ReadRequest> answer_request(const llm::Engine& engine, const Turns& prompts,
                                                      const Turns& answers, const ReadingBudget& budget);

}  // namespace agon
