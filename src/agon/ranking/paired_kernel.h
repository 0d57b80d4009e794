// Inside the ranking room: log-probabilities of one battle's outcomes with their derivatives, for every
// tie model, and how they spread over the parameters of a fit. See paired_model.h for the models.
#pragma once

#include <array>
#include <cstddef>
#include <optional>
#include <span>
#include <vector>

#include "agon/data/battles.h"
#include "agon/ranking/matrix.h"
#include "agon/ranking/paired_model.h"

namespace agon::paired {

/// Local coordinates of a battle: u and v are what the first and second bring, t is the tie parameter.
struct LocalPoint {
  double u = 0, v = 0, t = 0;
};
/// Of each outcome k: log P(k), its gradient by (u, v, t), and its second derivatives in the order uu, uv,
/// vv, ut, vt, tt. For kHalf "tie" stands for half of log P(A) + log P(B). Outcomes that a model has not
/// got have zeros.
struct LocalTerms {
  std::array<double, kBattleClasses> log_p{};
  std::array<std::array<double, 3>, kBattleClasses> gradient{};
  std::array<std::array<double, 6>, kBattleClasses> second{};
};
void local_terms(TieModel model, const LocalPoint& at, LocalTerms& out);

/// The model that is left when parameters lie at their boundary: without ties Davidson and Rao-Kupper are
/// plain Bradley-Terry, without "both bad" the threshold model is Rao-Kupper.
struct Shape {
  TieModel model = TieModel::kHalf;
  ParameterLayout layout;
  /// The point of two competitors of strength 0: what the shared parameters bring.
  [[nodiscard]] LocalPoint origin(std::span<const double> parameters) const;
  [[nodiscard]] LocalPoint point(std::span<const double> parameters, std::size_t first,
                                 std::size_t second) const;
};
[[nodiscard]] Shape shape_of(const PairedFit& fit);

/// Weights by outcome as the options read them ("both bad" as a tie, left out, or apart).
[[nodiscard]] std::array<double, kBattleClasses> read_outcomes(
    const std::array<double, kBattleClasses>& weight, const PairedOptions& options);

/// Adds a local gradient (by u, v, t) to a vector over all parameters.
void spread(const ParameterLayout& layout, std::size_t first, std::size_t second,
            const std::array<double, 3>& local, std::span<double> out);
/// Adds a local symmetric matrix (uu, uv, vv, ut, vt, tt) to the lower triangle over all parameters.
void spread(const ParameterLayout& layout, std::size_t first, std::size_t second,
            const std::array<double, 6>& local, Matrix& out);
/// Copies the lower triangle to the upper.
void mirror(Matrix& matrix);

/// A pair with its weights by outcome, orders folded when position plays no part.
struct Cell {
  std::uint32_t first = 0, second = 0;
  std::array<double, kBattleClasses> weight{};
};
[[nodiscard]] std::vector<Cell> cells_of(const PairTable& pairs, const PairedOptions& options);

/// Negative log-likelihood; fills gradient and (lower and upper triangle of) hessian when not null. Eight
/// cells at a time, the same bits on every machine.
double evaluate(const Shape& shape, std::span<const Cell> cells, std::span<const double> parameters,
                std::vector<double>* gradient, Matrix* hessian);
/// The same cell by cell from local_terms(), which the fast one is tested against. With `expected`, the
/// expected information instead of the observed.
double evaluate_plainly(const Shape& shape, std::span<const Cell> cells, std::span<const double> parameters,
                        std::vector<double>* gradient, Matrix* hessian, bool expected = false);

/// The gradient alone, without the logarithms: what a bootstrap draw asks for.
void evaluate_gradient(const Shape& shape, std::span<const Cell> cells, std::span<const double> parameters,
                       std::vector<double>& gradient);

/// Adds `kappa` to every entry of the strengths' block: makes the information regular, along the one
/// direction (all strengths together) that the likelihood does not see, without touching sum-zero steps.
void fix_gauge(Matrix& information, std::size_t competitors, double kappa);
/// A kappa on the scale of the information: the mean of the strengths' diagonal / competitors.
[[nodiscard]] double gauge_of(const Matrix& information, std::size_t competitors);
/// Shifts all strengths (and c with them, so that the likelihood stays) until the strengths sum to zero.
void centre(std::span<double> parameters, const ParameterLayout& layout);
/// Inverse of an information matrix in the space of sum-zero strengths, or nothing when it is singular
/// there too.
[[nodiscard]] std::optional<Matrix> sum_zero_inverse(const Matrix& information,
                                                     const ParameterLayout& layout);

}  // namespace agon::paired
