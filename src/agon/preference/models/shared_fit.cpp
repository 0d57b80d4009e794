#include "agon/preference/models/shared_fit.h"

#include <algorithm>
#include <cmath>
#include <deque>
#include <tuple>

#include "agon/base/check.h"
#include "agon/base/parallel.h"

namespace agon {
namespace {

using Four = float __attribute__((vector_size(16)));

/// Columns [begin, end) of X X' R added to `out`. A column's weights stay in registers between the two
/// sweeps over its entries, so X' R is never written down.
template <int kFours>
void gram_columns(const SparseColumns& x, std::size_t begin, std::size_t end, const float* r, float* out) {
  constexpr std::size_t kLanes = 4 * kFours;
  for (std::size_t j = begin; j < end; ++j) {
    Four sum[kFours]{};
    for (std::uint64_t k = x.start[j]; k < x.start[j + 1]; ++k) {
      const auto [row, v] = x.entries[k];
      const float* from = r + std::size_t{row} * kLanes;
      for (int q = 0; q < kFours; ++q) {
        Four part;
        __builtin_memcpy(&part, from + 4 * q, sizeof part);
        sum[q] += v * part;
      }
    }
    for (std::uint64_t k = x.start[j]; k < x.start[j + 1]; ++k) {
      const auto [row, v] = x.entries[k];
      float* to = out + std::size_t{row} * kLanes;
      for (int q = 0; q < kFours; ++q) {
        Four part;
        __builtin_memcpy(&part, to + 4 * q, sizeof part);
        part += v * sum[q];
        __builtin_memcpy(to + 4 * q, &part, sizeof part);
      }
    }
  }
}

using Kernel = void (*)(const SparseColumns&, std::size_t, std::size_t, const float*, float*);

Kernel kernel_for(std::size_t lanes) {
  constexpr Kernel kByFours[] = {gram_columns<1>, gram_columns<2>, gram_columns<3>, gram_columns<4>};
  AGON_CHECK(lanes >= 4 && lanes <= kMostSharedFits && lanes % 4 == 0);
  return kByFours[lanes / 4 - 1];
}

/// A vector of weight space by its coefficients and by its image X X' c.
struct Spanned {
  std::vector<double> coefficient, image;

  explicit Spanned(std::size_t n = 0) : coefficient(n), image(n) {}
  void add(double scale, const Spanned& other) {
    for (std::size_t i = 0; i < coefficient.size(); ++i) {
      coefficient[i] += scale * other.coefficient[i];
      image[i] += scale * other.image[i];
    }
  }
  void scale(double by) {
    for (double& c : coefficient) c *= by;
    for (double& c : image) c *= by;
  }
};

double inner(const Spanned& a, const Spanned& b) {
  double sum = 0;
  for (std::size_t i = 0; i < a.coefficient.size(); ++i) sum += a.coefficient[i] * b.image[i];
  return sum;
}

/// One fit on its way: what L-BFGS keeps.
class Walker {
 public:
  Walker(SharedFit& fit, std::size_t rows) : fit_(fit), at_(rows), gradient_(rows) {
    const std::size_t units = fit.loss == SharedFit::Loss::kPairs ? rows / 2 : rows;
    AGON_CHECK(fit.weight.size() == units && fit.target.size() == units && fit.l2 > 0);
    fit.converged = false;
    fit.iterations = 0;
  }
  [[nodiscard]] bool done() const { return done_; }
  /// Derivatives of the losses with respect to the scores, into lane `lane` of `r`.
  void slopes(float* r, std::size_t lanes) const {
    if (done_) return;  // what is there already is as good as anything
    for (std::size_t i = 0; i < at_.image.size(); ++i) r[i * lanes] = static_cast<float>(slope(i));
  }
  /// Takes X X' of those slopes, then makes one step.
  void step(const float* image, std::size_t lanes, const SharedFitOptions& options) {
    if (done_) return;
    Spanned gradient(at_.image.size());
    for (std::size_t i = 0; i < at_.image.size(); ++i) {
      // The slope as the pass had it: coefficient and image must belong together.
      gradient.coefficient[i] = fit_.l2 * at_.coefficient[i] + static_cast<float>(slope(i));
      gradient.image[i] = fit_.l2 * at_.image[i] + image[i * lanes];
    }
    if (fit_.iterations > 0) remember(gradient);
    gradient_ = std::move(gradient);
    const double length = std::sqrt(std::max(0.0, inner(gradient_, gradient_)));
    if (fit_.iterations == 0) first_length_ = length;
    fit_.gradient = first_length_ > 0 ? length / first_length_ : 0;
    fit_.converged = fit_.gradient <= options.tolerance;
    if (fit_.converged || fit_.iterations == options.max_iterations) return finish();
    direction_ = descent();
    const double along = inner(direction_, gradient_);
    if (!(along < 0)) return finish();  // at the limit of the arithmetic
    const double t = line_search(along);
    direction_.scale(t);
    at_.add(1, direction_);
    ++fit_.iterations;
  }

 private:
  struct Pair {
    Spanned s, y;
    double rho;
  };
  static constexpr std::size_t kHistory = 6;

  [[nodiscard]] double slope(std::size_t i) const {
    if (fit_.loss == SharedFit::Loss::kSquares) return fit_.weight[i] * (at_.image[i] - fit_.target[i]);
    const std::size_t pair = i / 2;
    if (fit_.weight[pair] == 0) return 0;
    const double d = at_.image[2 * pair] - at_.image[2 * pair + 1];
    const double s = fit_.weight[pair] * (1 / (1 + std::exp(-d)) - fit_.target[pair]);
    return i % 2 == 0 ? s : -s;
  }
  void remember(const Spanned& gradient) {
    Pair pair{std::move(direction_), gradient, 0};
    pair.y.add(-1, gradient_);
    const double curvature = inner(pair.s, pair.y);
    if (!(curvature > 1e-12 * inner(pair.y, pair.y))) return;
    pair.rho = 1 / curvature;
    pairs_.push_back(std::move(pair));
    if (pairs_.size() > kHistory) pairs_.pop_front();
  }
  [[nodiscard]] Spanned descent() const {
    Spanned d = gradient_;
    std::vector<double> alpha(pairs_.size());
    for (std::size_t k = pairs_.size(); k-- > 0;) {
      alpha[k] = pairs_[k].rho * inner(pairs_[k].s, d);
      d.add(-alpha[k], pairs_[k].y);
    }
    if (!pairs_.empty()) d.scale(1 / (pairs_.back().rho * inner(pairs_.back().y, pairs_.back().y)));
    for (std::size_t k = 0; k < pairs_.size(); ++k)
      d.add(alpha[k] - pairs_[k].rho * inner(pairs_[k].y, d), pairs_[k].s);
    d.scale(-1);
    return d;
  }
  /// First and second derivative of the whole loss at `t` along the direction.
  [[nodiscard]] std::pair<double, double> derivatives(double t) const {
    double first = fit_.l2 * (inner(at_, direction_) + t * square_), second = fit_.l2 * square_;
    const std::vector<double>&u = at_.image, &du = direction_.image;
    if (fit_.loss == SharedFit::Loss::kSquares) {
      for (std::size_t i = 0; i < u.size(); ++i) {
        first += fit_.weight[i] * (u[i] + t * du[i] - fit_.target[i]) * du[i];
        second += fit_.weight[i] * du[i] * du[i];
      }
      return {first, second};
    }
    for (std::size_t k = 0; k < fit_.weight.size(); ++k) {
      if (fit_.weight[k] == 0) continue;
      const double change = du[2 * k] - du[2 * k + 1];
      const double p = 1 / (1 + std::exp(-(u[2 * k] - u[2 * k + 1] + t * change)));
      first += fit_.weight[k] * (p - fit_.target[k]) * change;
      second += fit_.weight[k] * p * (1 - p) * change * change;
    }
    return {first, second};
  }
  /// The minimum along the direction by safeguarded Newton steps: the loss is convex.
  [[nodiscard]] double line_search(double along) {
    square_ = inner(direction_, direction_);
    double low = 0, high = HUGE_VAL, t = 0, first = along, second = derivatives(0).second;
    for (int trial = 0; trial < 20; ++trial) {
      double next = t - first / second;
      if (!(next > low && next < high)) next = std::isfinite(high) ? (low + high) / 2 : 2 * low + 1;
      t = next;
      std::tie(first, second) = derivatives(t);
      if (std::fabs(first) <= 1e-3 * std::fabs(along)) break;
      (first < 0 ? low : high) = t;
    }
    return t;
  }
  void finish() {
    done_ = true;
    fit_.coefficient = std::move(at_.coefficient);
    fit_.score = at_.image;
  }

  SharedFit& fit_;
  Spanned at_, gradient_, direction_;
  std::deque<Pair> pairs_;
  double first_length_ = 0, square_ = 0;
  bool done_ = false;
};

}  // namespace

void SparseColumns::gram_multiply(std::span<const float> r, std::size_t lanes, std::span<float> out) const {
  AGON_CHECK(r.size() == rows * lanes && out.size() == r.size());
  const Kernel kernel = kernel_for(lanes);
  // Parts of about equal numbers of entries, each with sums of its own. Their number must not depend on
  // the threads, and each costs a copy of `out`.
  constexpr std::size_t kParts = 8;
  std::vector<std::vector<float>> sums(kParts);
  parallel_for(kParts, [&](std::size_t p) {
    const auto border = [&](std::size_t i) {
      const auto found = std::ranges::lower_bound(start, i * start.back() / kParts);
      return static_cast<std::size_t>(found - start.begin());
    };
    const std::size_t begin = border(p), end = p + 1 == kParts ? columns() : border(p + 1);
    sums[p].resize(out.size());
    kernel(*this, begin, end, r.data(), sums[p].data());
  });
  parallel_chunks(out.size(), 1 << 14, [&](std::size_t begin, std::size_t end) {
    for (std::size_t i = begin; i < end; ++i) {
      float sum = 0;
      for (const auto& part : sums) sum += part[i];
      out[i] = sum;
    }
  });
}

std::vector<double> SparseColumns::transposed_multiply(std::span<const double> a) const {
  AGON_CHECK(a.size() == rows);
  std::vector<double> out(columns());
  parallel_chunks(columns(), 1 << 12, [&](std::size_t begin, std::size_t end) {
    for (std::size_t j = begin; j < end; ++j)
      for (std::uint64_t k = start[j]; k < start[j + 1]; ++k) out[j] += entries[k].value * a[entries[k].row];
  });
  return out;
}

void fit_shared(const SparseColumns& x, std::span<SharedFit> fits, const SharedFitOptions& options) {
  AGON_CHECK(!fits.empty() && fits.size() <= kMostSharedFits);
  std::vector<Walker> walkers;
  for (SharedFit& fit : fits) walkers.emplace_back(fit, x.rows);
  const std::size_t lanes = (fits.size() + 3) / 4 * 4;
  std::vector<float> r(x.rows * lanes), image(x.rows * lanes);
  while (std::ranges::any_of(walkers, [](const Walker& w) { return !w.done(); })) {
    parallel_for(walkers.size(), [&](std::size_t f) { walkers[f].slopes(r.data() + f, lanes); });
    x.gram_multiply(r, lanes, image);
    parallel_for(walkers.size(), [&](std::size_t f) { walkers[f].step(image.data() + f, lanes, options); });
  }
}

}  // namespace agon
