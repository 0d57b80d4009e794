#include "agon/text/utf8.h"

#include <gtest/gtest.h>
#include <rapidcheck/gtest.h>
#include <unicode/unistr.h>

namespace agon {
namespace {

/// Bytes that are often nearly UTF-8: leads, continuations and ASCII in like shares.
rc::Gen<std::string> nearly_utf8() {
  return rc::gen::container<std::string>(rc::gen::map(
      rc::gen::oneOf(rc::gen::inRange(0, 256), rc::gen::inRange(0x80, 0xC0), rc::gen::inRange(0xC0, 0x100),
                     rc::gen::element(0xE0, 0xED, 0xF0, 0xF4, 0x9F, 0xA0, 0x8F, 0x90, 0xBF, 0x41)),
      [](int byte) { return static_cast<char>(byte); }));
}

std::string icu_repaired(const std::string& text) {
  std::string out;
  icu::UnicodeString::fromUTF8(text).toUTF8String(out);
  return out;
}

RC_GTEST_PROP(Utf8, RepairsAsIcuDoes, ()) {
  const auto text = *nearly_utf8();
  std::string repaired = text;
  const auto count = repair_utf8(repaired);
  RC_ASSERT(repaired == icu_repaired(text));
  RC_ASSERT(is_valid_utf8(repaired));
  RC_ASSERT((count == 0) == is_valid_utf8(text));
}

RC_GTEST_PROP(Utf8, DecodesWhatItRepairs, ()) {
  const auto text = *nearly_utf8();
  std::string encoded, repaired = text;
  std::size_t points = 0;
  for (std::size_t at = 0; at < text.size(); ++points) append_utf8(encoded, decode_utf8(text, at));
  repair_utf8(repaired);
  RC_ASSERT(encoded == repaired);
  RC_ASSERT(count_code_points(repaired) == points);
}

TEST(Utf8, EveryCodePointRoundTrips) {
  for (char32_t code = 0; code <= 0x10FFFF; ++code) {
    std::string text;
    append_utf8(text, code);
    std::size_t at = 0;
    const bool surrogate = code >= 0xD800 && code <= 0xDFFF;
    ASSERT_EQ(decode_utf8(text, at), surrogate ? kReplacement : code);
    ASSERT_EQ(at, text.size());
    ASSERT_TRUE(is_valid_utf8(text));
  }
  std::string beyond;
  append_utf8(beyond, 0x110000);
  EXPECT_EQ(beyond, "\xEF\xBF\xBD");
}

TEST(Utf8, CountsMaximalSubparts) {
  // Table 3-11 of the Unicode standard, version 15: truncated sequences.
  std::string text = "\xE1\x80\xE2\xF0\x91\x92\xF1\xBF\x41";
  EXPECT_EQ(repair_utf8(text), 4u);
  EXPECT_EQ(text, "\xEF\xBF\xBD\xEF\xBF\xBD\xEF\xBF\xBD\xEF\xBF\xBD\x41");
  // Table 3-9: a surrogate's three bytes are three errors.
  text = "\xED\xA0\x80";
  EXPECT_EQ(repair_utf8(text), 3u);
}

}  // namespace
}  // namespace agon
