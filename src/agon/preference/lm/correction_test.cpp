// Corrections of a prediction: they find what is there, leave alone what is not, and treat A and B alike.
#include "agon/preference/lm/correction.h"

#include <gtest/gtest.h>

#include <cmath>
#include <limits>

#include "agon/base/random.h"

namespace agon {
namespace {

constexpr std::size_t kVotes = 1200, kWidth = 90;

/// Votes whose direction follows the first number of the answers by `strength`, and whose ties follow its
/// sum.
struct Made {
  AnswerBlock block{"states", kWidth, {}};
  std::vector<std::uint32_t> rows, fold;
  std::vector<Shift> offsets;
  std::vector<Outcome> outcomes;
  std::vector<double> weights;

  explicit Made(double strength) {
    Random random(7, 1);
    const auto normal = [&] {
      double sum = -6;
      for (int k = 0; k < 12; ++k) sum += random.uniform();
      return sum;
    };
    for (std::uint32_t i = 0; i < kVotes; ++i) {
      for (std::size_t j = 0; j < 2 * kWidth; ++j)
        block.values.push_back(static_cast<float>((j % kWidth == 0 ? 3 : 1) * normal()));
      const double a = block.side(i, 0)[0], b = block.side(i, 1)[0];
      offsets.push_back({0.3 * normal(), -1 + 0.3 * normal()});
      const Prediction truth =
          shifted(shifted({1.0 / 3, 1.0 / 3, 1.0 / 3},
                          {offsets[i].direction, offsets[i].tie - logits_of({1, 1, 1}).tie}),
                  {strength * (a - b) / 3, strength * (a + b) / 3});
      const double u = random.uniform();
      outcomes.push_back(u < truth.a ? Outcome::kA : u < truth.a + truth.b ? Outcome::kB : Outcome::kTie);
      rows.push_back(i);
      fold.push_back(i % 4);
      weights.push_back(1);
    }
  }
  [[nodiscard]] Correction::Fitted fit(const CorrectionOptions& options = {}) const {
    return Correction::fit(block,
                           {.rows = rows,
                            .offsets = offsets,
                            .outcomes = outcomes,
                            .weights = weights,
                            .fold = fold,
                            .folds = 4},
                           options, 1);
  }
};

TEST(Shifted, MovesTheLogitsAndNothingElse) {
  const Prediction p{0.5, 0.2, 0.3};
  const Shift from = logits_of(p), to = logits_of(shifted(p, {0.7, -0.4}));
  EXPECT_NEAR(to.direction - from.direction, 0.7, 1e-12);
  EXPECT_NEAR(to.tie - from.tie, -0.4, 1e-12);
  const Prediction same = shifted(p, {});
  EXPECT_NEAR(same.a, p.a, 1e-12);
  const Prediction mirrored = shifted(swapped(p), {-0.7, -0.4}), straight = swapped(shifted(p, {0.7, -0.4}));
  EXPECT_EQ(mirrored.a, straight.a);
  EXPECT_EQ(mirrored.b, straight.b);
  EXPECT_EQ(mirrored.tie, straight.tie);
}

TEST(Correction, FindsWhatIsThere) {
  const Made made(0.8);
  const auto fitted = made.fit();
  EXPECT_TRUE(fitted.correction.moves_direction());
  EXPECT_TRUE(fitted.correction.moves_tie());
  double with = 0, without = 0;
  for (std::uint32_t i = 0; i < kVotes; ++i) {
    const Prediction before =
        shifted({1.0 / 3, 1.0 / 3, 1.0 / 3},
                {made.offsets[i].direction, made.offsets[i].tie - logits_of({1, 1, 1}).tie});
    const auto loss = [&](const Prediction& p) {
      return -std::log(made.outcomes[i] == Outcome::kA ? p.a : made.outcomes[i] == Outcome::kB ? p.b : p.tie);
    };
    without += loss(before) / kVotes;
    with += loss(shifted(before, fitted.out_of_fold[i])) / kVotes;
  }
  EXPECT_LT(with, without - 0.05);  // about 0.1 is there to be found
}

TEST(Correction, LeavesAloneWhatIsNotThere) {
  CorrectionOptions strict;
  strict.doubt = 0;
  strict.penalties = {1000, 300};  // of noise in 90 columns weak penalties learn too much
  const auto fitted = Made(0).fit(strict);
  EXPECT_FALSE(fitted.correction.is_on());
  for (const Shift& s : fitted.out_of_fold) EXPECT_EQ(s.direction + s.tie, 0);
}

TEST(Correction, TreatsAAndBAlikeToTheLastBit) {
  const Made made(0.8);
  const Correction correction = made.fit().correction;
  for (std::uint32_t i = 0; i < 50; ++i) {
    const Shift ab = correction(made.block.side(i, 0), made.block.side(i, 1)),
                ba = correction(made.block.side(i, 1), made.block.side(i, 0));
    EXPECT_EQ(ab.direction, -ba.direction);
    EXPECT_EQ(ab.tie, ba.tie);
  }
  std::vector<float> wild(kWidth, std::numeric_limits<float>::infinity()), none(kWidth, std::nanf(""));
  const Shift shift = correction(wild, none);
  EXPECT_TRUE(std::isfinite(shift.direction) && std::isfinite(shift.tie));
}

TEST(Correction, ComesBackFromItsBytes) {
  const Made made(0.8);
  const Correction correction = made.fit().correction;
  ByteWriter out;
  correction.save(out);
  ByteReader in(out.bytes());
  const Correction again = Correction::load(in);
  ASSERT_TRUE(in.ok());
  EXPECT_EQ(in.left(), 0U);
  EXPECT_EQ(again(made.block.side(3, 0), made.block.side(3, 1)).direction,
            correction(made.block.side(3, 0), made.block.side(3, 1)).direction);
  for (std::size_t size = 0; size < out.bytes().size(); size += 7) {
    ByteReader cut(std::string_view(out.bytes()).substr(0, size));
    (void)Correction::load(cut);
    EXPECT_FALSE(cut.ok()) << size;
  }
}

}  // namespace
}  // namespace agon
