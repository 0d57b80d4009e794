#include "agon/ranking/matrix.h"

#include <gtest/gtest.h>

#include <cmath>

#include "agon/base/parallel.h"
#include "agon/base/random.h"

namespace agon {
namespace {

Matrix random_matrix(std::size_t rows, std::size_t cols, std::uint64_t seed) {
  Random random(seed);
  Matrix out(rows, cols);
  for (double& v : out.values) v = random.uniform() - 0.5;
  return out;
}

Matrix naive_product(const Matrix& a, const Matrix& b) {
  Matrix out(a.rows, b.cols);
  for (std::size_t i = 0; i < a.rows; ++i)
    for (std::size_t k = 0; k < a.cols; ++k)
      for (std::size_t j = 0; j < b.cols; ++j) out(i, j) += a(i, k) * b(k, j);
  return out;
}

double largest_difference(const Matrix& a, const Matrix& b) {
  double out = 0;
  for (std::size_t k = 0; k < a.values.size(); ++k) out = std::max(out, std::abs(a.values[k] - b.values[k]));
  return out;
}

// Sizes within, at and beyond the pieces of the parallel work.
TEST(Matrix, ProductsAndInversesOfAllSizes) {
  for (const std::size_t n : {1UL, 2UL, 17UL, 127UL, 128UL, 129UL, 300UL}) {
    const Matrix a = random_matrix(n, n + 3, n), b = random_matrix(n + 3, 5, n + 1);
    EXPECT_LT(largest_difference(multiply(a, b), naive_product(a, b)), 1e-13 * static_cast<double>(n + 3));
    Matrix definite = naive_product(a, transpose(a));
    for (std::size_t i = 0; i < n; ++i) definite(i, i) += 1;
    const auto factor = Cholesky::of(definite);
    ASSERT_TRUE(factor);
    const Matrix inverse = factor->inverse();
    Matrix identity(n, n);
    for (std::size_t i = 0; i < n; ++i) identity(i, i) = 1;
    EXPECT_LT(largest_difference(naive_product(definite, inverse), identity), 1e-11) << n;
    EXPECT_EQ(inverse.values, transpose(inverse).values);
    const Matrix product = multiply(a, b);
    set_thread_count(1);
    EXPECT_EQ(factor->inverse().values, inverse.values);
    EXPECT_EQ(multiply(a, b).values, product.values);
    set_thread_count(0);
    std::vector<double> right(n, 1);
    factor->solve(right);
    for (std::size_t i = 0; i < n; ++i) {
      double sum = 0;
      for (std::size_t j = 0; j < n; ++j) sum += inverse(i, j);
      EXPECT_NEAR(right[i], sum, 1e-11);
    }
  }
}

}  // namespace
}  // namespace agon
