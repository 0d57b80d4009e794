// Exact log-probabilities of given continuations, with everything that texts share at the start computed
// once.
#pragma once

#include <functional>
#include <span>
#include <string>
#include <vector>

#include "agon/base/error.h"
#include "agon/llm/engine/engine.h"

namespace agon::llm {

/// Tokens to be scored: those from `first` on are the continuation (first >= 1).
struct ScoreRequest {
  std::vector<Token> tokens;
  int first = 1;
  int cut = 0;  ///< Tokens that were taken off the front so that the rest fits.
};

/// What becomes of a text that is longer than the model's context.
enum class TooLong : std::uint8_t {
  kRefuse,  ///< It is an error that says by how much.
  kCut,     ///< Tokens are taken off its front so that the rest fits.
  kKeep,    ///< It stays: the caller has a limit of its own.
};

/// What the model says of one continuation.
struct Score {
  std::vector<Token> tokens;           ///< Of the continuation.
  std::vector<double> token_logprobs;  ///< Natural logarithms, one a token.
  double logprob = 0;                  ///< Their sum.
  bool is_greedy = false;              ///< Every token is the most probable one at its place.
};

/// Called as work goes on, with tokens read so far and tokens to read in all.
using ScoreProgress = std::function<void(std::size_t done, std::size_t total)>;

/// Splits context and continuation into tokens as lm-evaluation-harness does: spaces at the end of the
/// context move to the continuation, both are encoded together, and the context's own tokens are taken off
/// the front. An empty context is the BOS (or EOS) token. An empty continuation is an error.
[[nodiscard]] Result<ScoreRequest> make_request(const Engine& engine, std::string_view context,
                                                std::string_view continuation,
                                                TooLong too_long = TooLong::kRefuse);

/// Does with a request that is longer than the model's context what `too_long` says.
[[nodiscard]] Status fit(const Engine& engine, ScoreRequest& request, TooLong too_long);

/// Scores of all requests, in their order. They do not depend on the order or on what else is scored, to the
/// last bit. An error when a log-probability is not finite. `cache_tokens` bounds the memory for keys and
/// values; 0 chooses it.
[[nodiscard]] Result<std::vector<Score>> score(Engine& engine, std::span<const ScoreRequest> requests,
                                               int cache_tokens = 0, const ScoreProgress& progress = {});

/// How well a model predicts a text.
struct Perplexity {
  std::size_t tokens = 0;     ///< Tokens that were predicted.
  double mean_loss = 0;       ///< Nats a token.
  double standard_error = 0;  ///< Of the mean, over tokens.
  double perplexity = 0;      ///< exp(mean_loss).
  double bits_per_byte = 0;   ///< Of the text.
};

/// Reads the text in windows of `window` tokens (0: the model's context, at most 2,048) that do not overlap;
/// the first token of each is not predicted.
[[nodiscard]] Result<Perplexity> perplexity(Engine& engine, std::string_view text, int window = 0,
                                            const ScoreProgress& progress = {});

}  // namespace agon::llm
