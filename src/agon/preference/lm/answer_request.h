// One side of a vote as tokens: the conversation in the model's chat template, cut by one rule, answers
// observed.
#pragma once

#include "agon/base/error.h"
#include "agon/data/vote.h"
#include "agon/llm/engine/engine.h"
#include "agon/llm/engine/reading.h"
#include "agon/preference/lm/reading_budget.h"

namespace agon {

/// Tokens of the conversation, its answers observed. An empty answer has nothing that is observed but still
/// its end. What stands around the answers: see conversation_parts().
[[nodiscard]] Result<llm::ReadRequest> answer_request(const llm::Engine& engine, const Turns& prompts,
                                                      const Turns& answers, const ReadingBudget& budget);

}  // namespace agon
