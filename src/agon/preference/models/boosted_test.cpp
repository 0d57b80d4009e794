#include "agon/preference/models/boosted.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <numeric>

#include "agon/base/random.h"
#include "agon/preference/models/tree_bytes.h"

namespace agon {
namespace {

constexpr std::size_t kColumns = 3;

struct Problem {
  FeatureMatrix x;
  std::vector<Parity> parity{Parity::kOdd, Parity::kEven, Parity::kOdd};
  std::vector<Outcome> outcomes;
  std::vector<double> weights;
  std::vector<std::uint32_t> rows;

  [[nodiscard]] TrainingRows training() const { return {&x, parity, rows, outcomes, weights}; }
};

/// Column 0 decides between A and B, column 1 makes ties, column 2 is noise.
Problem sample() {
  Problem p;
  p.x = {.rows = 600, .columns = kColumns, .values = {}};
  Random random(11);
  for (std::uint32_t i = 0; i < 600; ++i) {
    const double a = random.uniform() * 2 - 1, e = random.uniform();
    for (const double v : {a, e, random.uniform() * 2 - 1}) p.x.values.push_back(static_cast<float>(v));
    const double tie = e > 0.7 ? 0.8 : 0.1, u = random.uniform();
    p.outcomes.push_back(u < tie                                  ? Outcome::kTie
                         : (a > 0) == (u < tie + 0.9 * (1 - tie)) ? Outcome::kA
                                                                  : Outcome::kB);
    p.weights.push_back(1);
    p.rows.push_back(i);
  }
  return p;
}

BoostedOptions small_options() {
  BoostedOptions o;
  o.rounds = 25;
  o.eta = 0.2;
  o.columns_by_tree = 1;
  return o;
}

std::vector<float> back_of(std::span<const float> row) { return {-row[0], row[1], -row[2]}; }

TEST(BoostedModel, SwapsExactlyWithOneBagOrMore) {
  const Problem problem = sample();
  for (const int bags : {1, 3}) {
    BoostedOptions options = small_options();
    options.bags = bags;
    const auto model = BoostedModel::fit(problem.training(), options);
    ASSERT_TRUE(model) << model.error().to_string();
    std::vector<float> back;
    for (std::size_t i = 0; i < problem.x.rows; ++i) {
      const auto row = back_of(problem.x.row(i));
      back.insert(back.end(), row.begin(), row.end());
    }
    const auto p = model->predict(problem.x.values), q = model->predict(back);
    ASSERT_TRUE(p && q);
    ASSERT_EQ(p->size(), problem.x.rows);
    for (std::size_t i = 0; i < p->size(); ++i) {
      EXPECT_EQ((*p)[i].a, (*q)[i].b);
      EXPECT_EQ((*p)[i].b, (*q)[i].a);
      EXPECT_EQ((*p)[i].tie, (*q)[i].tie);
      EXPECT_NEAR((*p)[i].a + (*p)[i].b + (*p)[i].tie, 1, 1e-12);
    }
  }
}

TEST(BoostedModel, LearnsTheRuleAndSaysWhichColumnsDidIt) {
  const Problem problem = sample();
  const auto model = BoostedModel::fit(problem.training(), small_options());
  ASSERT_TRUE(model);
  const std::vector<float> rows{0.8F, 0.2F, 0, -0.8F, 0.2F, 0, 0.8F, 0.9F, 0};
  const auto p = model->predict(rows);
  ASSERT_TRUE(p);
  EXPECT_GT((*p)[0].a, 0.7);
  EXPECT_GT((*p)[1].b, 0.7);
  EXPECT_GT((*p)[2].tie, 0.6);
  std::vector<double> direction, tie;
  ASSERT_TRUE(model->contributions(rows, direction, tie));
  EXPECT_GT(direction[0], 0.5);
  EXPECT_LT(direction[3], -0.5);
  EXPECT_LT(tie[1], 0);
  EXPECT_GT(tie[7], 0.5);
  for (std::size_t i = 0; i < 3; ++i)
    EXPECT_LT(std::fabs(direction[3 * i + 2]), std::fabs(direction[3 * i]) / 2);
}

/// XGBoost's approximate attributions sum to the margin with the bias; averaged over both orders the
/// biases of A and B cancel, so that the sum is the mean of the margins' differences.
TEST(BoostedModel, ContributionsToTheDirectionAddUpToTheLogOdds) {
  Problem problem = sample();
  BoostedOptions options = small_options();
  options.subsample = 1;
  const auto model = BoostedModel::fit(problem.training(), options);
  ASSERT_TRUE(model);
  std::vector<double> direction, tie;
  ASSERT_TRUE(model->contributions(problem.x.values, direction, tie));
  const auto p = model->predict(problem.x.values);
  ASSERT_TRUE(p);
  for (std::size_t i = 0; i < problem.x.rows; ++i) {
    double sum = 0;
    for (std::size_t j = 0; j < kColumns; ++j) sum += direction[i * kColumns + j];
    // Probabilities, not margins, are averaged over the orders: near, not equal.
    EXPECT_NEAR(sum, std::log((*p)[i].a / (*p)[i].b), 0.15) << i;
  }
}

TEST(BoostedModel, TheSeedDecidesAndNothingElse) {
  const Problem problem = sample();
  const auto bytes = [&](std::uint64_t seed) {
    BoostedOptions options = small_options();
    options.seed = seed;
    const auto model = BoostedModel::fit(problem.training(), options);
    ByteWriter out;
    if (model) model->save(out);
    return out.take();
  };
  EXPECT_EQ(bytes(1), bytes(1));
  EXPECT_NE(bytes(1), bytes(2));
}

TEST(BoostedModel, ARowDoesNotDependOnItsBatch) {
  const Problem problem = sample();
  const auto model = BoostedModel::fit(problem.training(), small_options());
  ASSERT_TRUE(model);
  const auto all = model->predict(problem.x.values);
  ASSERT_TRUE(all);
  for (std::size_t i = 0; i < problem.x.rows; i += 37) {
    const auto one = model->predict(problem.x.row(i));
    ASSERT_TRUE(one);
    EXPECT_EQ((*one)[0].a, (*all)[i].a);
    EXPECT_EQ((*one)[0].tie, (*all)[i].tie);
  }
  const auto none = model->predict({});
  ASSERT_TRUE(none);
  EXPECT_TRUE(none->empty());
}

TEST(BoostedModel, ReadsBackWhatItSaves) {
  const Problem problem = sample();
  BoostedOptions options = small_options();
  options.bags = 2;
  const auto model = BoostedModel::fit(problem.training(), options);
  ASSERT_TRUE(model);
  ByteWriter out;
  model->save(out);
  ByteReader in(out.bytes());
  const auto again = BoostedModel::load(in);
  ASSERT_TRUE(again) << again.error().to_string();
  EXPECT_TRUE(in.ok());
  EXPECT_EQ(in.left(), 0U);
  const auto p = model->predict(problem.x.values), q = again->predict(problem.x.values);
  ASSERT_TRUE(p && q);
  for (std::size_t i = 0; i < p->size(); ++i) EXPECT_EQ((*p)[i].a, (*q)[i].a);
  ByteWriter twice;
  again->save(twice);
  EXPECT_EQ(out.bytes(), twice.bytes());
}

// ---- bytes of trees from strangers

std::string tree_bytes() {
  BoostedOptions options = small_options();
  options.rounds = 3;
  const auto model = BoostedModel::fit(sample().training(), options);
  ByteWriter out;
  if (model) model->save(out);
  ByteReader in(out.bytes());
  (void)in.get_vector<std::uint8_t>();
  (void)in.get<std::uint64_t>();
  return in.get_string();
}

/// Puts `value` (big-endian, 4 bytes) in place of number `at` of the first list of that name whose
/// length is above `at`.
std::string with_number(std::string bytes, const std::string& name, std::size_t at, std::uint32_t value) {
  for (std::size_t from = 0;;) {
    const std::size_t found = bytes.find(name + "[$", from);
    if (found == std::string::npos) {
      ADD_FAILURE() << name;
      return bytes;
    }
    const std::size_t size_at = found + name.size() + 5;  // "[$l#L"
    std::uint64_t n = 0;
    for (std::size_t i = 0; i < 8; ++i) n = n << 8 | static_cast<unsigned char>(bytes[size_at + i]);
    from = size_at;
    if (n <= at) continue;
    for (std::size_t i = 0; i < 4; ++i)
      bytes[size_at + 8 + 4 * at + i] = static_cast<char>(value >> (24 - 8 * i));
    return bytes;
  }
}

TEST(TreeBytes, PassWhatXGBoostWrites) {
  const std::string bytes = tree_bytes();
  EXPECT_TRUE(check_tree_bytes(bytes, kColumns));
  EXPECT_FALSE(check_tree_bytes(bytes, kColumns + 1));
}

TEST(TreeBytes, RefuseWhatXGBoostWouldFollowBlindly) {
  const std::string good = tree_bytes();
  const auto refused = [&](const std::string& name, std::size_t at, std::uint32_t value) {
    const std::string bad = with_number(good, name, at, value);
    EXPECT_NE(bad, good) << name;
    EXPECT_FALSE(check_tree_bytes(bad, kColumns)) << name << " " << at << " " << value;
  };
  for (const std::uint32_t child : {0U, 1U, 1000U, 0x7FFFFFFFU, 0x80000000U, 0xFFFFFFFFU}) {
    if (child != 1) refused("left_children", 0, child);
    refused("right_children", 0, child);
  }
  for (const std::uint32_t feature : {3U, 0x7FFFFFFFU, 0xFFFFFFFFU}) refused("split_indices", 0, feature);
  refused("parents", 1, 2);
  refused("parents", 1, 0xFFFFFFFF);
  refused("split_conditions", 0, 0x7FC00000);  // NaN
  refused("base_weights", 0, 0x7F800000);      // infinity
  refused("sum_hessian", 0, 0);                // a division by it
  refused("sum_hessian", 0, 0xBF800000);       // -1
}

TEST(TreeBytes, RefuseNestingWrongSizesAndForeignFields) {
  const std::string good = tree_bytes();
  EXPECT_FALSE(check_tree_bytes("", kColumns));
  EXPECT_FALSE(check_tree_bytes(std::string(1'000'000, '['), kColumns));
  EXPECT_FALSE(check_tree_bytes(std::string(1'000'000, '{'), kColumns));
  EXPECT_FALSE(check_tree_bytes(good + "x", kColumns));
  EXPECT_FALSE(check_tree_bytes(R"({"learner":{}})", kColumns));
  const auto replaced = [&](std::string_view from, std::string_view to) {
    std::string bad = good;
    const std::size_t at = bad.find(from);
    EXPECT_NE(at, std::string::npos) << from;
    bad.replace(at, from.size(), to);
    return bad;
  };
  EXPECT_FALSE(check_tree_bytes(replaced("gbtree}", "gblinea"), kColumns));
  EXPECT_FALSE(check_tree_bytes(replaced("multi:softprob", "reg:squarederr"), kColumns));
  EXPECT_FALSE(check_tree_bytes(replaced("loss_changes", "left_childre"), kColumns));
  EXPECT_FALSE(check_tree_bytes(replaced("feature_types", "feature_other"), kColumns));
  std::string huge = good;
  const std::size_t at = huge.find("tree_info[#L") + 12;
  for (std::size_t i = 0; i < 8; ++i) huge[at + i] = static_cast<char>(i == 0 ? 0x7F : 0xFF);
  EXPECT_FALSE(check_tree_bytes(huge, kColumns));
}

TEST(TreeBytes, EveryLengthIsRefusedAndEveryFlippedBitIsRefusedOrHarmless) {
  const std::string good = tree_bytes();
  const Problem problem = sample();
  for (std::size_t n = 0; n < good.size(); ++n)
    EXPECT_FALSE(check_tree_bytes(std::string_view(good).substr(0, n), kColumns)) << n;
  ByteWriter head;
  head.put(std::vector<std::uint8_t>{1, 0, 1});
  head.put<std::uint64_t>(1);
  Random random(1);
  std::size_t passed = 0;
  for (int i = 0; i < 800; ++i) {
    std::string bytes = good;
    bytes[random.below(bytes.size())] ^= static_cast<char>(1 << random.below(8));
    if (!check_tree_bytes(bytes, kColumns)) continue;
    ByteWriter all;
    all.put(std::string_view(bytes));
    const std::string whole = head.bytes() + all.bytes();
    ByteReader in(whole);
    const auto model = BoostedModel::load(in);
    if (!model) continue;
    ++passed;
    const auto p = model->predict(std::span(problem.x.values).first(30));
    ASSERT_TRUE(p);
    for (const Prediction& q : *p) EXPECT_TRUE(std::isfinite(q.a) && q.a >= 0 && q.a <= 1);
    std::vector<double> direction, tie;
    ASSERT_TRUE(model->contributions(std::span(problem.x.values).first(30), direction, tie));
    for (const double d : direction) EXPECT_TRUE(std::isfinite(d));
  }
  EXPECT_GT(passed, 20U);  // flipped digits of thresholds and leaves are trees still
}

TEST(BoostedModel, FirstRoundsAreAsIfNoMoreHadBeenGrown) {
  const Problem problem = sample();
  BoostedOptions options = small_options();
  const auto longer = BoostedModel::fit(problem.training(), options);
  options.rounds = 10;
  const auto shorter = BoostedModel::fit(problem.training(), options);
  ASSERT_TRUE(longer && shorter);
  const auto first = longer->predict(problem.x.values, 10), alone = shorter->predict(problem.x.values);
  ASSERT_TRUE(first && alone);
  for (std::size_t i = 0; i < first->size(); ++i) EXPECT_EQ((*first)[i].a, (*alone)[i].a);
}

}  // namespace
}  // namespace agon
