#include "agon/llm/remote/replies.h"

#include <algorithm>

#include "agon/llm/remote/reply_fields.h"
#include "agon/report/visible.h"

namespace agon::llm {
namespace {

constexpr std::int64_t kMaxUsage = std::int64_t{1} << 40;  // tokens; keeps sums of many far from an overflow

std::int64_t count_field(const JsonObject& object, std::string_view name) {
  JsonElement value;
  std::int64_t count = 0;
  if (!find_field(object, name, value) || value.get(count) != simdjson::SUCCESS) return 0;
  return std::clamp<std::int64_t>(count, 0, kMaxUsage);
}

ReplyHead read_head(const JsonObject& object) {
  ReplyHead head;
  JsonElement value;
  if (find_field(object, "model", value) && value.is_string()) head.model = std::string_view(value);
  JsonObject usage;
  if (find_field(object, "usage", value) && value.get(usage) == simdjson::SUCCESS) {
    head.usage.input = count_field(usage, "prompt_tokens");
    head.usage.output = count_field(usage, "completion_tokens");
    // Embeddings and reranking: some servers give the sum alone.
    if (head.usage.input + head.usage.output == 0) head.usage.input = count_field(usage, "total_tokens");
    head.usage.given = head.usage.input + head.usage.output > 0;
  }
  return head;
}

// The first element of `choices`.
Result<JsonObject> first_choice(const JsonObject& object) {
  AGON_ASSIGN(const JsonArray choices, list_of(object, "choices", "choices"));
  if (choices.size() == 0) return bad_field("empty", "choices", "one choice");
  return object_of(choices.at(0).value(), "choices[0]");
}

Result<std::string> finish_reason(const JsonObject& choice) {
  JsonElement value;
  if (!find_field(choice, "finish_reason", value)) return std::string();
  return text_of(value, "choices[0].finish_reason");
}

// A log-probability; servers write minus infinity as a large negative number, and may round above 0.
Result<double> logprob_of(const JsonElement& value, const std::string& field) {
  AGON_ASSIGN(const double number, finite_number(value, field));
  if (number > 1e-3) return bad_field(fmt::format("{} is no log-probability", number), field, "0 or less");
  return std::min(number, 0.0);
}

Result<std::vector<ReplyToken>> completion_tokens(const JsonObject& logprobs) {
  const std::string at = "choices[0].logprobs.";
  AGON_ASSIGN(const JsonArray texts, list_of(logprobs, "tokens", at + "tokens"));
  AGON_ASSIGN(const JsonArray numbers, list_of(logprobs, "token_logprobs", at + "token_logprobs"));
  std::vector<ReplyToken> tokens;
  for (const JsonElement one : texts) {
    AGON_ASSIGN(std::string text, text_of(one, fmt::format("{}tokens[{}]", at, tokens.size())));
    tokens.push_back({.text = std::move(text), .logprob = {}, .top = {}, .offset = {}});
  }
  if (numbers.size() != tokens.size())
    return bad_field(fmt::format("{} numbers for {} tokens", numbers.size(), tokens.size()),
                     at + "token_logprobs");
  std::size_t i = 0;
  for (const JsonElement one : numbers) {
    if (!one.is_null()) {
      AGON_ASSIGN(tokens[i].logprob, logprob_of(one, fmt::format("{}token_logprobs[{}]", at, i)));
    }
    ++i;
  }
  JsonElement value;
  JsonArray list;
  if (find_field(logprobs, "text_offset", value) && value.get(list) == simdjson::SUCCESS &&
      list.size() == tokens.size()) {
    i = 0;
    for (const JsonElement one : list) {
      std::int64_t offset = 0;
      if (one.get(offset) == simdjson::SUCCESS && offset >= 0) tokens[i].offset = offset;
      ++i;
    }
  }
  if (find_field(logprobs, "top_logprobs", value) && value.get(list) == simdjson::SUCCESS &&
      list.size() == tokens.size()) {
    i = 0;
    for (const JsonElement one : list) {
      JsonObject top;
      if (one.get(top) == simdjson::SUCCESS) {
        for (const auto& [name, number] : top) {
          AGON_ASSIGN(const double logprob, logprob_of(number, fmt::format("{}top_logprobs[{}]", at, i)));
          tokens[i].top.emplace_back(std::string(name), logprob);
        }
      }
      ++i;
    }
  }
  return tokens;
}

Result<std::vector<ReplyToken>> chat_tokens(const JsonArray& content) {
  std::vector<ReplyToken> tokens;
  const auto one_token = [](const JsonObject& object,
                            const std::string& at) -> Result<std::pair<std::string, double>> {
    JsonElement text, number;
    if (!find_field(object, "token", text)) return bad_field("missing", at + ".token", "a string");
    if (!find_field(object, "logprob", number)) return bad_field("missing", at + ".logprob", "a number");
    AGON_ASSIGN(std::string token, text_of(text, at + ".token"));
    AGON_ASSIGN(const double logprob, logprob_of(number, at + ".logprob"));
    return std::pair(std::move(token), logprob);
  };
  for (const JsonElement one : content) {
    const std::string at = fmt::format("choices[0].logprobs.content[{}]", tokens.size());
    AGON_ASSIGN(const JsonObject object, object_of(one, at));
    AGON_ASSIGN(auto token, one_token(object, at));
    ReplyToken result{.text = std::move(token.first), .logprob = token.second, .top = {}, .offset = {}};
    JsonElement value;
    JsonArray top;
    if (find_field(object, "top_logprobs", value) && value.get(top) == simdjson::SUCCESS) {
      for (const JsonElement other : top) {
        const std::string place = fmt::format("{}.top_logprobs[{}]", at, result.top.size());
        AGON_ASSIGN(const JsonObject alternative, object_of(other, place));
        AGON_ASSIGN(auto pair, one_token(alternative, place));
        result.top.push_back(std::move(pair));
      }
    }
    tokens.push_back(std::move(result));
  }
  return tokens;
}

// Results that come with their numbers, in any order: `take(slot, object, where)` for each of `count`.
template <class Take>
Status each_indexed(const JsonArray& list, const std::string& name, std::size_t count, Take&& take) {
  if (list.size() != count)
    return bad_field(fmt::format("{} results", list.size()), name,
                     fmt::format("{}, one for each text", count));
  std::vector<bool> seen(count);
  std::size_t position = 0;
  for (const JsonElement one : list) {
    const std::string at = fmt::format("{}[{}]", name, position);
    AGON_ASSIGN(const JsonObject object, object_of(one, at));
    std::size_t slot = position;
    JsonElement value;
    if (find_field(object, "index", value)) {
      std::uint64_t index = 0;
      if (value.get(index) != simdjson::SUCCESS || index >= count)
        return bad_field("is no number of a text", at + ".index", fmt::format("0 to {}", count - 1));
      slot = static_cast<std::size_t>(index);
    }
    if (seen[slot]) return bad_field(fmt::format("text {} occurs twice", slot), at + ".index");
    seen[slot] = true;
    AGON_TRY(take(slot, object, at));
    ++position;
  }
  return {};
}

Result<ScoredReply> read_scored(const JsonObject& object, const std::string& at) {
  ScoredReply score;
  AGON_ASSIGN(const JsonArray numbers, list_of(object, "token_logprobs", at + ".token_logprobs"));
  for (const JsonElement one : numbers) {
    AGON_ASSIGN(const double logprob,
                logprob_of(one, fmt::format("{}.token_logprobs[{}]", at, score.token_logprobs.size())));
    score.token_logprobs.push_back(logprob);
    score.logprob += logprob;
  }
  AGON_ASSIGN(const JsonArray tokens, list_of(object, "tokens", at + ".tokens"));
  for (const JsonElement one : tokens) {
    const std::string place = fmt::format("{}.tokens[{}]", at, score.tokens.size());
    AGON_ASSIGN(const JsonObject token, object_of(one, place));
    JsonElement value;
    std::int64_t id = -1;
    if (find_field(token, "id", value) && value.get(id) != simdjson::SUCCESS)
      return bad_field(fmt::format("{} is no token", json_type_name(value)), place + ".id", "an integer");
    if (!find_field(token, "piece", value)) return bad_field("missing", place + ".piece", "a string");
    AGON_ASSIGN(std::string piece, text_of(value, place + ".piece"));
    score.tokens.emplace_back(id, std::move(piece));
  }
  if (score.tokens.size() != score.token_logprobs.size() || score.tokens.empty())
    return bad_field(
        fmt::format("{} tokens with {} log-probabilities", score.tokens.size(), score.token_logprobs.size()),
        at);
  JsonElement value;
  bool greedy = false;
  if (find_field(object, "is_greedy", value) && value.get(greedy) == simdjson::SUCCESS)
    score.is_greedy = greedy;
  return score;
}

}  // namespace

Result<GeneratedReply> read_completion_reply(std::string_view body) {
  return read_object<GeneratedReply>(body, [](const JsonObject& object) -> Result<GeneratedReply> {
    GeneratedReply reply{.head = read_head(object), .text = {}, .finish_reason = {}, .tokens = {}};
    AGON_ASSIGN(const JsonObject choice, first_choice(object));
    JsonElement value;
    if (!find_field(choice, "text", value)) return bad_field("missing", "choices[0].text", "a string");
    AGON_ASSIGN(reply.text, text_of(value, "choices[0].text"));
    AGON_ASSIGN(reply.finish_reason, finish_reason(choice));
    JsonObject logprobs;
    if (find_field(choice, "logprobs", value) && value.get(logprobs) == simdjson::SUCCESS) {
      reply.has_logprobs = true;
      AGON_ASSIGN(reply.tokens, completion_tokens(logprobs));
    }
    return reply;
  });
}

Result<GeneratedReply> read_chat_reply(std::string_view body) {
  return read_object<GeneratedReply>(body, [](const JsonObject& object) -> Result<GeneratedReply> {
    GeneratedReply reply{.head = read_head(object), .text = {}, .finish_reason = {}, .tokens = {}};
    AGON_ASSIGN(const JsonObject choice, first_choice(object));
    JsonElement value;
    if (!find_field(choice, "message", value)) return bad_field("missing", "choices[0].message", "an object");
    AGON_ASSIGN(const JsonObject message, object_of(value, "choices[0].message"));
    // A model that refuses or only thinks has no content.
    if (find_field(message, "content", value)) {
      AGON_ASSIGN(reply.text, text_of(value, "choices[0].message.content"));
    }
    AGON_ASSIGN(reply.finish_reason, finish_reason(choice));
    JsonObject logprobs;
    JsonArray content;
    if (find_field(choice, "logprobs", value) && value.get(logprobs) == simdjson::SUCCESS &&
        find_field(logprobs, "content", value) && value.get(content) == simdjson::SUCCESS) {
      reply.has_logprobs = true;
      AGON_ASSIGN(reply.tokens, chat_tokens(content));
    }
    return reply;
  });
}

Result<EmbeddingReply> read_embedding_reply(std::string_view body, std::size_t inputs) {
  return read_object<EmbeddingReply>(body, [&](const JsonObject& object) -> Result<EmbeddingReply> {
    EmbeddingReply reply{.head = read_head(object), .embeddings = std::vector<std::vector<float>>(inputs)};
    AGON_ASSIGN(const JsonArray data, list_of(object, "data", "data"));
    std::size_t width = 0;
    AGON_TRY(each_indexed(
        data, "data", inputs, [&](std::size_t slot, const JsonObject& one, const std::string& at) -> Status {
          AGON_ASSIGN(const JsonArray numbers, list_of(one, "embedding", at + ".embedding"));
          std::vector<float>& row = reply.embeddings[slot];
          for (const JsonElement number : numbers) {
            AGON_ASSIGN(const double value,
                        finite_number(number, fmt::format("{}.embedding[{}]", at, row.size())));
            row.push_back(static_cast<float>(value));
            if (!std::isfinite(row.back()))
              return bad_field("beyond a float", at + ".embedding", "a finite number");
          }
          if (row.empty()) return bad_field("empty", at + ".embedding", "numbers");
          if (width != 0 && width != row.size())
            return bad_field(fmt::format("{} numbers, and {} before", row.size(), width), at + ".embedding",
                             "the same number for all");
          width = row.size();
          return {};
        }));
    return reply;
  });
}

Result<RerankReply> read_rerank_reply(std::string_view body, std::size_t documents) {
  return read_object<RerankReply>(body, [&](const JsonObject& object) -> Result<RerankReply> {
    RerankReply reply{.head = read_head(object), .scores = std::vector<double>(documents)};
    AGON_ASSIGN(const JsonArray results, list_of(object, "results", "results"));
    AGON_TRY(each_indexed(results, "results", documents,
                          [&](std::size_t slot, const JsonObject& one, const std::string& at) -> Status {
                            JsonElement value;
                            if (!find_field(one, "relevance_score", value) &&
                                !find_field(one, "score", value))
                              return bad_field("missing", at + ".relevance_score", "a number");
                            AGON_ASSIGN(reply.scores[slot], finite_number(value, at + ".relevance_score"));
                            return {};
                          }));
    return reply;
  });
}

Result<ScoreReply> read_score_reply(std::string_view body, std::size_t continuations) {
  return read_object<ScoreReply>(body, [&](const JsonObject& object) -> Result<ScoreReply> {
    ScoreReply reply{.head = read_head(object), .continuations = {}};
    AGON_ASSIGN(const JsonArray data, list_of(object, "data", "data"));
    if (data.size() != 1) return bad_field(fmt::format("{} items", data.size()), "data", "one");
    AGON_ASSIGN(const JsonObject item, object_of(data.at(0).value(), "data[0]"));
    AGON_ASSIGN(const JsonArray list, list_of(item, "continuations", "data[0].continuations"));
    if (list.size() != continuations)
      return bad_field(fmt::format("{} results", list.size()), "data[0].continuations",
                       fmt::format("{}, one for each continuation", continuations));
    for (const JsonElement one : list) {
      const std::string at = fmt::format("data[0].continuations[{}]", reply.continuations.size());
      AGON_ASSIGN(const JsonObject scored, object_of(one, at));
      AGON_ASSIGN(ScoredReply score, read_scored(scored, at));
      reply.continuations.push_back(std::move(score));
    }
    return reply;
  });
}

Result<std::vector<std::pair<std::string, std::string>>> read_models_reply(std::string_view body) {
  using Models = std::vector<std::pair<std::string, std::string>>;
  return read_object<Models>(body, [](const JsonObject& object) -> Result<Models> {
    AGON_ASSIGN(const JsonArray data, list_of(object, "data", "data"));
    Models models;
    for (const JsonElement one : data) {
      const std::string at = fmt::format("data[{}]", models.size());
      AGON_ASSIGN(const JsonObject model, object_of(one, at));
      JsonElement value;
      if (!find_field(model, "id", value)) return bad_field("missing", at + ".id", "a string");
      AGON_ASSIGN(std::string id, text_of(value, at + ".id"));
      std::string owner;
      if (find_field(model, "owned_by", value) && value.is_string()) owner = std::string_view(value);
      models.emplace_back(std::move(id), std::move(owner));
    }
    return models;
  });
}

Result<ReplyHead> read_reply_head(std::string_view body) {
  return read_object<ReplyHead>(
      body, [](const JsonObject& object) -> Result<ReplyHead> { return read_head(object); });
}

std::string error_text(std::string_view body, const ApiKey& key) {
  constexpr std::size_t kMost = 500;
  // More than is shown, and room for a key across the end, of which nothing may be left.
  std::string text = key.redact(std::string(body.substr(0, 4 * kMost + key.size())));
  text.resize(std::min(text.size(), 4 * kMost));
  simdjson::dom::parser parser;
  JsonElement root;
  JsonObject object;
  if (body.size() <= (1u << 20) && parser.parse(body.data(), body.size()).get(root) == simdjson::SUCCESS &&
      root.get(object) == simdjson::SUCCESS) {
    JsonElement value;
    JsonObject inner;
    // OpenAI: {"error": {"message"}}; others {"error": "..."}, {"message": "..."} (vLLM), {"detail": ...}
    // (FastAPI).
    if (find_field(object, "error", value) && value.get(inner) == simdjson::SUCCESS) object = inner;
    for (const char* name : {"message", "error", "detail"}) {
      if (!find_field(object, name, value)) continue;
      text = key.redact(value.is_string() ? std::string(std::string_view(value)) : simdjson::minify(value));
      break;
    }
  }
  std::string line;
  bool space = false;
  for (const char c : text) {
    if (c == ' ' || c == '\t' || c == '\r' || c == '\n') {
      space = !line.empty();
      continue;
    }
    if (std::exchange(space, false)) line += ' ';
    line += c;
  }
  return visible_text(line, {.keep_lines = false, .max_bytes = kMost});
}

std::string shown(std::string_view text, const ApiKey& key) { return shown(key.redact(std::string(text))); }

std::string shown(std::string_view text) {
  return visible_text(text, {.keep_lines = false, .max_bytes = 200});
}

bool is_cut_off(std::string_view body) {
  std::int64_t depth = 0;
  bool in_string = false, any = false;
  for (std::size_t i = 0; i < body.size(); ++i) {
    const char c = body[i];
    if (in_string) {
      if (c == '\\') ++i;
      in_string = c != '"';
      continue;
    }
    any = any || (c != ' ' && c != '\t' && c != '\r' && c != '\n');
    in_string = c == '"';
    if (c == '{' || c == '[') ++depth;
    if (c == '}' || c == ']') --depth;
  }
  return !any || in_string || depth > 0;
}

}  // namespace agon::llm
