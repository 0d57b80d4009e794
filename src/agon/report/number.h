// Numbers as people read them: the same digits on every machine, "n/a" for what could not be computed.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

namespace agon {

/// Fixed decimals with a plain '-', never "-0.000"; "n/a" for NaN, "inf" or "-inf" for infinities.
[[nodiscard]] std::string format_fixed(double value, int decimals);
/// The same with '+' in front of what is above zero after rounding.
[[nodiscard]] std::string format_signed(double value, int decimals);
/// A share as a percentage: 0.4218 with one decimal is "42.1 %", the space being U+00A0.
[[nodiscard]] std::string format_percent(double share, int decimals = 1);
/// Groups of three: 57477 is "57,477".
[[nodiscard]] std::string format_count(std::uint64_t count);
/// Sums of weights: 57477 is "57,477", 57477.5 is "57477.5"; "n/a" for what is not finite.
[[nodiscard]] std::string format_amount(double amount);
/// "[1.004, 1.031]", or "n/a" when a bound is NaN.
[[nodiscard]] std::string format_interval(double low, double high, int decimals);
/// As few digits as show the value to `significant` digits: "0.25", "1200", "3e-07".
[[nodiscard]] std::string format_short(double value, int significant = 4);
/// For pages: '-' before a digit or "inf" becomes U+2212, as wide as a plus sign.
[[nodiscard]] std::string typographic(std::string_view number);
[[nodiscard]] std::string typographic_amount(double amount);
/// format_interval for pages: read as one thing, without a line break within.
[[nodiscard]] std::string typographic_interval(double low, double high, int decimals);

}  // namespace agon
