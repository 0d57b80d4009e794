// How relevant a document is for a query, to any causal model.
#pragma once

#include <string_view>

#include "agon/base/error.h"
#include "agon/llm/engine/scoring.h"

namespace agon::llm {

/// Query likelihood (Ponte and Croft 1998; with language models, Sachan et al. 2022, arXiv 2204.07496): a
/// document is the more relevant, the more probable it makes the query. What to score for it: the query
/// behind "Document: ...\n\nQuery:".
[[nodiscard]] Result<ScoreRequest> relevance_request(const Engine& engine, std::string_view query,
                                                     std::string_view document,
                                                     TooLong too_long = TooLong::kRefuse);
/// Mean log-probability of the query's tokens, at most 0; its exponential is the relevance, 0 to 1.
[[nodiscard]] double mean_logprob(const Score& score);

}  // namespace agon::llm
