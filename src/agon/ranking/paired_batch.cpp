// evaluate() and evaluate_gradient(): the likelihood of all cells, eight at a time.
//
// What paired_kernel.cpp says once for any outcome is written out here for each tie model, with the few
// exponentials and logarithms that its outcomes share. With x = e^u, y = e^v, q = e^t and weights w by
// outcome (A, B, tie, both bad), every sum below is that of negative log-likelihoods.
#include <algorithm>
#include <cmath>

#include "agon/ranking/lanes.h"
#include "agon/ranking/paired_kernel.h"

namespace agon::paired {
namespace {

using lanes::Doubles;
constexpr std::size_t kWidth = lanes::kWidth;

enum class Want : std::uint8_t { kGradient, kValue, kValueAndGradient, kAll };
constexpr bool wants_value(Want w) { return w != Want::kGradient; }
constexpr bool wants_gradient(Want w) { return w != Want::kValue; }
constexpr bool wants_second(Want w) { return w == Want::kAll; }

// Eight cells: their points, their weights, and what comes of them.
struct Batch {
  Doubles u, v, w[kBattleClasses];
  Doubles value;
  Doubles g[3];  // by u, v, t
  Doubles h[6];  // uu, uv, vv, ut, vt, tt
};

AGON_INLINE void larger_of(const Doubles& a, const Doubles& b, Doubles& out) { out = a > b ? a : b; }

// d = u - v; a tie is half a win each.
template <Want kWant>
AGON_INLINE void half(double, Batch& c) {
  const Doubles wins = c.w[0] + 0.5 * c.w[2], losses = c.w[1] + 0.5 * c.w[2];
  const Doubles d = c.u - c.v, zero{};
  Doubles e;
  lanes::exp_negative(d < zero ? d : -d, e);
  const Doubles high = 1.0 / (1.0 + e), low = e * high;
  const Doubles p = d < zero ? low : high, q = d < zero ? high : low;
  if constexpr (wants_value(kWant)) {
    Doubles log_sum;
    lanes::log1p_unit(e, log_sum);
    c.value = (wins + losses) * log_sum - (d < zero ? wins * d : -losses * d);
  }
  if constexpr (wants_gradient(kWant)) {
    c.g[0] = losses * p - wins * q;
    c.g[1] = -c.g[0];
    c.g[2] = zero;
  }
  if constexpr (wants_second(kWant)) {
    c.h[0] = c.h[2] = (wins + losses) * p * q;
    c.h[1] = -c.h[0];
    c.h[3] = c.h[4] = c.h[5] = zero;
  }
}

// P(A) : P(B) : P(tie) = x : y : q sqrt(x y).
template <Want kWant>
AGON_INLINE void davidson(double t, Batch& c) {
  const Doubles n = (c.w[0] + c.w[1]) + c.w[2];
  const Doubles middle = 0.5 * (c.u + c.v) + t;
  Doubles top, x, y, z;
  larger_of(c.u, c.v, top);
  larger_of(top, middle, top);
  lanes::exp_negative(c.u - top, x);
  lanes::exp_negative(c.v - top, y);
  lanes::exp_negative(middle - top, z);
  const Doubles sum = (x + y) + z, scale = 1.0 / sum;
  const Doubles a = x * scale, b = y * scale, tie = z * scale;
  if constexpr (wants_value(kWant)) {
    Doubles log_sum;
    lanes::log_positive(sum, log_sum);
    c.value = n * log_sum - ((c.w[0] * (c.u - top) + c.w[1] * (c.v - top)) + c.w[2] * (middle - top));
  }
  if constexpr (wants_gradient(kWant)) {
    c.g[0] = n * (a + 0.5 * tie) - (c.w[0] + 0.5 * c.w[2]);
    c.g[1] = n * (b + 0.5 * tie) - (c.w[1] + 0.5 * c.w[2]);
    c.g[2] = n * tie - c.w[2];
  }
  if constexpr (wants_second(kWant)) {
    // A covariance as the sum over pairs of outcomes: nothing cancels.
    const Doubles ab = n * a * b, at = n * a * tie, bt = n * b * tie;
    c.h[0] = c.h[2] = ab + 0.25 * (at + bt);
    c.h[1] = -c.h[0];
    c.h[3] = 0.5 * (bt - at);
    c.h[4] = -c.h[3];
    c.h[5] = at + bt;
  }
}

// -log P(A) = log(1 + e^(v - u + t)), and B alike; a tie has both, less a room that t alone decides.
template <Want kWant>
AGON_INLINE void rao_kupper(double t, Batch& c) {
  const Doubles na = c.w[0] + c.w[2], nb = c.w[1] + c.w[2], zero{};
  const Doubles da = (c.v - c.u) + t, db = (c.u - c.v) + t;
  Doubles ea, eb;
  lanes::exp_negative(da < zero ? da : -da, ea);
  lanes::exp_negative(db < zero ? db : -db, eb);
  const Doubles high_a = 1.0 / (1.0 + ea), low_a = ea * high_a;
  const Doubles high_b = 1.0 / (1.0 + eb), low_b = eb * high_b;
  const Doubles not_a = na * (da < zero ? low_a : high_a), not_b = nb * (db < zero ? low_b : high_b);
  if constexpr (wants_value(kWant)) {
    Doubles log_a, log_b;
    lanes::log1p_unit(ea, log_a);
    lanes::log1p_unit(eb, log_b);
    c.value = na * (log_a + (da < zero ? zero : da)) + nb * (log_b + (db < zero ? zero : db));
  }
  if constexpr (wants_gradient(kWant)) {
    c.g[0] = not_b - not_a;
    c.g[1] = not_a - not_b;
    c.g[2] = not_a + not_b;
  }
  if constexpr (wants_second(kWant)) {
    const Doubles ha = na * high_a * low_a, hb = nb * high_b * low_b;
    c.h[0] = c.h[2] = c.h[5] = ha + hb;
    c.h[1] = -c.h[0];
    c.h[3] = hb - ha;
    c.h[4] = ha - hb;
  }
}

// With D_A = x + q y + 1, D_B = y + q x + 1 and D_bad = x + y + 1: P(A) = x / D_A, P(B) = y / D_B, P(both
// bad) = 1 / D_bad, P(tie) = x y (q - 1) (D_A + D_B) / (D_A D_B D_bad).
template <Want kWant>
AGON_INLINE void bad_threshold(double t, Batch& c) {
  const double q = std::exp(t);
  const Doubles na = c.w[0] + c.w[2], nb = c.w[1] + c.w[2], nz = c.w[3] + c.w[2], zero{};
  Doubles top, x, y, z;
  larger_of(c.u, c.v, top);
  larger_of(top, zero, top);
  lanes::exp_negative(c.u - top, x);
  lanes::exp_negative(c.v - top, y);
  lanes::exp_negative(-top, z);
  const Doubles qx = q * x, qy = q * y;
  const Doubles sum_a = (x + qy) + z, sum_b = (y + qx) + z, sum_z = (x + y) + z, sum_t = sum_a + sum_b;
  const Doubles scale_a = 1.0 / sum_a, scale_b = 1.0 / sum_b, scale_z = 1.0 / sum_z, scale_t = 1.0 / sum_t;
  const Doubles a1 = x * scale_a, a2 = qy * scale_a, b1 = y * scale_b, b2 = qx * scale_b;
  const Doubles z1 = x * scale_z, z2 = y * scale_z;
  const Doubles not_a1 = (qy + z) * scale_a, not_b1 = (qx + z) * scale_b;
  const Doubles tx = (x + qx) * scale_t, ty = (y + qy) * scale_t, tq = (qx + qy) * scale_t;
  if constexpr (wants_value(kWant)) {
    Doubles log_a, log_b, log_z, log_t;
    lanes::log_positive(sum_a, log_a);
    lanes::log_positive(sum_b, log_b);
    lanes::log_positive(sum_z, log_z);
    lanes::log_positive(sum_t, log_t);
    c.value = ((na * (log_a + (top - c.u)) + nb * (log_b + (top - c.v))) + nz * (log_z + top)) -
              c.w[2] * (log_t + top);
  }
  if constexpr (wants_gradient(kWant)) {
    c.g[0] = ((nb * b2 - na * not_a1) + nz * z1) - c.w[2] * tx;
    c.g[1] = ((na * a2 - nb * not_b1) + nz * z2) - c.w[2] * ty;
    c.g[2] = (na * a2 + nb * b2) - c.w[2] * tq;
  }
  if constexpr (wants_second(kWant)) {
    const Doubles a12 = na * a1 * a2, b12 = nb * b1 * b2;
    const Doubles a22 = na * a2 * ((x + z) * scale_a), b22 = nb * b2 * ((y + z) * scale_b);
    const Doubles wt = c.w[2];
    c.h[0] = ((na * a1 * not_a1 + b22) + nz * z1 * ((y + z) * scale_z)) - wt * tx * (1.0 - tx);
    c.h[1] = wt * tx * ty - ((a12 + b12) + nz * z1 * z2);
    c.h[2] = ((a22 + nb * b1 * not_b1) + nz * z2 * ((x + z) * scale_z)) - wt * ty * (1.0 - ty);
    c.h[3] = (b22 - a12) - wt * (qx * scale_t - tx * tq);
    c.h[4] = (a22 - b12) - wt * (qy * scale_t - ty * tq);
    c.h[5] = (a22 + b22) - wt * tq * (1.0 - tq);
  }
}

// Sums over all cells.
struct Totals {
  double value = 0;
  std::array<double, 3> g{};
  std::array<double, 6> h{};
  double ties = 0;
};

template <TieModel kModel, Want kWant>
AGON_INLINE void all_cells(const Shape& shape, const Cell* cells, std::size_t count, const double* x,
                           double* gradient, Matrix* hessian, Totals& totals) {
  const LocalPoint origin = shape.origin({x, shape.layout.size()});
  const int tie = shape.layout.tie, bad = shape.layout.bad, position = shape.layout.position;
  const std::size_t stride = hessian != nullptr ? hessian->cols : 0;
  const auto row = [&](int at) {
    return hessian == nullptr || at < 0 ? nullptr : &hessian->values[static_cast<std::size_t>(at) * stride];
  };
  double *const tie_row = row(tie), *const bad_row = row(bad), *const position_row = row(position);
  Doubles value{}, ties{}, g[3]{}, h[6]{};
  for (std::size_t from = 0; from < count; from += kWidth) {
    const std::size_t n = std::min(kWidth, count - from);
    Batch batch{};
    for (std::size_t k = 0; k < n; ++k) {
      const Cell& cell = cells[from + k];
      batch.u[k] = x[cell.first] + origin.u;
      batch.v[k] = x[cell.second] + origin.v;
      for (std::size_t o = 0; o < kBattleClasses; ++o) batch.w[o][k] = cell.weight[o];
    }
    if constexpr (kModel == TieModel::kHalf) half<kWant>(origin.t, batch);
    if constexpr (kModel == TieModel::kDavidson) davidson<kWant>(origin.t, batch);
    if constexpr (kModel == TieModel::kRaoKupper) rao_kupper<kWant>(origin.t, batch);
    if constexpr (kModel == TieModel::kBadThreshold) bad_threshold<kWant>(origin.t, batch);
    ties += batch.w[2];
    if constexpr (wants_value(kWant)) value += batch.value;
    if constexpr (wants_gradient(kWant)) {
      for (std::size_t d = 0; d < 3; ++d) g[d] += batch.g[d];
      for (std::size_t k = 0; k < n; ++k) {
        gradient[cells[from + k].first] += batch.g[0][k];
        gradient[cells[from + k].second] += batch.g[1][k];
      }
    }
    if constexpr (wants_second(kWant)) {
      for (std::size_t d = 0; d < 6; ++d) h[d] += batch.h[d];
      for (std::size_t k = 0; k < n; ++k) {
        const std::size_t i = cells[from + k].first, j = cells[from + k].second;
        double* const values = hessian->values.data();
        values[i * stride + i] += batch.h[0][k];
        values[j * stride + j] += batch.h[2][k];
        values[std::max(i, j) * stride + std::min(i, j)] += batch.h[1][k];
        if (tie_row != nullptr) {
          tie_row[i] += batch.h[3][k];
          tie_row[j] += batch.h[4][k];
        }
        if (bad_row != nullptr) {
          bad_row[i] -= batch.h[0][k] + batch.h[1][k];
          bad_row[j] -= batch.h[1][k] + batch.h[2][k];
        }
        if (position_row != nullptr) {
          position_row[i] += 0.5 * (batch.h[0][k] - batch.h[1][k]);
          position_row[j] += 0.5 * (batch.h[1][k] - batch.h[2][k]);
        }
      }
    }
  }
  totals.value = lanes::sum(value);
  totals.ties = lanes::sum(ties);
  for (std::size_t d = 0; d < 3; ++d) totals.g[d] = lanes::sum(g[d]);
  for (std::size_t d = 0; d < 6; ++d) totals.h[d] = lanes::sum(h[d]);
}

template <TieModel kModel, Want kWant>
AGON_AVX512 void cells_512(const Shape& s, const Cell* c, std::size_t n, const double* x, double* g,
                           Matrix* h, Totals& t) {
  all_cells<kModel, kWant>(s, c, n, x, g, h, t);
}
template <TieModel kModel, Want kWant>
AGON_AVX2 void cells_256(const Shape& s, const Cell* c, std::size_t n, const double* x, double* g, Matrix* h,
                         Totals& t) {
  all_cells<kModel, kWant>(s, c, n, x, g, h, t);
}
template <TieModel kModel, Want kWant>
void cells_128(const Shape& s, const Cell* c, std::size_t n, const double* x, double* g, Matrix* h,
               Totals& t) {
  all_cells<kModel, kWant>(s, c, n, x, g, h, t);
}

template <Want kWant>
auto* cells_function(TieModel model) {
  switch (model) {
    case TieModel::kDavidson:
      return lanes::pick(cells_512<TieModel::kDavidson, kWant>, cells_256<TieModel::kDavidson, kWant>,
                         cells_128<TieModel::kDavidson, kWant>);
    case TieModel::kRaoKupper:
      return lanes::pick(cells_512<TieModel::kRaoKupper, kWant>, cells_256<TieModel::kRaoKupper, kWant>,
                         cells_128<TieModel::kRaoKupper, kWant>);
    case TieModel::kBadThreshold:
      return lanes::pick(cells_512<TieModel::kBadThreshold, kWant>, cells_256<TieModel::kBadThreshold, kWant>,
                         cells_128<TieModel::kBadThreshold, kWant>);
    case TieModel::kHalf:
      break;
  }
  return lanes::pick(cells_512<TieModel::kHalf, kWant>, cells_256<TieModel::kHalf, kWant>,
                     cells_128<TieModel::kHalf, kWant>);
}

// The factor of a tie's probability that t alone decides, log(q^2 - 1) for Rao and Kupper and log(q - 1) for
// the threshold form, is the same in all cells.
void add_room(const Shape& shape, double t, Totals& totals) {
  const bool has_room = shape.model == TieModel::kRaoKupper || shape.model == TieModel::kBadThreshold;
  if (!has_room || totals.ties == 0) return;  // without ties an outcome at its boundary, infinitely unlikely
  const double n = shape.model == TieModel::kRaoKupper ? 2 : 1;
  const double e = -std::expm1(-n * t);  // 1 - q^-n
  totals.value -= totals.ties * (n * t + std::log(e));
  totals.g[2] -= totals.ties * (n / e);
  totals.h[5] += totals.ties * (n * n * (1 - e) / (e * e));
}

// The derivatives by the parameters that all cells share.
void add_shared(const ParameterLayout& layout, const Totals& totals, std::vector<double>* gradient,
                Matrix* hessian) {
  struct Shared {
    std::size_t at;
    std::array<double, 3> along;  // how (u, v, t) move with it
  };
  std::array<Shared, 3> shared;
  std::size_t count = 0;
  if (layout.tie >= 0) shared[count++] = {static_cast<std::size_t>(layout.tie), {0, 0, 1}};
  if (layout.bad >= 0) shared[count++] = {static_cast<std::size_t>(layout.bad), {-1, -1, 0}};
  if (layout.position >= 0) shared[count++] = {static_cast<std::size_t>(layout.position), {0.5, -0.5, 0}};
  const auto dot = [](const std::array<double, 3>& a, double x, double y, double z) {
    return a[0] * x + a[1] * y + a[2] * z;
  };
  const auto& g = totals.g;
  const auto& h = totals.h;
  for (std::size_t a = 0; a < count; ++a) {
    const auto& along = shared[a].along;
    (*gradient)[shared[a].at] += dot(along, g[0], g[1], g[2]);
    if (hessian == nullptr) continue;
    const double u = dot(along, h[0], h[1], h[3]), v = dot(along, h[1], h[2], h[4]),
                 t = dot(along, h[3], h[4], h[5]);
    for (std::size_t b = 0; b <= a; ++b)
      (*hessian)(shared[a].at, shared[b].at) += dot(shared[b].along, u, v, t);
  }
}

}  // namespace

double evaluate(const Shape& shape, std::span<const Cell> cells, std::span<const double> parameters,
                std::vector<double>* gradient, Matrix* hessian) {
  const std::size_t n = shape.layout.size();
  std::vector<double> unused;
  if (hessian != nullptr && gradient == nullptr) gradient = &unused;
  if (gradient != nullptr) gradient->assign(n, 0);
  if (hessian != nullptr) {
    hessian->rows = hessian->cols = n;
    hessian->values.assign(n * n, 0.0);
  }
  auto* const run = hessian != nullptr    ? cells_function<Want::kAll>(shape.model)
                    : gradient != nullptr ? cells_function<Want::kValueAndGradient>(shape.model)
                                          : cells_function<Want::kValue>(shape.model);
  Totals totals;
  run(shape, cells.data(), cells.size(), parameters.data(), gradient != nullptr ? gradient->data() : nullptr,
      hessian, totals);
  add_room(shape, shape.origin(parameters).t, totals);
  if (gradient != nullptr) add_shared(shape.layout, totals, gradient, hessian);
  if (hessian != nullptr) mirror(*hessian);
  return totals.value;
}

void evaluate_gradient(const Shape& shape, std::span<const Cell> cells, std::span<const double> parameters,
                       std::vector<double>& gradient) {
  gradient.assign(shape.layout.size(), 0);
  Totals totals;
  cells_function<Want::kGradient>(shape.model)(shape, cells.data(), cells.size(), parameters.data(),
                                               gradient.data(), nullptr, totals);
  add_room(shape, shape.origin(parameters).t, totals);
  add_shared(shape.layout, totals, &gradient, nullptr);
}

}  // namespace agon::paired
