// What a service said, collected for tests.
#pragma once

#include <fmt/format.h>
#include <gtest/gtest.h>

#include <string>
#include <vector>

#include "agon/base/random.h"
#include "agon/llm/engine/service.h"

namespace agon::llm {

/// All events of one request.
struct Outcome {
  PromptDone prompt;
  std::vector<TokenEvent> tokens;
  std::optional<Score> score;
  Embedding embedding;
  Finished finished;
  std::string text;  ///< All pieces.
  bool ended = false;

  [[nodiscard]] std::vector<Token> drawn() const {
    std::vector<Token> result;
    for (const TokenEvent& token : tokens) result.push_back(token.token);
    return result;
  }

  /// Everything but the use of the cache, numbers to the last bit.
  [[nodiscard]] std::string bytes() const {
    std::string out;
    const auto add_top = [&](const std::vector<TokenLogprob>& top) {
      for (const TokenLogprob& one : top) out += fmt::format(" {}:{:a}", one.token, one.logprob);
    };
    for (const PromptToken& token : prompt.tokens) {
      out += fmt::format("prompt {} {:a} {}", token.token, token.logprob.value_or(1), token.is_greedy);
      add_top(token.top);
      out += "\n";
    }
    for (const TokenEvent& token : tokens) {
      out += fmt::format("token {} '{}' {:a}", token.token, token.text, token.logprob);
      add_top(token.top);
      out += "\n";
    }
    if (score) {
      out += fmt::format("score {:a} {}", score->logprob, score->is_greedy);
      for (const double one : score->token_logprobs) out += fmt::format(" {:a}", one);
      out += "\n";
    }
    for (const float one : embedding) out += fmt::format("{:a} ", one);
    out += fmt::format("{} '{}' {} {} {}", finish_reason_name(finished.reason), finished.text,
                       finished.usage.prompt_tokens, finished.usage.generated_tokens, finished.message);
    return out;
  }

  void take(Event event) {
    EXPECT_FALSE(ended);
    if (auto* it = std::get_if<PromptDone>(&event.what)) {
      EXPECT_TRUE(tokens.empty());
      prompt = std::move(*it);
    } else if (auto* token = std::get_if<TokenEvent>(&event.what)) {
      text += token->text;
      tokens.push_back(std::move(*token));
    } else if (auto* its_score = std::get_if<Score>(&event.what)) {
      score = std::move(*its_score);
    } else if (auto* states = std::get_if<Embedding>(&event.what)) {
      embedding = std::move(*states);
    } else {
      finished = std::get<Finished>(std::move(event.what));
      text += finished.text;
      ended = true;
    }
  }
};

/// Reads a ticket of `count` requests to its end.
inline std::vector<Outcome> read_all(Ticket& ticket, std::size_t count) {
  std::vector<Outcome> outcomes(count);
  while (!ticket.finished()) {
    auto event = ticket.next(std::chrono::minutes(5));
    EXPECT_TRUE(event.has_value());
    if (!event) break;
    outcomes[event->request].take(std::move(*event));
  }
  return outcomes;
}

/// Runs requests on a service without a thread until all is done.
inline std::vector<Outcome> run(Service& service, std::vector<ServiceRequest> requests) {
  const std::size_t count = requests.size();
  auto ticket = service.submit({"test", std::move(requests)});
  EXPECT_TRUE(ticket.has_value()) << ticket.error().error.to_string();
  while (service.step()) {
  }
  return read_all(*ticket, count);
}

/// `count` tokens of a kind, the same each time.
inline std::vector<Token> story_tokens(const Engine& engine, std::size_t count) {
  std::string text = "Once upon a time,";
  static const char* const kWords[] = {" there", " was", " a",  " little", " girl", " Lily", " dog",
                                       " big",   " she", " he", " wanted", " to",   " play", "."};
  Random random(11);
  std::vector<Token> tokens;
  while ((tokens = engine.tokenizer().encode(text)).size() < count)
    text += kWords[random.below(std::size(kWords))];
  tokens.resize(count);
  return tokens;
}

}  // namespace agon::llm
