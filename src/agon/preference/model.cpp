#include "agon/preference/model.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <numeric>

#include "agon/base/check.h"
#include "agon/base/parallel.h"
#include "agon/data/submission.h"

namespace agon {
namespace {

constexpr std::size_t kGrain = 64;

/// The columns that the length-only baseline reads, as places among the built-in ones.
const std::vector<std::size_t>& length_columns() {
  static const std::vector<std::size_t> places = [] {
    std::vector<std::size_t> out;
    const auto& columns = text_columns();
    for (std::size_t j = 0; j < columns.size(); ++j)
      if (columns[j].name.starts_with("length.chars.") || columns[j].name.starts_with("length.words."))
        out.push_back(j);
    return out;
  }();
  return places;
}

std::vector<float> pick(std::span<const float> row) {
  std::vector<float> out;
  for (const std::size_t j : length_columns()) out.push_back(row[j]);
  return out;
}

}  // namespace

std::vector<Column> model_columns(const Stack& stack) {
  std::vector<Column> columns = text_columns();
  columns.insert(columns.end(), score_columns().begin(), score_columns().end());
  for (const Correction& correction : stack.corrections())
    for (Column& column : correction_columns(correction.block())) columns.push_back(std::move(column));
  return columns;
}

Baselines Baselines::fit(const Dataset& data, std::span<const std::uint32_t> rows,
                         std::span<const double> weights) {
  Baselines out;
  double decided = 0, ties = 0;
  FeatureMatrix x{.rows = rows.size(), .columns = length_columns().size(), .values = {}};
  std::vector<Outcome> outcomes;
  std::vector<double> own_weights;
  for (const std::uint32_t r : rows) {
    (data.outcomes[r] == Outcome::kTie ? ties : decided) += weights[r];
    const std::vector<float> values = pick(data.features.row(r));
    x.values.insert(x.values.end(), values.begin(), values.end());
    outcomes.push_back(data.outcomes[r]);
    own_weights.push_back(weights[r]);
  }
  // One vote of each class is added, so that a class that does not occur is never impossible.
  const double total = decided + ties + 3;
  out.prior_ = {(decided + 2) / 2 / total, (decided + 2) / 2 / total, (ties + 1) / total};
  std::vector<Parity> parity;
  for (const std::size_t j : length_columns()) parity.push_back(text_columns()[j].parity);
  std::vector<std::uint32_t> every(rows.size());
  std::iota(every.begin(), every.end(), 0U);
  out.length_ = OddEvenModel::fit({&x, parity, every, outcomes, own_weights}, {.l2_odd = 10, .l2_even = 10});
  return out;
}

Prediction Baselines::length_only(std::span<const float> features) const {
  return length_.predict(pick(features));
}

void Baselines::save(ByteWriter& out) const {
  for (const double p : {prior_.a, prior_.b, prior_.tie}) out.put(p);
  length_.save(out);
}

Baselines Baselines::load(ByteReader& in) {
  Baselines out;
  out.prior_.a = in.get<double>();
  out.prior_.b = in.get<double>();
  out.prior_.tie = in.get<double>();
  out.length_ = OddEvenModel::load(in);
  const auto inside = [](double p) { return p > 0 && p < 1; };
  if (!inside(out.prior_.a) || !inside(out.prior_.b) || !inside(out.prior_.tie) ||
      out.length_.columns() != length_columns().size())
    in.fail();
  return out;
}

PreferenceModel::PreferenceModel(Stack stack, const BlendWeights& weights, Baselines baselines,
                                 NgramOptions ngrams, ModelCard card, AnswerSpec lm)
    : stack_(std::move(stack)),
      weights_(weights),
      baselines_(std::move(baselines)),
      ngrams_(ngrams),
      card_(std::move(card)),
      lm_(std::move(lm)) {
  stack_.drop_idle_corrections();
  lm_.blocks.clear();
  for (const Correction& correction : stack_.corrections()) lm_.blocks.push_back(correction.block());
  columns_ = model_columns(stack_);
}

void PreferenceModel::attach(std::shared_ptr<AnswerSource> source) {
  AGON_CHECK(source != nullptr && source->spec().gives_the_same(lm_));
  source_ = std::move(source);
}

Result<std::vector<float>> PreferenceModel::rows(std::span<const Vote> votes,
                                                 const Progress& progress) const {
  std::vector<AnswerBlock> blocks;
  if (language_model() != nullptr) {
    if (source_ == nullptr)
      return std::unexpected(Error{.message = "this predictor reads the answers with a language model",
                                   .expected = fmt::format("{} (--lm)", lm_.name)});
    AGON_ASSIGN(blocks, source_->read(votes, progress));
    for (const Correction& correction : stack_.corrections()) {
      const auto block = std::ranges::find(blocks, correction.block(), &AnswerBlock::name);
      AGON_CHECK(block != blocks.end());
      // A server may have another model under the same name since.
      if (block->width != correction.width())
        return std::unexpected(
            Error{.message = fmt::format("the block '{}' has {} numbers now", block->name, block->width),
                  .file = source_->spec().location,
                  .expected = fmt::format("{}, as when the predictor was trained", correction.width())});
    }
  }
  const FeatureMatrix features = text_features(votes);
  const std::size_t width = stack_.columns();
  std::vector<float> out(votes.size() * width);
  parallel_chunks(votes.size(), kGrain, [&](std::size_t begin, std::size_t end) {
    SparseRows answers;
    for (std::size_t i = begin; i < end; ++i) {
      append_ngrams(votes[i].response_a, ngrams_, answers);
      append_ngrams(votes[i].response_b, ngrams_, answers);
    }
    for (std::size_t i = begin; i < end; ++i)
      stack_.fill_row(features.row(i), answers, 2 * (i - begin), 2 * (i - begin) + 1, blocks, i,
                      std::span(out).subspan(i * width, width));
  });
  return out;
}

Result<std::vector<Prediction>> PreferenceModel::predict_rows(std::span<const float> rows) const {
  AGON_ASSIGN(const auto learners, stack_.predict(rows));
  std::vector<Prediction> out(learners[0].size());
  for (std::size_t i = 0; i < out.size(); ++i) {
    std::array<Prediction, kLearners> each;
    for (std::size_t k = 0; k < kLearners; ++k) each[k] = learners[k][i];
    out[i] = quantised(shifted(blend(each, weights_),
                               sum_of(stack_.shifts(rows.subspan(i * stack_.columns(), stack_.columns())))));
  }
  return out;
}

Result<std::vector<Prediction>> PreferenceModel::predict(std::span<const Vote> votes,
                                                         const Progress& progress) const {
  AGON_ASSIGN(const std::vector<float> all, rows(votes, progress));
  return predict_rows(all);
}

void PreferenceModel::predict_baselines(std::span<const Vote> votes, std::vector<Prediction>& prior,
                                        std::vector<Prediction>& length_only) const {
  const FeatureMatrix features = text_features(votes);
  prior.assign(votes.size(), baselines_.prior());
  length_only.clear();
  for (std::size_t i = 0; i < votes.size(); ++i)
    length_only.push_back(baselines_.length_only(features.row(i)));
}

Status PreferenceModel::contributions(std::span<const float> rows, std::vector<double>& direction,
                                      std::vector<double>& tie) const {
  return stack_.contributions(rows, weights_, direction, tie);
}

Result<std::vector<std::vector<Push>>> PreferenceModel::explain(std::span<const Vote> votes,
                                                                std::size_t most) const {
  AGON_ASSIGN(const std::vector<float> all, rows(votes));
  const std::size_t width = stack_.columns();
  std::vector<double> direction, tie;
  AGON_TRY(contributions(all, direction, tie));
  std::vector<std::vector<Push>> out(votes.size());
  std::vector<std::size_t> order(width);
  for (std::size_t i = 0; i < votes.size(); ++i) {
    const auto size = [&](std::size_t j) {
      return std::fabs(direction[i * width + j]) + std::fabs(tie[i * width + j]);
    };
    std::iota(order.begin(), order.end(), std::size_t{0});
    std::ranges::stable_sort(order, std::ranges::greater{}, size);
    for (std::size_t k = 0; k < std::min(most, width) && size(order[k]) > 0; ++k)
      out[i].push_back(
          {columns()[order[k]].name, direction[i * width + order[k]], tie[i * width + order[k]]});
  }
  return out;
}

}  // namespace agon
