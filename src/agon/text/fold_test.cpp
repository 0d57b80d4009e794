#include "agon/text/fold.h"

#include <gtest/gtest.h>
#include <rapidcheck/gtest.h>

namespace agon {
namespace {

TEST(Fold, CaseSpacesAndPunctuationGo) {
  EXPECT_EQ(folded("Hello,   WORLD!\n"), "hello world");
  EXPECT_EQ(folded("  (a)b-c "), "a b c");
  EXPECT_EQ(folded("?!..."), "");
  EXPECT_EQ(folded(""), "");
}

TEST(Fold, OtherScriptsToo) {
  EXPECT_EQ(folded("ÉCOLE, Straße"), "école strasse");                   // full case folding: ss
  EXPECT_EQ(folded("e\u0301cole"), "école");                             // composed
  EXPECT_EQ(folded("\uFF21\uFF22\uFF11"), "ab1");                        // full-width letters
  EXPECT_EQ(folded("\u041F\u0420\u0418\u0412\u0415\u0422!"), "привет");  // Cyrillic
  EXPECT_EQ(folded("नमस्ते, दुनिया"), "नमस्ते दुनिया");                        // marks are part of the word
  EXPECT_EQ(folded("你好,世界。"), "你好 世界");
  EXPECT_EQ(folded("\xff\xfe"
                   "a\xc3"),
            "a");  // invalid bytes are punctuation
}

RC_GTEST_PROP(Fold, IsIdempotent, (const std::vector<std::uint16_t>& codes)) {
  std::string text;
  for (const std::uint16_t code : codes) {  // any character of the basic plane, as UTF-8
    if (code >= 0xD800 && code < 0xE000) continue;
    if (code < 0x80) {
      text += static_cast<char>(code);
    } else if (code < 0x800) {
      text += static_cast<char>(0xC0 | code >> 6);
      text += static_cast<char>(0x80 | (code & 0x3F));
    } else {
      text += static_cast<char>(0xE0 | code >> 12);
      text += static_cast<char>(0x80 | (code >> 6 & 0x3F));
      text += static_cast<char>(0x80 | (code & 0x3F));
    }
  }
  RC_ASSERT(folded(folded(text)) == folded(text));
}

TEST(Shingles, AreRunsOfWords) {
  EXPECT_EQ(shingles("a b c d", 3).size(), 2U);
  EXPECT_EQ(shingles("a b", 3).size(), 0U);
  EXPECT_EQ(shingles("a b c", 3), shingles("a b c", 3));
  EXPECT_NE(shingles("a b c", 3), shingles("a c b", 3));
  EXPECT_NE(shingles("ab c d", 3), shingles("a bc d", 3));
  EXPECT_EQ(shingles("x x x x x x", 3).size(), 1U);  // a set
}

TEST(Shingles, AreRunsOfCharactersWhereWordsHaveNoSpaces) {
  EXPECT_EQ(shingles("你好世界", 3).size(), 2U);
  EXPECT_EQ(shingles("これはペン", 3).size(), 3U);
  EXPECT_EQ(shingles("กำไร", 1).size(), 4U);             // Thai letters, vowel signs before and after
  EXPECT_EQ(shingles("用python写代码", 1).size(), 5U);   // a Latin word inside stays whole
  EXPECT_EQ(shingles("안녕하세요 세계", 1).size(), 2U);  // Hangul has spaces
}

}  // namespace
}  // namespace agon
