#include "agon/ranking/matrix.h"

#include <Eigen/Cholesky>
#include <Eigen/Dense>
#include <Eigen/Eigenvalues>
#include <algorithm>
#include <cmath>

#include "agon/base/check.h"
#include "agon/base/parallel.h"

namespace agon {
namespace {

using RowMajor = Eigen::Matrix<double, Eigen::Dynamic, Eigen::Dynamic, Eigen::RowMajor>;

Eigen::Map<const RowMajor> view(const Matrix& m) {
  return {m.values.data(), static_cast<Eigen::Index>(m.rows), static_cast<Eigen::Index>(m.cols)};
}
Eigen::Map<RowMajor> view(Matrix& m) {
  return {m.values.data(), static_cast<Eigen::Index>(m.rows), static_cast<Eigen::Index>(m.cols)};
}

// Rows or columns to one piece of parallel work; the pieces are the same on any number of threads.
constexpr std::size_t kPiece = 128;

void make_symmetric(Matrix& m) {
  for (std::size_t i = 0; i < m.rows; ++i)
    for (std::size_t j = 0; j < i; ++j) m(i, j) = m(j, i) = 0.5 * (m(i, j) + m(j, i));
}

}  // namespace

std::optional<Cholesky> Cholesky::of(Matrix matrix) {
  AGON_CHECK(matrix.rows == matrix.cols);
  Cholesky out;
  out.lower_ = std::move(matrix);
  auto map = view(out.lower_);
  double largest = 0;
  for (std::size_t i = 0; i < out.lower_.rows; ++i) {
    if (!std::isfinite(out.lower_(i, i))) return std::nullopt;
    largest = std::max(largest, out.lower_(i, i));
  }
  const Eigen::LLT<Eigen::Ref<RowMajor>, Eigen::Lower> factor(map);
  if (factor.info() != Eigen::Success) return std::nullopt;
  for (std::size_t i = 0; i < out.lower_.rows; ++i) {
    const double pivot = out.lower_(i, i);
    // Rounding can leave a tiny positive pivot in a singular matrix.
    if (!(pivot * pivot > 1e-15 * largest)) return std::nullopt;
    std::fill(out.lower_.values.begin() + static_cast<std::ptrdiff_t>(i * out.lower_.cols + i + 1),
              out.lower_.values.begin() + static_cast<std::ptrdiff_t>((i + 1) * out.lower_.cols), 0.0);
  }
  return out;
}

void Cholesky::solve(std::span<double> right) const {
  AGON_CHECK(right.size() == lower_.rows);
  Eigen::Map<Eigen::VectorXd> x(right.data(), static_cast<Eigen::Index>(right.size()));
  const auto l = view(lower_).triangularView<Eigen::Lower>();
  l.solveInPlace(x);
  l.transpose().solveInPlace(x);
}

Matrix Cholesky::inverse() const {
  // Columns [from, to) of the lower triangle need the rows from `from` on only, both on the way down, where
  // the identity has zeros above, and on the way back, which comes from below: a third of the whole work.
  const std::size_t n = lower_.rows;
  Matrix out(n, n);
  auto x = view(out);
  const auto l = view(lower_);
  parallel_chunks(n, kPiece, [&](std::size_t from, std::size_t to) {
    const auto rest = static_cast<Eigen::Index>(n - from), width = static_cast<Eigen::Index>(to - from);
    RowMajor part = RowMajor::Identity(rest, width);
    const auto corner = l.bottomRightCorner(rest, rest).triangularView<Eigen::Lower>();
    corner.solveInPlace(part);
    corner.transpose().solveInPlace(part);
    x.block(static_cast<Eigen::Index>(from), static_cast<Eigen::Index>(from), rest, width) = part;
  });
  for (std::size_t i = 0; i < n; ++i)
    for (std::size_t j = 0; j < i; ++j) out(j, i) = out(i, j);
  return out;
}

double Cholesky::log_determinant() const {
  double sum = 0;
  for (std::size_t i = 0; i < lower_.rows; ++i) sum += std::log(lower_(i, i));
  return 2 * sum;
}

Matrix multiply(const Matrix& a, const Matrix& b) {
  AGON_CHECK(a.cols == b.rows);
  Matrix out(a.rows, b.cols);
  auto to = view(out);
  const auto left = view(a), right = view(b);
  parallel_chunks(a.rows, kPiece, [&](std::size_t from, std::size_t until) {
    const auto begin = static_cast<Eigen::Index>(from), count = static_cast<Eigen::Index>(until - from);
    to.middleRows(begin, count).noalias() = left.middleRows(begin, count) * right;
  });
  return out;
}

Matrix transpose(const Matrix& a) {
  Matrix out(a.cols, a.rows);
  view(out) = view(a).transpose();
  return out;
}

Matrix sandwich(const Matrix& a, const Matrix& m) {
  Matrix out = multiply(multiply(a, m), transpose(a));
  make_symmetric(out);
  return out;
}

Spectrum symmetric_eigen(const Matrix& a, bool vectors) {
  AGON_CHECK(a.rows == a.cols);
  const Eigen::SelfAdjointEigenSolver<Eigen::MatrixXd> solver(
      Eigen::MatrixXd(view(a)), vectors ? Eigen::ComputeEigenvectors : Eigen::EigenvaluesOnly);
  Spectrum out;
  out.values.assign(solver.eigenvalues().data(), solver.eigenvalues().data() + a.rows);
  if (vectors) {
    out.vectors = Matrix(a.rows, a.rows);
    view(out.vectors) = solver.eigenvectors();
  }
  return out;
}

Matrix half_of(const Matrix& a) {
  Spectrum s = symmetric_eigen(a, true);
  for (std::size_t k = 0; k < a.rows; ++k) {
    const double root = std::sqrt(std::max(0.0, s.values[k]));
    for (std::size_t i = 0; i < a.rows; ++i) s.vectors(i, k) *= root;
  }
  return std::move(s.vectors);
}

}  // namespace agon
