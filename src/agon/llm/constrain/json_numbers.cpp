// Intervals of numbers as regular expressions over their digits.
#include <fmt/format.h>

#include <algorithm>

#include "agon/base/check.h"
#include "agon/llm/constrain/json_text.h"

namespace agon::llm::constrain {
namespace {

std::string any_digits(std::size_t count) { return count == 0 ? "" : fmt::format("[0-9]{{{}}}", count); }

// Digits that begin with one from `low` to `high`, and any behind it; nothing when low > high.
void add_led_by(std::string& either, char low, char high, std::size_t behind) {
  if (low <= high) either += fmt::format("|[{}-{}]{}", low, high, any_digits(behind));
}

// The numbers of as many digits that are at least, or at most, this one. At most 18 deep.
std::string beyond(std::string_view digits, bool upwards) {
  if (digits.empty()) return "";
  const char first = digits[0];
  const std::string_view rest = digits.substr(1);
  std::string either = fmt::format("({}{}", first, beyond(rest, upwards));
  if (upwards)
    add_led_by(either, static_cast<char>(first + 1), '9', rest.size());
  else
    add_led_by(either, '0', static_cast<char>(first - 1), rest.size());
  return either + ")";
}

std::string between(std::string_view low, std::string_view high) {
  if (low.empty()) return "";
  if (low[0] == high[0]) return low[0] + between(low.substr(1), high.substr(1));
  std::string either =
      fmt::format("({}{}|{}{}", low[0], beyond(low.substr(1), true), high[0], beyond(high.substr(1), false));
  add_led_by(either, static_cast<char>(low[0] + 1), static_cast<char>(high[0] - 1), low.size() - 1);
  return either + ")";
}

// 0 <= low <= high <= kLargest.
std::string natural_pattern(std::int64_t low, std::int64_t high) {
  std::string either = "(";
  for (std::int64_t shortest = 0, longest = 9;; shortest = longest + 1, longest = 10 * longest + 9) {
    const std::int64_t from = std::max(low, shortest), to = std::min(high, longest);
    if (from <= to) {
      if (either.size() > 1) either += "|";
      either += between(fmt::format("{}", from), fmt::format("{}", to));
    }
    if (longest >= high) break;
  }
  return either + ")";
}

// So many digits behind the point, that `number` with them differs from its neighbours as a double too: a
// reader must not see 19.000000000000000004 as 19 where that is excluded.
int exact_digits(std::int64_t number) { return 15 - static_cast<int>(fmt::format("{}", number).size()); }

// Decimals from low to high, neither below 0.
void add_magnitudes(std::vector<std::string>& either, std::string_view sign, const Interval& interval) {
  const auto [low, high, low_open, high_open] = interval;
  if (low > high) return;
  constexpr std::string_view kZero = R"((\.0)?)";
  if (low == high) {
    if (!low_open && !high_open) either.push_back(fmt::format("{}{}{}", sign, low, kZero));
    return;
  }
  // Whole numbers with a fraction, by how near they are to an excluded bound.
  const auto add = [&](std::int64_t first, std::int64_t last, bool above_open, bool below_open) {
    if (first > last) return;
    int digits = kDigits;
    if (above_open) digits = std::min(digits, exact_digits(first));
    if (below_open) digits = std::min(digits, exact_digits(last + 1));
    const std::string whole = fmt::format("{}{}", sign, natural_pattern(first, last));
    if (digits > 0 && above_open)
      either.push_back(fmt::format(R"({}\.[0-9]{{0,{}}}[1-9])", whole, digits - 1));
    else if (digits > 0)
      either.push_back(fmt::format(R"({}(\.[0-9]{{1,{}}})?)", whole, digits));
    else if (!above_open)
      either.push_back(whole);
  };
  const bool one = low + 1 == high;
  add(low, low, low_open, one && high_open);
  add(low + 1, high_open ? high - 2 : high - 1, false, false);
  if (high_open && !one) add(high - 1, high - 1, false, true);
  if (!high_open) either.push_back(fmt::format("{}{}{}", sign, high, kZero));
}

std::string joined(const std::vector<std::string>& either) {
  std::string out = "(";
  for (const std::string& one : either) out += (out.size() > 1 ? "|" : "") + one;
  return out + ")";
}

}  // namespace

std::string integer_pattern(const Interval& interval) {
  const auto [low, high, low_open, high_open] = interval;
  AGON_CHECK(low >= -kLargest && high <= kLargest);
  if (low > high) return {};
  std::vector<std::string> either;
  if (low < 0) either.push_back("-" + natural_pattern(std::max<std::int64_t>(1, -high), -low));
  if (high >= 0) either.push_back(natural_pattern(std::max<std::int64_t>(0, low), high));
  return joined(either);
}

std::string decimal_pattern(const Interval& interval) {
  const auto [low, high, low_open, high_open] = interval;
  AGON_CHECK(low >= -kLargest && high <= kLargest);
  std::vector<std::string> either;
  if (low < 0) {
    // The numbers below 0, from the largest. Zero itself is written without a sign.
    const bool from_zero = high >= 0;
    add_magnitudes(either, "-", {from_zero ? 0 : -high, -low, from_zero ? true : high_open, low_open});
  }
  if (high >= 0)
    add_magnitudes(either, "", {std::max<std::int64_t>(0, low), high, low >= 0 && low_open, high_open});
  return either.empty() ? std::string() : joined(either);
}

}  // namespace agon::llm::constrain
