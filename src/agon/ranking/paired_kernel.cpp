#include "agon/ranking/paired_kernel.h"

#include <algorithm>
#include <cmath>
#include <utility>

#include "agon/base/check.h"

namespace agon::paired {
namespace {

// log(sum of e^(l.x + c)) over a few terms with coefficients l by (u, v, t), and its derivatives: the mean
// and the covariance of l under the terms' shares.
struct LogSum {
  double value = 0;
  std::array<double, 3> gradient{};
  std::array<double, 6> second{};
};
struct Term {
  double u, v, t, constant;
};
template <std::size_t N>
LogSum log_sum(const std::array<Term, N>& terms, const LocalPoint& at) {
  std::array<double, N> e;
  double top = -INFINITY;
  for (std::size_t k = 0; k < N; ++k) {
    e[k] = terms[k].u * at.u + terms[k].v * at.v + terms[k].t * at.t + terms[k].constant;
    top = std::max(top, e[k]);
  }
  double sum = 0;
  for (double& x : e) sum += x = std::exp(x - top);
  LogSum out;
  out.value = top + std::log(sum);
  for (std::size_t k = 0; k < N; ++k) {
    const double share = e[k] / sum;
    const Term& l = terms[k];
    out.gradient[0] += share * l.u;
    out.gradient[1] += share * l.v;
    out.gradient[2] += share * l.t;
    out.second[0] += share * l.u * l.u;
    out.second[1] += share * l.u * l.v;
    out.second[2] += share * l.v * l.v;
    out.second[3] += share * l.u * l.t;
    out.second[4] += share * l.v * l.t;
    out.second[5] += share * l.t * l.t;
  }
  const auto& g = out.gradient;
  out.second[0] -= g[0] * g[0];
  out.second[1] -= g[0] * g[1];
  out.second[2] -= g[1] * g[1];
  out.second[3] -= g[0] * g[2];
  out.second[4] -= g[1] * g[2];
  out.second[5] -= g[2] * g[2];
  return out;
}

// out[k] += sign * f.
void add(LocalTerms& out, std::size_t k, const LogSum& f, double sign) {
  out.log_p[k] += sign * f.value;
  for (std::size_t d = 0; d < 3; ++d) out.gradient[k][d] += sign * f.gradient[d];
  for (std::size_t d = 0; d < 6; ++d) out.second[k][d] += sign * f.second[d];
}
void add_linear(LocalTerms& out, std::size_t k, const LocalPoint& at, double u, double v, double t) {
  out.log_p[k] += u * at.u + v * at.v + t * at.t;
  out.gradient[k][0] += u;
  out.gradient[k][1] += v;
  out.gradient[k][2] += t;
}
// log(e^(n t) - 1), the room that ties take.
void add_tie_room(LocalTerms& out, std::size_t k, double t, double n) {
  const double e = -std::expm1(-n * t);  // 1 - e^(-nt)
  out.gradient[k][2] += n / e;
  out.log_p[k] += n * t + std::log(e);
  out.second[k][5] -= n * n * (1 - e) / (e * e);
}

void half_terms(const LocalPoint& at, LocalTerms& out) {
  const double d = at.u - at.v;
  const double e = std::exp(-std::abs(d));
  const double larger = 1 / (1 + e), smaller = e / (1 + e);
  const double p = d >= 0 ? larger : smaller, q = d >= 0 ? smaller : larger;
  const double log_larger = -std::log1p(e), log_smaller = log_larger - std::abs(d);
  out.log_p[0] = d >= 0 ? log_larger : log_smaller;
  out.log_p[1] = d >= 0 ? log_smaller : log_larger;
  out.gradient[0] = {q, -q, 0};
  out.gradient[1] = {-p, p, 0};
  out.second[0] = out.second[1] = {-p * q, p * q, -p * q, 0, 0, 0};
  out.log_p[2] = 0.5 * (out.log_p[0] + out.log_p[1]);
  out.gradient[2] = {0.5 * (q - p), 0.5 * (p - q), 0};
  out.second[2] = out.second[0];
}

}  // namespace

void local_terms(TieModel model, const LocalPoint& at, LocalTerms& out) {
  out = LocalTerms{};
  switch (model) {
    case TieModel::kHalf:
      half_terms(at, out);
      return;
    case TieModel::kDavidson: {
      const LogSum all = log_sum<3>({{{1, 0, 0, 0}, {0, 1, 0, 0}, {0.5, 0.5, 1, 0}}}, at);
      add_linear(out, 0, at, 1, 0, 0);
      add_linear(out, 1, at, 0, 1, 0);
      add_linear(out, 2, at, 0.5, 0.5, 1);
      for (std::size_t k = 0; k < 3; ++k) add(out, k, all, -1);
      return;
    }
    case TieModel::kRaoKupper: {
      const LogSum a = log_sum<2>({{{1, 0, 0, 0}, {0, 1, 1, 0}}}, at);
      const LogSum b = log_sum<2>({{{0, 1, 0, 0}, {1, 0, 1, 0}}}, at);
      add_linear(out, 0, at, 1, 0, 0);
      add(out, 0, a, -1);
      add_linear(out, 1, at, 0, 1, 0);
      add(out, 1, b, -1);
      // P(tie) = e^(u+v) (theta^2 - 1) / (their denominators).
      add_linear(out, 2, at, 1, 1, 0);
      add_tie_room(out, 2, at.t, 2);
      add(out, 2, a, -1);
      add(out, 2, b, -1);
      return;
    }
    case TieModel::kBadThreshold: {
      const LogSum a = log_sum<3>({{{1, 0, 0, 0}, {0, 1, 1, 0}, {0, 0, 0, 0}}}, at);
      const LogSum b = log_sum<3>({{{0, 1, 0, 0}, {1, 0, 1, 0}, {0, 0, 0, 0}}}, at);
      const LogSum bad = log_sum<3>({{{1, 0, 0, 0}, {0, 1, 0, 0}, {0, 0, 0, 0}}}, at);
      const LogSum both = log_sum<5>(
          {{{1, 0, 0, 0}, {1, 0, 1, 0}, {0, 1, 0, 0}, {0, 1, 1, 0}, {0, 0, 0, 0.69314718055994530942}}}, at);
      add_linear(out, 0, at, 1, 0, 0);
      add(out, 0, a, -1);
      add_linear(out, 1, at, 0, 1, 0);
      add(out, 1, b, -1);
      add(out, 3, bad, -1);
      // One minus the rest, put over one denominator: with x = e^u, y = e^v and denominators D_A, D_B,
      // D_bad, P(tie) = x y (theta - 1) (D_A + D_B) / (D_A D_B D_bad); no difference of near equals.
      add_linear(out, 2, at, 1, 1, 0);
      add_tie_room(out, 2, at.t, 1);
      add(out, 2, both, 1);
      add(out, 2, a, -1);
      add(out, 2, b, -1);
      add(out, 2, bad, -1);
      return;
    }
  }
}

LocalPoint Shape::origin(std::span<const double> x) const {
  const double half = layout.position >= 0 ? 0.5 * x[static_cast<std::size_t>(layout.position)] : 0;
  const double c = layout.bad >= 0 ? x[static_cast<std::size_t>(layout.bad)] : 0;
  const double t = layout.tie >= 0 ? x[static_cast<std::size_t>(layout.tie)] : 0;
  return {half - c, -half - c, t};
}

LocalPoint Shape::point(std::span<const double> x, std::size_t first, std::size_t second) const {
  const LocalPoint from = origin(x);
  return {x[first] + from.u, x[second] + from.v, from.t};
}

Shape shape_of(const PairedFit& fit) {
  Shape shape{fit.options.ties, fit.layout};
  if (shape.model == TieModel::kBadThreshold && fit.bad_at_boundary) shape.model = TieModel::kRaoKupper;
  if (shape.model != TieModel::kBadThreshold && fit.tie_at_boundary) shape.model = TieModel::kHalf;
  return shape;
}

std::array<double, kBattleClasses> read_outcomes(const std::array<double, kBattleClasses>& weight,
                                                 const PairedOptions& options) {
  auto out = weight;
  if (options.ties == TieModel::kBadThreshold) return out;
  if (!options.drop_both_bad) out[2] += out[3];
  out[3] = 0;
  return out;
}

void spread(const ParameterLayout& layout, std::size_t first, std::size_t second,
            const std::array<double, 3>& local, std::span<double> out) {
  out[first] += local[0];
  out[second] += local[1];
  if (layout.tie >= 0) out[static_cast<std::size_t>(layout.tie)] += local[2];
  if (layout.bad >= 0) out[static_cast<std::size_t>(layout.bad)] -= local[0] + local[1];
  if (layout.position >= 0) out[static_cast<std::size_t>(layout.position)] += 0.5 * (local[0] - local[1]);
}

void spread(const ParameterLayout& layout, std::size_t first, std::size_t second,
            const std::array<double, 6>& h, Matrix& out) {
  out(first, first) += h[0];
  out(second, second) += h[2];
  out(std::max(first, second), std::min(first, second)) += h[1];
  // The other parameters move (u, v, t) along fixed directions and come after the strengths.
  struct Extra {
    std::size_t at;
    double u, v, t;
  };
  std::array<Extra, 3> extra;
  std::size_t count = 0;
  if (layout.tie >= 0) extra[count++] = {static_cast<std::size_t>(layout.tie), 0, 0, 1};
  if (layout.bad >= 0) extra[count++] = {static_cast<std::size_t>(layout.bad), -1, -1, 0};
  if (layout.position >= 0) extra[count++] = {static_cast<std::size_t>(layout.position), 0.5, -0.5, 0};
  for (std::size_t a = 0; a < count; ++a) {
    const Extra& x = extra[a];
    const double u = h[0] * x.u + h[1] * x.v + h[3] * x.t;
    const double v = h[1] * x.u + h[2] * x.v + h[4] * x.t;
    const double t = h[3] * x.u + h[4] * x.v + h[5] * x.t;
    out(x.at, first) += u;
    out(x.at, second) += v;
    for (std::size_t b = 0; b <= a; ++b)
      out(x.at, extra[b].at) += u * extra[b].u + v * extra[b].v + t * extra[b].t;
  }
}

void mirror(Matrix& matrix) {
  for (std::size_t i = 0; i < matrix.rows; ++i)
    for (std::size_t j = 0; j < i; ++j) matrix(j, i) = matrix(i, j);
}

std::vector<Cell> cells_of(const PairTable& pairs, const PairedOptions& options) {
  std::vector<Cell> cells;
  cells.reserve(pairs.size());
  for (const PairCount& pair : pairs) {
    Cell cell{pair.first, pair.second, read_outcomes(pair.weight, options)};
    if (!options.position && cell.first > cell.second) {
      std::swap(cell.first, cell.second);
      std::swap(cell.weight[0], cell.weight[1]);
    }
    double total = 0;
    for (const double w : cell.weight) total += w;
    if (total > 0) cells.push_back(cell);
  }
  const auto key = [](const Cell& c) { return std::pair(c.first, c.second); };
  std::stable_sort(cells.begin(), cells.end(), [&](const Cell& a, const Cell& b) { return key(a) < key(b); });
  std::size_t kept = 0;
  for (std::size_t i = 0; i < cells.size(); ++i) {
    if (kept > 0 && key(cells[kept - 1]) == key(cells[i])) {
      for (std::size_t k = 0; k < kBattleClasses; ++k) cells[kept - 1].weight[k] += cells[i].weight[k];
    } else {
      cells[kept++] = cells[i];
    }
  }
  cells.resize(kept);
  return cells;
}

double evaluate_plainly(const Shape& shape, std::span<const Cell> cells, std::span<const double> parameters,
                        std::vector<double>* gradient, Matrix* hessian, bool expected) {
  const std::size_t n = shape.layout.size();
  if (gradient != nullptr) gradient->assign(n, 0);
  if (hessian != nullptr) *hessian = Matrix(n, n);
  double value = 0;
  LocalTerms terms;
  for (const Cell& cell : cells) {
    local_terms(shape.model, shape.point(parameters, cell.first, cell.second), terms);
    std::array<double, 3> g{};
    std::array<double, 6> h{};
    double total = 0;
    for (std::size_t k = 0; k < kBattleClasses; ++k) {
      const double w = cell.weight[k];
      if (w == 0) continue;
      total += w;
      value -= w * terms.log_p[k];
      for (std::size_t d = 0; d < 3; ++d) g[d] -= w * terms.gradient[k][d];
      if (!expected)
        for (std::size_t d = 0; d < 6; ++d) h[d] -= w * terms.second[k][d];
    }
    if (gradient != nullptr) spread(shape.layout, cell.first, cell.second, g, *gradient);
    if (hessian == nullptr) continue;
    if (expected) {
      // Half wins have two outcomes; the others three or four.
      const std::size_t classes = shape.model == TieModel::kHalf ? 2 : kBattleClasses;
      for (std::size_t k = 0; k < classes; ++k) {
        const auto& d = terms.gradient[k];
        const double p = total * std::exp(terms.log_p[k]);
        if (k == 3 && shape.model != TieModel::kBadThreshold) continue;
        if (k == 2 && shape.layout.tie < 0 && shape.model == TieModel::kBadThreshold) continue;
        h[0] += p * d[0] * d[0];
        h[1] += p * d[0] * d[1];
        h[2] += p * d[1] * d[1];
        h[3] += p * d[0] * d[2];
        h[4] += p * d[1] * d[2];
        h[5] += p * d[2] * d[2];
      }
    }
    spread(shape.layout, cell.first, cell.second, h, *hessian);
  }
  if (hessian != nullptr) mirror(*hessian);
  return value;
}

void fix_gauge(Matrix& information, std::size_t competitors, double kappa) {
  for (std::size_t i = 0; i < competitors; ++i)
    for (std::size_t j = 0; j < competitors; ++j) information(i, j) += kappa;
}

double gauge_of(const Matrix& information, std::size_t competitors) {
  double sum = 0;
  for (std::size_t i = 0; i < competitors; ++i) sum += information(i, i);
  const auto m = static_cast<double>(competitors);
  return std::max(sum / m, 1e-300) / m;
}

void centre(std::span<double> x, const ParameterLayout& layout) {
  double mean = 0;
  for (std::size_t i = 0; i < layout.competitors; ++i) mean += x[i];
  mean /= static_cast<double>(layout.competitors);
  for (std::size_t i = 0; i < layout.competitors; ++i) x[i] -= mean;
  if (layout.bad >= 0) x[static_cast<std::size_t>(layout.bad)] -= mean;
}

std::optional<Matrix> sum_zero_inverse(const Matrix& information, const ParameterLayout& layout) {
  AGON_CHECK(layout.competitors > 0 && information.rows == layout.size());
  Matrix regular = information;
  fix_gauge(regular, layout.competitors, gauge_of(information, layout.competitors));
  const auto factor = Cholesky::of(std::move(regular));
  if (!factor) return std::nullopt;
  // The likelihood does not see a shift n of all strengths and c. With a = 1 for strengths, else 0, the
  // covariance under a'x = 0 is T (H + kappa a a')^-1 T' with T = I - n a' / m: centring each column, then
  // each row. A ridge, which does see the shift, changes nothing, for T n = 0.
  Matrix out = factor->inverse();
  std::vector<double> column(out.rows);
  for (std::size_t j = 0; j < out.cols; ++j) {
    for (std::size_t i = 0; i < out.rows; ++i) column[i] = out(i, j);
    centre(column, layout);
    for (std::size_t i = 0; i < out.rows; ++i) out(i, j) = column[i];
  }
  for (std::size_t i = 0; i < out.rows; ++i) centre({&out.values[i * out.cols], out.cols}, layout);
  return out;
}

}  // namespace agon::paired
