#include "agon/preference/text_scores.h"

#include <algorithm>
#include <cmath>
#include <limits>

#include "agon/base/check.h"
#include "agon/base/parallel.h"

namespace agon {

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

namespace {

using Strengths = std::vector<std::array<double, 2>>;

/// Strengths of A's and B's model for every row; NAN for votes without names, which teach no strength.
Strengths strengths_of(const Dataset& data, std::span<const std::uint32_t> rows,
                       std::span<const std::uint32_t> learn, std::span<const double> row_weights,
                       const StrengthOptions& options) {
  const auto strengths = fit_strengths(data.votes(), learn, row_weights, data.ratings, options);
  constexpr double kNone = std::numeric_limits<double>::quiet_NaN();
  const auto of = [&](const std::string& model) {
    const auto found = strengths.find(model);
    return found == strengths.end() ? kNone : found->second;
  };
  Strengths out;
  out.reserve(rows.size());
  for (const std::uint32_t r : rows) {
    const Vote& vote = data.votes()[r];
    const double a = of(vote.model_a), b = of(vote.model_b);
    out.push_back(std::isnan(a) || std::isnan(b) ? std::array{kNone, kNone} : std::array{a, b});
  }
  return out;
}

RatingDifference fit_style(const Dataset& data, std::span<const std::uint32_t> rows,
                           const NgramTargets& targets, std::span<const double> row_weights,
                           const TextScores::Options& options) {
  std::vector<std::uint32_t> named;
  std::vector<double> differences;
  for (std::size_t i = 0; i < rows.size(); ++i) {
    if (targets.weight[i] == 0 || std::isnan(targets.strength[i][0])) continue;
    named.push_back(rows[i]);
    differences.push_back(targets.strength[i][0] - targets.strength[i][1]);
  }
  return RatingDifference::fit(data.features, data.columns, named, differences, row_weights, options.style_l2,
                               options.style_clip);
}

}  // namespace

TextScores::Fitted TextScores::fit(const Dataset& data, std::span<const std::uint32_t> rows,
                                   std::span<const double> row_weights, std::span<const std::uint32_t> fold,
                                   std::uint32_t folds, const Options& options) {
  AGON_CHECK(fold.size() == rows.size() && folds <= kMostFolds);
  // Number 0 learns from all rows, number f + 1 from all but those of fold f.
  std::vector<NgramTargets> targets(folds + std::size_t{1});
  std::vector<RatingDifference> style(targets.size());
  parallel_for(targets.size(), [&](std::size_t t) {
    std::vector<std::uint32_t> learn;
    for (std::size_t i = 0; i < rows.size(); ++i) {
      const bool learned = t == 0 || fold[i] != t - 1;
      targets[t].weight.push_back(learned ? row_weights[rows[i]] : 0);
      if (learned) learn.push_back(rows[i]);
    }
    targets[t].strength = strengths_of(data, rows, learn, row_weights, options.strengths);
    style[t] = fit_style(data, rows, targets[t], row_weights, options);
  });
  auto ngrams =
      NgramScorer::fit(data.ngrams, rows, data.outcomes, targets, data.ngram_options, options.ngrams);
  Fitted out;
  out.out_of_fold.resize(rows.size());
  for (std::size_t i = 0; i < rows.size(); ++i) {
    if (folds == 0) break;
    const auto& [a, b] = ngrams.scores[fold[i] + std::size_t{1}][i];
    out.out_of_fold[i] = {a[0] - b[0], a[1] - b[1],
                          style[fold[i] + std::size_t{1}].predict(data.features.row(rows[i]))};
  }
  out.scores.ngrams_ = std::move(ngrams.scorer);
  out.scores.style_ = std::move(style[0]);
  return out;
}

std::array<double, kScores> TextScores::odd(std::span<const float> features, const SparseRows& answers,
                                            std::size_t row_a, std::size_t row_b) const {
  const NgramScorer::Scores a = ngrams_.score(answers, row_a), b = ngrams_.score(answers, row_b);
  return {a[0] - b[0], a[1] - b[1], style_.predict(features)};
}

void TextScores::put(const std::array<double, kScores>& odd, std::span<float> out) {
  for (std::size_t k = 0; k < kScores; ++k) {
    out[k] = static_cast<float>(odd[k]);
    out[kScores + k] = std::fabs(out[k]);
  }
}

void TextScores::save(ByteWriter& out) const {
  ngrams_.save(out);
  style_.save(out);
}

TextScores TextScores::load(ByteReader& in) {
  TextScores scores;
  scores.ngrams_ = NgramScorer::load(in);
  scores.style_ = RatingDifference::load(in);
  return scores;
}

}  // namespace agon
