#include "agon/preference/models/ngram_scorer.h"

#include <gtest/gtest.h>

#include <cmath>
#include <limits>
#include <numeric>
#include <string>

#include "agon/base/parallel.h"
#include "agon/base/random.h"
#include "agon/data/vote_reader.h"

namespace agon {
namespace {

constexpr double kNone = std::numeric_limits<double>::quiet_NaN();
constexpr NgramOptions kSmall{.bits = 12};

Turns answer(const std::string& text) { return {Turn{.text = text, .null = false}}; }

struct Corpus {
  std::vector<Vote> votes;
  std::vector<Outcome> outcomes;
  std::vector<std::uint32_t> pairs;
  NgramTargets targets;

  void add(const std::string& a, const std::string& b, Outcome outcome, double strong_a = kNone,
           double strong_b = kNone) {
    Vote vote;
    vote.response_a = answer(a);
    vote.response_b = answer(b);
    pairs.push_back(static_cast<std::uint32_t>(votes.size()));
    votes.push_back(vote);
    outcomes.push_back(outcome);
    targets.weight.push_back(1);
    targets.strength.push_back({strong_a, strong_b});
  }
  [[nodiscard]] NgramScorer::Fitted fit(const SparseRows& rows, const NgramOptions& ngrams,
                                        const NgramScorer::Options& options,
                                        std::vector<NgramTargets> more = {}) const {
    more.insert(more.begin(), targets);
    return NgramScorer::fit(rows, pairs, outcomes, more, ngrams, options);
  }
};

/// Answers of filler words; the one with "splendid" wins and comes from the stronger model.
Corpus splendid_wins() {
  const std::vector<std::string> filler = {"river", "stone", "cloud", "lamp", "paper", "garden"};
  Corpus corpus;
  Random random(2);
  for (int i = 0; i < 60; ++i) {
    std::string a, b;
    for (int k = 0; k < 5; ++k) {
      a += filler[random.below(6)] + " ";
      b += filler[random.below(6)] + " ";
    }
    const bool first = i % 2 == 0;
    (first ? a : b) += "splendid";
    corpus.add(a, b, first ? Outcome::kA : Outcome::kB, first ? 1 : -1, first ? -1 : 1);
  }
  return corpus;
}

/// What save() writes, as dense vectors.
struct Dense {
  std::size_t buckets = 0;
  std::vector<double> idf, direction, rating;

  explicit Dense(const NgramScorer& scorer) {
    ByteWriter out;
    scorer.save(out);
    ByteReader in(out.bytes());
    buckets = in.get<std::uint64_t>();
    const auto bucket = in.get_vector<std::uint32_t>();
    const auto idfs = in.get_vector<float>(), weights = in.get_vector<float>();
    EXPECT_TRUE(in.ok());
    idf.resize(buckets);
    direction.resize(buckets);
    rating.resize(buckets);
    for (std::size_t j = 0; j < bucket.size(); ++j) {
      idf[bucket[j]] = idfs[j];
      direction[bucket[j]] = weights[2 * j];
      rating[bucket[j]] = weights[2 * j + 1];
    }
  }
  /// The TF-IDF row, each half of length 1/sqrt(2).
  [[nodiscard]] std::vector<double> row(const SparseRows& rows, std::size_t r) const {
    std::vector<double> x(buckets);
    for (std::uint64_t k = rows.start[r]; k < rows.start[r + 1]; ++k)
      x[rows.index[k]] = rows.value[k] * idf[rows.index[k]];
    for (const std::size_t half : {std::size_t{0}, buckets / 2}) {
      double squares = 0;
      for (std::size_t j = half; j < half + buckets / 2; ++j) squares += x[j] * x[j];
      for (std::size_t j = half; j < half + buckets / 2; ++j)
        if (squares > 0) x[j] /= std::sqrt(2 * squares);
    }
    return x;
  }
};

TEST(NgramScorer, FindsTheWordThatWinsAndTheWordOfTheStrong) {
  const Corpus corpus = splendid_wins();
  const SparseRows rows = answer_ngrams(corpus.votes, kSmall);
  const NgramScorer scorer = corpus.fit(rows, kSmall, {.l2_rating = 0.1, .min_documents = 2}).scorer;
  SparseRows test;
  append_ngrams(answer("river splendid cloud"), kSmall, test);
  append_ngrams(answer("river paper cloud"), kSmall, test);
  append_ngrams(answer(""), kSmall, test);
  for (const std::size_t s : {0U, 1U}) {
    EXPECT_GT(scorer.score(test, 0)[s], scorer.score(test, 1)[s] + 0.3);
    EXPECT_EQ(scorer.score(test, 2)[s], 0);
  }
}

TEST(NgramScorer, BothScoresAreAtTheMinimumOfTheirLosses) {
  // The gradient by weight, from dense rows and the losses as documented: zero but for the tolerance.
  const auto set = read_votes({{.path = AGON_TEST_DATA "/votes/lmsys_sample.csv"}}, {});
  ASSERT_TRUE(set);
  Corpus corpus;
  Random random(3);
  for (const Vote& vote : set->votes) {
    const bool named = random.uniform() < 0.8;
    corpus.add("", "", vote.outcome, named ? random.uniform() : kNone, named ? random.uniform() : kNone);
    corpus.targets.weight.back() = 0.5 + random.uniform();
  }
  corpus.votes = set->votes;
  const SparseRows rows = answer_ngrams(corpus.votes, kSmall);
  const NgramScorer::Options options{
      .l2_direction = 0.7, .l2_rating = 2, .min_documents = 2, .max_iterations = 500, .tolerance = 1e-5};
  const Dense dense(corpus.fit(rows, kSmall, options).scorer);
  double total = 0, mean = 0;
  for (std::size_t i = 0; i < corpus.votes.size(); ++i)
    for (const double strength : corpus.targets.strength[i])
      if (!std::isnan(strength)) {
        total += corpus.targets.weight[i];
        mean += corpus.targets.weight[i] * strength;
      }
  mean /= total;
  std::vector<double> slope_d(dense.buckets), slope_r(dense.buckets);
  for (std::size_t j = 0; j < dense.buckets; ++j) {
    slope_d[j] = 0.7 * dense.direction[j];
    slope_r[j] = 2 * dense.rating[j];
  }
  for (std::size_t i = 0; i < corpus.votes.size(); ++i) {
    const auto a = dense.row(rows, 2 * i), b = dense.row(rows, 2 * i + 1);
    double d = 0, ra = 0, rb = 0;
    for (std::size_t j = 0; j < dense.buckets; ++j) {
      d += dense.direction[j] * (a[j] - b[j]);
      ra += dense.rating[j] * a[j];
      rb += dense.rating[j] * b[j];
    }
    const double w = corpus.targets.weight[i];
    const double target = corpus.outcomes[i] == Outcome::kA ? 1 : corpus.outcomes[i] == Outcome::kB ? 0 : 0.5;
    const double s = w * (1 / (1 + std::exp(-d)) - target);
    const auto [sa, sb] = corpus.targets.strength[i];
    for (std::size_t j = 0; j < dense.buckets; ++j) {
      slope_d[j] += s * (a[j] - b[j]);
      if (!std::isnan(sa)) slope_r[j] += w * ((ra - (sa - mean)) * a[j] + (rb - (sb - mean)) * b[j]);
    }
  }
  for (std::size_t j = 0; j < dense.buckets; ++j) {
    ASSERT_NEAR(slope_d[j], 0, 1e-4) << j;
    ASSERT_NEAR(slope_r[j], 0, 1e-4) << j;
  }
}

TEST(NgramScorer, ScoreAgreesWithADenseTwin) {
  const auto set = read_votes({{.path = AGON_TEST_DATA "/votes/lmsys_sample.csv"}}, {});
  ASSERT_TRUE(set);
  Corpus corpus;
  for (const Vote& vote : set->votes) corpus.add("", "", vote.outcome, 1, 0);
  corpus.votes = set->votes;
  const SparseRows rows = answer_ngrams(corpus.votes, kSmall);
  const NgramScorer::Fitted fitted = corpus.fit(rows, kSmall, {.min_documents = 2});
  const Dense dense(fitted.scorer);
  ASSERT_EQ(dense.buckets, 1U << 12);
  EXPECT_EQ(fitted.scorer.buckets(), dense.buckets);
  // Document frequencies counted anew: scikit-learn's smoothed idf, ln((1 + n) / (1 + df)) + 1.
  std::vector<int> documents(dense.buckets);
  for (const std::uint32_t index : rows.index) ++documents[index];
  for (std::size_t j = 0; j < dense.buckets; ++j) {
    const double n = static_cast<double>(rows.rows());
    EXPECT_NEAR(dense.idf[j], documents[j] < 2 ? 0 : std::log((1 + n) / (1 + documents[j])) + 1, 1e-5);
  }
  for (std::size_t r = 0; r < rows.rows(); ++r) {
    const auto x = dense.row(rows, r);
    const auto score = fitted.scorer.score(rows, r);
    const double direction = std::inner_product(x.begin(), x.end(), dense.direction.begin(), 0.0);
    EXPECT_NEAR(score[0], direction, 1e-9 * (1 + std::fabs(direction))) << r;
    EXPECT_NEAR(score[1], std::inner_product(x.begin(), x.end(), dense.rating.begin(), 0.0), 1e-8) << r;
    // The fit gives the same scores by another way: sums over rows instead of over n-grams.
    EXPECT_NEAR(fitted.scores[0][r / 2][r % 2][0], score[0], 1e-4) << r;
    EXPECT_NEAR(fitted.scores[0][r / 2][r % 2][1], score[1], 1e-4) << r;
  }
}

TEST(NgramScorer, HeldOutScoresKnowNothingOfTheHeldOutLabels) {
  Corpus corpus = splendid_wins();
  const SparseRows rows = answer_ngrams(corpus.votes, kSmall);
  NgramTargets without = corpus.targets;
  for (std::size_t i = 0; i < 20; ++i) without.weight[i] = 0;
  const auto before = corpus.fit(rows, kSmall, {}, {without});
  for (std::size_t i = 0; i < 20; ++i) {
    corpus.outcomes[i] = Outcome::kTie;
    corpus.targets.strength[i] = without.strength[i] = {7, 7};
  }
  const auto after = corpus.fit(rows, kSmall, {}, {without});
  EXPECT_EQ(before.scores[1], after.scores[1]);
  EXPECT_NE(before.scores[0], after.scores[0]);
}

TEST(NgramScorer, TheSameBytesOnAnyNumberOfThreads) {
  const Corpus corpus = splendid_wins();
  const SparseRows rows = answer_ngrams(corpus.votes, kSmall);
  std::vector<std::string> bytes;
  for (const int threads : {1, 2, 3}) {
    set_thread_count(threads);
    ByteWriter out;
    corpus.fit(rows, kSmall, {}).scorer.save(out);
    bytes.emplace_back(out.bytes());
  }
  set_thread_count(0);
  EXPECT_EQ(bytes[0], bytes[1]);
  EXPECT_EQ(bytes[0], bytes[2]);
}

TEST(NgramScorer, ReadsBackWhatItSavesAndRefusesWhatDoesNotFit) {
  const Corpus corpus = splendid_wins();
  const SparseRows rows = answer_ngrams(corpus.votes, kSmall);
  const NgramScorer scorer = corpus.fit(rows, kSmall, {}).scorer;
  ByteWriter out;
  scorer.save(out);
  ByteReader in(out.bytes());
  const NgramScorer again = NgramScorer::load(in);
  ASSERT_TRUE(in.ok());
  for (std::size_t r = 0; r < rows.rows(); ++r) EXPECT_EQ(scorer.score(rows, r), again.score(rows, r));
  const auto refused = [](std::uint64_t buckets, std::uint32_t bucket, float idf, std::vector<float> weight) {
    ByteWriter bad;
    bad.put(buckets);
    bad.put(std::vector<std::uint32_t>{bucket});
    bad.put(std::vector<float>{idf});
    bad.put(weight);
    ByteReader reader(bad.bytes());
    (void)NgramScorer::load(reader);
    return !reader.ok();
  };
  EXPECT_FALSE(refused(16, 15, 1, {1, 1}));
  EXPECT_TRUE(refused(16, 15, 1, {1}));
  EXPECT_TRUE(refused(16, 16, 1, {1, 1}));
  EXPECT_TRUE(refused(15, 1, 1, {1, 1}));
  EXPECT_TRUE(refused(0, 0, 1, {1, 1}));
  EXPECT_TRUE(refused(std::uint64_t{1} << 40, 1, 1, {1, 1}));
  EXPECT_TRUE(refused(16, 1, 0, {1, 1}));
  EXPECT_TRUE(refused(16, 1, NAN, {1, 1}));
  EXPECT_TRUE(refused(16, 1, 1, {1, INFINITY}));
}

}  // namespace
}  // namespace agon
