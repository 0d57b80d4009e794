// Limited-memory BFGS for smooth convex functions of many variables.
#pragma once

#include <functional>
#include <span>
#include <vector>

namespace agon {

struct LbfgsOptions {
  int max_iterations = 100;
  int history = 6;
  /// Stops when the largest gradient component falls below this share of the largest at the start.
  double tolerance = 1e-3;
};

struct LbfgsResult {
  bool converged = false;
  int iterations = 0;
  double value = 0, gradient_norm = 0;  ///< at the end; the norm is the largest component
};

/// Returns the value at x and fills the gradient.
using Objective = std::function<double(std::span<const double> x, std::span<double> gradient)>;

/// Minimises from `x`, in place. Two-loop recursion (Nocedal and Wright 2006, algorithm 7.4) with a
/// backtracking search for sufficient decrease (their algorithm 3.1); pairs without positive
/// curvature are passed over. Deterministic.
LbfgsResult minimise(const Objective& f, std::vector<double>& x, const LbfgsOptions& options);

}  // namespace agon
