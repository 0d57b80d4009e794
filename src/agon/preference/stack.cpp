#include "agon/preference/stack.h"

#include <algorithm>
#include <cmath>

#include "agon/base/check.h"
#include "agon/base/parallel.h"
#include "agon/data/prompt_groups.h"
#include "agon/preference/lm/answer_source.h"

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

/// What the learners, equally blended, say of each row when they are fitted without its fold: where
/// corrections begin. Those that were fitted so when their size was chosen are not fitted again.
Result<std::vector<Shift>> out_of_fold_logits(const TrainingRows& training, std::span<const InnerSplit> inner,
                                              const OddEvenOptions& linear, BoostedOptions boosted,
                                              const Chosen<double>& penalty, const Chosen<TreeChoice>& size) {
  boosted.bags = 1;
  const auto known = [&](const auto& chosen, std::size_t s) -> const std::vector<Prediction>* {
    const bool has = s < chosen.held_out.size() && chosen.held_out[s].size() == inner[s].held_out.size();
    return has ? &chosen.held_out[s] : nullptr;
  };
  std::vector<Shift> out(training.rows.size());
  std::vector<Status> status(inner.size());
  const auto run = [&](std::size_t s) -> Status {
    const InnerSplit& split = inner[s];
    if (split.train.empty() || split.held_out.empty()) return {};
    TrainingRows part = training;
    part.rows = split.train;
    std::vector<Prediction> by_line, by_trees;
    if (const auto* said = known(penalty, s)) {
      by_line = *said;
    } else {
      const OddEvenModel line = OddEvenModel::fit(part, linear);
      for (const std::uint32_t i : split.held_out) by_line.push_back(line.predict(training.features->row(i)));
    }
    if (const auto* said = known(size, s)) {
      by_trees = *said;
    } else {
      AGON_ASSIGN(const BoostedModel trees, BoostedModel::fit(part, boosted));
      AGON_ASSIGN(by_trees, trees.predict(training.features->rows_of(split.held_out)));
    }
    for (std::size_t k = 0; k < split.held_out.size(); ++k)
      out[split.held_out[k]] = logits_of(blend(std::array{by_line[k], by_trees[k]}, {}));
    return {};
  };
  parallel_for(inner.size(), [&](std::size_t s) { status[s] = run(s); });
  for (const Status& one : status)
    if (!one) return std::unexpected(one.error());
  return out;
}

/// One block after the other, each on top of what those before it say out of fold.
std::vector<Correction> fit_corrections(const Dataset& data, std::span<const std::uint32_t> rows,
                                        const TrainingRows& training, std::vector<Shift> offsets,
                                        std::span<const std::uint32_t> fold, const Recipe& recipe,
                                        std::uint64_t seed) {
  std::vector<Correction> out;
  for (const AnswerBlock& block : data.lm) {
    if (recipe.lm_blocks && std::ranges::find(*recipe.lm_blocks, block.name) == recipe.lm_blocks->end())
      continue;
    auto fitted = Correction::fit(block,
                                  {.rows = rows,
                                   .offsets = offsets,
                                   .outcomes = training.outcomes,
                                   .weights = training.weights,
                                   .fold = fold,
                                   .folds = recipe.inner_folds},
                                  recipe.correction, seed);
    for (std::size_t i = 0; i < offsets.size(); ++i) offsets[i] += fitted.out_of_fold[i];
    out.push_back(std::move(fitted.correction));
  }
  return out;
}

}  // namespace

Recipe default_recipe(std::size_t rows) {
  Recipe recipe;
  if (rows < 8000) {
    recipe.boosted = {.rounds = 100, .depth = 2, .eta = 0.08, .subsample = 0.5, .columns_by_tree = 0.3};
    recipe.boosted.bags = 2;  // cheap on few rows, where one draw of rows and columns shows
  } else if (rows < 25000) {
    // Two short boosters cost less than a long one of half the step, predict as well, and grow side by side.
    recipe.boosted = {.rounds = 120, .depth = 3, .eta = 0.1, .subsample = 0.3, .columns_by_tree = 0.3};
    recipe.boosted.bags = 2;
    recipe.inner_folds = 3;
    recipe.tree_splits = 1;
    recipe.tree_choices = {{1, 0}, {0.6, 0}};  // read off one growth
  } else {
    recipe.boosted = {.rounds = 150, .depth = 4, .eta = 0.1, .subsample = 0.3, .columns_by_tree = 0.25};
    recipe.boosted.bags = 2;
    recipe.boosted.min_child_weight = 30;
    recipe.boosted.max_bins = 32;
    recipe.inner_folds = 2;
    recipe.tree_splits = 1;
    recipe.tree_choices = {{1, 0}, {0.6, 0}};
    recipe.scores.ngrams.l2_direction = 1;
    recipe.scores.ngrams.max_iterations = 15;
  }
  return recipe;
}

std::array<std::string_view, kLearners> learner_names() { return {"odd/even linear", "boosted trees"}; }

Result<Stack> Stack::fit(const Dataset& data, std::span<const std::uint32_t> rows,
                         std::span<const double> row_weights, const Recipe& recipe, std::uint64_t seed) {
  AGON_CHECK(!rows.empty());
  const std::size_t width = data.features.columns, all = width + 2 * kScores;
  const std::vector<std::uint32_t> fold = inner_folds(data, rows, recipe.inner_folds, seed);

  // The learners' matrix holds only `rows`, renumbered from 0.
  FeatureMatrix x{.rows = rows.size(), .columns = all, .values = std::vector<float>(rows.size() * all)};
  std::vector<std::uint32_t> every;
  std::vector<Outcome> outcomes;
  std::vector<double> weights;
  for (std::uint32_t i = 0; i < rows.size(); ++i) {
    every.push_back(i);
    std::ranges::copy(data.features.row(rows[i]), x.row(i).begin());
    outcomes.push_back(data.outcomes[rows[i]]);
    const double share = data.votes()[rows[i]].source == 0 ? 1.0 : recipe.further_files_share;
    weights.push_back(share * row_weights[rows[i]]);
  }
  Stack stack;
  TextScores::Fitted fitted =
      TextScores::fit(data, rows, row_weights, fold, recipe.inner_folds, recipe.scores);
  for (std::size_t i = 0; i < rows.size(); ++i)
    TextScores::put(fitted.out_of_fold[i], x.row(i).subspan(width));
  stack.scores_ = std::move(fitted.scores);

  std::vector<Parity> parity;
  for (const Column& c : data.columns) parity.push_back(c.parity);
  for (const Column& c : score_columns()) parity.push_back(c.parity);
  OddEvenOptions linear = recipe.linear;
  linear.score_columns = 2 * kScores;
  const TrainingRows training{&x, parity, every, outcomes, weights};
  const std::vector<InnerSplit> inner = inner_splits(fold, recipe.inner_folds);
  BoostedOptions boosted = recipe.boosted;
  boosted.seed = seed;
  Result<Chosen<TreeChoice>> size = fail("not chosen");
  Chosen<double> penalty;
  parallel_for(2, [&](std::size_t which) {
    if (which == 0)
      size = choose_trees(training,
                          std::span(inner).first(std::min<std::size_t>(inner.size(), recipe.tree_splits)),
                          boosted, recipe.tree_choices);
    else
      penalty = choose_penalty(training, inner, linear, recipe.linear_choices);
  });
  if (!size) return std::unexpected(size.error());
  stack.linear_choice_ = penalty.choice;
  boosted = with_size(boosted, size->choice);
  Result<BoostedModel> trees = fail("not fitted");
  parallel_for(2, [&](std::size_t which) {
    if (which == 0)
      trees = BoostedModel::fit(training, boosted);
    else
      stack.linear_ = OddEvenModel::fit(training, with_penalty(linear, stack.linear_choice_));
  });
  if (!trees) return std::unexpected(trees.error());
  stack.boosted_ = std::move(*trees);
  stack.rounds_ = boosted.rounds;
  stack.depth_ = boosted.depth;
  if (data.lm.empty() || (recipe.lm_blocks && recipe.lm_blocks->empty())) return stack;
  AGON_ASSIGN(std::vector<Shift> offsets,
              out_of_fold_logits(training, inner, with_penalty(linear, stack.linear_choice_), boosted,
                                 penalty, *size));
  stack.corrections_ = fit_corrections(data, rows, training, std::move(offsets), fold, recipe, seed);
  return stack;
}

void Stack::fill_row(std::span<const float> features, const SparseRows& answers, std::size_t row_a,
                     std::size_t row_b, std::span<const AnswerBlock> blocks, std::size_t vote,
                     std::span<float> out) const {
  std::ranges::copy(features, out.begin());
  TextScores::put(scores_.odd(features, answers, row_a, row_b), out.subspan(features.size()));
  std::size_t at = learner_columns();
  for (const Correction& correction : corrections_) {
    Shift shift;
    if (correction.is_on()) {
      const auto block = std::ranges::find(blocks, correction.block(), &AnswerBlock::name);
      AGON_CHECK(block != blocks.end());
      shift = correction(block->side(vote, 0), block->side(vote, 1));
    }
    out[at++] = static_cast<float>(shift.direction);
    out[at++] = static_cast<float>(shift.tie);
  }
}

std::vector<Shift> Stack::shifts(std::span<const float> row) const {
  return shifts_in(row.subspan(learner_columns()));
}

void Stack::drop_idle_corrections() {
  std::erase_if(corrections_, [](const Correction& c) { return !c.is_on(); });
}

Result<std::array<std::vector<Prediction>, kLearners>> Stack::predict(std::span<const float> rows) const {
  std::vector<float> narrow;
  const std::span<const float> seen = learner_part(rows, narrow);
  const std::size_t width = learner_columns(), n = seen.size() / width;
  std::array<std::vector<Prediction>, kLearners> out;
  out[0].reserve(n);
  for (std::size_t i = 0; i < n; ++i) out[0].push_back(linear_.predict(seen.subspan(i * width, width)));
  AGON_ASSIGN(out[1], boosted_.predict(seen));
  return out;
}

std::span<const float> Stack::learner_part(std::span<const float> rows, std::vector<float>& room) const {
  if (corrections_.empty()) return rows;
  const std::size_t n = rows.size() / columns();
  room.clear();
  room.reserve(n * learner_columns());
  for (std::size_t i = 0; i < n; ++i) {
    const auto row = rows.subspan(i * columns(), learner_columns());
    room.insert(room.end(), row.begin(), row.end());
  }
  return room;
}

Status Stack::contributions(std::span<const float> rows, const BlendWeights& weights,
                            std::vector<double>& direction, std::vector<double>& tie) const {
  std::vector<float> narrow;
  const std::span<const float> seen = learner_part(rows, narrow);
  const std::size_t width = learner_columns(), n = seen.size() / width;
  AGON_TRY(boosted_.contributions(seen, direction, tie));
  std::vector<double> linear(width);
  for (std::size_t i = 0; i < n; ++i) {
    linear_.contributions(seen.subspan(i * width, width), linear);
    for (std::size_t j = 0; j < width; ++j) {
      const bool odd = linear_.is_odd(j);
      double& d = direction[i * width + j];
      double& t = tie[i * width + j];
      d = weights.direction[1] * d + (odd ? weights.direction[0] * linear[j] : 0);
      t = weights.tie[1] * t + (odd ? 0 : weights.tie[0] * linear[j]);
    }
  }
  if (corrections_.empty()) return {};
  // The corrections' columns are on the scale of the logits already.
  std::vector<double> wide_direction(n * columns()), wide_tie(n * columns());
  for (std::size_t i = 0; i < n; ++i) {
    std::copy_n(direction.begin() + static_cast<std::ptrdiff_t>(i * width), width,
                wide_direction.begin() + static_cast<std::ptrdiff_t>(i * columns()));
    std::copy_n(tie.begin() + static_cast<std::ptrdiff_t>(i * width), width,
                wide_tie.begin() + static_cast<std::ptrdiff_t>(i * columns()));
    for (std::size_t j = width; j < columns(); j += 2) {
      wide_direction[i * columns() + j] = static_cast<double>(rows[i * columns() + j]);
      wide_tie[i * columns() + j + 1] = static_cast<double>(rows[i * columns() + j + 1]);
    }
  }
  direction = std::move(wide_direction);
  tie = std::move(wide_tie);
  return {};
}

void Stack::save(ByteWriter& out) const {
  scores_.save(out);
  linear_.save(out);
  boosted_.save(out);
  out.put(linear_choice_);
  out.put<std::int32_t>(rounds_);
  out.put<std::int32_t>(depth_);
}

void Stack::save_corrections(ByteWriter& out) const {
  out.put<std::uint64_t>(corrections_.size());
  for (const Correction& correction : corrections_) correction.save(out);
}

Status Stack::load_corrections(ByteReader& in) {
  const auto count = in.get<std::uint64_t>();
  for (std::uint64_t i = 0; i < count && in.ok(); ++i) corrections_.push_back(Correction::load(in));
  if (!in.ok() || count == 0 || count > std::size(answer_blocks::kAll))
    return fail("what the model learned from a language model is damaged");
  return {};
}

Result<Stack> Stack::load(ByteReader& in) {
  Stack stack;
  stack.scores_ = TextScores::load(in);
  stack.linear_ = OddEvenModel::load(in);
  if (!in.ok()) return fail("the linear part of the model is damaged");
  AGON_ASSIGN(stack.boosted_, BoostedModel::load(in));
  stack.linear_choice_ = in.get<double>();
  stack.rounds_ = in.get<std::int32_t>();
  stack.depth_ = in.get<std::int32_t>();
  if (!in.ok() || stack.boosted_.columns() != stack.linear_.columns() ||
      stack.linear_.columns() < 2 * kScores ||
      stack.scores_.feature_columns() + 2 * kScores != stack.linear_.columns())
    return fail("the parts of the model do not fit together");
  return stack;
}

Prediction blend(std::span<const Prediction> learners, const BlendWeights& weights) {
  AGON_CHECK(learners.size() == kLearners);
  const auto floored = [](double p) { return std::max(p, kProbabilityFloor); };
  Shift logits;
  for (std::size_t k = 0; k < learners.size(); ++k) {
    const Prediction& p = learners[k];
    logits.direction += weights.direction[k] * (std::log(floored(p.a)) - std::log(floored(p.b)));
    logits.tie += weights.tie[k] * (std::log(floored(p.tie)) - std::log(floored(p.a + p.b)));
  }
  return prediction_of(logits);
}

}  // namespace agon
