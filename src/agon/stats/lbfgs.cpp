#include "agon/stats/lbfgs.h"

#include <algorithm>
#include <cmath>
#include <deque>

namespace agon {
namespace {

double dot(std::span<const double> a, std::span<const double> b) {
  double sum = 0;
  for (std::size_t i = 0; i < a.size(); ++i) sum += a[i] * b[i];
  return sum;
}
double largest(std::span<const double> g) {
  double most = 0;
  for (const double x : g) most = std::max(most, std::fabs(x));
  return most;
}
void add_scaled(std::span<double> to, double scale, std::span<const double> from) {
  for (std::size_t i = 0; i < to.size(); ++i) to[i] += scale * from[i];
}

struct Pair {
  std::vector<double> s, y;
  double rho = 0;
};

/// Direction = -H g by the two-loop recursion.
std::vector<double> direction(const std::deque<Pair>& pairs, std::span<const double> gradient) {
  std::vector<double> d(gradient.begin(), gradient.end());
  std::vector<double> alpha(pairs.size());
  for (std::size_t i = pairs.size(); i-- > 0;) {
    alpha[i] = pairs[i].rho * dot(pairs[i].s, d);
    add_scaled(d, -alpha[i], pairs[i].y);
  }
  if (!pairs.empty()) {
    const Pair& last = pairs.back();
    const double gamma = 1.0 / (last.rho * dot(last.y, last.y));
    for (double& x : d) x *= gamma;
  }
  for (std::size_t i = 0; i < pairs.size(); ++i)
    add_scaled(d, alpha[i] - pairs[i].rho * dot(pairs[i].y, d), pairs[i].s);
  for (double& x : d) x = -x;
  return d;
}

}  // namespace

LbfgsResult minimise(const Objective& f, std::vector<double>& x, const LbfgsOptions& options) {
  const std::size_t n = x.size();
  std::vector<double> gradient(n), next_x(n), next_gradient(n);
  std::deque<Pair> pairs;
  LbfgsResult result;
  result.value = f(x, gradient);
  result.gradient_norm = largest(gradient);
  const double goal = options.tolerance * result.gradient_norm;
  while (result.iterations < options.max_iterations) {
    if (result.gradient_norm <= goal) {
      result.converged = true;
      break;
    }
    const std::vector<double> d = direction(pairs, gradient);
    const double slope = dot(d, gradient);
    // Without history the step is scaled to length one, later the natural step is 1.
    double step = pairs.empty() ? 1.0 / std::max(1e-12, std::sqrt(dot(gradient, gradient))) : 1.0;
    double value = result.value;
    bool decreased = false;
    for (int trial = 0; trial < 30 && !decreased; ++trial, step *= 0.5) {
      for (std::size_t i = 0; i < n; ++i) next_x[i] = x[i] + step * d[i];
      value = f(next_x, next_gradient);
      decreased = value <= result.value + 1e-4 * step * slope;
    }
    if (!decreased) break;  // at the limit of the arithmetic
    Pair pair{std::vector<double>(n), std::vector<double>(n), 0};
    for (std::size_t i = 0; i < n; ++i) {
      pair.s[i] = next_x[i] - x[i];
      pair.y[i] = next_gradient[i] - gradient[i];
    }
    const double curvature = dot(pair.s, pair.y);
    if (curvature > 1e-12 * dot(pair.y, pair.y)) {
      pair.rho = 1.0 / curvature;
      pairs.push_back(std::move(pair));
      if (pairs.size() > static_cast<std::size_t>(options.history)) pairs.pop_front();
    }
    x.swap(next_x);
    gradient.swap(next_gradient);
    result.value = value;
    result.gradient_norm = largest(gradient);
    ++result.iterations;
  }
  return result;
}

}  // namespace agon
