#include "agon/preference/inner_choice.h"

#include <algorithm>
#include <cmath>

#include "agon/base/check.h"
#include "agon/base/parallel.h"
#include "agon/stats/metrics.h"
#include "agon/stats/paired.h"

namespace agon {
namespace {

/// Weighted held-out losses by choice and split: the same rows in the same order for every choice.
using Losses = std::vector<std::vector<std::vector<double>>>;
/// Likewise.
using Predictions = std::vector<std::vector<std::vector<Prediction>>>;

Losses losses_of(const Predictions& by_choice, const TrainingRows& all, std::span<const InnerSplit> splits) {
  Losses out(by_choice.size(), std::vector<std::vector<double>>(splits.size()));
  for (std::size_t c = 0; c < by_choice.size(); ++c)
    for (std::size_t s = 0; s < splits.size(); ++s)
      for (std::size_t i = 0; i < by_choice[c][s].size(); ++i) {
        const std::uint32_t r = splits[s].held_out[i];
        out[c][s].push_back(all.weights[r] * log_loss(by_choice[c][s][i], all.outcomes[r]));
      }
  return out;
}

/// The number of the choice to take.
std::size_t choose(const Losses& by_choice) {
  const auto joined = [](const std::vector<std::vector<double>>& parts) {
    std::vector<double> all;
    for (const auto& part : parts) all.insert(all.end(), part.begin(), part.end());
    return all;
  };
  const std::vector<double> reference = joined(by_choice.front());
  std::size_t best = 0;
  double best_mean = 0;
  for (std::size_t c = 1; c < by_choice.size() && reference.size() > 1; ++c) {
    const Paired d = paired_difference(joined(by_choice[c]), reference);
    if (d.mean < -d.error && d.mean < best_mean) {
      best_mean = d.mean;
      best = c;
    }
  }
  return best;
}

TrainingRows with_rows(const TrainingRows& all, std::span<const std::uint32_t> rows) {
  return {all.features, all.parity, rows, all.outcomes, all.weights};
}

}  // namespace

std::vector<InnerSplit> inner_splits(std::span<const std::uint32_t> fold, std::uint32_t folds) {
  std::vector<InnerSplit> out(folds);
  for (std::uint32_t i = 0; i < fold.size(); ++i)
    for (std::uint32_t f = 0; f < folds; ++f) (fold[i] == f ? out[f].held_out : out[f].train).push_back(i);
  return out;
}

OddEvenOptions with_penalty(OddEvenOptions options, double times) {
  options.l2_odd *= times;
  options.l2_even *= times;
  return options;
}

BoostedOptions with_size(BoostedOptions options, const TreeChoice& choice) {
  options.rounds = std::max(1, static_cast<int>(std::lround(options.rounds * choice.rounds)));
  options.depth += choice.deeper;
  return options;
}

Chosen<double> choose_penalty(const TrainingRows& all, std::span<const InnerSplit> splits,
                              const OddEvenOptions& options, std::span<const double> choices) {
  AGON_CHECK(!choices.empty());
  if (choices.size() == 1) return {choices.front()};
  Predictions said(choices.size(), std::vector<std::vector<Prediction>>(splits.size()));
  parallel_for(splits.size(), [&](std::size_t s) {
    if (splits[s].train.empty()) return;
    const auto models = OddEvenModel::fit_path(with_rows(all, splits[s].train), options, choices);
    for (std::size_t c = 0; c < choices.size(); ++c)
      for (const std::uint32_t r : splits[s].held_out)
        said[c][s].push_back(models[c].predict(all.features->row(r)));
  });
  const std::size_t best = choose(losses_of(said, all, splits));
  return {choices[best], std::move(said[best])};
}

Result<Chosen<TreeChoice>> choose_trees(const TrainingRows& all, std::span<const InnerSplit> splits,
                                        const BoostedOptions& options, std::span<const TreeChoice> choices) {
  AGON_CHECK(!choices.empty());
  if (choices.size() == 1) return Chosen<TreeChoice>{choices.front()};
  std::vector<TreeChoice> grown;  // the most rounds of every depth
  for (const TreeChoice& c : choices) {
    const auto same = std::ranges::find(grown, c.deeper, &TreeChoice::deeper);
    if (same == grown.end())
      grown.push_back(c);
    else
      same->rounds = std::max(same->rounds, c.rounds);
  }
  Predictions said(choices.size(), std::vector<std::vector<Prediction>>(splits.size()));
  std::vector<Status> status(splits.size() * grown.size());
  const auto run = [&](const InnerSplit& split, const TreeChoice& most, std::size_t s) -> Status {
    if (split.train.empty()) return {};
    BoostedOptions sized = with_size(options, most);
    sized.bags = 1;
    AGON_ASSIGN(const BoostedModel model, BoostedModel::fit(with_rows(all, split.train), sized));
    const std::vector<float> held_out = all.features->rows_of(split.held_out);
    for (std::size_t c = 0; c < choices.size(); ++c) {
      if (choices[c].deeper != most.deeper) continue;
      AGON_ASSIGN(said[c][s], model.predict(held_out, with_size(options, choices[c]).rounds));
    }
    return {};
  };
  parallel_for(status.size(), [&](std::size_t task) {
    const std::size_t s = task / grown.size();
    status[task] = run(splits[s], grown[task % grown.size()], s);
  });
  for (const Status& one : status)
    if (!one) return std::unexpected(one.error());
  const std::size_t best = choose(losses_of(said, all, splits));
  return Chosen<TreeChoice>{choices[best], std::move(said[best])};
}

}  // namespace agon
