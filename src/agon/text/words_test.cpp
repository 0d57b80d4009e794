#include "agon/text/words.h"

#include <gtest/gtest.h>

#include <string>

namespace agon {
namespace {

struct Scanned {
  CharCounts chars;
  std::vector<Word> words;
  std::vector<std::string> texts;
};
Scanned scan(const std::string& text) {
  Scanned out;
  out.chars = scan_words(text, out.words);
  for (const Word& w : out.words) out.texts.push_back(text.substr(w.begin, w.end - w.begin));
  return out;
}
using Texts = std::vector<std::string>;

std::uint32_t letters(const CharCounts& n, Script script) {
  return n.script[static_cast<std::size_t>(script)];
}

TEST(Words, SplitsAtAllButLettersMarksAndDigits) {
  EXPECT_EQ(scan("Hello, world! x2 3.5 a_b").texts, (Texts{"Hello", "world", "x2", "3", "5", "a", "b"}));
  EXPECT_EQ(scan("").texts, Texts{});
  EXPECT_EQ(scan(" \n\t...?!").texts, Texts{});
}

TEST(Words, KeepsApostrophesInsideAndFoldsTypographicOnes) {
  const Scanned s = scan("don't don\u2019t don\u02BCt 'quoted' rock' n");
  EXPECT_EQ(s.texts, (Texts{"don't", "don\u2019t", "don\u02BCt", "quoted", "rock", "n"}));
  EXPECT_EQ(s.words[0].hash, s.words[1].hash);
  EXPECT_EQ(s.words[0].hash, word_hash("don't"));
  EXPECT_EQ(s.words[0].hash, word_hash("DON\u2019T"));
  EXPECT_EQ(s.words[0].chars, 5);
  EXPECT_NE(s.words[0].hash, word_hash("dont"));
}

TEST(Words, ScriptsWithoutSpacesGiveOneWordACharacter) {
  EXPECT_EQ(scan("\u4f60\u597dab\u4e16").texts, (Texts{"\u4f60", "\u597d", "ab", "\u4e16"}));
  EXPECT_EQ(scan("\u3042\u30ab").texts, (Texts{"\u3042", "\u30ab"}));
  EXPECT_EQ(scan("\U00020000x").texts, (Texts{"\U00020000", "x"}));  // Han above the basic plane
  EXPECT_EQ(scan("\ud55c\uad6d\uc5b4 \uc785").texts,
            (Texts{"\ud55c\uad6d\uc5b4", "\uc785"}));  // Hangul has spaces
}

TEST(Words, FoldsCaseInEveryScriptAndTellsWordsApart) {
  EXPECT_EQ(word_hash("\u041c\u0418\u0420"), word_hash("\u043c\u0438\u0440"));
  EXPECT_EQ(word_hash("\u03a3"), word_hash("\u03c3"));
  EXPECT_NE(word_hash("ab"), word_hash("ba"));
  EXPECT_NE(word_hash("a"), word_hash("aa"));
  EXPECT_EQ(scan("Stra\u00dfe").words[0].hash, word_hash("stra\u00dfe"));
}

TEST(Words, MarksStayWithTheirLetters) {
  EXPECT_EQ(scan("e\u0301te\u0301 \u0928\u092e\u0938\u094d\u0924\u0947").texts,
            (Texts{"e\u0301te\u0301", "\u0928\u092e\u0938\u094d\u0924\u0947"}));
}

TEST(Words, FlagsCapitalsNumbersAndStarts) {
  const Scanned s = scan("One NASA 42 b.\nNext? yes. Then");
  const auto flags = [&](std::size_t i) { return s.words[i].flags; };
  EXPECT_EQ(s.texts, (Texts{"One", "NASA", "42", "b", "Next", "yes", "Then"}));
  EXPECT_EQ(flags(0), Word::kCapital | Word::kSentenceStart);
  EXPECT_EQ(flags(1), Word::kCapital | Word::kAllCaps);
  EXPECT_EQ(flags(2), Word::kNumber);
  EXPECT_EQ(flags(3), 0);
  EXPECT_EQ(flags(4), Word::kCapital | Word::kSentenceStart);
  EXPECT_EQ(flags(5), Word::kSentenceStart);
  EXPECT_EQ(flags(6), Word::kCapital | Word::kSentenceStart);
  EXPECT_EQ(scan("I").words[0].flags & Word::kAllCaps, 0);  // one letter shouts nothing
}

TEST(Words, CountsByHand) {
  const Scanned s = scan("Ab, c\u00e9: (1+2)= \"x\" \u2013 y;\n\u0416\u4e2d\U0001F600!?... /_{}");
  const CharCounts& n = s.chars;
  EXPECT_EQ(n.bytes, 46U);
  EXPECT_EQ(n.chars, 37U);
  EXPECT_EQ(n.letters, 8U);  // A b c e-acute x y Zhe Zhong
  EXPECT_EQ(n.upper, 2U);
  EXPECT_EQ(n.digits, 2U);
  EXPECT_EQ(n.spaces, 7U);
  EXPECT_EQ(n.newlines, 1U);
  EXPECT_EQ(n.commas, 1U);
  EXPECT_EQ(n.colons, 1U);
  EXPECT_EQ(n.semicolons, 1U);
  EXPECT_EQ(n.quotes, 2U);
  EXPECT_EQ(n.parens, 2U);
  EXPECT_EQ(n.dashes, 1U);
  EXPECT_EQ(n.equals, 2U);
  EXPECT_EQ(n.exclamations, 1U);
  EXPECT_EQ(n.questions, 1U);
  EXPECT_EQ(n.periods, 3U);
  EXPECT_EQ(n.sentences, 1U);  // a run of stops ends one sentence
  EXPECT_EQ(n.slashes, 1U);
  EXPECT_EQ(n.underscores, 1U);
  EXPECT_EQ(n.braces, 2U);
  EXPECT_EQ(n.emoji, 1U);
  EXPECT_EQ(n.non_ascii, 5U);
  EXPECT_EQ(letters(n, Script::kLatin), 6U);
  EXPECT_EQ(letters(n, Script::kCyrillic), 1U);
  EXPECT_EQ(letters(n, Script::kHan), 1U);
}

TEST(Words, BrokenUtf8IsReplaced) {
  for (const std::string text : {"\xC3", "a\xE4\xB8", "\xF0\x9F\x98", "\xFF\xFE", "\xED\xA0\x80", "\xC0\xAF",
                                 "\xE0\x80\xAF", "\xF0\x80\x80\x80", "\xF4\x90\x80\x80"}) {
    EXPECT_GT(scan(text).chars.replacement, 0U);
  }
}

TEST(Words, CountsAreAdditive) {
  const std::string a = "One two. \u4e2d\u6587!", b = "\n- DON'T 3 \u0416";
  CharCounts sum = scan(a).chars;
  sum += scan(b).chars;
  const CharCounts both = scan(a + b).chars;
  EXPECT_EQ(sum.bytes, both.bytes);
  EXPECT_EQ(sum.chars, both.chars);
  EXPECT_EQ(sum.letters, both.letters);
  EXPECT_EQ(sum.upper, both.upper);
  EXPECT_EQ(sum.digits, both.digits);
  EXPECT_EQ(sum.spaces, both.spaces);
  EXPECT_EQ(sum.sentences, both.sentences);
  EXPECT_EQ(sum.punct, both.punct);
  EXPECT_EQ(sum.script, both.script);
}

}  // namespace
}  // namespace agon
