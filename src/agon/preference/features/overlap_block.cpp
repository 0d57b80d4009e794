#include <algorithm>
#include <array>
#include <string_view>

#include "agon/preference/features/blocks.h"
#include "agon/preference/features/pairing.h"

namespace agon {
namespace {

constexpr std::array kSides = {
    Side{"prompt_covered", "share of the prompt's words that the answer uses", Side::kShare, false,
         Side::kBoth},
    Side{"last_prompt_covered", "share of the last prompt's words that the answer uses", Side::kShare, false,
         Side::kMean},
    Side{"from_prompt", "share of the answer's words that stand in the prompt", Side::kShare, false,
         Side::kMean},
    Side{"prompt_pairs", "share of the answer's word pairs that stand in the prompt", Side::kShare, false,
         Side::kNone},
    Side{"echo", "the opening words repeat the prompt's", Side::kShare, false, Side::kNone},
    Side{"other_covered", "share of the other answer's words that this one uses", Side::kShare, false,
         Side::kNone},
};

const std::vector<Column>& both_columns() {
  static const std::vector<Column> columns = {
      {"overlap.words_shared", "words that A and B share, of all their words", Parity::kEven},
      {"overlap.pairs_shared", "word pairs that A and B share, of all theirs", Parity::kEven},
      {"overlap.same_start", "length of the common beginning of A and B over the shorter", Parity::kEven},
      {"overlap.identical", "A and B are the same text", Parity::kEven},
      {"overlap.same_first_word", "A and B begin with the same word", Parity::kEven},
      {"overlap.same_last_word", "A and B end with the same word", Parity::kEven},
      {"overlap.numbers_shared", "numbers that A and B share, of all theirs", Parity::kEven},
  };
  return columns;
}

double ratio(std::size_t part, std::size_t whole) {
  return whole == 0 ? 0.0 : static_cast<double>(part) / static_cast<double>(whole);
}

/// Distinct words of `words` that are in `set`, counted once each.
template <class Key>
std::size_t distinct_hits(std::span<const Word> words, const HashSet& set, HashSet& seen, Key key) {
  seen.clear();
  std::size_t hits = 0;
  for (std::size_t i = 0; i < words.size(); ++i) {
    const std::uint64_t k = key(i);
    if (set.contains(k) && seen.insert(k)) ++hits;
  }
  return hits;
}

class OverlapBlock final : public TextBlock {
 public:
  OverlapBlock() : columns_(paired_columns("overlap", kSides)) {
    columns_.insert(columns_.end(), both_columns().begin(), both_columns().end());
  }
  std::string_view name() const override { return "overlap"; }
  int version() const override { return 1; }
  std::span<const Column> columns() const override { return columns_; }
  void compute_row(const AnalyzedVote& v, std::span<float> out) const override {
    thread_local HashSet seen;
    const std::size_t words_common = common(v.a.words, v.b_sets.words, seen);
    const auto a = values(v, v.a, v.a_sets, v.b_sets, words_common, seen);
    const auto b = values(v, v.b, v.b_sets, v.a_sets, words_common, seen);
    both(v, words_common, seen, pair_values(kSides, a, b, out));
  }

 private:
  static std::size_t common(std::span<const Word> words, const HashSet& set, HashSet& seen) {
    return distinct_hits(words, set, seen, [&](std::size_t i) { return words[i].hash; });
  }

  static std::array<double, kSides.size()> values(const AnalyzedVote& v, const AnalyzedText& t,
                                                  const WordSets& own, const WordSets& other,
                                                  std::size_t words_common, HashSet& seen) {
    const std::span<const Word> prompt = v.prompt.words, last = v.prompt.last_turn();
    const std::size_t covered = common(prompt, own.words, seen), last_covered = common(last, own.words, seen);
    std::size_t from_prompt = 0, pairs = 0;
    for (std::size_t i = 0; i < t.words.size(); ++i) {
      from_prompt += v.prompt_sets.words.contains(t.words[i].hash);
      if (i > 0) pairs += v.prompt_sets.pairs.contains(pair_hash(t.words[i - 1].hash, t.words[i].hash));
    }
    const std::span<const Word> opening = t.last_turn();
    std::size_t echo = 0;
    const std::size_t limit = std::min({opening.size(), last.size(), std::size_t{8}});
    while (echo < limit && opening[echo].hash == last[echo].hash) ++echo;
    return {ratio(covered, v.prompt_sets.words.size()),
            ratio(last_covered, v.last_prompt_sets.words.size()),
            ratio(from_prompt, t.words.size()),
            ratio(pairs, t.words.size()),
            echo / 8.0,
            ratio(words_common, other.words.size())};
  }

  static void both(const AnalyzedVote& v, std::size_t words_common, HashSet& seen, std::span<float> out) {
    const auto& a = v.a.words;
    const auto& b = v.b.words;
    const std::size_t pairs_common = distinct_hits(a, v.b_sets.pairs, seen, [&](std::size_t i) {
      return i == 0 ? 0 : pair_hash(a[i - 1].hash, a[i].hash);
    });
    const auto jaccard = [](std::size_t both, std::size_t m, std::size_t n) {
      return ratio(both, m + n - both);
    };
    std::size_t start = 0, same_turns = 0;
    const Turns& ta = v.vote->response_a;
    const Turns& tb = v.vote->response_b;
    for (std::size_t i = 0; i < std::min(ta.size(), tb.size()); ++i) same_turns += ta[i].text == tb[i].text;
    const bool identical = ta.size() == tb.size() && same_turns == ta.size();
    while (start < std::min(a.size(), b.size()) && a[start].hash == b[start].hash) ++start;
    out[0] = static_cast<float>(jaccard(words_common, v.a_sets.words.size(), v.b_sets.words.size()));
    out[1] = static_cast<float>(jaccard(pairs_common, v.a_sets.pairs.size(), v.b_sets.pairs.size()));
    out[2] = static_cast<float>(ratio(start, std::min(a.size(), b.size())));
    out[3] = identical ? 1.0F : 0.0F;
    out[4] = !a.empty() && !b.empty() && a.front().hash == b.front().hash ? 1.0F : 0.0F;
    out[5] = !a.empty() && !b.empty() && a.back().hash == b.back().hash ? 1.0F : 0.0F;
    out[6] = static_cast<float>(shared_numbers(a, b, seen));
  }

  static double shared_numbers(std::span<const Word> a, std::span<const Word> b, HashSet& seen) {
    thread_local HashSet numbers;
    numbers.clear();
    for (const Word& w : a)
      if (w.flags & Word::kNumber) numbers.insert(w.hash);
    seen.clear();
    std::size_t hits = 0;
    for (const Word& w : b)
      if ((w.flags & Word::kNumber) && seen.insert(w.hash)) hits += numbers.contains(w.hash);
    return ratio(hits, numbers.size() + seen.size() - hits);
  }

  std::vector<Column> columns_;
};

}  // namespace

const TextBlock& overlap_block() {
  static const OverlapBlock block;
  return block;
}

}  // namespace agon
