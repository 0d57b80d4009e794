#include "agon/ranking/simultaneous.h"

#include <algorithm>
#include <array>
#include <cmath>
#include <cstring>
#include <functional>
#include <numeric>

#include "agon/base/check.h"
#include "agon/base/parallel.h"
#include "agon/ranking/lanes.h"
#include "agon/stats/normal.h"

namespace agon {
namespace {

using lanes::Floats;
// Draws lie side by side, so many of them to a block: four vectors, which stay in registers.
constexpr std::size_t kDraws = 64;
constexpr std::size_t kVectors = 4;
constexpr std::size_t kFloats = kDraws / kVectors;

AGON_INLINE void load(const float* p, Floats& v) { std::memcpy(&v, p, sizeof v); }
AGON_INLINE void store(float* p, const Floats& v) { std::memcpy(p, &v, sizeof v); }

// out[draw] = sum over k < n of factor[k] * normals[k][draw].
AGON_INLINE void combine_body(const float* factor, const float* normals, std::size_t n, float* out) {
  Floats sum[kVectors]{};
  for (std::size_t k = 0; k < n; ++k)
    for (std::size_t v = 0; v < kVectors; ++v) {
      Floats x;
      load(normals + k * kDraws + v * kFloats, x);
      sum[v] += factor[k] * x;
    }
  for (std::size_t v = 0; v < kVectors; ++v) store(out + v * kFloats, sum[v]);
}
// top[draw] = max(top[draw], (z[draw] - others[j][draw]) * scale[j]) over j < n.
AGON_INLINE void raise_body(const float* z, const float* others, const float* scale, std::size_t n,
                            float* top) {
  Floats own[kVectors], most[kVectors];
  for (std::size_t v = 0; v < kVectors; ++v) {
    load(z + v * kFloats, own[v]);
    load(top + v * kFloats, most[v]);
  }
  for (std::size_t j = 0; j < n; ++j)
    for (std::size_t v = 0; v < kVectors; ++v) {
      Floats x;
      load(others + j * kDraws + v * kFloats, x);
      const Floats t = (own[v] - x) * scale[j];
      most[v] = t > most[v] ? t : most[v];
    }
  for (std::size_t v = 0; v < kVectors; ++v) store(top + v * kFloats, most[v]);
}
AGON_AVX512 void combine_512(const float* f, const float* x, std::size_t n, float* o) {
  combine_body(f, x, n, o);
}
AGON_AVX2 void combine_256(const float* f, const float* x, std::size_t n, float* o) {
  combine_body(f, x, n, o);
}
void combine_128(const float* f, const float* x, std::size_t n, float* o) { combine_body(f, x, n, o); }
AGON_AVX512 void raise_512(const float* z, const float* o, const float* s, std::size_t n, float* t) {
  raise_body(z, o, s, n, t);
}
AGON_AVX2 void raise_256(const float* z, const float* o, const float* s, std::size_t n, float* t) {
  raise_body(z, o, s, n, t);
}
void raise_128(const float* z, const float* o, const float* s, std::size_t n, float* t) {
  raise_body(z, o, s, n, t);
}

// The order statistic that at most a share of 1 - level of the draws exceeds.
double quantile(std::vector<float> draws, double level) {
  const double place = std::ceil(level * static_cast<double>(draws.size() + 1));
  const auto k = static_cast<std::size_t>(std::clamp(place, 1.0, static_cast<double>(draws.size())));
  std::ranges::nth_element(draws, draws.begin() + static_cast<std::ptrdiff_t>(k - 1));
  return static_cast<double>(draws[k - 1]);
}

// A factor F with F F' = the covariance, up to what is the same for all strengths and drops out of their
// differences. By eigenvalues, which take any covariance; many competitors by Cholesky's factor, a twentieth
// of the work, of the covariance made regular along that direction.
Matrix factor_of(const Matrix& covariance) {
  constexpr std::size_t kMany = 400;
  const std::size_t m = covariance.rows;
  if (m <= kMany) return half_of(covariance);
  Matrix regular = covariance;
  double trace = 0;
  for (std::size_t i = 0; i < m; ++i) trace += covariance(i, i);
  for (double& v : regular.values) v += trace / static_cast<double>(m * m);
  const auto factor = Cholesky::of(std::move(regular));
  if (!factor) return half_of(covariance);
  Matrix out = factor->lower();
  for (std::size_t k = 0; k < m; ++k) {
    double mean = 0;
    for (std::size_t i = 0; i < m; ++i) mean += out(i, k) / static_cast<double>(m);
    for (std::size_t i = 0; i < m; ++i) out(i, k) -= mean;
  }
  return out;
}

// The claims about one competitor's differences that are not shown yet: the signed 1 / se by place, and 0 for
// the others, over the places that hold them.
class Band {
 public:
  template <class Shown>
  Band(const float* scale, std::size_t from, std::size_t to, const Shown& shown) : from_(to) {
    for (std::size_t j = from; j < to; ++j) {
      if (scale[j] == 0 || shown(j)) continue;
      if (scale_.empty()) from_ = j;
      scale_.resize(j + 1 - from_, 0);
      scale_.back() = scale[j];
    }
  }
  // Forgets what is shown by now; whether there was any.
  template <class Shown>
  bool drop(const Shown& shown) {
    bool any = false;
    for (std::size_t k = 0; k < scale_.size(); ++k)
      if (scale_[k] != 0 && shown(from_ + k)) {
        scale_[k] = 0;
        any = true;
      }
    return any;
  }
  [[nodiscard]] std::size_t from() const { return from_; }
  [[nodiscard]] const std::vector<float>& scale() const { return scale_; }

 private:
  std::size_t from_;
  std::vector<float> scale_;
};

// All in order of falling strength, so that whom a competitor is not yet told from stand beside it. Of the
// two claims about a pair, "the weaker is better" is never shown: its error counts in every round, and is
// computed once. The other one leaves the test when it is shown, which most are in the first round, so later
// rounds look at a band about the diagonal.
class MaxT {
 public:
  MaxT(std::span<const double> strengths, const Covariance& covariance, const SimultaneousOptions& options)
      : order_(strengths.size()),
        m_(strengths.size()),
        level_(options.level),
        draws_(static_cast<std::size_t>(options.draws)),
        inverse_se_(m_ * m_, 0),
        errors_((draws_ + kDraws - 1) / kDraws * kDraws * m_) {
    std::iota(order_.begin(), order_.end(), 0U);
    std::ranges::stable_sort(order_, std::ranges::greater{}, [&](std::uint32_t i) { return strengths[i]; });
    for (const std::uint32_t i : order_) strengths_.push_back(strengths[i]);
    for (std::size_t i = 0; i < m_; ++i)
      for (std::size_t j = 0; j < m_; ++j) {
        const double se = i == j ? 0 : covariance.se_difference(order_[i], order_[j]);
        if (se > 0) inverse_se_[i * m_ + j] = static_cast<float>(1 / se);
      }
    const Matrix half = factor_of(covariance.strengths());
    std::vector<float> factor(m_ * m_);
    for (std::size_t i = 0; i < m_; ++i)
      for (std::size_t k = 0; k < m_; ++k) factor[i * m_ + k] = static_cast<float>(half(order_[i], k));
    auto* const combine = lanes::pick(combine_512, combine_256, combine_128);
    by_block([&](std::size_t block, std::size_t draws) {
      std::vector<float> normals(m_ * kDraws, 0), one(m_);
      for (std::size_t b = 0; b < draws; ++b) {
        Random random(options.seed, block * kDraws + b);
        draw_normals(random, one);
        for (std::size_t k = 0; k < m_; ++k) normals[k * kDraws + b] = one[k];
      }
      for (std::size_t i = 0; i < m_; ++i)
        combine(&factor[i * m_], normals.data(), m_, &errors_[(block * m_ + i) * kDraws]);
    });
  }

  // The competitor at a place, from the top.
  [[nodiscard]] std::uint32_t at(std::size_t place) const { return order_[place]; }

  [[nodiscard]] double studentised(std::size_t i, std::size_t j) const {
    return (strengths_[i] - strengths_[j]) * static_cast<double>(inverse_se_[i * m_ + j]);
  }

  // Critical value for all strengths' own errors.
  [[nodiscard]] double strengths_quantile(const Covariance& covariance) const {
    std::vector<float> scale(m_), negative(m_);
    for (std::size_t i = 0; i < m_; ++i) {
      const double se = covariance.se(order_[i]);
      scale[i] = se > 0 ? static_cast<float>(1 / se) : 0;
      negative[i] = -scale[i];
    }
    const std::vector<float> zero(kDraws, 0);
    return quantile(tops([&](const float* errors, float* top) {
                      raise_(zero.data(), errors, scale.data(), m_, top);
                      raise_(zero.data(), errors, negative.data(), m_, top);
                    }),
                    level_);
  }

  // Largest (e_i - e_j) / se_ij of each draw: over the pairs whose j is the stronger, and over the others.
  struct Largest {
    std::vector<float> lasting, first_round;
  };
  [[nodiscard]] Largest largest_of_all() const {
    Largest out;
    out.lasting = tops([&](const float* e, float* top) {
      for (std::size_t i = 0; i < m_; ++i) raise_(e + i * kDraws, e, &inverse_se_[i * m_], i, top);
    });
    out.first_round = tops([&](const float* e, float* top) {
      for (std::size_t i = 0; i + 1 < m_; ++i)
        raise_(e + i * kDraws, e + (i + 1) * kDraws, &inverse_se_[i * m_ + i + 1], m_ - i - 1, top);
    });
    return out;
  }

  // Step-down over all ordered differences: shown[i * m + j] when i is better than j, by places. Goes on from
  // the single-step critical value, which is needed anyway.
  [[nodiscard]] std::vector<char> step_down_all(const Largest& largest, double critical) const {
    std::vector<char> shown(m_ * m_, 0);
    const auto now_shown = [&](std::size_t i) {
      return [&, i](std::size_t j) {
        if (!(studentised(i, j) > critical)) return false;
        shown[i * m_ + j] = 1;
        return true;
      };
    };
    std::vector<Band> bands;
    for (std::size_t i = 0; i < m_; ++i) bands.emplace_back(&inverse_se_[i * m_], i + 1, m_, now_shown(i));
    for (;;) {
      std::vector<float> top = tops([&](const float* e, float* most) {
        for (std::size_t i = 0; i < m_; ++i) raise_by(bands[i], i, e, most);
      });
      raise(top, largest.lasting);
      critical = quantile(std::move(top), level_);
      bool more = false;
      for (std::size_t i = 0; i < m_; ++i) more |= bands[i].drop(now_shown(i));
      if (!more) return shown;
    }
  }

  // The same for the differences of each competitor alone, in both directions; by places. The first round is
  // by Bonferroni's critical value, which is no less than the quantile: where the steps end does not depend
  // on it. All competitors take a round together, block by block of draws, which then stays in the cache.
  [[nodiscard]] std::vector<RankRange> marginal() const {
    std::vector<RankRange> ranges(m_, {1, static_cast<std::uint32_t>(m_)});
    if (m_ < 2) return ranges;
    const double bonferroni = normal_quantile(1 - (1 - level_) / (2 * static_cast<double>(m_ - 1)));
    const auto now_shown = [&](std::size_t who, double critical) {
      return [&, who, critical](std::size_t j) {
        if (!(std::abs(studentised(who, j)) > critical)) return false;
        if (j < who)
          ++ranges[who].best;
        else
          --ranges[who].worst;
        return true;
      };
    };
    // Lasting are "better than one that is stronger" and "worse than one that is weaker"; the band has the
    // claims that can be shown, which are the opposite.
    const std::size_t draws = errors_.size() / m_;
    std::vector<float> lasting(m_ * draws, 0), scale = inverse_se_;
    for (std::size_t who = 0; who < m_; ++who)
      for (std::size_t j = who; j < m_; ++j) scale[who * m_ + j] = -scale[who * m_ + j];
    by_block([&](std::size_t block, std::size_t) {
      const float* e = &errors_[block * m_ * kDraws];
      for (std::size_t who = 0; who < m_; ++who)
        raise_(e + who * kDraws, e, &scale[who * m_], m_, &lasting[who * draws + block * kDraws]);
    });
    for (float& x : scale) x = -x;
    std::vector<Band> bands;
    for (std::size_t who = 0; who < m_; ++who)
      bands.emplace_back(&scale[who * m_], 0, m_, now_shown(who, bonferroni));
    scale = {};
    std::vector<char> open(m_, 1);
    std::vector<float> top(m_ * draws);
    while (std::ranges::find(open, 1) != open.end()) {
      by_block([&](std::size_t block, std::size_t) {
        for (std::size_t who = 0; who < m_; ++who) {
          if (!open[who]) continue;
          const std::size_t at = who * draws + block * kDraws;
          std::copy_n(&lasting[at], kDraws, &top[at]);
          raise_by(bands[who], who, &errors_[block * m_ * kDraws], &top[at]);
        }
      });
      parallel_for(m_, [&](std::size_t who) {
        if (!open[who]) return;
        const auto begin = top.begin() + static_cast<std::ptrdiff_t>(who * draws);
        const double critical = quantile({begin, begin + static_cast<std::ptrdiff_t>(draws_)}, level_);
        open[who] = bands[who].drop(now_shown(who, critical));
      });
    }
    return ranges;
  }

 private:
  template <class Body>
  void by_block(const Body& body) const {
    parallel_chunks(draws_, kDraws,
                    [&](std::size_t from, std::size_t to) { body(from / kDraws, to - from); });
  }
  // One maximum a draw, from 0 up: body(errors of a block of draws, competitor by competitor; its maxima).
  template <class Body>
  [[nodiscard]] std::vector<float> tops(const Body& body) const {
    std::vector<float> out(errors_.size() / m_, 0);
    by_block(
        [&](std::size_t block, std::size_t) { body(&errors_[block * m_ * kDraws], &out[block * kDraws]); });
    out.resize(draws_);
    return out;
  }
  void raise_by(const Band& band, std::size_t who, const float* errors, float* top) const {
    raise_(errors + who * kDraws, errors + band.from() * kDraws, band.scale().data(), band.scale().size(),
           top);
  }
  static void raise(std::vector<float>& top, const std::vector<float>& by) {
    for (std::size_t b = 0; b < top.size(); ++b) top[b] = std::max(top[b], by[b]);
  }

  std::vector<std::uint32_t> order_;
  std::vector<double> strengths_;  // by place
  std::size_t m_;
  double level_;
  std::size_t draws_;
  std::vector<float> inverse_se_;  // m x m
  std::vector<float> errors_;      // blocks of draws x m x kDraws
  void (*raise_)(const float*, const float*, const float*, std::size_t,
                 float*) = lanes::pick(raise_512, raise_256, raise_128);
};

}  // namespace

Simultaneous simultaneous(std::span<const double> strengths, const Covariance& covariance,
                          const SimultaneousOptions& options) {
  const std::size_t m = strengths.size();
  AGON_CHECK(m == covariance.layout.competitors && options.draws > 0 && options.level > 0 &&
             options.level < 1);
  const MaxT test(strengths, covariance, options);
  Simultaneous out;
  out.z_strengths = test.strengths_quantile(covariance);
  const MaxT::Largest largest = test.largest_of_all();
  std::vector<float> top(largest.lasting);
  for (std::size_t b = 0; b < top.size(); ++b) top[b] = std::max(top[b], largest.first_round[b]);
  out.z_differences = quantile(top, options.level);

  const std::vector<char> shown = test.step_down_all(largest, out.z_differences);
  out.ranks.assign(m, {1, static_cast<std::uint32_t>(m)});
  for (std::size_t i = 0; i < m; ++i)
    for (std::size_t j = 0; j < m; ++j)
      if (shown[i * m + j]) {
        --out.ranks[test.at(i)].worst;
        ++out.ranks[test.at(j)].best;
      }
  out.marginal_ranks.resize(m);
  const std::vector<RankRange> marginal = test.marginal();
  for (std::size_t i = 0; i < m; ++i) out.marginal_ranks[test.at(i)] = marginal[i];

  out.better = out.better_corrected = Matrix(m, m);
  std::sort(top.begin(), top.end());
  const auto draws = static_cast<double>(top.size());
  parallel_for(m, [&](std::size_t i) {
    for (std::size_t j = 0; j < m; ++j) {
      const double t = i == j ? 0 : test.studentised(i, j);
      const std::size_t a = test.at(i), b = test.at(j);
      out.better(a, b) = normal_cdf(t);
      if (!(t > 0)) continue;
      const auto reached = top.end() - std::lower_bound(top.begin(), top.end(), static_cast<float>(t));
      out.better_corrected(a, b) = 1 - (1 + static_cast<double>(reached)) / (draws + 1);
    }
  });
  return out;
}

}  // namespace agon
