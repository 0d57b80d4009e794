#include "agon/llm/constrain/regex.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <rapidcheck/gtest.h>

#include <optional>
#include <regex>

#include "agon/llm/constrain/automaton.h"
#include "agon/llm/constrain/test_walks.h"
#include "agon/text/utf8.h"

namespace agon::llm {
namespace {

using testing::HasSubstr;

std::string random_regex(Random& random, int depth) {
  static const char* const kAtoms[] = {"a",    "b",     "c",   "ab",    ".",  "[ab]",
                                       "[^a]", "[a-c]", "\\d", "\\x61", "\\w"};
  static const char* const kRepeats[] = {"*", "+", "?", "{2}", "{0,2}", "{1,3}", "{2,}", "{0}"};
  std::string out;
  const std::uint64_t parts = 1 + random.below(3);
  for (std::uint64_t i = 0; i < parts; ++i) {
    std::string part;
    if (depth > 0 && random.below(3) == 0) {
      part = random.below(2) == 0 ? "(?:" : "(";
      part += random_regex(random, depth - 1);
      if (random.below(2) == 0) part += "|" + (random.below(4) == 0 ? "" : random_regex(random, depth - 1));
      part += ")";
    } else {
      part = kAtoms[random.below(std::size(kAtoms))];
    }
    if (part.size() > 2 && part[0] != '[' && part[0] != '(' && part[0] != '\\') part = "(" + part + ")";
    if (random.below(3) == 0)
      part = (part == "ab" ? "(ab)" : part) + kRepeats[random.below(std::size(kRepeats))];
    out += part;
  }
  return out;
}

// All texts over a, b, c and 1 up to a length.
const std::vector<std::string>& short_texts() {
  static const auto made = [] {
    std::vector<std::string> texts = {""};
    for (std::size_t begin = 0, length = 1; length <= 5; ++length) {
      const std::size_t end = texts.size();
      for (std::size_t i = begin; i < end; ++i)
        for (const char c : {'a', 'b', 'c', '1'}) texts.push_back(texts[i] + c);
      begin = end;
    }
    return texts;
  }();
  return made;
}

// A random text: any tokens at first, then letters of the patterns, which sooner or later complete most;
// nothing where 10,000 of them don't (nine letters that have to come at the end take as many).
std::optional<std::string> short_walk(ConstraintState state, Random& random) {
  std::string text;
  for (int i = 0; !state.must_end() && !(state.may_end() && random.below(i < 10 ? 4 : 1) == 0); ++i) {
    std::vector<Token> allowed = tokens_of(state.allowed(), odd_tokenizer().vocabulary()), letters;
    std::erase(allowed, kEnd);
    for (const char c : {'a', 'b', 'c', '1'})
      if (has(state.allowed(), byte_token(c))) letters.push_back(byte_token(c));
    if (i >= 10 && !letters.empty()) allowed = letters;
    if (i == 100) return std::nullopt;  // the twin's time grows fast with the text
    if (allowed.empty()) {
      ADD_FAILURE() << "a dead end after " << text.substr(0, 100);
      return text;
    }
    const Token token = allowed[random.below(allowed.size())];
    EXPECT_TRUE(state.advance(token));
    text += odd_tokenizer().piece(token);
  }
  return text;
}

// The standard library's matcher is the twin: which texts match, which can still become a match.
RC_GTEST_PROP(ConstraintRegex, AgreesWithTheStandardLibrary, ()) {
  const std::uint64_t seed = *rc::gen::arbitrary<std::uint64_t>();
  Random random(seed);
  std::string pattern = random_regex(random, 2);
  if (random.below(4) == 0) pattern += "|" + random_regex(random, 1);
  const auto made = Constraint::from_regex(pattern, odd_tokenizer());
  if (!made) {
    // A few of a hundred thousand explode, and are refused by size: no other refusal is right.
    RC_ASSERT(made.error().to_string().contains("compiling the constraint takes more than the limit"));
    RC_DISCARD("explodes");
  }
  const SharedConstraint& constraint = *made;
  const std::regex twin(pattern, std::regex::ECMAScript);
  for (const std::string& text : short_texts()) {
    const bool matches = std::regex_match(text, twin);
    if (accepts(constraint, text) != matches) RC_FAIL(pattern + " on '" + text + "'");
    if (!matches) continue;
    for (std::size_t cut = 0; cut < text.size(); ++cut)
      if (!viable(constraint, text.substr(0, cut))) RC_FAIL(pattern + " on the start of '" + text + "'");
  }
  // And what is held possible does become a match. The twin reads bytes, not characters.
  for (int i = 0; i < 10; ++i) {
    const std::optional<std::string> walked = short_walk(constraint->start(), random);
    if (!walked) continue;
    const std::string& text = *walked;
    const bool ascii = std::ranges::all_of(text, [](char c) { return static_cast<signed char>(c) >= 0; });
    if (ascii && !std::regex_match(text, twin)) RC_FAIL(pattern + " wrote '" + text + "'");
    RC_ASSERT(is_valid_utf8(text));
  }
}

TEST(ConstraintRegex, WhatMatchesAndWhatDoesNot) {
  struct Case {
    const char* pattern;
    std::vector<std::string> yes, no;
  };
  for (const Case& c : std::vector<Case>{
           {"", {""}, {"a"}},
           {"|a", {"", "a"}, {"aa"}},
           {"^abc$", {"abc"}, {"xabc", "abcd", "ab"}},
           {"^a$|^b$", {"a", "b"}, {"ab"}},
           {"()*a(){3}", {"a"}, {"", "aa"}},
           {".",
            {"a", "\xC3\xA9", "\xE6\x97\xA5", "\xF0\x9F\x98\x80", "\x7F"},
            {"\n", "\r", "\xE2\x80\xA8", "ab", "\xC3"}},
           {"[^a]",
            {"b", "\n", "\xC3\xA9", "\xF4\x8F\xBF\xBF"},
            {"a", "", "\xED\xA0\x80", "\xC0\x80", "\xF4\x90\x80\x80"}},
           {"[\xC3\xA0-\xC3\xBF]+", {"\xC3\xA9\xC3\xBF"}, {"e", "\xC4\x80", "\xC3\x9F"}},
           {"[\\u0000-\\u{10FFFF}]",
            {std::string(1, '\0'), "\xEF\xBF\xBF", "\xED\x9F\xBF", "\xEE\x80\x80"},
            {"\xED\xA0\x80"}},
           {"\\uD83D\\uDE00", {"\xF0\x9F\x98\x80"}, {"\xED\xA0\xBD\xED\xB8\x80"}},
           {"\\xe9", {"\xC3\xA9"}, {"\xE9"}},
           {"\\s", {" ", "\t", "\xC2\xA0", "\xE2\x80\x83", "\xEF\xBB\xBF"}, {"a", "\xE2\x80\x8B"}},
           {"\\S\\D\\W", {"aa-", "\xC3\xA9x\xC3\xA9"}, {" a-", "a1-", "aaa"}},
           {"[\\d.,-]+", {"1,2.3-4"}, {"a", "_"}},
           {"[a\\-z]", {"a", "-", "z"}, {"b"}},
           {"[-a]|[b-]", {"-", "a", "b"}, {"c"}},
           {"[\\]\\\\^]", {"]", "\\", "^"}, {"["}},
           {"\\{\\}\\(\\)\\[\\]\\*\\+\\?\\.\\|\\^\\$\\\\\\/", {"{}()[]*+?.|^$\\/"}, {""}},
           {"}]", {"}]"}, {"}"}},
           {"\\0\\n\\r\\t\\v\\f", {std::string("\0\n\r\t\v\f", 6)}, {""}},
           {"[\\b]", {"\b"}, {"b"}},
           {"a{2,3}", {"aa", "aaa"}, {"a", "aaaa"}},
           {"(a|b){0}c", {"c"}, {"ac"}},
           {"((((a))))", {"a"}, {"aa"}},
       }) {
    const SharedConstraint constraint = regex(c.pattern);
    for (const std::string& text : c.yes)
      EXPECT_TRUE(accepts(constraint, text)) << c.pattern << " on " << text;
    for (const std::string& text : c.no)
      EXPECT_FALSE(accepts(constraint, text)) << c.pattern << " on " << text;
  }
}

// Every character, for sets with ends at all lengths of UTF-8.
TEST(ConstraintRegex, SetsOfCharactersAreExact) {
  const std::vector<constrain::CodeSet> sets = {{{'a', 0x10FFFF}},
                                                {{0, 0x7F}},
                                                {{0x80, 0x7FF}},
                                                {{0x7FF, 0x801}},
                                                {{0x3F, 0x41}},
                                                {{0xFFF, 0x1000}},
                                                {{0xD7FE, 0xE001}},
                                                {{0xFFFE, 0x10001}},
                                                {{0x12345, 0xABCDE}},
                                                {{0x10FFFF, 0x10FFFF}},
                                                {{0x40, 0x40}, {0x3FFF, 0x4000}, {0x3FFFF, 0x40001}}};
  for (const constrain::CodeSet& set : sets) {
    constrain::Network network;
    const auto ends = network.rule(network.add_rule());
    constrain::add_utf8(network, set, ends.start, ends.end);
    std::array<bool, 256> usable;
    usable.fill(true);
    const auto automaton = constrain::Automaton::make(network, usable).value();
    const constrain::CodeSet inverse = set.inverse();
    for (char32_t code = 0; code <= 0x10FFFF; ++code) {
      if (code >= 0xD800 && code <= 0xDFFF) continue;
      std::string bytes;
      append_utf8(bytes, code);
      auto state = automaton.start();
      for (const char c : bytes)
        state = automaton.next(state, automaton.class_of(static_cast<std::uint8_t>(c)));
      ASSERT_EQ(automaton.accepting(state), set.has(code)) << std::uint32_t{code};
      ASSERT_NE(inverse.has(code), set.has(code)) << std::uint32_t{code};
    }
  }
}

TEST(ConstraintRegex, WhatIsNotSupportedIsRefusedByName) {
  const std::vector<std::pair<std::string, std::string>> cases = {
      {"a(?=b)", "byte 1 of the regular expression: lookaround"},
      {"(?!a)b", "lookaround"},
      {"(?<=a)b", "lookaround"},
      {"(?<!a)b", "lookaround"},
      {"(?<x>a)", "named groups"},
      {"(?P<x>a)", "named groups"},
      {"(?i)a", "flags"},
      {"(a)\\1", "byte 3 of the regular expression: backreferences"},
      {"\\k<x>", "backreferences"},
      {"a*?", "lazy"},
      {"a{1,2}?", "lazy"},
      {"a++", "possessive"},
      {"a**", "a repetition of a repetition"},
      {"\\bword", "word boundaries"},
      {"\\p{L}", "Unicode properties"},
      {"\\cA", "the escape \\c"},
      {"\\012", "octal"},
      {"[[:alpha:]]", "classes by name"},
      {"[]", "no characters"},
      {"[]a]", "no characters"},
      {"[^\\u0000-\\u{10FFFF}]", "no characters"},
      {"[z-a]", "wrong way round"},
      {"[a-\\d]", "a range from or to a class"},
      {"[a", "byte 0 of the regular expression: the class is not closed"},
      {"(a", "the group is not closed"},
      {"a)", "byte 1 of the regular expression: a ')' closes no group"},
      {"*a", "'*' repeats nothing"},
      {"a|+", "'+' repeats nothing"},
      {"{2}", "'{' repeats nothing"},
      {"a{", "no number"},
      {"a{,2}", "no number"},
      {"a{2", "not closed"},
      {"a{3,2}", "at least 3 and at most 2"},
      {"a{99999999999}", "over the limit of 1000000"},
      {"a^b", "'^' inside"},
      {"a$b", "'$' inside"},
      {"(^a)", "'^' inside"},
      {"\\", "a backslash at the end"},
      {"\\x1", "too few"},
      {"\\u12", "too few"},
      {"\\u{110000}", "no character has this number"},
      {"\\uD800", "half of a surrogate pair"},
      {"\\uD800\\u0041", "half of a surrogate pair"},
      {"\xFF", "not UTF-8"},
      {"\\\xC3\xA9", "beyond ASCII"},
      {std::string(40000, 'a'), "has 40000 bytes, 7232 more than the limit of 32768"},
      {std::string(200, '(') + std::string(200, ')'), "100 open groups"},
  };
  for (const auto& [pattern, message] : cases) {
    const auto made = Constraint::from_regex(pattern, odd_tokenizer());
    ASSERT_FALSE(made) << pattern;
    EXPECT_THAT(made.error().to_string(), HasSubstr(message)) << pattern.substr(0, 50);
  }
}

TEST(ConstraintRegex, WhatExplodesIsRefusedBySize) {
  for (const char* pattern :
       {"((a{1000}){1000}){1000}", "(((){1000000}){1000000}){1000000}", "(a*){1000000}", "[a-z]*x[a-z]{30}",
        "(.*a){20}.{20}b", "((((((a?){30}){30}){30}){30}){30}){30}", "(.{0,900}){900}", "[^a]{1000000}"}) {
    const auto made = Constraint::from_regex(pattern, odd_tokenizer());
    ASSERT_FALSE(made) << pattern;
    EXPECT_THAT(made.error().to_string(), HasSubstr("limit of")) << pattern;
  }
  EXPECT_TRUE(Constraint::from_regex("[a-z]{10000}", odd_tokenizer()));
}

}  // namespace
}  // namespace agon::llm
