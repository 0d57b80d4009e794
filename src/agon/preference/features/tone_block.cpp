#include <algorithm>
#include <array>

#include "agon/preference/features/blocks.h"
#include "agon/preference/features/lexicon.h"
#include "agon/preference/features/pairing.h"

namespace agon {
namespace {

/// A refusal stands in the opening words; later on the same phrases are mostly advice.
constexpr std::size_t kOpeningWords = 40;

constexpr std::array kSides = {
    Side{"refusal", "phrases of refusal", Side::kCount, false, Side::kBoth},
    Side{"ai_identity", "speaks of itself as an AI", Side::kCount, false, Side::kNone},
    Side{"apology", "apologies", Side::kCount, false, Side::kMean},
    Side{"hedge", "hedges a hundred words", Side::kCount, false, Side::kNone},
    Side{"caveat", "caveats and warnings", Side::kCount, false, Side::kNone},
    Side{"courtesy", "courtesies", Side::kCount, false, Side::kNone},
    Side{"offer", "offers of more help and questions back", Side::kCount, false, Side::kNone},
    Side{"affirmation", "affirmations", Side::kCount, false, Side::kNone},
    Side{"first_person", "first person a hundred words", Side::kCount, false, Side::kNone},
    Side{"second_person", "second person a hundred words", Side::kCount, false, Side::kNone},
    Side{"sequence", "words of order", Side::kCount, false, Side::kNone},
    Side{"conclusion", "conclusions", Side::kCount, false, Side::kNone},
    Side{"example", "examples", Side::kCount, false, Side::kNone},
    Side{"artefact", "words of a chat template", Side::kCount, false, Side::kNone},
    Side{"contrast", "contrasts", Side::kCount, false, Side::kNone},
    Side{"reason", "reasons", Side::kCount, false, Side::kNone},
    Side{"function_share", "share of function words", Side::kShare, false, Side::kMean},
    Side{"opening_refusal", "refuses in its opening words", Side::kShare, false, Side::kBoth},
    Side{"opening_apology", "apologises in its opening words", Side::kShare, false, Side::kMean},
    Side{"opening_ai", "opens by saying that it is an AI", Side::kShare, false, Side::kNone},
    Side{"opening_affirmation", "opens with an affirmation", Side::kShare, false, Side::kNone},
    Side{"opening_first_person", "opens in the first person", Side::kShare, false, Side::kNone},
    Side{"closing_offer", "closes with an offer of more help", Side::kShare, false, Side::kNone},
};

class ToneBlock final : public TextBlock {
 public:
  std::string_view name() const override { return "tone"; }
  int version() const override { return 1; }
  std::span<const Column> columns() const override { return columns_; }
  void compute_row(const AnalyzedVote& v, std::span<float> out) const override {
    pair_values(kSides, values(v.a), values(v.b), out);
  }

 private:
  using Counts = std::array<std::uint32_t, kToneCount>;
  static Counts count(std::span<const Word> words) {
    Counts counts{};
    tone_phrases().count(words, counts);
    return counts;
  }
  static std::array<double, kSides.size()> values(const AnalyzedText& t) {
    const std::span<const Word> last = t.last_turn();
    const Counts all = count(t.words);
    const Counts opening = count(last.first(std::min(last.size(), kOpeningWords)));
    const Counts start = count(last.first(std::min(last.size(), std::size_t{4})));
    const Counts closing = count(last.last(std::min(last.size(), kOpeningWords)));
    const double words = std::max<double>(1.0, static_cast<double>(t.words.size()));
    const auto n = [&](Tone tone) { return static_cast<double>(all[static_cast<std::size_t>(tone)]); };
    const auto has = [](const Counts& c, Tone tone) {
      return c[static_cast<std::size_t>(tone)] > 0 ? 1.0 : 0.0;
    };
    return {n(Tone::kRefusal),
            n(Tone::kAiIdentity),
            n(Tone::kApology),
            100 * n(Tone::kHedge) / words,
            n(Tone::kCaveat),
            n(Tone::kCourtesy),
            n(Tone::kOffer),
            n(Tone::kAffirmation),
            100 * n(Tone::kFirstPerson) / words,
            100 * n(Tone::kSecondPerson) / words,
            n(Tone::kSequence),
            n(Tone::kConclusion),
            n(Tone::kExample),
            n(Tone::kArtefact),
            n(Tone::kContrast),
            n(Tone::kReason),
            n(Tone::kFunction) / words,
            has(opening, Tone::kRefusal),
            has(opening, Tone::kApology),
            has(opening, Tone::kAiIdentity),
            has(start, Tone::kAffirmation),
            has(start, Tone::kFirstPerson),
            has(closing, Tone::kOffer)};
  }
  std::vector<Column> columns_ = paired_columns("tone", kSides);
};

}  // namespace

const TextBlock& tone_block() {
  static const ToneBlock block;
  return block;
}

}  // namespace agon
