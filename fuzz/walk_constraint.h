// Random texts under a constraint, for its fuzz targets.
#pragma once

#include <algorithm>
#include <string>
#include <vector>

#include "agon/base/check.h"
#include "agon/base/random.h"
#include "agon/llm/constrain/constraint.h"
#include "agon/llm/constrain/test_vocabulary.h"

namespace agon::fuzz {

inline const llm::Tokenizer& constraint_tokenizer() {
  static const auto tokenizer =
      llm::make_tokenizer({"{\"", "\":", "\",", "]}", "tru", "12", "ab", "aab", "\xC3\xA9", "\x97\xA5"});
  return *tokenizer;
}

/// Some steps by tokens that are allowed, of which there must always be one, then by those that close what is
/// open in JSON. The text is made valid UTF-8 by taking an unfinished character off its end; `whole` says
/// that it came to its end.
inline std::string walk_constraint(const llm::Constraint& constraint, std::uint64_t seed, bool close,
                                   bool* whole = nullptr) {
  const llm::Tokenizer& tokenizer = constraint_tokenizer();
  constexpr llm::Token kEnd = 2, kBytes = 3;
  Random random(seed);
  llm::ConstraintState state = constraint.start();
  std::string text;
  std::size_t last = 0;  // where its last character begins
  for (int i = 0; i < 150; ++i) {
    const auto mask = state.allowed();
    const auto has = [&](llm::Token token) {
      return (mask[static_cast<std::size_t>(token) / 64] >> (static_cast<std::size_t>(token) % 64) & 1) != 0;
    };
    std::vector<llm::Token> allowed;
    for (llm::Token token = 0; token < tokenizer.vocabulary(); ++token)
      if (has(token)) allowed.push_back(token);
    AGON_CHECK(!allowed.empty() && has(kEnd) == state.may_end());
    AGON_CHECK(state.must_end() == (allowed == std::vector<llm::Token>{kEnd}));
    llm::Token token = allowed[random.below(allowed.size())];
    if (close || i > 40)
      for (const char c : {'0', ']', '}', '"'})
        if (has(kBytes + c)) token = kBytes + c;
    if ((close || i > 40) && has(kEnd)) token = kEnd;
    AGON_CHECK(state.advance(token).has_value());
    if (token == kEnd) {
      if (whole != nullptr) *whole = true;
      return text;
    }
    text += tokenizer.piece(token);
  }
  for (last = text.size(); last > 0 && (static_cast<unsigned char>(text[last - 1]) & 0xC0) == 0x80;) --last;
  if (last > 0 && static_cast<signed char>(text[last - 1]) < 0) --last;
  text.resize(last);
  return text;
}

}  // namespace agon::fuzz
