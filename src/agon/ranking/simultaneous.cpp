#include "agon/ranking/simultaneous.h"

#include <algorithm>
#include <cmath>
#include <cstring>

#include "agon/base/check.h"
#include "agon/base/parallel.h"
#include "agon/ranking/lanes.h"
#include "agon/ranking/normal.h"

namespace agon {
namespace {

using lanes::Floats;
constexpr std::size_t kFloats = 16;

std::size_t pad(std::size_t n) { return (n + kFloats - 1) / kFloats * kFloats; }

AGON_INLINE void load(const float* p, Floats& v) { std::memcpy(&v, p, sizeof v); }
AGON_INLINE float largest(const Floats& v) {
  float out = v[0];
  for (std::size_t k = 1; k < kFloats; ++k) out = std::max(out, v[k]);
  return out;
}

// Draws z = factor * normals: `n` rows of the factor (padded columns hold zeros) times one vector.
AGON_INLINE void transform_body(const float* columns, const float* normals, float* out, std::size_t n,
                                std::size_t padded) {
  std::fill(out, out + padded, 0.0F);
  for (std::size_t k = 0; k < n; ++k) {
    const float a = normals[k];
    for (std::size_t i = 0; i < padded; i += kFloats) {
      Floats x, y;
      load(columns + k * padded + i, x);
      load(out + i, y);
      y += a * x;
      std::memcpy(out + i, &y, sizeof y);
    }
  }
}
// max over j of (z - z_j) * scale_j, and 0.
AGON_INLINE float row_max_body(float z, const float* all, const float* scale, std::size_t padded) {
  Floats top{};
  for (std::size_t j = 0; j < padded; j += kFloats) {
    Floats x, s;
    load(all + j, x);
    load(scale + j, s);
    const Floats t = (z - x) * s;
    top = t > top ? t : top;
  }
  return largest(top);
}
AGON_AVX512 void transform_512(const float* c, const float* z, float* o, std::size_t n, std::size_t p) {
  transform_body(c, z, o, n, p);
}
AGON_AVX2 void transform_256(const float* c, const float* z, float* o, std::size_t n, std::size_t p) {
  transform_body(c, z, o, n, p);
}
void transform_128(const float* c, const float* z, float* o, std::size_t n, std::size_t p) {
  transform_body(c, z, o, n, p);
}
AGON_AVX512 float row_max_512(float z, const float* a, const float* s, std::size_t p) {
  return row_max_body(z, a, s, p);
}
AGON_AVX2 float row_max_256(float z, const float* a, const float* s, std::size_t p) {
  return row_max_body(z, a, s, p);
}
float row_max_128(float z, const float* a, const float* s, std::size_t p) { return row_max_body(z, a, s, p); }

void transform(const float* c, const float* z, float* o, std::size_t n, std::size_t p) {
  return lanes::pick(transform_512, transform_256, transform_128)(c, z, o, n, p);
}
float row_max(float z, const float* a, const float* s, std::size_t p) {
  return lanes::pick(row_max_512, row_max_256, row_max_128)(z, a, s, p);
}

// The order statistic that at most a share of 1 - level of the draws exceeds.
double quantile(std::vector<float> draws, double level) {
  const double place = std::ceil(level * static_cast<double>(draws.size() + 1));
  const auto k = static_cast<std::size_t>(std::clamp(place, 1.0, static_cast<double>(draws.size())));
  std::ranges::nth_element(draws, draws.begin() + static_cast<std::ptrdiff_t>(k - 1));
  return static_cast<double>(draws[k - 1]);
}

class MaxT {
 public:
  MaxT(std::span<const double> strengths, const Covariance& covariance, const SimultaneousOptions& options)
      : strengths_(strengths),
        m_(strengths.size()),
        padded_(pad(m_)),
        level_(options.level),
        draws_(static_cast<std::size_t>(options.draws)),
        inverse_se_(m_ * padded_, 0),
        errors_(draws_ * padded_) {
    for (std::size_t i = 0; i < m_; ++i)
      for (std::size_t j = 0; j < m_; ++j) {
        const double se = i == j ? 0 : covariance.se_difference(i, j);
        if (se > 0) inverse_se_[i * padded_ + j] = static_cast<float>(1 / se);
      }
    const Matrix half = half_of(covariance.strengths());
    std::vector<float> columns(m_ * padded_, 0);
    for (std::size_t k = 0; k < m_; ++k)
      for (std::size_t i = 0; i < m_; ++i) columns[k * padded_ + i] = static_cast<float>(half(i, k));
    parallel_chunks(draws_, 64, [&](std::size_t from, std::size_t to) {
      std::vector<float> normals(m_);
      for (std::size_t b = from; b < to; ++b) {
        Random random(options.seed, b);
        draw_normals(random, normals);
        transform(columns.data(), normals.data(), &errors_[b * padded_], m_, padded_);
      }
    });
  }

  [[nodiscard]] double studentised(std::size_t i, std::size_t j) const {
    return (strengths_[i] - strengths_[j]) * static_cast<double>(inverse_se_[i * padded_ + j]);
  }

  // Critical value for all strengths' own errors.
  [[nodiscard]] double strengths_quantile(const Covariance& covariance) const {
    std::vector<float> scale(m_);
    for (std::size_t i = 0; i < m_; ++i) {
      const double se = covariance.se(i);
      scale[i] = se > 0 ? static_cast<float>(1 / se) : 0;
    }
    std::vector<float> top(draws_);
    parallel_chunks(draws_, 256, [&](std::size_t from, std::size_t to) {
      for (std::size_t b = from; b < to; ++b) {
        float most = 0;
        for (std::size_t i = 0; i < m_; ++i)
          most = std::max(most, std::abs(errors_[b * padded_ + i]) * scale[i]);
        top[b] = most;
      }
    });
    return quantile(std::move(top), level_);
  }

  // Largest (e_i - e_j) * scale(i, j) of each draw.
  [[nodiscard]] std::vector<float> largest_of(const std::vector<float>& scale) const {
    std::vector<float> top(draws_);
    parallel_chunks(draws_, 64, [&](std::size_t from, std::size_t to) {
      for (std::size_t b = from; b < to; ++b) {
        const float* e = &errors_[b * padded_];
        float most = 0;
        for (std::size_t i = 0; i < m_; ++i)
          most = std::max(most, row_max(e[i], e, &scale[i * padded_], padded_));
        top[b] = most;
      }
    });
    return top;
  }

  // Step-down over all ordered differences: shown[i * m + j] when i is better than j. Starts from the
  // single-step draws, which are needed anyway.
  [[nodiscard]] std::vector<char> step_down_all(double first_critical) const {
    std::vector<char> shown(m_ * m_, 0);
    std::vector<float> scale = inverse_se_;
    for (double critical = first_critical;; critical = quantile(largest_of(scale), level_)) {
      bool more = false;
      for (std::size_t i = 0; i < m_; ++i)
        for (std::size_t j = 0; j < m_; ++j) {
          if (i == j || shown[i * m_ + j] || !(studentised(i, j) > critical)) continue;
          shown[i * m_ + j] = 1;
          scale[i * padded_ + j] = 0;
          more = true;
        }
      if (!more) return shown;
    }
  }

  // The same for the differences of one competitor. Row 0 of the scales: it better; row 1: it worse.
  [[nodiscard]] RankRange marginal(std::size_t who) const {
    std::vector<float> better(inverse_se_.begin() + static_cast<std::ptrdiff_t>(who * padded_),
                              inverse_se_.begin() + static_cast<std::ptrdiff_t>((who + 1) * padded_));
    std::vector<float> worse(better);
    RankRange range{1, static_cast<std::uint32_t>(m_)};
    for (;;) {
      std::vector<float> top(draws_);
      std::vector<float> negative(padded_);
      for (std::size_t j = 0; j < padded_; ++j) negative[j] = -worse[j];
      for (std::size_t b = 0; b < draws_; ++b) {
        const float* e = &errors_[b * padded_];
        top[b] = std::max(row_max(e[who], e, better.data(), padded_),
                          row_max(e[who], e, negative.data(), padded_));
      }
      const double critical = quantile(std::move(top), level_);
      bool more = false;
      for (std::size_t j = 0; j < m_; ++j) {
        const double t = studentised(who, j);
        if (better[j] > 0 && t > critical) {
          better[j] = 0;
          --range.worst;
          more = true;
        }
        if (worse[j] > 0 && -t > critical) {
          worse[j] = 0;
          ++range.best;
          more = true;
        }
      }
      if (!more) return range;
    }
  }

  [[nodiscard]] const std::vector<float>& scales() const { return inverse_se_; }

 private:
  std::span<const double> strengths_;
  std::size_t m_, padded_;
  double level_;
  std::size_t draws_;
  std::vector<float> inverse_se_;  // m x padded
  std::vector<float> errors_;      // draws x padded
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
  std::vector<float> top = test.largest_of(test.scales());
  out.z_differences = quantile(top, options.level);

  const std::vector<char> shown = test.step_down_all(out.z_differences);
  out.ranks.assign(m, {1, static_cast<std::uint32_t>(m)});
  for (std::size_t i = 0; i < m; ++i)
    for (std::size_t j = 0; j < m; ++j)
      if (shown[i * m + j]) {
        --out.ranks[i].worst;
        ++out.ranks[j].best;
      }
  out.marginal_ranks.resize(m);
  parallel_for(m, [&](std::size_t i) { out.marginal_ranks[i] = test.marginal(i); });

  out.better = out.better_corrected = Matrix(m, m);
  std::sort(top.begin(), top.end());
  const auto draws = static_cast<double>(top.size());
  for (std::size_t i = 0; i < m; ++i)
    for (std::size_t j = 0; j < m; ++j) {
      const double t = i == j ? 0 : test.studentised(i, j);
      out.better(i, j) = normal_cdf(t);
      const auto reached = top.end() - std::lower_bound(top.begin(), top.end(), static_cast<float>(t));
      out.better_corrected(i, j) = t > 0 ? 1 - (1 + static_cast<double>(reached)) / (draws + 1) : 0;
    }
  return out;
}

}  // namespace agon
