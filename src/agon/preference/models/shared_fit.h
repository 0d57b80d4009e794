// Many regularised linear models on one sparse matrix, fitted side by side.
//
// The fits of a cross-validation differ in rows and targets and not in the matrix, and that matrix
// (answers x n-grams) is far wider than it is long. So every fit lives in row space: its weights are
// X' a with one coefficient a row, inner products of weight vectors are a' (X X' b), and all that an
// iteration needs of the matrix is X X' R for the gradients R of all fits at once: one pass over the
// entries, whatever the number of fits (up to 16), where a fit by itself takes two.
#pragma once

#include <cstdint>
#include <memory>
#include <span>
#include <vector>

namespace agon {

/// A sparse matrix by columns, entries in increasing order of row.
struct SparseColumns {
  std::size_t rows = 0;
  std::vector<std::uint64_t> start{0};  ///< column j holds entries start[j] to start[j+1]
  struct Entry {
    std::uint32_t row;
    float value;
  };
  std::unique_ptr<Entry[]> entries;

  [[nodiscard]] std::size_t columns() const { return start.size() - 1; }
  /// X X' R, `lanes` numbers a row, row-major; lanes is 4, 8, 12 or 16. Sums are in single precision, in an
  /// order that does not depend on the number of threads.
  void gram_multiply(std::span<const float> r, std::size_t lanes, std::span<float> out) const;
  /// X' a.
  [[nodiscard]] std::vector<double> transposed_multiply(std::span<const double> a) const;
};

/// One fit: 0.5 * l2 * |w|^2 plus a sum of losses of the scores X w.
struct SharedFit {
  enum class Loss : std::uint8_t {
    kPairs,   ///< rows 2i and 2i+1 are a pair: logistic loss of the difference of their scores
    kSquares  ///< half the squared distance of the score from the target
  };
  Loss loss = Loss::kSquares;
  double l2 = 1;
  /// By pair (kPairs; target in [0, 1] is what the first gets of the win) or by row (kSquares). Rows of
  /// weight 0 are not learned from; their scores are predictions.
  std::vector<double> weight, target;

  // The result.
  std::vector<double> coefficient, score;  ///< a and X X' a, by row
  bool converged = false;
  int iterations = 0;
  double gradient = 0;  ///< length of the gradient in weight space over that at the start
};

struct SharedFitOptions {
  int max_iterations = 40;
  double tolerance = 1e-2;  ///< of SharedFit::gradient
};
inline constexpr std::size_t kMostSharedFits = 16;

/// L-BFGS (Nocedal and Wright 2006, algorithm 7.4) in row space with a line search by Newton's method, which
/// costs no pass over the matrix; on squares it is the method of conjugate gradients. The same bytes on any
/// number of threads.
void fit_shared(const SparseColumns& x, std::span<SharedFit> fits, const SharedFitOptions& options);

}  // namespace agon
