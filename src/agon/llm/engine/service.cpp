#include "agon/llm/engine/service.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>

#include "agon/base/check.h"
#include "agon/llm/engine/reward.h"
#include "agon/llm/engine/service_scheduler.h"

namespace agon::llm {
namespace {

constexpr std::size_t kMaxStops = 64;
constexpr double kLongestRetry = 60;  // seconds

std::unexpected<Refusal> refuse(Refusal::Kind kind, Error error) {
  return std::unexpected(Refusal{.kind = kind, .error = std::move(error)});
}

std::unexpected<Refusal> invalid(std::string message, std::string option = {}) {
  return std::unexpected(Refusal{.kind = Refusal::Kind::kInvalid,
                                 .error = {.message = std::move(message), .kind = ErrorKind::kUsage},
                                 .option = std::move(option)});
}

/// What a request takes while it waits, about: its tokens are kept with it and with its task.
std::size_t bytes_of(const ServiceRequest& request) {
  constexpr std::size_t kTask = 1024, kToken = 3 * sizeof(Token);
  if (const auto* it = std::get_if<GenerateRequest>(&request)) {
    std::size_t bytes =
        kTask + kToken * it->prompt.size() + 2 * sizeof(LogitBias) * it->sampler.logit_bias.size();
    for (const std::string& stop : it->stop) bytes += 2 * (sizeof(stop) + stop.size());
    return bytes;
  }
  if (const auto* it = std::get_if<ScoreRequest>(&request)) return kTask + kToken * it->tokens.size();
  return kTask + kToken * std::get<EmbedRequest>(request).tokens.size();
}

std::size_t prompt_logprobs_of(const ServiceRequest& request) {
  const auto* it = std::get_if<GenerateRequest>(&request);
  return it == nullptr ? 0
                       : it->prompt.size() * static_cast<std::size_t>(std::max(0, it->prompt_logprobs + 1));
}

int room_of(const Engine& engine, const ServiceOptions& options, const KvCache& cache) {
  const int room = std::min(engine.context(), cache.page_count() * kPageTokens);
  return options.max_context > 0 ? std::min(room, options.max_context) : room;
}

}  // namespace

std::string_view finish_reason_name(FinishReason reason) {
  switch (reason) {
    case FinishReason::kEnd:
      return "end";
    case FinishReason::kStopString:
      return "stop";
    case FinishReason::kLength:
      return "length";
    case FinishReason::kContext:
      return "context";
    case FinishReason::kCancelled:
      return "cancelled";
    case FinishReason::kError:
      return "error";
  }
  AGON_CHECK(false);
}

Ticket::Ticket(std::shared_ptr<State> state) : state_(std::move(state)) {}
Ticket::Ticket(Ticket&&) noexcept = default;

Ticket& Ticket::operator=(Ticket&& other) noexcept {
  if (this != &other) {
    if (state_) state_->cancel(std::nullopt, true);
    state_ = std::move(other.state_);
  }
  return *this;
}

Ticket::~Ticket() {
  if (state_) state_->cancel(std::nullopt, true);
}

std::optional<Event> Ticket::next(std::chrono::milliseconds timeout) {
  std::unique_lock lock(state_->mutex);
  if (state_->unfinished == 0) return std::nullopt;
  if (!state_->arrived.wait_for(lock, timeout, [&] { return !state_->events.empty(); })) return std::nullopt;
  Event event = std::move(state_->events.front());
  state_->events.pop_front();
  if (std::holds_alternative<Finished>(event.what)) --state_->unfinished;
  return event;
}

bool Ticket::finished() const {
  const std::lock_guard lock(state_->mutex);
  return state_->unfinished == 0;
}

void Ticket::cancel() { state_->cancel(std::nullopt, false); }
void Ticket::cancel(std::size_t request) { state_->cancel(request, false); }

Service::Scheduler::Scheduler(Engine& engine, const ServiceOptions& options, KvCache cache)
    : engine_(engine),
      options_(options),
      cancellations_(std::make_shared<std::atomic<std::uint64_t>>(0)),
      cache_(std::move(cache)),
      prefixes_(cache_),
      forward_(engine.make_forward(cache_)),
      steps_differ_(forward_->steps_differ()),
      room_(room_of(engine, options, cache_)) {
  publish();
  if (options_.threaded) thread_ = std::thread([this] { loop(); });
}

Service::Scheduler::~Scheduler() {
  {
    const std::lock_guard lock(mutex_);
    draining_ = stop_ = true;
  }
  wake_.notify_all();
  if (thread_.joinable()) thread_.join();
  cancel_all();
}

void Service::Scheduler::loop() {
  while (true) {
    {
      std::unique_lock lock(mutex_);
      wake_.wait(lock, [&] { return stop_ || !incoming_.empty() || !is_idle_; });
      if (stop_) return;
    }
    step();
  }
}

double Service::Scheduler::now() const {
  return std::chrono::duration<double>(std::chrono::steady_clock::now().time_since_epoch()).count();
}

void Service::Scheduler::publish() {
  counted_.queued = static_cast<int>(returned_.size());
  for (const Client& client : clients_) counted_.queued += static_cast<int>(client.queue.size());
  counted_.running = static_cast<int>(running_.size());
  counted_.cache_pages_used = cache_.page_count() - cache_.free_pages();
  counted_.cache_pages_kept = prefixes_.pages();
  const std::lock_guard lock(mutex_);
  published_ = counted_;
  published_mean_ = mean_seconds_;
  for (const std::string& client : started_) {
    --waiting_submissions_;
    const auto of = waiting_of_.find(client);
    if (--of->second == 0) waiting_of_.erase(of);
  }
  started_.clear();
  waiting_bytes_ -= std::exchange(started_bytes_, 0);
  is_idle_ = counted_.queued == 0 && counted_.running == 0;
  if (is_idle_) idle_.notify_all();
}

void Service::Scheduler::drain() {
  const std::lock_guard lock(mutex_);
  draining_ = true;
}

bool Service::Scheduler::wait_idle(std::chrono::milliseconds timeout) {
  std::unique_lock lock(mutex_);
  return idle_.wait_for(lock, timeout, [&] { return is_idle_ && incoming_.empty(); });
}

ServiceStats Service::Scheduler::stats() const {
  const std::lock_guard lock(mutex_);
  ServiceStats stats = published_;
  stats.submissions = intake_.submissions;
  stats.requests = intake_.requests;
  stats.refused_invalid = intake_.refused_invalid;
  stats.refused_too_long = intake_.refused_too_long;
  stats.refused_full = intake_.refused_full;
  stats.refused_draining = intake_.refused_draining;
  stats.queued += static_cast<int>(incoming_.size());
  stats.queued_submissions = waiting_submissions_;
  stats.slots = options_.slots;
  stats.cache_pages = cache_.page_count();
  stats.draining = draining_;
  return stats;
}

// A quarter of the queue gone: a single free place would be taken by the first of many who try again.
double Service::Scheduler::retry_after_locked() const {
  const double seconds = published_mean_ * std::max(1.0, waiting_submissions_ / 4.0) / options_.slots;
  return std::clamp(std::ceil(seconds), 1.0, kLongestRetry);
}

// A quarter of the places is for clients that do not have as many already: one that fills the queue leaves
// room for others.
bool Service::Scheduler::has_place_locked(const std::string& client) const {
  if (waiting_submissions_ >= options_.max_queue) return false;
  const int kept = options_.max_queue / 4;
  if (waiting_submissions_ < options_.max_queue - kept) return true;
  const auto of = waiting_of_.find(client);
  return of == waiting_of_.end() || of->second < kept;
}

double Service::Scheduler::retry_after() const {
  const std::lock_guard lock(mutex_);
  return retry_after_locked();
}

std::expected<void, Refusal> Service::Scheduler::check_tokens(std::span<const Token> tokens,
                                                              std::string_view what, int unread) const {
  if (tokens.empty()) return invalid(fmt::format("{} is empty", what));
  for (const Token token : tokens) {
    if (token < 0 || token >= engine_.config().vocabulary)
      return invalid(fmt::format("{} is no token of this model", token));
  }
  const int read = static_cast<int>(tokens.size()) - unread;
  if (read <= room_) return {};
  Error error{.message = fmt::format("{} has {} tokens, {} more than the context of {}", what, read,
                                     read - room_, room_)};
  return refuse(Refusal::Kind::kTooLong, std::move(error));
}

std::expected<void, Refusal> Service::Scheduler::check(const ServiceRequest& request) const {
  if (!engine_.config().causal && !std::holds_alternative<EmbedRequest>(request))
    return refuse(Refusal::Kind::kInvalid, no_output_matrix().error());
  if (const auto* it = std::get_if<GenerateRequest>(&request)) {
    if (auto ok = check_tokens(it->prompt, "the prompt", 0); !ok) return ok;
    if (it->sampler.logit_bias.size() > kMaxLogitBiases)
      return invalid(fmt::format("{} logit biases (expected at most {})", it->sampler.logit_bias.size(),
                                 kMaxLogitBiases),
                     "logit_bias");
    if (const Status status = it->sampler.check(); !status)
      return refuse(Refusal::Kind::kInvalid, status.error());
    for (const LogitBias& one : it->sampler.logit_bias) {
      if (one.token >= engine_.config().vocabulary)
        return invalid(fmt::format("logit bias: {} is no token of this model", one.token), "logit_bias");
    }
    for (const int count : {it->top_logprobs, it->prompt_logprobs}) {
      if (count < -1 || count > kMaxTopLogprobs)
        return invalid(
            fmt::format("{} most probable tokens at each place (expected 0 to {})", count, kMaxTopLogprobs));
    }
    if (it->max_tokens && *it->max_tokens < 0)
      return invalid(fmt::format("max_tokens is {} (expected 0 or more)", *it->max_tokens));
    if (it->stop.size() > kMaxStops)
      return invalid(fmt::format("{} stop strings (expected at most {})", it->stop.size(), kMaxStops),
                     "stop");
    for (const std::string& stop : it->stop) {
      if (stop.size() > kMaxStopBytes)
        return invalid(
            fmt::format("a stop string of {} bytes (expected at most {})", stop.size(), kMaxStopBytes),
            "stop");
    }
    return {};
  }
  if (const auto* it = std::get_if<ScoreRequest>(&request)) {
    if (auto ok = check_tokens(it->tokens, "the text", 1); !ok) return ok;
    if (it->first < 1 || it->first >= static_cast<int>(it->tokens.size()))
      return invalid("a continuation needs a token, and one before it");
    return {};
  }
  const auto& it = std::get<EmbedRequest>(request);
  if (auto ok = check_tokens(it.tokens, "the text", 0); !ok) return ok;
  const int layers = engine_.config().layer_count();
  if (it.layer < -1 || it.layer > layers)
    return invalid(
        fmt::format("there is no layer {}: this model has 0 (the embeddings) to {}", it.layer, layers));
  if (it.pooling == Pooling::kNone) return invalid("an embedding is pooled over tokens, or the last one's");
  if (it.pooling != Pooling::kRank) return {};
  if (const Status status = check_head(engine_); !status)
    return invalid("the model has no classification head, so that it gives no rewards");
  if (it.layer >= 0 && it.layer != layers) return invalid("the classification head is behind all layers");
  return {};
}

std::expected<Ticket, Refusal> Service::Scheduler::submit(Submission submission) {
  const std::size_t count = submission.requests.size();
  const auto refused = [&](Refusal refusal, std::size_t request) {
    refusal.request = request;
    const std::lock_guard lock(mutex_);
    ++(refusal.kind == Refusal::Kind::kTooLong ? intake_.refused_too_long : intake_.refused_invalid);
    return std::unexpected(std::move(refusal));
  };
  if (count == 0) return refused(invalid("a submission without a request").error(), 0);
  if (count > static_cast<std::size_t>(options_.max_requests)) {
    return refused(
        invalid(fmt::format("{} requests at once (expected at most {})", count, options_.max_requests))
            .error(),
        0);
  }
  for (std::size_t i = 0; i < count; ++i)
    if (auto ok = check(submission.requests[i]); !ok) return refused(std::move(ok.error()), i);

  std::size_t bytes = 0, prompt_logprobs = 0;
  for (const ServiceRequest& request : submission.requests) {
    bytes += bytes_of(request);
    prompt_logprobs += prompt_logprobs_of(request);
  }
  if (prompt_logprobs > kMaxPromptLogprobs) {
    return refused(
        invalid(fmt::format("{} log-probabilities of prompt tokens and their alternatives are wanted at "
                            "once (expected at most {})",
                            prompt_logprobs, kMaxPromptLogprobs),
                "logprobs")
            .error(),
        0);
  }

  // Twice, so that no work is done for what is refused anyway.
  const auto full = [&]() -> std::optional<Refusal> {
    if (draining_) {
      ++intake_.refused_draining;
      return Refusal{.kind = Refusal::Kind::kDraining, .error = {.message = "the service is about to stop"}};
    }
    const bool fits = waiting_bytes_ == 0 || waiting_bytes_ + bytes <= options_.max_queue_bytes;
    if (has_place_locked(submission.client) && fits) return std::nullopt;
    ++intake_.refused_full;
    return Refusal{.kind = Refusal::Kind::kQueueFull,
                   .error = {.message = fmt::format("{} requests are waiting already{}", waiting_submissions_,
                                                    fits ? "" : ", with long texts")},
                   .retry_after = retry_after_locked()};
  };
  {
    const std::lock_guard lock(mutex_);
    if (auto refusal = full()) return std::unexpected(std::move(*refusal));
  }
  auto state = std::make_shared<Ticket::State>(count, cancellations_, bytes);
  std::vector<TaskPtr> tasks;
  for (std::size_t i = 0; i < count; ++i) {
    tasks.push_back(std::make_unique<ServiceTask>(engine_, std::move(submission.requests[i]), i, state,
                                                  submission.client, room_));
  }
  {
    const std::lock_guard lock(mutex_);
    if (auto refusal = full()) return std::unexpected(std::move(*refusal));
    ++waiting_submissions_;
    ++waiting_of_[submission.client];
    waiting_bytes_ += bytes;
    ++intake_.submissions;
    intake_.requests += count;
    std::ranges::move(tasks, std::back_inserter(incoming_));
  }
  wake_.notify_all();
  return Ticket(std::move(state));
}

Result<std::unique_ptr<Service>> Service::create(Engine& engine, const ServiceOptions& options) {
  AGON_CHECK(options.slots >= 1 && options.max_queue >= 1 && options.max_requests >= 1 &&
             options.prompt_budget >= 1 && options.cache_tokens >= 0 && options.max_context >= 0);
  constexpr int kLeastCache = 16384;
  const int context =
      options.max_context > 0 ? std::min(options.max_context, engine.context()) : engine.context();
  // Contexts of a million tokens are real: their quadruple is not taken unasked.
  constexpr int kMostContexts = 1 << 20;
  const int chosen =
      std::max({kLeastCache, context, std::min(4 * std::min(context, kMostContexts), kMostContexts)});
  AGON_ASSIGN(KvCache cache, engine.make_cache(options.cache_tokens > 0 ? options.cache_tokens : chosen));
  return std::unique_ptr<Service>(
      new Service(std::make_unique<Scheduler>(engine, options, std::move(cache))));
}

Service::Service(std::unique_ptr<Scheduler> scheduler) : scheduler_(std::move(scheduler)) {}
Service::~Service() = default;
std::expected<Ticket, Refusal> Service::submit(Submission submission) {
  return scheduler_->submit(std::move(submission));
}
void Service::drain() { scheduler_->drain(); }
bool Service::wait_idle(std::chrono::milliseconds timeout) { return scheduler_->wait_idle(timeout); }
ServiceStats Service::stats() const { return scheduler_->stats(); }
double Service::retry_after() const { return scheduler_->retry_after(); }
int Service::max_context() const { return scheduler_->max_context(); }
bool Service::step() { return scheduler_->step(); }

}  // namespace agon::llm
