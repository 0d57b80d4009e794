// Results as the journal keeps them.
#include <iterator>

#include "agon/llm/remote/reply_fields.h"
#include "agon/llm/remote/requests.h"
#include "agon/text/json.h"

namespace agon::llm {
namespace {

template <class T>
std::string numbers_text(std::span<const T> numbers) {
  std::string out = "{\"numbers\":[";
  for (std::size_t i = 0; i < numbers.size(); ++i)
    fmt::format_to(std::back_inserter(out), "{}{}", i > 0 ? "," : "", numbers[i]);
  return out + "]}";
}

}  // namespace

std::string kept_score(const ScoredReply& score) {
  std::string out = "{\"data\":[{\"continuations\":[{\"token_logprobs\":[";
  for (std::size_t i = 0; i < score.token_logprobs.size(); ++i)
    fmt::format_to(std::back_inserter(out), "{}{}", i > 0 ? "," : "", score.token_logprobs[i]);
  out += "],\"tokens\":[";
  for (std::size_t i = 0; i < score.tokens.size(); ++i) {
    fmt::format_to(std::back_inserter(out), "{}{{\"id\":{},\"piece\":", i > 0 ? "," : "",
                   score.tokens[i].first);
    append_json_string(out, score.tokens[i].second);
    out += '}';
  }
  out += ']';
  if (score.is_greedy) out += *score.is_greedy ? ",\"is_greedy\":true" : ",\"is_greedy\":false";
  return out + "}]}]}";
}

Result<ScoredReply> read_kept_score(std::string_view json) {
  AGON_ASSIGN(ScoreReply reply, read_score_reply(json, 1));
  return std::move(reply.continuations.front());
}

std::string kept_numbers(std::span<const double> numbers) { return numbers_text(numbers); }
std::string kept_numbers(std::span<const float> numbers) { return numbers_text(numbers); }

Result<std::vector<double>> read_kept_numbers(std::string_view json) {
  return read_object<std::vector<double>>(json, [](const JsonObject& object) -> Result<std::vector<double>> {
    AGON_ASSIGN(const JsonArray list, list_of(object, "numbers", "numbers"));
    std::vector<double> numbers;
    for (const JsonElement one : list) {
      AGON_ASSIGN(const double number, finite_number(one, "numbers"));
      numbers.push_back(number);
    }
    return numbers;
  });
}

std::string kept_answer(const GeneratedReply& answer) {
  std::string out = "{\"choices\":[{\"text\":";
  append_json_string(out, answer.text);
  out += ",\"finish_reason\":";
  append_json_string(out, answer.finish_reason);
  if (!answer.tokens.empty() && !answer.tokens.front().top.empty()) {
    out += ",\"first\":[";
    bool any = false;
    for (const auto& [text, logprob] : answer.tokens.front().top) {
      out += std::exchange(any, true) ? ",{\"token\":" : "{\"token\":";
      append_json_string(out, text);
      fmt::format_to(std::back_inserter(out), ",\"logprob\":{}}}", logprob);
    }
    out += ']';
  }
  const TokenUsage& usage = answer.head.usage;
  fmt::format_to(std::back_inserter(out), "}}],\"usage\":{{\"prompt_tokens\":{},\"completion_tokens\":{}}}}}",
                 usage.input, usage.output);
  return out;
}

Result<GeneratedReply> read_kept_answer(std::string_view json) {
  AGON_ASSIGN(GeneratedReply reply, read_completion_reply(json));
  return read_object<GeneratedReply>(json, [&](const JsonObject& object) -> Result<GeneratedReply> {
    AGON_ASSIGN(const JsonArray choices, list_of(object, "choices", "choices"));
    AGON_ASSIGN(const JsonObject choice, object_of(choices.at(0).value(), "choices[0]"));
    JsonElement value;
    JsonArray first;
    if (!find_field(choice, "first", value) || value.get(first) != simdjson::SUCCESS) return reply;
    ReplyToken token;
    for (const JsonElement one : first) {
      AGON_ASSIGN(const JsonObject pair, object_of(one, "first"));
      JsonElement text, number;
      if (!find_field(pair, "token", text) || !find_field(pair, "logprob", number))
        return bad_field("missing", "first", "tokens with log-probabilities");
      AGON_ASSIGN(std::string name, text_of(text, "first"));
      AGON_ASSIGN(const double logprob, finite_number(number, "first"));
      token.top.emplace_back(std::move(name), logprob);
    }
    reply.tokens.push_back(std::move(token));
    return reply;
  });
}

}  // namespace agon::llm
