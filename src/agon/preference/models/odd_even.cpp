#include "agon/preference/models/odd_even.h"

#include <Eigen/Dense>
#include <algorithm>
#include <cmath>

#include "agon/base/check.h"
#include "agon/base/parallel.h"

namespace agon {
namespace {

constexpr std::size_t kChunk = 2048;  ///< rows a partial Hessian; fixed, so sums do not depend on threads

struct Moments {
  Eigen::MatrixXd hessian;  ///< lower triangle; empty where it was not asked for
  Eigen::VectorXd gradient;
  double loss = 0;
};
enum class Want : std::uint8_t { kGradient, kHessian };

/// d = z.odd, t = z.even + intercept, for a row of scaled values laid out odd first, then even, then 1.
struct Layout {
  Eigen::Index odd = 0, total = 0;
};

Moments chunk_moments(const Eigen::Ref<const Eigen::MatrixXd>& z, std::span<const Outcome> y,
                      std::span<const double> w, const Eigen::VectorXd& theta, Layout layout, Want want) {
  const Eigen::Index n = z.rows(), po = layout.odd, pe = layout.total - po;
  const Eigen::VectorXd d = z.leftCols(po) * theta.head(po), t = z.rightCols(pe) * theta.tail(pe);
  Eigen::VectorXd gd(n), gt(n), hdd(n), htt(n), hdt(n);
  Moments m;
  for (Eigen::Index i = 0; i < n; ++i) {
    const Prediction p = davidson(d[i], t[i]);
    const auto k = static_cast<std::size_t>(i);
    const double ya = y[k] == Outcome::kA, yb = y[k] == Outcome::kB, yt = y[k] == Outcome::kTie,
                 diff = p.a - p.b;
    gd[i] = w[k] * (diff - (ya - yb)) / 2;
    gt[i] = w[k] * (p.tie - yt);
    hdd[i] = w[k] * (p.a + p.b - diff * diff) / 4;
    htt[i] = w[k] * p.tie * (1 - p.tie);
    hdt[i] = -w[k] * p.tie * diff / 2;
    m.loss -= w[k] * std::log(std::max(1e-300, ya * p.a + yb * p.b + yt * p.tie));
  }
  m.gradient.resize(layout.total);
  m.gradient.head(po) = z.leftCols(po).transpose() * gd;
  m.gradient.tail(pe) = z.rightCols(pe).transpose() * gt;
  if (want == Want::kGradient) return m;
  // Second derivatives are not negative, but rounding may leave a hair.
  const Eigen::MatrixXd by_d = hdd.cwiseMax(0).cwiseSqrt().asDiagonal() * z.leftCols(po),
                        by_t = htt.cwiseMax(0).cwiseSqrt().asDiagonal() * z.rightCols(pe);
  m.hessian = Eigen::MatrixXd::Zero(layout.total, layout.total);
  // Eigen 3.4 takes the address of the first number here, which a matrix without columns doesn't have.
  if (po > 0) m.hessian.topLeftCorner(po, po).selfadjointView<Eigen::Lower>().rankUpdate(by_d.transpose());
  if (pe > 0)
    m.hessian.bottomRightCorner(pe, pe).selfadjointView<Eigen::Lower>().rankUpdate(by_t.transpose());
  m.hessian.bottomLeftCorner(pe, po).noalias() =
      z.rightCols(pe).transpose() * (hdt.asDiagonal() * z.leftCols(po));
  return m;
}

Moments all_moments(const Eigen::MatrixXd& z, std::span<const Outcome> y, std::span<const double> w,
                    const Eigen::VectorXd& theta, Layout layout, Want want) {
  const auto n = static_cast<std::size_t>(z.rows());
  std::vector<Moments> parts((n + kChunk - 1) / kChunk);
  parallel_for(parts.size(), [&](std::size_t c) {
    const std::size_t begin = c * kChunk, count = std::min(kChunk, n - begin);
    parts[c] = chunk_moments(z.middleRows(static_cast<Eigen::Index>(begin), static_cast<Eigen::Index>(count)),
                             y.subspan(begin, count), w.subspan(begin, count), theta, layout, want);
  });
  Moments sum = std::move(parts.front());
  for (std::size_t c = 1; c < parts.size(); ++c) {
    if (want == Want::kHessian) sum.hessian += parts[c].hessian;
    sum.gradient += parts[c].gradient;
    sum.loss += parts[c].loss;
  }
  return sum;
}

}  // namespace

Prediction davidson(double d, double t) {
  // The largest logit is taken out first, so that no exponential overflows.
  const double a = d / 2, b = -a, most = std::max({a, b, t});
  const double ea = std::exp(a - most), eb = std::exp(b - most), et = std::exp(t - most),
               sum = (ea + eb) + et;
  return {ea / sum, eb / sum, et / sum};
}

double OddEvenModel::scaled(std::size_t column, float value) const {
  return std::clamp((value - center_[column]) * scale_[column], -clip_, clip_);
}

OddEvenModel OddEvenModel::fit(const TrainingRows& data, const OddEvenOptions& options) {
  const double as_it_is = 1;
  return std::move(fit_path(data, options, std::span(&as_it_is, 1)).front());
}

std::vector<OddEvenModel> OddEvenModel::fit_path(const TrainingRows& data, const OddEvenOptions& options,
                                                 std::span<const double> multiples) {
  const FeatureMatrix& x = *data.features;
  const std::size_t p = x.columns, n = data.rows.size();
  AGON_CHECK(n > 0 && data.parity.size() == p);
  OddEvenModel model;
  model.clip_ = options.clip;
  model.center_.assign(p, 0.0);
  model.scale_.assign(p, 0.0);
  model.weight_.assign(p, 0.0);
  model.odd_.resize(p);
  std::vector<double> sum(p), squares(p);
  double total = 0;  // rows count by weight, so that a large further file does not set the scale
  for (const std::uint32_t r : data.rows) {
    const auto row = x.row(r);
    const double w = data.weights[r];
    total += w;
    for (std::size_t j = 0; j < p; ++j) {
      sum[j] += w * row[j];
      squares[j] += w * row[j] * row[j];
    }
  }
  for (std::size_t j = 0; j < p; ++j) {
    model.odd_[j] = data.parity[j] == Parity::kOdd;
    const double mean = sum[j] / total;
    if (!model.odd_[j]) model.center_[j] = mean;
    const double variance = squares[j] / total - (model.odd_[j] ? 0.0 : mean * mean);
    if (variance > 1e-12) model.scale_[j] = 1.0 / std::sqrt(variance);
  }

  std::vector<std::size_t> order;  // odd columns first, then even ones; constant columns are left out
  for (const bool odd : {true, false})
    for (std::size_t j = 0; j < p; ++j)
      if ((model.odd_[j] != 0) == odd && model.scale_[j] > 0) order.push_back(j);
  const auto odd_count =
      static_cast<Eigen::Index>(std::ranges::count_if(order, [&](auto j) { return model.odd_[j] != 0; }));
  const Layout layout{odd_count, static_cast<Eigen::Index>(order.size()) + 1};
  Eigen::MatrixXd z(static_cast<Eigen::Index>(n), layout.total);
  std::vector<Outcome> y(n);
  std::vector<double> w(n);
  for (std::size_t i = 0; i < n; ++i) {
    const auto row = x.row(data.rows[i]);
    y[i] = data.outcomes[data.rows[i]];
    w[i] = data.weights[data.rows[i]];
    for (std::size_t k = 0; k < order.size(); ++k)
      z(static_cast<Eigen::Index>(i), static_cast<Eigen::Index>(k)) = model.scaled(order[k], row[order[k]]);
    z(static_cast<Eigen::Index>(i), layout.total - 1) = 1.0;
  }

  Eigen::VectorXd penalty(layout.total), theta = Eigen::VectorXd::Zero(layout.total);
  const auto moments = [&](Want want) {
    Moments m = all_moments(z, y, w, theta, layout, want);
    m.loss += 0.5 * theta.dot(penalty.cwiseProduct(theta));
    m.gradient += penalty.cwiseProduct(theta);
    return m;
  };
  // Newton's method that keeps a Hessian as long as steps by it halve the gradient (Shamanskii 1967): with
  // penalties like these one hardly changes, and it costs as much as a hundred gradients. The next penalty
  // starts from the last Hessian, too.
  constexpr double kHalved = 0.5;
  std::vector<OddEvenModel> path;
  Eigen::MatrixXd hessian;  // without the penalties
  for (const double multiple : multiples) {
    penalty.head(layout.odd).setConstant(multiple * options.l2_odd);
    penalty.tail(layout.total - layout.odd).setConstant(multiple * options.l2_even);
    for (std::size_t k = 0; k < order.size(); ++k)
      if (model.odd_[order[k]] && order[k] + options.score_columns >= p)
        penalty[static_cast<Eigen::Index>(k)] = options.l2_scores;
    penalty[layout.total - 1] =
        1e-6;  // the intercept is free but for a hair that keeps one-class data finite
    Eigen::LDLT<Eigen::MatrixXd> solver;
    const auto factor = [&] {
      Eigen::MatrixXd whole = hessian;
      whole.diagonal() += penalty;
      solver.compute(whole);
    };
    const bool inherited = hessian.size() > 0;
    bool fresh = !inherited;  // is the Hessian that of `theta`?
    Moments m = moments(fresh ? Want::kHessian : Want::kGradient);
    if (fresh) hessian = m.hessian;
    factor();
    model.converged_ = false;
    // As many Hessians as iterations are allowed; the steps between them are too cheap to count.
    for (model.iterations_ = 0;;) {
      const double size = m.gradient.lpNorm<Eigen::Infinity>();
      model.gradient_norm_ = size / static_cast<double>(n);
      model.converged_ = model.gradient_norm_ < 1e-9;
      if (model.converged_ || model.iterations_ >= options.max_iterations) break;
      const Eigen::VectorXd from = theta, step = solver.solve(m.gradient);
      const double loss = m.loss;
      double scale = 1;
      theta = from - step;
      m = moments(Want::kGradient);
      while (!(m.loss <= loss + 1e-12 * std::fabs(loss)) && scale > 1e-6) {
        scale /= 2;
        theta = from - scale * step;
        m = moments(Want::kGradient);
      }
      if (fresh) ++model.iterations_;
      fresh = false;
      if (scale == 1 && m.gradient.lpNorm<Eigen::Infinity>() <= kHalved * size) continue;
      m = moments(Want::kHessian);
      hessian = m.hessian;
      factor();
      fresh = true;
    }
    for (std::size_t k = 0; k < order.size(); ++k)
      model.weight_[order[k]] = theta[static_cast<Eigen::Index>(k)];
    model.tie_intercept_ = theta[layout.total - 1];
    path.push_back(model);
  }
  return path;
}

void OddEvenModel::contributions(std::span<const float> row, std::span<double> out) const {
  for (std::size_t j = 0; j < weight_.size(); ++j) out[j] = weight_[j] * scaled(j, row[j]);
}

Prediction OddEvenModel::predict(std::span<const float> row) const {
  AGON_CHECK(row.size() == weight_.size());
  double d = 0, t = 0;
  for (std::size_t j = 0; j < weight_.size(); ++j) (odd_[j] ? d : t) += weight_[j] * scaled(j, row[j]);
  return davidson(d, t + tie_intercept_);
}

void OddEvenModel::save(ByteWriter& out) const {
  out.put(center_);
  out.put(scale_);
  out.put(weight_);
  out.put(odd_);
  out.put(tie_intercept_);
  out.put(clip_);
}

OddEvenModel OddEvenModel::load(ByteReader& in) {
  OddEvenModel model;
  model.center_ = in.get_vector<double>();
  model.scale_ = in.get_vector<double>();
  model.weight_ = in.get_vector<double>();
  model.odd_ = in.get_vector<std::uint8_t>();
  model.tie_intercept_ = in.get<double>();
  model.clip_ = in.get<double>();
  const std::size_t p = model.weight_.size();
  // Bounds far above what training makes keep sums finite whatever a file says.
  const auto within = [](const std::vector<double>& v, double most) {
    return std::ranges::all_of(v, [&](double x) { return std::fabs(x) <= most; });
  };
  if (model.center_.size() != p || model.scale_.size() != p || model.odd_.size() != p ||
      !within(model.center_, 1e100) || !within(model.scale_, 1e100) || !within(model.weight_, 1e12) ||
      !(std::fabs(model.tie_intercept_) <= 1e12) || !(model.clip_ > 0 && model.clip_ <= 1e6))
    in.fail();
  model.converged_ = true;
  return model;
}

}  // namespace agon
