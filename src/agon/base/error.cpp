#include "agon/base/error.h"

#include <fmt/format.h>

namespace agon {

std::string Error::to_string() const {
  std::string out = file;
  std::string place;
  if (row != 0) place = fmt::format("row {}", row);
  if (!column.empty()) place += fmt::format("{}column '{}'", place.empty() ? "" : ", ", column);
  if (has_byte) place += fmt::format("{}byte {}", place.empty() ? "" : ", ", byte);
  if (!place.empty()) out += (out.empty() ? "" : ": ") + place;
  if (!out.empty()) out += ": ";
  out += message;
  if (!expected.empty()) out += fmt::format(" (expected {})", expected);
  return out;
}

}  // namespace agon
