#include "agon/report/table.h"

#include <gtest/gtest.h>
#include <rapidcheck.h>

#include "agon/report/visible.h"

namespace agon {
namespace {

TEST(DisplayWidth, FollowsTheTerminal) {
  EXPECT_EQ(display_width("abc"), 3);
  EXPECT_EQ(display_width("日本語"), 6);
  EXPECT_EQ(display_width("ｆｕｌｌ"), 8);
  EXPECT_EQ(display_width("ﾊﾝｶｸ"), 4);
  EXPECT_EQ(display_width("e\u0301"), 1);
  EXPECT_EQ(display_width("👍"), 2);
  EXPECT_EQ(display_width("👩‍👩‍👧"), 2);
  EXPECT_EQ(display_width("\u1112\u1161\u11ab"), 2);  // conjoining Hangul: one syllable
  EXPECT_EQ(display_width("العربية"), 7);
  EXPECT_EQ(display_width(""), 0);
}

TEST(ClipToWidth, NeverSplitsOrPasses) {
  EXPECT_EQ(clip_to_width("日本語", 6), "日本語");
  EXPECT_EQ(clip_to_width("日本語", 5), "日本…");
  EXPECT_EQ(clip_to_width("日本語", 4), "日…");
  EXPECT_EQ(clip_to_width("abc", 0), "");
  EXPECT_EQ(clip_to_width("ae\u0301bc", 3), "ae\u0301…");
  EXPECT_TRUE(rc::check("width holds", [](const std::string& raw) {
    const std::string text = visible_text(raw);
    const int width = *rc::gen::inRange(0, 30);
    RC_ASSERT(display_width(clip_to_width(text, width)) <= width);
  }));
}

TEST(Table, AlignsWideCharacters) {
  Table table({{"model", Align::kLeft, 0}, {"loss", Align::kRight, 0}});
  table.add_row({"日本語", "1.02"});
  table.add_row({"ab", "10.5"});
  EXPECT_EQ(table.terminal(),
            "  model   loss\n"
            "  ──────  ────\n"
            "  日本語  1.02\n"
            "  ab      10.5\n");
}

TEST(Table, EveryLineEndsItsNumbersInOneColumn) {
  EXPECT_TRUE(rc::check("right edges agree", [](const std::vector<std::pair<std::string, unsigned>>& rows) {
    Table table({{"name", Align::kLeft, 12}, {"n", Align::kRight, 0}});
    for (const auto& [name, n] : rows) table.add_row({name, std::to_string(n)});
    const std::string text = table.terminal();
    int width = -1;
    std::size_t from = 0;
    while (from < text.size()) {
      const std::size_t end = text.find('\n', from);
      const int line = display_width(text.substr(from, end - from));
      if (width < 0) width = line;
      RC_ASSERT(line == width);
      from = end + 1;
    }
  }));
}

TEST(Table, TextGivesWayToTheTerminalNumbersDoNot) {
  Table table({{"name", Align::kLeft, 0}, {"figure", Align::kRight, 0}});
  table.add_row({"a very long name that does not fit at all", "1.0171 [1.0020, 1.0322]"});
  EXPECT_EQ(table.terminal({.width = 40, .indent = 0, .colour = false}),
            "name                              figure\n"
            "───────────────  ───────────────────────\n"
            "a very long na…  1.0171 [1.0020, 1.0322]\n");
}

TEST(Table, TerminalGetsNoControlCharacters) {
  Table table({{"x", Align::kLeft, 0}});
  table.add_row({"\x1b[2J\x07 a\nb\tc\u202E"});
  EXPECT_NE(table.terminal().find("␛[2J␇ a␊b c⟦U+202E⟧"), std::string::npos);
}

TEST(Table, GapsAndMissingCells) {
  Table table({{"", Align::kLeft, 0}, {"", Align::kRight, 0}});
  table.add_gap();
  table.add_row({"a", "1"});
  table.add_gap();
  table.add_row({"b"});
  EXPECT_EQ(table.terminal({.width = 0, .indent = 0, .colour = false}), "a  1\n\nb\n");
}

TEST(Table, MarkdownKeepsCellsApart) {
  Table table({{"a", Align::kLeft, 0}, {"n", Align::kRight, 0}});
  table.add_row({"x|y <b>*z*", "-1"});
  EXPECT_EQ(table.markdown(), "| a | n |\n| --- | ---: |\n| x\\|y \\<b\\>\\*z\\* | -1 |\n");
}

TEST(Table, HtmlEscapes) {
  Table table({{"<a>", Align::kLeft, 0}, {"n", Align::kRight, 0}});
  table.add_row({"<script>", "-0.5"});
  const std::string html = table.html("x & y");
  EXPECT_NE(html.find("<caption>x &amp; y</caption>"), std::string::npos);
  EXPECT_NE(html.find("<td>&lt;script&gt;</td><td class=\"num\">−0.5</td>"), std::string::npos);
}

}  // namespace
}  // namespace agon
