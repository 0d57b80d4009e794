// How often honest voters are accused, and how soon cheats are found: a simulation of the sequential tests
// of src/agon/ranking/voters.h, whose consensus is estimated from the very votes that it judges.
//
//   voter_alarms [DATA_SETS] [SEED]
//
// Voters differ in taste (each likes or dislikes every model a little) and in care (each answers by a coin
// in some of the votes); the bounds are promised all the same as long as both stay within the tolerances.

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <cstdlib>
#include <vector>

#include "agon/base/random.h"
#include "agon/ranking/voters.h"

namespace {

using agon::Random;

constexpr std::uint32_t kModels = 20, kVoters = 200;

double normal(Random& random) {
  return std::sqrt(-2 * std::log1p(-random.uniform())) * std::cos(6.283185307179586 * random.uniform());
}

enum Cheat { kHonest, kCoin, kSide, kPusher, kCheats };
constexpr const char* kNames[] = {"honest", "votes by a coin", "sides with the first", "pushes a model"};

struct Votes {
  agon::BattleRows rows;
  agon::CodeColumn voters;
  std::vector<Cheat> cheat;
};

// `taste` and `slips` of honest voters; `cheats` voters of each kind come first.
Votes simulate(std::uint64_t seed, double taste, double slips, std::uint32_t cheats) {
  Random random(seed);
  Votes out;
  std::vector<double> strength(kModels);
  for (double& s : strength) s = 0.7 * normal(random);
  for (std::uint32_t v = 0; v < kVoters; ++v) {
    const Cheat cheat = v < cheats * (kCheats - 1) ? static_cast<Cheat>(1 + v / cheats) : kHonest;
    out.cheat.push_back(cheat);
    std::vector<double> own(strength);
    for (double& s : own) s += taste * normal(random);
    const double coin = 2 * slips * random.uniform();
    const auto favourite = static_cast<std::uint32_t>(random.below(kModels));
    // Few voters vote much: 30 to 900 votes, the logarithm uniform. Cheats are busy.
    const auto votes = cheat == kHonest ? static_cast<int>(30 * std::pow(30, random.uniform())) : 1000;
    for (int k = 0; k < votes; ++k) {
      const auto a = static_cast<std::uint32_t>(random.below(kModels));
      const auto b = static_cast<std::uint32_t>((a + 1 + random.below(kModels - 1)) % kModels);
      double p = 1 / (1 + std::exp(own[b] - own[a]));
      if (cheat == kCoin || random.uniform() < coin) p = 0.5;
      if (cheat == kSide) p = 0.95;
      if (cheat == kPusher && (a == favourite || b == favourite)) p = a == favourite ? 0.98 : 0.02;
      out.rows.a.push_back(a);
      out.rows.b.push_back(b);
      const double u = random.uniform();
      out.rows.outcome.push_back(random.uniform() < 0.2 ? agon::BattleOutcome::kTie
                                 : u < p                ? agon::BattleOutcome::kA
                                                        : agon::BattleOutcome::kB);
      out.voters.code.push_back(v);
    }
  }
  return out;
}

// Voters at the very edge of what counts as honest, under a known consensus: the least care, the most
// favour for a position, the most for a model, in turn. The share of data sets with an alarm.
double alarms_at_the_edge(int sets, std::uint64_t seed) {
  const agon::VoterOptions options;
  const double threshold = std::log(kVoters / options.level);
  int with_alarm = 0;
  for (int d = 0; d < sets; ++d) {
    Random random(seed, static_cast<std::uint64_t>(d));
    std::vector<double> strength(kModels);
    for (double& s : strength) s = 0.7 * normal(random);
    bool alarm = false;
    for (std::uint32_t v = 0; v < kVoters && !alarm; ++v) {
      agon::VoterTest test(kModels, options);
      for (int k = 0; k < 500 && !alarm; ++k) {
        const auto a = static_cast<std::uint32_t>(random.below(kModels));
        const auto b = static_cast<std::uint32_t>((a + 1 + random.below(kModels - 1)) % kModels);
        const double difference = strength[a] - strength[b], p = 1 / (1 + std::exp(-difference));
        double edge = p;
        if (v % 3 == 0) edge = 0.5 + options.least_skill * (p - 0.5);
        if (v % 3 == 1) edge = std::min(1.0, p + options.position_tolerance);
        if (v % 3 == 2 && (a == 0 || b == 0))
          edge = 1 / (1 + std::exp(-difference + (a == 0 ? -1 : 1) * options.push_tolerance));
        test.add(a, b, random.uniform() < edge, p);
        alarm = test.log_e() >= threshold;
      }
    }
    with_alarm += alarm;
  }
  return static_cast<double>(with_alarm) / sets;
}

}  // namespace

int main(int argc, char** argv) {
  const int sets = argc > 1 ? std::atoi(argv[1]) : 200;
  const std::uint64_t seed = argc > 2 ? std::strtoull(argv[2], nullptr, 10) : 1;
  struct Setting {
    const char* name;
    double taste, slips;
    std::uint32_t cheats;
  };
  for (const Setting& s :
       {Setting{"all honest, alike", 0, 0, 0},
        Setting{"all honest, tastes differ by 0.3 log odds, a tenth of votes by a coin", 0.3, 0.1, 0},
        Setting{"the same with 5 cheats of each kind", 0.3, 0.1, 5}}) {
    int with_alarm = 0, with_flag = 0;
    double false_share = 0;
    std::vector<double> delay[kCheats];
    int found[kCheats] = {}, flagged[kCheats] = {};
    for (int d = 0; d < sets; ++d) {
      const Votes votes =
          simulate(seed * 1000003 + static_cast<std::uint64_t>(d), s.taste, s.slips, s.cheats);
      const auto report = agon::test_voters(votes.rows, kModels, votes.voters);
      if (!report) {
        fmt::print(stderr, "{}\n", report.error().to_string());
        return 1;
      }
      bool alarm = false, flag = false;
      int all = 0, wrong = 0;
      for (const agon::VoterFinding& f : report->found) {
        const Cheat cheat = votes.cheat[f.voter];
        if (cheat == kHonest) {
          alarm |= f.alarm > 0;
          flag |= f.flagged;
        } else if (f.alarm > 0) {
          ++found[cheat];
          delay[cheat].push_back(static_cast<double>(f.alarm));
        }
        if (f.flagged) {
          ++all;
          ++flagged[cheat];
          wrong += cheat == kHonest;
        }
      }
      with_alarm += alarm;
      with_flag += flag;
      if (all > 0) false_share += static_cast<double>(wrong) / all;
    }
    fmt::print("{} ({} data sets, {} voters, level 0.05)\n", s.name, sets, kVoters);
    fmt::print("  data sets in which an honest voter set off an alarm: {:.3f} (bound 0.050)\n",
               static_cast<double>(with_alarm) / sets);
    fmt::print("  data sets in which e-BH flagged an honest voter:     {:.3f}\n",
               static_cast<double>(with_flag) / sets);
    fmt::print("  mean share of honest voters among the flagged:       {:.4f} (bound 0.050)\n",
               false_share / sets);
    for (int c = 1; c < kCheats && s.cheats > 0; ++c) {
      std::sort(delay[c].begin(), delay[c].end());
      const double total = static_cast<double>(sets) * s.cheats;
      const auto at = [&](double q) {
        return delay[c].empty()
                   ? std::nan("")
                   : delay[c][static_cast<std::size_t>(q * static_cast<double>(delay[c].size() - 1))];
      };
      fmt::print(
          "  {:<21} flagged {:.3f}, alarm {:.3f}, after {:.0f} decided votes in the median ({:.0f} to "
          "{:.0f})\n",
          kNames[c], flagged[c] / total, found[c] / total, at(0.5), at(0.1), at(0.9));
    }
  }
  fmt::print("all voters at the edge of what counts as honest, consensus known\n");
  fmt::print("  data sets in which one of them set off an alarm: {:.3f} (bound 0.050)\n",
             alarms_at_the_edge(sets, seed));
  return 0;
}
