// The parser of lists of turns against simdjson: both accept the same texts and read the same strings.
#include <simdjson.h>

#include <memory>
#include <string>

#include "agon/base/check.h"
#include "agon/text/json.h"
#include "agon/text/utf8.h"

using namespace agon;

namespace {

void check_list(std::string_view text) {
  JsonTextList list;
  TextRepairs in_list, in_text;
  const auto items = list.parse(text, in_list);
  std::string repaired(text);
  repair_json(repaired, in_text);
  simdjson::dom::parser parser;
  simdjson::dom::array array;
  bool is_list = parser.parse(repaired).get(array) == simdjson::SUCCESS;
  if (is_list) {
    for (const auto element : array) is_list = is_list && (element.is_string() || element.is_null());
  }
  AGON_CHECK(items.has_value() == is_list);
  if (!items) {
    AGON_CHECK(!items.error().message.empty() && !items.error().expected.empty());
    AGON_CHECK(is_valid_utf8(items.error().to_string()));
    return;
  }
  AGON_CHECK(in_list.invalid_utf8 == in_text.invalid_utf8);
  AGON_CHECK(in_list.lone_surrogates == in_text.lone_surrogates);
  std::size_t i = 0;
  for (const auto element : array) {
    AGON_CHECK(i < items->size() && (*items)[i].null == element.is_null());
    AGON_CHECK(element.is_null() || std::string_view(element) == (*items)[i].text);
    ++i;
  }
  AGON_CHECK(i == items->size());
}

void check_records(std::string_view text) {
  auto source = open_memory(std::string(text), "f");
  if (!source) return;
  JsonRecordReader reader(std::move(*source), "f", 100);
  std::string_view record;
  for (;;) {
    const auto more = reader.next(record);
    if (more && !*more) break;
    if (!more && reader.broken()) break;
    AGON_CHECK(!more || record.size() <= 100);
  }
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const std::string_view text(reinterpret_cast<const char*>(data), size);
  check_list(text);
  check_records(text);
  std::string written = "[";
  append_json_string(written, text);
  JsonTextList list;
  TextRepairs repairs;
  std::string expected(text);
  repair_utf8(expected);
  const auto back = list.parse(written + "]", repairs);
  AGON_CHECK(back.has_value() && back->size() == 1 && (*back)[0].text == expected);
  return 0;
}
