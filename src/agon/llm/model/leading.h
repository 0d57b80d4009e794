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

/// Weights exp((logit - largest) * scale) of all tokens, added up in float where they are many together.
struct LogitTotal {
  static constexpr std::size_t kPart = 1024;
  float largest = 0;          ///< Minus infinity when no logit is a number above that.
  double sum = 0;             ///< Of all weights.
  std::vector<float> scaled;  ///< (logit - largest) * scale; minus infinity behind the last.
  std::vector<double> parts;  ///< Weights of kPart tokens together.

  /// The first token, by id, at which the weights add up to more than `point`: of a point drawn evenly below
  /// `sum` a draw by softmax. No token when nothing has a weight.
  [[nodiscard]] std::optional<std::int32_t> token_at(double point) const;
};
/// `total` is filled anew; it is handed in for its memory.
void add_up(std::span<const float> logits, double scale, LogitTotal& total);

/// Tokens in bands of half a nat, from the largest logit down; within a band by id.
struct Bands {
  static constexpr std::size_t kCount = 64;  ///< The last one holds all that is lower.
  std::vector<TokenLogit> tokens;
  std::vector<std::size_t> ends;  ///< Of each band, in tokens.
};
/// As many bands as it takes for their weights exp((logit - largest) * scale) to add up to `target`, perhaps
/// some more: all in the end. Logits that are minus infinity or no numbers are in none.
void leading_bands(std::span<const float> logits, float largest, double scale, double target, Bands& bands);

}  // namespace agon::llm
