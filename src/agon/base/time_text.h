// Points in time as text.
#pragma once

#include <cstdint>
#include <string>

namespace agon {

/// "2024-08-14", UTC, of milliseconds since 1970; "n/a" outside years 0 to 9999.
[[nodiscard]] std::string date_text(std::int64_t milliseconds);

}  // namespace agon
