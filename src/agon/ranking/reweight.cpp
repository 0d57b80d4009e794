#include "agon/ranking/reweight.h"

#include <algorithm>
#include <cmath>
#include <unordered_map>

namespace agon {
namespace {

std::uint64_t key_of(std::uint32_t a, std::uint32_t b) {
  return (static_cast<std::uint64_t>(std::min(a, b)) << 32) | std::max(a, b);
}

}  // namespace

PairTable reweight_pairs(const PairTable& pairs, double min_votes) {
  std::unordered_map<std::uint64_t, double> votes;
  for (const PairCount& p : pairs) votes[key_of(p.first, p.second)] += p.total();
  double before = 0, after = 0;
  for (const PairCount& p : pairs) {
    before += p.total();
    after += p.total() / std::max(votes[key_of(p.first, p.second)], min_votes);
  }
  PairTable out(pairs);
  for (PairCount& p : out) {
    const double factor = before / after / std::max(votes[key_of(p.first, p.second)], min_votes);
    for (double& w : p.weight) w *= factor;
    for (double& w : p.weight_sq) w *= factor * factor;
    p.cross *= factor * factor;
  }
  return out;
}

std::vector<double> reweight_rows(const BattleRows& battles, double min_votes) {
  std::unordered_map<std::uint64_t, double> votes;
  const auto own = [&](std::size_t r) { return battles.weight.empty() ? 1 : battles.weight[r]; };
  double before = 0, after = 0;
  for (std::size_t r = 0; r < battles.size(); ++r) {
    votes[key_of(battles.a[r], battles.b[r])] += own(r);
    before += own(r);
  }
  std::vector<double> out(battles.size());
  for (std::size_t r = 0; r < battles.size(); ++r) {
    out[r] = own(r) / std::max(votes[key_of(battles.a[r], battles.b[r])], min_votes);
    after += out[r];
  }
  for (double& w : out) w *= before / after;
  return out;
}

}  // namespace agon
