#include "agon/preference/models/strengths.h"

#include <Eigen/Dense>
#include <cmath>

namespace agon {
namespace {

constexpr double kElo = 173.71779276130073;  ///< 400 / ln 10: Elo points of one unit of natural-log odds

}  // namespace

std::map<std::string, double> fit_strengths(std::span<const Vote> votes, std::span<const std::uint32_t> rows,
                                            std::span<const double> weights, const Ratings& ratings,
                                            const StrengthOptions& options) {
  std::map<std::string, double> strengths;
  for (const std::uint32_t r : rows)
    for (const std::string* name : {&votes[r].model_a, &votes[r].model_b})
      if (!name->empty()) strengths.emplace(*name, 0);
  const auto n = static_cast<Eigen::Index>(strengths.size());
  if (n == 0) return strengths;

  Eigen::VectorXd prior(n), precision(n);
  double known_sum = 0, known = 0;
  for (const auto& [name, _] : strengths)
    if (const auto found = ratings.find(name); found != ratings.end()) {
      known_sum += found->second / kElo;
      ++known;
    }
  const double mean = known > 0 ? known_sum / known : 0;
  std::map<std::string, Eigen::Index> number;
  for (const auto& [name, _] : strengths) {
    const auto i = static_cast<Eigen::Index>(number.size());
    number[name] = i;
    const auto found = ratings.find(name);
    prior[i] = found == ratings.end() ? 0 : found->second / kElo - mean;
    const double sd = found == ratings.end() ? options.unknown_sd : options.known_sd;
    precision[i] = 1 / (sd * sd);
  }
  Eigen::VectorXd theta = prior;
  for (int iteration = 0; iteration < 50; ++iteration) {
    Eigen::VectorXd gradient = precision.cwiseProduct(theta - prior);
    Eigen::MatrixXd hessian = precision.asDiagonal();
    for (const std::uint32_t r : rows) {
      const Vote& vote = votes[r];
      if (vote.model_a.empty() || vote.model_b.empty() || vote.model_a == vote.model_b) continue;
      const Eigen::Index a = number[vote.model_a], b = number[vote.model_b];
      const double won = vote.outcome == Outcome::kA ? 1.0 : vote.outcome == Outcome::kB ? 0.0 : 0.5;
      const double p = 1 / (1 + std::exp(theta[b] - theta[a]));
      const double g = weights[r] * (p - won), h = weights[r] * p * (1 - p);
      gradient[a] += g;
      gradient[b] -= g;
      hessian(a, a) += h;
      hessian(b, b) += h;
      hessian(a, b) -= h;
      hessian(b, a) -= h;
    }
    const Eigen::VectorXd step = hessian.ldlt().solve(gradient);
    theta -= step;
    if (step.lpNorm<Eigen::Infinity>() < 1e-10) break;
  }
  for (auto& [name, value] : strengths) value = theta[number[name]];
  return strengths;
}

}  // namespace agon
