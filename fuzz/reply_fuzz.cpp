// What servers answer: the replies of every path, error texts, echoed prompts, and the form in which results
// are kept. The first byte chooses which reader gets the rest.
#include <cmath>
#include <string>
#include <string_view>

#include "agon/base/check.h"
#include "agon/llm/remote/echo.h"
#include "agon/llm/remote/replies.h"
#include "agon/llm/remote/requests.h"
#include "agon/llm/remote/retry.h"
#include "agon/text/utf8.h"

using namespace agon;
using namespace agon::llm;

namespace {

template <class T>
bool good(const Result<T>& reply) {
  if (reply) return true;
  AGON_CHECK(!reply.error().message.empty() && reply.error().to_string().size() < 2000);
  return false;
}

void check_score(const ScoredReply& score) {
  AGON_CHECK(!score.tokens.empty() && score.tokens.size() == score.token_logprobs.size());
  for (const double logprob : score.token_logprobs) AGON_CHECK(std::isfinite(logprob) && logprob <= 0);
  const ScoredReply again = read_kept_score(kept_score(score)).value();
  AGON_CHECK(again.token_logprobs == score.token_logprobs && again.is_greedy == score.is_greedy);
}

void check_generated(const Result<GeneratedReply>& reply) {
  if (!good(reply)) return;
  AGON_CHECK(is_valid_utf8(reply->text));
  AGON_CHECK(read_kept_answer(kept_answer(*reply)).value().text == reply->text);
  // The text split at every place.
  const std::string& text = reply->text;
  for (std::size_t at = 0; at + 1 < text.size() && at < 64; ++at) {
    const auto score =
        score_echo(*reply, std::string_view(text).substr(0, at), std::string_view(text).substr(at));
    if (score)
      check_score(*score);
    else
      AGON_CHECK(!score.error().message.empty());
  }
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  if (size == 0) return 0;
  const std::string_view body(reinterpret_cast<const char*>(data) + 1, size - 1);
  (void)is_cut_off(body);
  switch (data[0]) {
    case 'c':
      check_generated(read_completion_reply(body));
      break;
    case 'h':
      check_generated(read_chat_reply(body));
      break;
    case 'e':
      if (const auto reply = read_embedding_reply(body, 2); good(reply))
        for (const auto& row : reply->embeddings)
          AGON_CHECK(row.size() == reply->embeddings[0].size() && !row.empty());
      break;
    case 'r':
      if (const auto reply = read_rerank_reply(body, 2); good(reply))
        for (const double score : reply->scores) AGON_CHECK(std::isfinite(score));
      break;
    case 's':
      if (const auto reply = read_score_reply(body, 2); good(reply))
        for (const ScoredReply& score : reply->continuations) check_score(score);
      break;
    case 'm':
      (void)good(read_models_reply(body));
      break;
    case 'w':
      if (const auto wait = retry_after(std::string(body), 0)) AGON_CHECK(*wait >= 0 && std::isfinite(*wait));
      break;
    default:
      AGON_CHECK(is_valid_utf8(error_text(body, {})) && error_text(body, {}).size() <= 500);
  }
  return 0;
}
