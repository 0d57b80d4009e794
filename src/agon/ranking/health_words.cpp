// Findings in words: what a person who never studied statistics should take from the numbers.

#include <fmt/format.h>

#include <algorithm>
#include <cmath>

#include "agon/ranking/vote_health.h"
#include "agon/report/number.h"

namespace agon {
namespace {

std::string votes_text(double votes) {
  const std::string text = format_amount(votes);
  return text + (text == "1" ? " vote" : " votes");
}

// A share below which removed votes are "a handful", as in the paper's headline figures.
constexpr double kHandful = 0.001;
// |z| of the largest of some thousand moves that chance hardly reaches.
constexpr double kMovesTogether = 5;
constexpr std::size_t kNamed = 3;

std::string small_percent(double share) {
  return format_short(100 * share, share < 0.01 ? 1 : 2) + "\u00A0%";
}

std::string points(double log_odds) {
  const double x = std::abs(log_odds) * kEloScale;
  const std::string text = format_fixed(x, x < 9.95 ? 1 : 0);
  return text + (text == "1" ? " point" : " points");
}

class Words {
 public:
  Words(const VoteHealth& health) : health_(health) {}

  HealthFinding& add(HealthGrade grade, const char* topic, const char* code, std::string what,
                     std::string advice = {}) {
    out_.push_back({grade, topic, code, std::move(what), std::move(advice), {}, {}});
    return out_.back();
  }
  [[nodiscard]] std::string name(std::uint32_t i) const { return "'" + health_.names[i] + "'"; }
  [[nodiscard]] std::string list(const std::vector<std::uint32_t>& who) const {
    std::string text;
    for (std::size_t k = 0; k < who.size() && k < kNamed; ++k) text += (k > 0 ? ", " : "") + name(who[k]);
    if (who.size() > kNamed) text += fmt::format(" and {} more", who.size() - kNamed);
    return text;
  }
  void put_names(HealthFinding& finding, const std::vector<std::uint32_t>& who) const {
    for (const std::uint32_t i : who) finding.names.push_back(health_.names[i]);
  }
  [[nodiscard]] std::vector<HealthFinding> done() {
    std::stable_sort(out_.begin(), out_.end(),
                     [](const HealthFinding& a, const HealthFinding& b) { return a.grade < b.grade; });
    return std::move(out_);
  }

 private:
  const VoteHealth& health_;
  std::vector<HealthFinding> out_;
};

void describe_graph(const VoteHealth& h, const PairTable& pairs, const HealthOptions& options, Words& words) {
  const GraphHealth& g = h.graph;
  if (g.meeting.count > 1) {
    std::vector<std::uint32_t> smallest;
    for (std::uint32_t i = 0; i < h.names.size(); ++i)
      if (g.meeting.of[i] == g.meeting.count - 1) smallest.push_back(i);
    auto& f = words.add(
        HealthGrade::kCannotRank, "graph", "not-connected",
        fmt::format("The models fall into {} groups that never met, so no vote says how one group compares "
                    "with another; the smallest group is {}.",
                    g.meeting.count, words.list(smallest)),
        "Collect votes between the groups (`agon rank next` says which), or rank each group on its own.");
    f.numbers = {{"groups", g.meeting.count}};
    words.put_names(f, smallest);
  } else if (g.wins.count > 1) {
    std::string why = explain_separation(
        pairs, h.names.size(), options.drop_both_bad ? BothBadAs::kNothing : BothBadAs::kTie, h.names);
    auto& f = words.add(HealthGrade::kCannotRank, "graph", "separated",
                        fmt::format("Some ratings would be infinite: {}.", why),
                        "Collect votes on closer opponents, leave those models out, or rank with --firth, "
                        "which keeps every rating finite and says so.");
    f.numbers = {{"groups", g.wins.count}};
  }
  std::vector<std::uint32_t> lone;
  double fewest = INFINITY;
  for (const std::uint32_t i : g.one_opponent) {
    lone.push_back(i);
    fewest = std::min(fewest, g.votes[i]);
  }
  if (!lone.empty() && h.names.size() > 2) {
    auto& f =
        words.add(HealthGrade::kWarning, "graph", "one-opponent",
                  fmt::format("{} met a single opponent ({} at the fewest): the rating is only as good as "
                              "that one comparison.",
                              words.list(lone), votes_text(fewest)),
                  "Let it meet other models too.");
    f.numbers = {{"models", static_cast<double>(lone.size())}, {"fewest_votes", fewest}};
    words.put_names(f, lone);
  }
  for (const Bridge& b : g.bridges) {
    if (b.cut_off.size() < 2) continue;
    auto& f =
        words.add(HealthGrade::kSerious, "graph", "bridge",
                  fmt::format("The {} between {} and {} are all that compares {} with the other models.",
                              votes_text(b.votes), words.name(b.a), words.name(b.b), words.list(b.cut_off)),
                  "Collect votes across this gap on other pairs.");
    f.numbers = {{"votes", b.votes}, {"cut_off", static_cast<double>(b.cut_off.size())}};
    words.put_names(f, b.cut_off);
  }
  if (g.meeting.count == 1 && std::isfinite(g.normalised_connectivity)) {
    const double c = g.normalised_connectivity;
    const bool low = c < 0.2;
    auto& f = words.add(
        c < 0.05 ? HealthGrade::kSerious
        : low    ? HealthGrade::kWarning
                 : HealthGrade::kGood,
        "graph", "connectivity",
        low ? fmt::format("The models form two camps that seldom met: connectivity is {} where 1 is everyone "
                          "meeting everyone. On the smaller side: {}.",
                          format_fixed(c, 3), words.list(g.weakest_side))
            : fmt::format(
                  "Votes tie the models together well: connectivity is {} where 1 is everyone meeting "
                  "everyone.",
                  format_fixed(c, 2)),
        low ? "Ratings within a camp are better known than those across: ask for pairs across." : "");
    f.numbers = {{"normalised_connectivity", c}, {"algebraic_connectivity", g.algebraic_connectivity}};
    if (low) words.put_names(f, g.weakest_side);
  }
  std::vector<std::uint32_t> few;
  for (std::uint32_t i = 0; i < h.names.size(); ++i)
    if (g.votes[i] < options.few_votes) few.push_back(i);
  if (!few.empty()) {
    std::stable_sort(few.begin(), few.end(),
                     [&](std::uint32_t a, std::uint32_t b) { return g.votes[a] < g.votes[b]; });
    auto& f = words.add(HealthGrade::kWarning, "graph", "few-votes",
                        fmt::format("{} of {} models have fewer than {}: {}.", few.size(), h.names.size(),
                                    votes_text(options.few_votes), words.list(few)),
                        "Read their intervals before their places.");
    f.numbers = {{"models", static_cast<double>(few.size())}, {"fewest_votes", g.votes[few[0]]}};
    words.put_names(f, few);
  }
  if (!g.thin.empty()) {
    auto& f = words.add(
        HealthGrade::kNote, "graph", "thin-pairs",
        fmt::format("{} of the {} pairs that met have fewer than {}: their own win rates say little, though "
                    "ratings draw on all other paths between them.",
                    format_count(g.thin.size()), format_count(g.pairs_met), votes_text(options.thin_votes)));
    f.numbers = {{"thin", static_cast<double>(g.thin.size())},
                 {"met", static_cast<double>(g.pairs_met)},
                 {"possible", static_cast<double>(g.pairs_possible)}};
  }
}

void describe_leverage(const VoteHealth& h, const HealthOptions& options, Words& words) {
  std::vector<const Lean*> leaning;
  for (const Lean& l : h.leans)
    if (l.widening >= options.lean_widening && std::isfinite(l.widening)) leaning.push_back(&l);
  std::stable_sort(leaning.begin(), leaning.end(),
                   [](const Lean* a, const Lean* b) { return a->widening > b->widening; });
  if (!leaning.empty()) {
    const Lean& l = *leaning[0];
    auto& f = words.add(
        HealthGrade::kWarning, "leverage", "leans-on-a-link",
        fmt::format("{} leans on its {} against {}: without them its interval would be {} times as wide{}.",
                    words.name(l.model), votes_text(l.votes), words.name(l.other),
                    format_fixed(l.widening, 1),
                    leaning.size() > 1
                        ? fmt::format(" ({} more models lean on a single link like that)", leaning.size() - 1)
                        : ""),
        "Spread its battles over more opponents.");
    f.numbers = {{"models", static_cast<double>(leaning.size())},
                 {"widening", l.widening},
                 {"votes", l.votes},
                 {"share_of_information", l.share}};
    for (const Lean* lean : leaning) f.names.push_back(h.names[lean->model]);
  }
  std::vector<std::uint32_t> holding;
  const ModelRemoval* moves = nullptr;
  const ModelRemoval* ranks = nullptr;
  const ModelRemoval* depends = nullptr;
  const auto rank_change = [](const ModelRemoval& r) {
    return std::max(r.rank_before, r.rank_after) - std::min(r.rank_before, r.rank_after);
  };
  for (const ModelRemoval& r : h.removals) {
    if (!r.breaks.empty()) {
      holding.push_back(r.removed);
      continue;
    }
    if (moves == nullptr || std::abs(r.moved) > std::abs(moves->moved)) moves = &r;
    if (ranks == nullptr || rank_change(r) > rank_change(*ranks)) ranks = &r;
    if (depends == nullptr || std::abs(r.z) > std::abs(depends->z)) depends = &r;
  }
  if (!holding.empty()) {
    auto& f =
        words.add(HealthGrade::kWarning, "leverage", "holds-together",
                  fmt::format("Without {} no finite ratings of all the others exist: {} holds the board "
                              "together.",
                              words.list(holding), holding.size() > 1 ? "each of them" : "it"),
                  "Ask for pairs among the models that meet through it.");
    f.numbers = {{"models", static_cast<double>(holding.size())}};
    words.put_names(f, holding);
  }
  if (moves == nullptr) return;
  const bool together = std::abs(depends->z) >= kMovesTogether;
  std::string what =
      fmt::format("Leaving out one model at a time, the largest move of another rating is {} ({} without {})",
                  points(moves->moved), words.name(moves->moved_model), words.name(moves->removed));
  what += rank_change(*ranks) > 0
              ? fmt::format(", the largest of a rank from {} to {} ({} without {})", ranks->rank_before,
                            ranks->rank_after, words.name(ranks->rank_model), words.name(ranks->removed))
              : ", and no rank among the others changes";
  what += together ? fmt::format("; {} moves by {} standard errors without {}, which chance does not do.",
                                 words.name(depends->z_model), format_fixed(std::abs(depends->z), 1),
                                 words.name(depends->removed))
                   : ": no more than chance makes them move.";
  auto& f =
      words.add(together ? HealthGrade::kWarning : HealthGrade::kGood, "leverage", "without-a-model", what,
                together ? "Ratings depend on who else is on the board: compare boards only when they "
                           "hold the same models, and look at the pairwise win rates."
                         : "");
  f.numbers = {{"tried", static_cast<double>(h.removals.size())},
               {"moved_points", moves->moved * kEloScale},
               {"rank_before", ranks->rank_before},
               {"rank_after", ranks->rank_after},
               {"largest_z", depends->z}};
}

void describe_first(const VoteHealth& h, Words& words) {
  if (!h.first) return;
  const FirstPlace& p = *h.first;
  const bool apart = p.margin > 1.959963984540054 * p.margin_se;
  const std::string about = p.approximate ? " (weights taken as equal within a pair)" : "";
  if (p.votes == 0) {
    auto& f =
        words.add(HealthGrade::kGood, "first place", "first-place",
                  fmt::format("The first place of {} outlasts any half of the votes being taken away, as "
                              "far as a search by influence finds{}.",
                              words.name(p.leader), about));
    f.numbers = {{"margin_points", p.margin * kEloScale}, {"margin_se_points", p.margin_se * kEloScale}};
    f.names = {h.names[p.leader]};
    return;
  }
  const HealthGrade grade = p.share < kHandful || !apart ? HealthGrade::kWarning : HealthGrade::kNote;
  std::string which;
  for (std::size_t k = 0; k < p.dropped.size() && k < kNamed; ++k) {
    const DroppedVotes& d = p.dropped[k];
    const bool b = d.outcome == BattleOutcome::kB;
    which +=
        fmt::format("{}{} {} {}", k > 0 ? ", " : "", format_count(d.count),
                    d.outcome != BattleOutcome::kTie ? "for"
                    : d.count == 1                   ? "tie of"
                                                     : "ties of",
                    d.outcome == BattleOutcome::kTie
                        ? words.name(d.first) + " with " + words.name(d.second)
                        : words.name(b ? d.second : d.first) + " over " + words.name(b ? d.first : d.second));
  }
  if (p.dropped.size() > kNamed) which += ", ...";
  auto& f = words.add(
      grade, "first place", "first-place",
      fmt::format("Taking away {}, {} of all, puts {} first in place of {}: {}. A refit without them shows "
                  "it{}; another "
                  "choice may do with fewer{}.",
                  votes_text(static_cast<double>(p.votes)), small_percent(p.share), words.name(p.challenger),
                  words.name(p.leader), which, p.spare_none ? ", and none of them could be put back" : "",
                  about),
      !apart ? fmt::format(
                   "{} is ahead of {} by {} and the 95\u00A0% interval of that reaches below zero: call the "
                   "first place shared.",
                   words.name(p.leader), words.name(p.runner_up), points(p.margin))
      : grade == HealthGrade::kWarning ? "Few votes decide the first place: make sure that those voters can "
                                         "be trusted, and show how close "
                                         "it is."
                                       : "");
  f.numbers = {{"votes", static_cast<double>(p.votes)},
               {"share", p.share},
               {"predicted", p.predicted},
               {"margin_points", p.margin * kEloScale},
               {"margin_se_points", p.margin_se * kEloScale},
               {"approximate", p.approximate ? 1.0 : 0.0}};
  f.names = {h.names[p.leader], h.names[p.challenger]};
}

void describe_voters(const BattleSet& set, const VoteHealth& h, const HealthOptions& options, Words& words) {
  if (h.position_se > 0 && std::abs(h.position) > 3 * h.position_se) {
    const double share = 1 / (1 + std::exp(-h.position));
    auto& f = words.add(
        std::abs(share - 0.5) > 0.03 ? HealthGrade::kWarning : HealthGrade::kNote, "position", "position",
        fmt::format("Between equals the answer shown {} wins {} of the time: more than chance.",
                    h.position > 0 ? "first" : "second", format_percent(std::max(share, 1 - share))),
        "Rank with --position, and show both orders equally often.");
    f.numbers = {{"log_odds", h.position}, {"se", h.position_se}};
  }
  if (!h.voters) {
    words.add(
        HealthGrade::kNote, "voters", "voters-unknown",
        fmt::format("Voters could not be looked at: {}.", h.no_voters),
        h.no_voters == "the files name no voters"
            ? "Keep an anonymous code of each voter: without one, nobody can tell a hundred people from one."
            : "");
    return;
  }
  const VoterReport& r = *h.voters;
  if (r.found.empty()) {
    auto& f =
        words.add(HealthGrade::kGood, "voters", "voters",
                  fmt::format("None of {} voters votes at random, by position or for one model, as far as "
                              "their votes can show.",
                              format_count(r.tested)));
    f.numbers = {{"tested", static_cast<double>(r.tested)}, {"level", r.options.level}};
    return;
  }
  const CodeColumn* voter = set.rows.find(options.voter_column);
  std::string which;
  for (std::size_t k = 0; k < r.found.size() && k < kNamed; ++k) {
    const VoterFinding& v = r.found[k];
    const bool model = v.best.fault == VoterFault::kPushes || v.best.fault == VoterFault::kBuries;
    which += fmt::format("{}'{}' {}{}", k > 0 ? "; " : "", voter->names[v.voter], fault_words(v.best.fault),
                         model ? ", " + words.name(v.best.model) : "");
  }
  if (r.found.size() > kNamed) which += fmt::format("; and {} more", r.found.size() - kNamed);
  const double share =
      static_cast<double>(r.flagged_votes) / static_cast<double>(std::max<std::uint64_t>(r.votes, 1));
  std::string what = fmt::format(
      "{} of {} voters, with {} of the decided votes, do not vote like people who read the answers: {}.",
      format_count(r.found.size()), format_count(r.tested), small_percent(share), which);
  if (h.without_flagged)
    what += fmt::format(" Without their votes the largest change is {} ({}).",
                        points(h.without_flagged->second), words.name(h.without_flagged->first));
  auto& f =
      words.add(share > 0.05 ? HealthGrade::kSerious : HealthGrade::kWarning, "voters", "voters", what,
                fmt::format("Look at these voters' votes and rank without them as well; of those flagged, at "
                            "most {} are expected to be honest.",
                            format_percent(r.options.level, 0)));
  f.numbers = {{"tested", static_cast<double>(r.tested)},
               {"flagged", static_cast<double>(r.flagged)},
               {"alarms", static_cast<double>(r.alarms)},
               {"share_of_votes", share},
               {"level", r.options.level}};
  if (h.without_flagged) f.numbers.emplace_back("moved_points", h.without_flagged->second * kEloScale);
  for (const VoterFinding& v : r.found) f.names.push_back(voter->names[v.voter]);
}

void describe_duplicates(const VoteHealth& h, Words& words) {
  for (const Duplicates* d : {&h.duplicates, &h.duplicate_ids}) {
    if (!d->looked) continue;
    const double share =
        static_cast<double>(d->extra) / static_cast<double>(std::max<std::uint64_t>(h.battles, 1));
    std::string what = d->extra == 0
                           ? fmt::format("No vote repeats another by {}.", d->by)
                           : fmt::format(
                                 "{} votes ({}) repeat an earlier one by {}; {} of these {} sets contradict "
                                 "themselves.",
                                 format_count(d->extra), small_percent(share), d->by,
                                 format_count(d->disagree), format_count(d->groups));
    if (d->both_orders > 0)
      what +=
          fmt::format(" {} judged in both orders, which is no repetition.",
                      d->both_orders == 1 ? "One pair was" : format_count(d->both_orders) + " pairs were");
    auto& f = words.add(
        d->extra == 0  ? HealthGrade::kGood
        : share > 0.01 ? HealthGrade::kWarning
                       : HealthGrade::kNote,
        "duplicates", d->by == "id" ? "duplicate-ids" : "duplicates", what,
        d->extra == 0
            ? ""
            : "Remove them unless they are turns that were judged one by one; in either case rank with "
              "--intervals clustered --cluster prompt, since votes that go together make plain "
              "intervals too narrow.");
    f.numbers = {{"extra", static_cast<double>(d->extra)},
                 {"sets", static_cast<double>(d->groups)},
                 {"contradicting", static_cast<double>(d->disagree)},
                 {"both_orders", static_cast<double>(d->both_orders)}};
  }
}

void describe_variants(const VoteHealth& h, Words& words) {
  for (const BestOf& b : h.variants) {
    auto& f = words.add(
        HealthGrade::kWarning, "variants", "best-of",
        fmt::format(
            "'{}' is the best of {} variants: were all of them equally good, choosing the best alone would "
            "lift its rating by {} (its own 95\u00A0% interval is ±{}){}.",
            b.name, b.tried, points(b.inflation), points(1.959963984540054 * b.best_se),
            b.hidden ? ", taking the hidden ones to have had as many votes" : ""),
        "Publish all variants, or new votes on the chosen one alone.");
    f.numbers = {{"tried", b.tried},
                 {"inflation_points", b.inflation * kEloScale},
                 {"simulation_error_points", b.simulation_error * kEloScale}};
    f.names = {h.names[b.best]};
  }
}

}  // namespace

std::vector<HealthFinding> describe_health(const BattleSet& set, const VoteHealth& health,
                                           const HealthOptions& options) {
  Words words(health);
  const PairTable pairs = restrict_pairs(set.pairs, who_met(set.pairs, set.competitors.size())).pairs;
  describe_graph(health, pairs, options, words);
  describe_leverage(health, options, words);
  describe_first(health, words);
  describe_voters(set, health, options, words);
  describe_duplicates(health, words);
  describe_variants(health, words);
  return words.done();
}

}  // namespace agon
