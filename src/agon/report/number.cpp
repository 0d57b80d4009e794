#include "agon/report/number.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>

namespace agon {
namespace {

bool is_digit(char c) { return c >= '0' && c <= '9'; }

std::string not_finite(double value) {
  if (std::isnan(value)) return "n/a";
  return value > 0 ? "inf" : "-inf";
}

}  // namespace

std::string format_fixed(double value, int decimals) {
  if (!std::isfinite(value)) return not_finite(value);
  std::string text = fmt::format("{:.{}f}", value, std::clamp(decimals, 0, 17));
  const bool zero = text.find_first_of("123456789") == std::string::npos;
  if (zero && text.front() == '-') text.erase(0, 1);
  return text;
}

std::string format_signed(double value, int decimals) {
  std::string text = format_fixed(value, decimals);
  const bool zero = text.find_first_of("123456789") == std::string::npos;
  if (std::isfinite(value) && value > 0 && !zero) text.insert(0, 1, '+');
  return text;
}

std::string format_percent(double share, int decimals) {
  std::string text = format_fixed(share * 100, decimals);
  return std::isfinite(share) ? text + "\u00a0%" : text;
}

std::string format_count(std::uint64_t count) {
  std::string text = fmt::format("{}", count);
  for (std::size_t i = text.size(); i > 3; i -= 3) text.insert(i - 3, 1, ',');
  return text;
}

std::string format_interval(double low, double high, int decimals) {
  if (std::isnan(low) || std::isnan(high)) return "n/a";
  return fmt::format("[{}, {}]", format_fixed(low, decimals), format_fixed(high, decimals));
}

std::string format_short(double value, int significant) {
  if (!std::isfinite(value)) return not_finite(value);
  if (value == 0) return "0";
  return fmt::format("{:.{}g}", value, std::clamp(significant, 1, 17));
}

std::string typographic(std::string_view number) {
  std::string out;
  out.reserve(number.size() + 4);
  for (std::size_t i = 0; i < number.size(); ++i) {
    const bool after_digit = i > 0 && (is_digit(number[i - 1]) || number[i - 1] == 'e');
    const bool before_number = i + 1 < number.size() && (is_digit(number[i + 1]) || number[i + 1] == 'i');
    if (number[i] == '-' && before_number && (!after_digit || number[i - 1] == 'e')) {
      out += "\u2212";
    } else {
      out += number[i];
    }
  }
  return out;
}

std::string format_amount(double amount) {
  if (!std::isfinite(amount)) return "n/a";
  if (amount >= 0 && amount < 1e18 && std::fabs(amount - std::round(amount)) < 1e-6)
    return format_count(static_cast<std::uint64_t>(std::llround(amount)));
  return format_fixed(amount, 1);
}

std::string typographic_amount(double amount) { return typographic(format_amount(amount)); }

std::string typographic_interval(double low, double high, int decimals) {
  std::string text = typographic(format_interval(low, high, decimals));
  if (const std::size_t space = text.find(' '); space != std::string::npos) text.replace(space, 1, "\u00a0");
  return text;
}

}  // namespace agon
