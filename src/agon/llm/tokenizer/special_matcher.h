// Special tokens in a text, found before anything else is.
#pragma once

#include <cstdint>
#include <string_view>
#include <vector>

#include "agon/base/error.h"
#include "agon/llm/tokenizer/trie.h"
#include "agon/llm/tokenizer/vocabulary.h"

namespace agon::llm {

/// A special token, or (token == kNoToken) the text [begin, end).
struct Fragment {
  Token token = kNoToken;
  std::size_t begin = 0, end = 0;
};

class SpecialMatcher {
 public:
  /// Special are control, unknown and user-defined tokens. One longer than 1024 bytes is an Error.
  static Result<SpecialMatcher> make(const Vocabulary& vocabulary);

  /// Cuts `text` into `fragments`, in order, none of them empty. The longest special token takes its places
  /// in the whole text first, from left to right, then the next shorter one what is left, and so on: not
  /// leftmost-longest, as overlapping candidates show. Control and unknown tokens count only when
  /// `parse_special`. The matcher and its vocabulary must outlive the call; `seen` is scratch.
  void cut(const Vocabulary& vocabulary, std::string_view text, bool parse_special,
           std::vector<Fragment>& fragments, std::vector<std::uint32_t>& seen) const;

 private:
  /// Ranks of the tokens that occur in `text`, ascending.
  static void find_ranks(const Trie& trie, std::string_view text, std::vector<std::uint32_t>& seen);

  std::vector<Token> ranked_;  // longest first, lower ids first among equally long ones
  Trie all_, always_;          // to ranks; `always_` holds the user-defined ones only
};

}  // namespace agon::llm
