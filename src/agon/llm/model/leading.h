// The most probable tokens of a long vocabulary, without sorting it.
#pragma once

#include <cstddef>
#include <cstdint>
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

struct LogitTotal {
  float largest;  ///< Minus infinity when no logit is a number above that.
  double sum;     ///< Of exp((logit - largest) * scale), exponentials in float.
};
/// `scratch` is filled anew.
[[nodiscard]] LogitTotal total_of(std::span<const float> logits, double scale, std::vector<float>& scratch);

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
