#include "agon/preference/models/sparse_text.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <numeric>

#include "agon/base/parallel.h"
#include "agon/base/random.h"
#include "agon/data/vote_reader.h"

namespace agon {
namespace {

Turns answer(const std::string& text) { return {Turn{.text = text, .null = false}}; }

struct Corpus {
  std::vector<Vote> votes;
  std::vector<Outcome> outcomes;
  std::vector<double> weights;
  std::vector<std::uint32_t> pairs;

  void add(const std::string& a, const std::string& b, Outcome outcome) {
    Vote vote;
    vote.response_a = answer(a);
    vote.response_b = answer(b);
    pairs.push_back(static_cast<std::uint32_t>(votes.size()));
    votes.push_back(vote);
    outcomes.push_back(outcome);
    weights.push_back(1);
  }
};

/// Answers of filler words; the one with "splendid" wins.
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
    (i % 2 == 0 ? a : b) += "splendid";
    corpus.add(a, b, i % 2 == 0 ? Outcome::kA : Outcome::kB);
  }
  return corpus;
}

constexpr NgramOptions kSmall{.bits = 12};

TEST(Ngrams, RowsAreSortedCountedAndSplitInHalves) {
  SparseRows rows;
  append_ngrams(answer("aa aa"), {.bits = 10, .char_min = 1, .char_max = 1, .word_max = 1}, rows);
  // Characters: space 3, a 4. Words: aa 2.
  ASSERT_EQ(rows.rows(), 1U);
  ASSERT_EQ(rows.index.size(), 3U);
  std::vector<float> chars{rows.value[0], rows.value[1]};
  std::ranges::sort(chars);
  EXPECT_FLOAT_EQ(chars[0], 1 + std::log(3.0F));
  EXPECT_FLOAT_EQ(chars[1], 1 + std::log(4.0F));
  EXPECT_LT(rows.index[0], rows.index[1]);
  EXPECT_LT(rows.index[1], 512U);
  EXPECT_GE(rows.index[2], 512U);
  EXPECT_FLOAT_EQ(rows.value[2], 1 + std::log(2.0F));
}

TEST(Ngrams, EmptyAnswersGiveRowsOfTheirOwn) {
  SparseRows rows;
  append_ngrams({}, kSmall, rows);
  append_ngrams(answer(""), kSmall, rows);
  append_ngrams(answer("x"), kSmall, rows);
  EXPECT_EQ(rows.rows(), 3U);
  EXPECT_EQ(rows.start[1], 0U);
  for (const std::uint32_t index : rows.index) EXPECT_LT(index, 1U << 12);
}

TEST(Ngrams, LongAnswersAreReadAtTheirEndsOnly) {
  const auto row = [](const std::string& text) {
    SparseRows rows;
    append_ngrams(answer(text), {.bits = 16, .max_chars = 90}, rows);
    return rows;
  };
  const std::string head(100, 'h'), tail(100, 't');
  EXPECT_EQ(row(head + std::string(500, 'x') + tail).index, row(head + std::string(900, 'y') + tail).index);
  EXPECT_NE(row("other" + head + tail).index, row(head + tail).index);
  // Cuts fall between code points of two, three and four bytes: no replacement characters appear.
  for (const std::string c : {"\u00e9", "\u4e2d", "\U0001F600"}) {
    std::string text;
    for (int i = 0; i < 200; ++i) text += c;
    SparseRows short_row;
    append_ngrams(answer(text.substr(0, 60)), {.bits = 16, .char_max = 2, .word_max = 0}, short_row);
    SparseRows long_row;
    append_ngrams(answer(text), {.bits = 16, .char_max = 2, .word_max = 0, .max_chars = 90}, long_row);
    EXPECT_EQ(short_row.index, long_row.index) << c;
  }
}

TEST(Ngrams, KeepIsAboutThatShareAndTheSameForAllAnswers) {
  const auto set = read_votes({{.path = AGON_TEST_DATA "/votes/lmsys_sample.csv"}}, {});
  ASSERT_TRUE(set);
  const SparseRows all = answer_ngrams(set->votes, {.bits = 20}),
                   half = answer_ngrams(set->votes, {.bits = 20, .keep = 0.5});
  const double share = static_cast<double>(half.index.size()) / static_cast<double>(all.index.size());
  EXPECT_NEAR(share, 0.5, 0.05);
  for (std::size_t r = 0; r < all.rows(); ++r) {
    const std::span<const std::uint32_t> big(all.index.data() + all.start[r],
                                             all.start[r + 1] - all.start[r]);
    for (std::uint64_t k = half.start[r]; k < half.start[r + 1]; ++k)
      ASSERT_TRUE(std::ranges::binary_search(big, half.index[k]));
  }
}

TEST(Ngrams, DoNotDependOnThreadsOrNeighbours) {
  const auto set = read_votes({{.path = AGON_TEST_DATA "/votes/lmsys_sample.csv"}}, {});
  ASSERT_TRUE(set);
  std::vector<Vote> votes;
  for (int i = 0; i < 6; ++i) votes.insert(votes.end(), set->votes.begin(), set->votes.end());
  set_thread_count(1);
  const SparseRows one = answer_ngrams(votes, kSmall);
  set_thread_count(3);
  const SparseRows three = answer_ngrams(votes, kSmall);
  set_thread_count(0);
  EXPECT_EQ(one.start, three.start);
  EXPECT_EQ(one.index, three.index);
  EXPECT_EQ(one.value, three.value);
  SparseRows alone;
  for (const Vote& vote : votes) {
    append_ngrams(vote.response_a, kSmall, alone);
    append_ngrams(vote.response_b, kSmall, alone);
  }
  EXPECT_EQ(one.index, alone.index);
}

TEST(NgramScorer, FindsTheWordThatWins) {
  const Corpus corpus = splendid_wins();
  const SparseRows rows = answer_ngrams(corpus.votes, kSmall);
  const NgramScorer scorer =
      NgramScorer::fit_direction(rows, corpus.pairs, corpus.outcomes, corpus.weights, kSmall, {});
  SparseRows test;
  append_ngrams(answer("river splendid cloud"), kSmall, test);
  append_ngrams(answer("river paper cloud"), kSmall, test);
  append_ngrams(answer(""), kSmall, test);
  EXPECT_GT(scorer.score(test, 0), scorer.score(test, 1) + 0.3);
  EXPECT_EQ(scorer.score(test, 2), 0);
}

TEST(NgramScorer, DirectionIsAtTheMinimumOfItsLoss) {
  // One vote pair repeated: by symmetry the score s = 2w satisfies a one-dimensional equation that a
  // dense twin can check through the predicted odds: l2 * |w|^2 = slope * s at the minimum.
  Corpus corpus;
  corpus.add("good", "bad", Outcome::kA);
  corpus.add("good", "bad", Outcome::kA);
  const NgramOptions words{.bits = 10, .char_min = 1, .char_max = 1, .word_max = 1};
  const SparseRows rows = answer_ngrams(corpus.votes, words);
  const NgramScorer scorer = NgramScorer::fit_direction(rows, corpus.pairs, corpus.outcomes, corpus.weights,
                                                        words, {.l2 = 0.3, .max_iterations = 200});
  const double d = scorer.score(rows, 0) - scorer.score(rows, 1);
  // w = (2 / l2) (1 - p(d)) x with x the difference of both rows, so that d = (2 / l2) (1 - p(d)) |x|^2.
  // |x|^2 from the rows themselves: unit vectors, 2 - 2 cos.
  ByteWriter out;
  scorer.save(out);
  ByteReader in(out.bytes());
  const auto buckets = in.get<std::uint64_t>();
  const auto bucket = in.get_vector<std::uint32_t>();
  const auto idf = in.get_vector<float>();
  std::vector<double> dense(buckets);
  for (std::size_t j = 0; j < bucket.size(); ++j) dense[bucket[j]] = idf[j];
  std::vector<double> x(buckets);
  for (std::size_t row : {0U, 1U}) {
    double squares[2] = {0, 0};
    for (int pass = 0; pass < 2; ++pass)
      for (std::uint64_t k = rows.start[row]; k < rows.start[row + 1]; ++k) {
        const std::size_t half = rows.index[k] >= buckets / 2;
        const double v = rows.value[k] * dense[rows.index[k]];
        if (pass == 0)
          squares[half] += v * v;
        else
          x[rows.index[k]] += (row == 0 ? 1 : -1) * v * std::sqrt(0.5 / squares[half]);
      }
  }
  double length = 0;
  for (const double v : x) length += v * v;
  EXPECT_NEAR(d, 2 / 0.3 * (1 - 1 / (1 + std::exp(-d))) * length, 0.02 * d);
}

TEST(NgramScorer, ScoreAgreesWithADenseTwin) {
  const auto set = read_votes({{.path = AGON_TEST_DATA "/votes/lmsys_sample.csv"}}, {});
  ASSERT_TRUE(set);
  const SparseRows rows = answer_ngrams(set->votes, kSmall);
  std::vector<std::uint32_t> pairs(set->votes.size());
  std::iota(pairs.begin(), pairs.end(), 0U);
  std::vector<Outcome> outcomes;
  for (const Vote& vote : set->votes) outcomes.push_back(vote.outcome);
  const std::vector<double> weights(pairs.size(), 1.0);
  const NgramScorer scorer = NgramScorer::fit_direction(rows, pairs, outcomes, weights, kSmall, {});
  ByteWriter out;
  scorer.save(out);
  ByteReader in(out.bytes());
  const auto buckets = in.get<std::uint64_t>();
  ASSERT_EQ(buckets, 1U << 12);
  EXPECT_EQ(scorer.buckets(), buckets);
  const auto bucket = in.get_vector<std::uint32_t>();
  const auto idf = in.get_vector<float>(), weight = in.get_vector<float>();
  ASSERT_TRUE(in.ok());
  std::vector<double> dense_idf(buckets), dense_weight(buckets);
  for (std::size_t j = 0; j < bucket.size(); ++j) {
    dense_idf[bucket[j]] = idf[j];
    dense_weight[bucket[j]] = weight[j];
  }
  // Document frequencies counted anew: scikit-learn's smoothed idf, ln((1 + n) / (1 + df)) + 1.
  std::vector<int> documents(buckets);
  for (const std::uint32_t index : rows.index) ++documents[index];
  for (std::size_t j = 0; j < buckets; ++j) {
    const double n = static_cast<double>(rows.rows());
    EXPECT_NEAR(dense_idf[j], documents[j] < 2 ? 0 : std::log((1 + n) / (1 + documents[j])) + 1, 1e-5);
  }
  for (std::size_t r = 0; r < rows.rows(); ++r) {
    std::vector<double> x(buckets);
    for (std::uint64_t k = rows.start[r]; k < rows.start[r + 1]; ++k)
      x[rows.index[k]] = rows.value[k] * dense_idf[rows.index[k]];
    double sum = 0;
    for (const std::size_t half : {0U, 1U}) {
      double squares = 0, part = 0;
      for (std::size_t j = half * buckets / 2; j < (half + 1) * buckets / 2; ++j) {
        squares += x[j] * x[j];
        part += x[j] * dense_weight[j];
      }
      sum += squares > 0 ? part / std::sqrt(2 * squares) : 0;
    }
    EXPECT_NEAR(scorer.score(rows, r), sum, 1e-9 * (1 + std::fabs(sum))) << r;
  }
}

TEST(NgramScorer, RatingsFollowTheWordsOfStrongModels) {
  Corpus corpus;
  std::vector<std::uint32_t> answers;
  std::vector<double> targets;
  for (int i = 0; i < 40; ++i) {
    corpus.add("fine words", "poor words", Outcome::kTie);
    for (const double target : {1.0, -1.0}) {
      answers.push_back(static_cast<std::uint32_t>(answers.size()));
      targets.push_back(target);
    }
  }
  const std::vector<double> weights(answers.size(), 1.0);
  const SparseRows rows = answer_ngrams(corpus.votes, kSmall);
  const NgramScorer scorer =
      NgramScorer::fit_rating(rows, answers, targets, weights, kSmall, {.l2 = 0.1, .max_iterations = 100});
  EXPECT_NEAR(scorer.score(rows, 0) - scorer.score(rows, 1), 2, 0.1);
}

TEST(NgramScorer, ReadsBackWhatItSavesAndRefusesWhatDoesNotFit) {
  const Corpus corpus = splendid_wins();
  const SparseRows rows = answer_ngrams(corpus.votes, kSmall);
  const NgramScorer scorer =
      NgramScorer::fit_direction(rows, corpus.pairs, corpus.outcomes, corpus.weights, kSmall, {});
  ByteWriter out;
  scorer.save(out);
  ByteReader in(out.bytes());
  const NgramScorer again = NgramScorer::load(in);
  ASSERT_TRUE(in.ok());
  for (std::size_t r = 0; r < rows.rows(); ++r) EXPECT_EQ(scorer.score(rows, r), again.score(rows, r));
  const auto refused = [](std::uint64_t buckets, std::uint32_t bucket, float idf, float weight) {
    ByteWriter bad;
    bad.put(buckets);
    bad.put(std::vector<std::uint32_t>{bucket});
    bad.put(std::vector<float>{idf});
    bad.put(std::vector<float>{weight});
    ByteReader reader(bad.bytes());
    (void)NgramScorer::load(reader);
    return !reader.ok();
  };
  EXPECT_FALSE(refused(16, 15, 1, 1));
  EXPECT_TRUE(refused(16, 16, 1, 1));
  EXPECT_TRUE(refused(15, 1, 1, 1));
  EXPECT_TRUE(refused(0, 0, 1, 1));
  EXPECT_TRUE(refused(std::uint64_t{1} << 40, 1, 1, 1));
  EXPECT_TRUE(refused(16, 1, 0, 1));
  EXPECT_TRUE(refused(16, 1, NAN, 1));
  EXPECT_TRUE(refused(16, 1, 1, INFINITY));
}

}  // namespace
}  // namespace agon
