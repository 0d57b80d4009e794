// What a model makes of given texts in their context: hidden states of several layers and log-probabilities,
// in one pass.
#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "agon/base/error.h"
#include "agon/llm/engine/engine.h"
#include "agon/llm/engine/scoring.h"

namespace agon::llm {

/// A run of tokens [begin, end) of a request.
struct TokenRun {
  int begin = 0, end = 0;
};

/// Tokens to be read, of which some are observed: an answer after its prompt, say.
struct ReadRequest {
  std::vector<Token> tokens;
  std::vector<TokenRun> observed;  ///< Ascending, apart, none empty; the first begins at 1 or later.
  Token end = kNoToken;            ///< Unless kNoToken: how likely is it after the last token?
  /// Neighbours of one number are a family (two answers to one prompt, say): what all of it begin with is
  /// read once.
  std::size_t family = 0;
};

/// What to find out.
struct ReadOptions {
  std::vector<int> layers;  ///< Ascending, each once; 0: the embeddings, up to the model's number of layers.
  bool logprobs = false;    ///< All layers are run, and the vocabulary.
};

/// What was found out about one request. E is the model's width.
struct Reading {
  std::vector<float> mean;       ///< layers * E: mean over the observed tokens.
  std::vector<float> last;       ///< layers * E: the last observed token's.
  std::vector<double> logprobs;  ///< Natural logarithms, one an observed token.
  double end_logprob = 0;        ///< Of ReadRequest::end.
};

/// Readings of all requests, in their order. What a family shares at its start is read once, and so is what
/// all requests begin with (a template's system message). Every reading is the same to the last bit whatever
/// else is read, in any order, on any number of threads. A request longer than the context is an Error.
[[nodiscard]] Result<std::vector<Reading>> read_texts(Engine& engine, std::span<const ReadRequest> requests,
                                                      const ReadOptions& options,
                                                      const ScoreProgress& progress = {});

}  // namespace agon::llm
