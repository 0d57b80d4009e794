// How often the intervals of src/agon/ranking cover the truth: leagues are simulated again and again, and
// every method's 95 % intervals are held against the strengths that the votes came from.
//
//     rank_coverage [LEAGUES] [SEED]
//
// Four kinds of league, 12 competitors each:
//   ties      6,000 votes by Davidson's model, fitted by it
//   half      the same votes with ties as half wins: the model is wrong, and the truth is the best it can
//             say (the fit of expected counts); only methods that do not trust the model should cover
//   voters    300 voters of 20 votes with tastes of their own: votes of a voter go together
//   style     6,000 votes that also depend on two numbers of the answers and on position
//
// Ends with 1 when a method that should cover does so in fewer than 93 % or more than 97 % of cases (for
// statements about all competitors at once: of leagues).
#include <fmt/format.h>

#include <cmath>
#include <cstdlib>
#include <map>
#include <string>
#include <vector>

#include "agon/base/check.h"
#include "agon/base/parallel.h"
#include "agon/base/random.h"
#include "agon/ranking/bootstrap.h"
#include "agon/ranking/covariance.h"
#include "agon/ranking/paired_model.h"
#include "agon/ranking/simultaneous.h"
#include "agon/ranking/style_regression.h"
#include "agon/stats/normal.h"

using namespace agon;

namespace {

constexpr std::uint32_t kCompetitors = 12;
constexpr std::size_t kVotes = 6000, kVotesOfVoter = 20;
constexpr double kLevel = 0.95;
const double kZ = critical_value(kLevel);

std::vector<double> true_strengths() {
  std::vector<double> s(kCompetitors);
  for (std::uint32_t i = 0; i < kCompetitors; ++i)
    s[i] = 0.2 * (i - 0.5 * (kCompetitors - 1)) + (i % 3 == 0 ? 0.15 : -0.075);
  return s;
}

double logistic(double x) { return 1 / (1 + std::exp(-x)); }

double normal(Random& random) {
  float z[1];
  draw_normals(random, z);
  return static_cast<double>(z[0]);
}

void draw_pair(Random& random, BattleRows& rows) {
  const auto a = static_cast<std::uint32_t>(random.below(kCompetitors));
  // Competitors of near numbers meet more often, as on an arena that pairs likes.
  const std::uint64_t span = random.below(2) == 0 ? 3 : kCompetitors - 1;
  rows.a.push_back(a);
  rows.b.push_back(static_cast<std::uint32_t>((a + 1 + random.below(span)) % kCompetitors));
}
double meeting_share(std::uint32_t a, std::uint32_t b) {
  const std::uint32_t gap = (b + kCompetitors - a) % kCompetitors;
  return (0.5 / (kCompetitors - 1) + (gap <= 3 ? 0.5 / 3 : 0)) / kCompetitors;
}

// The fit of expected counts: what a method estimates, whether the model is right or not.
std::vector<double> limit_of(const PairedOptions& options, auto&& probabilities) {
  PairTable table;
  for (std::uint32_t a = 0; a < kCompetitors; ++a)
    for (std::uint32_t b = 0; b < kCompetitors; ++b) {
      if (a == b) continue;
      PairCount pair;
      pair.first = a;
      pair.second = b;
      pair.weight = probabilities(a, b);
      for (double& w : pair.weight) w *= kVotes * meeting_share(a, b);
      table.push_back(pair);
    }
  return fit_paired(table, kCompetitors, options).value().strengths();
}

constexpr double kNu = 0.6;
std::array<double, 4> davidson(const std::vector<double>& s, std::uint32_t a, std::uint32_t b) {
  const double x = std::exp(s[a]), y = std::exp(s[b]), t = kNu * std::sqrt(x * y);
  return {x / (x + y + t), y / (x + y + t), t / (x + y + t), 0};
}

// A voter's taste adds a normal number to each strength; the truth averages over voters.
constexpr double kTaste = 0.8;
double average_win(double difference) {
  double sum = 0, weight = 0;
  for (int k = -400; k <= 400; ++k) {
    const double z = k / 50.0, w = std::exp(-0.5 * z * z);
    sum += w * logistic(difference + kTaste * std::sqrt(2.0) * z);
    weight += w;
  }
  return sum / weight;
}

// Tallies: cases covered, of how many. One a league and method, added up in order of leagues.
struct Tally {
  double covered = 0, cases = 0;
};
using Tallies = std::map<std::string, Tally>;

void count(Tallies& tallies, const std::string& method, bool covered) {
  tallies[method].covered += covered;
  ++tallies[method].cases;
}

void check_wald(Tallies& out, const std::string& method, std::span<const double> estimate,
                const Covariance& c, std::span<const double> truth) {
  for (std::size_t i = 0; i < truth.size(); ++i)
    count(out, method, std::abs(estimate[i] - truth[i]) <= kZ * c.se(i));
}

void check_bootstrap(Tallies& out, const std::string& method, const PairedFit& fit, const BootstrapFits& boot,
                     std::span<const double> truth) {
  for (std::size_t i = 0; i < truth.size(); ++i) {
    const Estimate e = boot.interval(fit, i, kLevel);
    count(out, method, e.low <= truth[i] && truth[i] <= e.high);
  }
}

void check_simultaneous(Tallies& out, const std::string& kind, const std::vector<double>& estimate,
                        const Covariance& c, const std::vector<double>& truth, std::uint64_t seed) {
  const Simultaneous s = simultaneous(estimate, c, {.level = kLevel, .draws = 2000, .seed = seed});
  bool strengths = true, differences = true, ranks = true;
  for (std::size_t i = 0; i < truth.size(); ++i) {
    strengths = strengths && std::abs(estimate[i] - truth[i]) <= s.z_strengths * c.se(i);
    std::uint32_t rank = 1;
    for (std::size_t j = 0; j < truth.size(); ++j) {
      rank += truth[j] > truth[i];
      if (i != j)
        differences = differences && std::abs((estimate[i] - estimate[j]) - (truth[i] - truth[j])) <=
                                         s.z_differences * c.se_difference(i, j);
    }
    ranks = ranks && s.ranks[i].best <= rank && rank <= s.ranks[i].worst;
    count(out, kind + " rank range, each (at least)",
          s.marginal_ranks[i].best <= rank && rank <= s.marginal_ranks[i].worst);
  }
  count(out, kind + " max-t, all strengths", strengths);
  count(out, kind + " max-t, all differences", differences);
  count(out, kind + " rank ranges, all (at least)", ranks);
}

void ties_league(Random& random, std::uint64_t seed, Tallies& out) {
  static const std::vector<double> s = true_strengths();
  static const std::vector<double> truth =
      limit_of({.ties = TieModel::kDavidson}, [](auto a, auto b) { return davidson(s, a, b); });
  static const std::vector<double> half_truth =
      limit_of({}, [](auto a, auto b) { return davidson(s, a, b); });
  BattleRows rows;
  for (std::size_t v = 0; v < kVotes; ++v) {
    draw_pair(random, rows);
    const auto p = davidson(s, rows.a[v], rows.b[v]);
    const double u = random.uniform();
    rows.outcome.push_back(u < p[0]          ? BattleOutcome::kA
                           : u < p[0] + p[1] ? BattleOutcome::kB
                                             : BattleOutcome::kTie);
  }
  const PairTable table = count_pairs(rows, kCompetitors);
  const PairedFit fit = fit_paired(table, kCompetitors, {.ties = TieModel::kDavidson}).value();
  const auto strengths = fit.strengths();
  const Covariance robust = sandwich_covariance(fit, table);
  check_wald(out, "ties   model", strengths, model_covariance(fit), truth);
  check_wald(out, "ties   sandwich", strengths, robust, truth);
  check_bootstrap(out, "ties   bootstrap", fit,
                  bootstrap_battles(fit, table, {.draws = 500, .seed = seed}).value(), truth);
  const std::vector<std::uint32_t> who = {0, 5, 11};
  const std::vector<ProfileInterval> profiles = profile_likelihood(fit, table, who, kLevel).value();
  for (const ProfileInterval& p : profiles)
    count(out, "ties   profile likelihood", p.low <= truth[p.competitor] && truth[p.competitor] <= p.high);
  check_simultaneous(out, "ties  ", strengths, robust, truth, seed);

  const PairedFit half = fit_paired(table, kCompetitors).value();
  const auto halves = half.strengths();
  check_wald(out, "half   model (trusts the model)", halves, model_covariance(half), half_truth);
  check_wald(out, "half   sandwich", halves, sandwich_covariance(half, table), half_truth);
  check_bootstrap(out, "half   bootstrap", half,
                  bootstrap_battles(half, table, {.draws = 500, .seed = seed}).value(), half_truth);
}

void voters_league(Random& random, std::uint64_t seed, Tallies& out) {
  static const std::vector<double> s = true_strengths();
  static const std::vector<double> truth = limit_of({}, [](auto a, auto b) {
    const double p = average_win(s[a] - s[b]);
    return std::array<double, 4>{p, 1 - p, 0, 0};
  });
  BattleRows rows;
  std::vector<std::uint32_t> voter;
  std::vector<double> taste(kCompetitors);
  for (std::size_t v = 0; v < kVotes; ++v) {
    if (v % kVotesOfVoter == 0)
      for (double& t : taste) t = kTaste * normal(random);
    draw_pair(random, rows);
    const std::uint32_t a = rows.a[v], b = rows.b[v];
    rows.outcome.push_back(random.uniform() < logistic(s[a] + taste[a] - s[b] - taste[b])
                               ? BattleOutcome::kA
                               : BattleOutcome::kB);
    voter.push_back(static_cast<std::uint32_t>(v / kVotesOfVoter));
  }
  const PairTable table = count_pairs(rows, kCompetitors);
  const PairedFit fit = fit_paired(table, kCompetitors).value();
  const auto strengths = fit.strengths();
  const Covariance clustered = clustered_covariance(fit, rows, voter).value();
  check_wald(out, "voters sandwich (trusts independence)", strengths, sandwich_covariance(fit, table), truth);
  check_wald(out, "voters clustered sandwich", strengths, clustered, truth);
  check_bootstrap(out, "voters clustered bootstrap", fit,
                  bootstrap_clusters(fit, rows, voter, {.draws = 500, .seed = seed}).value(), truth);
  check_simultaneous(out, "voters", strengths, clustered, truth, seed);
}

void style_league(Random& random, std::uint64_t, Tallies& out) {
  static const std::vector<double> truth = [] {
    auto s = true_strengths();
    double mean = 0;
    for (const double x : s) mean += x / kCompetitors;
    for (double& x : s) x -= mean;
    for (const double beta : {0.35, -0.2, 0.1}) s.push_back(beta);
    return s;
  }();
  BattleRows rows;
  std::vector<Covariate> covariates(2);
  covariates[0].name = "length";
  covariates[1].name = "lists";
  for (std::size_t v = 0; v < kVotes; ++v) {
    draw_pair(random, rows);
    const std::uint32_t a = rows.a[v], b = rows.b[v];
    // Style goes with strength, as it does in life.
    const double x = normal(random) + 0.3 * (truth[a] - truth[b]), y = 0.5 * x + normal(random);
    covariates[0].value.push_back(static_cast<float>(x));
    covariates[1].value.push_back(static_cast<float>(y));
    const double eta = truth[a] - truth[b] + 0.35 * static_cast<double>(covariates[0].value[v]) -
                       0.2 * static_cast<double>(covariates[1].value[v]) + 0.1;
    rows.outcome.push_back(random.uniform() < logistic(eta) ? BattleOutcome::kA : BattleOutcome::kB);
  }
  const auto regression =
      StyleRegression::prepare(rows, kCompetitors, covariates, {.position = true}).value();
  const StyleFit fit = regression.fit().value();
  const Covariance model = regression.model_covariance(fit), robust = regression.sandwich_covariance(fit);
  for (std::size_t k = 0; k < truth.size(); ++k) {
    const std::string part = k < kCompetitors ? "strengths" : "coefficients";
    count(out, "style  model, " + part, std::abs(fit.parameters[k] - truth[k]) <= kZ * model.se(k));
    count(out, "style  sandwich, " + part, std::abs(fit.parameters[k] - truth[k]) <= kZ * robust.se(k));
  }
}

}  // namespace

int main(int argc, char** argv) {
  const long leagues = argc > 1 ? std::atol(argv[1]) : 2000;
  const std::uint64_t seed = argc > 2 ? std::strtoull(argv[2], nullptr, 10) : 1;
  if (leagues < 1) {
    fmt::print(stderr, "usage: rank_coverage [LEAGUES] [SEED]\n");
    return 2;
  }
  std::vector<Tallies> each(static_cast<std::size_t>(leagues));
  parallel_for(each.size(), [&](std::size_t l) {
    Random random(seed, l);
    ties_league(random, seed + l, each[l]);
    voters_league(random, seed + l, each[l]);
    style_league(random, seed + l, each[l]);
  });
  // The spread over leagues says how sure the figures are: cases within a league go together.
  std::map<std::string, std::vector<double>> shares;
  for (const Tallies& t : each)
    for (const auto& [method, tally] : t) shares[method].push_back(tally.covered / tally.cases);
  bool good = true;
  fmt::print("coverage of 95 % intervals over {} leagues of {} votes, seed {}\n\n", leagues, kVotes, seed);
  fmt::print("{:<42} {:>9} {:>7}\n", "method", "coverage", "+-");
  for (const auto& [method, values] : shares) {
    double mean = 0, square = 0;
    for (const double v : values) mean += v / static_cast<double>(values.size());
    for (const double v : values) square += (v - mean) * (v - mean);
    const double error = std::sqrt(square) / static_cast<double>(values.size());
    const bool naive = method.find("trusts") != std::string::npos;
    const bool at_least = method.find("at least") != std::string::npos;
    const bool fine = mean >= 0.93 && (at_least || mean <= 0.97);
    good = good && (naive || fine);
    fmt::print("{:<42} {:>8.2f}% {:>6.2f}%{}\n", method, 100 * mean, 100 * error,
               naive  ? "  not meant to"
               : fine ? ""
                      : "  OUTSIDE");
  }
  return good ? 0 : 1;
}
