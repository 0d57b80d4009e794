#include "agon/preference/train.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <cmath>
#include <map>
#include <mutex>

#include "agon/base/check.h"
#include "agon/base/parallel.h"
#include "agon/base/random.h"
#include "agon/data/prompt_groups.h"
#include "agon/preference/influence.h"
#include "agon/stats/metrics.h"

namespace agon {
namespace {

constexpr double kBlendPull = 20;

/// The default recipe for so many rows, without judging a language model's blocks where it is told not to.
Recipe recipe_for(std::size_t rows, const TrainOptions& options) {
  Recipe recipe = default_recipe(rows);
  if (options.keep_all_blocks) recipe.correction.doubt = HUGE_VAL;
  return recipe;
}

/// "states, verdict": the blocks of `data` that the predictor does without.
std::string left_out_blocks(const Dataset& data, const Stack& stack) {
  std::string names;
  for (const AnswerBlock& block : data.lm) {
    const auto correction = std::ranges::find(stack.corrections(), block.name, &Correction::block);
    if (correction == stack.corrections().end() || !correction->is_on())
      names += (names.empty() ? "" : ", ") + block.name;
  }
  return names;
}

struct Fold {
  std::vector<std::uint32_t> held_out;  ///< places among main_rows
  std::vector<bool> group_held_out;
};

std::vector<Fold> draw_folds(const Dataset& data, std::uint32_t folds, std::uint64_t seed) {
  std::vector<std::uint32_t> groups;
  for (const std::uint32_t r : data.main_rows) groups.push_back(data.groups[r]);
  const std::vector<std::uint32_t> fold = grouped_folds(groups, folds, seed);
  const std::size_t all = *std::ranges::max_element(data.groups) + std::size_t{1};
  std::vector<Fold> out(folds, Fold{{}, std::vector<bool>(all)});
  for (std::size_t i = 0; i < groups.size(); ++i) {
    out[fold[i]].held_out.push_back(static_cast<std::uint32_t>(i));
    out[fold[i]].group_held_out[groups[i]] = true;
  }
  return out;
}

std::vector<std::uint32_t> main_without(const Dataset& data, const Fold& fold) {
  std::vector<std::uint32_t> rows;
  for (const std::uint32_t r : data.main_rows)
    if (!fold.group_held_out[data.groups[r]]) rows.push_back(r);
  return rows;
}

std::vector<float> stack_rows(const Stack& stack, const Dataset& data, std::span<const std::uint32_t> rows) {
  const std::size_t width = stack.columns();
  std::vector<float> out(rows.size() * width);
  parallel_for(rows.size(), [&](std::size_t i) {
    stack.fill_row(data.features.row(rows[i]), data.ngrams, std::size_t{2} * rows[i],
                   std::size_t{2} * rows[i] + 1, data.lm, rows[i], std::span(out).subspan(i * width, width));
  });
  return out;
}

Prediction blend_row(const std::array<std::vector<Prediction>, kLearners>& learners, std::size_t i,
                     const BlendWeights& weights) {
  std::array<Prediction, kLearners> each;
  for (std::size_t k = 0; k < kLearners; ++k) each[k] = learners[k][i];
  return blend(each, weights);
}

struct FoldResult {
  std::array<std::vector<Prediction>, kLearners> learners;
  std::vector<std::vector<Shift>> shifts;  ///< by row: of each correction
  std::vector<Correction> corrections;
  std::vector<Prediction> prior, length_only;
  ShuffledLosses shuffled;
};

struct FoldTask {
  bool first_seed = false;
  std::uint64_t seed = 1;
  double share = 1;  ///< of the training part's prompt groups, for the learning curve
};

Result<FoldResult> run_fold(const Dataset& data, const Fold& fold, const FoldTask& task,
                            const TrainOptions& options, std::size_t& rows_used) {
  std::vector<std::uint32_t> main = main_without(data, fold);
  if (task.share < 1) {
    const auto keep = [&](std::uint32_t r) {
      return Random(task.seed, data.groups[r]).uniform() < task.share;
    };
    // Where few prompts leave none to a small share, the first one stands for it.
    const std::uint32_t first = main.empty() ? 0 : data.groups[main.front()];
    const bool any = std::ranges::any_of(main, keep);
    std::erase_if(main, [&](std::uint32_t r) { return any ? !keep(r) : data.groups[r] != first; });
  }
  if (main.empty()) return fail("too few prompts to cross-validate; use fewer folds or --no-cv");
  const auto auxiliary =
      choose_auxiliary(data, main, {.keep_all = options.keep_all_files, .seed = task.seed});
  const std::vector<double> weights = chosen_weights(data, auxiliary);
  const std::vector<std::uint32_t> rows = training_rows(data, main, weights, fold.group_held_out);
  rows_used = main.size();
  AGON_ASSIGN(const Stack stack,
              Stack::fit(data, rows, weights, recipe_for(rows.size(), options), task.seed));

  std::vector<std::uint32_t> held_out;
  std::vector<Outcome> outcomes;
  for (const std::uint32_t place : fold.held_out) {
    held_out.push_back(data.main_rows[place]);
    outcomes.push_back(data.outcomes[held_out.back()]);
  }
  FoldResult result;
  std::vector<float> x = stack_rows(stack, data, held_out);
  AGON_ASSIGN(result.learners, stack.predict(x));
  for (std::size_t i = 0; i < held_out.size(); ++i)
    result.shifts.push_back(stack.shifts(std::span(x).subspan(i * stack.columns(), stack.columns())));
  result.corrections = stack.corrections();
  if (!task.first_seed) return result;
  const Baselines baselines = Baselines::fit(data, rows, weights);
  result.prior.assign(held_out.size(), baselines.prior());
  for (const std::uint32_t r : held_out)
    result.length_only.push_back(baselines.length_only(data.features.row(r)));
  const std::size_t n = std::min(outcomes.size(), kShuffledRows);
  x.resize(n * stack.columns());
  AGON_ASSIGN(
      result.shuffled,
      shuffled_losses(
          {.pushes = [&](std::span<const float> rows, std::vector<double>& direction,
                         std::vector<double>& tie) { return stack.contributions(rows, {}, direction, tie); },
           .predict = [&](std::span<const float> rows) -> Result<std::vector<Prediction>> {
             AGON_ASSIGN(const auto learners, stack.predict(rows));
             std::vector<Prediction> out;
             for (std::size_t i = 0; i < learners[0].size(); ++i)
               out.push_back(
                   shifted(blend_row(learners, i, {}),
                           sum_of(stack.shifts(rows.subspan(i * stack.columns(), stack.columns())))));
             return out;
           }},
          std::move(x), std::span(outcomes).first(n), task.seed));
  return result;
}

/// The places among main_rows that a fold does not hold out.
std::vector<std::uint32_t> places_outside(const Fold& fold, std::size_t places) {
  std::vector<bool> inside(places);
  for (const std::uint32_t i : fold.held_out) inside[i] = true;
  std::vector<std::uint32_t> others;
  for (std::uint32_t i = 0; i < places; ++i)
    if (!inside[i]) others.push_back(i);
  return others;
}

/// Blend of every row with weights learned on the other folds' rows.
std::vector<Prediction> cross_fitted_blend(const std::array<std::vector<Prediction>, kLearners>& learners,
                                           const std::vector<Fold>& folds,
                                           std::span<const Outcome> outcomes) {
  std::vector<Prediction> out(outcomes.size());
  for (const Fold& fold : folds) {
    const BlendWeights weights = fit_blend(learners, outcomes, places_outside(fold, outcomes.size()));
    for (const std::uint32_t i : fold.held_out) out[i] = blend_row(learners, i, weights);
  }
  return out;
}

/// Shares of the training prompts that the learning curve learns from, the dearest first; all of them is the
/// cross-validation itself.
constexpr std::array kCurveShares = {0.5, 0.25, 0.125};

/// One fit of the cross-validation or of the learning curve.
struct FoldRun {
  std::size_t drawing = 0, fold = 0;
  FoldTask task;
  FoldResult result;
  std::size_t rows = 0;  ///< of the first file, learned from
};

/// The language model's blocks that each fold keeps, judged on the other folds' rows.
std::vector<std::vector<bool>> cross_fitted_blocks(const BlockShifts& drawing, const std::vector<Fold>& folds,
                                                   const TrainOptions& options) {
  std::vector<std::vector<bool>> kept(folds.size());
  parallel_for(folds.size(), [&](std::size_t f) {
    if (options.keep_all_blocks)
      kept[f].assign(drawing.shifts.front().size(), true);
    else
      kept[f] = worth_keeping({&drawing, 1}, places_outside(folds[f], drawing.outcomes.size()));
  });
  return kept;
}

std::size_t curve_folds(const Dataset& data, std::size_t folds) {
  return std::min<std::size_t>(folds, data.main_rows.size() > 20000 ? 1 : 2);
}

/// Log loss against training size: the same held-out folds, smaller shares of the prompts to learn from.
std::vector<LearningPoint> learning_curve(const Dataset& data, const std::vector<Fold>& folds,
                                          std::span<const FoldRun> runs, std::span<const Outcome> outcomes,
                                          std::span<const std::vector<bool>> kept_blocks,
                                          std::uint64_t seed) {
  std::map<double, std::pair<std::size_t, std::vector<ScoredRow>>> by_share;
  const std::size_t used = curve_folds(data, folds.size());
  for (const FoldRun& run : runs) {
    if (run.drawing != 0 || run.fold >= used) continue;
    auto& [rows, scored] = by_share[run.task.share];
    rows += run.rows;
    const std::vector<std::uint32_t>& held_out = folds[run.fold].held_out;
    for (std::size_t i = 0; i < held_out.size(); ++i)
      scored.push_back({shifted(blend_row(run.result.learners, i, {}),
                                sum_of(run.result.shifts[i], kept_blocks[run.fold])),
                        outcomes[held_out[i]], 1.0, data.groups[data.main_rows[held_out[i]]]});
  }
  std::vector<LearningPoint> points;
  for (const auto& [share, of] : by_share)
    points.push_back({of.first / used, measure(of.second, {.draws = 300, .seed = seed}).log_loss});
  return points;
}

}  // namespace

BlendWeights fit_blend(const std::array<std::vector<Prediction>, kLearners>& learners,
                       std::span<const Outcome> outcomes, std::span<const std::uint32_t> rows) {
  static_assert(kLearners == 2, "one weight for each part is searched; more learners want another search");
  // The loss splits into that of tie or not and that of A or B where decided, so each part has its own
  // search.
  const auto search = [](const auto& loss) {
    double best = 0.5, best_value = HUGE_VAL;
    for (int step = 0; step <= 20; ++step) {
      const double w = step / 20.0, value = kBlendPull * (w - 0.5) * (w - 0.5) + loss(w);
      if (value < best_value) {
        best_value = value;
        best = w;
      }
    }
    return std::array<double, kLearners>{best, 1 - best};
  };
  BlendWeights weights;
  weights.tie = search([&](double w) {
    double sum = 0;
    for (const std::uint32_t i : rows) {
      const Prediction p = blend_row(learners, i, {.direction = BlendWeights::equal(), .tie = {w, 1 - w}});
      sum -= std::log(outcomes[i] == Outcome::kTie ? p.tie : p.a + p.b);
    }
    return sum;
  });
  weights.direction = search([&](double w) {
    double sum = 0;
    for (const std::uint32_t i : rows) {
      if (outcomes[i] == Outcome::kTie) continue;
      const Prediction p = blend_row(learners, i, {.direction = {w, 1 - w}, .tie = weights.tie});
      sum -= std::log((outcomes[i] == Outcome::kA ? p.a : p.b) / (p.a + p.b));
    }
    return sum;
  });
  return weights;
}

Result<CrossValidation> cross_validate(const Dataset& data, const TrainOptions& options,
                                       const Progress& progress) {
  CrossValidation cv;
  cv.folds = options.folds != 0 ? options.folds : data.main_rows.size() > 20000 ? 3 : 5;
  std::vector<Outcome> outcomes;
  std::vector<std::uint32_t> every;
  for (const std::uint32_t r : data.main_rows) {
    every.push_back(static_cast<std::uint32_t>(every.size()));
    outcomes.push_back(data.outcomes[r]);
  }
  const std::size_t n = outcomes.size();
  if (n < 2 * std::size_t{cv.folds})
    return fail("too few votes to cross-validate; use fewer folds or --no-cv");

  std::vector<std::vector<Fold>> drawings;
  for (std::uint32_t s = 0; s < options.cv_seeds; ++s)
    drawings.push_back(draw_folds(data, cv.folds, options.seed + s));
  // The points of the learning curve are fitted beside the folds, so that no core waits for the last of each.
  std::vector<FoldRun> runs;
  for (std::size_t s = 0; s < drawings.size(); ++s)
    for (std::size_t f = 0; f < cv.folds; ++f)
      runs.push_back(
          {.drawing = s, .fold = f, .task = {.first_seed = s == 0, .seed = options.seed + s}, .result = {}});
  if (options.learning_curve)
    for (const double share : kCurveShares)
      for (std::size_t f = 0; f < curve_folds(data, cv.folds); ++f)
        runs.push_back({.fold = f, .task = {.seed = options.seed, .share = share}, .result = {}});
  std::vector<Status> status(runs.size());
  std::mutex lock;
  std::size_t done = 0;
  if (progress) progress("cross-validation", 0, runs.size());
  parallel_for(runs.size(), [&](std::size_t i) {
    FoldRun& run = runs[i];
    status[i] = [&]() -> Status {
      AGON_ASSIGN(run.result, run_fold(data, drawings[run.drawing][run.fold], run.task, options, run.rows));
      return {};
    }();
    const std::lock_guard guard(lock);
    if (progress) progress("cross-validation", ++done, runs.size());
  });
  for (const Status& one : status)
    if (!one) return std::unexpected(one.error());

  std::vector<std::string> blocks;
  for (const AnswerBlock& block : data.lm) blocks.push_back(block.name);
  std::vector<std::uint32_t> main_groups;
  for (const std::uint32_t r : data.main_rows) main_groups.push_back(data.groups[r]);
  BlockGains gains(blocks, main_groups);
  struct Drawing {
    std::vector<Prediction> without;  ///< the blend, before the language model's shifts
    std::vector<std::vector<Shift>> shifts;
  };
  std::vector<Drawing> judged(drawings.size());
  for (std::size_t s = 0; s < drawings.size(); ++s) {
    std::array<std::vector<Prediction>, kLearners> learners;
    for (auto& l : learners) l.resize(n);
    std::vector<std::vector<Shift>>& shifts = judged[s].shifts;
    std::vector<std::uint32_t> fold_of(n);
    shifts.resize(n);
    for (std::uint32_t f = 0; f < cv.folds; ++f) {
      const FoldResult& result = runs[s * cv.folds + f].result;
      for (std::size_t i = 0; i < drawings[s][f].held_out.size(); ++i) {
        const std::uint32_t place = drawings[s][f].held_out[i];
        for (std::size_t k = 0; k < kLearners; ++k) learners[k][place] = result.learners[k][i];
        shifts[place] = result.shifts[i];
        fold_of[place] = f;
      }
    }
    judged[s].without = cross_fitted_blend(learners, drawings[s], outcomes);
    const BlockShifts drawing{judged[s].without, shifts, outcomes};
    const std::vector<std::vector<bool>> kept = cross_fitted_blocks(drawing, drawings[s], options);
    for (std::size_t f = 0; f < cv.folds; ++f)
      gains.add_fit(runs[s * cv.folds + f].result.corrections, kept[f]);
    gains.add_drawing(drawing, fold_of, kept);
    std::vector<Prediction> blended = judged[s].without;
    for (std::size_t i = 0; i < n; ++i) blended[i] = shifted(blended[i], sum_of(shifts[i], kept[fold_of[i]]));
    double sum = 0;
    for (std::size_t i = 0; i < n; ++i) sum += log_loss(blended[i], outcomes[i]);
    cv.log_loss_by_seed.push_back(sum / static_cast<double>(n));
    if (s > 0) continue;
    if (options.learning_curve)
      cv.learning_curve = learning_curve(data, drawings[0], runs, outcomes, kept, options.seed);
    cv.predictions = blended;
    cv.weights = fit_blend(learners, outcomes, every);
    cv.learners = std::move(learners);
    cv.prior.resize(n);
    cv.length_only.resize(n);
    std::vector<ShuffledLosses> shuffled;
    for (std::size_t f = 0; f < cv.folds; ++f) {
      FoldResult& r = runs[f].result;
      for (std::size_t i = 0; i < drawings[0][f].held_out.size(); ++i) {
        cv.prior[drawings[0][f].held_out[i]] = r.prior[i];
        cv.length_only[drawings[0][f].held_out[i]] = r.length_only[i];
      }
      shuffled.push_back(std::move(r.shuffled));
    }
    std::vector<Column> columns = data.columns;
    columns.insert(columns.end(), score_columns().begin(), score_columns().end());
    for (const std::string& block : blocks)
      for (Column& column : correction_columns(block)) columns.push_back(std::move(column));
    cv.importances = ranked_importances(shuffled, columns);
  }
  if (!blocks.empty()) {
    std::vector<BlockShifts> all;
    for (const Drawing& one : judged) all.push_back({one.without, one.shifts, outcomes});
    const std::vector<bool> kept =
        options.keep_all_blocks ? std::vector<bool>(blocks.size(), true) : worth_keeping(all, every);
    for (std::size_t b = 0; b < blocks.size(); ++b)
      if (kept[b]) cv.kept_blocks.push_back(blocks[b]);
    cv.block_gains = gains.result();
    cv.log_loss_without_lm_by_seed = gains.log_loss_without();
  }
  return cv;
}

Result<Trained> train(const Dataset& data, const std::optional<FinalChoices>& choices, const ModelCard& card,
                      const TrainOptions& options, const Progress& progress, const AnswerSpec& lm) {
  Trained out;
  if (progress) progress("final fit", 0, 2);
  out.auxiliary =
      choose_auxiliary(data, data.main_rows, {.keep_all = options.keep_all_files, .seed = options.seed});
  const std::vector<double> row_weights = chosen_weights(data, out.auxiliary);
  const std::vector<bool> none(*std::ranges::max_element(data.groups) + std::size_t{1});
  const std::vector<std::uint32_t> rows = training_rows(data, data.main_rows, row_weights, none);
  if (progress) progress("final fit", 1, 2);
  Recipe recipe = recipe_for(rows.size(), options);
  if (choices)
    recipe.lm_blocks = choices->lm_blocks;
  else if (!options.keep_all_blocks)
    recipe.correction.doubt = 0;
  AGON_ASSIGN(Stack stack, Stack::fit(data, rows, row_weights, recipe, options.seed));
  Baselines baselines = Baselines::fit(data, rows, row_weights);
  ModelCard full = card;
  full.emplace_back("chosen in inner folds",
                    fmt::format("penalty {:g} times the default, {} rounds of trees of depth {}",
                                stack.linear_choice(), stack.rounds(), stack.depth()));
  for (const std::string& line : describe(data, out.auxiliary)) full.emplace_back("further file", line);
  if (std::string left_out = left_out_blocks(data, stack); !left_out.empty())
    full.emplace_back(kLeftOutFact, left_out + (choices ? ": brought nothing on rows that were held out"
                                                        : ": brought nothing in the inner folds"));
  out.model = PreferenceModel(std::move(stack), choices ? choices->weights : BlendWeights{},
                              std::move(baselines), data.ngram_options, std::move(full), lm);
  if (progress) progress("final fit", 2, 2);
  return out;
}

}  // namespace agon
