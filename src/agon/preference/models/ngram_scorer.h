// Two linear scores of an answer by its n-grams: wording that wins, and how strong a model it reads like.
#pragma once

#include <array>
#include <cstdint>
#include <span>
#include <vector>

#include "agon/base/bytes.h"
#include "agon/data/vote.h"
#include "agon/preference/models/ngrams.h"

namespace agon {

/// What the two scores learn from one set of votes. A vote's numbers are aligned with the votes of the
/// fit, in the same order.
struct NgramTargets {
  /// Weight of each vote; 0: not learned from.
  std::vector<double> weight;
  /// Strengths of the models behind answers A and B; NAN for both where a vote names none.
  std::vector<std::array<double, 2>> strength;
};

/// Sums of weight over an answer's TF-IDF n-grams; the character and the word half are each brought to
/// length 1/sqrt(2), so that neither drowns the other.
class NgramScorer {
 public:
  enum Score : std::uint8_t {
    kDirection,  ///< the difference of A and B predicts who wins (logistic loss, a tie counting half for
                 ///< each)
    kRating      ///< predicts the strength of the model (ridge regression)
  };
  static constexpr std::size_t kCount = 2;
  using Scores = std::array<double, kCount>;
  static constexpr std::size_t kMostTargets = 8;  ///< fits side by side

  struct Options {
    double l2_direction = 0.5, l2_rating = 10;  ///< against the summed losses
    int min_documents = 5;                      ///< rarer n-grams are passed over
    int max_iterations = 30;
    double tolerance = 1e-2;  ///< length of the gradient over that at the start
  };
  struct Fitted;
  /// Fits once for each of `targets` on the votes numbered `votes`, whose answers are rows 2i and
  /// 2i+1 of `answers`. Which n-grams are in use and their inverse document frequencies come from all of
  /// `votes`, weighted by `targets[0]`: one matrix serves every fit.
  [[nodiscard]] static Fitted fit(const SparseRows& answers, std::span<const std::uint32_t> votes,
                                  std::span<const Outcome> outcomes, std::span<const NgramTargets> targets,
                                  const NgramOptions& ngrams, const Options& options);

  [[nodiscard]] Scores score(const SparseRows& answers, std::size_t row) const;
  /// 2^bits of the n-grams that it scores; rows of other options must not be given to score().
  [[nodiscard]] std::size_t buckets() const { return idf_.size(); }
  void save(ByteWriter& out) const;
  [[nodiscard]] static NgramScorer load(ByteReader& in);

 private:
  void fit_idf(const SparseRows& answers, std::span<const std::uint32_t> votes,
               std::span<const double> weights, int min_documents);
  std::vector<float> idf_;                         ///< by bucket; 0: not in use
  std::vector<std::array<float, kCount>> weight_;  ///< by bucket
};

struct NgramScorer::Fitted {
  NgramScorer scorer;  ///< of targets[0]
  /// Of each of `targets`: scores of answers A and B of every vote, those of weight 0 among them.
  std::vector<std::vector<std::array<Scores, 2>>> scores;
};

}  // namespace agon
