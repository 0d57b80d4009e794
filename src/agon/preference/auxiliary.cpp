#include "agon/preference/auxiliary.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>

#include "agon/base/parallel.h"
#include "agon/base/random.h"
#include "agon/data/prompt_groups.h"
#include "agon/preference/models/odd_even.h"
#include "agon/stats/metrics.h"
#include "agon/stats/paired.h"

namespace agon {
namespace {

/// Held-out losses of the judged rows under one set of row weights.
class Judge {
 public:
  Judge(const Dataset& data, std::span<const std::uint32_t> main_rows, const AuxiliaryOptions& options)
      : data_(data), options_(options), main_(main_rows.begin(), main_rows.end()) {
    if (main_.size() > options.max_main_rows) {
      Random(options.seed, 77).shuffle(std::span(main_));
      main_.resize(options.max_main_rows);
      std::ranges::sort(main_);
    }
    std::vector<std::uint32_t> groups;
    for (const std::uint32_t r : main_) groups.push_back(data.groups[r]);
    fold_ = grouped_folds(groups, options.folds, options.seed);
    for (const Column& c : data.columns) parity_.push_back(c.parity);
  }
  [[nodiscard]] std::vector<double> losses(std::vector<double> weights) const {
    for (std::size_t i = 0; i < weights.size(); ++i)
      if (data_.votes()[i].source != 0) weights[i] *= options_.further_share;
    std::vector<double> out(main_.size());
    const std::size_t all_groups = *std::ranges::max_element(data_.groups) + std::size_t{1};
    parallel_for(options_.folds, [&](std::size_t f) {
      std::vector<bool> held_out(all_groups);
      for (std::size_t i = 0; i < main_.size(); ++i)
        if (fold_[i] == f) held_out[data_.groups[main_[i]]] = true;
      const auto rows = training_rows(data_, main_, weights, held_out);
      if (rows.empty()) return;
      const OddEvenModel model =
          OddEvenModel::fit({&data_.features, parity_, rows, data_.outcomes, weights},
                            {.l2_odd = options_.l2, .l2_even = options_.l2, .max_iterations = 8});
      for (std::size_t i = 0; i < main_.size(); ++i)
        if (fold_[i] == f)
          out[i] = log_loss(model.predict(data_.features.row(main_[i])), data_.outcomes[main_[i]]);
    });
    return out;
  }

 private:
  const Dataset& data_;
  const AuxiliaryOptions& options_;
  std::vector<std::uint32_t> main_, fold_;
  std::vector<Parity> parity_;
};

/// Smaller gains are not believed: MT-Bench votes beside 1,500 Arena votes gained 1.3 standard errors
/// here and cost the whole stack 0.0015 of log loss, the mean of five drawings of folds.
constexpr double kStandardErrors = 2;

std::vector<double> candidates(const VoteSource& source) {
  if (!source.auto_weight) return {source.weight};
  return {0.15, 0.05, 0.4, 1.0};
}

}  // namespace

std::vector<double> chosen_weights(const Dataset& data, std::span<const AuxiliaryChoice> choices) {
  std::vector<double> factor(std::max<std::size_t>(1, data.set.sources.size()), 1.0);
  for (const AuxiliaryChoice& c : choices) {
    const VoteSource& source = data.set.sources[c.source];
    // A row's weight already holds its file's given weight; only a chosen one comes on top.
    factor[c.source] = !c.kept ? 0.0 : source.auto_weight ? c.weight : 1.0;
  }
  std::vector<double> weights(data.weights);
  for (std::size_t i = 0; i < weights.size(); ++i) weights[i] *= factor[data.votes()[i].source];
  return weights;
}

std::vector<std::uint32_t> training_rows(const Dataset& data, std::span<const std::uint32_t> main_rows,
                                         std::span<const double> weights,
                                         const std::vector<bool>& group_held_out) {
  std::vector<std::uint32_t> rows;
  for (const std::uint32_t r : main_rows)
    if (!group_held_out[data.groups[r]] && weights[r] > 0) rows.push_back(r);
  for (std::uint32_t r = 0; r < data.outcomes.size(); ++r)
    if (data.votes()[r].source != 0 && weights[r] > 0 && !group_held_out[data.groups[r]]) rows.push_back(r);
  return rows;
}

std::vector<AuxiliaryChoice> choose_auxiliary(const Dataset& data, std::span<const std::uint32_t> main_rows,
                                              const AuxiliaryOptions& options) {
  std::vector<AuxiliaryChoice> choices;
  for (std::size_t s = 1; s < data.set.sources.size(); ++s)
    choices.push_back({.source = s,
                       .weight = data.set.sources[s].auto_weight ? 1.0 : data.set.sources[s].weight,
                       .gain = std::nan(""),
                       .error = std::nan(""),
                       .kept = options.keep_all});
  if (choices.empty() || options.keep_all) return choices;
  const Judge judge(data, main_rows, options);
  std::vector<double> base = judge.losses(chosen_weights(data, choices));
  for (AuxiliaryChoice& choice : choices) {
    AuxiliaryChoice best = choice;
    std::vector<double> best_losses;
    for (const double weight : candidates(data.set.sources[choice.source])) {
      AuxiliaryChoice tried = choice;
      tried.kept = true;
      tried.weight = weight;
      choice = tried;
      std::vector<double> losses = judge.losses(chosen_weights(data, choices));
      const Paired fall = paired_difference(base, losses);
      tried.gain = fall.mean;
      tried.error = fall.error;
      if (best_losses.empty() || tried.gain > best.gain) {
        best = tried;
        best_losses = std::move(losses);
      }
    }
    best.kept = best.gain > kStandardErrors * best.error;
    if (best.kept) base = std::move(best_losses);
    choice = best;
  }
  return choices;
}

std::vector<std::string> describe(const Dataset& data, std::span<const AuxiliaryChoice> choices) {
  std::vector<std::string> out;
  for (const AuxiliaryChoice& c : choices) {
    const std::string& path = data.set.sources[c.source].path;
    const std::string name = path.substr(path.find_last_of('/') + 1);
    if (std::isnan(c.gain))
      out.push_back(fmt::format("{}: kept at weight {:g} as asked, not judged", name, c.weight));
    else
      out.push_back(fmt::format(
          "{}: {} at weight {:g}; it {} the held-out log loss by {:.4f} (standard error {:.4f}){}", name,
          c.kept ? "kept" : "left out", c.weight, c.gain > 0 ? "lowers" : "raises", std::fabs(c.gain),
          c.error, !c.kept && c.gain > 0 ? ", too little to be believed" : ""));
  }
  return out;
}

}  // namespace agon
