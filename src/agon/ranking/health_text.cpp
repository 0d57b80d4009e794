#include "agon/ranking/health_text.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <nlohmann/json.hpp>

#include "agon/report/number.h"
#include "agon/report/table.h"
#include "agon/report/terminal.h"
#include "agon/report/visible.h"

namespace agon {
namespace {

using Json = nlohmann::ordered_json;

constexpr std::size_t kVotersShown = 20, kRemovalsShown = 5;
constexpr int kIndent = 13;  // the longest grade and two spaces

Paint paint_of(HealthGrade grade) {
  switch (grade) {
    case HealthGrade::kCannotRank:
    case HealthGrade::kSerious:
      return Paint::kBad;
    case HealthGrade::kWarning:
      return Paint::kWarning;
    case HealthGrade::kGood:
      return Paint::kGood;
    case HealthGrade::kNote:
      break;
  }
  return Paint::kPlain;
}

// Lines of at most `width` columns (0: one line), each but the first indented.
std::string wrapped(const std::string& text, int indent, int width) {
  std::string out;
  int column = indent;
  for (std::size_t begin = 0; begin < text.size();) {
    const std::size_t end = std::min(text.find(' ', begin), text.size());
    const std::string word = text.substr(begin, end - begin);
    const int wide = display_width(word);
    if (begin > 0 && width > 0 && column + 1 + wide > width && column > indent) {
      out += '\n' + std::string(static_cast<std::size_t>(indent), ' ');
      column = indent;
    } else if (begin > 0) {
      out += ' ';
      ++column;
    }
    out += word;
    column += wide;
    begin = end + 1;
  }
  return out;
}

std::string shown(const std::string& text) { return visible_text(text, {.keep_lines = false}); }

const std::string& voter_name(const BattleSet& set, const HealthOptions& asked, std::uint32_t code) {
  return set.rows.find(asked.voter_column)->names[code];
}

bool about_model(const VoterTest::Best& best) {
  return best.fault == VoterFault::kPushes || best.fault == VoterFault::kBuries;
}

std::string voters_table(const BattleSet& set, const VoteHealth& h, const HealthOptions& asked,
                         const Table::TerminalOptions& shape) {
  Table table({{"voter", Align::kLeft, 30},
               {"decided", Align::kRight},
               {"seems to", Align::kLeft, 60},
               {"alarm after", Align::kRight},
               {"log10 e", Align::kRight}});
  for (const VoterFinding& f : h.voters->found) {
    if (table.rows() == kVotersShown) break;
    std::string what(fault_words(f.best.fault));
    if (about_model(f.best)) what += ": " + h.names[f.best.model];
    table.add_row({voter_name(set, asked, f.voter), format_count(f.votes), what,
                   f.alarm > 0 ? format_count(f.alarm) : "", format_fixed(f.log_e / std::log(10.0), 1)});
  }
  std::string out = "\n" + table.terminal(shape);
  if (h.voters->found.size() > kVotersShown)
    out += fmt::format("  ... and {} more (in the JSON)\n", h.voters->found.size() - kVotersShown);
  return out;
}

std::string removals_table(const VoteHealth& h, const Table::TerminalOptions& shape) {
  std::vector<const ModelRemoval*> order;
  for (const ModelRemoval& r : h.removals)
    if (r.breaks.empty()) order.push_back(&r);
  if (order.size() < 2) return "";
  std::stable_sort(order.begin(), order.end(), [](const ModelRemoval* a, const ModelRemoval* b) {
    return std::abs(a->moved) > std::abs(b->moved);
  });
  Table table({{"without", Align::kLeft, 30},
               {"moves most", Align::kLeft, 30},
               {"by points", Align::kRight},
               {"rank changes most", Align::kLeft, 30},
               {"from", Align::kRight},
               {"to", Align::kRight}});
  for (std::size_t k = 0; k < order.size() && k < kRemovalsShown; ++k) {
    const ModelRemoval& r = *order[k];
    const bool ranks = r.rank_before != r.rank_after;
    table.add_row({h.names[r.removed], h.names[r.moved_model], format_signed(r.moved * kEloScale, 1),
                   ranks ? h.names[r.rank_model] : "none", ranks ? std::to_string(r.rank_before) : "",
                   ranks ? std::to_string(r.rank_after) : ""});
  }
  return "\n" + table.terminal(shape);
}

Json number(double x) { return std::isfinite(x) ? Json(x) : Json(); }

Json removals_json(const VoteHealth& h) {
  Json out = Json::array();
  for (const ModelRemoval& r : h.removals) {
    Json one{{"without", h.names[r.removed]}};
    if (!r.breaks.empty()) {
      one["no_finite_ratings"] = r.breaks;
    } else {
      one["moved"] = {{"model", h.names[r.moved_model]}, {"points", number(r.moved * kEloScale)}};
      one["rank"] = {{"model", h.names[r.rank_model]}, {"from", r.rank_before}, {"to", r.rank_after}};
      one["largest_z"] = {{"model", h.names[r.z_model]}, {"z", number(r.z)}};
    }
    out.push_back(std::move(one));
  }
  return out;
}

Json first_json(const VoteHealth& h) {
  const FirstPlace& p = *h.first;
  Json out{{"leader", h.names[p.leader]},
           {"runner_up", h.names[p.runner_up]},
           {"margin_points", number(p.margin * kEloScale)},
           {"margin_se_points", number(p.margin_se * kEloScale)},
           {"votes_predicted_by_influence", number(p.predicted)},
           {"votes_verified_by_refit", p.votes > 0 ? Json(p.votes) : Json()},
           {"approximate", p.approximate}};
  if (p.votes > 0) out["none_can_be_put_back"] = p.spare_none;
  if (p.votes == 0) return out;
  out["share"] = number(p.share);
  out["first_then"] = h.names[p.challenger];
  out["dropped"] = Json::array();
  for (const DroppedVotes& d : p.dropped)
    out["dropped"].push_back({{"model_a", h.names[d.first]},
                              {"model_b", h.names[d.second]},
                              {"winner", d.outcome == BattleOutcome::kA   ? "model_a"
                                         : d.outcome == BattleOutcome::kB ? "model_b"
                                                                          : "tie"},
                              {"votes", d.count}});
  return out;
}

Json voters_json(const BattleSet& set, const VoteHealth& h, const HealthOptions& asked) {
  const VoterReport& r = *h.voters;
  Json out{{"tested", r.tested},       {"decided_votes", r.votes},
           {"level", r.options.level}, {"flagged_by_e_bh", r.flagged},
           {"alarms", r.alarms},       {"decided_votes_of_found", r.flagged_votes},
           {"found", Json::array()}};
  for (const VoterFinding& f : r.found) {
    Json one{{"voter", voter_name(set, asked, f.voter)},
             {"decided_votes", f.votes},
             {"seems_to", fault_words(f.best.fault)},
             {"log_e", number(f.log_e)},
             {"flagged", f.flagged},
             {"alarm_after", f.alarm > 0 ? Json(f.alarm) : Json()}};
    if (about_model(f.best)) one["model"] = h.names[f.best.model];
    out["found"].push_back(std::move(one));
  }
  return out;
}

Json graph_json(const VoteHealth& h) {
  const GraphHealth& g = h.graph;
  Json out{{"groups_that_met", g.meeting.count},
           {"groups_by_wins", g.wins.count},
           {"pairs_met", g.pairs_met},
           {"pairs_possible", g.pairs_possible},
           {"algebraic_connectivity", number(g.algebraic_connectivity)},
           {"normalised_connectivity", number(g.normalised_connectivity)},
           {"bridges", Json::array()},
           {"thin_pairs", Json::array()},
           {"models", Json::array()}};
  for (const Bridge& b : g.bridges) {
    Json cut = Json::array();
    for (const std::uint32_t i : b.cut_off) cut.push_back(h.names[i]);
    out["bridges"].push_back(
        {{"a", h.names[b.a]}, {"b", h.names[b.b]}, {"votes", number(b.votes)}, {"cut_off", std::move(cut)}});
  }
  for (const ThinPair& t : g.thin)
    out["thin_pairs"].push_back({{"a", h.names[t.a]}, {"b", h.names[t.b]}, {"votes", number(t.votes)}});
  for (std::size_t i = 0; i < h.names.size(); ++i)
    out["models"].push_back({{"name", h.names[i]},
                             {"votes", number(g.votes[i])},
                             {"opponents", g.opponents[i]},
                             {"group_that_met", g.meeting.of[i]},
                             {"group_by_wins", g.wins.of[i]}});
  return out;
}

Json duplicates_json(const Duplicates& d) {
  return {{"by", d.by},
          {"sets", d.groups},
          {"extra_votes", d.extra},
          {"contradicting_sets", d.disagree},
          {"both_orders", d.both_orders}};
}

}  // namespace

std::string health_text(const BattleSet& set, const VoteHealth& h, const HealthOptions& asked,
                        const HealthTextOptions& options) {
  std::string out = fmt::format("{} votes on {} models\n", format_count(h.battles), h.names.size());
  const bool bad = !h.findings.empty() && h.findings[0].grade <= HealthGrade::kSerious;
  out += painted(!h.rankable ? "NOT fit to rank from: see the first finding"
                 : bad       ? "Finite ratings exist, but the board can mislead: see the first finding"
                             : "Fit to rank from",
                 !h.rankable || bad ? Paint::kBad : Paint::kGood, options.colour) +
         "\n";
  if (!h.rankable && h.ranked.size() >= 2)
    out += fmt::format("What follows on ratings is of the largest group that can be ranked, of {} models.\n",
                       h.ranked.size());
  out += '\n';
  for (const HealthFinding& f : h.findings) {
    const std::string grade = grade_name(f.grade);
    out += painted(grade, paint_of(f.grade), options.colour) +
           std::string(static_cast<std::size_t>(kIndent) - grade.size(), ' ') +
           wrapped(shown(f.what), kIndent, options.width) + '\n';
    if (!f.advice.empty())
      out += std::string(kIndent, ' ') +
             painted(wrapped("→ " + shown(f.advice), kIndent, options.width), Paint::kDim, options.colour) +
             '\n';
  }
  const Table::TerminalOptions shape{.width = options.width, .indent = 2, .colour = options.colour};
  if (h.voters && !h.voters->found.empty()) out += voters_table(set, h, asked, shape);
  out += removals_table(h, shape);
  if (h.removals.size() < h.ranked.size() && h.ranked.size() > 2)
    out +=
        fmt::format("  (the {} models with the most votes were left out one at a time)\n", h.removals.size());
  return out;
}

std::string health_json(const BattleSet& set, const VoteHealth& h, const HealthOptions& asked,
                        const std::vector<std::pair<std::string, std::string>>& facts) {
  Json out{{"fit_to_rank_from", h.rankable}, {"battles", h.battles}, {"votes", number(h.votes)}};
  out["findings"] = Json::array();
  for (const HealthFinding& f : h.findings) {
    Json one{{"grade", grade_name(f.grade)}, {"topic", f.topic},          {"code", f.code},  {"what", f.what},
             {"advice", f.advice},           {"numbers", Json::object()}, {"names", f.names}};
    for (const auto& [key, value] : f.numbers) one["numbers"][key] = number(value);
    out["findings"].push_back(std::move(one));
  }
  out["graph"] = graph_json(h);
  out["links"] = Json::array();
  for (const Lean& l : h.leans)
    out["links"].push_back({{"model", h.names[l.model]},
                            {"leans_on", h.names[l.other]},
                            {"votes", number(l.votes)},
                            {"widening_without", number(l.widening)},
                            {"share_of_information", number(l.share)}});
  out["without_a_model"] = removals_json(h);
  out["first_place"] = h.first ? first_json(h) : Json();
  out["position"] = {{"log_odds", number(h.position)}, {"se", number(h.position_se)}};
  out["voters"] = h.voters ? voters_json(set, h, asked) : Json();
  out["duplicates"] = h.duplicates.looked ? duplicates_json(h.duplicates) : Json();
  if (h.duplicate_ids.looked) out["duplicate_ids"] = duplicates_json(h.duplicate_ids);
  out["variants"] = Json::array();
  for (const BestOf& b : h.variants)
    out["variants"].push_back({{"name", b.name},
                               {"tried", b.tried},
                               {"best", h.names[b.best]},
                               {"inflation_points", number(b.inflation * kEloScale)},
                               {"simulation_error_points", number(b.simulation_error * kEloScale)},
                               {"hidden", b.hidden}});
  Json made = Json::array();
  for (const auto& [key, value] : facts) made.push_back({{"what", key}, {"value", value}});
  out["made_by"] = std::move(made);
  return out.dump(2, ' ', false, Json::error_handler_t::replace) + "\n";
}

}  // namespace agon
