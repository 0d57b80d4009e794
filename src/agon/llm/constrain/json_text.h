// The parts of JSON texts as networks: what a schema is put together from.
//
// Texts are compact: one space at most behind ':' and ',', and no other white space, so that a model cannot
// write blanks for ever. Numbers have at most kDigits digits before and after the point and two in the
// exponent, so that every reader can hold them.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "agon/llm/constrain/network.h"
#include "agon/llm/constrain/regex.h"

namespace agon::llm::constrain {

constexpr std::uint64_t kNoMost = ~std::uint64_t{0};

/// A string of so many characters; escapes count as what they stand for.
[[nodiscard]] Network::State add_string(Network& network, Network::State from, std::uint64_t least = 0,
                                        std::uint64_t most = kNoMost);
/// A string whose content matches.
[[nodiscard]] Network::State add_string(Network& network, Network::State from, const Regex& content);
/// A string that is none of these, written without escapes: the name of a further property.
[[nodiscard]] Network::State add_other_name(Network& network, Network::State from,
                                            const std::vector<std::string>& taken);
/// Any number.
[[nodiscard]] Network::State add_number(Network& network, Network::State from);

/// Bounds of a number; a bound may itself be excluded.
struct Interval {
  std::int64_t low, high;
  bool low_open = false, high_open = false;
};
/// The largest number of kDigits digits: what stands for no bound.
constexpr std::int64_t kLargest = 999'999'999'999'999'999;
/// Whole numbers between low and high, within +-kLargest; nothing when low > high. Openness is not looked at.
[[nodiscard]] std::string integer_pattern(const Interval& interval);
/// Decimal numbers without exponent in an interval.
[[nodiscard]] std::string decimal_pattern(const Interval& interval);

/// ',' or ':' with a space behind it or not.
[[nodiscard]] Network::State add_separator(Network& network, Network::State from, char separator);
/// A string of fixed content, in quotes.
[[nodiscard]] Network::State add_quoted(Network& network, Network::State from, std::string_view text);

/// Any value: a rule that calls itself for the values inside.
void add_any_value(Network& network, Network::Rule rule);
/// Any object, whose values are of a rule.
[[nodiscard]] Network::State add_any_object(Network& network, Network::State from, Network::Rule value);

}  // namespace agon::llm::constrain
