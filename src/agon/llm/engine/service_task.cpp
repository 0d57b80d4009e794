#include "agon/llm/engine/service_task.h"

#include <algorithm>
#include <cmath>

#include "agon/base/check.h"
#include "agon/llm/engine/reward.h"
#include "agon/text/utf8.h"

namespace agon::llm {
namespace {

constexpr std::size_t wide(int n) { return static_cast<std::size_t>(n); }

std::string repaired(std::string text) {
  repair_utf8(text);
  return text;
}

}  // namespace

Ticket::State::State(std::size_t requests, std::shared_ptr<std::atomic<std::uint64_t>> counter,
                     std::size_t its_bytes)
    : unfinished(requests),
      cancelled(requests),
      cancellations(std::move(counter)),
      bytes(its_bytes),
      waiting(requests) {}

void Ticket::State::push(Event event) {
  {
    const std::lock_guard lock(mutex);
    if (abandoned) return;
    events.push_back(std::move(event));
  }
  arrived.notify_one();
}

bool Ticket::State::is_cancelled(std::size_t request) {
  const std::lock_guard lock(mutex);
  return cancelled[request];
}

void Ticket::State::cancel(std::optional<std::size_t> request, bool abandon) {
  {
    const std::lock_guard lock(mutex);
    for (std::size_t i = 0; i < cancelled.size(); ++i)
      if (!request || *request == i) cancelled[i] = true;
    if (abandon) {
      abandoned = true;
      events.clear();
    }
  }
  cancellations->fetch_add(1);
}

std::vector<TokenLogprob> top_logprobs(std::span<const float> logits, double log_total, int count) {
  std::vector<TokenLogprob> result;
  for (const TokenLogit& one : most_probable(logits, wide(std::max(count, 0))))
    result.push_back({one.token, static_cast<double>(one.logit) - log_total});
  return result;
}

ServiceTask::ServiceTask(const Engine& engine, ServiceRequest its_request, std::size_t its_index,
                         std::shared_ptr<Ticket::State> its_ticket, std::string its_client, int room)
    : request(std::move(its_request)),
      index(its_index),
      ticket(std::move(its_ticket)),
      client(std::move(its_client)),
      all_layers(engine.config().layer_count()),
      room_(room) {
  if (const GenerateRequest* it = generate()) {
    tokens = it->prompt;
    end = prompt_end = static_cast<int>(tokens.size());
    next_row = end - 1;
    if (it->prompt_logprobs >= 0) {
      first_score = 1;
      score_end = end;
      next_row = 0;
      top = it->prompt_logprobs > 1 ? it->prompt_logprobs : 0;
    }
    sampler_.emplace(it->sampler);
    for (const Token token : tokens) sampler_->accept_prompt(token);
    filter_.emplace(it->stop);
    const Token bos = engine.tokenizer().special().bos;
    // A constraint is about the bytes of tokens as they stand within a text.
    at_start_ = !it->constraint && std::ranges::all_of(tokens, [&](Token token) { return token == bos; });
    if (it->constraint) constraint_.emplace(it->constraint->start());
  } else if (const ScoreRequest* score = std::get_if<ScoreRequest>(&request)) {
    tokens = score->tokens;
    end = prompt_end = static_cast<int>(tokens.size()) - 1;  // the last one is only scored
    first_score = score->first;
    score_end = static_cast<int>(tokens.size());
    next_row = first_score - 1;
  } else {
    const EmbedRequest& embed = std::get<EmbedRequest>(request);
    tokens = embed.tokens;
    end = prompt_end = static_cast<int>(tokens.size());
    stop_layer = embed.layer < 0 ? all_layers : embed.layer;
    next_row = embed.pooling == Pooling::kMean ? 0 : end - 1;
  }
  usage.prompt_tokens = static_cast<int>(tokens.size());
}

int ServiceTask::to_come(int ahead) const {
  const GenerateRequest* it = generate();
  if (it == nullptr) return 0;
  int left = room_ - end;
  // The last token that is drawn is not read.
  if (it->max_tokens) left = std::min(left, *it->max_tokens - usage.generated_tokens - 1);
  return std::clamp(left, 0, ahead);
}

void ServiceTask::guess_ahead(int most) {
  const auto text = std::span<const Token>(tokens);
  guess = lookahead_.guess(text.first(text.size() - 1), text.back(), wide(to_come(most)));
}

std::size_t ServiceTask::right_guesses(std::span<const std::int32_t> best) {
  const auto right = static_cast<std::size_t>(std::ranges::mismatch(guess, best).in1 - guess.begin());
  lookahead_.learn(right);
  return right;
}

void ServiceTask::make_room_for_scores() {
  if (!wants_scores()) return;
  // What is drawn later has none: of a task that comes back only the tokens of its request count.
  scores.resize(static_cast<std::size_t>(usage.prompt_tokens));
  if (top > 0) tops.resize(scores.size());
}

void ServiceTask::take_scores(std::span<const TokenScore> known) {
  if (!wants_scores() || top > 0) return;
  // Row r tells of token r + 1.
  while (next_row + 1 < std::min(score_end, static_cast<int>(known.size())) &&
         known[wide(next_row) + 1].known() && next_row < end - 1) {
    scores[wide(next_row) + 1] = known[wide(next_row) + 1];
    ++next_row;
  }
}

void ServiceTask::want(Batch& batch, int row, int from, int count) const {
  if (is_embedding()) return;
  for (int position = std::max(from, next_row); position < from + count; ++position) {
    const bool scored = position + 1 >= first_score && position + 1 < score_end;
    if (scored) batch.targets.push_back({row + position - from, tokens[wide(position) + 1]});
    const bool drawn = position == end - 1 && draws(from, count);
    if (drawn && takes_best()) batch.best_rows.push_back(row + position - from);
    if ((scored && top > 0) || (drawn && !takes_best())) batch.logit_rows.push_back(row + position - from);
  }
}

bool ServiceTask::draws(int from, int count) const {
  const GenerateRequest* it = generate();
  return it != nullptr && from + count == end && it->max_tokens.value_or(1) > 0;
}

void ServiceTask::read_scores(const BatchResult& result, std::size_t& at, int from, int count) {
  for (int position = std::max(from, next_row); position < from + count; ++position) {
    if (position + 1 < first_score || position + 1 >= score_end) continue;
    const TargetScore& score = result.scores[at++];
    scores[wide(position) + 1] = {
        .logprob = score.logprob, .best_logprob = score.best_logprob, .best = score.best};
  }
}

void ServiceTask::pool(const Engine& engine, std::span<const float> rows, int from) {
  const auto width = wide(engine.config().embedding);
  const EmbedRequest& embed = std::get<EmbedRequest>(request);
  const int count = static_cast<int>(rows.size() / width);
  std::vector<float> normed(width);
  sums_.resize(width, 0.0);
  for (int position = std::max(from, next_row); position < from + count; ++position) {
    std::span<const float> state = rows.subspan(wide(position - from) * width, width);
    if (embed.final_norm || embed.pooling == Pooling::kRank) {
      kernels().rms_norm(state.data(), engine.weights().output_norm().data(), static_cast<int>(width),
                         static_cast<float>(engine.config().norm_epsilon), normed.data());
      state = normed;
    }
    for (std::size_t i = 0; i < width; ++i) sums_[i] += static_cast<double>(state[i]);
  }
}

bool ServiceTask::takes_best() const {
  const GenerateRequest* it = generate();
  return it != nullptr && it->sampler.takes_best() && it->top_logprobs < 0 && !it->constraint;
}

ServiceTask::Draw ServiceTask::draw(std::int32_t best) {
  Draw draw;
  draw.lost = best < 0;
  if (!draw.lost) draw.token = best;
  return draw;
}

ServiceTask::Draw ServiceTask::draw(std::span<const float> logits, double log_total) {
  const GenerateRequest& it = *generate();
  Draw draw;
  draw.lost = !std::isfinite(log_total);
  if (draw.lost) return draw;
  std::span<const std::uint64_t> allowed;
  if (constraint_) {
    allowed = constraint_->allowed();
    draw.ends = constraint_->must_end() || std::ranges::all_of(allowed, [](auto word) { return word == 0; });
    if (draw.ends) return draw;
  }
  draw.token = sampler_->sample(logits, allowed);
  if (it.top_logprobs >= 0) {
    draw.logprob = static_cast<double>(logits[wide(draw.token)]) - log_total;
    draw.top = top_logprobs(logits, log_total, it.top_logprobs);
  }
  return draw;
}

Status ServiceTask::give_prompt(const Engine& engine) {
  prompt_done = true;
  if (const GenerateRequest* it = generate()) {
    PromptDone done = {.usage = usage, .tokens = {}};
    for (int i = first_score; i < score_end; ++i)
      if (!std::isfinite(scores[wide(i)].logprob)) return not_finite({});
    for (std::size_t i = 0; it->prompt_logprobs >= 0 && i < wide(prompt_end); ++i) {
      PromptToken token = {.token = tokens[i]};
      if (i > 0) {
        token.logprob = scores[i].logprob;
        token.is_greedy = scores[i].best == token.token;
        if (top > 0) token.top = std::move(tops[i]);
        if (it->prompt_logprobs == 1) token.top = {{scores[i].best, scores[i].best_logprob}};
      }
      done.tokens.push_back(std::move(token));
    }
    tops.clear();
    ticket->push({index, std::move(done)});
  } else if (std::holds_alternative<ScoreRequest>(request)) {
    Score score;
    score.is_greedy = true;
    for (int i = first_score; i < score_end; ++i) {
      const TokenScore& one = scores[wide(i)];
      score.tokens.push_back(tokens[wide(i)]);
      score.token_logprobs.push_back(one.logprob);
      score.logprob += one.logprob;
      score.is_greedy = score.is_greedy && one.best == tokens[wide(i)];
    }
    if (!std::isfinite(score.logprob)) return not_finite({});
    ticket->push({index, std::move(score)});
  } else {
    const Pooling pooling = std::get<EmbedRequest>(request).pooling;
    const double count = pooling == Pooling::kMean ? static_cast<double>(tokens.size()) : 1.0;
    Embedding embedding(sums_.size());
    for (std::size_t i = 0; i < sums_.size(); ++i) embedding[i] = static_cast<float>(sums_[i] / count);
    if (!std::ranges::all_of(embedding, [](float x) { return std::isfinite(x); })) return not_finite({});
    if (pooling == Pooling::kRank) {
      AGON_ASSIGN(embedding, head_outputs(engine, embedding, true));
    }
    ticket->push({index, std::move(embedding)});
  }
  return {};
}

std::optional<FinishReason> ServiceTask::give(const Engine& engine, Draw draw) {
  const GenerateRequest& it = *generate();
  const Tokenizer& tokenizer = engine.tokenizer();
  const Token token = draw.token;
  if (draw.ends) return FinishReason::kEnd;
  if ((!it.ignore_end || constraint_) &&
      std::ranges::binary_search(tokenizer.special().end_of_generation, token))
    return FinishReason::kEnd;
  ++usage.generated_tokens;
  tokens.push_back(token);
  ++end;
  next_row = end - 1;
  sampler_->accept(token);
  const std::string piece = at_start_ ? tokenizer.decode(std::span(&token, 1)) : tokenizer.piece(token);
  at_start_ = false;
  ticket->push({index, TokenEvent{.token = token,
                                  .text = repaired(filter_->push(characters_.push(piece))),
                                  .logprob = draw.logprob,
                                  .top = std::move(draw.top)}});
  if (filter_->found()) return FinishReason::kStopString;
  // One that is not allowed cannot have been drawn.
  if (constraint_) AGON_CHECK(constraint_->advance(token).has_value());
  if (constraint_ && constraint_->must_end()) return FinishReason::kEnd;
  if (it.max_tokens && usage.generated_tokens >= *it.max_tokens) return FinishReason::kLength;
  if (end > room_) return FinishReason::kContext;
  return std::nullopt;
}

void ServiceTask::give_finish(FinishReason reason, std::string message) {
  std::string rest;
  if (filter_ && reason != FinishReason::kCancelled) {
    rest = filter_->push(characters_.flush());
    rest += filter_->flush();
  }
  ticket->push({index, Finished{.reason = reason,
                                .text = repaired(std::move(rest)),
                                .usage = usage,
                                .message = std::move(message)}});
}

}  // namespace agon::llm
