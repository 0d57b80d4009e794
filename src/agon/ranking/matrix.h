// Dense matrices of the ranking room, and the few operations on them, with the linear-algebra library
// kept out of sight: its headers are dear to compile and are included in matrix.cpp only.
#pragma once

#include <cstddef>
#include <optional>
#include <span>
#include <vector>

namespace agon {

/// Row-major doubles.
struct Matrix {
  std::size_t rows = 0, cols = 0;
  std::vector<double> values;

  Matrix() = default;
  Matrix(std::size_t r, std::size_t c) : rows(r), cols(c), values(r * c, 0.0) {}
  [[nodiscard]] double& operator()(std::size_t i, std::size_t j) { return values[i * cols + j]; }
  [[nodiscard]] double operator()(std::size_t i, std::size_t j) const { return values[i * cols + j]; }
  [[nodiscard]] std::span<const double> row(std::size_t i) const { return {values.data() + i * cols, cols}; }
};

/// The Cholesky factor of a symmetric positive definite matrix.
class Cholesky {
 public:
  /// Nothing when the matrix is not numerically positive definite. Reads the lower triangle.
  [[nodiscard]] static std::optional<Cholesky> of(Matrix matrix);
  /// Solves in place.
  void solve(std::span<double> right) const;
  [[nodiscard]] Matrix inverse() const;
  [[nodiscard]] double log_determinant() const;
  /// L with L L' = the matrix; zeros above the diagonal.
  [[nodiscard]] const Matrix& lower() const { return lower_; }

 private:
  Matrix lower_;
};

[[nodiscard]] Matrix multiply(const Matrix& a, const Matrix& b);
[[nodiscard]] Matrix transpose(const Matrix& a);
/// a m a', made exactly symmetric.
[[nodiscard]] Matrix sandwich(const Matrix& a, const Matrix& m);
/// A factor F with F F' = a for a symmetric positive semidefinite matrix: eigenvectors times the roots of
/// the eigenvalues, those below zero by rounding taken as zero.
[[nodiscard]] Matrix half_of(const Matrix& a);

/// Eigenvalues ascending; vectors in columns when wanted.
struct Spectrum {
  std::vector<double> values;
  Matrix vectors;
};
[[nodiscard]] Spectrum symmetric_eigen(const Matrix& a, bool vectors);

}  // namespace agon
