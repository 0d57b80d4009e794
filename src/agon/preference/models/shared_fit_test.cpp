#include "agon/preference/models/shared_fit.h"

#include <gtest/gtest.h>

#include <Eigen/Dense>
#include <algorithm>
#include <cmath>

#include "agon/base/random.h"

namespace agon {
namespace {

/// A random sparse matrix and the same as a dense one.
struct Both {
  SparseColumns sparse;
  Eigen::MatrixXd dense;
};
Both random_matrix(std::size_t rows, std::size_t columns, double share, std::uint64_t seed) {
  Both out;
  out.sparse.rows = rows;
  out.dense = Eigen::MatrixXd::Zero(static_cast<Eigen::Index>(rows), static_cast<Eigen::Index>(columns));
  Random random(seed);
  std::vector<SparseColumns::Entry> entries;
  for (std::size_t j = 0; j < columns; ++j) {
    for (std::size_t i = 0; i < rows; ++i) {
      if (random.uniform() >= share) continue;
      const auto v = static_cast<float>(random.uniform() - 0.3);
      entries.push_back({static_cast<std::uint32_t>(i), v});
      out.dense(static_cast<Eigen::Index>(i), static_cast<Eigen::Index>(j)) = v;
    }
    out.sparse.start.push_back(entries.size());
  }
  out.sparse.entries = std::make_unique<SparseColumns::Entry[]>(entries.size());
  std::ranges::copy(entries, out.sparse.entries.get());
  return out;
}

TEST(SharedFit, GramMultiplyAgreesWithADenseProduct) {
  for (const std::size_t lanes : {4U, 8U, 12U, 16U})
    for (const std::size_t columns : {0U, 1U, 5U, 97U}) {
      const std::size_t rows = 23;
      const Both x = random_matrix(rows, columns, 0.4, lanes + columns);
      std::vector<float> r(rows * lanes), out(rows * lanes);
      Random random(9);
      for (float& v : r) v = static_cast<float>(random.uniform() - 0.5);
      x.sparse.gram_multiply(r, lanes, out);
      const Eigen::MatrixXd gram = x.dense * x.dense.transpose();
      for (std::size_t i = 0; i < rows; ++i)
        for (std::size_t c = 0; c < lanes; ++c) {
          double sum = 0;
          for (std::size_t k = 0; k < rows; ++k)
            sum += gram(static_cast<Eigen::Index>(i), static_cast<Eigen::Index>(k)) * r[k * lanes + c];
          EXPECT_NEAR(out[i * lanes + c], sum, 1e-4);
        }
    }
}

TEST(SharedFit, SquaresEndAtTheRidgeSolution) {
  const Both x = random_matrix(40, 120, 0.3, 1);
  std::vector<SharedFit> fits(5);
  Random random(2);
  for (std::size_t f = 0; f < fits.size(); ++f) {
    fits[f].l2 = 0.5 + static_cast<double>(f);
    for (int i = 0; i < 40; ++i) {
      fits[f].weight.push_back(i % 5 == static_cast<int>(f) ? 0 : 0.5 + random.uniform());
      fits[f].target.push_back(random.uniform() - 0.5);
    }
  }
  fit_shared(x.sparse, fits, {.max_iterations = 200, .tolerance = 1e-6});
  for (const SharedFit& fit : fits) {
    EXPECT_TRUE(fit.converged);
    const Eigen::VectorXd w = Eigen::VectorXd::Map(fit.weight.data(), 40),
                          y = Eigen::VectorXd::Map(fit.target.data(), 40);
    Eigen::MatrixXd normal = x.dense.transpose() * w.asDiagonal() * x.dense;
    normal.diagonal().array() += fit.l2;
    const Eigen::VectorXd solution = normal.ldlt().solve(x.dense.transpose() * w.asDiagonal() * y);
    const std::vector<double> weight = x.sparse.transposed_multiply(fit.coefficient);
    for (Eigen::Index j = 0; j < solution.size(); ++j)
      EXPECT_NEAR(weight[static_cast<std::size_t>(j)], solution[j], 1e-5);
    const Eigen::VectorXd score = x.dense * solution;
    for (Eigen::Index i = 0; i < score.size(); ++i)
      EXPECT_NEAR(fit.score[static_cast<std::size_t>(i)], score[i], 1e-5);
  }
}

TEST(SharedFit, PairsEndAtTheMinimumOfTheLogisticLoss) {
  const Both x = random_matrix(60, 35, 0.5, 4);
  std::vector<SharedFit> fits(3);
  Random random(6);
  for (SharedFit& fit : fits) {
    fit.loss = SharedFit::Loss::kPairs;
    fit.l2 = 0.2;
    for (int k = 0; k < 30; ++k) {
      fit.weight.push_back(k < 3 ? 0 : 3 * random.uniform());
      fit.target.push_back(random.below(3) / 2.0);
    }
  }
  fit_shared(x.sparse, fits, {.max_iterations = 300, .tolerance = 1e-6});
  for (const SharedFit& fit : fits) {
    EXPECT_TRUE(fit.converged);
    const std::vector<double> weight = x.sparse.transposed_multiply(fit.coefficient);
    const Eigen::VectorXd w = Eigen::VectorXd::Map(weight.data(), 35), u = x.dense * w;
    Eigen::VectorXd gradient = fit.l2 * w;
    for (Eigen::Index k = 0; k < 30; ++k) {
      const double d = u[2 * k] - u[2 * k + 1], target = fit.target[static_cast<std::size_t>(k)];
      gradient += fit.weight[static_cast<std::size_t>(k)] * (1 / (1 + std::exp(-d)) - target) *
                  (x.dense.row(2 * k) - x.dense.row(2 * k + 1)).transpose();
    }
    EXPECT_LT(gradient.lpNorm<Eigen::Infinity>(), 1e-4);
  }
}

TEST(SharedFit, NothingToLearnFromGivesZeroScores) {
  const Both x = random_matrix(10, 8, 0.5, 7);
  std::vector<SharedFit> fits(1);
  fits[0].weight.assign(10, 0);
  fits[0].target.assign(10, 1);
  fit_shared(x.sparse, fits, {});
  EXPECT_TRUE(fits[0].converged);
  EXPECT_EQ(fits[0].score, std::vector<double>(10, 0));
}

}  // namespace
}  // namespace agon
