// From logits to the next token.
#pragma once

#include <cstdint>
#include <deque>
#include <map>
#include <span>
#include <vector>

#include "agon/base/error.h"
#include "agon/base/random.h"
#include "agon/llm/model/leading.h"

namespace agon::llm {

/// What is added to a token's logit.
struct LogitBias {
  std::int32_t token = 0;
  double bias = 0;
};

/// How the next token is drawn. The steps, in llama.cpp's order (other than Hugging Face's, where the
/// temperature comes before top-k, top-p and min-p):
///
/// 0. logit bias: added to the logits of the tokens it names;
/// 1. repetition penalty: logits of tokens among the last `repeat_last` are divided by it when positive and
///    multiplied when not, once for each token (Keskar et al. 2019, arXiv 1909.05858, section 4.1);
///    then, as OpenAI's API defines them, a token that was drawn c > 0 times loses c times the frequency
///    penalty, and the presence penalty once;
/// 2. top-k: the k largest logits stay;
/// 3. top-p: of these, the fewest most probable tokens stay whose probabilities, by softmax over what step 2
///    left, add up to p or more (Holtzman et al. 2020, arXiv 1904.09751);
/// 4. min-p: tokens stay that are at least min_p times as probable as the most probable one (Nguyen et al.
/// 2024,
///    arXiv 2407.01082);
/// 5. temperature: logits are divided by it, and one token is drawn by softmax.
///
/// Of equal logits the lower id counts as the larger. At least one token always stays.
struct SamplerOptions {
  double temperature = 0.0;                ///< 0 is greedy: the largest logit after step 1, nothing is drawn.
  int top_k = 0;                           ///< 0: all.
  double top_p = 1.0;                      ///< 1: all; in (0, 1].
  double min_p = 0.0;                      ///< 0: all; in [0, 1].
  double repetition_penalty = 1.0;         ///< 1: none.
  int repeat_last = 64;                    ///< Tokens that the penalty looks back on; -1: all.
  double frequency_penalty = 0.0;          ///< In [-2, 2]; counts what was drawn, not the prompt.
  double presence_penalty = 0.0;           ///< In [-2, 2].
  std::vector<LogitBias> logit_bias = {};  ///< Each token once, biases in [-100, 100].
  std::uint64_t seed = 0;

  /// The token is always the one of the largest logit: nothing is added to any, nothing drawn.
  [[nodiscard]] bool takes_best() const;
  /// The repetition penalty changes logits of tokens that were said.
  [[nodiscard]] bool minds_repeats() const { return repetition_penalty != 1.0 && repeat_last != 0; }
  /// So do the penalties of what was drawn.
  [[nodiscard]] bool minds_draws() const { return frequency_penalty != 0 || presence_penalty != 0; }
  /// Names the first option that is out of range.
  [[nodiscard]] Status check() const;
};

/// Draws tokens of one text. The same options, logits and tokens give the same draws on every machine (but
/// for the last bit of libm's exp).
class Sampler {
 public:
  /// The options must pass their check().
  explicit Sampler(const SamplerOptions& options);

  struct Candidate {
    std::int32_t token;
    double probability;
  };

  /// The next token for logits over the vocabulary (not empty). Logits that are no numbers or minus infinity
  /// are chosen only where all are: then it is token 0, or the lowest that is allowed.
  ///
  /// `allowed`, when not empty, has a bit for each token: token t is bit t % 64 of word t / 64, and at least
  /// one bit is set. Other tokens, and those behind its end, count as if their logit were minus infinity,
  /// before everything else.
  [[nodiscard]] std::int32_t sample(std::span<const float> logits,
                                    std::span<const std::uint64_t> allowed = {});
  /// What sample() draws from: the tokens that stay and their probabilities (which add up to 1), most
  /// probable first. Greedy: one token.
  [[nodiscard]] std::vector<Candidate> candidates(std::span<const float> logits,
                                                  std::span<const std::uint64_t> allowed = {}) const;
  /// Tells of a token that was drawn and that the text goes on with.
  void accept(std::int32_t token);
  /// Tells of a token of the prompt, which counts for the repetition penalty only.
  void accept_prompt(std::int32_t token);

 private:
  [[nodiscard]] std::vector<TokenLogit> remaining(std::span<const float> logits) const;
  [[nodiscard]] std::span<const float> adjusted(std::span<const float> logits,
                                                std::span<const std::uint64_t> allowed) const;
  [[nodiscard]] std::int32_t greedy(std::span<const float> logits,
                                    std::span<const std::uint64_t> allowed) const;

  SamplerOptions options_;
  Random random_;
  std::deque<std::int32_t> recent_;
  std::map<std::int32_t, int> drawn_;  // how often; empty if no penalty asks
  // Kept for their memory.
  mutable LogitTotal total_;
  mutable Nucleus nucleus_;
  std::vector<float> kept_;
  mutable std::vector<float> adjusted_;  // logits after mask, bias and penalties; kept for its memory
};

/// The token of the largest logit, the lowest of equals; 0 when none is a number.
[[nodiscard]] std::int32_t greedy_token(std::span<const float> logits);

/// log(sum(exp(logits))), summed in order in double after taking the largest off.
[[nodiscard]] double log_sum_exp(std::span<const float> logits);

/// Natural logarithms of the probabilities: logits minus log_sum_exp(logits), in double.
[[nodiscard]] std::vector<double> log_softmax(std::span<const float> logits);

}  // namespace agon::llm
