// One engine for many callers: requests wait in a queue, run together in one batch, and their results come
// out of tickets, event by event.
//
//   auto service = Service::create(*engine, {.slots = 16}).value();
//   auto ticket = service->submit({.client = "ann", .requests = {GenerateRequest{.prompt = tokens}}});
//   if (!ticket) ...                                     // Refusal: full, too long, wrong, draining
//   while (auto event = ticket->next(1s)) ...            // PromptDone, TokenEvent..., Finished
//
// One thread runs steps. A step is one pass of the model over the next token of every running generation and
// at most `prompt_budget` tokens of prompts, so that a long prompt stalls nobody; greedy generations that run
// alone, or as one of two, read guesses of what they say again along (lookahead.h). What a request gets
// depends on nothing but the request: the same seed gives the same bytes, whatever else runs and whatever
// lies in the cache, because every number of a pass is one fixed chain of operations (model/forward.h).
//
// Admission is round robin over clients, and so is the budget for prompts. A request that shares a prefix
// with one whose prompt is being read waits for it and goes on from there. What finished requests have read
// stays in a tree of prefixes (prefix_cache.h) until its pages are wanted, least recently used first. When
// running requests outgrow the cache, the youngest goes back to the front of the queue and is read again
// later, which changes no bit of its result; so none ever fails for want of memory. Where the machine
// computes steps otherwise than prompts (model/forward.h), only what was read as a prompt is kept for others.
#pragma once

#include <chrono>
#include <cstdint>
#include <expected>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

#include "agon/base/error.h"
#include "agon/llm/constrain/constraint.h"
#include "agon/llm/engine/embedding.h"
#include "agon/llm/engine/engine.h"
#include "agon/llm/engine/scoring.h"
#include "agon/llm/model/sampler.h"

namespace agon::llm {

constexpr int kMaxTopLogprobs = 20;  ///< Alternatives at one place, at most.
constexpr std::size_t kMaxStopBytes = 4096;
constexpr std::size_t kMaxLogitBiases = 1024;
/// Log-probabilities of prompt tokens in one submission, alternatives too.
constexpr std::size_t kMaxPromptLogprobs = std::size_t{1} << 21U;

/// Continue a prompt. `n` choices are `n` requests of one submission: the prompt is read once all the same.
struct GenerateRequest {
  std::vector<Token> prompt = {};  ///< Not empty, at most the context.
  SamplerOptions sampler = {};
  std::vector<std::string> stop = {};  ///< Texts that end the answer; they are not part of it.
  std::optional<int> max_tokens = {};  ///< Unset: until the context is full. 0: only the prompt is read.
  bool ignore_end = false;             ///< Go on after tokens that end an answer.
  /// Log-probabilities of the answer's tokens, of log_softmax over the raw logits (before penalties, bias,
  /// temperature). -1: none; 0 to 20: with so many most probable alternatives.
  int top_logprobs = -1;
  /// The same for the prompt's tokens, given with PromptDone.
  int prompt_logprobs = -1;
  /// What the answer must be one of; null: anything. A token that ends an answer then ends it even with
  /// `ignore_end`, and so does a complete answer that nothing can follow.
  std::shared_ptr<const Constraint> constraint = {};
};

/// Hidden states of a text. One E-vector comes out (Pooling::kNone is refused), or for Pooling::kRank the
/// outputs of the model's classification head.
struct EmbedRequest {
  std::vector<Token> tokens = {};  ///< Not empty, at most the context.
  int layer = -1;                  ///< After so many layers (0: the embeddings; -1: all).
  Pooling pooling = Pooling::kMean;
  /// Each token's state goes through the model's last norm before it is pooled. Always so for kRank.
  bool final_norm = true;
};

/// ScoreRequest (scoring.h): log-probabilities of the tokens from `first` on.
using ServiceRequest = std::variant<GenerateRequest, ScoreRequest, EmbedRequest>;

/// Requests that are queued together, or refused together, and answered by one ticket.
struct Submission {
  std::string client = {};                    ///< Whose turn it uses, e.g. an API key's name or an address.
  std::vector<ServiceRequest> requests = {};  ///< At least one.
};

struct Usage {
  int prompt_tokens = 0;
  int cached_tokens = 0;     ///< Of the prompt: not computed for this request.
  int generated_tokens = 0;  ///< Without the token that ended the answer.
};

struct TokenLogprob {
  Token token = 0;
  double logprob = 0;  ///< Natural logarithm.
};

struct PromptToken {
  Token token = 0;
  std::optional<double> logprob = {};  ///< None for the first.
  bool is_greedy = false;              ///< The most probable one at its place.
  std::vector<TokenLogprob> top = {};  ///< `prompt_logprobs` many, most probable first.
};

/// The prompt was read.
struct PromptDone {
  Usage usage;
  std::vector<PromptToken> tokens = {};  ///< All of the prompt, if `prompt_logprobs` was asked for.
};

/// A token was drawn. Not given for a token that ends the answer.
struct TokenEvent {
  Token token = 0;
  /// Text that is certain now, whole UTF-8 characters only (bytes that are none become U+FFFD); empty while a
  /// character is incomplete or a stop string may have begun. The concatenation of all pieces, and of
  /// Finished::text, is the answer.
  std::string text = {};
  double logprob = 0;                  ///< If top_logprobs >= 0.
  std::vector<TokenLogprob> top = {};  ///< `top_logprobs` many, most probable first.
};

enum class FinishReason : std::uint8_t {
  kEnd,         ///< The model ended its answer; also a score's or an embedding's reason.
  kStopString,  ///< A stop string appeared.
  kLength,      ///< max_tokens were generated.
  kContext,     ///< The context is full.
  kCancelled,   ///< By the ticket, or the service was destroyed.
  kError,       ///< See `message`.
};
constexpr std::size_t kFinishReasons = 6;
/// "end", "stop", "length", "context", "cancelled", "error".
[[nodiscard]] std::string_view finish_reason_name(FinishReason reason);

/// The last event of a request.
struct Finished {
  FinishReason reason = FinishReason::kEnd;
  std::string text = {};  ///< What was held back until now.
  Usage usage = {};
  std::string message = {};  ///< For kError.
};

/// One event of one request: PromptDone, TokenEvents and Finished for a generation; Score, Finished;
/// Embedding, Finished.
struct Event {
  std::size_t request = 0;  ///< Index in the submission.
  std::variant<PromptDone, TokenEvent, Score, Embedding, Finished> what;
};

/// The receiving end of a submission, for one thread at a time. Events of one request come in their order,
/// those of several mixed. They wait in a queue without a bound of its own (a submission makes at most
/// max_tokens + 2 events a request), so that a slow reader holds up nobody.
class Ticket {
 public:
  Ticket(Ticket&&) noexcept;
  Ticket& operator=(Ticket&&) noexcept;
  ~Ticket();  ///< Cancels what is not finished.

  /// The next event; waits for it at most `timeout`. Nothing when time is up or all was given: see
  /// finished().
  [[nodiscard]] std::optional<Event> next(std::chrono::milliseconds timeout);
  /// Every request's Finished was given out by next().
  [[nodiscard]] bool finished() const;
  /// Ends all requests that are not finished; their slots are free at the next step. Finished events with
  /// kCancelled still come. From any thread.
  void cancel();
  /// Ends one request of the submission.
  void cancel(std::size_t request);

  struct State;  ///< The service's side of it.

 private:
  friend class Service;
  explicit Ticket(std::shared_ptr<State> state);
  std::shared_ptr<State> state_;
};

/// Why a submission was not taken.
struct Refusal {
  enum class Kind : std::uint8_t {
    kInvalid,    ///< An option is out of range, a token is none of the model's.
    kTooLong,    ///< Longer than the context, or than the cache; the message says by how much.
    kQueueFull,  ///< Try again in `retry_after` seconds.
    kDraining,   ///< The service is about to stop.
  };
  Kind kind = Kind::kInvalid;
  Error error = {};
  double retry_after = 0;   ///< Seconds, estimated from what is queued and the speed so far; at least 1.
  std::size_t request = 0;  ///< The one that was wrong.
  std::string option = {};  ///< Of it, "logit_bias" or "stop"; empty where its text was wrong, or all of it.
};

struct ServiceOptions {
  int slots = 16;  ///< Sequences that run at once.
  /// Submissions that wait (one counts until all its requests run). The last quarter of the places is only
  /// for clients that have less than a quarter themselves.
  int max_queue = 256;
  int max_requests = 4096;  ///< Requests of one submission.
  /// Memory of what waits: more is only taken when nothing waits.
  std::size_t max_queue_bytes = std::size_t{256} << 20U;
  int cache_tokens = 0;     ///< Positions in the KV cache; 0: four contexts, at least 16,384.
  int prompt_budget = 256;  ///< Prompt tokens of a step.
  int max_context = 0;      ///< Longest sequence; 0: the engine's context.
  bool threaded = true;     ///< false: nothing runs but by step(), for tests.
};

/// Counters since the start, and what is now; for /metrics.
struct ServiceStats {
  /// Upper bounds of the step latency histogram in seconds; the last bucket is unbounded.
  static constexpr double kLatencyBounds[] = {0.001, 0.0025, 0.005, 0.01, 0.025, 0.05,
                                              0.1,   0.25,   0.5,   1,    2.5,   10};
  static constexpr std::size_t kLatencyBuckets = std::size(kLatencyBounds) + 1;

  std::uint64_t submissions = 0, requests = 0;  ///< That were taken.
  std::uint64_t refused_invalid = 0, refused_too_long = 0, refused_full = 0, refused_draining = 0;
  std::uint64_t finished[kFinishReasons] = {};  ///< Requests, by FinishReason.
  std::uint64_t prompt_tokens = 0;              ///< Of requests whose prompt was read, cached ones included.
  std::uint64_t cached_tokens = 0;              ///< Of these, not computed.
  std::uint64_t computed_tokens = 0;  ///< Prompt tokens that went through the model, again after preemption.
  std::uint64_t generated_tokens = 0;
  std::uint64_t preemptions = 0;
  std::uint64_t steps = 0;
  std::uint64_t step_latency[kLatencyBuckets] = {};  ///< Steps by seconds, not cumulative.
  double busy_seconds = 0;                           ///< In steps.
  int queued = 0;                                    ///< Requests that wait.
  int queued_submissions = 0;
  int running = 0, slots = 0;
  int cache_pages = 0;       ///< In all.
  int cache_pages_used = 0;  ///< By running requests and kept prefixes.
  int cache_pages_kept = 0;  ///< By kept prefixes (some of them in use by running requests too).
  bool draining = false;
};

/// See the top of this file. All members may be called from any thread but step().
class Service {
 public:
  /// The engine must outlive the service, which is from now on its only caller (its tokenizer and template
  /// may be used by all). An error when the cache finds no memory.
  static Result<std::unique_ptr<Service>> create(Engine& engine, const ServiceOptions& options = {});
  ~Service();  ///< Cancels everything.
  Service(const Service&) = delete;
  Service& operator=(const Service&) = delete;

  [[nodiscard]] std::expected<Ticket, Refusal> submit(Submission submission);

  /// From now on submissions are refused; what was taken goes on.
  void drain();
  /// Waits until nothing is queued or running; false when time is up first.
  [[nodiscard]] bool wait_idle(std::chrono::milliseconds timeout);
  [[nodiscard]] ServiceStats stats() const;
  /// Seconds after which a place in the queue is likely free, at least 1.
  [[nodiscard]] double retry_after() const;
  /// The longest sequence that is taken.
  [[nodiscard]] int max_context() const;

  /// Without a thread (ServiceOptions::threaded): one step; false when there was nothing to do.
  bool step();

 private:
  class Scheduler;
  explicit Service(std::unique_ptr<Scheduler> scheduler);
  std::unique_ptr<Scheduler> scheduler_;
};

}  // namespace agon::llm
