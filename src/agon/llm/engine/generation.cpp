#include "agon/llm/engine/generation.h"

#include <fmt/format.h>

#include <algorithm>
#include <chrono>
#include <cmath>
#include <optional>

#include "agon/base/check.h"
#include "agon/base/random.h"
#include "agon/llm/tokenizer/utf8_stream.h"

namespace agon::llm {
namespace {

using Clock = std::chrono::steady_clock;
double seconds_since(Clock::time_point start) {
  return std::chrono::duration<double>(Clock::now() - start).count();
}

// The prompt's end, after its BOS token when it begins with one.
std::vector<Token> keep_end(std::span<const Token> prompt, std::size_t keep, Token bos) {
  std::vector<Token> result;
  if (prompt.size() <= keep) return {prompt.begin(), prompt.end()};
  if (prompt.front() == bos && keep > 1) result.push_back(bos);
  const auto rest = prompt.last(keep - result.size());
  result.insert(result.end(), rest.begin(), rest.end());
  return result;
}

}  // namespace

std::string_view stop_reason_name(StopReason reason) {
  switch (reason) {
    case StopReason::kEnd:
      return "end";
    case StopReason::kStopString:
      return "stop";
    case StopReason::kMaxTokens:
      return "length";
    case StopReason::kContext:
      return "context";
    case StopReason::kInterrupted:
      return "interrupted";
  }
  AGON_CHECK(false);
}

StopFilter::StopFilter(std::vector<std::string> stops) : stops_(std::move(stops)) {
  std::erase(stops_, std::string());
}

std::string StopFilter::push(std::string_view text) {
  if (found_) return {};
  held_ += text;
  std::size_t first = std::string::npos;
  for (const std::string& stop : stops_) first = std::min(first, held_.find(stop));
  if (first != std::string::npos) {
    found_ = true;
    std::string out = held_.substr(0, first);
    held_.clear();
    return out;
  }
  // The longest end of the text that a stop string begins with.
  std::size_t hold = 0;
  for (const std::string& stop : stops_) {
    for (std::size_t n = std::min(stop.size() - 1, held_.size()); n > hold; --n) {
      if (held_.ends_with(std::string_view(stop).substr(0, n))) hold = n;
    }
  }
  std::string out = held_.substr(0, held_.size() - hold);
  held_.erase(0, out.size());
  return out;
}

Session::Session(Engine& engine, std::unique_ptr<KvCache> cache)
    : engine_(&engine),
      cache_(std::move(cache)),
      forward_(engine.make_forward(*cache_)),
      room_(cache_->page_count() * kPageTokens),
      sequence_(cache_->open()) {}

Result<Session> Session::create(Engine& engine, int tokens) {
  const int room = tokens > 0 ? std::min(tokens, engine.context()) : engine.context();
  AGON_ASSIGN(KvCache cache, engine.make_cache(room));
  Session session(engine, std::make_unique<KvCache>(std::move(cache)));
  session.room_ = room;
  return session;
}

// Brings the sequence to the prompt and makes what the token after it is drawn from; false when the sink
// ended it.
Result<bool> Session::read(std::span<const Token> prompt, const TextSink& sink, bool best,
                           Generation& result) {
  // What was generated before is read again where steps are computed otherwise.
  const auto known = std::span(tokens_).first(forward_->steps_differ() ? read_ : tokens_.size());
  const auto same = std::ranges::mismatch(prompt, known).in1 - prompt.begin();
  // The last token is read in any case: its logits are wanted.
  const auto reused = std::min(static_cast<std::size_t>(same), prompt.size() - 1);
  cache_->truncate(sequence_, static_cast<int>(reused));
  tokens_.resize(reused);
  read_ = reused;
  lookahead_ = {};
  guess_ = {};
  right_ = 0;
  result.reused_tokens = reused;
  const auto step = static_cast<std::size_t>(engine_->options().max_rows);
  while (tokens_.size() < prompt.size()) {
    if (sink && !sink({})) return false;
    const auto piece = prompt.subspan(tokens_.size(), std::min(step, prompt.size() - tokens_.size()));
    Batch batch;
    batch.tokens.assign(piece.begin(), piece.end());
    batch.segments = {{sequence_, static_cast<int>(piece.size())}};
    if (tokens_.size() + piece.size() == prompt.size())
      (best ? batch.best_rows : batch.logit_rows) = {static_cast<int>(piece.size()) - 1};
    AGON_TRY(forward_->run(batch, result_));
    tokens_.insert(tokens_.end(), piece.begin(), piece.end());
    read_ = tokens_.size();
  }
  return true;
}

// Brings the sequence to `token` and makes what the next one is drawn from. Where the best tokens are all
// that is wanted the model also says what would follow guessed ones, `ahead` at most: a right guess spares a
// pass, a wrong one is taken back.
Status Session::go_on(Token token, bool best, std::size_t ahead, Generation& result) {
  if (right_ < guess_.size() && guess_[right_] == token) {
    ++right_;
    tokens_.push_back(token);
    return {};
  }
  Batch step;
  step.tokens = {token};
  if (best) {
    lookahead_.learn(right_);
    guess_ = lookahead_.guess(tokens_, token, ahead);
    right_ = 0;
    step.tokens.insert(step.tokens.end(), guess_.begin(), guess_.end());
    for (std::size_t row = 0; row < step.tokens.size(); ++row)
      step.best_rows.push_back(static_cast<int>(row));
    cache_->truncate(sequence_, static_cast<int>(tokens_.size()));
  } else {
    step.logit_rows = {0};
  }
  step.segments = {{sequence_, static_cast<int>(step.tokens.size()), true}};
  AGON_TRY(forward_->run(step, result_));
  ++result.passes;
  tokens_.push_back(token);
  return {};
}

Result<Generation> Session::generate(std::span<const Token> prompt, const GenerationOptions& options,
                                     const TextSink& sink) {
  const SpecialTokens& special = engine_->tokenizer().special();
  const auto room = static_cast<std::size_t>(room_);
  Generation result;
  std::vector<Token> cut;
  if (options.truncate) {
    // Half of the room at most is kept free for the answer.
    const std::size_t answer = std::min<std::size_t>(
        options.max_tokens > 0 ? static_cast<std::size_t>(options.max_tokens) : room, (room + 1) / 2);
    cut = keep_end(prompt, room + 1 - answer, special.bos);
    result.cut_tokens = prompt.size() - cut.size();
    prompt = cut;
  }
  AGON_TRY(options.sampler.check());
  if (prompt.empty()) return fail("an empty prompt has nothing to continue: the vocabulary has no BOS token");
  if (prompt.size() > room) {
    return fail(fmt::format("the prompt has {} tokens, {} more than the context of {}", prompt.size(),
                            prompt.size() - room, room));
  }
  for (const Token token : prompt) {
    if (token < 0 || token >= engine_->config().vocabulary)
      return fail(fmt::format("{} is no token of this model", token));
  }
  result.prompt_tokens = prompt.size();

  const auto begin = Clock::now();
  const bool best = options.sampler.takes_best() && !options.constraint;
  AGON_ASSIGN(const bool whole, read(prompt, sink, best, result));
  result.prompt_seconds = seconds_since(begin);
  if (!whole) {
    result.reason = StopReason::kInterrupted;
    return result;
  }
  const auto first = Clock::now();
  Sampler sampler(options.sampler);
  for (const Token token : prompt) sampler.accept_prompt(token);
  Utf8Stream characters;
  StopFilter filter(options.stop);
  const auto give = [&](const std::string& text) {
    result.text += text;
    return !sink || sink(text);
  };
  std::optional<ConstraintState> constrained;
  if (options.constraint) constrained = options.constraint->start();
  // A text that starts with the answer has no space before its first word, unless a constraint asked for it.
  bool at_start =
      !constrained && std::ranges::all_of(prompt, [&](Token token) { return token == special.bos; });
  for (;;) {
    if (constrained && constrained->must_end()) {
      result.reason = StopReason::kEnd;
      break;
    }
    const bool finite = best ? result_.best[right_] >= 0 : std::isfinite(result_.log_totals.front());
    if (!finite) return not_finite(engine_->file().path());
    const Token token = best          ? result_.best[right_]
                        : constrained ? sampler.sample(result_.logits, constrained->allowed())
                                      : sampler.sample(result_.logits);
    if (std::ranges::binary_search(special.end_of_generation, token)) {
      result.reason = StopReason::kEnd;
      break;
    }
    if (constrained) AGON_TRY(constrained->advance(token));
    result.tokens.push_back(token);
    sampler.accept(token);
    const std::string piece =
        at_start ? engine_->tokenizer().decode(std::span(&token, 1)) : engine_->tokenizer().piece(token);
    at_start = false;
    if (!give(filter.push(characters.push(piece)))) {
      result.reason = StopReason::kInterrupted;
      break;
    }
    if (filter.found()) {
      result.reason = StopReason::kStopString;
      break;
    }
    // Before the limits, and before the model is run for a token that none is wanted after.
    if (constrained && constrained->must_end()) continue;
    if (options.max_tokens > 0 && result.tokens.size() >= static_cast<std::size_t>(options.max_tokens)) {
      result.reason = StopReason::kMaxTokens;
      break;
    }
    if (tokens_.size() >= room) {
      result.reason = StopReason::kContext;
      break;
    }
    std::size_t more = room - tokens_.size();
    if (options.max_tokens > 0)
      more = std::min(more, static_cast<std::size_t>(options.max_tokens) - result.tokens.size());
    AGON_TRY(go_on(token, best, options.lookahead ? more - 1 : 0, result));
  }
  std::string rest = filter.push(characters.flush());
  rest += filter.flush();
  if (!rest.empty() && result.reason != StopReason::kInterrupted) give(rest);
  result.seconds = seconds_since(first);
  return result;
}

Result<ScoreRequest> continue_prompt(const Engine& engine, std::string_view prompt,
                                     std::string_view continuation, TooLong too_long) {
  if (continuation.empty()) return fail("an empty continuation has no log-probability");
  const Tokenizer& tokenizer = engine.tokenizer();
  const std::vector<Token> start = tokenizer.encode(prompt, {.add_end = false, .parse_special = true});
  ScoreRequest request;
  request.first = static_cast<int>(start.size());
  request.tokens =
      tokenizer.encode(std::string(prompt) += continuation, {.add_end = false, .parse_special = true});
  const bool kept =
      request.tokens.size() > start.size() && std::equal(start.begin(), start.end(), request.tokens.begin());
  if (!kept) {
    request.tokens = start;
    const std::vector<Token> rest = tokenizer.encode(continuation, {.add_special = false});
    request.tokens.insert(request.tokens.end(), rest.begin(), rest.end());
  }
  AGON_TRY(fit(engine, request, too_long));
  return request;
}

Result<Choices> choose(Engine& engine, std::span<const ScoreRequest> choices, double temperature,
                       std::uint64_t seed) {
  AGON_CHECK(!choices.empty() && temperature >= 0);
  Choices result;
  AGON_ASSIGN(result.scores, score(engine, choices));
  const auto by_logprob = [](const Score& a, const Score& b) { return a.logprob < b.logprob; };
  const auto best = std::ranges::max_element(result.scores, by_logprob);
  result.chosen = static_cast<std::size_t>(best - result.scores.begin());
  const double divisor = temperature > 0 ? temperature : 1.0;
  double sum = 0;
  for (const Score& one : result.scores) {
    result.probabilities.push_back(std::exp((one.logprob - best->logprob) / divisor));
    sum += result.probabilities.back();
  }
  for (double& p : result.probabilities) p /= sum;
  if (temperature > 0) {
    double left = Random(seed).uniform();
    for (std::size_t i = 0; i < result.probabilities.size(); ++i) {
      left -= result.probabilities[i];
      if (left < 0) {
        result.chosen = i;
        break;
      }
    }
  }
  return result;
}

}  // namespace agon::llm
