#include <algorithm>
#include <array>

#include "agon/preference/features/blocks.h"
#include "agon/preference/features/pairing.h"

namespace agon {
namespace {

constexpr std::array kSides = {
    Side{"upper_share", "share of letters in upper case", Side::kShare, false, Side::kNone},
    Side{"digit_share", "share of characters that are digits", Side::kShare, false, Side::kMean},
    Side{"punct_share", "share of characters that are punctuation", Side::kShare, false, Side::kNone},
    Side{"commas", "commas a hundred words", Side::kCount, false, Side::kNone},
    Side{"periods", "full stops a hundred words", Side::kCount, false, Side::kNone},
    Side{"exclamations", "exclamation marks", Side::kCount, false, Side::kNone},
    Side{"questions", "question marks", Side::kCount, false, Side::kNone},
    Side{"colons", "colons", Side::kCount, true, Side::kNone},
    Side{"semicolons", "semicolons", Side::kCount, false, Side::kNone},
    Side{"quotes", "quotation marks", Side::kCount, false, Side::kNone},
    Side{"parens", "brackets", Side::kCount, true, Side::kNone},
    Side{"dashes", "dashes and hyphens", Side::kCount, true, Side::kNone},
    Side{"ellipses", "ellipses", Side::kCount, false, Side::kNone},
    Side{"slashes", "slashes", Side::kCount, false, Side::kNone},
    Side{"operators", "plus, equals, underscores and braces", Side::kCount, false, Side::kNone},
    Side{"emoji", "emoji", Side::kCount, false, Side::kNone},
    Side{"symbols", "other symbols", Side::kCount, false, Side::kNone},
    Side{"non_ascii_share", "share of characters beyond ASCII", Side::kShare, false, Side::kMean},
    Side{"caps_words", "words all in capitals", Side::kCount, false, Side::kNone},
    Side{"capital_share", "share of capitalised words inside sentences", Side::kShare, false, Side::kMean},
    Side{"numbers", "numbers", Side::kCount, true, Side::kMean},
    Side{"replacement", "replaced or broken characters", Side::kCount, false, Side::kNone},
    Side{"latin_share", "share of letters that are Latin", Side::kShare, false, Side::kMean},
    Side{"han_kana_share", "share of letters that are Han or Kana", Side::kShare, false, Side::kNone},
    Side{"other_script_share", "share of letters of a third script", Side::kShare, false, Side::kNone},
    Side{"prompt_script", "written mainly in the prompt's script", Side::kShare, false, Side::kNone},
};

double share_of(std::uint32_t part, std::uint32_t whole) {
  return whole == 0 ? 0.0 : static_cast<double>(part) / whole;
}

class CharacterBlock final : public TextBlock {
 public:
  std::string_view name() const override { return "characters"; }
  int version() const override { return 1; }
  std::span<const Column> columns() const override { return columns_; }
  void compute_row(const AnalyzedVote& v, std::span<float> out) const override {
    pair_values(kSides, values(v.a, v.prompt), values(v.b, v.prompt), out);
  }

 private:
  static std::array<double, kSides.size()> values(const AnalyzedText& t, const AnalyzedText& prompt) {
    const CharCounts& c = t.chars;
    const auto d = [](std::uint32_t n) { return static_cast<double>(n); };
    const auto words = static_cast<std::uint32_t>(t.words.size());
    std::uint32_t caps = 0, capital = 0, numbers = 0;
    for (const Word& w : t.words) {
      caps += (w.flags & Word::kAllCaps) != 0;
      capital += (w.flags & Word::kCapital) != 0 && (w.flags & Word::kSentenceStart) == 0;
      numbers += (w.flags & Word::kNumber) != 0;
    }
    const auto script = [&](Script s) { return c.script[static_cast<std::size_t>(s)]; };
    const std::uint32_t latin = script(Script::kLatin), cjk = script(Script::kHan) + script(Script::kKana);
    const double fits =
        t.script == prompt.script || t.script == Script::kCommon || prompt.script == Script::kCommon;
    return {share_of(c.upper, c.letters),
            share_of(c.digits, c.chars),
            share_of(c.punct, c.chars),
            100 * share_of(c.commas, words),
            100 * share_of(c.periods, words),
            d(c.exclamations),
            d(c.questions),
            d(c.colons),
            d(c.semicolons),
            d(c.quotes),
            d(c.parens),
            d(c.dashes),
            d(c.ellipses),
            d(c.slashes),
            d(c.equals + c.underscores + c.braces),
            d(c.emoji),
            d(c.symbols),
            share_of(c.non_ascii, c.chars),
            d(caps),
            share_of(capital, words),
            d(numbers),
            d(c.replacement),
            share_of(latin, c.letters),
            share_of(cjk, c.letters),
            share_of(c.letters - std::min(c.letters, latin + cjk), c.letters),
            fits};
  }
  std::vector<Column> columns_ = paired_columns("characters", kSides);
};

}  // namespace

const TextBlock& character_block() {
  static const CharacterBlock block;
  return block;
}

}  // namespace agon
