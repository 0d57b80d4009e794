// The most probable tokens of a long vocabulary, without sorting it.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <vector>

namespace agon::llm {

struct TokenLogit {
  float logit;
  std::int32_t token;
};

/// The order of tokens by probability: the larger logit first, of equals the lower id.
[[nodiscard]] constexpr bool more_probable(const TokenLogit& a, const TokenLogit& b) {
  return a.logit > b.logit || (a.logit == b.logit && a.token < b.token);
}

/// Minus infinity when no logit is a number above that.
[[nodiscard]] float largest_of(std::span<const float> logits);

/// The `count` most probable tokens, the most probable first; fewer where fewer are above minus infinity.
[[nodiscard]] std::vector<TokenLogit> most_probable(std::span<const float> logits, std::size_t count);

/// All tokens of that logit or a larger one, by id, but for those at minus infinity.
[[nodiscard]] std::vector<TokenLogit> tokens_from(std::span<const float> logits, float floor);

/// Weights exp((logit - largest) * scale) of all tokens, added up in float where they are many together.
struct LogitTotal {
  static constexpr std::size_t kPart = 1024;
  float largest = 0;          ///< Minus infinity when no logit is a number above that.
  float factor = 1;           ///< The scale, finite.
  double sum = 0;             ///< Of all weights.
  std::vector<double> parts;  ///< Weights of kPart tokens together.

  /// The first token, by id, at which the weights of the same logits add up to more than `point`: of a point
  /// drawn evenly below `sum` a draw by softmax. No token when nothing has a weight.
  [[nodiscard]] std::optional<std::int32_t> token_at(std::span<const float> logits, double point) const;
};
/// `total` is filled anew; it is handed in for its memory.
void add_up(std::span<const float> logits, double scale, LogitTotal& total);

/// Memory of nucleus(), and what it found.
struct Nucleus {
  std::vector<TokenLogit> tokens;  ///< In an order that depends on nothing but the logits.
  std::vector<TokenLogit> found;   ///< All down to some depth, by id.
  std::vector<float> logits;       ///< Those of `tokens`.
};
/// The fewest most probable tokens whose weights add up to `target` or more, but for the rounding of sums:
/// all that are above minus infinity if none do. `total` is that of the same logits.
void find_nucleus(std::span<const float> logits, const LogitTotal& total, double target, Nucleus& nucleus);

}  // namespace agon::llm
