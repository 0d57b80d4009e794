#include "agon/ranking/bootstrap.h"

#include <algorithm>
#include <cmath>
#include <limits>
#include <utility>

#include "agon/base/check.h"
#include "agon/base/parallel.h"
#include "agon/ranking/draws.h"
#include "agon/ranking/lanes.h"
#include "agon/ranking/paired_kernel.h"
#include "agon/ranking/scores.h"

namespace agon {
namespace {

using lanes::Doubles;
using paired::Cell;

constexpr double kNan = std::numeric_limits<double>::quiet_NaN();
constexpr int kMostChords = 25;

// out[k] = cell's total times P(A) for `n` differences, a multiple of eight.
AGON_INLINE void expected_wins_body(const double* difference, const double* total, double* out,
                                    std::size_t n) {
  for (std::size_t k = 0; k < n; k += lanes::kWidth) {
    Doubles d, t, share, e;
    lanes::load(difference + k, d);
    lanes::load(total + k, t);
    lanes::logistic(d, share, e);
    lanes::store(out + k, t * share);
  }
}
AGON_AVX512 void expected_wins_512(const double* d, const double* t, double* o, std::size_t n) {
  expected_wins_body(d, t, o, n);
}
AGON_AVX2 void expected_wins_256(const double* d, const double* t, double* o, std::size_t n) {
  expected_wins_body(d, t, o, n);
}
void expected_wins_128(const double* d, const double* t, double* o, std::size_t n) {
  expected_wins_body(d, t, o, n);
}

// y += a x over a padded length.
AGON_INLINE void add_scaled_body(double a, const double* x, double* y, std::size_t n) {
  for (std::size_t k = 0; k < n; k += lanes::kWidth) {
    Doubles u, v;
    lanes::load(x + k, u);
    lanes::load(y + k, v);
    lanes::store(y + k, v + a * u);
  }
}
// change = -inverse * gradient; the inverse is symmetric, so its rows serve as columns.
AGON_INLINE void step_body(const double* inverse, const double* gradient, double* change, std::size_t n,
                           std::size_t padded) {
  std::fill(change, change + padded, 0.0);
  for (std::size_t j = 0; j < n; ++j) add_scaled_body(-gradient[j], inverse + j * padded, change, padded);
}
AGON_AVX512 void step_512(const double* i, const double* g, double* c, std::size_t n, std::size_t p) {
  step_body(i, g, c, n, p);
}
AGON_AVX2 void step_256(const double* i, const double* g, double* c, std::size_t n, std::size_t p) {
  step_body(i, g, c, n, p);
}
void step_128(const double* i, const double* g, double* c, std::size_t n, std::size_t p) {
  step_body(i, g, c, n, p);
}

std::size_t pad(std::size_t n) { return (n + lanes::kWidth - 1) / lanes::kWidth * lanes::kWidth; }

// What all draws share: the cells' pairs, the full fit, and its inverse Hessian.
class Refitter {
 public:
  Refitter(const PairedFit& fit, std::vector<Cell> cells, const Matrix& inverse)
      : fit_(fit), shape_(paired::shape_of(fit)), cells_(std::move(cells)), padded_(pad(fit.layout.size())) {
    inverse_.assign(fit.layout.size() * padded_, 0);
    for (std::size_t i = 0; i < fit.layout.size(); ++i)
      for (std::size_t j = 0; j < fit.layout.size(); ++j) inverse_[i * padded_ + j] = inverse(i, j);
  }
  [[nodiscard]] const std::vector<Cell>& cells() const { return cells_; }

  // Weights by cell and outcome, laid out [cell * 4 + outcome]; writes the parameters or NaN.
  bool refit(const std::vector<double>& weight, std::span<double> out) const {
    std::vector<double> x(padded_, 0), change(padded_), gradient;
    std::copy(fit_.parameters.begin(), fit_.parameters.end(), x.begin());
    Half half;
    const bool fast = shape_.model == TieModel::kHalf;
    std::vector<Cell> drawn;
    if (fast)
      prepare(weight, half);
    else
      drawn = cells_with(weight);
    double last = std::numeric_limits<double>::infinity();
    for (int step = 0; step < kMostChords; ++step) {
      if (fast)
        half_gradient(half, x, gradient);
      else
        paired::evaluate_gradient(shape_, drawn, {x.data(), fit_.layout.size()}, gradient);
      if (fit_.options.ridge > 0)
        for (std::size_t i = 0; i < fit_.competitors(); ++i) gradient[i] += fit_.options.ridge * x[i];
      const std::size_t n = gradient.size();
      lanes::pick(step_512, step_256, step_128)(inverse_.data(), gradient.data(), change.data(), n, padded_);
      double size = 0;
      for (std::size_t k = 0; k < n; ++k) {
        x[k] += change[k];
        size = std::max(size, std::abs(change[k]));
      }
      if (!std::isfinite(size) || (step > 1 && size > 0.7 * last)) break;
      // eta must stay positive.
      if (fit_.layout.tie >= 0 && shape_.model != TieModel::kDavidson &&
          !(x[static_cast<std::size_t>(fit_.layout.tie)] > 0))
        break;
      // The error left is about the next step, this one times the shrinking factor.
      if (size < kBootstrapTolerance || (step > 0 && size * size / last < 0.1 * kBootstrapTolerance)) {
        std::copy_n(x.begin(), n, out.begin());
        return true;
      }
      last = size;
    }
    return newton(fast ? cells_with(weight) : drawn, out);
  }

 private:
  struct Half {
    std::vector<double> total, wins, difference, expected;
  };
  void prepare(const std::vector<double>& weight, Half& half) const {
    const std::size_t padded = pad(cells_.size());
    half.total.assign(padded, 0);
    half.wins.assign(padded, 0);
    half.difference.assign(padded, 0);
    half.expected.assign(padded, 0);
    for (std::size_t c = 0; c < cells_.size(); ++c) {
      const double* w = &weight[c * kBattleClasses];
      half.wins[c] = w[0] + 0.5 * w[2];
      half.total[c] = (w[0] + w[1]) + w[2];
    }
  }
  void half_gradient(Half& half, std::span<const double> x, std::vector<double>& gradient) const {
    const int position = fit_.layout.position;
    const double first = position >= 0 ? x[static_cast<std::size_t>(position)] : 0;
    for (std::size_t c = 0; c < cells_.size(); ++c)
      half.difference[c] = x[cells_[c].first] - x[cells_[c].second] + first;
    const std::size_t n = half.total.size();
    lanes::pick(expected_wins_512, expected_wins_256, expected_wins_128)(
        half.difference.data(), half.total.data(), half.expected.data(), n);
    gradient.assign(fit_.layout.size(), 0);
    double all = 0;
    for (std::size_t c = 0; c < cells_.size(); ++c) {
      const double gap = half.expected[c] - half.wins[c];
      gradient[cells_[c].first] += gap;
      gradient[cells_[c].second] -= gap;
      all += gap;
    }
    if (position >= 0) gradient[static_cast<std::size_t>(position)] = all;
  }

  std::vector<Cell> cells_with(const std::vector<double>& weight) const {
    std::vector<Cell> out(cells_);
    for (std::size_t c = 0; c < out.size(); ++c)
      std::copy_n(&weight[c * kBattleClasses], kBattleClasses, out[c].weight.begin());
    return out;
  }

  bool newton(const std::vector<Cell>& drawn, std::span<double> out) const {
    std::fill(out.begin(), out.end(), kNan);
    PairTable table;
    for (const Cell& c : drawn) {
      PairCount pair;
      pair.first = c.first;
      pair.second = c.second;
      pair.weight = c.weight;
      if (pair.total() > 0) table.push_back(pair);
    }
    const auto fit = fit_paired(table, fit_.competitors(), fit_.options, &fit_);
    if (!fit || !fit->converged || fit->layout.size() != fit_.layout.size()) return false;
    std::copy(fit->parameters.begin(), fit->parameters.end(), out.begin());
    return true;
  }

  const PairedFit& fit_;
  paired::Shape shape_;
  std::vector<Cell> cells_;
  std::size_t padded_;
  std::vector<double> inverse_;
};

Result<Matrix> usable_inverse(const PairedFit& fit, const BootstrapOptions& options) {
  if (options.draws < 2) return fail("a bootstrap needs at least two draws");
  if (!fit.converged) return fail("a bootstrap needs a fit that converged");
  if (fit.options.firth) return fail("the bootstrap is not for fits with Firth's penalty");
  auto inverse = paired::sum_zero_inverse(fit.hessian, fit.layout);
  if (!inverse) return fail("the information matrix of the fit is singular");
  return std::move(*inverse);
}

// A group of equal battles: its Poisson count times `scale` adds to a slot (cell * 4 + outcome).
struct Slot {
  std::size_t at;
  double scale;
  Poisson count;
};

// Eight replicates are drawn side by side, so that one walk through the votes serves them all.
using Streams = std::vector<Random>;

void draw_slots(const std::vector<Slot>& slots, Streams& streams, std::vector<double>& weight) {
  for (std::size_t v = 0; v < lanes::kWidth; ++v)
    for (const Slot& slot : slots) weight[slot.at * lanes::kWidth + v] += slot.scale * slot.count(streams[v]);
}

// What a cluster's count adds to: a slot (cell * 4 + outcome), with this weight.
struct Entry {
  std::uint32_t slot;
  float weight;
};
// weight[slot * 8 + replicate] += the replicate's count of the cluster * the entry's weight. Entries of
// cluster g are begin[g] to begin[g + 1].
AGON_INLINE void add_clusters_body(const std::vector<std::uint64_t>& begin, const Entry* entries,
                                   const UnitPoisson& count, Random* streams, double* weight) {
  for (std::size_t g = 0; g + 1 < begin.size(); ++g) {
    Doubles uniform, times;
    for (std::size_t v = 0; v < lanes::kWidth; ++v) uniform[v] = streams[v].uniform();
    count(uniform, times);
    for (std::uint64_t e = begin[g]; e < begin[g + 1]; ++e) {
      double* const at = weight + entries[e].slot * lanes::kWidth;
      Doubles sum;
      lanes::load(at, sum);
      lanes::store(at, sum + times * static_cast<double>(entries[e].weight));
    }
  }
}
AGON_AVX512 void add_clusters_512(const std::vector<std::uint64_t>& b, const Entry* e, const UnitPoisson& c,
                                  Random* s, double* w) {
  add_clusters_body(b, e, c, s, w);
}
AGON_AVX2 void add_clusters_256(const std::vector<std::uint64_t>& b, const Entry* e, const UnitPoisson& c,
                                Random* s, double* w) {
  add_clusters_body(b, e, c, s, w);
}
void add_clusters_128(const std::vector<std::uint64_t>& b, const Entry* e, const UnitPoisson& c, Random* s,
                      double* w) {
  add_clusters_body(b, e, c, s, w);
}

// Runs `draw(streams, weight)` for eight replicates at a time, weight[slot * 8 + replicate], and refits each.
template <class Draw>
BootstrapFits replicate(const PairedFit& fit, const Refitter& refitter, const BootstrapOptions& options,
                        const Draw& draw) {
  BootstrapFits out;
  out.layout = fit.layout;
  out.draws = Matrix(static_cast<std::size_t>(options.draws), fit.layout.size());
  std::vector<char> failed(out.draws.rows, 0);
  parallel_chunks(out.draws.rows, lanes::kWidth, [&](std::size_t from, std::size_t to) {
    const std::size_t slots = refitter.cells().size() * kBattleClasses;
    std::vector<double> together(slots * lanes::kWidth, 0), weight(slots);
    Streams streams;
    for (std::size_t v = 0; v < lanes::kWidth; ++v) streams.emplace_back(options.seed, from + v);
    draw(streams, together);
    for (std::size_t b = from; b < to; ++b) {
      for (std::size_t s = 0; s < slots; ++s) weight[s] = together[s * lanes::kWidth + (b - from)];
      failed[b] = !refitter.refit(weight, {&out.draws.values[b * out.draws.cols], out.draws.cols});
    }
  });
  out.failed = static_cast<std::uint64_t>(std::count(failed.begin(), failed.end(), 1));
  return out;
}

}  // namespace

Estimate BootstrapFits::interval(const PairedFit& fit, std::size_t i, double level) const {
  std::vector<double> values(draws.rows);
  for (std::size_t b = 0; b < draws.rows; ++b) values[b] = draws(b, i);
  return percentile_interval(fit.strength(i), std::move(values), level, draws.rows - failed);
}

Estimate BootstrapFits::difference(const PairedFit& fit, std::size_t i, std::size_t j, double level) const {
  std::vector<double> values(draws.rows);
  for (std::size_t b = 0; b < draws.rows; ++b) values[b] = draws(b, i) - draws(b, j);
  return percentile_interval(fit.strength(i) - fit.strength(j), std::move(values), level,
                             draws.rows - failed);
}

Covariance BootstrapFits::covariance() const {
  const std::size_t n = layout.size();
  Covariance out{clusters > 0 ? CovarianceKind::kClustered : CovarianceKind::kSandwich, layout, Matrix(n, n),
                 clusters};
  std::vector<double> mean(n, 0);
  const auto good = [&](std::size_t b) { return !std::isnan(draws(b, 0)); };
  const auto count = static_cast<double>(draws.rows - failed);
  for (std::size_t b = 0; b < draws.rows; ++b)
    if (good(b))
      for (std::size_t i = 0; i < n; ++i) mean[i] += draws(b, i) / count;
  Matrix centred(n, draws.rows);
  for (std::size_t b = 0; b < draws.rows; ++b)
    if (good(b))
      for (std::size_t i = 0; i < n; ++i) centred(i, b) = draws(b, i) - mean[i];
  out.matrix = multiply(centred, transpose(centred));
  for (double& v : out.matrix.values) v /= count - 1;
  return out;
}

Result<BootstrapFits> bootstrap_battles(const PairedFit& fit, const PairTable& pairs,
                                        const BootstrapOptions& options) {
  AGON_ASSIGN(const Matrix inverse, usable_inverse(fit, options));
  // The squares go through the same folding as the weights.
  PairTable squares = pairs;
  for (PairCount& p : squares) {
    if (p.cross > 0) return fail("graded votes cannot be drawn from counts: give the battles themselves");
    for (std::size_t k = 0; k < kBattleClasses; ++k) p.weight[k] = p.weight[k] > 0 ? p.weight_sq[k] : 0;
  }
  std::vector<Cell> cells = paired::cells_of(pairs, fit.options);
  const std::vector<Cell> square_cells = paired::cells_of(squares, fit.options);
  AGON_CHECK(cells.size() == square_cells.size());
  std::vector<Slot> slots;
  for (std::size_t c = 0; c < cells.size(); ++c)
    for (std::size_t k = 0; k < kBattleClasses; ++k) {
      const double sum = cells[c].weight[k], sum_sq = square_cells[c].weight[k];
      if (!(sum > 0) || !(sum_sq > 0)) continue;
      const double scale = sum_sq / sum;
      slots.push_back({c * kBattleClasses + k, scale, Poisson(sum / scale)});
    }
  const Refitter refitter(fit, std::move(cells), inverse);
  return replicate(fit, refitter, options, [&](Streams& streams, std::vector<double>& weight) {
    draw_slots(slots, streams, weight);
  });
}

Result<BootstrapFits> bootstrap_clusters(const PairedFit& fit, const BattleRows& battles,
                                         std::span<const std::uint32_t> cluster,
                                         const BootstrapOptions& options,
                                         std::span<const std::uint32_t> rows) {
  AGON_CHECK(cluster.empty() || cluster.size() == battles.size());
  AGON_ASSIGN(const Matrix inverse, usable_inverse(fit, options));
  const RowGroups groups = group_rows(cluster, rows, battles.size());
  if (groups.count() < 2) return fail("a clustered bootstrap needs votes of at least two clusters");

  // Cells in order of pairs, folded unless position counts.
  const auto oriented = [&](std::uint32_t row) {
    std::uint32_t a = battles.a[row], b = battles.b[row];
    const bool flip = !fit.options.position && a > b;
    if (flip) std::swap(a, b);
    return std::pair((static_cast<std::uint64_t>(a) << 32) | b, flip);
  };
  std::vector<std::uint64_t> keys;
  keys.reserve(groups.rows.size());
  for (const std::uint32_t row : groups.rows) keys.push_back(oriented(row).first);
  std::sort(keys.begin(), keys.end());
  keys.erase(std::unique(keys.begin(), keys.end()), keys.end());
  std::vector<Cell> cells(keys.size());
  for (std::size_t c = 0; c < keys.size(); ++c) {
    cells[c].first = static_cast<std::uint32_t>(keys[c] >> 32);
    cells[c].second = static_cast<std::uint32_t>(keys[c]);
    AGON_CHECK(cells[c].first < fit.competitors() && cells[c].second < fit.competitors());
  }

  std::vector<Entry> entries;
  std::vector<std::uint64_t> begin = {0};
  std::vector<double> single(cells.size() * kBattleClasses, 0);
  const bool apart = fit.options.ties == TieModel::kBadThreshold;
  for (std::size_t g = 0; g < groups.count(); ++g) {
    for (const std::uint32_t row : groups.rows_of(g)) {
      const auto [key, flip] = oriented(row);
      const auto cell =
          static_cast<std::uint32_t>(std::lower_bound(keys.begin(), keys.end(), key) - keys.begin());
      BattleOutcome outcome = battles.outcome[row];
      if (outcome == BattleOutcome::kBothBad && !apart) {
        if (fit.options.drop_both_bad) continue;
        outcome = BattleOutcome::kTie;
      }
      const float weight = battles.weight.empty() ? 1.0F : static_cast<float>(battles.weight[row]);
      const auto base = cell * static_cast<std::uint32_t>(kBattleClasses);
      if (outcome == BattleOutcome::kShare) {
        const float share = flip ? 1 - battles.share[row] : battles.share[row];
        entries.push_back({base, weight * share});
        entries.push_back({base + 1, weight * (1 - share)});
        continue;
      }
      auto k = static_cast<std::uint32_t>(outcome);
      if (flip && k < 2) k = 1 - k;
      if (groups.rows_of(g).size() == 1 && weight == 1.0F)
        ++single[base + k];
      else
        entries.push_back({base + k, weight});
    }
    if (entries.size() > begin.back()) begin.push_back(entries.size());
  }
  std::vector<Slot> slots;
  for (std::size_t s = 0; s < single.size(); ++s)
    if (single[s] > 0) slots.push_back({s, 1, Poisson(single[s])});
  const Refitter refitter(fit, std::move(cells), inverse);
  const UnitPoisson one;
  auto out = replicate(fit, refitter, options, [&](Streams& streams, std::vector<double>& weight) {
    draw_slots(slots, streams, weight);
    lanes::pick(add_clusters_512, add_clusters_256, add_clusters_128)(begin, entries.data(), one,
                                                                      streams.data(), weight.data());
  });
  out.clusters = cluster.empty() ? 0 : groups.count();
  return out;
}

}  // namespace agon
