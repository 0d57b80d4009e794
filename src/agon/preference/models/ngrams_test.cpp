#include "agon/preference/models/ngrams.h"

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

}  // namespace
}  // namespace agon
