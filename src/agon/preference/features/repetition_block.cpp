#include <algorithm>
#include <array>
#include <cmath>
#include <string_view>

#include "agon/base/hash.h"
#include "agon/preference/features/blocks.h"
#include "agon/preference/features/pairing.h"

namespace agon {
namespace {

constexpr std::array kSides = {
    Side{"distinct_words", "distinct words", Side::kCount, true, Side::kNone},
    Side{"type_token", "distinct words over words", Side::kShare, false, Side::kMean},
    Side{"root_type_token", "distinct words over the root of words", Side::kShare, false, Side::kNone},
    Side{"repeated_pairs", "share of word pairs seen before", Side::kShare, false, Side::kNone},
    Side{"repeated_fours", "share of runs of four words seen before", Side::kShare, false, Side::kBoth},
    Side{"repeated_lines", "share of lines seen before", Side::kShare, false, Side::kNone},
    Side{"novel_words", "words outside runs of four seen before", Side::kCount, true, Side::kNone},
    Side{"same_word_run", "longest run of one word", Side::kCount, false, Side::kNone},
    Side{"line_openers", "share of lines that begin like an earlier one", Side::kShare, false, Side::kNone},
    Side{"word_length_spread", "spread of word lengths", Side::kShare, false, Side::kNone},
};

double ratio(std::size_t part, std::size_t whole) {
  return whole == 0 ? 0.0 : static_cast<double>(part) / static_cast<double>(whole);
}

struct LineRepeats {
  std::size_t lines = 0, repeated = 0, same_openers = 0;
};

LineRepeats repeated_lines(const Turns& turns) {
  thread_local HashSet seen, openers;
  seen.clear();
  openers.clear();
  LineRepeats out;
  for (const Turn& turn : turns) {
    std::string_view text = turn.text;
    while (!text.empty()) {
      const std::size_t end = std::min(text.find('\n'), text.size());
      const std::string_view line = text.substr(0, end);
      text.remove_prefix(std::min(end + 1, text.size()));
      if (line.size() < 4) continue;
      ++out.lines;
      out.repeated += !seen.insert(hash64(line));
      out.same_openers += !openers.insert(hash64(line.substr(0, std::min<std::size_t>(line.size(), 8))));
    }
  }
  return out;
}

class RepetitionBlock final : public TextBlock {
 public:
  std::string_view name() const override { return "repetition"; }
  int version() const override { return 1; }
  std::span<const Column> columns() const override { return columns_; }
  void compute_row(const AnalyzedVote& v, std::span<float> out) const override {
    pair_values(kSides, values(v.a, v.a_sets, v.vote->response_a), values(v.b, v.b_sets, v.vote->response_b),
                out);
  }

 private:
  static std::array<double, kSides.size()> values(const AnalyzedText& t, const WordSets& sets,
                                                  const Turns& turns) {
    thread_local HashSet fours;
    fours.clear();
    const auto& words = t.words;
    const std::size_t n = words.size();
    std::size_t repeated_fours = 0, run = 0, longest_run = 0;
    double sum = 0, squares = 0;
    for (std::size_t i = 0; i < n; ++i) {
      run = i > 0 && words[i].hash == words[i - 1].hash ? run + 1 : 1;
      longest_run = std::max(longest_run, run);
      sum += words[i].chars;
      squares += static_cast<double>(words[i].chars) * words[i].chars;
      if (i >= 3) {
        const std::uint64_t four = pair_hash(pair_hash(words[i - 3].hash, words[i - 2].hash),
                                             pair_hash(words[i - 1].hash, words[i].hash));
        repeated_fours += !fours.insert(four);
      }
    }
    const LineRepeats lines = repeated_lines(turns);
    const double distinct = static_cast<double>(sets.words.size()),
                 some = std::max<double>(1.0, static_cast<double>(n));
    const double mean = sum / some;
    const std::size_t pairs = n == 0 ? 0 : n - 1;
    return {distinct,
            distinct / some,
            distinct / std::sqrt(some),
            ratio(pairs - std::min(pairs, sets.pairs.size()), pairs),
            ratio(repeated_fours, n < 4 ? 0 : n - 3),
            ratio(lines.repeated, lines.lines),
            static_cast<double>(n - repeated_fours),
            static_cast<double>(longest_run),
            ratio(lines.same_openers, lines.lines),
            std::sqrt(std::max(0.0, squares / some - mean * mean))};
  }
  std::vector<Column> columns_ = paired_columns("repetition", kSides);
};

}  // namespace

const TextBlock& repetition_block() {
  static const RepetitionBlock block;
  return block;
}

}  // namespace agon
