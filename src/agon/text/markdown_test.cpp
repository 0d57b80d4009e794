#include "agon/text/markdown.h"

#include <gtest/gtest.h>

namespace agon {
namespace {

TEST(Markdown, CountsAWholeDocumentByHand) {
  const MarkdownCounts n = count_markdown(
      "# Title\n"                                     // header
      "\n"                                            // blank
      "Some **bold** and *italic* text, `code`.\n"    // bold, italic, inline code
      "See [here](http://x.org) and https://y.org\n"  // link, two addresses
      "\n"
      "- one\n"          // bullet
      "  - **two** b\n"  // nested, bold opener, bold
      "1. first\n"       // numbered
      "   2) second\n"   // numbered, nested
      "\n"
      "```python\n"  // code block
      "# no header\n"
      "- no bullet **no bold**\n"
      "\n"
      "```\n"
      "| a | b |\n"  // table rows
      "|---|---|\n"
      "| 1 | 2 |\n"
      "> quoted\n"
      "---\n"                           // rule
      "Energy $E=mc^2$ and \\(x\\).\n"  // two formulas
      "It costs $5 or $6.\n"            // money
      "**Note**: done.");               // bold opener, bold
  EXPECT_EQ(n.lines, 23U);
  EXPECT_EQ(n.blank_lines, 4U);
  EXPECT_EQ(n.paragraphs, 5U);
  EXPECT_EQ(n.headers, 1U);
  EXPECT_EQ(n.bullets, 2U);
  EXPECT_EQ(n.numbered, 2U);
  EXPECT_EQ(n.nested_items, 2U);
  EXPECT_EQ(n.bold, 3U);
  EXPECT_EQ(n.italic, 1U);
  EXPECT_EQ(n.bold_openers, 2U);
  EXPECT_EQ(n.inline_code, 1U);
  EXPECT_EQ(n.links, 1U);
  EXPECT_EQ(n.urls, 2U);
  EXPECT_EQ(n.code_blocks, 1U);
  EXPECT_EQ(n.code_lines, 2U);
  EXPECT_EQ(n.code_bytes, 34U);  // 11 and 23: blank lines hold nothing
  EXPECT_EQ(n.table_rows, 3U);
  EXPECT_EQ(n.quotes, 1U);
  EXPECT_EQ(n.rules, 1U);
  EXPECT_EQ(n.latex, 2U);
  EXPECT_FALSE(n.open_code_block);
  EXPECT_FALSE(n.ends_in_list);
  EXPECT_TRUE(n.ends_closed);
  EXPECT_FALSE(n.empty);
}

TEST(Markdown, AnUnclosedFenceHoldsAllThatFollows) {
  const MarkdownCounts n = count_markdown("text\n~~~\n# x\n- y");
  EXPECT_TRUE(n.open_code_block);
  EXPECT_EQ(n.code_blocks, 1U);
  EXPECT_EQ(n.code_lines, 2U);
  EXPECT_EQ(n.headers + n.bullets, 0U);
  EXPECT_FALSE(n.ends_closed);
}

TEST(Markdown, SaysHowATextEnds) {
  EXPECT_TRUE(count_markdown("a:\n\n1. x").ends_in_list);
  EXPECT_TRUE(count_markdown("a:\n").ends_in_colon);
  EXPECT_TRUE(count_markdown("\u597d\u3002 ").ends_closed);
  EXPECT_FALSE(count_markdown("and then").ends_closed);
  EXPECT_TRUE(count_markdown(" \n\t\n").empty);
  EXPECT_TRUE(count_markdown("").empty);
  EXPECT_EQ(count_markdown("").lines, 0U);
}

TEST(Markdown, LooksAlikesAreNotCounted) {
  const MarkdownCounts n =
      count_markdown("#hashtag\n-dash\n1.5 is a number\n2024. \n3 * 4 = 12\n####### seven\n|x");
  EXPECT_EQ(n.headers + n.bullets + n.numbered + n.italic + n.bold + n.table_rows + n.rules, 0U);
}

TEST(Markdown, BulletsOfAnyKindMayOpenBold) {
  for (const char* text :
       {"- **x**", "* **x**", "+ **x**", "\u2022 **x**", "\u25CF **x**", "\u00B7 **x**", "1. **x**"}) {
    const MarkdownCounts n = count_markdown(text);
    EXPECT_EQ(n.bullets + n.numbered, 1U) << text;
    EXPECT_EQ(n.bold_openers, 1U) << text;
  }
  EXPECT_EQ(count_markdown("\u2022").bullets, 1U);  // a lone marker
}

TEST(Markdown, AddsUpAndKeepsTheLastEnd) {
  MarkdownCounts sum = count_markdown("# a\n```\nx");
  sum += count_markdown("- b");
  EXPECT_EQ(sum.headers, 1U);
  EXPECT_EQ(sum.bullets, 1U);
  EXPECT_EQ(sum.lines, 4U);
  EXPECT_FALSE(sum.open_code_block);
  EXPECT_TRUE(sum.ends_in_list);
  EXPECT_EQ(sum.longest_paragraph, 7U);
}

}  // namespace
}  // namespace agon
