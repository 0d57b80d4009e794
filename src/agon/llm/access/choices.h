// Choosing among given answers.
#pragma once

#include <span>
#include <string>
#include <utility>
#include <vector>

#include "agon/llm/access/language_model.h"

namespace agon::llm {

/// Exactly, by scoring each choice as a continuation; the same prompt's are read once by an engine.
[[nodiscard]] Result<std::vector<ChoiceResult>> choose_by_scores(LanguageModel& model,
                                                                 std::span<const ChoiceInput> items,
                                                                 const Progress& progress);

/// Fills in probabilities (softmax) and the best from `logprobs`.
void normalise_choices(ChoiceResult& result);

/// The log-probability of each choice by what an answer may begin with: `top` holds the most probable first
/// tokens with their log-probabilities. A token, spaces around it aside, counts for a choice that it equals,
/// or that alone of all choices begins with it; several such tokens add up. When none counts for any choice,
/// the result is untold. An Error when one is the beginning of two and neither of them whole.
[[nodiscard]] Result<ChoiceResult> choose_by_first_token(std::span<const std::string> choices,
                                                         std::span<const std::pair<std::string, double>> top);

}  // namespace agon::llm
