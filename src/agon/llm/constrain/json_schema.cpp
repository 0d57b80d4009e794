#include "agon/llm/constrain/json_schema.h"

#include <set>

#include "agon/llm/constrain/schema_site.h"

namespace agon::llm::constrain {
namespace {

using State = Network::State;

constexpr int kDisjointFuel = 200'000;  // tenths of a second at most
constexpr std::size_t kNoLimit = ~std::size_t{0};

// Formats as in RFC 3339, RFC 4122, RFC 2673 and, within what all mail systems take, RFC 5321.
constexpr std::pair<std::string_view, std::string_view> kFormats[] = {
    {"date",
     R"([0-9]{4}-((0[13578]|1[02])-(0[1-9]|[12][0-9]|3[01])|(0[469]|11)-(0[1-9]|[12][0-9]|30)|02-(0[1-9]|1[0-9]|2[0-8])))"},
    {"time",
     R"(([01][0-9]|2[0-3]):[0-5][0-9]:[0-5][0-9](\.[0-9]{1,9})?(Z|[+-]([01][0-9]|2[0-3]):[0-5][0-9]))"},
    {"uuid", R"([0-9a-fA-F]{8}(-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12})"},
    {"ipv4",
     R"(((25[0-5]|2[0-4][0-9]|1[0-9]{2}|[1-9]?[0-9])\.){3}(25[0-5]|2[0-4][0-9]|1[0-9]{2}|[1-9]?[0-9]))"},
    {"email",
     R"([A-Za-z0-9_+-]{1,30}(\.[A-Za-z0-9_+-]{1,30})?@([A-Za-z0-9]([A-Za-z0-9-]{0,30}[A-Za-z0-9])?\.){1,3}[A-Za-z]{2,20})"},
};

std::optional<std::string> format_pattern(std::string_view name) {
  for (const auto& [known, pattern] : kFormats)
    if (known == name) return std::string(pattern);
  if (name == "date-time") return fmt::format("{}T{}", kFormats[0].second, kFormats[1].second);
  return std::nullopt;
}

// How deep the brackets of a JSON text are, those in strings left out.
std::size_t depth_of(std::string_view json) {
  std::size_t depth = 0, deepest = 0;
  bool in_string = false;
  for (std::size_t i = 0; i < json.size(); ++i) {
    const char c = json[i];
    if (in_string) {
      if (c == '\\') ++i;
      in_string = c != '"';
    } else if (c == '"') {
      in_string = true;
    } else if (c == '[' || c == '{') {
      deepest = std::max(deepest, ++depth);
    } else if ((c == ']' || c == '}') && depth > 0) {
      --depth;
    }
  }
  return deepest;
}

class SchemaCompiler {
 public:
  explicit SchemaCompiler(Network& network) : network_(network) {}

  Status run(element root) {
    root_ = root;
    rules_.emplace("", network_.add_rule());
    pending_.push_back({root, "", 0});
    for (std::size_t done = 0; done < pending_.size() && network_.ok(); ++done) {
      const Pending now = pending_[done];
      const Network::Ends ends = network_.rule(now.rule);
      AGON_ASSIGN(const State to, add(now.value, now.pointer, ends.start));
      network_.nothing(to, ends.end);
    }
    return network_.status();
  }

 private:
  struct Pending {
    element value;
    std::string pointer;
    Network::Rule rule;
  };

  // A rule for a schema that is wanted at several places, or inside itself.
  Network::Rule rule_for(element value, const std::string& pointer) {
    const auto [at, is_new] = rules_.try_emplace(pointer, 0);
    if (is_new) {
      at->second = network_.add_rule();
      pending_.push_back({value, pointer, at->second});
    }
    return at->second;
  }

  Network::Rule any_rule() {
    if (!any_) {
      any_ = network_.add_rule();
      add_any_value(network_, *any_);
    }
    return *any_;
  }

  State call(State from, Network::Rule rule) {
    const State to = network_.add();
    network_.call(from, rule, to);
    return to;
  }

  // The texts of a schema from a state to the one returned. As deep as the schema's brackets.
  Result<State> add(element value, const std::string& pointer, State from) {
    bool any = false;
    if (value.get(any) == simdjson::SUCCESS) return any ? call(from, any_rule()) : network_.add();
    AGON_ASSIGN(const SchemaSite site, SchemaSite::read(value, pointer));
    if (site.has("$ref")) return reference(site, from);
    for (const std::string_view keyword : {"anyOf", "oneOf", "allOf"})
      if (site.has(keyword)) return combination(site, keyword, from);
    for (const std::string_view keyword : {"const", "enum"})
      if (site.has(keyword)) return constants(site, keyword, from);
    AGON_ASSIGN(const unsigned types, site.types());
    if (site.empty()) return call(from, any_rule());
    const State to = network_.add();
    if (types & kNullType) network_.nothing(network_.text(from, "null"), to);
    if (types & kBooleanType) {
      network_.nothing(network_.text(from, "true"), to);
      network_.nothing(network_.text(from, "false"), to);
    }
    if (types & kNumberType) {
      AGON_TRY(number(site, from, to));
    } else if (types & kIntegerType) {
      AGON_ASSIGN(const Interval interval, site.interval(true));
      AGON_TRY(digits(integer_pattern(interval), from, to));
    }
    if (types & kStringType) AGON_TRY(string(site, from, to));
    if (types & kArrayType) AGON_TRY(array(site, from, to));
    if (types & kObjectType) AGON_TRY(object(site, from, to));
    return to;
  }

  Result<State> reference(const SchemaSite& site, State from) {
    AGON_TRY(site.alone("$ref"));
    AGON_ASSIGN(const std::string_view name, site.text("$ref"));
    std::string pointer;
    const auto target = resolve_reference(root_, name, pointer);
    if (!target) return site.error("'$ref' leads nowhere in this schema", "#, or #/ and a JSON pointer");
    return call(from, rule_for(*target, pointer));
  }

  Result<State> combination(const SchemaSite& site, std::string_view keyword, State from) {
    AGON_TRY(site.alone(keyword));
    AGON_ASSIGN(const auto list, site.list(keyword));
    const std::string below = pointer_below(site.pointer(), keyword);
    if (list.size() == 0) return site.error(fmt::format("'{}' is empty", keyword));
    if (keyword == "allOf" && list.size() > 1)
      return site.error("'allOf' of more than one schema is not supported");
    if (keyword == "oneOf") AGON_TRY(told_apart(site, list));
    const State to = network_.add();
    std::size_t index = 0;
    for (const element one : list) {
      AGON_ASSIGN(const State end, add(one, fmt::format("{}/{}", below, index++), from));
      network_.nothing(end, to);
    }
    return to;
  }

  // oneOf takes values of exactly one alternative: an anyOf when no two have values in common.
  Status told_apart(const SchemaSite& site, const simdjson::dom::array& list) {
    std::vector<element> all;
    for (const element one : list) all.push_back(one);
    for (std::size_t i = 0; i < all.size(); ++i) {
      for (std::size_t j = 0; j < i; ++j) {
        if (!provably_disjoint(root_, all[j], all[i], fuel_)) {
          return site.error(
              fmt::format("alternatives {} and {} of 'oneOf' are not seen to exclude each other", j, i),
              "different types, or a required property with different constants; or anyOf");
        }
      }
    }
    return {};
  }

  Result<State> constants(const SchemaSite& site, std::string_view keyword, State from) {
    AGON_TRY(site.alone(keyword, "type"));
    AGON_ASSIGN(const unsigned types, site.stated_types());
    std::vector<element> values;
    if (keyword == "const") {
      values.push_back(*site.find("const"));
    } else {
      AGON_ASSIGN(const auto list, site.list("enum"));
      for (const element one : list) values.push_back(one);
    }
    const State to = network_.add();
    for (const element value : values)
      if (has_type(value, types)) network_.nothing(network_.text(from, simdjson::minify(value)), to);
    return to;
  }

  static bool has_type(element value, unsigned types) {
    switch (value.type()) {
      case element_type::NULL_VALUE:
        return types & kNullType;
      case element_type::BOOL:
        return types & kBooleanType;
      case element_type::STRING:
        return types & kStringType;
      case element_type::ARRAY:
        return types & kArrayType;
      case element_type::OBJECT:
        return types & kObjectType;
      case element_type::DOUBLE:
        return (types & kNumberType) ||
               ((types & kIntegerType) && double(value) == std::floor(double(value)));
      default:
        return types & (kNumberType | kIntegerType);
    }
  }

  // A pattern of this program's own making; an empty one has no texts.
  Status digits(const std::string& pattern, State from, State to) {
    if (pattern.empty()) return {};
    AGON_ASSIGN(const Regex regex, Regex::parse(pattern, Anchoring::kWhole));
    network_.nothing(regex.add_to(network_, from), to);
    return {};
  }

  Status number(const SchemaSite& site, State from, State to) {
    if (!site.bounded()) {
      network_.nothing(add_number(network_, from), to);
      return {};
    }
    AGON_ASSIGN(const Interval interval, site.interval(false));
    return digits(decimal_pattern(interval), from, to);
  }

  Status string(const SchemaSite& site, State from, State to) {
    AGON_ASSIGN(const auto least, site.count("minLength"));
    AGON_ASSIGN(const auto most, site.count("maxLength"));
    const int kinds = int{site.has("pattern")} + int{site.has("format")} + int{least || most};
    if (kinds > 1) return site.error("only one of 'pattern', 'format' and lengths is supported at a time");
    if (site.has("pattern") || site.has("format")) {
      const bool format = site.has("format");
      AGON_ASSIGN(const std::string_view given, site.text(format ? "format" : "pattern"));
      std::string pattern(given);
      if (format) {
        const auto known = format_pattern(given);
        if (!known)
          return site.error("this 'format' is not supported", "date, time, date-time, uuid, ipv4, email");
        pattern = *known;
      }
      auto regex = Regex::parse(pattern, format ? Anchoring::kWhole : Anchoring::kSearch);
      if (!regex) return site.error(regex.error().message, regex.error().expected);
      network_.nothing(add_string(network_, from, *regex), to);
      return {};
    }
    if (most && *most < least.value_or(0)) return {};
    network_.nothing(add_string(network_, from, least.value_or(0), most.value_or(kNoMost)), to);
    return {};
  }

  Status array(const SchemaSite& site, State from, State to) {
    AGON_ASSIGN(const auto least_given, site.count("minItems"));
    AGON_ASSIGN(const auto most_given, site.count("maxItems"));
    std::vector<element> first;
    if (site.has("prefixItems")) {
      AGON_ASSIGN(const auto list, site.list("prefixItems"));
      for (const element one : list) first.push_back(one);
    }
    const element* items = site.find("items");
    bool more = true;
    if (items != nullptr && items->is_array())
      return site.error("'items' is a list", "one schema; the list in 'prefixItems'");
    if (items != nullptr && items->get(more) == simdjson::SUCCESS) items = nullptr;
    const std::size_t least = least_given.value_or(0);
    std::size_t most = most_given.value_or(kNoLimit);
    if (!more) most = std::min(most, first.size());

    const std::string items_pointer = pointer_below(site.pointer(), "items");
    // Items are written out where that is once, and are a rule where they are wanted more often.
    const bool once = first.empty() && least <= 1 && most == kNoLimit;
    const auto item = [&](State at, std::size_t index) -> Result<State> {
      if (index < first.size())
        return add(first[index], fmt::format("{}/prefixItems/{}", site.pointer(), index), at);
      if (items == nullptr) return call(at, any_rule());
      if (once) return add(*items, items_pointer, at);
      return call(at, rule_for(*items, items_pointer));
    };
    const auto close = [&](State at) { network_.bytes(at, ']', ']', to); };

    State at = network_.text(from, "[");
    if (most < least) return {};
    if (least == 0) close(at);
    std::size_t count = 0;
    // One by one as long as positions differ, then in a loop.
    while (network_.ok() && count < most && (count < first.size() || count + 1 < least || most != kNoLimit)) {
      AGON_ASSIGN(at, item(count == 0 ? at : add_separator(network_, at, ','), count));
      if (++count >= least) close(at);
    }
    if (most == kNoLimit) {
      const State begin = network_.add();
      network_.nothing(count == 0 ? at : add_separator(network_, at, ','), begin);
      AGON_ASSIGN(const State end, item(begin, count));
      network_.nothing(add_separator(network_, end, ','), begin);
      close(end);
    }
    return {};
  }

  struct Property {
    std::string name;
    std::optional<element> value;  ///< Missing: what is said of additional properties.
    bool required = false;
  };

  Result<std::vector<Property>> properties(const SchemaSite& site, const element* further, bool open) {
    std::vector<Property> all;
    std::map<std::string, std::size_t, std::less<>> place;
    if (const element* given = site.find("properties")) {
      simdjson::dom::object object;
      if (given->get(object) != simdjson::SUCCESS) return site.error("'properties' is not an object");
      for (const auto& [name, value] : object) {
        if (!place.emplace(name, all.size()).second) return site.error("a property stands twice");
        all.push_back({std::string(name), value});
      }
    }
    if (!site.has("required")) return all;
    AGON_ASSIGN(const auto list, site.list("required"));
    for (const element one : list) {
      std::string_view name;
      if (one.get(name) != simdjson::SUCCESS) return site.error("'required' is not a list of strings");
      const auto [at, is_new] = place.emplace(name, all.size());
      if (is_new) {
        if (further != nullptr && !open)
          return site.error(
              "a required property is none of 'properties', and no additional ones are allowed");
        all.push_back({std::string(name), std::nullopt});
      }
      all[at->second].required = true;
    }
    return all;
  }

  Status object(const SchemaSite& site, State from, State to) {
    // Missing, additionalProperties allows any; where others are listed we write none beside them.
    const element* further = site.find("additionalProperties");
    bool open = true;
    const bool is_boolean = further != nullptr && further->get(open) == simdjson::SUCCESS;
    AGON_ASSIGN(const std::vector<Property> all, properties(site, further, open));
    const bool writes_more = further != nullptr ? open : !site.has("properties");
    const auto further_rule = [&] {
      if (further == nullptr || is_boolean) return any_rule();
      return rule_for(*further, pointer_below(site.pointer(), "additionalProperties"));
    };

    // Where nothing has been written so far, and where something has; kNone where that cannot be.
    State first = network_.text(from, "{"), later = Network::kNone;
    const auto next = [&] {
      const State begin = network_.add();
      if (first != Network::kNone) network_.nothing(first, begin);
      if (later != Network::kNone) network_.nothing(add_separator(network_, later, ','), begin);
      return begin;
    };
    const std::string below = pointer_below(site.pointer(), "properties");
    for (const Property& property : all) {
      if (!network_.ok()) return {};
      const State begin = next();
      const State value = add_separator(network_, add_quoted(network_, begin, property.name), ':');
      const State end = network_.add();
      if (property.value) {
        AGON_ASSIGN(const State reached, add(*property.value, pointer_below(below, property.name), value));
        network_.nothing(reached, end);
      } else {
        network_.nothing(call(value, further_rule()), end);
      }
      if (property.required)
        first = Network::kNone;
      else if (later != Network::kNone)
        network_.nothing(later, end);
      later = end;
    }
    if (writes_more) {
      std::vector<std::string> taken;
      for (const Property& property : all) taken.push_back(property.name);
      const State begin = next();
      const State value = add_separator(network_, add_other_name(network_, begin, taken), ':');
      const State end = call(value, further_rule());
      network_.nothing(add_separator(network_, end, ','), begin);
      network_.bytes(end, '}', '}', to);
    }
    if (first != Network::kNone) network_.bytes(first, '}', '}', to);
    if (later != Network::kNone) network_.bytes(later, '}', '}', to);
    return {};
  }

  Network& network_;
  element root_;
  std::map<std::string, Network::Rule> rules_;  // by JSON pointer
  std::vector<Pending> pending_;
  std::optional<Network::Rule> any_;
  int fuel_ = kDisjointFuel;
};

}  // namespace

Status add_json_schema(Network& network, std::string_view schema) {
  if (schema.size() > kMaxSchema) return over_limit("the JSON schema", kMaxSchema, "bytes", schema.size());
  const std::size_t depth = depth_of(schema);
  if (depth > kMaxSchemaDepth)
    return over_limit("the JSON schema", kMaxSchemaDepth, "levels of brackets", depth);
  simdjson::dom::parser parser;
  element root;
  const auto error = parser.parse(schema.data(), schema.size()).get(root);
  if (error != simdjson::SUCCESS)
    return fail(fmt::format("the JSON schema is not JSON: {}", simdjson::error_message(error)));
  return SchemaCompiler(network).run(root);
}

}  // namespace agon::llm::constrain
