// What makes a oneOf the same as an anyOf: alternatives that no value shares.
#include <algorithm>

#include "agon/llm/constrain/schema_site.h"

namespace agon::llm::constrain {
namespace {

bool is_scalar(element value) { return !value.is_array() && !value.is_object(); }

unsigned type_of(element value) {
  switch (value.type()) {
    case element_type::NULL_VALUE:
      return kNullType;
    case element_type::BOOL:
      return kBooleanType;
    case element_type::STRING:
      return kStringType;
    case element_type::ARRAY:
      return kArrayType;
    case element_type::OBJECT:
      return kObjectType;
    default:
      return kNumberType;
  }
}

bool certainly_differ(element a, element b) {
  if (type_of(a) != type_of(b)) return true;
  if (!is_scalar(a)) return false;
  double x = 0, y = 0;
  if (a.get(x) == simdjson::SUCCESS && b.get(y) == simdjson::SUCCESS) return x != y;
  return simdjson::minify(a) != simdjson::minify(b);
}

// The values that a schema lists; false when it lists none.
bool listed(const SchemaSite& site, std::vector<element>& values) {
  if (const element* value = site.find("const")) values.push_back(*value);
  simdjson::dom::array list;
  const element* given = site.find("enum");
  if (given != nullptr && given->get(list) == simdjson::SUCCESS)
    for (const element value : list) values.push_back(value);
  return !values.empty();
}

unsigned certain_types(const SchemaSite& site) {
  std::vector<element> values;
  unsigned types = 0;
  if (listed(site, values))
    for (const element value : values) types |= type_of(value);
  else
    types = site.stated_types().value_or(kAllTypes);
  if (types & kIntegerType) types |= kNumberType;
  return types & ~unsigned{kIntegerType};
}

std::vector<std::string_view> required(const SchemaSite& site) {
  std::vector<std::string_view> names;
  simdjson::dom::array list;
  const element* given = site.find("required");
  std::string_view name;
  if (given != nullptr && given->get(list) == simdjson::SUCCESS)
    for (const element one : list)
      if (one.get(name) == simdjson::SUCCESS) names.push_back(name);
  return names;
}

const element* property(const SchemaSite& site, std::string_view name, element& found) {
  const element* all = site.find("properties");
  return all != nullptr && (*all)[name].get(found) == simdjson::SUCCESS ? &found : nullptr;
}

bool closed_without(const SchemaSite& site, std::string_view name) {
  const element* further = site.find("additionalProperties");
  bool allowed = true;
  element unused;
  return further != nullptr && further->get(allowed) == simdjson::SUCCESS && !allowed &&
         property(site, name, unused) == nullptr;
}

}  // namespace

bool provably_disjoint(element root, element a, element b, int& fuel, int depth) {
  if (--fuel < 0 || depth > 20) return false;
  auto left = SchemaSite::read(a, ""), right = SchemaSite::read(b, "");
  if (!left || !right) return false;
  for (const bool first : {true, false}) {
    const element* reference = (first ? *left : *right).find("$ref");
    std::string_view name;
    std::string pointer;
    if (reference == nullptr || reference->get(name) != simdjson::SUCCESS) continue;
    const auto target = resolve_reference(root, name, pointer);
    if (!target) return false;
    return provably_disjoint(root, first ? *target : a, first ? b : *target, fuel, depth + 1);
  }
  if ((certain_types(*left) & certain_types(*right)) == 0) return true;
  std::vector<element> values, others;
  if (listed(*left, values) && listed(*right, others)) {
    fuel -= static_cast<int>(std::min<std::size_t>(values.size() * others.size(), 1'000'000));
    if (fuel < 0) return false;
    return std::ranges::all_of(values, [&](element value) {
      return std::ranges::all_of(others, [&](element other) { return certainly_differ(value, other); });
    });
  }
  if (certain_types(*left) != kObjectType || certain_types(*right) != kObjectType) return false;
  const std::vector<std::string_view> names = required(*left), other_names = required(*right);
  fuel -= static_cast<int>(std::min<std::size_t>((names.size() + 1) * (other_names.size() + 1), 1'000'000));
  for (const std::string_view name : names) {
    if (fuel < 0) return false;
    if (closed_without(*right, name)) return true;
    element x, y;
    if (std::ranges::find(other_names, name) != other_names.end() && property(*left, name, x) != nullptr &&
        property(*right, name, y) != nullptr && provably_disjoint(root, x, y, fuel, depth + 1))
      return true;
  }
  return std::ranges::any_of(other_names, [&](std::string_view name) { return closed_without(*left, name); });
}

}  // namespace agon::llm::constrain
