#include "agon/ranking/paired_model.h"

#include <gtest/gtest.h>
#include <rapidcheck/gtest.h>

#include <cmath>
#include <nlohmann/json.hpp>
#include <numeric>

#include "agon/base/file.h"
#include "agon/ranking/graph.h"
#include "agon/ranking/paired_kernel.h"
#include "agon/ranking/test_tables.h"

namespace agon {
namespace {

using ranking_test::add;
using ranking_test::count_rows;
using ranking_test::kModels;
using ranking_test::random_rows;

// Probabilities straight from the published formulas, with worths instead of log odds.
std::array<double, 4> naive_probabilities(TieModel model, double u, double v, double t) {
  const double x = std::exp(u), y = std::exp(v), theta = std::exp(t);
  switch (model) {
    case TieModel::kHalf:
      return {x / (x + y), y / (x + y), std::sqrt(x * y) / (x + y), 1};
    case TieModel::kDavidson: {
      const double all = x + y + theta * std::sqrt(x * y);
      return {x / all, y / all, theta * std::sqrt(x * y) / all, 1};
    }
    case TieModel::kRaoKupper: {
      const double a = x / (x + theta * y), b = y / (y + theta * x);
      return {a, b, 1 - a - b, 1};
    }
    case TieModel::kBadThreshold: {
      const double a = x / (x + theta * y + 1), b = y / (y + theta * x + 1), bad = 1 / (1 + x + y);
      return {a, b, 1 - a - b - bad, bad};
    }
  }
  return {};
}

TEST(PairedKernel, AgreesWithTheFormulasAndTheirDifferences) {
  const double h = 1e-4;
  for (const TieModel model : kModels)
    for (const double u : {-2.0, 0.3, 1.7})
      for (const double v : {-1.1, 0.4})
        for (const double t : {0.2, 1.3}) {
          paired::LocalTerms terms;
          paired::local_terms(model, {u, v, t}, terms);
          const auto log_p = [&](std::size_t k, double du, double dv, double dt) {
            return std::log(naive_probabilities(model, u + du, v + dv, t + dt)[k]);
          };
          for (std::size_t k = 0; k < 4; ++k) {
            EXPECT_NEAR(terms.log_p[k], log_p(k, 0, 0, 0), 1e-12) << tie_model_name(model) << k;
            const std::array<std::array<double, 3>, 3> axis = {{{h, 0, 0}, {0, h, 0}, {0, 0, h}}};
            std::size_t at = 0;
            for (std::size_t a = 0; a < 3; ++a) {
              const auto& x = axis[a];
              EXPECT_NEAR(terms.gradient[k][a],
                          (log_p(k, x[0], x[1], x[2]) - log_p(k, -x[0], -x[1], -x[2])) / (2 * h),
                          1e-7 * (1 + std::abs(terms.second[k][a == 0   ? 0
                                                               : a == 1 ? 2
                                                                        : 5])));
              // uu, uv, vv, ut, vt, tt: the lower triangle, row by row.
              for (std::size_t b = 0; b <= a; ++b, ++at) {
                const auto& y = axis[b];
                const double mixed = (log_p(k, x[0] + y[0], x[1] + y[1], x[2] + y[2]) -
                                      log_p(k, x[0] - y[0], x[1] - y[1], x[2] - y[2]) -
                                      log_p(k, y[0] - x[0], y[1] - x[1], y[2] - x[2]) +
                                      log_p(k, -x[0] - y[0], -x[1] - y[1], -x[2] - y[2])) /
                                     (4 * h * h);
                EXPECT_NEAR(terms.second[k][at], mixed, 2e-6 * (1 + std::abs(mixed)))
                    << tie_model_name(model) << k << a << b;
              }
            }
          }
        }
}

// The likelihood of eight cells at a time is that of one cell after the other, for every number of cells left
// over, and far from the optimum too.
TEST(PairedKernel, EightAtATimeAgreesWithOneByOne) {
  for (const TieModel model : kModels)
    for (const bool position : {false, true})
      for (std::size_t count = 1; count <= 19; ++count) {
        constexpr std::size_t kCompetitors = 6;
        paired::Shape shape{model, {.competitors = kCompetitors}};
        int next = kCompetitors;
        if (model != TieModel::kHalf) shape.layout.tie = next++;
        if (model == TieModel::kBadThreshold) shape.layout.bad = next++;
        if (position) shape.layout.position = next++;
        Random random(count);
        const double spread = count % 3 == 0 ? 30 : 2;
        std::vector<double> x(shape.layout.size());
        for (double& value : x) value = spread * (static_cast<double>(random.below(1000)) / 500 - 1);
        if (shape.layout.tie >= 0) {
          double& tie = x[static_cast<std::size_t>(shape.layout.tie)];
          tie = model == TieModel::kDavidson ? tie : 0.01 + std::abs(tie);
        }
        std::vector<paired::Cell> cells(count);
        double total = 0;
        for (paired::Cell& cell : cells) {
          cell.first = static_cast<std::uint32_t>(random.below(kCompetitors));
          cell.second = (cell.first + 1 + static_cast<std::uint32_t>(random.below(5))) % kCompetitors;
          for (std::size_t k = 0; k < kBattleClasses; ++k) {
            if (k == 3 && model != TieModel::kBadThreshold) continue;
            cell.weight[k] = static_cast<double>(random.below(4));
            total += cell.weight[k];
          }
        }
        std::vector<double> plain_gradient, gradient, alone;
        Matrix plain_hessian, hessian;
        const double plain = paired::evaluate_plainly(shape, cells, x, &plain_gradient, &plain_hessian);
        const double value = paired::evaluate(shape, cells, x, &gradient, &hessian);
        const double scale = 1e-13 * (1 + total) * (1 + spread);
        EXPECT_NEAR(value, plain, 4 * scale) << tie_model_name(model) << count;
        EXPECT_NEAR(value, paired::evaluate(shape, cells, x, nullptr, nullptr), scale);
        EXPECT_NEAR(value, paired::evaluate(shape, cells, x, &alone, nullptr), scale);
        EXPECT_EQ(alone, gradient);
        paired::evaluate_gradient(shape, cells, x, alone);
        // By t near 0 the room of a tie has derivatives of 1 / t and 1 / t^2.
        for (std::size_t i = 0; i < x.size(); ++i) {
          EXPECT_NEAR(gradient[i], plain_gradient[i], scale * (1 + std::abs(plain_gradient[i])));
          EXPECT_NEAR(alone[i], gradient[i], scale * (1 + std::abs(plain_gradient[i])));
          for (std::size_t j = 0; j < x.size(); ++j)
            EXPECT_NEAR(hessian(i, j), plain_hessian(i, j), scale * (1 + std::abs(plain_hessian(i, j))))
                << tie_model_name(model) << position << count << i << j;
        }
      }
}

// Two competitors: every model's fitted probabilities are the observed shares (as many parameters as free
// shares, given symmetry), so the closed form is the table itself.
TEST(PairedModel, TwoCompetitorsHaveClosedForms) {
  PairTable t;
  add(t, 0, 1, {30, 12, 8, 0});
  const auto half = fit_paired(t, 2);
  ASSERT_TRUE(half);
  EXPECT_NEAR(half->strength(0) - half->strength(1), std::log(34.0 / 16.0), 1e-12);
  EXPECT_NEAR(half->log_likelihood, 34 * std::log(34.0 / 50) + 16 * std::log(16.0 / 50), 1e-10);
  const auto davidson = fit_paired(t, 2, {.ties = TieModel::kDavidson});
  ASSERT_TRUE(davidson);
  EXPECT_NEAR(davidson->nu(), 8 / std::sqrt(30.0 * 12.0), 1e-12);
  EXPECT_NEAR(davidson->strength(0) - davidson->strength(1), std::log(30.0 / 12), 1e-12);
  const auto rao = fit_paired(t, 2, {.ties = TieModel::kRaoKupper});
  ASSERT_TRUE(rao);
  const auto logit = [](double p) { return std::log(p / (1 - p)); };
  EXPECT_NEAR(rao->eta(), -0.5 * (logit(0.6) + logit(0.24)), 1e-11);
  EXPECT_NEAR(rao->strength(0) - rao->strength(1), 0.5 * (logit(0.6) - logit(0.24)), 1e-11);
  t[0].weight[3] = 10;
  const auto bad = fit_paired(t, 2, {.ties = TieModel::kBadThreshold});
  ASSERT_TRUE(bad);
  const auto p = outcome_probabilities(*bad, 0, 1);
  EXPECT_NEAR(p[0], 30.0 / 60, 1e-10);
  EXPECT_NEAR(p[1], 12.0 / 60, 1e-10);
  EXPECT_NEAR(p[2], 8.0 / 60, 1e-10);
  EXPECT_NEAR(p[3], 10.0 / 60, 1e-10);
}

TEST(PairedModel, FourTeamsOfTheArticle) {
  const auto fit = fit_paired(ranking_test::four_teams(), 4);
  ASSERT_TRUE(fit);
  const std::array expected = {0.640, 1.043, 0.660, 2.270};
  for (std::size_t i = 0; i < 4; ++i) EXPECT_NEAR(std::exp(fit->strength(i)), expected[i], 5e-4);
}

// The R package BradleyTerry2's vignette prints these.
TEST(PairedModel, BaseballOfBradleyTerry2) {
  const auto plain = fit_paired(ranking_test::baseball(), 7);
  ASSERT_TRUE(plain);
  const std::array expected = {0.0, 1.1077, 0.6839, 1.4364, 1.5814, 1.2476, 1.2945};
  for (std::size_t i = 0; i < 7; ++i) EXPECT_NEAR(plain->strength(i) - plain->strength(0), expected[i], 5e-5);
  const auto home = fit_paired(ranking_test::baseball(), 7, {.position = true});
  ASSERT_TRUE(home);
  EXPECT_NEAR(home->position(), 0.302, 5e-4);
}

struct Arena {
  PairTable pairs;
  std::vector<std::string> names;
  [[nodiscard]] std::size_t find(const std::string& name) const {
    return static_cast<std::size_t>(std::ranges::find(names, name) - names.begin());
  }
};
const Arena& arena() {
  static const Arena kArena = [] {
    Arena out;
    const auto text = read_file(AGON_SOURCE_DIR "/data/battles/arena_2024-08-14_pair_counts.json.gz");
    if (!text) return out;
    const auto json = nlohmann::json::parse(*text);
    out.names = json["models"];
    for (std::size_t k = 0; k < json["X"].size(); ++k) {
      const auto& y = json["Y"][k];
      add(out.pairs, json["X"][k][0], json["X"][k][1], {y[0], y[1], y[2], y[3]});
    }
    return out;
  }();
  return kArena;
}

TEST(PairedModel, PublishedRatingsOfTheArena) {
  ASSERT_EQ(arena().names.size(), 129U);
  const auto fit = fit_paired(arena().pairs, 129);
  ASSERT_TRUE(fit);
  EXPECT_TRUE(fit->converged);
  EXPECT_LT(fit->gradient_norm, 1e-9);
  EXPECT_EQ(fit->votes, 1670250);
  const double anchor = fit->strength(arena().find("mixtral-8x7b-instruct-v0.1"));
  const auto rating = [&](const char* name) {
    return 1114 + kEloScale * (fit->strength(arena().find(name)) - anchor);
  };
  EXPECT_NEAR(rating("chatgpt-4o-latest"), 1315.156092, 1e-6);
  EXPECT_NEAR(rating("gemini-1.5-pro-exp-0801"), 1298.419702, 1e-6);
  EXPECT_NEAR(rating("gpt-4o-2024-05-13"), 1285.827775, 1e-6);
}

TEST(PairedModel, PublishedLikelihoodsOfTieModels) {
  ASSERT_EQ(arena().names.size(), 129U);
  const auto fit = [&](TieModel ties) {
    return fit_paired(arena().pairs, 129, {.ties = ties, .drop_both_bad = true}).value();
  };
  const PairedFit half = fit(TieModel::kHalf), rao = fit(TieModel::kRaoKupper),
                  davidson = fit(TieModel::kDavidson);
  EXPECT_EQ(half.votes, 1374996);
  EXPECT_NEAR(half.loss(), 0.655411, 5e-7);
  EXPECT_NEAR(rao.loss(), 1.009483, 5e-7);
  EXPECT_NEAR(rao.eta(), 0.449990, 5e-7);
  EXPECT_NEAR(davidson.loss(), 1.010007, 5e-7);
  EXPECT_NEAR(davidson.nu(), 0.547598, 5e-7);
}

TEST(PairedModel, ARefitAfterMoreVotesStartsWhereTheOldFitEnded) {
  ASSERT_EQ(arena().names.size(), 129U);
  PairTable pairs = arena().pairs;
  pairs[7].weight[0] += 60;
  pairs[1000].weight[1] += 40;
  for (const TieModel model : kModels) {
    const PairedOptions options{.ties = model};
    const auto old = fit_paired(arena().pairs, 129, options);
    const auto cold = fit_paired(pairs, 129, options), warm = fit_paired(pairs, 129, options, &*old);
    ASSERT_TRUE(old && cold && warm) << tie_model_name(model);
    EXPECT_TRUE(warm->converged);
    EXPECT_LT(warm->iterations, cold->iterations) << tie_model_name(model);
    for (std::size_t i = 0; i < 129; ++i) EXPECT_NEAR(cold->strength(i), warm->strength(i), 1e-9);
  }
}

// The gradient of the naive log-likelihood by differences vanishes at the fit, and no nearby point is better.
TEST(PairedModel, NoPointNearTheFitIsBetter) {
  const BattleRows rows = random_rows(3, 6, 600);
  const PairTable table = count_rows(rows);
  for (const TieModel model : kModels)
    for (const bool position : {false, true}) {
      const auto fit = fit_paired(table, 6, {.ties = model, .position = position});
      ASSERT_TRUE(fit);
      EXPECT_TRUE(fit->converged);
      const auto naive = [&](const std::vector<double>& x) {
        double sum = 0;
        const double half = position ? 0.5 * x[static_cast<std::size_t>(fit->layout.position)] : 0;
        const double c = fit->layout.bad >= 0 ? x[static_cast<std::size_t>(fit->layout.bad)] : 0;
        const double t = fit->layout.tie >= 0 ? x[static_cast<std::size_t>(fit->layout.tie)] : 0;
        for (std::size_t r = 0; r < rows.size(); ++r) {
          const auto p = naive_probabilities(model, x[rows.a[r]] + half - c, x[rows.b[r]] - half - c, t);
          auto k = static_cast<std::size_t>(rows.outcome[r]);
          if (k == 3 && model != TieModel::kBadThreshold) k = 2;
          sum += model == TieModel::kHalf && k == 2 ? 0.5 * std::log(p[0] * p[1]) : std::log(p[k]);
        }
        return sum;
      };
      EXPECT_NEAR(naive(fit->parameters), fit->log_likelihood, 1e-8);
      Random random(5);
      for (std::size_t k = 0; k < fit->layout.size(); ++k) {
        auto up = fit->parameters, down = fit->parameters;
        up[k] += 1e-4;
        down[k] -= 1e-4;
        const double top = naive(fit->parameters);
        EXPECT_LT(naive(up), top + 1e-9);
        EXPECT_LT(naive(down), top + 1e-9);
        EXPECT_NEAR((naive(up) - naive(down)) / 2e-4, 0, 1e-4);
        EXPECT_NEAR(fit->hessian(k, k), -(naive(up) + naive(down) - 2 * top) / 1e-8, 1e-2);
      }
    }
}

RC_GTEST_PROP(PairedModelProperty, SwapsRelabellingAndRepetitionChangeNothing, (std::uint64_t seed)) {
  const BattleRows rows = random_rows(seed, 5, 300);
  const TieModel model = *rc::gen::elementOf(std::vector<TieModel>(kModels.begin(), kModels.end()));
  const PairedOptions options{.ties = model};
  BattleRows swapped = rows, renamed = rows, repeated = rows;
  std::swap(swapped.a, swapped.b);
  for (auto& o : swapped.outcome)
    if (o == BattleOutcome::kA || o == BattleOutcome::kB)
      o = o == BattleOutcome::kA ? BattleOutcome::kB : BattleOutcome::kA;
  for (auto* side : {&renamed.a, &renamed.b})
    for (auto& c : *side) c = 4 - c;
  // The first hundred rows once more, and the same as weights of two.
  BattleRows weighted = rows;
  weighted.weight.assign(rows.size(), 1);
  for (std::size_t r = 0; r < 100; ++r) {
    repeated.a.push_back(rows.a[r]);
    repeated.b.push_back(rows.b[r]);
    repeated.outcome.push_back(rows.outcome[r]);
    weighted.weight[r] = 2;
  }
  const auto base = fit_paired(count_rows(rows), 5, options);
  const auto swap = fit_paired(count_rows(swapped), 5, options),
             rename = fit_paired(count_rows(renamed), 5, options);
  const auto twice = fit_paired(count_rows(repeated), 5, options),
             heavy = fit_paired(count_rows(weighted), 5, options);
  RC_ASSERT(base && swap && rename && twice && heavy);
  for (std::size_t i = 0; i < 5; ++i) {
    RC_ASSERT(std::abs(base->strength(i) - swap->strength(i)) < 1e-9);
    RC_ASSERT(std::abs(base->strength(i) - rename->strength(4 - i)) < 1e-9);
    RC_ASSERT(std::abs(twice->strength(i) - heavy->strength(i)) < 1e-9);
  }
  const auto strengths = base->strengths();
  RC_ASSERT(std::abs(std::accumulate(strengths.begin(), strengths.end(), 0.0)) < 1e-12);
}

TEST(PairedModel, GradedVotesLieBetweenWholeOnes) {
  BattleRows rows = random_rows(11, 4, 200);
  rows.share.assign(rows.size(), 0);
  for (std::size_t r = 0; r < rows.size(); ++r) {
    rows.outcome[r] = BattleOutcome::kShare;
    rows.share[r] = r % 4 == 0 ? 1.0F : 0.25F;
  }
  const auto fit = fit_paired(count_rows(rows), 4);
  ASSERT_TRUE(fit);
  // Score equations: every competitor's share equals what the model expects.
  std::vector<double> gap(4, 0);
  for (std::size_t r = 0; r < rows.size(); ++r) {
    const double p = outcome_probabilities(*fit, rows.a[r], rows.b[r])[0];
    gap[rows.a[r]] += static_cast<double>(rows.share[r]) - p;
    gap[rows.b[r]] -= static_cast<double>(rows.share[r]) - p;
  }
  for (const double g : gap) EXPECT_NEAR(g, 0, 1e-9);
}

TEST(PairedModel, WithoutTiesOrBadAnswersTheirParametersLieAtTheBoundary) {
  const PairTable t = ranking_test::four_teams();
  const auto plain = fit_paired(t, 4);
  for (const TieModel model : kModels) {
    const auto fit = fit_paired(t, 4, {.ties = model});
    ASSERT_TRUE(fit);
    EXPECT_EQ(fit->layout.size(), 4U);
    EXPECT_NEAR(fit->log_likelihood, plain->log_likelihood, 1e-10);
    for (std::size_t i = 0; i < 4; ++i) EXPECT_NEAR(fit->strength(i), plain->strength(i), 1e-9);
  }
}

TEST(PairedModel, WhatHasNoFiniteOptimumIsAnErrorThatSaysWhy) {
  PairTable t;
  add(t, 0, 1, {5, 0, 0, 0});
  const auto separated = fit_paired(t, 2, {}, nullptr, {"ape", "bee"});
  ASSERT_FALSE(separated);
  EXPECT_NE(separated.error().to_string().find("every battle"), std::string::npos);
  EXPECT_FALSE(fit_paired(t, 3));
  EXPECT_FALSE(fit_paired({}, 2));
  EXPECT_FALSE(fit_paired(t, 1));
  t[0].weight = {0, 0, 7, 0};
  const auto level = fit_paired(t, 2);
  ASSERT_TRUE(level);
  EXPECT_NEAR(level->strength(0), 0, 1e-12);
  EXPECT_FALSE(fit_paired(t, 2, {.ties = TieModel::kDavidson}));
  t[0].weight = {3, 0, 7, 0};  // P(B) = 0 asks for an infinite gap, though ties go both ways
  EXPECT_FALSE(fit_paired(t, 2, {.ties = TieModel::kDavidson}));
  EXPECT_FALSE(fit_paired(t, 2, {.ties = TieModel::kRaoKupper}));
  EXPECT_TRUE(fit_paired(t, 2));
  // The first always wins: its strengths are finite, the advantage of the first position is not.
  PairTable first;
  add(first, 0, 1, {5, 0, 0, 0});
  add(first, 1, 0, {5, 0, 0, 0});
  EXPECT_TRUE(fit_paired(first, 2));
  EXPECT_FALSE(fit_paired(first, 2, {.position = true}));
  t[0].weight = {1, 1, std::nan(""), 0};
  EXPECT_FALSE(fit_paired(t, 2));
  t[0].weight = {1, -1, 0, 0};
  EXPECT_FALSE(fit_paired(t, 2));
  t[0].weight = {1, 1, 0, 0};
  EXPECT_FALSE(fit_paired(t, 2, {.ridge = -1}));
  EXPECT_FALSE(fit_paired(t, 2, {.ties = TieModel::kDavidson, .firth = true}));
}

// Two competitors under Jeffreys' prior: half a win is added to both (Firth 1993, section 4.1).
TEST(PairedModel, FirthAddsHalfAWinForTwo) {
  PairTable t;
  add(t, 0, 1, {5, 0, 0, 0});
  const auto fit = fit_paired(t, 2, {.firth = true});
  ASSERT_TRUE(fit);
  EXPECT_TRUE(fit->converged);
  EXPECT_NEAR(fit->strength(0) - fit->strength(1), std::log(5.5 / 0.5), 1e-8);
  EXPECT_EQ(fit->penalty(), "Firth's penalty");
}

// Against the penalised likelihood itself: log-likelihood + log det(information) / 2, by differences.
TEST(PairedModel, FirthMaximisesThePenalisedLikelihood) {
  for (const bool position : {false, true}) {
    const PairTable t = ranking_test::baseball();
    const auto fit = fit_paired(t, 7, {.position = position, .firth = true});
    ASSERT_TRUE(fit);
    EXPECT_TRUE(fit->converged);
    const paired::Shape shape = paired::shape_of(*fit);
    const auto cells = paired::cells_of(t, fit->options);
    const auto penalised = [&](const std::vector<double>& x) {
      Matrix information;
      const double value = -paired::evaluate(shape, cells, x, nullptr, &information);
      Matrix reduced(information.rows - 1, information.rows - 1);  // the first strength held fixed
      for (std::size_t i = 1; i < information.rows; ++i)
        for (std::size_t j = 1; j < information.rows; ++j) reduced(i - 1, j - 1) = information(i, j);
      return value + 0.5 * Cholesky::of(reduced)->log_determinant();
    };
    for (std::size_t k = 1; k < fit->layout.size(); ++k) {
      auto up = fit->parameters, down = fit->parameters;
      up[k] += 1e-4;
      down[k] -= 1e-4;
      EXPECT_NEAR((penalised(up) - penalised(down)) / 2e-4, 0, 1e-6);
    }
  }
}

TEST(PairedModel, ARidgeShrinksAndIsNamed) {
  PairTable t;
  add(t, 0, 1, {5, 0, 0, 0});
  add(t, 2, 3, {1, 1, 0, 0});
  const auto fit = fit_paired(t, 4, {.ridge = 0.5});
  ASSERT_TRUE(fit);
  EXPECT_TRUE(fit->converged);
  EXPECT_EQ(fit->penalty(), "ridge 0.5");
  const double d = fit->strength(0) - fit->strength(1);
  // Its score equation: 5 (1 - p) = 0.5 s_0.
  EXPECT_NEAR(5 / (1 + std::exp(d)), 0.5 * fit->strength(0), 1e-9);
  EXPECT_NEAR(fit->strength(2), 0, 1e-9);
}

}  // namespace
}  // namespace agon
