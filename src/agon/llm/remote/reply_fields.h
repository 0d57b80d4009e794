// Fields of replies. Includes simdjson's header; only for the sources that read JSON.
#pragma once

#include <fmt/format.h>
#include <simdjson.h>

#include <cmath>
#include <functional>
#include <string>
#include <string_view>

#include "agon/base/error.h"
#include "agon/text/json_value.h"

namespace agon::llm {

using JsonElement = simdjson::dom::element;
using JsonObject = simdjson::dom::object;
using JsonArray = simdjson::dom::array;

[[nodiscard]] inline std::unexpected<Error> bad_field(std::string message, std::string field,
                                                      std::string expected = {}) {
  return std::unexpected(
      Error{.message = std::move(message), .column = std::move(field), .expected = std::move(expected)});
}

/// A field that is there and not null.
[[nodiscard]] inline bool find_field(const JsonObject& object, std::string_view name, JsonElement& value) {
  return object[name].get(value) == simdjson::SUCCESS && !value.is_null();
}

[[nodiscard]] inline Result<double> finite_number(const JsonElement& value, const std::string& field) {
  double number = 0;
  if (value.get(number) != simdjson::SUCCESS)
    return bad_field(fmt::format("{} is no number", json_type_name(value)), field, "a finite number");
  if (!std::isfinite(number)) return bad_field("not finite", field, "a finite number");
  return number;
}

[[nodiscard]] inline Result<std::string> text_of(const JsonElement& value, const std::string& field) {
  if (!value.is_string())
    return bad_field(fmt::format("{} is no text", json_type_name(value)), field, "a string");
  return std::string(std::string_view(value));
}

[[nodiscard]] inline Result<JsonArray> list_of(const JsonObject& object, std::string_view name,
                                               const std::string& field) {
  JsonElement value;
  JsonArray list;
  if (!find_field(object, name, value)) return bad_field("missing", field, "a list");
  if (value.get(list) != simdjson::SUCCESS)
    return bad_field(fmt::format("{} is no list", json_type_name(value)), field, "a list");
  return list;
}

[[nodiscard]] inline Result<JsonObject> object_of(const JsonElement& value, const std::string& field) {
  JsonObject object;
  if (value.get(object) != simdjson::SUCCESS)
    return bad_field(fmt::format("{} is no object", json_type_name(value)), field, "an object");
  return object;
}

/// Parses `body` and hands its object to `read`.
template <class T, class Read>
[[nodiscard]] Result<T> read_object(std::string_view body, Read&& read) {
  simdjson::dom::parser parser;
  JsonElement root;
  if (const auto code = parser.parse(body.data(), body.size()).get(root); code != simdjson::SUCCESS)
    return fail(fmt::format("not JSON: {}", simdjson::error_message(code)));
  JsonObject object;
  if (root.get(object) != simdjson::SUCCESS)
    return fail(fmt::format("{} where an object was expected", json_type_name(root)));
  return std::forward<Read>(read)(object);
}

}  // namespace agon::llm
