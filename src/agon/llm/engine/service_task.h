// One request on its way through the service, and the ticket's side of it. Internal to service*.cpp.
#pragma once

#include <atomic>
#include <condition_variable>
#include <cstdint>
#include <deque>
#include <limits>
#include <memory>
#include <mutex>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "agon/llm/engine/generation.h"
#include "agon/llm/engine/lookahead.h"
#include "agon/llm/engine/prefix_cache.h"
#include "agon/llm/engine/service.h"
#include "agon/llm/tokenizer/utf8_stream.h"

namespace agon::llm {

struct Ticket::State {
  /// `cancellations` counts all of a service's, so that it looks at tickets only when there is something new.
  /// `bytes`: what the submission takes while it waits.
  State(std::size_t requests, std::shared_ptr<std::atomic<std::uint64_t>> cancellations, std::size_t bytes);

  void push(Event event);
  [[nodiscard]] bool is_cancelled(std::size_t request);
  void cancel(std::optional<std::size_t> request, bool abandon);

  std::mutex mutex;
  std::condition_variable arrived;
  std::deque<Event> events;
  std::size_t unfinished;       // requests whose Finished was not given out
  std::vector<bool> cancelled;  // by request
  bool abandoned = false;       // nobody will read any more
  std::shared_ptr<std::atomic<std::uint64_t>> cancellations;

  const std::size_t bytes;
  std::size_t waiting;  // requests that never ran; for the service's thread only
};

/// The `count` most probable tokens for logits, the lower id of equals first.
[[nodiscard]] std::vector<TokenLogprob> top_logprobs(std::span<const float> logits, double log_total,
                                                     int count);

/// A request with everything that it has come to. Used by the service's thread (and parts of it by the team).
class ServiceTask {
 public:
  ServiceTask(const Engine& engine, ServiceRequest request, std::size_t index,
              std::shared_ptr<Ticket::State> ticket, std::string client, int room);

  // What is to be read.

  /// Tokens to read now: the prompt, and what was drawn.
  [[nodiscard]] std::span<const Token> reading() const {
    return std::span(tokens).first(static_cast<std::size_t>(end));
  }
  /// Tokens that may yet come behind the next one, at most `ahead` of them.
  [[nodiscard]] int to_come(int ahead) const;
  /// Guesses at most `most` tokens to be read behind the last one. Only where it takes the most probable
  /// tokens.
  void guess_ahead(int most);
  /// Prefixes up to here may be taken from elsewhere: rows from there on have something to tell.
  [[nodiscard]] int reuse_limit() const { return shares() ? std::min(next_row, end - 1) : 0; }
  /// All layers are run, so that what is read serves others too.
  [[nodiscard]] bool shares() const { return stop_layer < 0 || stop_layer == all_layers; }
  [[nodiscard]] bool wants_scores() const { return first_score < score_end; }
  [[nodiscard]] bool is_embedding() const { return stop_layer >= 0; }

  /// Before the first of them comes: one that waits takes no memory for its results.
  void make_room_for_scores();
  /// Takes over what is known of wanted scores, as far as this leaves no gap: these rows need not be
  /// computed.
  void take_scores(std::span<const TokenScore> known);

  // What the model said.

  /// Adds what this task wants of rows to a batch: its tokens [from, from + count) stand at `row` there.
  void want(Batch& batch, int row, int from, int count) const;
  /// The row whose logits the next token is drawn from is among these.
  [[nodiscard]] bool draws(int from, int count) const;
  /// Takes scores from `result`, beginning at `at`; moves `at` behind them.
  void read_scores(const BatchResult& result, std::size_t& at, int from, int count);
  /// Pools hidden states of its rows.
  void pool(const Engine& engine, std::span<const float> rows, int from);

  struct Draw {
    Token token = 0;
    double logprob = 0;
    std::vector<TokenLogprob> top = {};
    bool ends = false;  // the constraint leaves nothing to draw
    bool lost = false;  // the logits are not finite
  };
  /// The next token is the most probable one, of which nothing else is told.
  [[nodiscard]] bool takes_best() const;
  /// How many guessed tokens are what the model says, of which `best` has the most probable token after the
  /// last of the text and after each of `guess`.
  [[nodiscard]] std::size_t right_guesses(std::span<const std::int32_t> best);
  /// Draws the next token. May run beside other tasks' draws.
  [[nodiscard]] Draw draw(std::span<const float> logits, double log_total);
  /// The same where the task takes the most probable one; -1: the logits are not finite.
  [[nodiscard]] static Draw draw(std::int32_t best);

  // What the reader hears.

  /// Everything of the prompt was read. An error when there is nothing to give: its numbers are not finite.
  [[nodiscard]] Status give_prompt(const Engine& engine);
  /// Gives out a token; the reason, if it is the last.
  [[nodiscard]] std::optional<FinishReason> give(const Engine& engine, Draw draw);
  void give_finish(FinishReason reason, std::string message = {});

  ServiceRequest request;
  std::size_t index;
  std::shared_ptr<Ticket::State> ticket;
  std::string client;

  std::vector<Token> tokens;           // of the request and drawn ones
  int end = 0;                         // of these are to be read
  int prompt_end = 0;                  // up to here it is the request's
  int next_row = 0;                    // first row that has something to tell
  int first_score = 0, score_end = 0;  // tokens whose probabilities are wanted
  int top = 0;                         // with so many alternatives, if more than one
  int stop_layer = -1, all_layers = 0;

  int sequence = -1;      // in the KV cache, while it runs
  std::uint64_t age = 0;  // admitted as the how many-eth
  bool ran = false;       // was admitted before
  bool prompt_done = false;
  bool finished = false;
  bool waited_for = false;  // somebody wants to go on from its prompt
  int granted = 0;          // tokens in this step
  /// Read in this step behind the granted ones: what the text may go on with.
  std::span<const Token> guess;
  [[nodiscard]] int rows() const { return granted + static_cast<int>(guess.size()); }
  double admitted_at = 0;  // seconds of the service's clock
  Usage usage;
  std::vector<TokenScore> scores;  // by token; empty if none are wanted
  std::vector<std::vector<TokenLogprob>> tops;

 private:
  [[nodiscard]] const GenerateRequest* generate() const { return std::get_if<GenerateRequest>(&request); }

  int room_;  // positions
  std::optional<Sampler> sampler_;
  Utf8Stream characters_;
  std::optional<StopFilter> filter_;
  Lookahead lookahead_;
  std::optional<ConstraintState> constraint_;
  bool at_start_ = false;  // the answer is the text's start
  std::vector<double> sums_;
};

}  // namespace agon::llm
