#include "agon/ranking/covariance.h"

#include <algorithm>
#include <cmath>
#include <limits>

#include "agon/base/check.h"
#include "agon/ranking/paired_kernel.h"
#include "agon/ranking/scores.h"

namespace agon {

using paired::LocalTerms;
using paired::Shape;

double Covariance::se(std::size_t i) const { return std::sqrt(std::max(0.0, matrix(i, i))); }

double Covariance::se_difference(std::size_t i, std::size_t j) const {
  return std::sqrt(std::max(0.0, matrix(i, i) + matrix(j, j) - 2 * matrix(i, j)));
}

double Covariance::se_against_mean(std::size_t i, std::span<const double> weights) const {
  const std::size_t m = layout.competitors;
  AGON_CHECK(weights.size() == m);
  double total = 0;
  for (const double w : weights) total += w;
  std::vector<double> contrast(m);
  for (std::size_t k = 0; k < m; ++k) contrast[k] = (k == i ? 1.0 : 0.0) - weights[k] / total;
  double variance = 0;
  for (std::size_t a = 0; a < m; ++a)
    for (std::size_t b = 0; b < m; ++b) variance += contrast[a] * contrast[b] * matrix(a, b);
  return std::sqrt(std::max(0.0, variance));
}

Matrix Covariance::strengths() const {
  const std::size_t m = layout.competitors;
  Matrix out(m, m);
  for (std::size_t i = 0; i < m; ++i) std::copy_n(&matrix.values[i * matrix.cols], m, &out.values[i * m]);
  return out;
}

namespace {

Matrix inverse_or_nan(const PairedFit& fit) {
  if (auto inverse = paired::sum_zero_inverse(fit.hessian, fit.layout)) return std::move(*inverse);
  // A fit that did not converge can end at a singular Hessian; its uncertainty is not known.
  Matrix out(fit.layout.size(), fit.layout.size());
  std::fill(out.values.begin(), out.values.end(), std::numeric_limits<double>::quiet_NaN());
  return out;
}

}  // namespace

Covariance model_covariance(const PairedFit& fit) {
  return {CovarianceKind::kModel, fit.layout, inverse_or_nan(fit), 0};
}

Covariance sandwich_covariance(const PairedFit& fit, const PairTable& pairs) {
  const Shape shape = paired::shape_of(fit);
  Matrix meat(fit.layout.size(), fit.layout.size());
  LocalTerms terms;
  for (const PairCount& pair : pairs) {
    const auto weight = paired::read_outcomes(pair.weight, fit.options);
    const auto squares = paired::read_outcomes(pair.weight_sq, fit.options);
    paired::local_terms(shape.model, shape.point(fit.parameters, pair.first, pair.second), terms);
    std::array<double, 6> local{};
    const auto add = [&](double w, const std::array<double, 3>& g, const std::array<double, 3>& h) {
      local[0] += w * g[0] * h[0];
      local[1] += 0.5 * w * (g[0] * h[1] + g[1] * h[0]);
      local[2] += w * g[1] * h[1];
      local[3] += 0.5 * w * (g[0] * h[2] + g[2] * h[0]);
      local[4] += 0.5 * w * (g[1] * h[2] + g[2] * h[1]);
      local[5] += w * g[2] * h[2];
    };
    for (std::size_t k = 0; k < kBattleClasses; ++k)
      if (weight[k] > 0) add(squares[k], terms.gradient[k], terms.gradient[k]);
    if (pair.cross > 0) add(2 * pair.cross, terms.gradient[0], terms.gradient[1]);
    paired::spread(fit.layout, pair.first, pair.second, local, meat);
  }
  paired::mirror(meat);
  return {CovarianceKind::kSandwich, fit.layout, sandwich(inverse_or_nan(fit), meat), 0};
}

Result<Covariance> clustered_covariance(const PairedFit& fit, const BattleRows& battles,
                                        std::span<const std::uint32_t> cluster,
                                        std::span<const std::uint32_t> rows) {
  AGON_CHECK(cluster.size() == battles.size());
  const RowGroups groups = group_rows(cluster, rows, battles.size());
  if (groups.count() < 2) return fail("a clustered covariance needs votes of at least two clusters");
  const PairedScores scores(fit, battles);
  const Matrix meat =
      clustered_meat(groups.count(), fit.layout.size(), [&](std::size_t g, SparseVector& out) {
        for (const std::uint32_t row : groups.rows_of(g)) scores.add(row, 0, out);
      });
  Covariance out{CovarianceKind::kClustered, fit.layout, sandwich(inverse_or_nan(fit), meat), groups.count()};
  const auto g = static_cast<double>(groups.count());
  for (double& v : out.matrix.values) v *= g / (g - 1);
  return out;
}

std::vector<Rating> rate(std::span<const double> strengths, const Covariance& covariance,
                         const RatingScale& scale, double z) {
  AGON_CHECK(scale.anchor < static_cast<int>(strengths.size()));
  const double origin = scale.anchor >= 0 ? strengths[static_cast<std::size_t>(scale.anchor)] : 0;
  std::vector<Rating> out(strengths.size());
  for (std::size_t i = 0; i < strengths.size(); ++i) {
    const double rating = scale.base + scale.scale * (strengths[i] - origin);
    const double se = scale.scale * covariance.se(i);
    out[i] = {rating, rating - z * se, rating + z * se, se};
  }
  return out;
}

}  // namespace agon
