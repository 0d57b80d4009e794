#include <algorithm>
#include <array>

#include "agon/preference/features/blocks.h"
#include "agon/preference/features/pairing.h"

namespace agon {
namespace {

constexpr std::array kSides = {
    Side{"empty", "turns without an answer", Side::kCount, false, Side::kMean},
    Side{"null", "turns whose answer is null", Side::kCount, false, Side::kNone},
    Side{"missing", "turns fewer than the prompt's", Side::kCount, false, Side::kNone},
    Side{"wordless", "no words at all", Side::kShare, false, Side::kMean},
    Side{"shortest_turn", "words of the shortest turn", Side::kCount, false, Side::kNone},
    Side{"cut_off", "ends without closing a sentence", Side::kShare, false, Side::kMean},
    Side{"open_code", "ends inside a code block", Side::kShare, false, Side::kNone},
    Side{"ends_in_list", "ends in a list item", Side::kShare, false, Side::kNone},
    Side{"ends_in_colon", "ends in a colon", Side::kShare, false, Side::kNone},
    Side{"last_share", "share of the words that stand in the last turn", Side::kShare, false, Side::kNone},
};

class TurnsBlock final : public TextBlock {
 public:
  std::string_view name() const override { return "turns"; }
  int version() const override { return 1; }
  std::span<const Column> columns() const override { return columns_; }
  void compute_row(const AnalyzedVote& v, std::span<float> out) const override {
    pair_values(kSides, values(v.a, v.prompt), values(v.b, v.prompt), out);
  }

 private:
  static std::array<double, kSides.size()> values(const AnalyzedText& t, const AnalyzedText& prompt) {
    const MarkdownCounts& m = t.markdown;
    const double words = static_cast<double>(t.words.size());
    const std::uint32_t shortest = t.turn_words.empty() ? 0 : *std::ranges::min_element(t.turn_words);
    const double missing = static_cast<double>(prompt.turns()) - static_cast<double>(t.turns());
    return {static_cast<double>(t.empty_turns),
            static_cast<double>(t.null_turns),
            std::max(0.0, missing),
            words == 0 ? 1.0 : 0.0,
            static_cast<double>(shortest),
            !m.ends_closed && !m.ends_in_list && !m.empty ? 1.0 : 0.0,
            m.open_code_block ? 1.0 : 0.0,
            m.ends_in_list ? 1.0 : 0.0,
            m.ends_in_colon ? 1.0 : 0.0,
            static_cast<double>(t.last_turn().size()) / std::max(1.0, words)};
  }
  std::vector<Column> columns_ = paired_columns("turns", kSides);
};

}  // namespace

const TextBlock& turns_block() {
  static const TurnsBlock block;
  return block;
}

}  // namespace agon
