// One place in a JSON Schema. Only for the sources that use simdjson.
#pragma once

#include <fmt/format.h>
#include <simdjson.h>

#include <cmath>
#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "agon/base/error.h"
#include "agon/llm/constrain/json_text.h"

namespace agon::llm::constrain {

using simdjson::dom::element;
using simdjson::dom::element_type;

/// The types of JSON Schema, as bits.
enum SchemaType : unsigned {
  kNullType = 1,
  kBooleanType = 2,
  kIntegerType = 4,
  kNumberType = 8,
  kStringType = 16,
  kArrayType = 32,
  kObjectType = 64,
  kAllTypes = 127,
};

/// The bit of a type's name, or 0.
[[nodiscard]] unsigned schema_type_named(std::string_view name);

/// "/properties/a~1b" for a name below "/properties".
[[nodiscard]] std::string pointer_below(const std::string& pointer, std::string_view name);

/// A schema that is an object, with what constrains: annotations are left out, and a keyword that is not
/// supported is an Error.
class SchemaSite {
 public:
  static Result<SchemaSite> read(element value, const std::string& pointer);

  [[nodiscard]] const std::string& pointer() const { return pointer_; }
  [[nodiscard]] const element* find(std::string_view keyword) const {
    const auto at = keywords_.find(keyword);
    return at == keywords_.end() ? nullptr : &at->second;
  }
  [[nodiscard]] bool has(std::string_view keyword) const { return keywords_.contains(keyword); }
  [[nodiscard]] bool empty() const { return keywords_.empty(); }

  /// "the schema at '/properties/x': ..."
  [[nodiscard]] std::unexpected<Error> error(std::string message, std::string expected = {}) const;
  /// Refuses every keyword but `main` and `also`.
  [[nodiscard]] Status alone(std::string_view main, std::string_view also = {}) const;
  /// What `type` says, or the keywords that are only for one type each when it is missing; all when none is.
  [[nodiscard]] Result<unsigned> types() const;
  /// What `type` says, all when it is missing.
  [[nodiscard]] Result<unsigned> stated_types() const;
  /// A count of 0 or more, e.g. of minLength.
  [[nodiscard]] Result<std::optional<std::uint64_t>> count(std::string_view keyword) const;
  [[nodiscard]] Result<std::string_view> text(std::string_view keyword) const;
  [[nodiscard]] Result<simdjson::dom::array> list(std::string_view keyword) const;
  /// The bounds of minimum, maximum, exclusiveMinimum and exclusiveMaximum: for integers the closed interval
  /// of them; for numbers they must be whole.
  [[nodiscard]] Result<Interval> interval(bool integers) const;
  [[nodiscard]] bool bounded() const;

 private:
  [[nodiscard]] Result<std::optional<double>> number(std::string_view keyword) const;

  std::string pointer_;
  std::map<std::string_view, element> keywords_;
};

/// Tells whether no value can be under two schemas at once. False when it cannot say: `fuel`, which is used
/// up, bounds how far it looks.
[[nodiscard]] bool provably_disjoint(element root, element a, element b, int& fuel, int depth = 0);

/// The element that a "$ref" names, and its pointer without '#' and escapes of URLs.
[[nodiscard]] std::optional<element> resolve_reference(element root, std::string_view reference,
                                                       std::string& pointer);

}  // namespace agon::llm::constrain
