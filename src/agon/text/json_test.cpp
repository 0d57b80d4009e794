#include "agon/text/json.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <rapidcheck/gtest.h>
#include <simdjson.h>

#include <nlohmann/json.hpp>
#include <optional>

#include "agon/text/utf8.h"

namespace agon {
namespace {

using Items = std::vector<std::optional<std::string>>;

Result<Items> parse(std::string_view json, TextRepairs* counted = nullptr) {
  JsonTextList list;
  TextRepairs repairs;
  AGON_ASSIGN(const auto items, list.parse(json, repairs));
  if (counted != nullptr) *counted = repairs;
  Items out;
  for (const auto& item : items)
    out.push_back(item.null ? std::nullopt : std::optional(std::string(item.text)));
  return out;
}

std::string error_of(std::string_view json) {
  const auto items = parse(json);
  return items ? "no error" : items.error().to_string();
}

/// A list of strings and nulls after nlohmann's parser; nothing when it is none.
std::optional<Items> reference(const std::string& json) {
  const auto value = nlohmann::json::parse(json, nullptr, false);
  if (value.is_discarded() || !value.is_array()) return {};
  Items out;
  for (const auto& item : value) {
    if (!item.is_null() && !item.is_string()) return {};
    out.push_back(item.is_null() ? std::nullopt : std::optional(item.get<std::string>()));
  }
  return out;
}

/// Pieces that lists are made of, and some that break them.
rc::Gen<std::string> json_like() {
  const auto piece =
      rc::gen::element<std::string>("[", "]", "\"", "\"", ",", "null", " ", "\n", "a", "\\", "\\n", "\\\"",
                                    "\\\\", "\\/", "\\u00e9", "\\u12", "\\ud83d\\ude00", "\xC3\xA9", "{", "1",
                                    "true", "\t", "long enough for a block of sixteen", "\x01", "\\x");
  return rc::gen::map(rc::gen::container<std::vector<std::string>>(piece), [](const auto& pieces) {
    std::string out;
    for (const auto& p : pieces) out += p;
    return out;
  });
}

RC_GTEST_PROP(JsonTextList, AcceptsExactlyWhatNlohmannDoes, ()) {
  auto text = *json_like();
  if (*rc::gen::inRange(0, 2) == 1) text = "[\"" + text + "\"]";  // else few are lists at all
  const auto expected = reference(text);
  const auto items = parse(text);
  RC_ASSERT(items.has_value() == expected.has_value());
  if (items) RC_ASSERT(*items == *expected);
}

RC_GTEST_PROP(JsonTextList, ReadsBackAnyText, ()) {
  auto texts = *rc::gen::container<std::vector<std::string>>(rc::gen::string<std::string>());
  std::string json = "[";
  for (auto& text : texts) {
    if (json.size() > 1) json += ",";
    append_json_string(json, text);
    repair_utf8(text);
  }
  json += "]";
  const auto items = parse(json);
  RC_ASSERT(items.has_value());
  RC_ASSERT(items->size() == texts.size());
  for (std::size_t i = 0; i < texts.size(); ++i) RC_ASSERT((*items)[i] == texts[i]);
  RC_ASSERT(reference(json) == *items);
}

TEST(JsonTextList, KeepsAndCountsWhatRealFilesHold) {
  TextRepairs repairs;
  EXPECT_EQ(parse("[]"), Items{});
  EXPECT_EQ(parse(" [ null , \"\" ] "), (Items{std::nullopt, ""}));
  EXPECT_EQ(parse(R"(["\ud83d","x\ude00y","\ud83d\ud83d\ude00","\ud83dA"])", &repairs),
            (Items{"\uFFFD", "x\uFFFDy", "\uFFFD\U0001F600",
                   "\uFFFD"
                   "A"}));
  EXPECT_EQ(repairs.lone_surrogates, 4u);
  EXPECT_EQ(parse("[\"a\xFF"
                  "b\xE2\x82\"]",
                  &repairs),
            (Items{"a\uFFFD"
                   "b\uFFFD"}));
  EXPECT_EQ(repairs.invalid_utf8, 2u);
  EXPECT_EQ(repairs.lone_surrogates, 0u);
  EXPECT_EQ(parse(R"(["a\u0000b"])"), (Items{std::string("a\0b", 3)}));
}

TEST(JsonTextList, ErrorsSayWhereAndWhatWasExpected) {
  EXPECT_EQ(error_of(""), "the end at byte 0 of the cell (expected '[' and a list of strings)");
  EXPECT_EQ(error_of("hello"), "'h' at byte 0 of the cell (expected '[' and a list of strings)");
  EXPECT_EQ(error_of("[\"a\", 12]"), "a number at byte 6 of the cell (expected a string or null)");
  EXPECT_EQ(error_of("[[\"a\"]]"),
            "a list inside the list at byte 1 of the cell (expected a string or null)");
  EXPECT_EQ(error_of("[{}]"), "an object at byte 1 of the cell (expected a string or null)");
  EXPECT_EQ(error_of("[true]"), "a boolean at byte 1 of the cell (expected a string or null)");
  EXPECT_EQ(error_of("[\"a\""), "the end at byte 4 of the cell (expected ',' or ']')");
  EXPECT_EQ(error_of("[\"a"), "the end at byte 3 of the cell (expected the closing quote of a string)");
  EXPECT_EQ(error_of("[\"a\",]"), "']' at byte 5 of the cell (expected a string or null)");
  EXPECT_EQ(error_of("[\"a\"] x"), "'x' at byte 6 of the cell (expected nothing after the list)");
  EXPECT_EQ(error_of("[\"\\u12g4\"]"), "'u' at byte 3 of the cell (expected four hex digits after \\u)");
  EXPECT_EQ(error_of("[\"a\nb\"]"),
            "control character 0x0A at byte 3 of the cell (expected it escaped inside a string, as \\n or "
            "\\u000a)");
  EXPECT_EQ(error_of("[\"\\é\"]"),
            "'é' at byte 3 of the cell (expected an escape: one of \" \\ / b f n r t u after a backslash)");
  // Depth costs nothing: the second bracket is already wrong.
  EXPECT_EQ(error_of(std::string(1'000'000, '[')),
            "a list inside the list at byte 1 of the cell (expected a string or null)");
}

RC_GTEST_PROP(RepairJson, MakesWhatSimdjsonRefusesFit, ()) {
  const auto piece =
      rc::gen::element<std::string>("\\ud83d", "\\ude00", "\\u0041", "\\\\", "\\n", "a", "\xED", "\xFF", "u");
  const auto pieces = *rc::gen::container<std::vector<std::string>>(piece);
  std::string text;
  for (const auto& p : pieces) text += p;
  std::string json = "[\"" + text + "\"]";
  TextRepairs in_list, in_text;
  const auto expected = parse(json, &in_list);
  RC_ASSERT(expected.has_value());
  const bool changed = repair_json(json, in_text);
  RC_ASSERT(changed == (in_text.lone_surrogates + in_text.invalid_utf8 > 0));
  RC_ASSERT(in_text.lone_surrogates == in_list.lone_surrogates);
  RC_ASSERT(in_text.invalid_utf8 == in_list.invalid_utf8);
  simdjson::dom::parser parser;
  std::string_view parsed;
  RC_ASSERT(parser.parse(json).at(0).get(parsed) == simdjson::SUCCESS);
  RC_ASSERT(std::optional(std::string(parsed)) == (*expected)[0]);
}

/// Records of a text, errors among them in their own words.
std::vector<std::string> records(const std::string& text, std::uint64_t max_bytes = 1000) {
  auto source = open_memory(text, "t.jsonl");
  JsonRecordReader reader(std::move(*source), "t.jsonl", max_bytes);
  std::vector<std::string> out;
  for (;;) {
    std::string_view json;
    const auto more = reader.next(json);
    if (more && !*more) return out;
    out.push_back(more ? std::string(json) : more.error().to_string());
    if (reader.broken()) return out;
  }
}

TEST(JsonRecords, ReadsLines) {
  using testing::ElementsAre;
  EXPECT_THAT(records(""), ElementsAre());
  EXPECT_THAT(records("\xEF\xBB\xBF{\"a\":1}\n\n  \n{\"b\":2}"), ElementsAre("{\"a\":1}", "{\"b\":2}"));
  EXPECT_THAT(records("{}\r\n{}\r\n"), ElementsAre("{}\r", "{}\r"));
  EXPECT_THAT(records("{1}\n" + std::string(2'000'000, 'x') + "\n{3}\n"),
              ElementsAre("{1}", "t.jsonl: row 2: longer than 1000 bytes", "{3}"));
}

TEST(JsonRecords, ReadsTheElementsOfOneArray) {
  using testing::ElementsAre;
  EXPECT_THAT(records("[]"), ElementsAre());
  EXPECT_THAT(records("[{\"a\":\"],[{\\\"\"},\n {\"b\":[1,{}]} , 3]\n"),
              ElementsAre("{\"a\":\"],[{\\\"\"}", "{\"b\":[1,{}]} ", "3"));
  EXPECT_THAT(records("[{},{}"),
              ElementsAre("{}", "t.jsonl: row 2, byte 6: the JSON array is cut short (expected ',' or ']')"));
  EXPECT_THAT(
      records("[{}] x"),
      ElementsAre(
          "{}",
          "t.jsonl: row 1, byte 5: text after the end of the JSON array (expected the end of the file)"));
  EXPECT_THAT(records("[{\"a\":\"" + std::string(2'000'000, 'x') + "\"},{}]"),
              ElementsAre("t.jsonl: row 1: longer than 1000 bytes", "{}"));
}

}  // namespace
}  // namespace agon
