// A vote read once: what every block of text features needs, computed a single time a row.
#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "agon/data/vote.h"
#include "agon/text/hash_set.h"
#include "agon/text/markdown.h"
#include "agon/text/words.h"

namespace agon {

/// All turns of one side of a conversation: the prompts, or one model's answers.
struct AnalyzedText {
  CharCounts chars;       ///< over all turns
  CharCounts last_chars;  ///< of the last turn
  MarkdownCounts markdown;
  std::vector<Word> words;                ///< of all turns, in order
  std::vector<std::uint32_t> turn_words;  ///< words in each turn
  std::uint32_t empty_turns = 0, null_turns = 0;
  Script script = Script::kCommon;  ///< of most letters; kCommon without letters

  [[nodiscard]] std::span<const Word> last_turn() const {
    const std::size_t n = turn_words.empty() ? 0 : turn_words.back();
    return std::span(words).last(n);
  }
  [[nodiscard]] std::size_t turns() const { return turn_words.size(); }
};

/// Sets of words that several blocks ask about; reused from row to row.
struct WordSets {
  HashSet words, pairs;  ///< distinct words and distinct pairs of neighbours
};

struct AnalyzedVote {
  const Vote* vote = nullptr;
  AnalyzedText prompt, a, b;
  WordSets prompt_sets, last_prompt_sets, a_sets, b_sets;
};

/// One hash for two neighbouring words; not symmetric.
[[nodiscard]] inline std::uint64_t pair_hash(std::uint64_t first, std::uint64_t second) {
  const std::uint64_t h = (first * 0x9ddfea08eb382d69ULL) ^ (second + 0x9e3779b97f4a7c15ULL);
  return (h ^ (h >> 31)) * 0xd6e8feb86659fd93ULL;
}

/// Fills `out` (whose buffers are reused) from the vote's text only: never names, ids or extras.
void analyze(const Vote& vote, AnalyzedVote& out);

}  // namespace agon
