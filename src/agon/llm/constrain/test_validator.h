// A small validator of JSON Schemas for the tests: the keywords' definitions, one by one, and nothing of the
// compiler under test.
#pragma once

#include <algorithm>
#include <cmath>
#include <nlohmann/json.hpp>
#include <regex>
#include <string>

#include "agon/text/utf8.h"

namespace agon::llm {

class SchemaValidator {
 public:
  using Json = nlohmann::ordered_json;
  explicit SchemaValidator(const Json& root) : root_(root) {}
  [[nodiscard]] bool valid(const Json& value) const { return valid(root_, value); }

 private:
  static bool is_integer(const Json& v) {
    return v.is_number_integer() || (v.is_number() && v.get<double>() == std::floor(v.get<double>()));
  }
  static bool has_type(const std::string& type, const Json& v) {
    return (type == "null" && v.is_null()) || (type == "boolean" && v.is_boolean()) ||
           (type == "integer" && is_integer(v)) || (type == "number" && v.is_number()) ||
           (type == "string" && v.is_string()) || (type == "array" && v.is_array()) ||
           (type == "object" && v.is_object());
  }
  // Equal as JSON is: the order of members does not matter.
  static bool equal(const Json& a, const Json& b) { return nlohmann::json(a) == nlohmann::json(b); }

  bool valid(const Json& schema, const Json& v) const {
    if (schema.is_boolean()) return schema.get<bool>();
    for (const auto& [key, what] : schema.items())
      if (!holds(schema, key, what, v)) return false;
    return true;
  }

  bool holds(const Json& schema, const std::string& key, const Json& what, const Json& v) const {
    const auto any_of = [&](const Json& list, const auto& test) { return std::ranges::any_of(list, test); };
    if (key == "type") {
      if (what.is_string()) return has_type(what, v);
      return any_of(what, [&](const Json& one) { return has_type(one, v); });
    }
    if (key == "const") return equal(what, v);
    if (key == "enum") return any_of(what, [&](const Json& one) { return equal(one, v); });
    if (key == "$ref") {
      // Of escapes in URLs the tests only have blanks.
      const std::string name = std::regex_replace(what.get<std::string>(), std::regex("%20"), " ");
      return valid(root_.at(Json::json_pointer(name.substr(1))), v);
    }
    if (key == "anyOf") return any_of(what, [&](const Json& one) { return valid(one, v); });
    if (key == "allOf") return std::ranges::all_of(what, [&](const Json& one) { return valid(one, v); });
    if (key == "oneOf")
      return std::ranges::count_if(what, [&](const Json& one) { return valid(one, v); }) == 1;
    if (v.is_number()) {
      const double x = v.get<double>();
      if (key == "minimum") return x >= what.get<double>();
      if (key == "maximum") return x <= what.get<double>();
      if (key == "exclusiveMinimum") return x > what.get<double>();
      if (key == "exclusiveMaximum") return x < what.get<double>();
    }
    if (v.is_string()) {
      const std::string text = v;
      if (key == "minLength") return count_code_points(text) >= what.get<std::size_t>();
      if (key == "maxLength") return count_code_points(text) <= what.get<std::size_t>();
      if (key == "pattern") return std::regex_search(text, std::regex(what.get<std::string>()));
    }
    if (v.is_array()) {
      if (key == "minItems") return v.size() >= what.get<std::size_t>();
      if (key == "maxItems") return v.size() <= what.get<std::size_t>();
      if (key == "prefixItems") {
        for (std::size_t i = 0; i < std::min(v.size(), what.size()); ++i)
          if (!valid(what[i], v[i])) return false;
      }
      if (key == "items") {
        for (std::size_t i = schema.contains("prefixItems") ? schema["prefixItems"].size() : 0; i < v.size();
             ++i)
          if (!valid(what, v[i])) return false;
      }
    }
    if (v.is_object()) {
      if (key == "required")
        return std::ranges::all_of(what,
                                   [&](const Json& name) { return v.contains(name.get<std::string>()); });
      if (key == "properties") {
        for (const auto& [name, one] : what.items())
          if (v.contains(name) && !valid(one, v[name])) return false;
      }
      if (key == "additionalProperties") {
        for (const auto& [name, one] : v.items())
          if (!(schema.contains("properties") && schema["properties"].contains(name)) && !valid(what, one))
            return false;
      }
    }
    return true;
  }

  const Json& root_;
};

}  // namespace agon::llm
