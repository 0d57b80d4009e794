#include "agon/preference/stack.h"

#include <algorithm>
#include <cmath>

#include "agon/base/check.h"
#include "agon/base/parallel.h"
#include "agon/data/prompt_groups.h"
#include "agon/stats/metrics.h"
#include "agon/stats/paired.h"

namespace agon {
namespace {

/// Fold numbers over `rows` (whole groups), aligned with `rows`.
std::vector<std::uint32_t> inner_folds(const Dataset& data, std::span<const std::uint32_t> rows,
                                       std::uint32_t folds, std::uint64_t seed) {
  std::vector<std::uint32_t> groups;
  groups.reserve(rows.size());
  for (const std::uint32_t r : rows) groups.push_back(data.groups[r]);
  return grouped_folds(groups, folds, seed);
}

OddEvenOptions scaled(OddEvenOptions o, double by) {
  o.l2_odd *= by;
  o.l2_even *= by;
  return o;
}

struct InnerSplit {
  std::vector<std::uint32_t> train, held_out;
};

std::vector<InnerSplit> splits(std::span<const std::uint32_t> rows, std::span<const std::uint32_t> fold,
                               std::uint32_t folds) {
  std::vector<InnerSplit> out(folds);
  for (std::size_t i = 0; i < rows.size(); ++i)
    for (std::uint32_t f = 0; f < folds; ++f)
      (fold[i] == f ? out[f].held_out : out[f].train).push_back(rows[i]);
  return out;
}

/// The first choice, unless another is better on the held-out rows by more than one standard error.
template <class Choice, class Losses>
Choice choose(const std::vector<Choice>& choices, const Losses& losses_of) {
  Choice best = choices.front();
  if (choices.size() < 2) return best;
  const std::vector<double> reference = losses_of(best);
  double best_mean = 0;
  for (std::size_t c = 1; c < choices.size(); ++c) {
    const Paired d = paired_difference(losses_of(choices[c]), reference);
    if (d.mean < -d.error && d.mean < best_mean) {
      best_mean = d.mean;
      best = choices[c];
    }
  }
  return best;
}

}  // namespace

Recipe default_recipe(std::size_t rows) {
  Recipe recipe;
  if (rows < 8000) {
    recipe.boosted = {.rounds = 200, .depth = 2, .eta = 0.04, .subsample = 0.5, .columns_by_tree = 0.3};
    recipe.boosted.bags = 3;  // cheap on few rows, where one draw of rows and columns shows
  } else if (rows < 25000) {
    recipe.boosted = {.rounds = 300, .depth = 3, .eta = 0.05, .subsample = 0.5, .columns_by_tree = 0.3};
    recipe.inner_folds = 3;
  } else {
    recipe.boosted = {.rounds = 350, .depth = 4, .eta = 0.06, .subsample = 0.4, .columns_by_tree = 0.25};
    recipe.boosted.min_child_weight = 30;
    recipe.inner_folds = 2;
    recipe.direction.l2 = 1;
    recipe.direction.min_documents = recipe.rating.min_documents = 5;
    recipe.direction.max_iterations = recipe.rating.max_iterations = 15;
  }
  return recipe;
}

const std::vector<Column>& score_columns() {
  static const std::vector<Column> columns = {
      {"scores.wording", "wording that wins, A minus B, by word and character n-grams", Parity::kOdd},
      {"scores.strength_wording", "how strong a model A reads like, minus B, by wording", Parity::kOdd},
      {"scores.strength_style", "how strong a model A reads like, minus B, by style", Parity::kOdd},
      {"scores.wording.gap", "distance of A and B in winning wording", Parity::kEven},
      {"scores.strength_wording.gap", "distance of A and B in strength by wording", Parity::kEven},
      {"scores.strength_style.gap", "distance of A and B in strength by style", Parity::kEven},
  };
  return columns;
}

std::array<std::string_view, kLearners> learner_names() { return {"odd/even linear", "boosted trees"}; }

TextScores TextScores::fit(const Dataset& data, std::span<const std::uint32_t> rows,
                           std::span<const double> row_weights, const Recipe& recipe) {
  TextScores scores;
  const auto strengths = fit_strengths(data.votes(), rows, row_weights, data.ratings, recipe.strengths);
  std::vector<std::uint32_t> answers, named;
  std::vector<double> targets, weights, differences;
  for (const std::uint32_t r : rows) {
    const Vote& vote = data.votes()[r];
    if (vote.model_a.empty() || vote.model_b.empty()) continue;  // votes without names teach no strength
    const double a = strengths.at(vote.model_a), b = strengths.at(vote.model_b);
    named.push_back(r);
    differences.push_back(a - b);
    for (const bool second : {false, true}) {
      answers.push_back(2 * r + (second ? 1 : 0));
      targets.push_back(second ? b : a);
      weights.push_back(row_weights[r]);
    }
  }
  const std::array<std::function<void()>, 3> fits = {
      [&] {
        scores.direction_ = NgramScorer::fit_direction(data.ngrams, rows, data.outcomes, row_weights,
                                                       data.ngram_options, recipe.direction);
      },
      [&] {
        scores.rating_ = NgramScorer::fit_rating(data.ngrams, answers, targets, weights, data.ngram_options,
                                                 recipe.rating);
      },
      [&] {
        scores.style_ = RatingDifference::fit(data.features, data.columns, named, differences, row_weights,
                                              recipe.rating_difference_l2, recipe.linear.clip);
      }};
  parallel_for(fits.size(), [&](std::size_t i) { fits[i](); });
  return scores;
}

std::array<double, kScores> TextScores::odd(std::span<const float> features, const SparseRows& answers,
                                            std::size_t row_a, std::size_t row_b) const {
  return {direction_.score(answers, row_a) - direction_.score(answers, row_b),
          rating_.score(answers, row_a) - rating_.score(answers, row_b), style_.predict(features)};
}

void TextScores::save(ByteWriter& out) const {
  direction_.save(out);
  rating_.save(out);
  style_.save(out);
}

TextScores TextScores::load(ByteReader& in) {
  TextScores scores;
  scores.direction_ = NgramScorer::load(in);
  scores.rating_ = NgramScorer::load(in);
  scores.style_ = RatingDifference::load(in);
  return scores;
}

namespace {

void put_scores(const std::array<double, kScores>& odd, std::span<float> out) {
  for (std::size_t k = 0; k < kScores; ++k) {
    out[k] = static_cast<float>(odd[k]);
    out[kScores + k] = std::fabs(out[k]);
  }
}

}  // namespace

Result<Stack> Stack::fit(const Dataset& data, std::span<const std::uint32_t> rows,
                         std::span<const double> row_weights, const Recipe& recipe, std::uint64_t seed) {
  AGON_CHECK(!rows.empty());
  const std::size_t width = data.features.columns, all = width + 2 * kScores;
  const std::vector<std::uint32_t> fold = inner_folds(data, rows, recipe.inner_folds, seed);
  const std::vector<InnerSplit> inner = splits(rows, fold, recipe.inner_folds);

  // The learners' matrix holds only `rows`, renumbered from 0.
  FeatureMatrix x{.rows = rows.size(), .columns = all, .values = std::vector<float>(rows.size() * all)};
  std::vector<std::uint32_t> place(data.features.rows, 0);
  std::vector<Outcome> outcomes;
  std::vector<double> weights;
  for (std::size_t i = 0; i < rows.size(); ++i) {
    place[rows[i]] = static_cast<std::uint32_t>(i);
    std::ranges::copy(data.features.row(rows[i]), x.row(i).begin());
    outcomes.push_back(data.outcomes[rows[i]]);
    const double share = data.votes()[rows[i]].source == 0 ? 1.0 : recipe.further_files_share;
    weights.push_back(share * row_weights[rows[i]]);
  }
  Stack stack;
  parallel_for(inner.size() + 1, [&](std::size_t f) {
    if (f == inner.size()) {
      stack.scores_ = TextScores::fit(data, rows, row_weights, recipe);
      return;
    }
    if (inner[f].train.empty()) return;  // one prompt group only: its scores stay 0
    const TextScores scores = TextScores::fit(data, inner[f].train, row_weights, recipe);
    for (const std::uint32_t r : inner[f].held_out)
      put_scores(scores.odd(data.features.row(r), data.ngrams, 2 * r, 2 * r + 1),
                 x.row(place[r]).subspan(width));
  });

  std::vector<Parity> parity;
  for (const Column& c : data.columns) parity.push_back(c.parity);
  for (const Column& c : score_columns()) parity.push_back(c.parity);
  OddEvenOptions linear = recipe.linear;
  linear.score_columns = 2 * kScores;
  const auto local = [&](std::span<const std::uint32_t> of) {
    std::vector<std::uint32_t> out;
    for (const std::uint32_t r : of) out.push_back(place[r]);
    return out;
  };
  // Held-out losses of one choice, in the order of folds: the same rows for every choice.
  const auto losses_of = [&](double choice) {
    std::vector<std::vector<double>> parts(inner.size());
    parallel_for(inner.size(), [&](std::size_t f) {
      const auto train = local(inner[f].train);
      if (train.empty()) return;
      const OddEvenModel model =
          OddEvenModel::fit({&x, parity, train, outcomes, weights}, scaled(linear, choice));
      for (const std::uint32_t r : local(inner[f].held_out))
        parts[f].push_back(weights[r] * log_loss(model.predict(x.row(r)), outcomes[r]));
    });
    std::vector<double> losses;
    for (const auto& part : parts) losses.insert(losses.end(), part.begin(), part.end());
    return losses;
  };
  stack.linear_choice_ = choose(recipe.linear_choices, losses_of);

  std::vector<std::uint32_t> every(rows.size());
  for (std::size_t i = 0; i < every.size(); ++i) every[i] = static_cast<std::uint32_t>(i);
  const TrainingRows training{&x, parity, every, outcomes, weights};
  BoostedOptions boosted = recipe.boosted;
  boosted.seed = seed;
  Result<BoostedModel> trees = fail("not fitted");
  parallel_for(2, [&](std::size_t which) {
    if (which == 0)
      trees = BoostedModel::fit(training, boosted);
    else
      stack.linear_ = OddEvenModel::fit(training, scaled(linear, stack.linear_choice_));
  });
  if (!trees) return std::unexpected(trees.error());
  stack.boosted_ = std::move(*trees);
  stack.rounds_ = boosted.rounds;
  return stack;
}

void Stack::fill_row(std::span<const float> features, const SparseRows& answers, std::size_t row_a,
                     std::size_t row_b, std::span<float> out) const {
  std::ranges::copy(features, out.begin());
  put_scores(scores_.odd(features, answers, row_a, row_b), out.subspan(features.size()));
}

Result<std::array<std::vector<Prediction>, kLearners>> Stack::predict(std::span<const float> rows) const {
  const std::size_t width = columns(), n = rows.size() / width;
  std::array<std::vector<Prediction>, kLearners> out;
  out[0].reserve(n);
  for (std::size_t i = 0; i < n; ++i) out[0].push_back(linear_.predict(rows.subspan(i * width, width)));
  AGON_ASSIGN(out[1], boosted_.predict(rows));
  return out;
}

Status Stack::contributions(std::span<const float> rows, const BlendWeights& weights,
                            std::vector<double>& direction, std::vector<double>& tie) const {
  const std::size_t width = columns(), n = rows.size() / width;
  AGON_TRY(boosted_.contributions(rows, direction, tie));
  std::vector<double> linear(width);
  for (std::size_t i = 0; i < n; ++i) {
    linear_.contributions(rows.subspan(i * width, width), linear);
    for (std::size_t j = 0; j < width; ++j) {
      const bool odd = linear_.is_odd(j);
      double& d = direction[i * width + j];
      double& t = tie[i * width + j];
      d = weights.direction[1] * d + (odd ? weights.direction[0] * linear[j] : 0);
      t = weights.tie[1] * t + (odd ? 0 : weights.tie[0] * linear[j]);
    }
  }
  return {};
}

void Stack::save(ByteWriter& out) const {
  scores_.save(out);
  linear_.save(out);
  boosted_.save(out);
  out.put(linear_choice_);
  out.put<std::int32_t>(rounds_);
}

Result<Stack> Stack::load(ByteReader& in) {
  Stack stack;
  stack.scores_ = TextScores::load(in);
  stack.linear_ = OddEvenModel::load(in);
  if (!in.ok()) return fail("the linear part of the model is damaged");
  AGON_ASSIGN(stack.boosted_, BoostedModel::load(in));
  stack.linear_choice_ = in.get<double>();
  stack.rounds_ = in.get<std::int32_t>();
  if (!in.ok() || stack.boosted_.columns() != stack.linear_.columns() ||
      stack.linear_.columns() < 2 * kScores ||
      stack.scores_.feature_columns() + 2 * kScores != stack.linear_.columns())
    return fail("the parts of the model do not fit together");
  return stack;
}

Prediction blend(std::span<const Prediction> learners, const BlendWeights& weights) {
  AGON_CHECK(learners.size() == kLearners);
  const auto floored = [](double p) { return std::max(p, kProbabilityFloor); };
  double direction = 0, tie = 0;
  for (std::size_t k = 0; k < learners.size(); ++k) {
    const Prediction& p = learners[k];
    direction += weights.direction[k] * (std::log(floored(p.a)) - std::log(floored(p.b)));
    tie += weights.tie[k] * (std::log(floored(p.tie)) - std::log(floored(p.a + p.b)));
  }
  const auto sigmoid = [](double x) { return 1 / (1 + std::exp(-x)); };
  const double decided = sigmoid(-tie);
  const double a = floored(decided * sigmoid(direction)), b = floored(decided * sigmoid(-direction)),
               t = floored(sigmoid(tie)), sum = (a + b) + t;
  return {a / sum, b / sum, t / sum};
}

}  // namespace agon
