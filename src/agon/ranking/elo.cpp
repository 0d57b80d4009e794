#include "agon/ranking/elo.h"

#include <algorithm>
#include <cmath>
#include <numeric>

#include "agon/base/check.h"
#include "agon/base/parallel.h"
#include "agon/base/random.h"
#include "agon/stats/bootstrap.h"

namespace agon {
namespace {

// A battle as the update needs it.
struct Game {
  std::uint32_t a, b;
  float score, weight;  // of A: 1, 0.5, 0 or a share; weight times K
};

Result<std::vector<Game>> games_of(const BattleRows& battles, std::size_t competitors,
                                   const EloOptions& options, std::span<const std::uint32_t> rows) {
  const auto positive = [](double x) { return std::isfinite(x) && x > 0; };
  if (!positive(options.k) || !positive(options.scale) || !positive(options.base) || options.base == 1 ||
      !std::isfinite(options.start)) {
    Error error;
    error.message = "Elo's K, scale and base must be finite and positive, and the base not 1";
    error.kind = ErrorKind::kUsage;
    return std::unexpected(std::move(error));
  }
  const std::size_t n = rows.empty() ? battles.size() : rows.size();
  std::vector<Game> games;
  games.reserve(n);
  for (std::size_t k = 0; k < n; ++k) {
    const std::size_t r = rows.empty() ? k : rows[k];
    AGON_CHECK(battles.a[r] < competitors && battles.b[r] < competitors);
    if (battles.outcome[r] == BattleOutcome::kBothBad && options.drop_both_bad) continue;
    float score = 0.5F;
    if (battles.outcome[r] == BattleOutcome::kA) score = 1;
    if (battles.outcome[r] == BattleOutcome::kB) score = 0;
    if (battles.outcome[r] == BattleOutcome::kShare) score = battles.share[r];
    const double weight = options.k * (battles.weight.empty() ? 1 : battles.weight[r]);
    games.push_back({battles.a[r], battles.b[r], score, static_cast<float>(weight)});
  }
  return games;
}

std::vector<double> play(std::span<const Game> games, std::size_t competitors, const EloOptions& options) {
  std::vector<double> rating(competitors, options.start);
  const double rate = std::log(options.base) / options.scale;
  for (const Game& g : games) {
    const double expected = 1 / (1 + std::exp((rating[g.b] - rating[g.a]) * rate));
    const double move = static_cast<double>(g.weight) * (static_cast<double>(g.score) - expected);
    rating[g.a] += move;
    rating[g.b] -= move;
  }
  return rating;
}

}  // namespace

Result<std::vector<double>> elo(const BattleRows& battles, std::size_t competitors, const EloOptions& options,
                                std::span<const std::uint32_t> rows) {
  AGON_ASSIGN(const auto games, games_of(battles, competitors, options, rows));
  return play(games, competitors, options);
}

Result<std::vector<EloSpread>> elo_shuffled(const BattleRows& battles, std::size_t competitors, int shuffles,
                                            std::uint64_t seed, const EloOptions& options,
                                            std::span<const std::uint32_t> rows) {
  if (shuffles < 1) return fail("Elo's shuffles must be at least one");
  AGON_ASSIGN(const auto games, games_of(battles, competitors, options, rows));
  const std::vector<double> in_order = play(games, competitors, options);
  const auto count = static_cast<std::size_t>(shuffles);
  std::vector<std::vector<double>> shuffled(count);
  parallel_for(count, [&](std::size_t s) {
    std::vector<Game> order(games);
    Random random(seed, s);
    random.shuffle(std::span(order));
    shuffled[s] = play(order, competitors, options);
  });
  std::vector<EloSpread> out(competitors);
  for (std::size_t i = 0; i < competitors; ++i) {
    std::vector<double> values(count);
    for (std::size_t s = 0; s < count; ++s) values[s] = shuffled[s][i];
    std::sort(values.begin(), values.end());
    out[i].in_order = in_order[i];
    out[i].mean = std::accumulate(values.begin(), values.end(), 0.0) / static_cast<double>(count);
    out[i].low = sorted_quantile(values, 0.025);
    out[i].high = sorted_quantile(values, 0.975);
  }
  return out;
}

}  // namespace agon
