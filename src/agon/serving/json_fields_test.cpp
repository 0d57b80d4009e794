#include "agon/serving/json_fields.h"

#include <gtest/gtest.h>

#include <string>

namespace agon::serving {
namespace {

struct Case {
  std::string body;
  std::string said;  // part of the message
};

TEST(JsonBody, SaysWhereABodyIsBroken) {
  const std::string deep(kMaxJsonDepth, '[');
  std::string many = "{\"a\":[[]";
  for (std::size_t i = 0; i < kMaxJsonContainers; ++i) many += ",[]";
  const Case cases[] = {
      {"", "the body is empty"},
      {" \n\t", "the body is empty"},
      {"{", "byte 1 (line 1, column 2)"},
      {"{\"a\":1", "byte 6 (line 1, column 7)"},
      {"{\"a\":1}x", "byte 7 (line 1, column 8)"},
      {"{\"a\":1} {}", "byte 8 (line 1, column 9)"},
      {"{\"a\":}", "byte 5 (line 1, column 6)"},
      {"{\n \"a\": tru\n}", "line 2"},
      {"{\"a\":1,}", "byte 7 (line 1, column 8)"},
      {"{'a':1}", "byte 1 (line 1, column 2)"},
      {"{\"a\" 1}", "byte 5 (line 1, column 6)"},
      {"{\"a\":01}", "byte 6 (line 1, column 7)"},
      {"{\"a\":+1}", "byte 5 (line 1, column 6)"},
      {"{\"a\":NaN}", "byte 5 (line 1, column 6)"},
      {"{\"a\":Infinity}", "byte 5 (line 1, column 6)"},
      {"{\"a\":1e999}", "byte 9 (line 1, column 10): number overflow"},
      {"{\"a\":\"\x01\"}", "byte 6 (line 1, column 7)"},
      {"{\"a\":\"\\x\"}", "line 1, column 8"},
      {"{\"a\":\"\\ud800\"}", "line 1"},
      {"{\"a\":\"\\u12\"}", "line 1"},
      {"{/* */\"a\":1}", "byte 1 (line 1, column 2)"},
      // Columns count characters: the two bytes of the first are one column.
      {"{\"\xC3\xA4\":\n\"\xC3\xA4\xFF\"}", "byte 10 (line 2, column 3): this is no well-formed UTF-8"},
      {"{\"a\":\"\xC0\xAF\"}", "byte 6 (line 1, column 7)"},
      {"{\"a\":\"\xED\xA0\x80\"}", "byte 6 (line 1, column 7)"},
      {std::string("{\"a\":\"\0\"}", 9), "byte 6"},
      {"\xEF\xBB\xBF[", "byte 4 (line 1"},
      {"{\"a\":1,\"a\":2}", "'a' is given twice"},
      {"{\"b\":{\"a\":1,\"a\":2}}", "'a' is given twice"},
      {"{\"a\":" + deep, "nested deeper than 64 levels"},
      {many + "]}", "more than 65536 lists and objects"},
      {"[]", "the body is a list (expected an object)"},
      {"\"x\"", "the body is a string"},
      {"null", "the body is null"},
      {"7", "the body is a number"},
  };
  for (const Case& c : cases) {
    const auto json = parse_json_body(c.body);
    ASSERT_FALSE(json) << c.body;
    EXPECT_EQ(json.error().status, 400);
    EXPECT_NE(json.error().message.find(c.said), std::string::npos)
        << c.body << "\n  said: " << json.error().message << "\n  not:  " << c.said;
    // The complaint itself is always JSON that reads back.
    EXPECT_FALSE(Json::parse(json.error().json())["error"]["message"].get<std::string>().empty());
  }
}

TEST(JsonBody, ReadsWhatNlohmannReads) {
  const std::string nested = std::string(kMaxJsonDepth - 1, '[') + std::string(kMaxJsonDepth - 1, ']');
  for (const std::string& body :
       {std::string("{}"),
        std::string(" {\"b\":[1,-2,3.5,1e3,true,null,\"x\\u00e4\\n\"],\"a\":{\"c\":{}}} \n"),
        "{\"deep\":" + nested + "}", std::string("{\"\":18446744073709551615}"),
        std::string("{\"\\ud83d\\ude00\":\"\xF0\x9F\x98\x80\"}")}) {
    const auto json = parse_json_body(body);
    ASSERT_TRUE(json) << body << ": " << json.error().message;
    EXPECT_EQ(json->dump(), Json::parse(body).dump());
  }
}

TEST(Fields, NamesTheFirstThatIsWrong) {
  const Json json = Json::parse(R"({"flag": 1, "x": "y", "n": 1.5, "big": 18446744073709551615, "z": null})");
  const auto said = [&](const auto& read) {
    Fields fields(json, "outer.");
    for (const char* name : {"flag", "x", "n", "big", "z"}) fields.harmless(name);
    read(fields);
    const auto end = fields.finish();
    return end ? std::string() : end.error().param + "|" + end.error().message;
  };
  EXPECT_EQ(said([](Fields& f) { (void)f.flag("flag", true); }),
            "outer.flag|'outer.flag': a number where true or false was expected");
  EXPECT_EQ(said([](Fields& f) { (void)f.number("x", 0, 0, 1); }),
            "outer.x|'outer.x': a string where a number was expected");
  EXPECT_EQ(said([](Fields& f) { (void)f.number("n", 0, 0, 1); }),
            "outer.n|'outer.n': 1.5 is out of range (expected 0 to 1)");
  EXPECT_EQ(said([](Fields& f) { (void)f.integer("n", 0, 9); }),
            "outer.n|'outer.n': a number with a fraction where a whole number was expected");
  EXPECT_EQ(said([](Fields& f) { (void)f.integer("big", 0, 9); }),
            "outer.big|'outer.big': 18446744073709551615 is out of range (expected 0 to 9)");
  EXPECT_EQ(said([](Fields& f) { f.unsupported("x", nullptr, "why"); }),
            "outer.x|'outer.x' is not supported: why");
  EXPECT_EQ(said([](Fields& f) { f.unsupported("x", "y", "why"); }), "");
  // null is as if it were not there.
  EXPECT_EQ(said([](Fields& f) { f.unsupported("z", "y", "why"); }), "");
  EXPECT_EQ(said([](Fields& f) { EXPECT_EQ(f.number("z", 7, 0, 1), 7); }), "");
  EXPECT_EQ(said([](Fields& f) { EXPECT_FALSE(f.integer("none", 0, 1)); }), "");
}

TEST(Fields, RefusesWhatNobodyAskedFor) {
  const Json json = Json::parse(R"({"known": 1, "unknown": 2})");
  Fields fields(json);
  EXPECT_EQ(fields.integer("known", 0, 9), 1);
  const auto end = fields.finish();
  ASSERT_FALSE(end);
  EXPECT_EQ(end.error().param, "unknown");
  EXPECT_EQ(end.error().code, "unknown_parameter");
}

}  // namespace
}  // namespace agon::serving
