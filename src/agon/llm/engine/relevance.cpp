#include "agon/llm/engine/relevance.h"

#include <fmt/format.h>

#include <algorithm>
#include <string>

namespace agon::llm {

Result<ScoreRequest> relevance_request(const Engine& engine, std::string_view query,
                                       std::string_view document, TooLong too_long) {
  return make_request(engine, fmt::format("Document: {}\n\nQuery:", document), std::string(" ").append(query),
                      too_long);
}

double mean_logprob(const Score& score) {
  return score.logprob / static_cast<double>(std::max<std::size_t>(1, score.token_logprobs.size()));
}

}  // namespace agon::llm
