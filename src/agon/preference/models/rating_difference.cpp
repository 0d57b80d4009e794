#include "agon/preference/models/rating_difference.h"

#include <Eigen/Dense>
#include <algorithm>
#include <cmath>

namespace agon {

RatingDifference RatingDifference::fit(const FeatureMatrix& features, std::span<const Column> columns,
                                       std::span<const std::uint32_t> rows, std::span<const double> targets,
                                       std::span<const double> weights, double l2, double clip) {
  constexpr std::size_t kChunk = 1024;
  RatingDifference model;
  model.clip_ = clip;
  model.scale_.assign(features.columns, 0);
  model.weight_.assign(features.columns, 0);
  std::vector<std::size_t> used;
  std::vector<double> squares(features.columns);
  double total = 0;
  for (const std::uint32_t r : rows) {
    const auto row = features.row(r);
    total += weights[r];
    for (std::size_t j = 0; j < row.size(); ++j) squares[j] += weights[r] * row[j] * row[j];
  }
  for (std::size_t j = 0; j < columns.size(); ++j)
    if (columns[j].parity == Parity::kOdd && squares[j] > 1e-9) {
      model.scale_[j] = 1 / std::sqrt(squares[j] / total);
      used.push_back(j);
    }
  const auto p = static_cast<Eigen::Index>(used.size());
  Eigen::MatrixXd normal = Eigen::MatrixXd::Identity(p, p) * l2;
  Eigen::VectorXd right = Eigen::VectorXd::Zero(p);
  for (std::size_t begin = 0; begin < rows.size(); begin += kChunk) {
    const std::size_t count = std::min(kChunk, rows.size() - begin);
    Eigen::MatrixXd z(static_cast<Eigen::Index>(count), p);
    Eigen::VectorXd t(z.rows()), w(z.rows());
    for (std::size_t i = 0; i < count; ++i) {
      const auto row = features.row(rows[begin + i]);
      const auto at = static_cast<Eigen::Index>(i);
      t[at] = targets[begin + i];
      w[at] = weights[rows[begin + i]];
      for (Eigen::Index k = 0; k < p; ++k) {
        const std::size_t j = used[static_cast<std::size_t>(k)];
        z(at, k) = std::clamp(row[j] * model.scale_[j], -clip, clip);
      }
    }
    normal.noalias() += z.transpose() * w.asDiagonal() * z;
    right.noalias() += z.transpose() * w.cwiseProduct(t);
  }
  const Eigen::VectorXd solution = normal.ldlt().solve(right);
  for (Eigen::Index k = 0; k < p; ++k) model.weight_[used[static_cast<std::size_t>(k)]] = solution[k];
  return model;
}

double RatingDifference::predict(std::span<const float> row) const {
  double sum = 0;
  for (std::size_t j = 0; j < weight_.size(); ++j)
    if (weight_[j] != 0) sum += weight_[j] * std::clamp(row[j] * scale_[j], -clip_, clip_);
  return sum;
}

void RatingDifference::save(ByteWriter& out) const {
  out.put(scale_);
  out.put(weight_);
  out.put(clip_);
}

RatingDifference RatingDifference::load(ByteReader& in) {
  RatingDifference model;
  model.scale_ = in.get_vector<double>();
  model.weight_ = in.get_vector<double>();
  model.clip_ = in.get<double>();
  const auto bounded = [](double x) { return std::fabs(x) <= 1e12; };  // sums then fit a float
  if (model.scale_.size() != model.weight_.size() || !std::ranges::all_of(model.scale_, bounded) ||
      !std::ranges::all_of(model.weight_, bounded) || !(model.clip_ > 0 && model.clip_ <= 1e6))
    in.fail();
  return model;
}

}  // namespace agon
