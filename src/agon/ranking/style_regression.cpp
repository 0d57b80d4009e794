#include "agon/ranking/style_regression.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <limits>
#include <utility>

#include "agon/base/check.h"
#include "agon/base/parallel.h"
#include "agon/ranking/graph.h"
#include "agon/ranking/lanes.h"
#include "agon/ranking/paired_kernel.h"
#include "agon/ranking/scores.h"

namespace agon {
namespace {

using lanes::Doubles;
constexpr std::size_t kBlock = 256;  // rows handled together: their numbers stay in the nearest cache
constexpr std::size_t kMostCovariates = 64;
constexpr std::size_t kChunks = 64;  // of runs, for the threads
constexpr double kBeyond = 40;       // log odds
constexpr const char* kPerfect =
    "the covariates decide votes perfectly, so their effects have no finite best value";

// Neighbouring rows of one pair, first < second, up to the next run's begin.
struct Run {
  std::uint32_t first = 0, second = 0;
  std::uint64_t begin = 0;
};

// Up to kBlock rows of a run. `weight` is null when all are 1.
struct Block {
  const float* outcome;
  const float* weight;
  const std::vector<float>* x;
  std::size_t covariates, at, n;
};

// Sums over rows: what a run adds to its two competitors (residual, curvature, and each covariate times
// curvature), and what it adds to the covariates alone.
struct Sums {
  double residual = 0, curvature = 0, loss = 0;
  std::vector<double> cross, gradient, square;  // F, F, lower triangle of F x F
  explicit Sums(std::size_t f) : cross(f, 0), gradient(f, 0), square(f * (f + 1) / 2, 0) {}
};

struct Scratch {
  std::vector<double> eta, weight, residual, curvature, scaled, x;
  explicit Scratch(std::size_t f)
      : eta(kBlock), weight(kBlock), residual(kBlock), curvature(kBlock), scaled(kBlock), x(f * kBlock) {}
};

// With `meat`, squares of weighted residuals stand where curvatures do.
AGON_INLINE void add_block_body(const Block& in, double difference, const double* beta, bool meat, Scratch& s,
                                Sums& out) {
  const std::size_t n = (in.n + lanes::kWidth - 1) / lanes::kWidth * lanes::kWidth;
  for (std::size_t k = 0; k < in.n; ++k)
    s.weight[k] = in.weight == nullptr ? 1 : static_cast<double>(in.weight[in.at + k]);
  std::fill(s.weight.begin() + static_cast<std::ptrdiff_t>(in.n),
            s.weight.begin() + static_cast<std::ptrdiff_t>(n), 0.0);
  std::fill(s.eta.begin(), s.eta.begin() + static_cast<std::ptrdiff_t>(n), difference);
  for (std::size_t f = 0; f < in.covariates; ++f) {
    const float* column = in.x[f].data() + in.at;
    double* wide = &s.x[f * kBlock];
    for (std::size_t k = 0; k < n; k += lanes::kWidth) {
      Doubles value, eta;
      lanes::load_floats(column + k, value);
      lanes::store(wide + k, value);
      lanes::load(&s.eta[k], eta);
      lanes::store(&s.eta[k], eta + beta[f] * value);
    }
  }
  // -log likelihood: log(1 + e^-|eta|) + max(eta, 0) - y eta. The logarithms of unweighted rows are that of
  // their product: at most kBlock / 8 factors a lane, none above 2.
  Doubles loss{}, product = Doubles{} + 1.0, residuals{}, curvatures{};
  double logs = 0;
  for (std::size_t k = 0; k < n; k += lanes::kWidth) {
    Doubles eta, y, w, p, e;
    lanes::load(&s.eta[k], eta);
    lanes::load(&s.weight[k], w);
    lanes::load_floats(in.outcome + in.at + k, y);
    lanes::logistic(eta, p, e);
    const Doubles zero{};
    const Doubles residual = w * (p - y);
    const Doubles curvature = meat ? residual * residual : w * p * (1.0 - p);
    loss += w * ((eta > zero ? eta : zero) - y * eta);
    if (in.weight == nullptr)
      product *= 1.0 + e * w;
    else
      for (std::size_t l = 0; l < lanes::kWidth; ++l) logs += w[l] * std::log1p(e[l]);
    residuals += residual;
    curvatures += curvature;
    lanes::store(&s.residual[k], residual);
    lanes::store(&s.curvature[k], curvature);
  }
  if (in.weight == nullptr)
    for (std::size_t l = 0; l < lanes::kWidth; ++l) logs += std::log(product[l]);
  out.loss += lanes::sum(loss) + logs;
  out.residual += lanes::sum(residuals);
  out.curvature += lanes::sum(curvatures);
  std::size_t at = 0;
  for (std::size_t f = 0; f < in.covariates; ++f) {
    const double* x = &s.x[f * kBlock];
    out.gradient[f] += lanes::dot(s.residual.data(), x, n);
    Doubles total{};
    for (std::size_t k = 0; k < n; k += lanes::kWidth) {
      Doubles value, curvature;
      lanes::load(x + k, value);
      lanes::load(&s.curvature[k], curvature);
      const Doubles scaled = curvature * value;
      total += scaled;
      lanes::store(&s.scaled[k], scaled);
    }
    out.cross[f] += lanes::sum(total);
    for (std::size_t g = 0; g <= f; ++g) out.square[at++] += lanes::dot(s.scaled.data(), &s.x[g * kBlock], n);
  }
}
AGON_AVX512 void add_block_512(const Block& in, double d, const double* beta, bool meat, Scratch& s,
                               Sums& out) {
  add_block_body(in, d, beta, meat, s, out);
}
AGON_AVX2 void add_block_256(const Block& in, double d, const double* beta, bool meat, Scratch& s,
                             Sums& out) {
  add_block_body(in, d, beta, meat, s, out);
}
void add_block_128(const Block& in, double d, const double* beta, bool meat, Scratch& s, Sums& out) {
  add_block_body(in, d, beta, meat, s, out);
}
void add_block(const Block& in, double d, const double* beta, bool meat, Scratch& s, Sums& out) {
  return lanes::pick(add_block_512, add_block_256, add_block_128)(in, d, beta, meat, s, out);
}

}  // namespace

// A row whose A has the larger number is turned round, its covariates change sign.
struct StyleRegression::Rows {
  ParameterLayout layout;
  StyleOptions options;
  std::vector<std::string> names;     // of the covariates
  std::vector<Run> runs;              // and one more that ends the last
  std::vector<std::uint32_t> source;  // the battle a row came from
  std::vector<float> outcome;         // what the first gets of the win; padded, as all columns are
  std::vector<float> weight;          // empty: all 1
  std::vector<std::vector<float>> x;
  std::vector<std::size_t> chunk;  // borders of runs, about equal in rows
  std::size_t battles = 0;
  double votes = 0;
  std::uint64_t left_out = 0;

  [[nodiscard]] std::size_t parameters() const { return layout.competitors + x.size(); }

  // Negative log-likelihood, its gradient, and the Hessian or (meat) the sum of squared scores.
  double evaluate(std::span<const double> at, std::vector<double>* gradient, Matrix& second,
                  bool meat) const {
    const std::size_t m = layout.competitors, f = x.size();
    const double* beta = at.data() + m;
    std::vector<double> residual(runs.size() - 1), curvature(runs.size() - 1), cross((runs.size() - 1) * f);
    std::vector<Sums> total(chunk.size() - 1, Sums(f));
    parallel_for(chunk.size() - 1, [&](std::size_t c) {
      Scratch scratch(f);
      Sums& sums = total[c];
      for (std::size_t r = chunk[c]; r < chunk[c + 1]; ++r) {
        sums.residual = sums.curvature = 0;
        std::fill(sums.cross.begin(), sums.cross.end(), 0.0);
        const double difference = at[runs[r].first] - at[runs[r].second];
        for (std::uint64_t b = runs[r].begin; b < runs[r + 1].begin; b += kBlock) {
          const Block block{outcome.data(),
                            weight.empty() ? nullptr : weight.data(),
                            x.data(),
                            f,
                            b,
                            std::min<std::size_t>(kBlock, runs[r + 1].begin - b)};
          add_block(block, difference, beta, meat, scratch, sums);
        }
        residual[r] = sums.residual;
        curvature[r] = sums.curvature;
        std::copy(sums.cross.begin(), sums.cross.end(), cross.begin() + static_cast<std::ptrdiff_t>(r * f));
      }
    });
    second = Matrix(m + f, m + f);
    if (gradient != nullptr) gradient->assign(m + f, 0);
    for (std::size_t r = 0; r + 1 < runs.size(); ++r) {
      const std::uint32_t i = runs[r].first, j = runs[r].second;
      if (gradient != nullptr) {
        (*gradient)[i] += residual[r];
        (*gradient)[j] -= residual[r];
      }
      second(i, i) += curvature[r];
      second(j, j) += curvature[r];
      second(j, i) -= curvature[r];
      for (std::size_t k = 0; k < f; ++k) {
        second(m + k, i) += cross[r * f + k];
        second(m + k, j) -= cross[r * f + k];
      }
    }
    double loss = 0;
    for (const Sums& sums : total) {
      loss += sums.loss;
      std::size_t k = 0;
      for (std::size_t a = 0; a < f; ++a) {
        if (gradient != nullptr) (*gradient)[m + a] += sums.gradient[a];
        for (std::size_t b = 0; b <= a; ++b) second(m + a, m + b) += sums.square[k++];
      }
    }
    paired::mirror(second);
    return loss;
  }

  // Inverse in the space of sum-zero strengths.
  [[nodiscard]] std::optional<Matrix> inverse(const Matrix& information) const {
    Matrix regular = information;
    paired::fix_gauge(regular, layout.competitors, paired::gauge_of(information, layout.competitors));
    const auto factor = Cholesky::of(std::move(regular));
    if (!factor) return std::nullopt;
    Matrix out = factor->inverse();
    // (H + kappa a a')^-1 = H^+ + a a' / (kappa m^2): the same in every cell of the strengths' block.
    const auto m = static_cast<double>(layout.competitors);
    const double extra = 1 / (paired::gauge_of(information, layout.competitors) * m * m);
    for (std::size_t i = 0; i < layout.competitors; ++i)
      for (std::size_t j = 0; j < layout.competitors; ++j) out(i, j) -= extra;
    return out;
  }
};

StyleRegression::StyleRegression(std::unique_ptr<Rows> rows) : rows_(std::move(rows)) {}
StyleRegression::StyleRegression(StyleRegression&&) noexcept = default;
StyleRegression& StyleRegression::operator=(StyleRegression&&) noexcept = default;
StyleRegression::~StyleRegression() = default;

Result<StyleRegression> StyleRegression::prepare(const BattleRows& battles, std::size_t competitors,
                                                 const std::vector<Covariate>& covariates,
                                                 const StyleOptions& options,
                                                 std::span<const std::uint32_t> rows,
                                                 const std::vector<std::string>& names) {
  if (competitors < 2) return fail("a ranking needs at least two competitors");
  if (covariates.size() > kMostCovariates)
    return fail(
        fmt::format("{} covariates are more than the {} that fit", covariates.size(), kMostCovariates));
  for (const Covariate& c : covariates)
    if (c.value.size() != battles.size())
      return fail(
          fmt::format("covariate '{}' has {} values for {} battles", c.name, c.value.size(), battles.size()));
  auto out = std::make_unique<Rows>();
  out->layout.competitors = competitors;
  out->options = options;
  out->battles = battles.size();
  for (const Covariate& c : covariates) out->names.push_back(c.name);
  if (options.position) out->names.emplace_back("first position");

  // Which battles take part, and the number of each one's pair. Small leagues number pairs by a table.
  const std::size_t chosen = rows.empty() ? battles.size() : rows.size();
  std::vector<std::uint32_t> source;
  std::vector<std::uint64_t> key;
  source.reserve(chosen);
  key.reserve(chosen);
  for (std::size_t k = 0; k < chosen; ++k) {
    const auto r = rows.empty() ? static_cast<std::uint32_t>(k) : rows[k];
    const std::uint32_t a = battles.a[r], b = battles.b[r];
    AGON_CHECK(a < competitors && b < competitors && a != b);
    if (options.drop_both_bad && battles.outcome[r] == BattleOutcome::kBothBad) continue;
    bool known = true;
    for (const Covariate& c : covariates) {
      if (std::isinf(c.value[r])) return fail(fmt::format("covariate '{}' is infinite", c.name));
      known = known && !std::isnan(c.value[r]);
    }
    if (!known) {
      ++out->left_out;
      continue;
    }
    source.push_back(r);
    key.push_back(static_cast<std::uint64_t>(std::min(a, b)) * competitors + std::max(a, b));
  }
  const std::size_t n = source.size();
  if (n == 0) return fail("no battle has all covariates, so there is nothing to fit");

  std::vector<std::uint32_t> run_of(n);
  std::vector<std::uint64_t> count;
  if (competitors <= 2048) {
    std::vector<std::uint32_t> number(competitors * competitors, 0);
    for (const std::uint64_t k : key) ++number[k];
    for (std::uint64_t k = 0; k < number.size(); ++k) {
      if (number[k] == 0) continue;
      out->runs.push_back(
          {static_cast<std::uint32_t>(k / competitors), static_cast<std::uint32_t>(k % competitors), 0});
      count.push_back(number[k]);
      number[k] = static_cast<std::uint32_t>(count.size() - 1);
    }
    for (std::size_t k = 0; k < n; ++k) run_of[k] = number[key[k]];
  } else {
    std::vector<std::uint64_t> unique(key);
    std::sort(unique.begin(), unique.end());
    unique.erase(std::unique(unique.begin(), unique.end()), unique.end());
    count.assign(unique.size(), 0);
    for (const std::uint64_t k : unique)
      out->runs.push_back(
          {static_cast<std::uint32_t>(k / competitors), static_cast<std::uint32_t>(k % competitors), 0});
    for (std::size_t k = 0; k < n; ++k)
      ++count[run_of[k] = static_cast<std::uint32_t>(std::lower_bound(unique.begin(), unique.end(), key[k]) -
                                                     unique.begin())];
  }
  key = {};
  std::uint64_t sum = 0;
  for (std::size_t r = 0; r < count.size(); ++r) {
    out->runs[r].begin = sum;
    sum += std::exchange(count[r], sum);
  }
  out->runs.push_back({0, 0, sum});
  out->source.resize(n);
  for (std::size_t k = 0; k < n; ++k) out->source[count[run_of[k]]++] = source[k];
  source = {};
  run_of = {};
  for (std::size_t c = 0; c <= kChunks; ++c) {
    const std::uint64_t at = n * c / kChunks;
    const auto run = std::lower_bound(out->runs.begin(), out->runs.end() - 1, at,
                                      [](const Run& x, std::uint64_t row) { return x.begin < row; });
    out->chunk.push_back(c == kChunks ? out->runs.size() - 1
                                      : static_cast<std::size_t>(run - out->runs.begin()));
  }

  // Columns in the new order. They end in a block of zeros, which the last lanes may read.
  const std::size_t padded = n + kBlock;
  const auto turned = [&](std::uint32_t r) { return battles.a[r] > battles.b[r]; };
  out->outcome.assign(padded, 0);
  if (!battles.weight.empty()) out->weight.assign(padded, 0);
  out->x.assign(out->names.size(), {});
  for (auto& column : out->x) column.assign(padded, 0);
  parallel_chunks(n, 1 << 16, [&](std::size_t from, std::size_t to) {
    for (std::size_t k = from; k < to; ++k) {
      const std::uint32_t r = out->source[k];
      const bool turn = turned(r);
      float y = 0.5F;
      if (battles.outcome[r] == BattleOutcome::kA) y = 1;
      if (battles.outcome[r] == BattleOutcome::kB) y = 0;
      if (battles.outcome[r] == BattleOutcome::kShare) y = battles.share[r];
      out->outcome[k] = turn ? 1 - y : y;
      if (!battles.weight.empty()) out->weight[k] = static_cast<float>(battles.weight[r]);
      for (std::size_t f = 0; f < covariates.size(); ++f) {
        const float value = covariates[f].value[r];
        out->x[f][k] = turn ? -value : value;
      }
      if (options.position) out->x.back()[k] = turn ? -1 : 1;
    }
  });

  PairTable table(out->runs.size() - 1);
  for (std::size_t r = 0; r < table.size(); ++r) {
    table[r].first = out->runs[r].first;
    table[r].second = out->runs[r].second;
    for (std::uint64_t k = out->runs[r].begin; k < out->runs[r + 1].begin; ++k) {
      const double w = out->weight.empty() ? 1 : static_cast<double>(out->weight[k]);
      const double y = static_cast<double>(out->outcome[k]);
      table[r].weight[0] += w * y;
      table[r].weight[1] += w * (1 - y);
    }
    out->votes += table[r].weight[0] + table[r].weight[1];
  }
  if (!(out->votes > 0) || !std::isfinite(out->votes))
    return fail("the battles' weights do not sum to a positive number");
  if (std::string why = explain_separation(table, competitors, BothBadAs::kTie, names); !why.empty()) {
    Error error;
    error.message = std::move(why);
    error.expected = "more votes";
    return std::unexpected(std::move(error));
  }
  return StyleRegression(std::move(out));
}

Result<StyleFit> StyleRegression::fit(const StyleFit* start) const {
  const Rows& rows = *rows_;
  const std::size_t m = rows.layout.competitors, n = rows.parameters();
  StyleFit fit;
  fit.layout = rows.layout;
  fit.covariates = rows.names;
  fit.votes = rows.votes;
  fit.left_out = rows.left_out;
  fit.parameters.assign(n, 0);
  if (start != nullptr && start->parameters.size() == n) fit.parameters = start->parameters;
  std::vector<double> gradient, trial_gradient, trial;
  Matrix trial_hessian;
  double value = rows.evaluate(fit.parameters, &gradient, fit.hessian, false);
  double last = std::numeric_limits<double>::infinity();
  const auto largest = [](std::span<const double> x) {
    double out = 0;
    for (const double v : x) out = std::max(out, std::abs(v));
    return out;
  };
  for (;;) {
    fit.gradient_norm = largest(gradient) / fit.votes;
    Matrix regular = fit.hessian;
    paired::fix_gauge(regular, m, paired::gauge_of(regular, m));
    const auto factor = Cholesky::of(std::move(regular));
    if (!factor && largest(fit.parameters) > 15) return fail(kPerfect);
    if (!factor)
      return fail(
          "the covariates depend on each other or on the competitors, so their effects cannot be told apart");
    std::vector<double> step(gradient);
    factor->solve(step);
    double slope = 0;
    for (std::size_t k = 0; k < n; ++k) {
      step[k] = -step[k];
      slope += gradient[k] * step[k];
    }
    const double length = largest(step);
    // A gradient that fades while steps stay long: the optimum lies at infinity.
    if (fit.gradient_norm <= rows.options.tolerance && length > 1e-4 && length > 0.5 * last)
      return fail(kPerfect);
    if (fit.gradient_norm <= rows.options.tolerance && (length <= 1e-9 || length > 0.5 * last)) {
      fit.converged = true;
      break;
    }
    if (fit.iterations >= rows.options.max_iterations) break;
    last = length;
    ++fit.iterations;
    double share = std::min(1.0, 10 / std::max(length, 1e-300));
    bool moved = false;
    for (int halving = 0; halving < 40 && !moved; ++halving, share *= 0.5) {
      trial = fit.parameters;
      for (std::size_t k = 0; k < n; ++k) trial[k] += share * step[k];
      paired::centre(trial, rows.layout);
      const double trial_value = rows.evaluate(trial, &trial_gradient, trial_hessian, false);
      const double noise = 1e-12 * std::abs(value);
      moved = trial_value <= value + 1e-4 * share * slope ||
              (std::abs(slope) <= noise && trial_value <= value + noise &&
               largest(trial_gradient) <= largest(gradient));
      if (moved) value = trial_value;
    }
    if (!moved) {
      fit.converged = fit.gradient_norm <= rows.options.tolerance;
      break;
    }
    fit.parameters.swap(trial);
    gradient.swap(trial_gradient);
    std::swap(fit.hessian, trial_hessian);
    if (largest(fit.parameters) > kBeyond) return fail(kPerfect);
  }
  fit.log_likelihood = -value;
  return fit;
}

namespace {

Covariance covariance_of(CovarianceKind kind, const ParameterLayout& layout, std::optional<Matrix> inverse,
                         const Matrix* meat) {
  AGON_CHECK(inverse.has_value());  // fit() ends with a regular Hessian
  Covariance out{kind, layout, Matrix(), 0};
  out.matrix = meat == nullptr ? std::move(*inverse) : sandwich(*inverse, *meat);
  return out;
}

}  // namespace

Covariance StyleRegression::model_covariance(const StyleFit& fit) const {
  return covariance_of(CovarianceKind::kModel, rows_->layout, rows_->inverse(fit.hessian), nullptr);
}

Covariance StyleRegression::sandwich_covariance(const StyleFit& fit) const {
  Matrix meat;
  rows_->evaluate(fit.parameters, nullptr, meat, true);
  return covariance_of(CovarianceKind::kSandwich, rows_->layout, rows_->inverse(fit.hessian), &meat);
}

Result<Covariance> StyleRegression::clustered_covariance(const StyleFit& fit,
                                                         std::span<const std::uint32_t> cluster) const {
  const Rows& rows = *rows_;
  AGON_CHECK(cluster.size() == rows.battles);
  std::vector<std::uint32_t> code(rows.source.size()), first(rows.source.size());
  for (std::size_t k = 0; k < code.size(); ++k) code[k] = cluster[rows.source[k]];
  for (std::size_t r = 0; r + 1 < rows.runs.size(); ++r)
    std::fill(first.begin() + static_cast<std::ptrdiff_t>(rows.runs[r].begin),
              first.begin() + static_cast<std::ptrdiff_t>(rows.runs[r + 1].begin),
              static_cast<std::uint32_t>(r));
  const RowGroups groups = group_rows(code, {}, code.size());
  if (groups.count() < 2) return fail("a clustered covariance needs votes of at least two clusters");
  const std::size_t m = rows.layout.competitors;
  const Matrix meat =
      clustered_meat(groups.count(), rows.parameters(), [&](std::size_t g, SparseVector& out) {
        for (const std::uint32_t k : groups.rows_of(g)) {
          const Run& run = rows.runs[first[k]];
          double eta = fit.parameters[run.first] - fit.parameters[run.second];
          for (std::size_t f = 0; f < rows.x.size(); ++f)
            eta += fit.parameters[m + f] * static_cast<double>(rows.x[f][k]);
          const double w = rows.weight.empty() ? 1 : static_cast<double>(rows.weight[k]);
          const double residual = w * (1 / (1 + std::exp(-eta)) - static_cast<double>(rows.outcome[k]));
          out.add(run.first, residual);
          out.add(run.second, -residual);
          for (std::size_t f = 0; f < rows.x.size(); ++f)
            out.add(m + f, residual * static_cast<double>(rows.x[f][k]));
        }
      });
  Covariance out = covariance_of(CovarianceKind::kClustered, rows.layout, rows.inverse(fit.hessian), &meat);
  const auto g = static_cast<double>(groups.count());
  for (double& v : out.matrix.values) v *= g / (g - 1);
  out.clusters = groups.count();
  return out;
}

}  // namespace agon
