#include "agon/preference/models/sparse_text.h"

#include <algorithm>
#include <array>
#include <bit>
#include <cmath>

#include "agon/base/check.h"
#include "agon/base/parallel.h"
#include "agon/stats/lbfgs.h"
#include "agon/text/chars.h"

namespace agon {
namespace {

std::uint64_t mix(std::uint64_t h) {
  h = (h ^ (h >> 32)) * 0xd6e8feb86659fd93ULL;
  return h ^ (h >> 32);
}

/// Code points, runs of blanks as one space and of line ends as one; a space at both ends.
void fold(std::string_view text, std::vector<char32_t>& out) {
  out.assign(1, U' ');
  std::size_t pos = 0;
  while (pos < text.size()) {
    const char32_t c = next_char(text, pos);
    if (!char_info(c).is(CharInfo::kSpace)) {
      out.push_back(c);
    } else if (c == '\n') {
      if (out.back() != '\n') out.push_back('\n');
    } else if (out.back() != ' ' && out.back() != '\n') {
      out.push_back(' ');
    }
  }
  if (out.back() != ' ') out.push_back(' ');
}

/// Words with their case, marks one by one, and runs of line ends, as hashes.
void tokens(std::span<const char32_t> folded, std::vector<std::uint64_t>& out) {
  out.clear();
  std::uint64_t word = 0;
  for (const char32_t c : folded) {
    const CharInfo info = char_info(c);
    if (info.is(CharInfo::kLetter | CharInfo::kDigit | CharInfo::kMark) && !info.is(CharInfo::kSingle)) {
      word = mix((word ^ c) * 0x9ddfea08eb382d69ULL + 1);
      continue;
    }
    if (word != 0) out.push_back(word);
    word = 0;
    if (c != ' ') out.push_back(mix(c * 0xff51afd7ed558ccdULL));
  }
  if (word != 0) out.push_back(word);
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

/// The logarithm, from a table: most n-grams occur once or twice.
float log_count(std::size_t count) {
  static const std::array<float, 64> table = [] {
    std::array<float, 64> made{};
    for (std::size_t i = 1; i < made.size(); ++i) made[i] = std::log(static_cast<float>(i));
    return made;
  }();
  return count < table.size() ? table[count] : std::log(static_cast<float>(count));
}

class Collector {
 public:
  /// The two buffers are the caller's, so that they are allocated once a thread.
  Collector(const NgramOptions& o, std::vector<std::uint32_t>& buckets, std::vector<std::uint32_t>& sorted)
      : buckets_(buckets),
        sorted_(sorted),
        half_(std::uint32_t{1} << (o.bits - 1)),
        threshold_(o.keep >= 1 ? ~std::uint64_t{0} : static_cast<std::uint64_t>(o.keep * 0x1.0p64)) {}
  void add(std::uint64_t hash, bool word) {
    hash = mix(hash);
    if (hash > threshold_) return;
    const auto bucket = static_cast<std::uint32_t>(mix(hash + 0x9e3779b97f4a7c15ULL)) & (half_ - 1);
    buckets_.push_back(word ? bucket + half_ : bucket);
  }
  void finish(SparseRows& out) {
    sort_buckets();
    for (std::size_t i = 0; i < buckets_.size();) {
      std::size_t end = i + 1;
      while (end < buckets_.size() && buckets_[end] == buckets_[i]) ++end;
      out.index.push_back(buckets_[i]);
      out.value.push_back(1.0F + log_count(end - i));
      i = end;
    }
    out.start.push_back(out.index.size());
    buckets_.clear();
  }

 private:
  /// Radix sort by two digits of 11 bits, which hold every bucket: a comparison sort of the thousands of
  /// n-grams of an answer took two thirds of the time of prediction.
  void sort_buckets() {
    constexpr int kDigit = 11;
    static_assert(2 * kDigit >= kMaxNgramBits);
    sorted_.resize(buckets_.size());
    for (const int shift : {0, kDigit}) {
      std::array<std::uint32_t, (1 << kDigit) + 1> begin{};
      const auto digit = [shift](std::uint32_t b) { return (b >> shift) & ((1U << kDigit) - 1); };
      for (const std::uint32_t b : buckets_) ++begin[digit(b) + 1];
      for (std::size_t d = 1; d < begin.size(); ++d) begin[d] += begin[d - 1];
      for (const std::uint32_t b : buckets_) sorted_[begin[digit(b)]++] = b;
      buckets_.swap(sorted_);
    }
  }

  std::vector<std::uint32_t>&buckets_, &sorted_;
  std::uint32_t half_;
  std::uint64_t threshold_;
};

struct Buffers {
  std::vector<char32_t> folded;
  std::vector<std::uint64_t> tokens;
  std::vector<std::uint32_t> buckets, sorted;
};

void collect(std::string_view text, const NgramOptions& o, Buffers& buffers, Collector& out) {
  const auto run = [&](const auto& items, std::uint64_t seed, int shortest, int longest, bool word) {
    for (std::size_t i = 0; i < items.size(); ++i) {
      std::uint64_t hash = seed;
      for (int n = 1; n <= longest && i + static_cast<std::size_t>(n) <= items.size(); ++n) {
        hash = (hash ^ items[i + static_cast<std::size_t>(n) - 1]) * 0x9ddfea08eb382d69ULL;
        hash ^= hash >> 29;
        if (n >= shortest) out.add(hash + static_cast<std::uint64_t>(n), word);
      }
    }
  };
  fold(text, buffers.folded);
  run(buffers.folded, 0x51ed270b, o.char_min, o.char_max, false);
  tokens(buffers.folded, buffers.tokens);
  run(buffers.tokens, 0x2545f491, 1, o.word_max, true);
}

/// Scale that brings the character part [0] and the word part [1] of a row to length 1/sqrt(2) each.
std::array<double, 2> half_scales(std::array<double, 2> squares) {
  const auto scale = [](double s) { return s > 0 ? std::sqrt(0.5 / s) : 0.0; };
  return {scale(squares[0]), scale(squares[1])};
}

}  // namespace

void append_ngrams(const Turns& answer, const NgramOptions& options, SparseRows& out) {
  thread_local Buffers buffers;
  Collector collector(options, buffers.buckets, buffers.sorted);
  for (const Turn& turn : answer) {
    const auto [head, tail] = ends(turn.text, options.max_chars / std::max<std::size_t>(1, answer.size()));
    collect(head, options, buffers, collector);
    if (!tail.empty()) collect(tail, options, buffers, collector);
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

void NgramScorer::fit_idf(const SparseRows& answers, std::span<const std::uint32_t> rows,
                          std::span<const double> weights, const Options& options) {
  std::vector<std::uint32_t> documents(idf_.size());
  std::vector<double> weighted(idf_.size());
  double total = 0;
  for (std::size_t i = 0; i < rows.size(); ++i) {
    total += weights[i];
    for (std::uint64_t k = answers.start[rows[i]]; k < answers.start[rows[i] + 1]; ++k) {
      ++documents[answers.index[k]];
      weighted[answers.index[k]] += weights[i];
    }
  }
  for (std::size_t j = 0; j < idf_.size(); ++j) {
    // Smoothed as scikit-learn does it; 0 takes a bucket out.
    const bool seen_enough = documents[j] >= static_cast<std::uint32_t>(options.min_documents);
    idf_[j] = seen_enough ? static_cast<float>(std::log((1 + total) / (1 + weighted[j])) + 1) : 0.0F;
  }
}

/// TF-IDF rows of unit length for the answers of a fit, only buckets in use, renumbered densely.
struct NgramScorer::Problem {
  std::vector<std::uint64_t> start{0};
  std::vector<std::uint32_t> index;
  std::vector<float> value;
  std::vector<std::uint32_t> bucket;  ///< of each dense number

  Problem(const SparseRows& answers, std::span<const std::uint32_t> rows, const std::vector<float>& idf) {
    const std::size_t half = idf.size() / 2;
    std::vector<std::uint32_t> dense(idf.size(), 0);
    for (std::size_t j = 0; j < idf.size(); ++j)
      if (idf[j] > 0) {
        dense[j] = static_cast<std::uint32_t>(bucket.size());
        bucket.push_back(static_cast<std::uint32_t>(j));
      }
    for (const std::uint32_t r : rows) {
      std::array<double, 2> squares{};
      const std::size_t first = value.size();
      for (std::uint64_t k = answers.start[r]; k < answers.start[r + 1]; ++k) {
        const float weight = idf[answers.index[k]];
        if (weight == 0) continue;
        index.push_back(dense[answers.index[k]]);
        value.push_back(answers.value[k] * weight);
        squares[answers.index[k] >= half] += static_cast<double>(value.back()) * value.back();
      }
      const auto scale = half_scales(squares);
      for (std::size_t k = first; k < value.size(); ++k)
        value[k] *= static_cast<float>(scale[bucket[index[k]] >= half]);
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
  std::vector<double> row_weights;
  for (const std::uint32_t p : pairs) {
    rows.insert(rows.end(), {2 * p, 2 * p + 1});
    row_weights.insert(row_weights.end(), {weights[p], weights[p]});
  }
  scorer.fit_idf(answers, rows, row_weights, options);
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
  scorer.fit_idf(answers, rows, weights, options);
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
  std::array<double, 2> sum{}, squares{};
  const std::size_t half = idf_.size() / 2;
  for (std::uint64_t k = answers.start[row]; k < answers.start[row + 1]; ++k) {
    const std::uint32_t bucket = answers.index[k];
    const double v = static_cast<double>(answers.value[k]) * idf_[bucket];
    squares[bucket >= half] += v * v;
    sum[bucket >= half] += v * weight_[bucket];
  }
  const auto scale = half_scales(squares);
  return sum[0] * scale[0] + sum[1] * scale[1];
}

void NgramScorer::save(ByteWriter& out) const {
  // Only buckets in use: a small file then makes a small model.
  std::vector<std::uint32_t> bucket;
  std::vector<float> idf, weight;
  for (std::size_t j = 0; j < idf_.size(); ++j)
    if (idf_[j] > 0) {
      bucket.push_back(static_cast<std::uint32_t>(j));
      idf.push_back(idf_[j]);
      weight.push_back(weight_[j]);
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
              idf.size() == bucket.size() && weight.size() == bucket.size();
  for (std::size_t j = 0; good && j < bucket.size(); ++j)
    good = bucket[j] < buckets && idf[j] > 0 && idf[j] <= 1e12F && std::fabs(weight[j]) <= 1e12F;
  if (!good) {
    in.fail();
    return scorer;
  }
  scorer.idf_.assign(buckets, 0);
  scorer.weight_.assign(buckets, 0);
  for (std::size_t j = 0; j < bucket.size(); ++j) {
    scorer.idf_[bucket[j]] = idf[j];
    scorer.weight_[bucket[j]] = weight[j];
  }
  return scorer;
}

}  // namespace agon
