// What readers of JSON records say of a value and make of a scalar. Only for the sources that use simdjson.
#pragma once

#include <fmt/format.h>
#include <simdjson.h>

#include <cstdint>
#include <string>
#include <string_view>

namespace agon {

/// "a list", "a number", ... for messages.
[[nodiscard]] inline std::string_view json_type_name(simdjson::dom::element value) {
  using simdjson::dom::element_type;
  switch (value.type()) {
    case element_type::ARRAY:
      return "a list";
    case element_type::OBJECT:
      return "an object";
    case element_type::STRING:
      return "a string";
    case element_type::BOOL:
      return "a boolean";
    case element_type::NULL_VALUE:
      return "null";
    default:
      return "a number";
  }
}

/// Text of a scalar: a string as it is, numbers (made in `scratch`) and booleans as in JSON; null, lists and
/// objects are nothing.
[[nodiscard]] inline std::string_view json_scalar_text(simdjson::dom::element value, std::string& scratch) {
  using simdjson::dom::element_type;
  switch (value.type()) {
    case element_type::STRING:
      return std::string_view(value);
    case element_type::BOOL:
      return bool(value) ? "true" : "false";
    case element_type::INT64:
      return scratch = fmt::format("{}", std::int64_t(value));
    case element_type::UINT64:
      return scratch = fmt::format("{}", std::uint64_t(value));
    case element_type::DOUBLE:
      return scratch = fmt::format("{}", double(value));
    default:
      return {};
  }
}

}  // namespace agon
