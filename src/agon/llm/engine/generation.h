// From a prompt to a text that is given out as it arises, and choices among given answers.
#pragma once

#include <functional>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "agon/base/error.h"
#include "agon/llm/constrain/constraint.h"
#include "agon/llm/engine/engine.h"
#include "agon/llm/engine/lookahead.h"
#include "agon/llm/engine/scoring.h"
#include "agon/llm/model/sampler.h"

namespace agon::llm {

struct GenerationOptions {
  SamplerOptions sampler = {};
  std::vector<std::string> stop = {};  ///< Texts that end the answer; they are not part of it.
  int max_tokens = 0;                  ///< 0: until the context is full.
  bool truncate = false;               ///< Cut too long a prompt at its front in place of refusing it.
  /// Where the text is greedy (SamplerOptions::takes_best, no constraint), let one pass of the model check
  /// guesses of several tokens (lookahead.h). Changes nothing but the time.
  bool lookahead = true;
  /// What the text may be; none: anything. Made with the engine's tokenizer. The text is then byte for byte
  /// one of the constraint's, or the beginning of one where a limit or a stop string cuts it; it ends, by
  /// kEnd, as soon as nothing can follow.
  std::shared_ptr<const Constraint> constraint = {};
};

enum class StopReason : std::uint8_t { kEnd, kStopString, kMaxTokens, kContext, kInterrupted };
/// "end", "stop", "length", "context", "interrupted".
[[nodiscard]] std::string_view stop_reason_name(StopReason reason);

struct Generation {
  std::string text;
  std::vector<Token> tokens;  ///< All that were drawn, those of a stop string too.
  StopReason reason = StopReason::kEnd;
  std::size_t prompt_tokens = 0;
  std::size_t reused_tokens = 0;  ///< Of the prompt, found in the cache.
  std::size_t cut_tokens = 0;     ///< Taken off its front by `truncate`.
  std::size_t passes = 0;     ///< Of the model, for all tokens but the first; fewer where guesses were right.
  double prompt_seconds = 0;  ///< Until the first logits.
  double seconds = 0;         ///< From then on.
};

/// Takes the next piece of text, whole characters only; false ends the generation. Also called with an empty
/// piece while a long prompt is read, so that this can be ended too.
using TextSink = std::function<bool(std::string_view piece)>;

/// One sequence that is continued again and again, as in a chat: what a prompt shares with what was read
/// before is not read twice, which changes no bit of the result. The engine must outlive it.
class Session {
 public:
  /// Room for `tokens` positions, at most the engine's context; 0: all of it.
  static Result<Session> create(Engine& engine, int tokens = 0);

  /// Continues the prompt until the model ends its answer, a stop string appears or room is used up. The same
  /// prompt, options and seed give the same bytes, whatever was generated before and on any number of
  /// threads.
  [[nodiscard]] Result<Generation> generate(std::span<const Token> prompt, const GenerationOptions& options,
                                            const TextSink& sink = {});

 private:
  Session(Engine& engine, std::unique_ptr<KvCache> cache);
  [[nodiscard]] Result<bool> read(std::span<const Token> prompt, const TextSink& sink, bool best,
                                  Generation& result);
  [[nodiscard]] Status go_on(Token token, bool best, std::size_t ahead, Generation& result);

  Engine* engine_;
  std::unique_ptr<KvCache> cache_;
  std::unique_ptr<Forward> forward_;
  int room_;                   // positions
  int sequence_;               // of the cache
  std::vector<Token> tokens_;  // that the sequence holds
  std::size_t read_ = 0;       // of them, from the start, as part of prompts
  BatchResult result_;
  Lookahead lookahead_;
  std::span<const Token> guess_;  // of lookahead_: what the latest pass read behind its first token
  std::size_t right_ = 0;         // of these, from the start, are part of the text
};

/// Looks for stop strings in a text that comes in pieces, and holds back what may yet become one.
class StopFilter {
 public:
  explicit StopFilter(std::vector<std::string> stops);
  /// The text that is safe to give out now. After a stop string was found nothing more comes.
  [[nodiscard]] std::string push(std::string_view text);
  [[nodiscard]] bool found() const { return found_; }
  /// What was held back, at the end.
  [[nodiscard]] std::string flush() { return std::exchange(held_, {}); }

 private:
  std::vector<std::string> stops_;
  std::string held_;
  bool found_ = false;
};

/// A continuation of a prompt that is already in its final form (a rendered chat). Encoded together where
/// that leaves the prompt's tokens as they are, and apart where not, so that all continuations have the same
/// context.
[[nodiscard]] Result<ScoreRequest> continue_prompt(const Engine& engine, std::string_view prompt,
                                                   std::string_view continuation,
                                                   TooLong too_long = TooLong::kRefuse);

struct Choices {
  std::vector<Score> scores;          ///< As the choices.
  std::vector<double> probabilities;  ///< Softmax of logprob / temperature over the choices.
  std::size_t chosen = 0;
};
/// Scores the choices exactly and takes one: the most probable (the first of equals) when `temperature` is 0,
/// whose probabilities are those of temperature 1; else drawn by its probability from `seed`.
[[nodiscard]] Result<Choices> choose(Engine& engine, std::span<const ScoreRequest> choices,
                                     double temperature, std::uint64_t seed);

}  // namespace agon::llm
