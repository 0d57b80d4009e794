#include "agon/ranking/board.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <numeric>

#include "agon/base/check.h"
#include "agon/base/parallel.h"
#include "agon/data/vote_fields.h"
#include "agon/ranking/bootstrap.h"
#include "agon/ranking/composite.h"
#include "agon/ranking/reweight.h"
#include "agon/ranking/style_regression.h"
#include "agon/stats/normal.h"

namespace agon {
namespace {

/// The chosen battles (all when `rows` is empty) with competitors numbered as in `kept`.
BattleRows chosen_battles(const BattleRows& from, std::span<const std::uint32_t> rows,
                          std::span<const std::uint32_t> kept, std::size_t competitors) {
  std::vector<std::uint32_t> number(competitors, 0);
  for (std::uint32_t i = 0; i < kept.size(); ++i) number[kept[i]] = i;
  const auto take = [&]<class T>(const std::vector<T>& column) {
    if (rows.empty() || column.empty()) return column;
    std::vector<T> out;
    out.reserve(rows.size());
    for (const std::uint32_t r : rows) out.push_back(column[r]);
    return out;
  };
  BattleRows out;
  out.a = take(from.a);
  out.b = take(from.b);
  out.outcome = take(from.outcome);
  out.share = take(from.share);
  out.weight = take(from.weight);
  out.time = take(from.time);
  for (const CodeColumn& c : from.codes) out.codes.push_back({c.name, c.names, take(c.code)});
  for (const PairedColumn& c : from.style) out.style.push_back({c.name, take(c.a), take(c.b)});
  for (std::uint32_t& c : out.a) c = number[c];
  for (std::uint32_t& c : out.b) c = number[c];
  return out;
}

/// The fit of a board with the competitors numbered as in `kept`; those that it lacks are at the mean.
PairedFit start_from(const Board& previous, std::span<const std::uint32_t> kept) {
  PairedFit start;
  start.options = previous.fit.options;
  start.layout = previous.fit.layout;
  const std::size_t old = start.layout.competitors, now = kept.size();
  start.layout.competitors = now;
  start.parameters.assign(now, 0);
  for (std::size_t i = 0, j = 0; i < now; ++i) {  // both ascend
    while (j < old && previous.kept[j] < kept[i]) ++j;
    if (j < old && previous.kept[j] == kept[i]) start.parameters[i] = previous.fit.parameters[j];
  }
  for (int* at : {&start.layout.tie, &start.layout.bad, &start.layout.position}) {
    if (*at < 0) continue;
    start.parameters.push_back(previous.fit.parameters[static_cast<std::size_t>(*at)]);
    *at = static_cast<int>(start.parameters.size()) - 1;
  }
  return start;
}

std::string parameter_words(const PairedFit& fit) {
  switch (fit.options.ties) {
    case TieModel::kHalf:
      return "no parameter: a tie is half a win each";
    case TieModel::kDavidson:
      return fmt::format("nu {:.6f}", fit.nu());
    case TieModel::kRaoKupper:
      return fmt::format("eta {:.6f}", fit.eta());
    case TieModel::kBadThreshold:
      return fmt::format("eta {:.6f}, threshold {:.4f}", fit.eta(), fit.bad_threshold());
  }
  return {};
}

std::vector<TieComparison> compare_ties(const PairTable& pairs, std::size_t n, const PairedFit& chosen) {
  std::vector<TieComparison> out;
  for (const TieModel model :
       {TieModel::kHalf, TieModel::kDavidson, TieModel::kRaoKupper, TieModel::kBadThreshold})
    out.emplace_back().model = model;
  parallel_for(out.size(), [&](std::size_t k) {
    TieComparison& one = out[k];
    PairedOptions options = chosen.options;
    options.ties = one.model;
    options.firth = options.firth && one.model == TieModel::kHalf;
    const Result<PairedFit> own =
        one.model == chosen.options.ties ? Result<PairedFit>(chosen) : fit_paired(pairs, n, options);
    if (!own) {
      one.error = own.error().message;
      return;
    }
    one.loss = own->loss();
    one.votes = own->votes;
    one.parameter = parameter_words(*own);
    one.converged = own->converged;
    one.iterations = own->iterations;
  });
  return out;
}

void graph_warnings(Board& board) {
  const GraphHealth& g = board.graph;
  if (!board.fit.penalty().empty())
    board.warnings.push_back(
        fmt::format("Ratings are shrunk by {}: without it some would be infinite or are asked not to be "
                    "trusted. Read them as "
                    "cautious guesses.",
                    board.fit.penalty()));
  if (!board.fit.converged)
    board.warnings.emplace_back("The fit did not reach its optimum: do not publish these ratings.");
  for (const std::uint32_t i : g.one_opponent)
    board.warnings.push_back(fmt::format(
        "{} met a single opponent: its rating stands and falls with that opponent's.", board.names[i]));
  std::size_t few = 0;
  for (const BoardRow& row : board.rows) few += row.votes < 50;
  if (few > 0)
    board.warnings.push_back(fmt::format(
        "{} of {} competitors have fewer than 50 votes: look at their intervals, not at their places.", few,
        board.rows.size()));
  if (g.normalised_connectivity < 0.05 && board.rows.size() > 2)
    board.warnings.push_back(fmt::format(
        "Two groups of competitors hardly met (connectivity {:.3f}): ratings across them are far less "
        "certain than within.",
        g.normalised_connectivity));
}

/// Why a number of the answers has no finite effect, in words, or "".
std::string nothing_to_control(const PairedColumn& column, const BattleRows& battles, bool drop_both_bad) {
  std::uint64_t with = 0, against = 0;  // votes for the answer with more of it, and for the other
  for (std::size_t i = 0; i < column.a.size(); ++i) {
    const bool more = column.a[i] > column.b[i], less = column.a[i] < column.b[i];
    const BattleOutcome outcome = battles.outcome[i];
    if ((!more && !less) || (drop_both_bad && outcome == BattleOutcome::kBothBad)) continue;
    if (outcome == BattleOutcome::kA || outcome == BattleOutcome::kB) {
      ++((outcome == BattleOutcome::kA) == more ? with : against);
    } else {
      ++with;
      ++against;
    }
  }
  if (with + against == 0) return "is the same in both answers of every vote";
  if (against == 0)
    return fmt::format("differs in {} votes, and the answer with more of it always won", with);
  if (with == 0)
    return fmt::format("differs in {} votes, and the answer with less of it always won", against);
  return {};
}

Result<Covariate> own_organisation(const BattleRows& battles, const std::vector<std::string>& names,
                                   const std::map<std::string, std::string>& organisations) {
  const CodeColumn* voter = battles.find("voter");
  if (voter == nullptr) return fail("no column of voters: an effect of their organisation cannot be told");
  std::map<std::string, std::uint32_t> number;
  for (const auto& [name, organisation] : organisations)
    number.emplace(organisation, static_cast<std::uint32_t>(number.size()));
  const auto group = [&](const std::vector<std::string>& of) {
    std::vector<std::uint32_t> out;
    for (const std::string& name : of) {
      const auto found = organisations.find(name);
      out.push_back(found == organisations.end() ? CodeColumn::kNone : number.at(found->second));
    }
    return out;
  };
  Covariate home = home_covariate(battles, *voter, group(names), group(voter->names));
  if (std::ranges::all_of(home.value, [](float x) { return x == 0; }))
    return fail("no vote is by a voter of the organisation of just one of its competitors");
  return home;
}

Status add_style(Board& board, const BattleRows& battles, std::span<const std::uint32_t> cluster,
                 const RatingScale& scale, const std::vector<std::string>& names) {
  const BoardOptions& o = board.options;
  std::vector<Covariate> covariates;
  for (const std::string& want : o.style) {
    const auto found = std::ranges::find(battles.style, want, &PairedColumn::name);
    if (found == battles.style.end())
      return fail(fmt::format("no column '{}' of the answers to control for", want));
    if (const std::string reason = nothing_to_control(*found, battles, o.model.drop_both_bad);
        !reason.empty()) {
      board.warnings.push_back(fmt::format("Style: '{}' {}, so it is not controlled for.", want, reason));
      continue;
    }
    StyleScale how;
    how.centre = o.style_centre;
    AGON_ASSIGN(Covariate covariate, style_covariate(*found, how));
    covariates.push_back(std::move(covariate));
  }
  if (!o.organisations.empty()) {
    AGON_ASSIGN(Covariate home, own_organisation(battles, names, o.organisations));
    covariates.push_back(std::move(home));
  }
  if (!board.fit.penalty().empty())
    board.warnings.push_back(fmt::format(
        "Style-controlled ratings are not shrunk: they have no {}. With few votes they go further.",
        board.fit.penalty()));
  StyleOptions style;
  style.drop_both_bad = o.model.drop_both_bad;
  style.position = o.model.position;
  AGON_ASSIGN(const StyleRegression regression,
              StyleRegression::prepare(battles, names.size(), covariates, style, {}, names));
  AGON_ASSIGN(const StyleFit fit, regression.fit());
  Covariance covariance = o.intervals == IntervalKind::kModel ? regression.model_covariance(fit)
                                                              : regression.sandwich_covariance(fit);
  if (!cluster.empty()) {
    AGON_ASSIGN(covariance, regression.clustered_covariance(fit, cluster));
  }
  const std::vector<Rating> ratings = rate(fit.strengths(), covariance, scale, board.z);
  for (BoardRow& row : board.rows) row.styled = ratings[row.competitor];
  for (std::size_t f = 0; f < fit.covariates.size(); ++f) {
    const double value = fit.coefficient(f), se = covariance.se(fit.competitors() + f);
    board.style.push_back({fit.covariates[f], value, value - board.z * se, value + board.z * se, se});
  }
  board.style_converged = fit.converged;
  board.style_left_out = fit.left_out;
  return {};
}

void fill_counts(Board& board, const PairTable& pairs, std::span<const std::uint32_t> place) {
  const std::size_t n = board.rows.size();
  // What is left out of the fit is left out of what the fit is compared with.
  const bool without_bad =
      board.options.model.drop_both_bad && board.options.model.ties != TieModel::kBadThreshold;
  board.met = board.won = Matrix(n, n);
  for (const PairCount& p : pairs) {
    BoardRow &a = board.rows[place[p.first]], &b = board.rows[place[p.second]];
    auto w = p.weight;
    if (without_bad) w[3] = 0;
    const double total = (w[0] + w[1]) + (w[2] + w[3]);
    a.wins += w[0];
    b.losses += w[0];
    b.wins += w[1];
    a.losses += w[1];
    for (BoardRow* row : {&a, &b}) {
      row->ties += w[2];
      row->both_bad += w[3];
      row->votes += total;
    }
    board.battles += p.battles;
    const std::size_t i = place[p.first], j = place[p.second];
    board.met(i, j) += total;
    board.met(j, i) += total;
    board.won(i, j) += w[0] + (w[2] + w[3]) / 2;
    board.won(j, i) += w[1] + (w[2] + w[3]) / 2;
  }
}

/// Rows of the board in order, their ranks, and both matrices of confidence. Returns each competitor's place.
std::vector<std::uint32_t> place_rows(Board& board, std::span<const double> strengths,
                                      const Covariance& covariance, std::span<const Rating> ratings) {
  const std::size_t n = strengths.size();
  SimultaneousOptions how;
  how.draws =
      4000;  // the quantile then covers 95 % to within 0.7, and a board of 129 takes a tenth of a second
  how.level = board.options.level;
  how.seed = board.options.seed;
  const Simultaneous joint = simultaneous(strengths, covariance, how);
  board.z_all = joint.z_strengths;
  std::vector<std::uint32_t> order(n), place(n);
  std::iota(order.begin(), order.end(), 0U);
  std::ranges::stable_sort(order, std::ranges::greater{}, [&](std::uint32_t i) { return strengths[i]; });
  for (std::uint32_t r = 0; r < n; ++r) {
    const std::uint32_t i = order[r];
    place[i] = r;
    const double wide = joint.z_strengths * ratings[i].se;
    BoardRow& row = board.rows.emplace_back();
    row.name = board.names[i];
    row.competitor = i;
    row.rating = ratings[i];
    row.low_all = ratings[i].rating - wide;
    row.high_all = ratings[i].rating + wide;
    row.ranks = joint.ranks[i];
    row.ranks_alone = joint.marginal_ranks[i];
  }
  board.better = board.better_corrected = Matrix(n, n);
  for (std::size_t r = 0; r < n; ++r)
    for (std::size_t c = 0; c < n; ++c) {
      board.better(r, c) = joint.better(order[r], order[c]);
      board.better_corrected(r, c) = joint.better_corrected(order[r], order[c]);
    }
  return place;
}

Result<RatingScale> rating_scale(const BoardOptions& options, const std::vector<std::string>& names) {
  RatingScale scale{.scale = options.scale, .base = options.base, .anchor = -1};
  if (options.anchor.empty()) return scale;
  const auto found = std::ranges::find(names, options.anchor);
  if (found == names.end())
    return fail(fmt::format("the anchor '{}' is not among the {} competitors", options.anchor, names.size()));
  scale.anchor = static_cast<int>(found - names.begin());
  return scale;
}

Result<std::span<const std::uint32_t>> cluster_codes(const BattleRows& battles, const std::string& name) {
  const CodeColumn* column = battles.find(name);
  if (column == nullptr) return fail(fmt::format("no column '{}' to cluster by in the files", name));
  return std::span<const std::uint32_t>(column->code);
}

}  // namespace

std::string_view interval_name(IntervalKind kind) {
  switch (kind) {
    case IntervalKind::kSandwich:
      return "sandwich";
    case IntervalKind::kModel:
      return "model";
    case IntervalKind::kClustered:
      return "clustered";
    case IntervalKind::kBootstrap:
      return "bootstrap";
    case IntervalKind::kClusteredBootstrap:
      return "clustered-bootstrap";
    case IntervalKind::kProfile:
      return "profile";
  }
  return {};
}

Result<Board> make_board(const BattleSet& set, const BoardOptions& options,
                         std::span<const std::uint32_t> rows, std::string name, const Progress& progress,
                         const Board* previous) {
  Board board;
  board.name = std::move(name);
  board.options = options;
  PairTable all = rows.empty() ? set.pairs : count_pairs(set.rows, set.competitors.size(), rows);
  if (options.balance_pairs) all = reweight_pairs(all);
  const Restricted table = restrict_pairs(all, who_met(all, set.competitors.size()));
  board.kept = table.kept;
  for (const std::uint32_t c : table.kept) board.names.push_back(set.competitors[c]);
  const std::size_t n = board.names.size();
  const bool by_cluster =
      options.intervals == IntervalKind::kClustered || options.intervals == IntervalKind::kClusteredBootstrap;
  const bool styled = !options.style.empty() || !options.organisations.empty();
  const bool by_rows = by_cluster || styled || options.elo_shuffles > 0;
  if (by_rows && set.rows.size() == 0)
    return fail(
        "clusters, style control and Elo need the battles one by one, and these files hold counts only");
  AGON_ASSIGN(const RatingScale scale, rating_scale(options, board.names));

  if (progress) progress("fit", 0, 3);
  PairedFit start;
  const bool warm = previous != nullptr && previous->fit.converged && !previous->kept.empty();
  if (warm) start = start_from(*previous, table.kept);
  AGON_ASSIGN(board.fit, fit_paired(table.pairs, n, options.model, warm ? &start : nullptr, board.names));
  if (progress) progress("intervals", 1, 3);
  board.z = critical_value(options.level);
  BattleRows battles;
  if (by_rows) battles = chosen_battles(set.rows, rows, table.kept, set.competitors.size());
  if (by_rows && options.balance_pairs) battles.weight = reweight_rows(battles);
  std::span<const std::uint32_t> cluster;
  if (by_cluster) {
    AGON_ASSIGN(cluster, cluster_codes(battles, options.cluster));
  }

  Covariance covariance =
      options.intervals == IntervalKind::kModel || options.intervals == IntervalKind::kProfile
          ? model_covariance(board.fit)
          : sandwich_covariance(board.fit, table.pairs);
  std::vector<Estimate> bootstrapped;
  if (options.intervals == IntervalKind::kClustered) {
    AGON_ASSIGN(covariance, clustered_covariance(board.fit, battles, cluster));
    board.clusters = covariance.clusters;
  }
  if (options.intervals == IntervalKind::kBootstrap ||
      options.intervals == IntervalKind::kClusteredBootstrap) {
    const BootstrapOptions how{.draws = options.draws, .level = options.level, .seed = options.seed};
    AGON_ASSIGN(const BootstrapFits draws, options.intervals == IntervalKind::kBootstrap
                                               ? bootstrap_battles(board.fit, table.pairs, how)
                                               : bootstrap_clusters(board.fit, battles, cluster, how));
    board.clusters = draws.clusters;
    board.failed_draws = draws.failed;
    covariance = draws.covariance();
    for (std::size_t i = 0; i < n; ++i) bootstrapped.push_back(draws.interval(board.fit, i, options.level));
  }
  const std::vector<double> strengths = board.fit.strengths();
  std::vector<Rating> ratings = rate(strengths, covariance, scale, board.z);
  if (!bootstrapped.empty() || options.intervals == IntervalKind::kProfile) {
    std::vector<ProfileInterval> profile;
    if (bootstrapped.empty()) {
      std::vector<std::uint32_t> each(n);
      std::iota(each.begin(), each.end(), 0U);
      AGON_ASSIGN(profile, profile_likelihood(board.fit, table.pairs, each, options.level));
    }
    for (std::size_t i = 0; i < n; ++i) {
      const double low = profile.empty() ? bootstrapped[i].low : profile[i].low;
      const double high = profile.empty() ? bootstrapped[i].high : profile[i].high;
      ratings[i].low = ratings[i].rating + options.scale * (low - strengths[i]);
      ratings[i].high = ratings[i].rating + options.scale * (high - strengths[i]);
    }
  }
  if (progress) progress("ranks", 2, 3);
  const std::vector<std::uint32_t> place = place_rows(board, strengths, covariance, ratings);
  fill_counts(board, table.pairs, place);
  board.graph = examine_graph(table.pairs, n);
  if (options.model.position) {
    const auto at = static_cast<std::size_t>(board.fit.layout.position);
    const double value = board.fit.position(), se = std::sqrt(std::max(0.0, covariance.matrix(at, at)));
    board.position = StyleEffect{"first position", value, value - board.z * se, value + board.z * se, se};
  }
  if (options.compare_ties) board.ties = compare_ties(table.pairs, n, board.fit);
  if (styled) AGON_TRY(add_style(board, battles, cluster, scale, board.names));
  if (options.elo_shuffles > 0) {
    EloOptions elo_options;
    elo_options.start = options.base;
    elo_options.drop_both_bad = options.model.drop_both_bad;
    AGON_ASSIGN(const auto spread, elo_shuffled(battles, n, options.elo_shuffles, options.seed, elo_options));
    for (BoardRow& row : board.rows) row.elo = spread[row.competitor];
  }
  graph_warnings(board);
  return board;
}

Result<Categories> category_boards(const BattleSet& set, const std::string& column,
                                   const BoardOptions& options, const Progress& progress) {
  struct Category {
    std::string name;
    std::vector<std::uint32_t> rows;
  };
  std::vector<Category> found;
  if (const CodeColumn* codes = set.rows.find(column); codes != nullptr) {
    for (const std::string& name : codes->names) found.push_back({name, {}});
    for (std::uint32_t i = 0; i < codes->code.size(); ++i)
      if (codes->code[i] != CodeColumn::kNone) found[codes->code[i]].rows.push_back(i);
  } else {
    for (const CodeColumn& tag : set.rows.codes) {
      if (!tag.name.starts_with(column + ".")) continue;
      Category& category = found.emplace_back();
      category.name = tag.name.substr(column.size() + 1);
      for (std::uint32_t i = 0; i < tag.code.size(); ++i)
        if (tag.code[i] != CodeColumn::kNone && vote_fields::flag_of(tag.names[tag.code[i]]) == 1)
          category.rows.push_back(i);
    }
  }
  if (found.empty()) return fail(fmt::format("no column '{}' (or tags '{}.*') in the files", column, column));
  std::ranges::stable_sort(found, std::ranges::greater{}, [](const Category& c) { return c.rows.size(); });
  BoardOptions plain = options;
  plain.compare_ties = false;
  Categories out;
  out.column = column;
  std::size_t done = 0;
  for (Category& category : found) {
    if (progress) progress("categories", ++done, found.size());
    if (category.rows.empty()) continue;
    auto board = make_board(set, plain, category.rows, category.name);
    if (!board) {
      out.left_out.push_back(
          fmt::format("{}: {} votes, {}", category.name, category.rows.size(), board.error().message));
      continue;
    }
    out.boards.push_back(std::move(*board));
    out.rows.push_back(std::move(category.rows));
  }
  if (out.boards.empty())
    return fail(fmt::format("no value of '{}' has votes enough for a board of its own", column));
  return out;
}

Result<Board> composite_of(const BattleSet& set, const Categories& categories,
                           const std::vector<std::pair<std::string, double>>& weights,
                           const BoardOptions& options) {
  Board board;
  board.name = "composite";
  board.options = options;
  std::vector<CompositePart> parts;
  board.fit.converged = true;
  for (const auto& [name, weight] : weights) {
    const auto found = std::ranges::find(categories.boards, name, &Board::name);
    if (found == categories.boards.end())
      return fail(fmt::format("no board of '{}' for the category '{}'", categories.column, name));
    const auto at = static_cast<std::size_t>(found - categories.boards.begin());
    parts.push_back({&found->fit, weight, categories.rows[at], found->kept});
    board.composite += fmt::format("{}{} {:g}", board.composite.empty() ? "" : ", ", name, weight);
    board.battles += found->battles;
    board.fit.converged &= found->fit.converged;
    board.fit.iterations = std::max(board.fit.iterations, found->fit.iterations);
    board.fit.gradient_norm = std::max(board.fit.gradient_norm, found->fit.gradient_norm);
  }
  std::span<const std::uint32_t> cluster;
  if (!options.cluster.empty()) {
    AGON_ASSIGN(cluster, cluster_codes(set.rows, options.cluster));
  }
  AGON_ASSIGN(const Composite composite, composite_board(set.rows, parts, set.competitors.size(), cluster));
  board.kept = composite.competitors;
  for (const std::uint32_t c : composite.competitors) board.names.push_back(set.competitors[c]);
  AGON_ASSIGN(const RatingScale scale, rating_scale(options, board.names));
  board.z = critical_value(options.level);
  board.clusters = composite.covariance.clusters;
  const std::vector<Rating> ratings = rate(composite.strengths, composite.covariance, scale, board.z);
  place_rows(board, composite.strengths, composite.covariance, ratings);
  const std::size_t n = board.rows.size();
  board.met = board.won = Matrix(n, n);
  return board;
}

Result<Drift> drift(const BattleSet& set, int windows, const BoardOptions& options) {
  AGON_CHECK(windows > 0);
  std::int64_t first = INT64_MAX, last = INT64_MIN;
  for (const std::int64_t t : set.rows.time)
    if (t != BattleRows::kNoTime) {
      first = std::min(first, t);
      last = std::max(last, t);
    }
  if (first >= last) return fail("no times to divide: the votes have no time column, or all have one time");
  const double width = (static_cast<double>(last) - static_cast<double>(first)) / windows;
  std::vector<std::vector<std::uint32_t>> rows(static_cast<std::size_t>(windows));
  for (std::uint32_t i = 0; i < set.rows.time.size(); ++i) {
    if (set.rows.time[i] == BattleRows::kNoTime) continue;
    const double at = (static_cast<double>(set.rows.time[i]) - static_cast<double>(first)) / width;
    rows[std::min(static_cast<std::size_t>(at), rows.size() - 1)].push_back(i);
  }
  BoardOptions plain = options;
  plain.compare_ties = false;
  Drift out;
  for (std::size_t w = 0; w < rows.size(); ++w) {
    if (rows[w].empty()) continue;
    const auto at = [&](double k) { return first + static_cast<std::int64_t>(k * width); };
    auto board = make_board(set, plain, rows[w], fmt::format("window {}", w + 1));
    if (board)
      out.points.push_back({at(static_cast<double>(w)), at(static_cast<double>(w) + 1), std::move(*board)});
    else
      out.left_out.push_back(
          fmt::format("window {}: {} votes, {}", w + 1, rows[w].size(), board.error().message));
  }
  if (out.points.empty())
    return fail("no window has votes enough for a board of its own; ask for fewer windows");
  return out;
}

}  // namespace agon
