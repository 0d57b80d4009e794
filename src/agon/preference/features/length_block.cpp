#include <algorithm>
#include <array>

#include "agon/preference/features/blocks.h"
#include "agon/preference/features/pairing.h"

namespace agon {
namespace {

constexpr std::array kSides = {
    Side{"chars", "characters in the answer", Side::kCount, true, Side::kBoth},
    Side{"words", "words in the answer", Side::kCount, true, Side::kBoth},
    Side{"sentences", "sentences", Side::kCount, true, Side::kGap},
    Side{"lines", "lines", Side::kCount, true, Side::kGap},
    Side{"paragraphs", "paragraphs", Side::kCount, true, Side::kBoth},
    Side{"longest_paragraph", "bytes of the longest paragraph", Side::kCount, true, Side::kNone},
    Side{"words_per_sentence", "words a sentence", Side::kCount, false, Side::kNone},
    Side{"words_per_paragraph", "words a paragraph", Side::kCount, false, Side::kNone},
    Side{"chars_per_word", "characters a word", Side::kShare, false, Side::kNone},
    Side{"long_words", "share of words longer than six characters", Side::kShare, false, Side::kNone},
    Side{"last_chars", "characters in the last turn's answer", Side::kCount, true, Side::kGap},
    Side{"last_words", "words in the last turn's answer", Side::kCount, true, Side::kNone},
};

class LengthBlock final : public TextBlock {
 public:
  std::string_view name() const override { return "length"; }
  int version() const override { return 1; }
  std::span<const Column> columns() const override { return columns_; }
  void compute_row(const AnalyzedVote& v, std::span<float> out) const override {
    pair_values(kSides, values(v.a), values(v.b), out);
  }

 private:
  static std::array<double, kSides.size()> values(const AnalyzedText& t) {
    const double words = static_cast<double>(t.words.size()), chars = t.chars.chars;
    const double paragraphs = t.markdown.paragraphs;
    std::uint32_t word_chars = 0, long_words = 0;
    for (const Word& w : t.words) {
      word_chars += w.chars;
      long_words += w.chars > 6;
    }
    const double some_words = std::max(words, 1.0);
    return {chars,
            words,
            static_cast<double>(t.chars.sentences),
            static_cast<double>(t.markdown.lines - t.markdown.blank_lines),
            paragraphs,
            static_cast<double>(t.markdown.longest_paragraph),
            words / std::max(1.0, static_cast<double>(t.chars.sentences)),
            words / std::max(1.0, paragraphs),
            word_chars / some_words,
            long_words / some_words,
            static_cast<double>(t.last_chars.chars),
            static_cast<double>(t.last_turn().size())};
  }
  std::vector<Column> columns_ = paired_columns("length", kSides);
};

}  // namespace

const TextBlock& length_block() {
  static const LengthBlock block;
  return block;
}

}  // namespace agon
