#include "agon/preference/models/sparse_text.h"

#include <algorithm>
#include <cmath>

#include "agon/base/check.h"
#include "agon/base/parallel.h"
#include "agon/stats/lbfgs.h"
#include "agon/text/chars.h"
#include "agon/text/words.h"

namespace agon {
namespace {

std::uint64_t mix(std::uint64_t h) {
  h = (h ^ (h >> 32)) * 0xd6e8feb86659fd93ULL;
  return h ^ (h >> 32);
}

/// Lower-cased code points, runs of white space as one space; a space at both ends.
void fold(std::string_view text, std::vector<char32_t>& out) {
  if (out.empty() || out.back() != ' ') out.push_back(' ');
  std::size_t pos = 0;
  while (pos < text.size()) {
    const CharInfo info = char_info(next_char(text, pos));
    if (info.is(CharInfo::kSpace)) {
      if (out.back() != ' ') out.push_back(' ');
    } else {
      out.push_back(info.is(CharInfo::kDigit) ? U'0' : static_cast<char32_t>(info.lower));
    }
  }
  if (out.back() != ' ') out.push_back(' ');
}

/// At most `limit` bytes: the first two thirds and the last third, cut between code points.
std::pair<std::string_view, std::string_view> ends(std::string_view text, std::size_t limit) {
  if (text.size() <= limit) return {text, {}};
  std::size_t head = limit * 2 / 3, tail = text.size() - limit / 3;
  const auto inside = [&](std::size_t i) { return i < text.size() && (text[i] & 0xC0) == 0x80; };
  while (inside(head)) --head;
  while (inside(tail)) ++tail;
  return {text.substr(0, head), text.substr(tail)};
}

class Collector {
 public:
  explicit Collector(const NgramOptions& o)
      : mask_((std::uint32_t{1} << o.bits) - 1),
        threshold_(o.keep >= 1 ? ~std::uint64_t{0} : static_cast<std::uint64_t>(o.keep * 0x1.0p64)) {}
  void add(std::uint64_t hash) {
    hash = mix(hash);
    if (hash <= threshold_) buckets_.push_back(static_cast<std::uint32_t>(mix(hash + 0x9e3779b97f4a7c15ULL)) & mask_);
  }
  void finish(SparseRows& out) {
    std::ranges::sort(buckets_);
    for (std::size_t i = 0; i < buckets_.size();) {
      std::size_t end = i + 1;
      while (end < buckets_.size() && buckets_[end] == buckets_[i]) ++end;
      out.index.push_back(buckets_[i]);
      out.value.push_back(1.0F + std::log(static_cast<float>(end - i)));
      i = end;
    }
    out.start.push_back(out.index.size());
  }

 private:
  std::uint32_t mask_;
  std::uint64_t threshold_;
  std::vector<std::uint32_t> buckets_;
};

void collect(std::string_view text, const NgramOptions& o, std::vector<char32_t>& folded, std::vector<Word>& words,
             Collector& out) {
  folded.clear();
  fold(text, folded);
  for (std::size_t i = 0; i < folded.size(); ++i) {
    std::uint64_t hash = 0x51ed270b;
    for (int n = 1; n <= o.char_max && i + static_cast<std::size_t>(n) <= folded.size(); ++n) {
      hash = (hash ^ folded[i + static_cast<std::size_t>(n) - 1]) * 0x9ddfea08eb382d69ULL;
      hash ^= hash >> 29;
      if (n >= o.char_min) out.add(hash + static_cast<std::uint64_t>(n));
    }
  }
  words.clear();
  scan_words(text, words);
  for (std::size_t i = 0; i < words.size(); ++i) {
    std::uint64_t hash = 0x2545f491;
    for (int n = 1; n <= o.word_max && i + static_cast<std::size_t>(n) <= words.size(); ++n) {
      hash = (hash + words[i + static_cast<std::size_t>(n) - 1].hash) * 0x9ddfea08eb382d69ULL;
      out.add(hash);
    }
  }
}

}  // namespace

void append_ngrams(const Turns& answer, const NgramOptions& options, SparseRows& out) {
  thread_local std::vector<char32_t> folded;
  thread_local std::vector<Word> words;
  Collector collector(options);
  for (const Turn& turn : answer) {
    const auto [head, tail] = ends(turn.text, options.max_chars / std::max<std::size_t>(1, answer.size()));
    collect(head, options, folded, words, collector);
    if (!tail.empty()) collect(tail, options, folded, words, collector);
  }
  collector.finish(out);
}

SparseRows answer_ngrams(std::span<const Vote> votes, const NgramOptions& options, const Progress& progress) {
  constexpr std::size_t kGrain = 256;
  std::vector<SparseRows> parts((votes.size() + kGrain - 1) / kGrain);
  parallel_chunks(votes.size(), kGrain, [&](std::size_t begin, std::size_t end) {
    SparseRows& part = parts[begin / kGrain];
    for (std::size_t i = begin; i < end; ++i) {
      append_ngrams(votes[i].response_a, options, part);
      append_ngrams(votes[i].response_b, options, part);
    }
    if (progress) progress("n-grams", end, votes.size());
  });
  SparseRows all;
  std::size_t entries = 0;
  for (const SparseRows& part : parts) entries += part.index.size();
  all.index.reserve(entries);
  all.value.reserve(entries);
  for (SparseRows& part : parts) {
    const std::uint64_t base = all.index.size();
    all.index.insert(all.index.end(), part.index.begin(), part.index.end());
    all.value.insert(all.value.end(), part.value.begin(), part.value.end());
    for (std::size_t i = 1; i < part.start.size(); ++i) all.start.push_back(base + part.start[i]);
    part = SparseRows{};
  }
  return all;
}

void NgramScorer::fit_idf(const SparseRows& answers, std::span<const std::uint32_t> rows, const Options& options) {
  std::vector<std::uint32_t> documents(idf_.size());
  for (const std::uint32_t r : rows)
    for (std::uint64_t k = answers.start[r]; k < answers.start[r + 1]; ++k) ++documents[answers.index[k]];
  const double n = static_cast<double>(rows.size());
  for (std::size_t j = 0; j < idf_.size(); ++j) {
    // Smoothed as scikit-learn does it; 0 takes a bucket out.
    const bool seen_enough = documents[j] >= static_cast<std::uint32_t>(options.min_documents);
    idf_[j] = seen_enough ? static_cast<float>(std::log((1 + n) / (1.0 + documents[j])) + 1) : 0.0F;
  }
}

/// TF-IDF rows of unit length for the answers of a fit, only buckets in use, renumbered densely.
struct NgramScorer::Problem {
  std::vector<std::uint64_t> start{0};
  std::vector<std::uint32_t> index;
  std::vector<float> value;
  std::vector<std::uint32_t> bucket;  ///< of each dense number

  Problem(const SparseRows& answers, std::span<const std::uint32_t> rows, const std::vector<float>& idf) {
    std::vector<std::uint32_t> dense(idf.size(), 0);
    for (std::size_t j = 0; j < idf.size(); ++j)
      if (idf[j] > 0) {
        dense[j] = static_cast<std::uint32_t>(bucket.size());
        bucket.push_back(static_cast<std::uint32_t>(j));
      }
    for (const std::uint32_t r : rows) {
      double squares = 0;
      const std::size_t first = value.size();
      for (std::uint64_t k = answers.start[r]; k < answers.start[r + 1]; ++k) {
        const float weight = idf[answers.index[k]];
        if (weight == 0) continue;
        index.push_back(dense[answers.index[k]]);
        value.push_back(answers.value[k] * weight);
        squares += static_cast<double>(value.back()) * value.back();
      }
      const float scale = squares > 0 ? static_cast<float>(1 / std::sqrt(squares)) : 0;
      for (std::size_t k = first; k < value.size(); ++k) value[k] *= scale;
      start.push_back(index.size());
    }
  }
  [[nodiscard]] double dot(std::size_t row, std::span<const double> x) const {
    double sum = 0;
    for (std::uint64_t k = start[row]; k < start[row + 1]; ++k) sum += value[k] * x[index[k]];
    return sum;
  }
  void add(std::size_t row, double scale, std::span<double> gradient) const {
    for (std::uint64_t k = start[row]; k < start[row + 1]; ++k) gradient[index[k]] += scale * value[k];
  }
};

NgramScorer NgramScorer::fit_direction(const SparseRows& answers, std::span<const std::uint32_t> pairs,
                                       std::span<const Outcome> outcomes, std::span<const double> weights,
                                       const NgramOptions& ngrams, const Options& options) {
  NgramScorer scorer;
  scorer.idf_.assign(std::size_t{1} << ngrams.bits, 0);
  std::vector<std::uint32_t> rows;
  double total = 0;
  for (const std::uint32_t p : pairs) {
    rows.insert(rows.end(), {2 * p, 2 * p + 1});
    total += weights[p];
  }
  scorer.fit_idf(answers, rows, options);
  const Problem problem(answers, rows, scorer.idf_);
  std::vector<double> x(problem.bucket.size());
  const double l2 = options.l2;
  const Objective objective = [&](std::span<const double> at, std::span<double> gradient) {
    double value = 0;
    for (std::size_t j = 0; j < at.size(); ++j) {
      gradient[j] = l2 * at[j];
      value += 0.5 * l2 * at[j] * at[j];
    }
    for (std::size_t i = 0; i < pairs.size(); ++i) {
      const Outcome outcome = outcomes[pairs[i]];
      const double target = outcome == Outcome::kA ? 1.0 : outcome == Outcome::kB ? 0.0 : 0.5;
      const double w = weights[pairs[i]];
      const double d = problem.dot(2 * i, at) - problem.dot(2 * i + 1, at);
      const double soft = d > 0 ? d + std::log1p(std::exp(-d)) : std::log1p(std::exp(d));
      value += w * (soft - target * d);
      const double slope = w * (1 / (1 + std::exp(-d)) - target);
      problem.add(2 * i, slope, gradient);
      problem.add(2 * i + 1, -slope, gradient);
    }
    return value;
  };
  minimise(objective, x, {.max_iterations = options.max_iterations, .history = 6, .tolerance = 1e-2});
  scorer.weight_.assign(scorer.idf_.size(), 0);
  for (std::size_t j = 0; j < x.size(); ++j) scorer.weight_[problem.bucket[j]] = static_cast<float>(x[j]);
  return scorer;
}

NgramScorer NgramScorer::fit_rating(const SparseRows& answers, std::span<const std::uint32_t> rows,
                                    std::span<const double> targets, std::span<const double> weights,
                                    const NgramOptions& ngrams, const Options& options) {
  NgramScorer scorer;
  scorer.idf_.assign(std::size_t{1} << ngrams.bits, 0);
  scorer.fit_idf(answers, rows, options);
  const Problem problem(answers, rows, scorer.idf_);
  double total = 0, mean = 0;
  for (std::size_t i = 0; i < rows.size(); ++i) {
    total += weights[i];
    mean += weights[i] * targets[i];
  }
  mean /= std::max(total, 1e-300);
  std::vector<double> x(problem.bucket.size());
  const Objective objective = [&](std::span<const double> at, std::span<double> gradient) {
    double value = 0;
    for (std::size_t j = 0; j < at.size(); ++j) {
      gradient[j] = options.l2 * at[j];
      value += 0.5 * options.l2 * at[j] * at[j];
    }
    for (std::size_t i = 0; i < rows.size(); ++i) {
      const double error = problem.dot(i, at) - (targets[i] - mean);
      value += 0.5 * weights[i] * error * error;
      problem.add(i, weights[i] * error, gradient);
    }
    return value;
  };
  minimise(objective, x, {.max_iterations = options.max_iterations, .history = 6, .tolerance = 1e-2});
  scorer.weight_.assign(scorer.idf_.size(), 0);
  for (std::size_t j = 0; j < x.size(); ++j) scorer.weight_[problem.bucket[j]] = static_cast<float>(x[j]);
  return scorer;
}

double NgramScorer::score(const SparseRows& answers, std::size_t row) const {
  double sum = 0, squares = 0;
  for (std::uint64_t k = answers.start[row]; k < answers.start[row + 1]; ++k) {
    const double v = static_cast<double>(answers.value[k]) * idf_[answers.index[k]];
    squares += v * v;
    sum += v * weight_[answers.index[k]];
  }
  return squares > 0 ? sum / std::sqrt(squares) : 0;
}

void NgramScorer::save(ByteWriter& out) const {
  out.put(idf_);
  out.put(weight_);
}

NgramScorer NgramScorer::load(ByteReader& in) {
  NgramScorer scorer;
  scorer.idf_ = in.get_vector<float>();
  scorer.weight_ = in.get_vector<float>();
  const auto finite = [](const std::vector<float>& v) { return std::ranges::all_of(v, [](float x) { return std::isfinite(x); }); };
  if (scorer.idf_.size() != scorer.weight_.size() || scorer.idf_.empty() || !finite(scorer.idf_) || !finite(scorer.weight_))
    in.fail();
  return scorer;
}

}  // namespace agon
