#include "agon/ranking/removals.h"

#include <algorithm>
#include <cmath>
#include <limits>
#include <numeric>
#include <optional>
#include <span>
#include <utility>

#include "agon/base/check.h"
#include "agon/base/parallel.h"
#include "agon/ranking/graph.h"
#include "agon/ranking/paired_kernel.h"

namespace agon {
namespace {

// Share of a variance below which a removed model's battles count as telling nothing of another.
constexpr double kToldNothing = 0.01;
// Up to so many competitors a covariance is inverted anew for every few votes that are taken away.
constexpr std::size_t kInvertOften = 300;
// Refits to find out whether votes that were taken away can be put back.
constexpr std::size_t kPutBack = 300;
// Challengers for whom votes are counted by influence: those behind by the fewest standard errors.
constexpr std::size_t kScreened = 30;

double share_of(double difference) { return 1 / (1 + std::exp(-difference)); }

// Ranks by falling strength, 1 the best; equal strengths by number.
std::vector<std::uint32_t> ranks_of(const std::vector<double>& strengths) {
  std::vector<std::uint32_t> order(strengths.size()), rank(strengths.size());
  std::iota(order.begin(), order.end(), 0U);
  std::stable_sort(order.begin(), order.end(),
                   [&](std::uint32_t a, std::uint32_t b) { return strengths[a] > strengths[b]; });
  for (std::uint32_t k = 0; k < order.size(); ++k) rank[order[k]] = k + 1;
  return rank;
}

// Variances of strengths against the mean of all but `left_out`, from a sum-zero covariance.
std::vector<double> variances_without(const Covariance& covariance, std::uint32_t left_out) {
  const std::size_t n = covariance.layout.competitors;
  const Matrix& c = covariance.matrix;
  const auto rest = static_cast<double>(n - 1);
  // Row sums without the column left out are minus that column's entry, since rows sum to zero.
  const double all = c(left_out, left_out);
  std::vector<double> out;
  for (std::size_t i = 0; i < n; ++i)
    if (i != left_out) out.push_back(c(i, i) + 2 * c(i, left_out) / rest + all / (rest * rest));
  return out;
}

ModelRemoval remove_model(const PairedFit& fit, const Covariance& covariance, const PairTable& pairs,
                          std::uint32_t removed) {
  ModelRemoval out;
  out.removed = removed;
  const std::size_t n = fit.competitors();
  std::vector<bool> keep(n, true);
  keep[removed] = false;
  const Restricted rest = restrict_pairs(pairs, keep);
  PairedFit start;
  start.options = fit.options;
  start.layout = fit.layout;
  start.layout.competitors = n - 1;
  for (int* place : {&start.layout.tie, &start.layout.bad, &start.layout.position})
    if (*place >= 0) --*place;
  start.parameters = fit.parameters;
  start.parameters.erase(start.parameters.begin() + removed);
  const auto refit = fit_paired(rest.pairs, n - 1, fit.options, &start);
  if (!refit) {
    out.breaks = refit.error().message;
    return out;
  }
  std::vector<double> before;
  for (std::size_t i = 0; i < n; ++i)
    if (i != removed) before.push_back(fit.strength(i));
  const double mean = std::accumulate(before.begin(), before.end(), 0.0) / static_cast<double>(n - 1);
  const std::vector<double> after = refit->strengths();
  const std::vector<std::uint32_t> rank_before = ranks_of(before), rank_after = ranks_of(after);
  // Both variances at the strengths of the full fit: the second is then the larger one for certain, and
  // their difference is what the removed battles told, not what rounding or a new strength makes of it.
  const std::vector<double> variance = variances_without(covariance, removed);
  std::vector<double> unused;
  Matrix information;
  paired::evaluate(paired::shape_of(start), paired::cells_of(rest.pairs, fit.options), start.parameters,
                   &unused, &information);
  const auto without = paired::sum_zero_inverse(information, start.layout);
  std::uint32_t rank_change = 0;
  out.rank_model = out.moved_model = out.z_model = rest.kept[0];
  out.rank_before = rank_before[0];
  out.rank_after = rank_after[0];
  for (std::size_t k = 0; k < after.size(); ++k) {
    const std::uint32_t change =
        std::max(rank_before[k], rank_after[k]) - std::min(rank_before[k], rank_after[k]);
    if (change > rank_change) {
      rank_change = change;
      out.rank_model = rest.kept[k];
      out.rank_before = rank_before[k];
      out.rank_after = rank_after[k];
    }
    const double moved = after[k] - (before[k] - mean);
    if (std::abs(moved) > std::abs(out.moved)) {
      out.moved = moved;
      out.moved_model = rest.kept[k];
    }
    // Where the removed model told next to nothing of this one, second-order effects are all that moves it.
    const double gained = without ? (*without)(k, k) - variance[k] : 0;
    if (gained < kToldNothing * variance[k]) continue;
    if (const double z = moved / std::sqrt(gained); std::abs(z) > std::abs(out.z)) {
      out.z = z;
      out.z_model = rest.kept[k];
    }
  }
  return out;
}

}  // namespace

std::vector<ModelRemoval> remove_models(const PairedFit& fit, const PairTable& pairs, std::size_t most) {
  AGON_CHECK(fit.options.ties == TieModel::kHalf);
  const std::size_t n = fit.competitors();
  if (n < 3) return {};  // one model alone has no ranks
  std::vector<double> votes(n, 0);
  for (const PairCount& p : pairs) {
    votes[p.first] += p.total();
    votes[p.second] += p.total();
  }
  std::vector<std::uint32_t> order(n);
  std::iota(order.begin(), order.end(), 0U);
  std::stable_sort(order.begin(), order.end(),
                   [&](std::uint32_t a, std::uint32_t b) { return votes[a] > votes[b]; });
  order.resize(std::min(most, n));
  std::sort(order.begin(), order.end());
  const Covariance covariance = model_covariance(fit);
  std::vector<ModelRemoval> out(order.size());
  parallel_for(order.size(), [&](std::size_t k) { out[k] = remove_model(fit, covariance, pairs, order[k]); });
  return out;
}

std::vector<Lean> lean_on_links(const PairedFit& fit, const PairTable& pairs) {
  AGON_CHECK(fit.options.ties == TieModel::kHalf);
  const std::size_t n = fit.competitors();
  const Covariance covariance = model_covariance(fit);
  const Matrix& c = covariance.matrix;
  std::vector<Lean> out(n);
  std::vector<double> information(n, 0), best_share(n, 0);
  for (std::uint32_t i = 0; i < n; ++i) out[i] = {i, i, 0, 1, 0};
  for (const paired::Cell& cell : paired::cells_of(fold_order(pairs), fit.options)) {
    const double votes = (cell.weight[0] + cell.weight[1]) + cell.weight[2];
    if (!(votes > 0)) continue;
    const double p = share_of(fit.strength(cell.first) - fit.strength(cell.second));
    const double brought = votes * p * (1 - p);
    const std::size_t i = cell.first, j = cell.second;
    information[i] += brought;
    information[j] += brought;
    // (H - w d d')^-1 = C + w C d d' C / (1 - w d' C d), by Sherman and Morrison (1950). 1 - w d' C d is
    // zero for a bridge.
    const double left = 1 - brought * (c(i, i) + c(j, j) - 2 * c(i, j));
    for (const auto& [model, other] : {std::pair(i, j), std::pair(j, i)}) {
      const double along = c(model, i) - c(model, j);
      const double widening = left > 1e-9 ? std::sqrt(1 + brought * along * along / (left * c(model, model)))
                                          : std::numeric_limits<double>::infinity();
      Lean& lean = out[model];
      if (widening > lean.widening || lean.votes == 0) {
        lean.other = static_cast<std::uint32_t>(other);
        lean.votes = votes;
        lean.widening = widening;
        best_share[model] = brought;
      }
    }
  }
  for (std::size_t i = 0; i < n; ++i) out[i].share = information[i] > 0 ? best_share[i] / information[i] : 0;
  return out;
}

namespace {

// A pair's votes of one outcome.
struct Kind {
  std::size_t cell = 0;  // in the table
  BattleOutcome outcome = BattleOutcome::kA;
  double unit = 1;  // weight of a vote
  std::uint64_t left = 0, dropped = 0;
  double effect = 0;  // of one vote's removal on the margin
};

class Dropping {
 public:
  Dropping(const PairedFit& fit, const PairTable& pairs) : table_(fold_order(pairs)) {
    for (std::size_t k = 0; k < table_.size(); ++k) {
      PairCount& pair = table_[k];
      // Both-bad votes are ties or nothing; one class less to think about.
      if (!fit.options.drop_both_bad) {
        pair.weight[2] += pair.weight[3];
        pair.weight_sq[2] += pair.weight_sq[3];
      }
      pair.weight[3] = pair.weight_sq[3] = 0;
      if (!(pair.total() > 0)) continue;
      const double squares = pair.weight_sq[0] + pair.weight_sq[1] + pair.weight_sq[2];
      approximate_ |= pair.cross > 0 || std::abs(squares - pair.total()) > 1e-9 * pair.total();
      double unit = squares / pair.total();
      if (pair.cross > 0 || !(unit > 0)) unit = pair.total() / static_cast<double>(pair.battles);
      if (!(unit > 0) || !std::isfinite(unit)) continue;
      for (std::size_t o = 0; o < 3; ++o) {
        // Beyond 2^53 a count has no ones to take away.
        const double count = std::min(std::floor(pair.weight[o] / unit + 1e-6), 9007199254740992.0);
        if (!(count >= 1)) continue;
        kinds_.push_back({k, static_cast<BattleOutcome>(o), unit, static_cast<std::uint64_t>(count), 0, 0});
        all_ += static_cast<std::uint64_t>(count);
      }
    }
    kinds_at_start_ = kinds_;
    table_at_start_ = table_;
  }

  [[nodiscard]] bool approximate() const { return approximate_; }
  [[nodiscard]] std::uint64_t votes() const { return all_; }

  // Effects of single votes on s_leader - s_challenger at a fit, most harmful first. `direction` is the
  // covariance times that contrast; `c`, the covariance, gives leverages.
  void linearise(const PairedFit& at, std::span<const double> direction, const Matrix& c) {
    for (Kind& kind : kinds_) {
      const std::size_t i = table_[kind.cell].first, j = table_[kind.cell].second;
      const double p = share_of(at.strength(i) - at.strength(j));
      const double y = kind.outcome == BattleOutcome::kA ? 1 : kind.outcome == BattleOutcome::kB ? 0 : 0.5;
      const double h = kind.unit * p * (1 - p) * (c(i, i) + c(j, j) - 2 * c(i, j));
      kind.effect = h < 1 - 1e-9 ? -kind.unit * (direction[i] - direction[j]) * (y - p) / (1 - h) : 0;
    }
    order_.resize(kinds_.size());
    std::iota(order_.begin(), order_.end(), std::size_t{0});
    std::stable_sort(order_.begin(), order_.end(),
                     [&](std::size_t a, std::size_t b) { return kinds_[a].effect < kinds_[b].effect; });
  }

  // Votes until the margin is predicted to be gone; inf when all together would not do.
  [[nodiscard]] double predicted(double margin) const {
    double count = 0;
    for (const std::size_t k : order_) {
      const Kind& kind = kinds_[k];
      if (!(kind.effect < 0)) break;
      const auto left = static_cast<double>(kind.left);
      if (margin + kind.effect * left < 0) return count + std::floor(margin / -kind.effect) + 1;
      margin += kind.effect * left;
      count += left;
    }
    return std::numeric_limits<double>::infinity();
  }

  // Drops the `count` most harmful votes of the linearisation; fewer when there are no more.
  std::uint64_t drop(std::uint64_t count) {
    std::uint64_t done = 0;
    for (const std::size_t k : order_) {
      Kind& kind = kinds_[k];
      if (done == count || !(kind.effect < 0)) break;
      const std::uint64_t take = std::min(kind.left, count - done);
      kind.left -= take;
      kind.dropped += take;
      done += take;
      const auto o = static_cast<std::size_t>(kind.outcome);
      PairCount& pair = table_[kind.cell];
      pair.weight[o] = std::max(0.0, pair.weight[o] - kind.unit * static_cast<double>(take));
      if (kind.left == 0 && pair.weight[o] < 1e-6 * kind.unit) pair.weight[o] = 0;
    }
    return done;
  }

  // Puts votes back, one by one and those of least effect first, as long as `still(fit)` holds of a refit
  // without the others; how many. `at`, a fit of the table, becomes that of the end. Whether every kind was
  // tried within `refits` is in `whole`.
  template <class Still>
  std::uint64_t put_back(PairedFit& at, std::size_t refits, const Still& still, bool& whole) {
    std::vector<std::size_t> taken;
    for (std::size_t k = 0; k < kinds_.size(); ++k)
      if (kinds_[k].dropped > 0) taken.push_back(k);
    std::ranges::stable_sort(taken, std::ranges::greater{}, [&](std::size_t k) { return kinds_[k].effect; });
    std::uint64_t done = 0;
    whole = true;
    for (const std::size_t k : taken) {
      Kind& kind = kinds_[k];
      double& weight = table_[kind.cell].weight[static_cast<std::size_t>(kind.outcome)];
      while (kind.dropped > 0) {
        if (refits-- == 0) {
          whole = false;
          return done;
        }
        const double before = weight;
        weight += kind.unit;
        auto fit = refit(at);
        if (!fit || !fit->converged || !still(*fit)) {
          weight = before;
          break;
        }
        at = std::move(*fit);
        --kind.dropped;
        ++kind.left;
        ++done;
      }
    }
    return done;
  }

  [[nodiscard]] Result<PairedFit> refit(const PairedFit& from) const {
    return fit_paired(table_, from.competitors(), from.options, &from);
  }
  void restore() {
    kinds_ = kinds_at_start_;
    table_ = table_at_start_;
  }
  [[nodiscard]] std::vector<DroppedVotes> dropped() const {
    std::vector<DroppedVotes> out;
    for (const Kind& kind : kinds_)
      if (kind.dropped > 0)
        out.push_back({table_[kind.cell].first, table_[kind.cell].second, kind.outcome, kind.dropped});
    std::stable_sort(out.begin(), out.end(),
                     [](const DroppedVotes& a, const DroppedVotes& b) { return a.count > b.count; });
    return out;
  }

 private:
  PairTable table_, table_at_start_;
  std::vector<Kind> kinds_, kinds_at_start_;
  std::vector<std::size_t> order_;
  std::uint64_t all_ = 0;
  bool approximate_ = false;
};

std::uint32_t first_of(const PairedFit& fit) {
  const auto end = fit.parameters.begin() + static_cast<std::ptrdiff_t>(fit.competitors());
  return static_cast<std::uint32_t>(std::max_element(fit.parameters.begin(), end) - fit.parameters.begin());
}

std::vector<double> contrast_of(const Matrix& c, std::size_t leader, std::size_t challenger) {
  std::vector<double> out(c.rows);
  for (std::size_t i = 0; i < out.size(); ++i) out[i] = c(i, leader) - c(i, challenger);
  return out;
}

// The same from a fit, by one solution instead of an inversion. The gauge does not move it, since the
// contrast sums to zero.
std::optional<std::vector<double>> contrast_of(const PairedFit& fit, std::size_t leader,
                                               std::size_t challenger) {
  Matrix regular = fit.hessian;
  paired::fix_gauge(regular, fit.competitors(), paired::gauge_of(regular, fit.competitors()));
  const auto factor = Cholesky::of(std::move(regular));
  if (!factor) return std::nullopt;
  std::vector<double> out(fit.competitors(), 0);
  out[leader] = 1;
  out[challenger] = -1;
  factor->solve(out);
  return out;
}

// Drops votes until the leader is not first; the number, or 0 when it stays. `covariance` is that of `fit`.
std::uint64_t dethrone(Dropping& dropping, const PairedFit& fit, const Covariance& covariance,
                       std::uint32_t leader, std::uint32_t challenger, std::uint64_t most,
                       std::uint32_t& first, bool& spare_none) {
  PairedFit at = fit;
  std::uint64_t dropped = 0;
  while (dropped < most) {
    // Leverages from before the first vote went are near enough where inverting would be dear: a refit has
    // the last word.
    if (fit.competitors() <= kInvertOften) {
      const Covariance now = model_covariance(at);
      dropping.linearise(at, contrast_of(now.matrix, leader, challenger), now.matrix);
    } else {
      const auto direction = contrast_of(at, leader, challenger);
      if (!direction) return 0;
      dropping.linearise(at, *direction, covariance.matrix);
    }
    const double margin = at.strength(leader) - at.strength(challenger);
    const double need = dropping.predicted(margin);
    // A third of the way at a time while the way is long: effects change as votes go.
    const double step = std::isfinite(need) ? std::ceil(need / 3) : 1;
    if (static_cast<double>(dropped) + step > static_cast<double>(most)) return 0;
    const std::uint64_t done = dropping.drop(static_cast<std::uint64_t>(step));
    if (done == 0) return 0;
    dropped += done;
    auto refit = dropping.refit(at);
    if (!refit || !refit->converged) return 0;
    at = std::move(*refit);
    first = first_of(at);
    if (first == leader) continue;
    // What was dropped early, by effects that changed, may not be needed in the end.
    spare_none = false;
    if (fit.competitors() <= kInvertOften)
      dropped -= dropping.put_back(
          at, kPutBack, [&](const PairedFit& now) { return first_of(now) != leader; }, spare_none);
    first = first_of(at);
    return dropped;
  }
  return 0;
}

}  // namespace

FirstPlace drop_votes_from_first(const PairedFit& fit, const PairTable& pairs, std::size_t challengers) {
  AGON_CHECK(fit.options.ties == TieModel::kHalf && fit.layout.position < 0);
  const std::size_t n = fit.competitors();
  FirstPlace out;
  out.leader = first_of(fit);
  const Covariance covariance = model_covariance(fit);
  Dropping dropping(fit, pairs);
  out.approximate = dropping.approximate();
  struct Try {
    double predicted, margin, z;
    std::uint32_t challenger;
  };
  std::vector<Try> tries;
  double closest = std::numeric_limits<double>::infinity();
  for (std::uint32_t i = 0; i < n; ++i) {
    if (i == out.leader) continue;
    const double margin = fit.strength(out.leader) - fit.strength(i);
    if (margin < closest) {
      closest = margin;
      out.runner_up = i;
    }
    tries.push_back({0, margin, margin / covariance.se_difference(out.leader, i), i});
  }
  // Sorting all votes for every challenger would be dear; who is many standard errors behind needs many.
  std::stable_sort(tries.begin(), tries.end(), [](const Try& a, const Try& b) { return a.z < b.z; });
  if (tries.size() > kScreened) tries.resize(kScreened);
  for (Try& t : tries) {
    dropping.linearise(fit, contrast_of(covariance.matrix, out.leader, t.challenger), covariance.matrix);
    t.predicted = dropping.predicted(t.margin);
  }
  out.margin = closest;
  out.margin_se = covariance.se_difference(out.leader, out.runner_up);
  std::stable_sort(tries.begin(), tries.end(), [](const Try& a, const Try& b) {
    return a.predicted != b.predicted ? a.predicted < b.predicted : a.margin < b.margin;
  });
  out.predicted = tries.empty() ? 0 : tries[0].predicted;
  if (tries.size() > challengers) tries.resize(challengers);
  std::uint64_t most = dropping.votes() / 2;
  for (const Try& t : tries) {
    dropping.restore();
    std::uint32_t first = 0;
    bool spare_none = false;
    const std::uint64_t votes =
        dethrone(dropping, fit, covariance, out.leader, t.challenger, most, first, spare_none);
    if (votes == 0 || (out.votes > 0 && votes >= out.votes)) continue;
    out.votes = votes;
    out.spare_none = spare_none;
    out.challenger = first;
    out.dropped = dropping.dropped();
    most = votes;
  }
  out.share =
      dropping.votes() > 0 ? static_cast<double>(out.votes) / static_cast<double>(dropping.votes()) : 0;
  return out;
}

}  // namespace agon
