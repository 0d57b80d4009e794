#include "agon/preference/lm/correction.h"

#include <Eigen/Dense>
#include <algorithm>
#include <cmath>
#include <utility>

#include "agon/base/check.h"
#include "agon/base/parallel.h"
#include "agon/base/random.h"
#include "agon/stats/paired.h"

namespace agon {
namespace {

using Matrix = Eigen::MatrixXd;
using Vector = Eigen::VectorXd;
using Index = Eigen::Index;

constexpr Index kOversampling = 16;
constexpr int kPowerSteps = 2;
constexpr int kMaxIterations = 50;
constexpr double kDistanceWeight = 5;

double sigmoid(double x) { return 1 / (1 + std::exp(-x)); }
// ln(1 + exp(x)) without overflow.
double softplus(double x) { return std::max(x, 0.0) + std::log1p(std::exp(-std::fabs(x))); }

/// The directions of greatest variance of the rows of `x`, as columns: all of them when there are few.
Matrix main_directions(const Matrix& x, std::size_t components, std::uint64_t seed) {
  const Index wanted = std::min(static_cast<Index>(components), std::min(x.rows(), x.cols()));
  if (x.cols() <= wanted) return Matrix::Identity(x.cols(), x.cols());
  const Index sampled = std::min(wanted + kOversampling, std::min(x.rows(), x.cols()));
  Random random(seed, 0x5354415445ULL);
  Matrix y(x.cols(), sampled);
  for (Index j = 0; j < y.cols(); ++j)
    for (Index i = 0; i < y.rows(); ++i) y(i, j) = random.uniform() - 0.5;
  const auto orthonormal = [](const Matrix& m) -> Matrix {
    return Eigen::HouseholderQR<Matrix>(m).householderQ() * Matrix::Identity(m.rows(), m.cols());
  };
  for (int step = 0; step <= kPowerSteps; ++step) y = orthonormal(x.transpose() * (x * y));
  const Matrix small = x * y;
  const Eigen::SelfAdjointEigenSolver<Matrix> solver(small.transpose() * small);
  return y * solver.eigenvectors().rightCols(wanted).rowwise().reverse();
}

/// A logistic regression with offsets: labels in [0, 1], the last column of z free of the penalty if
/// `intercept`.
Vector fit_logistic(const Matrix& z, const Vector& offset, const Vector& label, const Vector& weight,
                    double penalty, bool intercept, Vector start) {
  Vector ridge = Vector::Constant(z.cols(), penalty);
  if (intercept) ridge[z.cols() - 1] = 1e-6;
  Vector theta = std::move(start);
  const auto loss_of = [&](const Vector& at) {
    const Vector eta = offset + z * at;
    double loss = 0.5 * at.dot(ridge.cwiseProduct(at));
    for (Index i = 0; i < eta.size(); ++i) loss += weight[i] * (softplus(eta[i]) - label[i] * eta[i]);
    return loss;
  };
  double loss = loss_of(theta);
  for (int iteration = 0; iteration < kMaxIterations; ++iteration) {
    const Vector eta = offset + z * theta;
    Vector residual(eta.size()), curvature(eta.size());
    for (Index i = 0; i < eta.size(); ++i) {
      const double p = sigmoid(eta[i]);
      residual[i] = weight[i] * (p - label[i]);
      curvature[i] = weight[i] * std::max(p * (1 - p), 1e-9);
    }
    const Vector gradient = z.transpose() * residual + ridge.cwiseProduct(theta);
    if (gradient.lpNorm<Eigen::Infinity>() < 1e-7 * static_cast<double>(eta.size())) break;
    const Matrix root = z.transpose() * curvature.cwiseSqrt().asDiagonal();
    Matrix hessian = ridge.asDiagonal();
    hessian.selfadjointView<Eigen::Lower>().rankUpdate(root);
    const Vector step = hessian.ldlt().solve(gradient);  // reads the lower half
    double scale = 1;
    Vector next = theta - step;
    double after = loss_of(next);
    while (!(after <= loss) && scale > 1e-6) {
      scale /= 2;
      next = theta - scale * step;
      after = loss_of(next);
    }
    if (!(after <= loss)) break;
    theta = next;
    loss = after;
  }
  return theta;
}

/// One of the two regressions: its rows, and what comes out of the inner folds.
struct Part {
  Matrix z;
  Vector offset, label, weight;
  std::vector<std::uint32_t> fold;
  bool intercept = false;
};
struct PartFit {
  Vector theta;        ///< Empty: off.
  Matrix out_of_fold;  ///< One column: what is added, by row; zeros when off.
};

double held_out_loss(const Part& part, Index i, double added) {
  const double eta = part.offset[i] + added;
  return part.weight[i] * (softplus(eta) - part.label[i] * eta);
}

PartFit fit_part(const Part& part, std::uint32_t folds, const CorrectionOptions& options) {
  const Index n = part.z.rows();
  const std::size_t choices = options.penalties.size();
  PartFit out{{}, Matrix::Zero(n, 1)};
  if (n < 2 * static_cast<Index>(folds) || folds < 2) return out;
  Matrix added = Matrix::Zero(n, static_cast<Index>(choices));
  parallel_for(folds, [&](std::size_t f) {
    std::vector<Index> learn, held_out;
    for (Index i = 0; i < n; ++i)
      (part.fold[static_cast<std::size_t>(i)] == f ? held_out : learn).push_back(i);
    if (learn.empty()) return;
    const Matrix z = part.z(learn, Eigen::all);
    const Vector offset = part.offset(learn), label = part.label(learn), weight = part.weight(learn);
    Vector theta = Vector::Zero(z.cols());
    for (std::size_t c = 0; c < choices; ++c) {
      theta = fit_logistic(z, offset, label, weight, options.penalties[c], part.intercept, theta);
      for (const Index i : held_out) added(i, static_cast<Index>(c)) = part.z.row(i).dot(theta);
    }
  });
  std::vector<double> before;
  for (Index i = 0; i < n; ++i) before.push_back(held_out_loss(part, i, 0));
  std::size_t best = 0;
  Paired gain{.mean = HUGE_VAL, .error = 0};
  for (std::size_t c = 0; c < choices; ++c) {
    std::vector<double> after;
    for (Index i = 0; i < n; ++i) after.push_back(held_out_loss(part, i, added(i, static_cast<Index>(c))));
    const Paired d = paired_difference(after, before);
    if (d.mean < gain.mean) {
      gain = d;
      best = c;
    }
  }
  // A part that changes nothing is off whatever the doubt.
  if (gain.mean == 0 || gain.mean > options.doubt * gain.error) return out;
  out.out_of_fold = added.col(static_cast<Index>(best));
  out.theta = fit_logistic(part.z, part.offset, part.label, part.weight, options.penalties[best],
                           part.intercept, Vector::Zero(part.z.cols()));
  return out;
}

}  // namespace

Shift logits_of(const Prediction& p) {
  constexpr double kFloor = 1e-12;
  const double a = std::max(p.a, kFloor), b = std::max(p.b, kFloor), tie = std::max(p.tie, kFloor);
  return {std::log(a) - std::log(b), std::log(tie) - std::log(a + b)};
}

Shift sum_of(std::span<const Shift> shifts) { return sum_of(shifts, std::vector<bool>(shifts.size(), true)); }

Shift sum_of(std::span<const Shift> shifts, const std::vector<bool>& kept) {
  AGON_CHECK(kept.size() == shifts.size());
  Shift sum;
  for (std::size_t i = 0; i < shifts.size(); ++i)
    if (kept[i]) sum += shifts[i];
  return sum;
}

std::vector<Shift> shifts_in(std::span<const float> columns) {
  std::vector<Shift> out;
  for (std::size_t j = 0; j < columns.size(); j += 2)
    out.push_back({static_cast<double>(columns[j]), static_cast<double>(columns[j + 1])});
  return out;
}

Prediction prediction_of(const Shift& logits) {
  const auto floored = [](double p) { return std::max(p, kProbabilityFloor); };
  const double decided = sigmoid(-logits.tie);
  const double a = floored(decided * sigmoid(logits.direction)),
               b = floored(decided * sigmoid(-logits.direction)), t = floored(sigmoid(logits.tie)),
               sum = (a + b) + t;
  return {a / sum, b / sum, t / sum};
}

Prediction shifted(const Prediction& p, const Shift& shift) {
  Shift logits = logits_of(p);
  logits += shift;
  return prediction_of(logits);
}

Correction::Fitted Correction::fit(const AnswerBlock& block, const CorrectionRows& data,
                                   const CorrectionOptions& options, std::uint64_t seed) {
  const std::size_t n = data.rows.size(), width = block.width;
  AGON_CHECK(n > 0 && width > 0 && data.offsets.size() == n && data.fold.size() == n);
  Fitted fitted;
  fitted.out_of_fold.resize(n);
  Correction& out = fitted.correction;
  out.block_ = block.name;
  out.clip_ = options.clip;
  std::vector<double> sum(width), squares(width);
  double count = 0;
  for (std::size_t i = 0; i < n; ++i)
    for (std::size_t s = 0; s < 2; ++s) {
      const auto values = block.side(data.rows[i], s);
      count += data.weights[i];
      for (std::size_t j = 0; j < width; ++j) {
        const double v = std::isfinite(values[j]) ? static_cast<double>(values[j]) : 0.0;
        sum[j] += data.weights[i] * v;
        squares[j] += data.weights[i] * v * v;
      }
    }
  for (std::size_t j = 0; j < width; ++j) {
    const double mean = sum[j] / count, variance = squares[j] / count - mean * mean;
    out.center_.push_back(static_cast<float>(mean));
    // A column that hardly varies says nothing: its numbers are all zero.
    out.scale_.push_back(variance > 1e-12 + 1e-10 * mean * mean ? static_cast<float>(1 / std::sqrt(variance))
                                                                : 0.0F);
  }

  const auto size = static_cast<Index>(n), columns = static_cast<Index>(width);
  Matrix odd(size, columns), even(size, columns);
  Vector distance(size);
  parallel_for(n, [&](std::size_t i) {
    const auto a = block.side(data.rows[i], 0), b = block.side(data.rows[i], 1);
    double far = 0;
    for (std::size_t j = 0; j < width; ++j) {
      const auto [za, zb] = std::pair{out.scaled(j, a[j]), out.scaled(j, b[j])};
      odd(static_cast<Index>(i), static_cast<Index>(j)) = za - zb;
      even(static_cast<Index>(i), static_cast<Index>(j)) = za + zb;
      far += std::fabs(za - zb);
    }
    distance[static_cast<Index>(i)] = far / static_cast<double>(width);
  });
  out.distance_center_ = distance.mean();
  const double spread = std::sqrt((distance.array() - out.distance_center_).square().mean());
  // The distance is one number against many: it counts as much as a standardised one of some weight.
  const double distance_scale = spread > 1e-9 ? kDistanceWeight / spread : 0.0;

  const Matrix odd_directions = main_directions(odd, options.components, seed),
               even_directions = main_directions(even, options.components, seed + 1);
  Part direction, tie;
  std::vector<Index> decided;
  for (Index i = 0; i < size; ++i)
    if (data.outcomes[static_cast<std::size_t>(i)] != Outcome::kTie) decided.push_back(i);
  const Matrix odd_parts = odd * odd_directions;
  direction.z = odd_parts(decided, Eigen::all);
  const Matrix even_parts = even * even_directions;
  tie.z.resize(size, even_parts.cols() + 2);
  tie.z.leftCols(even_parts.cols()) = even_parts;
  tie.z.col(even_parts.cols()) = (distance.array() - out.distance_center_) * distance_scale;
  tie.z.col(even_parts.cols() + 1).setOnes();
  tie.intercept = true;
  const auto fill = [&](Part& part, const auto& rows, const auto& label, const auto& offset) {
    const auto m = static_cast<Index>(rows.size());
    part.offset.resize(m);
    part.label.resize(m);
    part.weight.resize(m);
    for (Index k = 0; k < m; ++k) {
      const auto i = static_cast<std::size_t>(rows[static_cast<std::size_t>(k)]);
      part.offset[k] = offset(data.offsets[i]);
      part.label[k] = label(data.outcomes[i]);
      part.weight[k] = data.weights[i];
      part.fold.push_back(data.fold[i]);
    }
  };
  std::vector<Index> every;
  for (Index i = 0; i < size; ++i) every.push_back(i);
  fill(
      direction, decided, [](Outcome o) { return o == Outcome::kA ? 1.0 : 0.0; },
      [](const Shift& s) { return s.direction; });
  fill(
      tie, every, [](Outcome o) { return o == Outcome::kTie ? 1.0 : 0.0; },
      [](const Shift& s) { return s.tie; });
  const PartFit to_a = fit_part(direction, data.folds, options), to_tie = fit_part(tie, data.folds, options);

  if (to_a.theta.size() > 0) {
    const Vector w = odd_directions * to_a.theta;
    out.odd_.assign(w.begin(), w.end());
    // Ties, which teach no direction, are shifted by the fit on all.
    const Vector whole = odd * w;
    for (std::size_t i = 0; i < n; ++i) fitted.out_of_fold[i].direction = whole[static_cast<Index>(i)];
    for (std::size_t k = 0; k < decided.size(); ++k)
      fitted.out_of_fold[static_cast<std::size_t>(decided[k])].direction =
          to_a.out_of_fold(static_cast<Index>(k), 0);
  }
  if (to_tie.theta.size() > 0) {
    const Index k = even_parts.cols();
    const Vector w = even_directions * to_tie.theta.head(k);
    out.even_.assign(w.begin(), w.end());
    out.distance_ = to_tie.theta[k] * distance_scale;
    out.intercept_ = to_tie.theta[k + 1];
    for (std::size_t i = 0; i < n; ++i)
      fitted.out_of_fold[i].tie = to_tie.out_of_fold(static_cast<Index>(i), 0);
  }
  return fitted;
}

double Correction::scaled(std::size_t j, float value) const {
  if (!std::isfinite(value)) return 0;
  return std::clamp(
      (static_cast<double>(value) - static_cast<double>(center_[j])) * static_cast<double>(scale_[j]), -clip_,
      clip_);
}

Shift Correction::operator()(std::span<const float> a, std::span<const float> b) const {
  AGON_CHECK(a.size() == width() && b.size() == width());
  Shift out;
  double far = 0;
  for (std::size_t j = 0; j < width(); ++j) {
    const double za = scaled(j, a[j]), zb = scaled(j, b[j]);
    if (moves_direction()) out.direction += odd_[j] * (za - zb);
    if (moves_tie()) out.tie += even_[j] * (za + zb);
    far += std::fabs(za - zb);
  }
  if (moves_tie())
    out.tie += distance_ * (far / static_cast<double>(width()) - distance_center_) + intercept_;
  return out;
}

void Correction::save(ByteWriter& out) const {
  out.put(std::string_view(block_));
  out.put(center_);
  out.put(scale_);
  out.put(odd_);
  out.put(even_);
  for (const double x : {distance_, distance_center_, intercept_, clip_}) out.put(x);
}

Correction Correction::load(ByteReader& in) {
  Correction c;
  c.block_ = in.get_string();
  c.center_ = in.get_vector<float>();
  c.scale_ = in.get_vector<float>();
  c.odd_ = in.get_vector<double>();
  c.even_ = in.get_vector<double>();
  for (double* x : {&c.distance_, &c.distance_center_, &c.intercept_, &c.clip_}) *x = in.get<double>();
  // Bounds far above what training makes keep sums finite whatever a file says.
  const auto within = [](const auto& v, double most) {
    return std::ranges::all_of(v, [&](auto x) { return std::fabs(static_cast<double>(x)) <= most; });
  };
  const std::size_t p = c.center_.size();
  if (c.block_.size() > 64 || p == 0 || c.scale_.size() != p || (!c.odd_.empty() && c.odd_.size() != p) ||
      (!c.even_.empty() && c.even_.size() != p) || !within(c.center_, 1e30) || !within(c.scale_, 1e30) ||
      !within(c.odd_, 1e12) || !within(c.even_, 1e12) ||
      !within(std::array{c.distance_, c.distance_center_, c.intercept_}, 1e12) ||
      !(c.clip_ > 0 && c.clip_ <= 1e6))
    in.fail();
  return c;
}

std::array<Column, 2> correction_columns(const std::string& block) {
  return {Column{"lm." + block + ".direction", "what the language model's " + block + " add to the direction",
                 Parity::kOdd},
          Column{"lm." + block + ".tie", "what the language model's " + block + " add to the tie",
                 Parity::kEven}};
}

}  // namespace agon
