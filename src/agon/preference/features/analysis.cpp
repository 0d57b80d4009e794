#include "agon/preference/features/analysis.h"

#include <algorithm>

namespace agon {
namespace {

void analyze_turns(const Turns& turns, AnalyzedText& out) {
  out.chars = out.last_chars = CharCounts{};
  out.markdown = MarkdownCounts{};
  out.words.clear();
  out.turn_words.clear();
  out.empty_turns = out.null_turns = 0;
  for (const Turn& turn : turns) {
    const std::size_t before = out.words.size();
    out.last_chars = scan_words(turn.text, out.words);
    out.chars += out.last_chars;
    const MarkdownCounts markdown = count_markdown(turn.text);
    out.markdown += markdown;
    out.empty_turns += markdown.empty;
    out.null_turns += turn.null;
    out.turn_words.push_back(static_cast<std::uint32_t>(out.words.size() - before));
  }
  const auto most = std::ranges::max_element(out.chars.script);
  out.script = *most == 0 ? Script::kCommon : static_cast<Script>(most - out.chars.script.begin());
}

void fill_sets(std::span<const Word> words, WordSets& sets) {
  sets.words.clear();
  sets.pairs.clear();
  for (std::size_t i = 0; i < words.size(); ++i) {
    sets.words.insert(words[i].hash);
    if (i > 0) sets.pairs.insert(pair_hash(words[i - 1].hash, words[i].hash));
  }
}

}  // namespace

void analyze(const Vote& vote, AnalyzedVote& out) {
  out.vote = &vote;
  analyze_turns(vote.prompt, out.prompt);
  analyze_turns(vote.response_a, out.a);
  analyze_turns(vote.response_b, out.b);
  fill_sets(out.prompt.words, out.prompt_sets);
  fill_sets(out.prompt.last_turn(), out.last_prompt_sets);
  fill_sets(out.a.words, out.a_sets);
  fill_sets(out.b.words, out.b_sets);
}

}  // namespace agon
