// Log-probabilities of a continuation out of an echoed prompt.
#pragma once

#include <string_view>

#include "agon/base/error.h"
#include "agon/llm/remote/replies.h"

namespace agon::llm {

/// Where the continuation of an echoed prompt begins, in bytes: behind the context without the white space at
/// its end, as lm-evaluation-harness and agon's engine have it; an empty context has no part in it.
[[nodiscard]] std::size_t continuation_start(std::string_view context);

/// The continuation's score from a reply to /completions with echo and logprobs. Tokens are placed in the
/// text by what they are, or where that fails (a server that shows pieces of characters otherwise) by
/// `text_offset`. Errors: no log-probabilities, no echo, tokens that cannot be placed, a token that stands on
/// both sides of the boundary (a token's probability cannot be divided), and no log-probability of the first
/// token (an empty context at a server that puts no BOS token before it).
[[nodiscard]] Result<ScoredReply> score_echo(const GeneratedReply& reply, std::string_view context,
                                             std::string_view continuation);

}  // namespace agon::llm
