#include "agon/llm/constrain/json_schema.h"

#include <fmt/format.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <rapidcheck/gtest.h>

#include "agon/llm/constrain/json_text.h"
#include "agon/llm/constrain/test_validator.h"
#include "agon/llm/constrain/test_walks.h"

namespace agon::llm {
namespace {

using Json = nlohmann::ordered_json;
using testing::HasSubstr;

const char* const kTree = R"({"$ref": "#/$defs/node", "$defs": {"node": {"type": "object", "properties": {
  "value": {"type": "number"}, "children": {"type": "array", "items": {"$ref": "#/$defs/node"}},
  "next": {"anyOf": [{"$ref": "#/$defs/node"}, {"type": "null"}]}}, "required": ["value"]}}})";

const std::vector<std::string>& schemas() {
  static const std::vector<std::string> list = {
      "true",
      "{}",
      R"({"type": "object"})",
      R"({"title": "t", "description": "d", "default": 1, "examples": [], "$schema": "s", "$id": "i", "$comment": "c"})",
      R"({"type": ["string", "null", "boolean"]})",
      R"({"type": "integer", "minimum": -17, "maximum": 1234})",
      R"({"type": "integer", "exclusiveMinimum": 5, "exclusiveMaximum": 7.5})",
      R"({"type": "number", "minimum": -2, "exclusiveMaximum": 12})",
      R"({"type": ["number", "integer"], "exclusiveMinimum": 0})",
      R"({"type": "string", "minLength": 2, "maxLength": 5})",
      R"({"type": "string", "minLength": 3})",
      R"({"type": "string", "pattern": "^[a-c\"\\\\]{2,4}$"})",
      R"({"type": "string", "pattern": "ab+"})",
      R"({"type": "string", "pattern": "^a|b$"})",
      R"({"enum": ["a\"b", "a", 1, 1.5, null, true, [1, {"x": []}], {"k": "v"}, "\u00e9\n"]})",
      R"({"enum": ["a", 1, 2.0, null], "type": ["integer", "null"]})",
      R"({"const": {"a": [1, 2]}})",
      R"({"type": "array"})",
      R"({"type": "array", "items": {"type": "boolean"}, "minItems": 2, "maxItems": 4})",
      R"({"type": "array", "items": {"type": "integer"}, "minItems": 1})",
      R"({"type": "array", "items": false})",
      R"({"type": "array", "prefixItems": [{"type": "string"}, {"type": "integer"}], "items": false})",
      R"({"type": "array", "prefixItems": [{"const": 1}], "items": {"const": 2}, "minItems": 3})",
      R"({"type": "object", "properties": {"a": {"type": "integer"}, "b": {"type": "string", "maxLength": 2},
          "c": {"type": "null"}}, "required": ["b"]})",
      R"({"type": "object", "properties": {"a": {"type": "integer"}, "b": {"type": "null"}},
          "additionalProperties": false})",
      R"({"type": "object", "properties": {"a": {"const": 1}, "ab": {"const": 2}, "\u00e9\"": {"const": 3}},
          "required": ["ab"], "additionalProperties": {"type": "boolean"}})",
      R"({"type": "object", "additionalProperties": {"type": "array", "items": {"type": "integer"}}})",
      R"({"type": "object", "required": ["x", "y"]})",
      R"({"properties": {"a": {"type": "null"}}})",
      R"({"properties": {"deep": {"properties": {"deeper": {"enum": [1, 2]}}, "required": ["deeper"]}}, "required": ["deep"]})",
      kTree,
      R"({"anyOf": [{"type": "object", "properties": {"kind": {"const": "a"}, "x": {"type": "integer"}}, "required": ["kind", "x"]},
          {"type": "object", "properties": {"kind": {"const": "ab"}, "y": {"type": "string"}}, "required": ["kind", "y"]},
          {"type": "array", "items": {"$ref": "#"}}]})",
      R"({"oneOf": [{"type": "string"}, {"type": "integer"}, {"type": "array", "items": {"type": "null"}}]})",
      R"({"oneOf": [{"type": "object", "properties": {"k": {"const": 1}}, "required": ["k"]},
          {"$ref": "#/$defs/two"}], "$defs": {"two": {"type": "object", "properties": {"k": {"enum": [2, 3]}}, "required": ["k"]}}})",
      R"({"allOf": [{"type": "integer", "minimum": 0}], "description": "d"})",
      R"({"type": "object", "properties": {"a": {"$ref": "#/definitions/x~1y%20z"}}, "definitions": {"x/y z": {"type": "boolean"}}})",
  };
  return list;
}

TEST(JsonSchema, RandomTextsAreAlwaysValid) {
  for (const std::string& text : schemas()) {
    const Json parsed = Json::parse(text);
    const SharedConstraint constraint = schema(text);
    for (std::uint64_t seed = 0; seed < 25; ++seed) {
      Random random(seed);
      const std::string written =
          walk(constraint->start(), odd_tokenizer(), random, static_cast<int>(random.below(60)));
      const Json value = Json::parse(written, nullptr, false);
      ASSERT_FALSE(value.is_discarded()) << text << "\nwrote " << written;
      ASSERT_TRUE(SchemaValidator(parsed).valid(value)) << text << "\nwrote " << written;
    }
  }
}

std::string random_schema(Random& random, int depth) {
  const auto number = [&] { return static_cast<int>(random.below(60)) - 20; };
  switch (random.below(depth > 0 ? 9 : 5)) {
    case 0: {
      const int low = number();
      return fmt::format(R"({{"type": "integer", "{}": {}, "maximum": {}}})",
                         random.below(2) ? "minimum" : "exclusiveMinimum", low,
                         low + 1 + static_cast<int>(random.below(500)));
    }
    case 1: {
      const int low = number();
      return fmt::format(R"({{"type": "number", "{}": {}, "{}": {}}})",
                         random.below(2) ? "minimum" : "exclusiveMinimum", low,
                         random.below(2) ? "maximum" : "exclusiveMaximum",
                         low + 1 + static_cast<int>(random.below(50)));
    }
    case 2:
      return fmt::format(R"({{"type": ["string", "null"], "minLength": {}, "maxLength": {}}})",
                         random.below(3), 3 + random.below(4));
    case 3:
      return R"({"enum": ["x", "xy", 1, null]})";
    case 4:
      return random.below(3) == 0 ? "true" : R"({"type": "boolean"})";
    case 5:
      return fmt::format(R"({{"type": "array", "items": {}, "minItems": {}{}}})",
                         random_schema(random, depth - 1), random.below(3),
                         random.below(2) ? R"(, "maxItems": 3)" : "");
    case 6:
      return fmt::format(R"({{"anyOf": [{}, {}]}})", random_schema(random, depth - 1),
                         random_schema(random, depth - 1));
    default: {
      std::string properties, required;
      for (const char* name : {"a", "ab", "b\\n", "c"}) {
        if (random.below(2) == 0) continue;
        properties += fmt::format(R"({}"{}": {})", properties.empty() ? "" : ", ", name,
                                  random_schema(random, depth - 1));
        if (random.below(2) == 0) required += fmt::format(R"({}"{}")", required.empty() ? "" : ", ", name);
      }
      const char* const further[] = {"", R"(, "additionalProperties": false)",
                                     R"(, "additionalProperties": {"type": "null"})"};
      return fmt::format(R"({{"type": "object", "properties": {{{}}}, "required": [{}]{}}})", properties,
                         required, further[random.below(3)]);
    }
  }
}

RC_GTEST_PROP(JsonSchema, RandomSchemasWriteOnlyWhatTheyAllow, ()) {
  Random random(*rc::gen::arbitrary<std::uint64_t>());
  const std::string text = random_schema(random, 3);
  const SharedConstraint constraint = schema(text);
  const Json parsed = Json::parse(text);
  for (int i = 0; i < 3; ++i) {
    const std::string written = walk(constraint->start(), odd_tokenizer(), random, 30);
    const Json value = Json::parse(written, nullptr, false);
    if (value.is_discarded() || !SchemaValidator(parsed).valid(value)) RC_FAIL(text + " wrote " + written);
  }
}

TEST(JsonSchema, WhatIsAllowedAndWhatIsNot) {
  struct Case {
    std::string schema;
    std::vector<std::string> yes, no;
  };
  const std::string deep = std::string(62, '[') + std::string(62, ']');
  for (
      const Case& c : std::vector<Case>{
          {"{}",
           {"1", "-0.5e+10", "\"\"", "null", "[]", "{}",
            R"({"a": [1, {"b": null}],"c":"\ud83d\ude00\u00e9\\\/"})", deep},
           {"", "01", "1.", ".5", "+1", "nul", "\"\n\"", R"("\ud83d")", R"("\x")", "[1,]", "{\"a\"}", " 1",
            "1 ", "{ }", "[1 ,2]", "[1,  2]", "1e999", "\"\x7F",
            std::string(70, '[') + std::string(70, ']')}},
          {R"({"type": "object"})", {"{}", R"({"": {}})"}, {"[]", "1", "null"}},
          {R"({"type": "object", "properties": {"a": true, "b": true}})",
           {"{}", R"({"a":1})", R"({"b":1})", R"({"a":1,"b":2})"},
           {R"({"b":1,"a":2})", R"({"a":1,})", R"({,"a":1})", R"({"c":1})", R"({"a":1,"a":1})"}},
          {R"({"properties": {"a": {"const": 1}, "abc": {"const": 1}}, "additionalProperties": {"const": 2}})",
           {R"({"a":1})", R"({"ab":2})", R"({"a":1,"abc":1,"x":2,"":2})", R"({"abcd":2})",
            "{\"\xC3\xA9\":2}"},
           {R"({"a":2})", R"({"abc":2})", R"({"ab":1})", R"({"\u0061":2})"}},
          {R"({"type": "integer"})",
           {"0", "-1", "999999999999999999"},
           {"1.0", "1e3", "-", "1000000000000000000", "00"}},
          {R"({"type": "integer", "minimum": 9223372036854775807})", {}, {"1"}},
          {R"({"type": "integer", "minimum": 0.5, "maximum": 2.5})", {"1", "2"}, {"0", "3"}},
          {R"({"type": "integer", "minimum": -1e300, "maximum": 5})", {"-999999999999999999", "5"}, {"6"}},
          {R"({"type": "string", "maxLength": 2})",
           {"\"\"", "\"\xE6\x97\xA5\xF0\x9F\x98\x80\"", R"("\n\"")", R"("\u0000\u001f")"},
           {R"("abc")", R"("\u00e9")"}},
          {R"({"type": "string", "pattern": "^\\s$"})",
           {"\" \"", R"("\t")", "\"\xC2\xA0\""},
           {"\"\t\"", R"("a")", R"("  ")"}},
          {R"({"type": "string", "format": "date"})",
           {R"("2024-02-28")", R"("2023-12-31")"},
           {R"("2023-02-30")", R"("2023-13-01")"}},
          {R"({"type": "string", "format": "date-time"})",
           {R"("2024-02-28T23:59:59.5Z")", R"("2024-02-28T23:59:59+02:00")"},
           {R"("2024-02-28")"}},
          {R"({"type": "string", "format": "uuid"})",
           {R"("123e4567-e89b-12d3-a456-426614174000")"},
           {R"("123e4567")"}},
          {R"({"type": "string", "format": "ipv4"})",
           {R"("255.0.19.1")"},
           {R"("256.0.0.1")", R"("1.2.3")", R"("01.2.3.4")"}},
          {R"({"type": "string", "format": "email"})", {R"("a.b@example.org")"}, {R"("@x")"}},
          {R"({"type": "string", "format": "time"})", {R"("00:00:00Z")"}, {R"("24:00:00Z")"}},
          {R"({"enum": [1.0, "a"]})", {"1.0", R"("a")"}, {"\"b\""}},
          {kTree,
           {R"({"value":1,"children":[{"value":2,"next":null}],"next":{"value":3}})"},
           {R"({"children":[]})", "null"}},
      }) {
    const auto made = Constraint::from_json_schema(c.schema, odd_tokenizer());
    if (c.yes.empty()) {
      EXPECT_FALSE(made) << c.schema;
      continue;
    }
    ASSERT_TRUE(made) << c.schema << made.error().to_string();
    for (const std::string& text : c.yes) EXPECT_TRUE(accepts(*made, text)) << c.schema << " on " << text;
    for (const std::string& text : c.no) EXPECT_FALSE(accepts(*made, text)) << c.schema << " on " << text;
  }
}

TEST(JsonSchema, IntervalsOfIntegersAreExact) {
  Random random(11);
  for (int i = 0; i < 60; ++i) {
    const std::int64_t low = static_cast<std::int64_t>(random.below(2400)) - 1200;
    const std::int64_t high = low + static_cast<std::int64_t>(random.below(i % 3 == 0 ? 12 : 1500));
    const SharedConstraint constraint = regex(constrain::integer_pattern({low, high}));
    for (std::int64_t x = -1300; x <= 2900; x += x > low - 20 && x < high + 20 ? 1 : 7)
      ASSERT_EQ(accepts(constraint, fmt::format("{}", x)), low <= x && x <= high)
          << low << " " << high << " " << x;
    for (const char* odd : {"-0", "00", "01", "-", "", "1.0"}) EXPECT_FALSE(accepts(constraint, odd)) << odd;
  }
  for (const std::int64_t edge : {constrain::kLargest, -constrain::kLargest})
    EXPECT_TRUE(accepts(regex(constrain::integer_pattern({-constrain::kLargest, constrain::kLargest})),
                        fmt::format("{}", edge)));
  EXPECT_EQ(constrain::integer_pattern({3, 2}), "");
}

TEST(JsonSchema, IntervalsOfDecimalsAreExact) {
  Random random(12);
  for (int i = 0; i < 60; ++i) {
    const auto low = static_cast<std::int64_t>(random.below(30)) - 15;
    const std::int64_t high = low + static_cast<std::int64_t>(random.below(14));
    const constrain::Interval interval = {low, high, random.below(2) == 0, random.below(2) == 0};
    const std::string pattern = constrain::decimal_pattern(interval);
    if (pattern.empty()) {
      EXPECT_TRUE(low == high && (interval.low_open || interval.high_open));
      continue;
    }
    const SharedConstraint constraint = regex(pattern);
    for (int hundredths = -2000; hundredths <= 3500; ++hundredths) {
      if (hundredths < 0 && hundredths > -100 && hundredths % 10 == 0 && hundredths == 0) continue;
      const double x = hundredths / 100.0;
      const bool inside =
          (interval.low_open ? x > static_cast<double>(low) : x >= static_cast<double>(low)) &&
          (interval.high_open ? x < static_cast<double>(high) : x <= static_cast<double>(high));
      const std::string text = hundredths % 100 == 0  ? fmt::format("{}", hundredths / 100)
                               : hundredths % 10 == 0 ? fmt::format("{:.1f}", x)
                                                      : fmt::format("{:.2f}", x);
      ASSERT_EQ(accepts(constraint, text), inside) << pattern << " on " << text;
    }
  }
}

TEST(JsonSchema, WhatIsNotSupportedIsRefusedWithItsPlace) {
  const std::vector<std::pair<std::string, std::string>> cases = {
      {"", "not JSON"},
      {"{", "not JSON"},
      {"{\"a\xFF\": 1}", "not JSON"},
      {"1", "the JSON schema: neither an object nor a boolean"},
      {R"({"properties": {"a": 3}})", "at '/properties/a': neither an object nor a boolean"},
      {R"({"properties": {"a/b~c": {"not": {}}}})",
       "at '/properties/a~1b~0c': the keyword 'not' is not supported"},
      {R"({"items": {"anyOf": [{}, {"if": {}}]}})", "at '/items/anyOf/1': the keyword 'if' is not supported"},
      {R"({"uniqueItems": true})", "'uniqueItems' is not supported"},
      {R"({"patternProperties": {}})", "'patternProperties' is not supported"},
      {R"({"multipleOf": 2})", "'multipleOf' is not supported"},
      {R"({"nullable": true})", "'nullable' is not supported"},
      {R"({"minProperties": 1})", "'minProperties' is not supported"},
      {"{\"\\u001b[31m\": 1}", "\\u001b[31m"},
      {R"({"properties": {"a": {"$id": "x"}}})", "'$id' is not supported below the top"},
      {R"({"type": "int"})", "'type' names no type"},
      {R"({"type": []})", "'type' names no type"},
      {R"({"type": ["string", 1]})", "'type' names no type"},
      {R"({"type": "string", "type": "null"})", "'type' stands twice"},
      {R"({"minLength": -1})", "'minLength' is not a count"},
      {R"({"minLength": 1.5})", "'minLength' is not a count"},
      {R"({"minLength": "1"})", "'minLength' is not a number"},
      {R"-({"pattern": "(?=a)"})-", "lookaround"},
      {R"({"pattern": 1})", "'pattern' is not a string"},
      {R"({"pattern": "a", "maxLength": 3})", "only one of"},
      {R"({"format": "uri"})", "this 'format' is not supported"},
      {R"({"type": "number", "minimum": 0.5})", "'minimum' of a number is 0.5"},
      {R"({"type": "number", "exclusiveMinimum": true})", "'exclusiveMinimum' is not a number"},
      {R"({"items": [{}]})", "'items' is a list"},
      {R"({"prefixItems": {}})", "'prefixItems' is not a list"},
      {R"({"properties": []})", "'properties' is not an object"},
      {R"({"properties": {"a": {}, "a": {}}})", "a property stands twice"},
      {R"({"required": "a"})", "'required' is not a list"},
      {R"({"required": [1]})", "'required' is not a list of strings"},
      {R"({"required": ["a"], "additionalProperties": false})",
       "a required property is none of 'properties'"},
      {R"({"anyOf": []})", "'anyOf' is empty"},
      {R"({"anyOf": {}})", "'anyOf' is not a list"},
      {R"({"anyOf": [{}], "type": "object"})", "'type' beside 'anyOf'"},
      {R"({"allOf": [{}, {}]})", "'allOf' of more than one"},
      {R"({"oneOf": [{"type": "integer"}, {"type": "number"}]})", "alternatives 0 and 1 of 'oneOf'"},
      {R"({"oneOf": [{"properties": {}}, {"type": "string"}]})", "alternatives 0 and 1 of 'oneOf'"},
      {R"({"oneOf": [{"const": 1}, {"const": 1.0}]})", "alternatives 0 and 1 of 'oneOf'"},
      {R"({"oneOf": [{"$ref": "#"}, {"type": "string"}]})", "alternatives 0 and 1 of 'oneOf'"},
      {R"({"enum": {}})", "'enum' is not a list"},
      {R"({"enum": [], "type": "string"})", "no text satisfies"},
      {R"({"enum": [1], "type": "string"})", "no text satisfies"},
      {R"({"const": 1, "minimum": 0})", "'minimum' beside 'const'"},
      {R"({"$ref": "#/nowhere"})", "'$ref' leads nowhere"},
      {R"({"$ref": "http://example.org/x"})", "'$ref' leads nowhere"},
      {R"({"$ref": "#anchor"})", "'$ref' leads nowhere"},
      {R"({"$ref": "#/$defs/a", "type": "string", "$defs": {"a": {}}})", "'type' beside '$ref'"},
      {R"({"$ref": "#"})", "no text satisfies"},
      {R"({"anyOf": [{"$ref": "#"}, {"type": "null"}]})", "leads back to itself"},
      {R"({"$ref": "#/$defs/a", "$defs": {"a": {"anyOf": [{"$ref": "#/$defs/b"}, {"type": "null"}]}, "b": {"$ref": "#/$defs/a"}}})",
       "leads back to itself"},
      {R"({"type": "array", "items": {"$ref": "#"}, "minItems": 1})", "no text satisfies"},
      {R"({"type": "object", "properties": {"a": {"$ref": "#"}}, "required": ["a"]})", "no text satisfies"},
      {R"({"type": "array", "minItems": 3, "maxItems": 2})", "no text satisfies"},
      {R"({"type": "string", "minLength": 3, "maxLength": 2})", "no text satisfies"},
      {"false", "no text satisfies"},
      {std::string(150, '[') + std::string(150, ']'),
       "150 levels of brackets, 50 more than the limit of 100"},
      {"{\"title\": \"" + std::string(300000, 'x') + "\"}", "more than the limit of 262144"},
  };
  for (const auto& [text, message] : cases) {
    const auto made = Constraint::from_json_schema(text, odd_tokenizer());
    ASSERT_FALSE(made) << text;
    EXPECT_THAT(made.error().to_string(), HasSubstr(message)) << text.substr(0, 100);
  }
}

TEST(JsonSchema, WhatExplodesIsRefusedBySize) {
  // Twenty levels that each double.
  std::string doubling = R"({"type": "boolean"})";
  for (int i = 0; i < 12; ++i) doubling = fmt::format(R"({{"anyOf": [{0}, {0}]}})", doubling);
  std::string wide = R"({"type": "object", "properties": {)";
  for (int i = 0; i < 3000; ++i)
    wide += fmt::format(R"({}"p{}": {{"type": "string", "maxLength": 99}})", i ? "," : "", i);
  for (
      const std::string& text :
      {std::string(R"({"type": "string", "maxLength": 1000000000})"), wide + "}}",
       std::string(R"({"type": "array", "items": {"type": "string"}, "maxItems": 1000000000000})"),
       std::string(R"({"type": "string", "pattern": "a.{30}b"})"),
       std::string(
           R"({"type": "array", "prefixItems": [{"type": "string", "maxLength": 9000}, {"type": "string", "maxLength": 9000}]})")}) {
    const auto made = Constraint::from_json_schema(text, odd_tokenizer());
    ASSERT_FALSE(made) << text.substr(0, 100);
    EXPECT_THAT(made.error().to_string(), HasSubstr("limit of")) << text.substr(0, 100);
  }
  EXPECT_TRUE(Constraint::from_json_schema(doubling, odd_tokenizer()));
  EXPECT_TRUE(Constraint::from_json_schema(R"({"type": "string", "maxLength": 5000})", odd_tokenizer()));
}

// Two rules that call each other in two ways: the readings of an open bracket double with every level.
TEST(JsonSchema, AmbiguousRecursionStaysBoundedAndValid) {
  const std::string text = R"({"$ref": "#/$defs/a", "$defs": {
    "a": {"anyOf": [{"type": "array", "items": {"$ref": "#/$defs/a"}}, {"type": "array", "items": {"$ref": "#/$defs/b"}}, {"type": "string"}]},
    "b": {"anyOf": [{"type": "array", "items": {"$ref": "#/$defs/b"}}, {"type": "array", "items": {"$ref": "#/$defs/a"}}, {"type": "null"}]}}})";
  const SharedConstraint constraint = schema(text);
  const Json parsed = Json::parse(text);
  EXPECT_TRUE(viable(constraint, std::string(40, '[')));
  for (std::uint64_t seed = 0; seed < 10; ++seed) {
    Random random(seed);
    bool came = false;
    ConstraintState state = after(constraint, std::string(20, '['), came);
    const std::string written = std::string(20, '[') + walk(state, odd_tokenizer(), random, 50);
    ASSERT_TRUE(SchemaValidator(parsed).valid(Json::parse(written))) << written;
  }
}

}  // namespace
}  // namespace agon::llm
