#include "agon/report/html.h"

#include <gtest/gtest.h>
#include <rapidcheck.h>
#include <unicode/utf8.h>

#include "agon/report/visible.h"

namespace agon {
namespace {

bool is_valid_utf8(const std::string& text) {
  std::size_t i = 0;
  while (i < text.size()) {
    UChar32 c = 0;
    U8_NEXT(text.data(), i, text.size(), c);
    if (c < 0) return false;
  }
  return true;
}

TEST(EscapeHtml, MarkupBecomesEntities) {
  EXPECT_EQ(escape_html("</script><a href=\"x\" b='y'>&amp;`"),
            "&lt;/script&gt;&lt;a href=&quot;x&quot; b=&#39;y&#39;&gt;&amp;amp;&#96;");
}

TEST(EscapeHtml, WhatHidesIsShown) {
  EXPECT_EQ(escape_html(std::string_view("a\0b", 3)), "a␀b");
  EXPECT_EQ(escape_html("\x1b[31m\x7f"), "␛[31m␡");
  EXPECT_EQ(escape_html("\u202Etxt.exe\u2066\u2069"), "⟦U+202E⟧txt.exe⟦U+2066⟧⟦U+2069⟧");
  EXPECT_EQ(escape_html("\u0085"), "⟦U+0085⟧");
  EXPECT_EQ(escape_html("\U000E0041"), "⟦U+E0041⟧");
  EXPECT_EQ(escape_html("\uFFFE"), "\uFFFD");
}

TEST(EscapeHtml, OrdinaryTextIsKept) {
  const std::string text = "line\n\ttab 日本語 العربية 👩‍👩‍👧 é \uFFFD";
  EXPECT_EQ(escape_html(text), text);
  EXPECT_EQ(escape_html("a\r\nb"), "a\nb");
  EXPECT_EQ(escape_html("a\rb"), "a␍b");
}

TEST(EscapeHtml, InvalidUtf8IsReplaced) {
  EXPECT_EQ(escape_html("\xff"), "\uFFFD");
  EXPECT_EQ(escape_html("a\xc3"), "a\uFFFD");
  EXPECT_TRUE(is_valid_utf8(escape_html("\xed\xa0\x80 \xf4\x90\x80\x80")));
}

TEST(EscapeHtml, LongLinesAreCutBetweenCharacters) {
  const std::string line(1 << 20, '"');
  bool cut = false;
  const std::string short_form = escape_html(line, 1000, &cut);
  EXPECT_TRUE(cut);
  EXPECT_EQ(short_form.size(), 996U);  // 166 entities of six bytes
  EXPECT_EQ(escape_html(line).size(), 6U << 20);
}

TEST(EscapeHtml, AnyBytesGiveSafeText) {
  EXPECT_TRUE(rc::check("no markup, no controls, valid, bounded", [](const std::vector<std::uint8_t>& bytes) {
    const std::string text(bytes.begin(), bytes.end());
    const std::size_t bound = *rc::gen::inRange<std::size_t>(0, 64);
    bool cut = false;
    const std::string whole = escape_html(text);
    const std::string part = escape_html(text, bound, &cut);
    RC_ASSERT(whole.find_first_of("<>\"'`") == std::string::npos);
    for (const char c : whole) RC_ASSERT(static_cast<unsigned char>(c) >= 0x20 || c == '\n' || c == '\t');
    RC_ASSERT(is_valid_utf8(whole));
    RC_ASSERT(is_valid_utf8(part));
    RC_ASSERT(part.size() <= bound);
    RC_ASSERT(whole.starts_with(part));
    RC_ASSERT(cut == (part.size() < whole.size()));
  }));
}

TEST(VisibleText, IsIdempotent) {
  EXPECT_TRUE(rc::check("shown text shows as itself", [](const std::vector<std::uint8_t>& bytes) {
    const std::string once = visible_text(std::string(bytes.begin(), bytes.end()));
    RC_ASSERT(visible_text(once) == once);
  }));
}

TEST(HtmlPage, SectionsAreListedAndClosed) {
  HtmlPage page("A & B");
  page.section("one", "First <one>");
  page.section("two", "Second");
  page.figure("", "not drawn");
  const std::string text = page.finish();
  EXPECT_NE(text.find("<title>A &amp; B</title>"), std::string::npos);
  EXPECT_NE(text.find("<a href=\"#one\">First &lt;one&gt;</a>"), std::string::npos);
  EXPECT_NE(text.find("<section id=\"two\""), std::string::npos);
  EXPECT_EQ(text.find("<figure"), std::string::npos);
  EXPECT_NE(text.find("Content-Security-Policy"), std::string::npos);
}

TEST(Stylesheet, CannotEndItsElementOrLoadAnything) {
  const std::string_view css = report_stylesheet();
  for (const char* bad : {"</", "@import", "url(", "http", "expression"}) {
    EXPECT_EQ(css.find(bad), std::string_view::npos) << bad;
  }
  EXPECT_NE(css.find("prefers-color-scheme: dark"), std::string_view::npos);
}

}  // namespace
}  // namespace agon
