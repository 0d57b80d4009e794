// Training from end to end on a small real sample: symmetry, reproducibility, and that nothing leaks.
#include "agon/preference/train.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <numeric>
#include <set>
#include <sstream>

#include "agon/base/parallel.h"
#include "agon/base/random.h"
#include "agon/base/test_folder.h"
#include "agon/data/prompt_groups.h"
#include "agon/data/submission.h"
#include "agon/stats/metrics.h"
#include "tiny_model.h"

namespace agon {
namespace {

const VoteSet& sample_votes() {
  static const VoteSet set = [] {
    auto read = read_votes({{.path = AGON_TEST_DATA "/votes/lmsys_sample.csv"}}, {});
    AGON_CHECK(read.has_value());
    return std::move(*read);
  }();
  return set;
}

Dataset dataset_of(VoteSet set) {
  auto data = prepare(std::move(set), {}, nullptr, {});
  AGON_CHECK(data.has_value());
  return std::move(*data);
}

const Dataset& sample() {
  static const Dataset data = dataset_of(sample_votes());
  return data;
}

std::string trained_bytes(const Dataset& data, std::uint64_t seed) {
  TrainOptions options;
  options.seed = seed;
  const auto trained = train(data, {}, {{"kind", "test"}}, options, {});
  return trained ? trained->model.to_bytes() : trained.error().to_string();
}

/// Never destroyed: XGBoost keeps books of its boosters in thread-local memory, which is gone when the
/// statics of a program are taken down.
const PreferenceModel& sample_model() {
  static const PreferenceModel& model = *[] {
    auto trained = train(sample(), {}, {}, {}, {});
    AGON_CHECK(trained.has_value());
    return new PreferenceModel(std::move(trained->model));
  }();
  return model;
}

TEST(Training, TheBytesDependOnTheSeedAndNotOnTheThreads) {
  // The real sample is too small for trees to split; made-up votes let the seed's draws show.
  VoteSet set = sample_votes();
  const std::vector<Vote> once = set.votes;
  for (int copy = 1; copy < 4; ++copy)
    for (Vote vote : once) {
      vote.prompt[0].text += " copy " + std::to_string(copy);
      set.votes.push_back(vote);
    }
  const Dataset data = dataset_of(std::move(set));
  set_thread_count(1);
  const std::string one = trained_bytes(data, 1);
  set_thread_count(2);
  const std::string two = trained_bytes(data, 1), other = trained_bytes(data, 2);
  set_thread_count(0);
  EXPECT_TRUE(one == two);
  EXPECT_FALSE(one == other);
}

TEST(Training, CrossValidationDoesNotDependOnTheThreads) {
  TrainOptions options;
  options.folds = 3;
  set_thread_count(1);
  const auto one = cross_validate(sample(), options, {});
  set_thread_count(3);
  const auto three = cross_validate(sample(), options, {});
  set_thread_count(0);
  ASSERT_TRUE(one && three);
  EXPECT_EQ(one->log_loss_by_seed, three->log_loss_by_seed);
  EXPECT_EQ(one->weights, three->weights);
  ASSERT_EQ(one->predictions.size(), sample().main_rows.size());
  for (std::size_t i = 0; i < one->predictions.size(); ++i)
    EXPECT_EQ(one->predictions[i].a, three->predictions[i].a);
  ASSERT_EQ(one->learning_curve.size(), three->learning_curve.size());
  for (std::size_t i = 0; i < one->learning_curve.size(); ++i)
    EXPECT_EQ(one->learning_curve[i].log_loss.value, three->learning_curve[i].log_loss.value);
}

TEST(Training, PredictionsOfSwappedVotesAreSwappedAndTheirDigitsSumToOne) {
  std::vector<Vote> back;
  for (const Vote& vote : sample_votes().votes) back.push_back(swapped(vote));
  const auto p = sample_model().predict(sample_votes().votes), q = sample_model().predict(back);
  ASSERT_TRUE(p && q);
  TempFolder folder;
  auto writer = SubmissionWriter::create(folder / "s.csv", SubmissionFormat::kCsv);
  ASSERT_TRUE(writer);
  for (std::size_t i = 0; i < p->size(); ++i) {
    EXPECT_EQ((*p)[i].a, (*q)[i].b);
    EXPECT_EQ((*p)[i].b, (*q)[i].a);
    EXPECT_EQ((*p)[i].tie, (*q)[i].tie);
    ASSERT_TRUE(writer->write(std::to_string(i), (*p)[i]));
  }
  ASSERT_TRUE(writer->commit());
  std::istringstream lines(slurp(folder / "s.csv"));
  std::string line;
  std::getline(lines, line);
  std::size_t rows = 0;
  while (std::getline(lines, line)) {
    ++rows;
    long long units = 0;  // of 1e-9, read from the printed digits alone
    std::istringstream cells(line.substr(line.find(',') + 1));
    std::string cell;
    while (std::getline(cells, cell, ',')) {
      ASSERT_EQ(cell.substr(0, 2), "0.");
      ASSERT_EQ(cell.size(), 11U);
      units += std::stoll(cell.substr(2));
    }
    EXPECT_EQ(units, 1'000'000'000) << line;
  }
  EXPECT_EQ(rows, p->size());
}

TEST(Training, ARowIsPredictedTheSameAloneAndInABatch) {
  const std::vector<Vote>& votes = sample_votes().votes;
  const auto all = sample_model().predict(votes);
  ASSERT_TRUE(all);
  for (std::size_t i = 0; i < votes.size(); ++i) {
    const auto one = sample_model().predict(std::span(votes).subspan(i, 1));
    ASSERT_TRUE(one);
    EXPECT_EQ((*one)[0].a, (*all)[i].a);
    EXPECT_EQ((*one)[0].b, (*all)[i].b);
  }
  const auto none = sample_model().predict({});
  ASSERT_TRUE(none);
  EXPECT_TRUE(none->empty());
}

TEST(Training, NamesOfModelsNeverChangeAPrediction) {
  std::vector<Vote> renamed = sample_votes().votes;
  for (Vote& vote : renamed) {
    vote.model_a = "gpt-4-1106-preview";
    vote.model_b = "llama-13b";
    vote.id += "x";
    vote.outcome = Outcome::kUnknown;
  }
  const auto p = sample_model().predict(sample_votes().votes), q = sample_model().predict(renamed);
  ASSERT_TRUE(p && q);
  for (std::size_t i = 0; i < p->size(); ++i) EXPECT_EQ((*p)[i].a, (*q)[i].a);
}

/// Answers that carry their vote's number and nothing else: whoever looks at a held-out label wins.
TEST(Training, ShuffledLabelsAreNotPredictedBetterThanTheirShares) {
  VoteSet set = sample_votes();
  const std::vector<Vote> once = set.votes;
  for (int copy = 1; copy < 4; ++copy)  // every prompt four times: a leak over prompts would show
    set.votes.insert(set.votes.end(), once.begin(), once.end());
  std::vector<Outcome> outcomes;
  Random random(4);
  // One label for all copies of a prompt, so that it can be known by heart.
  for (std::size_t i = 0; i < once.size(); ++i) outcomes.push_back(static_cast<Outcome>(random.below(3)));
  for (std::size_t i = 0; i < set.votes.size(); ++i) set.votes[i].outcome = outcomes[i % once.size()];
  const Dataset data = dataset_of(std::move(set));
  TrainOptions options;
  options.folds = 4;
  options.learning_curve = false;
  const auto cv = cross_validate(data, options, {});
  ASSERT_TRUE(cv) << cv.error().to_string();
  // Rows of one prompt stand and fall together: the standard error is over prompts.
  std::vector<double> gain(once.size());
  for (std::size_t i = 0; i < data.outcomes.size(); ++i)
    gain[i % once.size()] +=
        (log_loss(cv->prior[i], data.outcomes[i]) - log_loss(cv->predictions[i], data.outcomes[i])) / 4;
  const double n = static_cast<double>(gain.size());
  const double mean = std::accumulate(gain.begin(), gain.end(), 0.0) / n;
  double squares = 0;
  for (const double g : gain) squares += (g - mean) * (g - mean);
  EXPECT_LT(mean, 3 * std::sqrt(squares) / n + 1e-9);
  // Known by heart, the gain would be near ln 3.
  EXPECT_LT(mean, 0.3);
}

TEST(Training, RowsOfAHeldOutPromptNeverTrain) {
  VoteSet set = tiny_votes();
  set.sources.push_back(
      {.path = "more.csv", .weight = 1, .auto_weight = true, .sha256 = "", .bytes = 0, .counts = {}});
  const std::vector<Vote> main = set.votes;
  for (Vote vote : main) {
    vote.source = 1;  // the same prompts again in a further file
    set.votes.push_back(vote);
  }
  const Dataset data = dataset_of(std::move(set));
  const std::uint32_t groups = 1 + *std::ranges::max_element(data.groups);
  ASSERT_EQ(groups, 4U);
  std::vector<double> weights(data.weights);
  weights[13] = 0;  // left out by weight
  for (std::uint32_t held = 0; held < (1U << groups); ++held) {
    std::vector<bool> held_out(groups);
    for (std::uint32_t g = 0; g < groups; ++g) held_out[g] = (held >> g & 1) != 0;
    std::set<std::uint32_t> want;
    for (std::uint32_t r = 0; r < data.outcomes.size(); ++r)
      if (!held_out[data.groups[r]] && r != 13) want.insert(r);
    const auto rows = training_rows(data, data.main_rows, weights, held_out);
    EXPECT_EQ(std::set<std::uint32_t>(rows.begin(), rows.end()), want);
    EXPECT_EQ(rows.size(), want.size());
  }
}

/// Votes where the longer answer wins, by `rule`; a further file follows the same rule or none.
VoteSet ruled_votes(std::size_t main_rows, std::size_t further_rows, bool further_random) {
  VoteSet set;
  set.sources.push_back(
      {.path = "main.csv", .weight = 1, .auto_weight = false, .sha256 = "", .bytes = 0, .counts = {}});
  set.sources.push_back(
      {.path = "more.csv", .weight = 1, .auto_weight = true, .sha256 = "", .bytes = 0, .counts = {}});
  Random random(8);
  for (std::size_t i = 0; i < main_rows + further_rows; ++i) {
    Vote vote;
    vote.source = i < main_rows ? 0 : 1;
    vote.id = std::to_string(i);
    vote.prompt = {{.text = "question " + std::to_string(random.next()) + " " + std::to_string(random.next()),
                    .null = false}};
    const auto answer = [&](std::uint64_t words) {
      std::string text;
      for (std::uint64_t k = 0; k < words; ++k) text += "word" + std::to_string(random.below(50)) + " ";
      return Turns{{.text = text, .null = false}};
    };
    const std::uint64_t a = 1 + random.below(60), b = 1 + random.below(60);
    vote.response_a = answer(a);
    vote.response_b = answer(b);
    vote.outcome = a > b ? Outcome::kA : Outcome::kB;
    if (random.uniform() < 0.25) vote.outcome = static_cast<Outcome>(random.below(3));
    if (vote.source == 1 && further_random) vote.outcome = static_cast<Outcome>(random.below(3));
    set.votes.push_back(vote);
  }
  return set;
}

TEST(Auxiliary, AFileOfRandomLabelsIsLeftOutAndOneOfTheSameKindIsKept) {
  for (const bool random : {true, false}) {
    const Dataset data = dataset_of(ruled_votes(150, 450, random));
    const auto choices = choose_auxiliary(data, data.main_rows, {});
    ASSERT_EQ(choices.size(), 1U);
    EXPECT_EQ(choices[0].kept, !random) << choices[0].gain << " +- " << choices[0].error;
    const auto weights = chosen_weights(data, choices);
    for (std::size_t r = 0; r < 150; ++r) EXPECT_EQ(weights[r], 1);
    EXPECT_EQ(weights[200], random ? 0 : choices[0].weight);
    EXPECT_EQ(describe(data, choices).size(), 1U);
    EXPECT_TRUE(describe(data, choices)[0].starts_with(random ? "more.csv: left out" : "more.csv: kept"));
  }
}

TEST(Auxiliary, KeepAllJudgesNothing) {
  const Dataset data = dataset_of(ruled_votes(40, 40, true));
  const auto choices = choose_auxiliary(data, data.main_rows, {.keep_all = true});
  ASSERT_EQ(choices.size(), 1U);
  EXPECT_TRUE(choices[0].kept);
  EXPECT_TRUE(std::isnan(choices[0].gain));
  EXPECT_EQ(chosen_weights(data, choices), data.weights);
}

/// Blocks of a language model beside `data`: "states" leans to the winner, "last" is noise.
void add_blocks(Dataset& data, std::uint64_t seed) {
  Random random(seed);
  AnswerBlock states{"states", 2, {}}, last{"last", 20, {}};
  for (const Outcome outcome : data.outcomes)
    for (const Outcome side : {Outcome::kA, Outcome::kB}) {
      states.values.push_back(static_cast<float>((outcome == side ? 1.5 : 0) + 2 * random.uniform()));
      states.values.push_back(static_cast<float>(random.uniform()));
      for (int j = 0; j < 20; ++j) last.values.push_back(static_cast<float>(random.uniform()));
    }
  data.lm = {std::move(states), std::move(last)};
}

TEST(Training, KeepsTheBlocksOfALanguageModelThatBringSomething) {
  VoteSet set = ruled_votes(240, 0, false);
  set.sources.pop_back();
  Dataset data = dataset_of(std::move(set));
  TrainOptions options;
  options.folds = 4;
  options.learning_curve = false;
  AnswerSpec spec;
  spec.name = "m";
  const auto blocks_of = [](const Result<Trained>& trained) {
    AGON_CHECK(trained.has_value());
    const AnswerSpec* lm = trained->model.language_model();
    return lm == nullptr ? std::vector<std::string>() : lm->blocks;
  };
  const auto left_out = [](const Trained& trained) {
    const auto fact = std::ranges::find(trained.model.card(), kLeftOutFact, &ModelCard::value_type::first);
    return fact == trained.model.card().end() ? std::string() : fact->second;
  };
  // Noise looks useful now and then; what is known to be useful always does.
  Result<CrossValidation> cv = fail("none yet");
  int noise_kept = 0;
  for (std::uint64_t seed = 0; seed < 6; ++seed) {
    add_blocks(data, seed);
    auto one = cross_validate(data, options, {});
    ASSERT_TRUE(one) << one.error().to_string();
    ASSERT_FALSE(one->kept_blocks.empty());
    EXPECT_EQ(one->kept_blocks.front(), "states");
    if (one->kept_blocks.size() > 1)
      ++noise_kept;
    else if (!cv)
      cv = std::move(one);
  }
  EXPECT_LE(noise_kept, 3);
  ASSERT_TRUE(cv);
  ASSERT_EQ(cv->block_gains.size(), 3U);
  EXPECT_EQ(cv->block_gains[0].kept, 4);
  EXPECT_LT(cv->block_gains[0].mean, -2 * cv->block_gains[0].error);
  EXPECT_LT(cv->block_gains[1].kept, 4);
  // The figure is that of predictions made with the blocks that each fold keeps.
  EXPECT_NEAR(cv->log_loss_by_seed[0] - cv->log_loss_without_lm_by_seed[0], cv->block_gains[2].mean, 1e-9);
  const auto trained = train(data, FinalChoices{cv->weights, cv->kept_blocks}, {}, options, {}, spec);
  EXPECT_EQ(blocks_of(trained), std::vector<std::string>{"states"});
  EXPECT_EQ(left_out(*trained), "last: brought nothing on rows that were held out");
  const auto none = train(data, FinalChoices{cv->weights, {}}, {}, options, {}, spec);
  EXPECT_EQ(blocks_of(none), std::vector<std::string>{});
  EXPECT_TRUE(none->model.predict(data.votes()));

  options.keep_all_blocks = true;
  const auto all = cross_validate(data, options, {});
  ASSERT_TRUE(all);
  EXPECT_EQ(all->kept_blocks, (std::vector<std::string>{"states", "last"}));
  EXPECT_EQ(all->block_gains[1].kept, 4);
  const auto whole = train(data, std::nullopt, {}, options, {}, spec);
  EXPECT_EQ(blocks_of(whole), (std::vector<std::string>{"states", "last"}));
  EXPECT_EQ(left_out(*whole), "");
}

TEST(Training, WithoutACrossValidationTheInnerFoldsJudgeBlocks) {
  VoteSet set = ruled_votes(240, 0, false);
  set.sources.pop_back();
  Dataset data = dataset_of(std::move(set));
  AnswerSpec spec;
  spec.name = "m";
  int states = 0, last = 0;
  for (std::uint64_t seed = 0; seed < 6; ++seed) {
    add_blocks(data, seed);
    const auto trained = train(data, std::nullopt, {}, {}, {}, spec);
    ASSERT_TRUE(trained);
    for (const Correction& correction : trained->model.corrections())
      ++(correction.block() == "states" ? states : last);
  }
  EXPECT_EQ(states, 6);
  EXPECT_LT(last, 6);
}

TEST(Training, SmallAndOneSidedFilesTrainOrSayWhyNot) {
  VoteSet set = sample_votes();
  set.votes.resize(1);
  EXPECT_TRUE(train(dataset_of(set), {}, {}, {}, {}));
  EXPECT_FALSE(cross_validate(dataset_of(set), {}, {}));
  for (const Outcome only : {Outcome::kA, Outcome::kTie}) {
    set = sample_votes();
    set.votes.resize(12);
    for (Vote& vote : set.votes) vote.outcome = only;
    const auto trained = train(dataset_of(set), {}, {}, {}, {});
    ASSERT_TRUE(trained) << trained.error().to_string();
    const auto p = trained->model.predict(set.votes);
    ASSERT_TRUE(p);
    for (const Prediction& q : *p) EXPECT_TRUE(q.a > 0 && q.b > 0 && q.tie > 0);
    EXPECT_TRUE(cross_validate(dataset_of(set), {}, {}));
  }
  set = sample_votes();
  for (Vote& vote : set.votes) vote.prompt = set.votes[0].prompt;  // one group: no fold can be held out
  const auto cv = cross_validate(dataset_of(set), {}, {});
  ASSERT_FALSE(cv);
  EXPECT_NE(cv.error().to_string().find("too few prompts"), std::string::npos);
  set.votes[3].outcome = Outcome::kUnknown;
  EXPECT_FALSE(prepare(set, {}, nullptr, {}));
  set.votes.clear();
  EXPECT_FALSE(prepare(set, {}, nullptr, {}));
}

// ---- the blend

TEST(Blend, IsExactlySymmetricAndInside) {
  Random random(6);
  for (int i = 0; i < 2000; ++i) {
    std::array<Prediction, kLearners> here, back;
    for (std::size_t k = 0; k < kLearners; ++k) {
      // From nearly certain to nearly equal, and the edges themselves.
      const double a = std::exp(-30 * random.uniform()), b = std::exp(-30 * random.uniform()),
                   t = random.below(5) == 0 ? 0 : std::exp(-30 * random.uniform()), sum = a + b + t;
      here[k] = {a / sum, b / sum, t / sum};
      back[k] = swapped(here[k]);
    }
    const double w = random.uniform(), v = random.uniform();
    const BlendWeights weights{.direction = {w, 1 - w}, .tie = {v, 1 - v}};
    const Prediction p = blend(here, weights), q = blend(back, weights);
    EXPECT_EQ(p.a, q.b);
    EXPECT_EQ(p.b, q.a);
    EXPECT_EQ(p.tie, q.tie);
    EXPECT_NEAR(p.a + p.b + p.tie, 1, 1e-12);
    for (const double x : {p.a, p.b, p.tie}) {
      EXPECT_GT(x, kProbabilityFloor / 2);
      EXPECT_LT(x, 1 - kProbabilityFloor);
    }
  }
}

TEST(Blend, AveragesLogitsOfDirectionAndTieApart) {
  const std::array<Prediction, 2> learners{Prediction{0.6, 0.3, 0.1}, Prediction{0.2, 0.3, 0.5}};
  const BlendWeights weights{.direction = {0.25, 0.75}, .tie = {0.6, 0.4}};
  const double odds = std::pow(0.6 / 0.3, 0.25) * std::pow(0.2 / 0.3, 0.75);    // of A against B
  const double tie_odds = std::pow(0.1 / 0.9, 0.6) * std::pow(0.5 / 0.5, 0.4);  // of a tie
  const double t = tie_odds / (1 + tie_odds), a = (1 - t) * odds / (1 + odds);
  const Prediction p = blend(learners, weights);
  EXPECT_NEAR(p.a, a, 1e-12);
  EXPECT_NEAR(p.b, 1 - t - a, 1e-12);
  EXPECT_NEAR(p.tie, t, 1e-12);
}

TEST(FitBlend, ChoosesTheBetterLearnerAndStaysEqualWithoutEvidence) {
  std::array<std::vector<Prediction>, kLearners> learners;
  std::vector<Outcome> outcomes;
  std::vector<std::uint32_t> rows;
  Random random(9);
  for (std::uint32_t i = 0; i < 500; ++i) {
    const Outcome truth = static_cast<Outcome>(random.below(3));
    Prediction right{0.15, 0.15, 0.15};
    (truth == Outcome::kA ? right.a : truth == Outcome::kB ? right.b : right.tie) = 0.7;
    learners[0].push_back(right);
    learners[1].push_back({0.1, 0.45, 0.45});
    outcomes.push_back(truth);
    rows.push_back(i);
  }
  EXPECT_EQ(fit_blend(learners, outcomes, rows), (BlendWeights{.direction = {1, 0}, .tie = {1, 0}}));
  EXPECT_EQ(fit_blend(learners, outcomes, {}), BlendWeights{});
  std::swap(learners[0], learners[1]);
  EXPECT_EQ(fit_blend(learners, outcomes, rows), (BlendWeights{.direction = {0, 1}, .tie = {0, 1}}));
  const BlendWeights few = fit_blend(learners, outcomes, std::span(rows).first(2));
  EXPECT_GT(few.direction[0], 0.3);  // two rows hardly move it
}

}  // namespace
}  // namespace agon
