#include "agon/base/time_text.h"

#include <fmt/format.h>

#include <chrono>

namespace agon {

std::string date_text(std::int64_t milliseconds) {
  // The range keeps the calendar's arithmetic from overflowing on hostile numbers.
  if (milliseconds < -62'167'219'200'000 || milliseconds > 253'402'300'799'000) return "n/a";
  const std::chrono::sys_time<std::chrono::milliseconds> at{std::chrono::milliseconds(milliseconds)};
  const std::chrono::year_month_day date{std::chrono::floor<std::chrono::days>(at)};
  return fmt::format("{:04}-{:02}-{:02}", static_cast<int>(date.year()), static_cast<unsigned>(date.month()),
                     static_cast<unsigned>(date.day()));
}

}  // namespace agon
