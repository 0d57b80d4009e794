#include "agon/preference/models/ngram_scorer.h"

#include <algorithm>
#include <bit>
#include <cmath>

#include "agon/base/check.h"
#include "agon/base/parallel.h"
#include "agon/preference/models/shared_fit.h"

namespace agon {
namespace {

/// Scale that brings the character part [0] and the word part [1] of a row to length 1/sqrt(2) each.
std::array<double, 2> half_scales(std::array<double, 2> squares) {
  const auto scale = [](double s) { return s > 0 ? std::sqrt(0.5 / s) : 0.0; };
  return {scale(squares[0]), scale(squares[1])};
}

/// Squared lengths of both halves of a TF-IDF row.
std::array<double, 2> half_squares(const SparseRows& answers, std::size_t row, std::span<const float> idf) {
  std::array<double, 2> squares{};
  const std::size_t half = idf.size() / 2;
  for (std::uint64_t k = answers.start[row]; k < answers.start[row + 1]; ++k) {
    const std::uint32_t bucket = answers.index[k];
    const double v = static_cast<double>(answers.value[k]) * idf[bucket];
    squares[bucket >= half] += v * v;
  }
  return squares;
}

/// TF-IDF of the votes' answers by columns, only buckets in use; `bucket` says which each column is.
SparseColumns tfidf_columns(const SparseRows& answers, std::span<const std::uint32_t> votes,
                            std::span<const float> idf, std::span<const std::uint32_t> bucket) {
  const std::size_t half = idf.size() / 2;
  std::vector<std::array<double, 2>> scales(2 * votes.size());
  parallel_for(votes.size(), [&](std::size_t i) {
    for (const std::size_t side : {0U, 1U})
      scales[2 * i + side] = half_scales(half_squares(answers, 2 * std::size_t{votes[i]} + side, idf));
  });
  constexpr std::uint32_t kUnused = 0xFFFFFFFF;
  std::vector<std::uint32_t> column(idf.size(), kUnused);
  for (std::size_t j = 0; j < bucket.size(); ++j) column[bucket[j]] = static_cast<std::uint32_t>(j);
  // Rows are sorted by bucket, so each part of the buckets is one stretch of every row: parts are
  // counted and filled without touching each other's columns.
  constexpr std::size_t kParts = 64;
  const std::size_t width = std::max<std::size_t>(1, idf.size() / kParts);
  const auto row_of = [&](std::size_t i) { return 2 * std::size_t{votes[i / 2]} + i % 2; };
  SparseColumns out{.rows = 2 * votes.size(), .start = {}, .entries = {}};
  out.start.resize(bucket.size() + 1);
  // Where row i's stretch of a part begins, counted from the row's start; that of part kParts is its end.
  std::vector<std::uint32_t> border(out.rows * (kParts + 1));
  parallel_chunks(out.rows, 256, [&](std::size_t begin, std::size_t end) {
    for (std::size_t i = begin; i < end; ++i) {
      const auto row =
          std::span(answers.index)
              .subspan(answers.start[row_of(i)], answers.start[row_of(i) + 1] - answers.start[row_of(i)]);
      auto at = row.begin();
      for (std::size_t part = 1; part <= kParts; ++part) {
        at = part == kParts ? row.end() : std::lower_bound(at, row.end(), part * width);
        border[i * (kParts + 1) + part] = static_cast<std::uint32_t>(at - row.begin());
      }
    }
  });
  const auto stretch = [&](std::size_t i, std::size_t part) {
    const std::uint64_t start = answers.start[row_of(i)];
    const std::uint32_t* const from = &border[i * (kParts + 1) + part];
    return std::pair{start + from[0], start + from[1]};
  };
  parallel_for(kParts, [&](std::size_t part) {
    for (std::size_t i = 0; i < out.rows; ++i) {
      const auto [begin, end] = stretch(i, part);
      for (auto k = begin; k < end; ++k) {
        const std::uint32_t j = column[answers.index[k]];
        if (j != kUnused) ++out.start[j + 1];
      }
    }
  });
  for (std::size_t j = 1; j < out.start.size(); ++j) out.start[j] += out.start[j - 1];
  out.entries = std::make_unique_for_overwrite<SparseColumns::Entry[]>(out.start.back());
  std::vector<std::uint64_t> next(out.start.begin(), out.start.end() - 1);
  parallel_for(kParts, [&](std::size_t part) {
    for (std::size_t i = 0; i < out.rows; ++i) {
      const auto [begin, end] = stretch(i, part);
      for (auto k = begin; k < end; ++k) {
        const std::uint32_t b = answers.index[k], j = column[b];
        if (j == kUnused) continue;
        const double value = static_cast<double>(answers.value[k]) * idf[b] * scales[i][b >= half];
        out.entries[next[j]++] = {static_cast<std::uint32_t>(i), static_cast<float>(value)};
      }
    }
  });
  return out;
}

}  // namespace

void NgramScorer::fit_idf(const SparseRows& answers, std::span<const std::uint32_t> votes,
                          std::span<const double> weights, int min_documents) {
  std::vector<std::uint32_t> documents(idf_.size());
  std::vector<double> weighted(idf_.size());
  double total = 0;
  for (std::size_t i = 0; i < votes.size(); ++i) {
    total += 2 * weights[i];
    const std::uint64_t begin = answers.start[2 * std::size_t{votes[i]}],
                        end = answers.start[2 * std::size_t{votes[i]} + 2];
    for (std::uint64_t k = begin; k < end; ++k) {
      ++documents[answers.index[k]];
      weighted[answers.index[k]] += weights[i];
    }
  }
  for (std::size_t j = 0; j < idf_.size(); ++j) {
    // Smoothed as scikit-learn does it; 0 takes a bucket out.
    const bool seen_enough = documents[j] >= static_cast<std::uint32_t>(std::max(1, min_documents));
    idf_[j] = seen_enough ? static_cast<float>(std::log((1 + total) / (1 + weighted[j])) + 1) : 0.0F;
  }
}

NgramScorer::Fitted NgramScorer::fit(const SparseRows& answers, std::span<const std::uint32_t> votes,
                                     std::span<const Outcome> outcomes, std::span<const NgramTargets> targets,
                                     const NgramOptions& ngrams, const Options& options) {
  static_assert(kMostTargets * kCount == kMostSharedFits);
  AGON_CHECK(!targets.empty() && targets.size() <= kMostTargets);
  Fitted out;
  NgramScorer& scorer = out.scorer;
  scorer.idf_.assign(std::size_t{1} << ngrams.bits, 0);
  scorer.fit_idf(answers, votes, targets[0].weight, options.min_documents);
  std::vector<std::uint32_t> bucket;
  for (std::size_t j = 0; j < scorer.idf_.size(); ++j)
    if (scorer.idf_[j] > 0) bucket.push_back(static_cast<std::uint32_t>(j));
  const SparseColumns x = tfidf_columns(answers, votes, scorer.idf_, bucket);

  std::vector<SharedFit> fits;
  std::vector<double> mean(targets.size());
  for (std::size_t f = 0; f < targets.size(); ++f) {
    const NgramTargets& t = targets[f];
    AGON_CHECK(t.weight.size() == votes.size() && t.strength.size() == votes.size());
    SharedFit direction, rating;
    direction.loss = SharedFit::Loss::kPairs;
    direction.l2 = options.l2_direction;
    rating.loss = SharedFit::Loss::kSquares;
    rating.l2 = options.l2_rating;
    double total = 0, sum = 0;
    for (std::size_t i = 0; i < votes.size(); ++i) {
      const Outcome outcome = outcomes[votes[i]];
      direction.weight.push_back(t.weight[i]);
      direction.target.push_back(outcome == Outcome::kA ? 1.0 : outcome == Outcome::kB ? 0.0 : 0.5);
      const bool named = t.weight[i] > 0 && !std::isnan(t.strength[i][0]);
      for (const double strength : t.strength[i]) {
        rating.weight.push_back(named ? t.weight[i] : 0);
        rating.target.push_back(named ? strength : 0);
        total += rating.weight.back();
        sum += rating.weight.back() * rating.target.back();
      }
    }
    mean[f] = sum / std::max(total, 1e-300);
    for (double& target : rating.target) target -= mean[f];
    fits.push_back(std::move(direction));
    fits.push_back(std::move(rating));
  }
  fit_shared(x, fits, {.max_iterations = options.max_iterations, .tolerance = options.tolerance});

  scorer.weight_.assign(scorer.idf_.size(), {});
  for (std::size_t s = 0; s < kCount; ++s) {
    const std::vector<double> weight = x.transposed_multiply(fits[s].coefficient);
    for (std::size_t j = 0; j < weight.size(); ++j)
      scorer.weight_[bucket[j]][s] = static_cast<float>(weight[j]);
  }
  out.scores.resize(targets.size());
  for (std::size_t f = 0; f < targets.size(); ++f) {
    out.scores[f].resize(votes.size());
    for (std::size_t i = 0; i < votes.size(); ++i)
      for (const std::size_t side : {0U, 1U})
        for (std::size_t s = 0; s < kCount; ++s)
          out.scores[f][i][side][s] = fits[f * kCount + s].score[2 * i + side];
  }
  return out;
}

NgramScorer::Scores NgramScorer::score(const SparseRows& answers, std::size_t row) const {
  std::array<Scores, 2> sum{};
  std::array<double, 2> squares{};
  const std::size_t half = idf_.size() / 2;
  for (std::uint64_t k = answers.start[row]; k < answers.start[row + 1]; ++k) {
    const std::uint32_t bucket = answers.index[k];
    const double v = static_cast<double>(answers.value[k]) * idf_[bucket];
    const bool word = bucket >= half;
    squares[word] += v * v;
    for (std::size_t s = 0; s < kCount; ++s) sum[word][s] += v * weight_[bucket][s];
  }
  const auto scale = half_scales(squares);
  Scores out;
  for (std::size_t s = 0; s < kCount; ++s) out[s] = sum[0][s] * scale[0] + sum[1][s] * scale[1];
  return out;
}

void NgramScorer::save(ByteWriter& out) const {
  // Only buckets in use: a small file then makes a small model.
  std::vector<std::uint32_t> bucket;
  std::vector<float> idf, weight;
  for (std::size_t j = 0; j < idf_.size(); ++j)
    if (idf_[j] > 0) {
      bucket.push_back(static_cast<std::uint32_t>(j));
      idf.push_back(idf_[j]);
      weight.insert(weight.end(), weight_[j].begin(), weight_[j].end());
    }
  out.put<std::uint64_t>(idf_.size());
  out.put(bucket);
  out.put(idf);
  out.put(weight);
}

NgramScorer NgramScorer::load(ByteReader& in) {
  NgramScorer scorer;
  const auto buckets = in.get<std::uint64_t>();
  const auto bucket = in.get_vector<std::uint32_t>();
  const auto idf = in.get_vector<float>();
  const auto weight = in.get_vector<float>();
  bool good = in.ok() && std::has_single_bit(buckets) && buckets <= (std::uint64_t{1} << kMaxNgramBits) &&
              idf.size() == bucket.size() && weight.size() == kCount * bucket.size();
  for (std::size_t j = 0; good && j < bucket.size(); ++j)
    good = bucket[j] < buckets && idf[j] > 0 && idf[j] <= 1e12F;
  good = good && std::ranges::all_of(weight, [](float w) { return std::fabs(w) <= 1e12F; });
  if (!good) {
    in.fail();
    return scorer;
  }
  scorer.idf_.assign(buckets, 0);
  scorer.weight_.assign(buckets, {});
  for (std::size_t j = 0; j < bucket.size(); ++j) {
    scorer.idf_[bucket[j]] = idf[j];
    for (std::size_t s = 0; s < kCount; ++s) scorer.weight_[bucket[j]][s] = weight[kCount * j + s];
  }
  return scorer;
}

}  // namespace agon
