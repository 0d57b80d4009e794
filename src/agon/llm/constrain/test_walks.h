// Texts under a constraint, for its tests: given ones, and random ones.
#pragma once

#include <gtest/gtest.h>

#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "agon/base/random.h"
#include "agon/llm/constrain/constraint.h"
#include "agon/llm/constrain/test_vocabulary.h"

namespace agon::llm {

using SharedConstraint = std::shared_ptr<const Constraint>;

/// A vocabulary with pieces that JSON, its escapes and UTF-8 are cut by in odd places.
inline const Tokenizer& odd_tokenizer() {
  static const auto tokenizer = make_tokenizer(
      {"{\"",          "\":",   "\": ", "\",",   "\", \"",  "},{",      "]}",       "[[",
       "{}",           "[]",    "true", "fal",   "se",      "null",     "nul",      "12",
       "345",          "-1",    ".5",   "e+",    "ab",      "abc",      "aab",      "bb",
       "ca",           "\\u00", "\\\"", "na",    "name\":", "\xC3\xA9", "\xE6\x97", "\x97\xA5\xE6",
       "\xF0\x9F\x98", "e\xCC", "\"\"", "\"a\"", "0",       "1",        "a",        "\""});
  return *tokenizer;
}

inline SharedConstraint regex(std::string_view pattern, const Tokenizer& tokenizer = odd_tokenizer()) {
  auto made = Constraint::from_regex(pattern, tokenizer);
  EXPECT_TRUE(made) << pattern << ": " << made.error().to_string();
  return *made;
}
inline SharedConstraint schema(std::string_view json, const Tokenizer& tokenizer = odd_tokenizer()) {
  auto made = Constraint::from_json_schema(json, tokenizer);
  EXPECT_TRUE(made) << json << ": " << made.error().to_string();
  return *made;
}

/// Byte tokens of make_tokenizer.
inline Token byte_token(char c) { return 3 + static_cast<unsigned char>(c); }
constexpr Token kEnd = 2;

inline bool has(std::span<const std::uint64_t> mask, Token token) {
  return (mask[static_cast<std::size_t>(token) / 64] >> (static_cast<std::size_t>(token) % 64) & 1) != 0;
}
inline std::vector<Token> tokens_of(std::span<const std::uint64_t> mask, int vocabulary) {
  std::vector<Token> out;
  for (Token token = 0; token < vocabulary; ++token)
    if (has(mask, token)) out.push_back(token);
  return out;
}

/// The state after a text, byte by byte; `viable` says whether it came so far.
inline ConstraintState after(const SharedConstraint& constraint, std::string_view text, bool& viable) {
  ConstraintState state = constraint->start();
  viable = true;
  for (const char c : text) viable = viable && state.advance(byte_token(c)).has_value();
  return state;
}
inline bool viable(const SharedConstraint& constraint, std::string_view text) {
  bool yes = false;
  (void)after(constraint, text, yes);
  return yes;
}
inline bool accepts(const SharedConstraint& constraint, std::string_view text) {
  bool yes = false;
  const ConstraintState state = after(constraint, text, yes);
  return yes && state.may_end();
}

/// What may end a JSON text soon, the strongest last; inside a string all of them are allowed.
inline const std::vector<Token>& json_closers() {
  static const std::vector<Token> closers = {byte_token('0'), byte_token(']'), byte_token('}'),
                                             byte_token('"'), kEnd};
  return closers;
}

/// A random text from `state` on: any allowed tokens for some steps, then closers where they are allowed.
/// Fails when that comes to no end.
inline std::string walk(ConstraintState state, const Tokenizer& tokenizer, Random& random, int steps) {
  std::string text;
  for (int i = 0; i < steps + 3000; ++i) {
    const auto mask = state.allowed();
    EXPECT_EQ(has(mask, kEnd), state.may_end()) << text;
    if (state.must_end()) {
      EXPECT_EQ(tokens_of(mask, tokenizer.vocabulary()), std::vector<Token>{kEnd}) << text;
      return text;
    }
    const std::vector<Token> allowed = tokens_of(mask, tokenizer.vocabulary());
    if (allowed.empty()) {
      ADD_FAILURE() << "a dead end after " << text;
      return text;
    }
    Token token = allowed[random.below(allowed.size())];
    if (i >= steps || random.below(8) == 0) {
      for (const Token close : json_closers())
        if (has(mask, close)) token = close;
      // Now and then what a pattern may still want before the quotation mark.
      const Token letter = byte_token(random.below(2) == 0 ? 'a' : 'b');
      if (token != kEnd && random.below(4) == 0 && has(mask, letter)) token = letter;
    }
    if (const Status went = state.advance(token); !went) {
      ADD_FAILURE() << went.error().to_string() << " after " << text;
      return text;
    }
    if (token == kEnd) return text;
    text += tokenizer.piece(token);
  }
  ADD_FAILURE() << "no end: " << text.substr(0, 200);
  return text;
}

}  // namespace agon::llm
