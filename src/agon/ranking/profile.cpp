// Profile likelihood intervals (declared in covariance.h).
//
// The interval of strength i ends where the best likelihood under s_i = b has fallen by half the
// chi-square quantile. The root of the fall is nearly a straight line in b, so dividing by it is a fast
// search; the constrained optimum for each b is found by steps with the Hessian of the fit ("chord"
// steps), renewed where they contract slowly.
#include <algorithm>
#include <cmath>
#include <limits>
#include <optional>

#include "agon/base/parallel.h"
#include "agon/ranking/covariance.h"
#include "agon/ranking/paired_kernel.h"
#include "agon/stats/normal.h"

namespace agon {
namespace {

using paired::Cell;
using paired::Shape;

constexpr double kFarthest = 20;  // log odds from the estimate

class Profile {
 public:
  Profile(const PairedFit& fit, std::span<const Cell> cells, const Matrix& inverse, std::size_t who)
      : fit_(fit), shape_(paired::shape_of(fit)), cells_(cells), who_(who), inverse_(&inverse) {
    set_direction();
  }

  // Best negative log-likelihood with the strength `offset` from its estimate; nothing when it isn't found.
  std::optional<double> at(double offset) {
    if (x_.empty()) x_ = fit_.parameters;
    const double move = offset - (x_[who_] - fit_.parameters[who_]);
    for (std::size_t k = 0; k < x_.size(); ++k) x_[k] += move * direction_[k];
    keep_inside();
    double last = std::numeric_limits<double>::infinity();
    for (int step = 0; step < 60; ++step) {
      const double value = paired::evaluate(shape_, cells_, x_, &gradient_, nullptr);
      if (!std::isfinite(value)) return std::nullopt;
      // V g without its part that would move the strength itself.
      std::vector<double> change(x_.size(), 0);
      for (std::size_t a = 0; a < x_.size(); ++a)
        for (std::size_t b = 0; b < x_.size(); ++b) change[a] -= (*inverse_)(a, b) * gradient_[b];
      const double excess = change[who_];
      double size = 0;
      for (std::size_t k = 0; k < x_.size(); ++k) {
        change[k] -= excess * direction_[k];
        size = std::max(size, std::abs(change[k]));
      }
      if (size < 1e-8) return value;
      if (size > 0.3 * last) renew();
      last = size;
      const double share = std::min(1.0, 2 / size);
      for (std::size_t k = 0; k < x_.size(); ++k) x_[k] += share * change[k];
      keep_inside();
    }
    return std::nullopt;
  }

 private:
  void set_direction() {
    direction_.assign(fit_.layout.size(), 0);
    for (std::size_t k = 0; k < direction_.size(); ++k)
      direction_[k] = (*inverse_)(k, who_) / (*inverse_)(who_, who_);
  }
  // eta is positive.
  void keep_inside() {
    if (fit_.layout.tie < 0 || shape_.model == TieModel::kDavidson) return;
    double& eta = x_[static_cast<std::size_t>(fit_.layout.tie)];
    eta = std::max(eta, 1e-6);
  }
  void renew() {
    Matrix hessian;
    paired::evaluate(shape_, cells_, x_, nullptr, &hessian);
    auto fresh = paired::sum_zero_inverse(hessian, fit_.layout);
    if (!fresh) return;
    own_ = std::move(*fresh);
    inverse_ = &own_;
    set_direction();
  }

  const PairedFit& fit_;
  Shape shape_;
  std::span<const Cell> cells_;
  std::size_t who_;
  const Matrix* inverse_;
  Matrix own_;
  std::vector<double> x_, direction_, gradient_;
};

// The offset (of the sign of `guess`) at which twice the fall is z^2; infinite beyond kFarthest, NaN when
// the search fails.
double find_end(Profile profile, double optimum, double guess, double z) {
  double offset = std::clamp(guess, -kFarthest, kFarthest);
  double inside = 0, outside = std::copysign(2 * kFarthest, guess);
  for (int round = 0; round < 60; ++round) {
    const auto value = profile.at(offset);
    if (!value) return std::numeric_limits<double>::quiet_NaN();
    const double root = std::sqrt(std::max(0.0, 2 * (*value - optimum)));
    if (std::abs(root - z) < 1e-7 * z) return offset;
    (root < z ? inside : outside) = offset;
    if (std::abs(inside) >= kFarthest) return std::copysign(std::numeric_limits<double>::infinity(), guess);
    double next = root > 0 ? offset * z / root : 2 * offset;
    next = std::copysign(std::min(std::abs(next), kFarthest), guess);
    // Not past what is known to lie outside, nor back.
    if (std::abs(next) >= std::abs(outside) || std::abs(next) <= std::abs(inside))
      next = 0.5 * (inside + outside);
    offset = std::copysign(std::min(std::abs(next), kFarthest), guess);
  }
  return std::numeric_limits<double>::quiet_NaN();
}

}  // namespace

Result<std::vector<ProfileInterval>> profile_likelihood(const PairedFit& fit, const PairTable& pairs,
                                                        std::span<const std::uint32_t> competitors,
                                                        double level) {
  if (!fit.penalty().empty())
    return fail("profile likelihood is for fits without a penalty, not " + fit.penalty());
  if (!fit.converged) return fail("profile likelihood needs a fit that converged");
  const std::vector<Cell> cells = paired::cells_of(pairs, fit.options);
  const auto inverse = paired::sum_zero_inverse(fit.hessian, fit.layout);
  if (!inverse) return fail("the information matrix of the fit is singular");
  const double z = critical_value(level), optimum = -fit.log_likelihood;
  std::vector<ProfileInterval> out(competitors.size());
  parallel_for(competitors.size(), [&](std::size_t k) {
    const std::uint32_t who = competitors[k];
    const double reach = z * std::sqrt(std::max(0.0, (*inverse)(who, who)));
    const Profile profile(fit, cells, *inverse, who);
    const double low = find_end(profile, optimum, -reach, z), high = find_end(profile, optimum, reach, z);
    const double strength = fit.strength(who);
    out[k] = {who, strength + low, strength + high, !std::isnan(low) && !std::isnan(high)};
  });
  return out;
}

}  // namespace agon
