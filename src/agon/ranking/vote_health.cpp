#include "agon/ranking/vote_health.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <numeric>

#include "agon/ranking/covariance.h"

namespace agon {
namespace {

// Refits and inversions cost n^3; this many operations take about ten seconds on two cores.
constexpr double kOperations = 4e10;

std::size_t affordable_removals(std::size_t n) {
  const double each = 8.0 * static_cast<double>(n) * static_cast<double>(n) * static_cast<double>(n);
  return std::min(n, static_cast<std::size_t>(std::max(3.0, kOperations / each)));
}

// Numbers of the fit become numbers of `names`.
void renumber(VoteHealth& health) {
  const auto& ranked = health.ranked;
  for (ModelRemoval& r : health.removals) {
    r.removed = ranked[r.removed];
    if (!r.breaks.empty()) continue;
    r.rank_model = ranked[r.rank_model];
    r.moved_model = ranked[r.moved_model];
    r.z_model = ranked[r.z_model];
  }
  for (Lean& l : health.leans) {
    l.model = ranked[l.model];
    l.other = ranked[l.other];
  }
  if (health.first) {
    FirstPlace& f = *health.first;
    f.leader = ranked[f.leader];
    f.runner_up = ranked[f.runner_up];
    f.challenger = ranked[f.challenger];
    for (DroppedVotes& d : f.dropped) {
      d.first = ranked[d.first];
      d.second = ranked[d.second];
    }
  }
  for (BestOf& b : health.variants) b.best = ranked[b.best];
}

// How far strengths move without the votes of flagged voters, when everyone stays comparable.
void drop_flagged(const BattleSet& set, const std::vector<std::uint32_t>& number, const CodeColumn& voters,
                  VoteHealth& health) {
  std::vector<bool> out_of_play(voters.names.size(), false);
  for (const VoterFinding& f : health.voters->found) out_of_play[f.voter] = true;
  std::vector<std::uint32_t> rows;
  for (std::uint32_t r = 0; r < set.rows.size(); ++r)
    if (voters.code[r] == CodeColumn::kNone || !out_of_play[voters.code[r]]) rows.push_back(r);
  if (rows.empty()) return;
  std::vector<bool> keep(set.competitors.size(), false);
  for (const std::uint32_t i : health.ranked)
    for (std::size_t c = 0; c < number.size(); ++c)
      if (number[c] == i) keep[c] = true;
  const Restricted rest = restrict_pairs(count_pairs(set.rows, set.competitors.size(), rows), keep);
  const auto refit = fit_paired(rest.pairs, rest.kept.size(), health.fit->options, &*health.fit);
  if (!refit) return;
  std::pair<std::uint32_t, double> most{health.ranked[0], 0};
  for (std::size_t i = 0; i < health.ranked.size(); ++i)
    if (const double change = refit->strength(i) - health.fit->strength(i);
        std::abs(change) > std::abs(most.second))
      most = {health.ranked[i], change};
  health.without_flagged = most;
}

}  // namespace

const char* grade_name(HealthGrade grade) {
  switch (grade) {
    case HealthGrade::kCannotRank:
      return "cannot rank";
    case HealthGrade::kSerious:
      return "serious";
    case HealthGrade::kWarning:
      return "warning";
    case HealthGrade::kNote:
      return "note";
    case HealthGrade::kGood:
      return "good";
  }
  return "";
}

Result<VoteHealth> examine_votes(const BattleSet& set, const HealthOptions& options,
                                 const Progress& progress) {
  const auto tell = [&](const char* stage) {
    if (progress) progress(stage, 0, 0);
  };
  VoteHealth health;
  health.battles = set.battles();
  const Restricted met = restrict_pairs(set.pairs, who_met(set.pairs, set.competitors.size()));
  std::vector<std::uint32_t> number(set.competitors.size(), CodeColumn::kNone);
  for (std::uint32_t k = 0; k < met.kept.size(); ++k) {
    health.names.push_back(set.competitors[met.kept[k]]);
    number[met.kept[k]] = k;
  }
  const std::size_t n = health.names.size();
  if (n < 2) return fail("a ranking needs at least two competitors with votes");
  for (const PairCount& p : met.pairs) health.votes += p.total();

  tell("graph");
  const BothBadAs both_bad = options.drop_both_bad ? BothBadAs::kNothing : BothBadAs::kTie;
  health.graph = examine_graph(met.pairs, n, {.thin_votes = options.thin_votes, .both_bad = both_bad});
  health.rankable = health.graph.meeting.count == 1 && health.graph.wins.count == 1;
  std::vector<bool> keep(n, true);
  if (!health.rankable)
    for (std::size_t i = 0; i < n; ++i) keep[i] = health.graph.wins.of[i] == 0;
  for (std::uint32_t i = 0; i < n; ++i)
    if (keep[i]) health.ranked.push_back(i);

  PairedOptions model;
  model.drop_both_bad = options.drop_both_bad;
  const std::size_t m = health.ranked.size();
  if (m >= 2) {
    const PairTable pairs = restrict_pairs(met.pairs, keep).pairs;
    std::vector<std::string> ranked_names;
    for (const std::uint32_t i : health.ranked) ranked_names.push_back(health.names[i]);
    AGON_ASSIGN(health.fit, fit_paired(pairs, m, model, nullptr, ranked_names));
    tell("links");
    health.leans = lean_on_links(*health.fit, pairs);
    tell("refits without a model");
    health.removals = remove_models(*health.fit, pairs, affordable_removals(m));
    tell("first place");
    health.first = drop_votes_from_first(*health.fit, pairs, m > 300 ? 2 : 5);
    PairedOptions with_position = model;
    with_position.position = true;
    if (const auto shown = fit_paired(pairs, m, with_position, &*health.fit)) {
      const auto place = static_cast<std::size_t>(shown->layout.position);
      health.position = shown->position();
      health.position_se = std::sqrt(sandwich_covariance(*shown, pairs).matrix(place, place));
    }
    const Covariance covariance = sandwich_covariance(*health.fit, pairs);
    for (const VariantGroup& group : options.variants) {
      AGON_ASSIGN(BestOf best,
                  best_of(group, ranked_names, health.fit->strengths(), covariance, options.seed));
      health.variants.push_back(std::move(best));
    }
    renumber(health);
  }

  tell("voters");
  const CodeColumn* voter = set.rows.find(options.voter_column);
  const CodeColumn* prompt = set.rows.find(options.prompt_column);
  if (voter == nullptr) {
    health.no_voters = "the files name no voters";
  } else {
    auto report = test_voters(set.rows, set.competitors.size(), *voter, options.voters);
    if (report) {
      for (VoterFinding& f : report->found)
        if (f.best.fault == VoterFault::kPushes || f.best.fault == VoterFault::kBuries)
          f.best.model = number[f.best.model];
      health.voters = std::move(*report);
      if (!health.voters->found.empty() && health.fit) drop_flagged(set, number, *voter, health);
    } else {
      health.no_voters = report.error().message;
    }
  }
  tell("duplicates");
  health.duplicates = find_duplicates(set.rows, voter, prompt);
  if (!options.id_column.empty()) {
    const CodeColumn* id = set.rows.find(options.id_column);
    if (id == nullptr) return fail(fmt::format("the files have no column '{}'", options.id_column));
    health.duplicate_ids = find_duplicate_ids(set.rows, *id);
  }
  health.findings = describe_health(set, health, options);
  return health;
}

}  // namespace agon
