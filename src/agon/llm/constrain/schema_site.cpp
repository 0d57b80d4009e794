#include "agon/llm/constrain/schema_site.h"

#include <algorithm>
#include <array>

#include "agon/text/json.h"

namespace agon::llm::constrain {
namespace {

constexpr std::array<std::string_view, 12> kAnnotations = {
    "title",      "description", "default",   "examples", "$schema",     "$comment",
    "deprecated", "readOnly",    "writeOnly", "$defs",    "definitions", "discriminator"};

struct Keyword {
  std::string_view name;
  unsigned type;  ///< The only types it speaks of; 0: of all.
};
constexpr std::array<Keyword, 24> kKeywords = {{
    {"type", 0},
    {"enum", 0},
    {"const", 0},
    {"$ref", 0},
    {"anyOf", 0},
    {"oneOf", 0},
    {"allOf", 0},
    {"properties", kObjectType},
    {"required", kObjectType},
    {"additionalProperties", kObjectType},
    {"items", kArrayType},
    {"prefixItems", kArrayType},
    {"minItems", kArrayType},
    {"maxItems", kArrayType},
    {"minLength", kStringType},
    {"maxLength", kStringType},
    {"pattern", kStringType},
    {"format", kStringType},
    {"minimum", kNumberType},
    {"maximum", kNumberType},
    {"exclusiveMinimum", kNumberType},
    {"exclusiveMaximum", kNumberType},
    {"uniqueItems", kArrayType},
    {"$id", 0},
}};

constexpr std::array<std::pair<std::string_view, unsigned>, 7> kTypes = {{{"null", kNullType},
                                                                          {"boolean", kBooleanType},
                                                                          {"integer", kIntegerType},
                                                                          {"number", kNumberType},
                                                                          {"string", kStringType},
                                                                          {"array", kArrayType},
                                                                          {"object", kObjectType}}};

// Names in messages come from strangers: short, and without control characters.
std::string shown(std::string_view text) {
  std::string quoted;
  if (text.size() > 80) {
    std::size_t cut = 80;
    while (cut > 0 && (static_cast<unsigned char>(text[cut]) & 0xC0) == 0x80) --cut;
    append_json_string(quoted, text.substr(0, cut));
    return quoted.substr(1, quoted.size() - 2) + "...";
  }
  append_json_string(quoted, text);
  return quoted.substr(1, quoted.size() - 2);
}

}  // namespace

unsigned schema_type_named(std::string_view name) {
  for (const auto& [known, type] : kTypes)
    if (known == name) return type;
  return 0;
}

std::string pointer_below(const std::string& pointer, std::string_view name) {
  std::string out = pointer + '/';
  for (const char c : name) {
    if (c == '~')
      out += "~0";
    else if (c == '/')
      out += "~1";
    else
      out += c;
  }
  return out;
}

std::unexpected<Error> SchemaSite::error(std::string message, std::string expected) const {
  Error error;
  error.message = pointer_.empty() ? "the JSON schema: " + message
                                   : fmt::format("the JSON schema at '{}': {}", shown(pointer_), message);
  error.expected = std::move(expected);
  return std::unexpected(std::move(error));
}

Result<SchemaSite> SchemaSite::read(element value, const std::string& pointer) {
  SchemaSite site;
  site.pointer_ = pointer;
  simdjson::dom::object object;
  if (value.get(object) != simdjson::SUCCESS) return site.error("neither an object nor a boolean");
  for (const auto& [name, content] : object) {
    if (std::ranges::find(kAnnotations, name) != kAnnotations.end()) continue;
    if (std::ranges::find(kKeywords, name, &Keyword::name) == kKeywords.end())
      return site.error(fmt::format("the keyword '{}' is not supported", shown(name)));
    bool on = true;
    if (name == "$id") {
      if (pointer.empty()) continue;  // it would move what references below it mean
      return site.error("the keyword '$id' is not supported below the top");
    }
    if (name == "uniqueItems") {
      if (content.get(on) == simdjson::SUCCESS && !on) continue;
      return site.error("the keyword 'uniqueItems' is not supported");
    }
    if (!site.keywords_.emplace(name, content).second)
      return site.error(fmt::format("the keyword '{}' stands twice", shown(name)));
  }
  return site;
}

Status SchemaSite::alone(std::string_view main, std::string_view also) const {
  for (const auto& [name, _] : keywords_)
    if (name != main && name != also)
      return error(fmt::format("'{}' beside '{}' is not supported", shown(name), main));
  return {};
}

Result<unsigned> SchemaSite::stated_types() const {
  const element* type = find("type");
  if (type == nullptr) return kAllTypes;
  unsigned types = 0;
  const auto add = [&](element one) {
    std::string_view name;
    const unsigned bit = one.get(name) == simdjson::SUCCESS ? schema_type_named(name) : 0;
    types |= bit;
    return bit != 0;
  };
  bool right = true;
  if (type->is_array()) {
    for (const element one : simdjson::dom::array(*type)) right = add(one) && right;
  } else {
    right = add(*type);
  }
  if (!right || types == 0)
    return error("'type' names no type",
                 "null, boolean, integer, number, string, array, object, or a list of them");
  return types;
}

Result<unsigned> SchemaSite::types() const {
  if (has("type")) return stated_types();
  unsigned types = 0;
  for (const auto& [name, _] : keywords_) types |= std::ranges::find(kKeywords, name, &Keyword::name)->type;
  return types != 0 ? types : unsigned{kAllTypes};
}

Result<std::optional<double>> SchemaSite::number(std::string_view keyword) const {
  const element* value = find(keyword);
  if (value == nullptr) return std::nullopt;
  double number = 0;
  if (value->get(number) != simdjson::SUCCESS) return error(fmt::format("'{}' is not a number", keyword));
  return number;
}

Result<std::optional<std::uint64_t>> SchemaSite::count(std::string_view keyword) const {
  AGON_ASSIGN(const std::optional<double> value, number(keyword));
  if (!value) return std::nullopt;
  if (*value < 0 || *value != std::floor(*value) || *value > 1e15)
    return error(fmt::format("'{}' is not a count", keyword), "a whole number, 0 or more");
  return static_cast<std::uint64_t>(*value);
}

Result<std::string_view> SchemaSite::text(std::string_view keyword) const {
  std::string_view value;
  if (find(keyword)->get(value) != simdjson::SUCCESS)
    return error(fmt::format("'{}' is not a string", keyword));
  return value;
}

Result<simdjson::dom::array> SchemaSite::list(std::string_view keyword) const {
  simdjson::dom::array value;
  if (find(keyword)->get(value) != simdjson::SUCCESS)
    return error(fmt::format("'{}' is not a list", keyword));
  return value;
}

bool SchemaSite::bounded() const {
  return has("minimum") || has("maximum") || has("exclusiveMinimum") || has("exclusiveMaximum");
}

Result<Interval> SchemaSite::interval(bool integers) const {
  Interval result = {-kLargest, kLargest};
  for (const std::string_view keyword : {"minimum", "exclusiveMinimum", "maximum", "exclusiveMaximum"}) {
    AGON_ASSIGN(const std::optional<double> value, number(keyword));
    if (!value) continue;
    const bool open = keyword.starts_with("exclusive"), lower = keyword.ends_with("inimum");
    const bool whole = *value == std::floor(*value);
    if (!integers && !whole)
      return error(fmt::format("'{}' of a number is {}", keyword, *value), "a whole number");
    // As written where that fits: a double holds no more than 53 bits.
    std::int64_t bound = 0;
    if (find(keyword)->get(bound) != simdjson::SUCCESS) {
      const double rounded = lower ? std::ceil(*value) : std::floor(*value);
      bound = rounded >= 2e18    ? 2 * kLargest
              : rounded <= -2e18 ? -2 * kLargest
                                 : static_cast<std::int64_t>(rounded);
    }
    bound = std::clamp(bound, -2 * kLargest, 2 * kLargest);
    // Integers step over an excluded bound; one that was rounded is inside already.
    if (integers && open && whole) bound += lower ? 1 : -1;
    const bool stays_open = open && !integers;
    if (lower && (bound > result.low || (bound == result.low && stays_open))) {
      result.low = std::min(bound, kLargest + 1);
      result.low_open = stays_open;
    } else if (!lower && (bound < result.high || (bound == result.high && stays_open))) {
      result.high = std::max(bound, -kLargest - 1);
      result.high_open = stays_open;
    }
  }
  return result;
}

std::optional<element> resolve_reference(element root, std::string_view reference, std::string& pointer) {
  if (!reference.starts_with('#')) return std::nullopt;
  pointer.clear();
  for (std::size_t i = 1; i < reference.size(); ++i) {
    const auto digit = [&](std::size_t at) {
      const char c = at < reference.size() ? reference[at] : 'x';
      return c >= '0' && c <= '9'   ? c - '0'
             : c >= 'a' && c <= 'f' ? c - 'a' + 10
             : c >= 'A' && c <= 'F' ? c - 'A' + 10
                                    : -1;
    };
    if (reference[i] == '%' && digit(i + 1) >= 0 && digit(i + 2) >= 0) {
      pointer += static_cast<char>(16 * digit(i + 1) + digit(i + 2));
      i += 2;
    } else {
      pointer += reference[i];
    }
  }
  if (pointer.empty()) return root;
  if (!pointer.starts_with('/')) return std::nullopt;
  element found;
  if (root.at_pointer(pointer).get(found) != simdjson::SUCCESS) return std::nullopt;
  return found;
}

}  // namespace agon::llm::constrain
