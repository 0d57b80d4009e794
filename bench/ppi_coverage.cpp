// Do prediction-powered intervals cover, and how much narrower are they? A simulation of
// src/agon/ranking/prediction_powered.h with predictors that are good, useless, and biased.
//
//   ppi_coverage [STUDIES] [SEED]
//
// Every battle has an inclination of its own on top of the models' strengths, of which a good predictor sees
// most. Votes are drawn from it, with ties. The truth is what Bradley-Terry fits to endlessly many votes.

#include <fmt/format.h>

#include <cmath>
#include <cstdlib>
#include <vector>

#include "agon/base/random.h"
#include "agon/ranking/paired_model.h"
#include "agon/ranking/prediction_powered.h"

namespace {

using agon::PredictedBattles;
using agon::Random;

constexpr std::uint32_t kModels = 8;
constexpr std::size_t kVoted = 2000, kUnvoted = 20000;
constexpr double kOwn = 2, kTies = 0.15;

double logistic(double x) { return 1 / (1 + std::exp(-x)); }
double normal(Random& random) {
  return std::sqrt(-2 * std::log1p(-random.uniform())) * std::cos(6.283185307179586 * random.uniform());
}
double strength(std::uint32_t i) { return 0.25 * (3.5 - static_cast<double>(i)); }

struct Predictor {
  const char* name;
  double sees = 0;           // of the battle's inclination
  double noise = 0;          // log odds
  double favours = 0;        // model 0, log odds
  bool coin = false;         // says anything
  bool other_pairs = false;  // unvoted battles have model 0 in most of them
};

PredictedBattles draw(const Predictor& by, std::size_t count, bool voted, Random& random) {
  PredictedBattles out;
  while (out.size() < count) {
    const auto a = static_cast<std::uint32_t>(random.below(kModels));
    const auto b = static_cast<std::uint32_t>((a + 1 + random.below(kModels - 1)) % kModels);
    if (!voted && by.other_pairs && a != 0 && b != 0 && random.uniform() < 0.7) continue;
    const double mean = strength(a) - strength(b), own = kOwn * normal(random);
    const double favour = a == 0 ? by.favours : b == 0 ? -by.favours : 0;
    out.a.push_back(a);
    out.b.push_back(b);
    out.predicted.push_back(by.coin ? random.uniform()
                                    : logistic(mean + by.sees * own + by.noise * normal(random) + favour));
    if (voted)
      out.share.push_back(random.uniform() < kTies ? 0.5 : random.uniform() < logistic(mean + own) ? 1 : 0);
  }
  return out;
}

// Bradley-Terry on the exact expected shares of all pairs, which are alike often in the votes.
std::vector<double> truth() {
  agon::PairTable table;
  for (std::uint32_t i = 0; i < kModels; ++i)
    for (std::uint32_t j = i + 1; j < kModels; ++j) {
      double share = 0, mass = 0;
      for (double z = -8; z <= 8; z += 0.01) {
        const double density = std::exp(-0.5 * z * z);
        mass += density;
        share += density * logistic(strength(i) - strength(j) + kOwn * z);
      }
      share = (1 - kTies) * share / mass + 0.5 * kTies;
      agon::PairCount pair;
      pair.first = i;
      pair.second = j;
      pair.battles = 1;
      pair.weight = {1000 * share, 1000 * (1 - share), 0, 0};
      table.push_back(pair);
    }
  return agon::fit_paired(table, kModels)->strengths();
}

}  // namespace

int main(int argc, char** argv) {
  const int studies = argc > 1 ? std::atoi(argv[1]) : 300;
  const std::uint64_t seed = argc > 2 ? std::strtoull(argv[2], nullptr, 10) : 1;
  const std::vector<double> target = truth();
  fmt::print("{} studies of {} models, {} human votes and {} unvoted battles; nominal coverage 0.950\n",
             studies, kModels, kVoted, kUnvoted);
  fmt::print("  {:<34} {:>9} {:>8} {:>8} {:>8} {:>9} {:>9}\n", "predictor", "form", "humans", "powered",
             "lambda", "width", "as votes");
  for (const Predictor& by :
       {Predictor{.name = "good", .sees = 1}, Predictor{.name = "fair", .sees = 0.7, .noise = 1},
        Predictor{.name = "useless", .coin = true},
        Predictor{.name = "fair, biased to one model", .sees = 0.7, .noise = 1, .favours = 1.5},
        Predictor{.name = "the same, unvoted on other pairs",
                  .sees = 0.7,
                  .noise = 1,
                  .favours = 1.5,
                  .other_pairs = true}}) {
    for (const bool match : {true, false}) {
      double covered = 0, covered_plain = 0, count = 0, lambda = 0, width = 0, votes = 0;
      for (int study = 0; study < studies; ++study) {
        Random random(seed, static_cast<std::uint64_t>(study));
        const PredictedBattles voted = draw(by, kVoted, true, random);
        const PredictedBattles unvoted = draw(by, kUnvoted, false, random);
        const auto fit = agon::fit_prediction_powered(voted, unvoted, kModels, {.match_pairs = match});
        if (!fit) {
          fmt::print(stderr, "{}\n", fit.error().to_string());
          return 1;
        }
        for (std::uint32_t i = 0; i < kModels; ++i) {
          const double se = fit->covariance.se(i), plain = fit->classical_covariance.se(i);
          covered += std::abs(fit->strengths[i] - target[i]) <= 1.959964 * se;
          covered_plain += std::abs(fit->classical[i] - target[i]) <= 1.959964 * plain;
          width += se / plain;
          ++count;
        }
        lambda += fit->lambda;
        votes += fit->effective_votes / static_cast<double>(kVoted);
      }
      fmt::print("  {:<34} {:>9} {:>8.3f} {:>8.3f} {:>8.2f} {:>8.2f}x {:>8.2f}x\n", by.name,
                 match ? "matched" : "plain", covered_plain / count, covered / count, lambda / studies,
                 width / count, votes / studies);
    }
  }
  return 0;
}
