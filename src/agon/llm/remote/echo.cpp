#include "agon/llm/remote/echo.h"

#include <fmt/format.h>

#include <algorithm>
#include <charconv>
#include <optional>
#include <string>
#include <vector>

#include "agon/text/utf8.h"

namespace agon::llm {
namespace {

// Byte ranges of tokens in the text; an empty one stands for a token outside it (BOS).
using Ranges = std::vector<std::pair<std::size_t, std::size_t>>;

// The bytes of a token: as it is, or out of OpenAI's form for pieces of characters, "bytes:\xe2\x82".
std::string bytes_of(std::string_view shown) {
  constexpr std::string_view kPrefix = "bytes:";
  if (!shown.starts_with(kPrefix)) return std::string(shown);
  std::string bytes;
  for (std::string_view rest = shown.substr(kPrefix.size()); !rest.empty();) {
    if (rest.size() < 4 || !rest.starts_with("\\x")) return std::string(shown);
    unsigned value = 0;
    const auto [end, code] = std::from_chars(rest.data() + 2, rest.data() + 4, value, 16);
    if (code != std::errc() || end != rest.data() + 4) return std::string(shown);
    bytes += static_cast<char>(value);
    rest.remove_prefix(4);
  }
  return bytes;
}

// Tokens by what they are, one behind the other.
std::optional<Ranges> by_text(const std::vector<ReplyToken>& tokens, std::string_view text) {
  Ranges ranges;
  std::size_t at = 0;
  for (const ReplyToken& token : tokens) {
    const std::string bytes = bytes_of(token.text);
    const std::string_view rest = text.substr(at);
    if (rest.starts_with(bytes)) {
      ranges.emplace_back(at, at + bytes.size());
    } else if (at == 0 && bytes.starts_with(' ') && rest.starts_with(std::string_view(bytes).substr(1))) {
      // SentencePiece puts a space before a text.
      ranges.emplace_back(at, at + bytes.size() - 1);
    } else if (ranges.empty() && !token.logprob) {
      ranges.emplace_back(0, 0);  // BOS
    } else {
      return std::nullopt;
    }
    at = ranges.back().second;
  }
  if (at != text.size()) return std::nullopt;
  return ranges;
}

// Tokens by the server's offsets, which count code points.
std::optional<Ranges> by_offset(const std::vector<ReplyToken>& tokens, std::string_view text) {
  std::vector<std::size_t> bytes;  // of code points, and of the end
  for (std::size_t at = 0; at < text.size();) {
    bytes.push_back(at);
    (void)decode_utf8(text, at);
  }
  bytes.push_back(text.size());
  Ranges ranges;
  for (std::size_t i = 0; i < tokens.size(); ++i) {
    if (!tokens[i].offset || *tokens[i].offset < 0) return std::nullopt;
    const auto begin = static_cast<std::size_t>(*tokens[i].offset);
    const std::size_t end = i + 1 < tokens.size() && tokens[i + 1].offset
                                ? static_cast<std::size_t>(std::max<std::int64_t>(0, *tokens[i + 1].offset))
                                : bytes.size() - 1;
    if (begin > end || end >= bytes.size()) return std::nullopt;
    ranges.emplace_back(bytes[begin], bytes[end]);
  }
  if (ranges.empty() || ranges.front().first != 0) return std::nullopt;
  return ranges;
}

}  // namespace

std::size_t continuation_start(std::string_view context) {
  const std::size_t last = context.find_last_not_of(" \t\n\r\f\v");
  return last == std::string_view::npos ? 0 : last + 1;
}

Result<ScoredReply> score_echo(const GeneratedReply& reply, std::string_view context,
                               std::string_view continuation) {
  const std::string prompt = std::string(context).append(continuation);
  if (!reply.has_logprobs)
    return fail("the server gives no log-probabilities of prompts: 'choices[0].logprobs' is missing");
  if (!reply.text.starts_with(prompt))
    return fail("the server does not echo the prompt: 'choices[0].text' does not begin with it");
  const auto placed = [&]() -> std::optional<Ranges> {
    auto ranges = by_text(reply.tokens, reply.text);
    return ranges ? std::move(ranges) : by_offset(reply.tokens, reply.text);
  }();
  if (!placed)
    return fail(
        "the tokens in 'choices[0].logprobs' cannot be placed in the text, neither by what they are nor by "
        "'text_offset'");
  const std::size_t start = continuation_start(context);
  ScoredReply score;
  bool greedy = true, greedy_known = true;
  for (std::size_t i = 0; i < placed->size(); ++i) {
    const auto [begin, end] = (*placed)[i];
    const ReplyToken& token = reply.tokens[i];
    if (begin >= prompt.size()) break;                                                 // generated
    if (end <= start && !(begin == end && begin >= start && token.logprob)) continue;  // the context, or BOS
    if (begin < start)
      return fail(
          fmt::format("the server's token '{}' stands on both sides of the boundary between context and "
                      "continuation, at byte {} "
                      "of the text, so that the continuation has no probability of its own",
                      shown(token.text), start));
    if (end > prompt.size())
      return fail(
          fmt::format("the server's token '{}' goes beyond the continuation's end", shown(token.text)));
    if (!token.logprob) {
      return fail(
          fmt::format("the server gives no log-probability of the token '{}'{}", shown(token.text),
                      i == 0 ? ": an empty context needs a server that puts a BOS token before it" : ""));
    }
    score.token_logprobs.push_back(*token.logprob);
    score.logprob += *token.logprob;
    score.tokens.emplace_back(-1, token.text);
    if (token.top.empty()) greedy_known = false;
    for (const auto& [text, logprob] : token.top)
      greedy = greedy && (logprob <= *token.logprob || text == token.text);
  }
  if (score.tokens.empty()) return fail("no token of the reply belongs to the continuation");
  if (greedy_known) score.is_greedy = greedy;
  return score;
}

}  // namespace agon::llm
