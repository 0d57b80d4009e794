// The leaderboard: ratings with their intervals and rank ranges, and all that a reader needs to judge them.
#pragma once

#include <array>
#include <cmath>
#include <cstdint>
#include <map>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "agon/base/error.h"
#include "agon/base/progress.h"
#include "agon/data/battles.h"
#include "agon/ranking/covariance.h"
#include "agon/ranking/elo.h"
#include "agon/ranking/graph.h"
#include "agon/ranking/paired_model.h"
#include "agon/ranking/simultaneous.h"

namespace agon {

enum class IntervalKind : std::uint8_t {
  kSandwich,
  kModel,
  kClustered,
  kBootstrap,
  kClusteredBootstrap,
  kProfile
};
/// "sandwich", "model", "clustered", "bootstrap", "clustered-bootstrap", "profile".
[[nodiscard]] std::string_view interval_name(IntervalKind kind);

struct BoardOptions {
  PairedOptions model;
  IntervalKind intervals = IntervalKind::kSandwich;
  std::string cluster;  ///< code column whose values go together (kClustered, kClusteredBootstrap)
  double level = 0.95;
  int draws = 1000;  ///< of the bootstrap
  std::uint64_t seed = 1;
  std::string anchor;  ///< a competitor at `base`; empty: the mean of all is at `base`
  double base = 1000, scale = kEloScale;
  bool balance_pairs = false;  ///< weigh votes by the inverse frequency of their pair
  /// Style control: covariates from these paired columns; empty: none.
  std::vector<std::string> style;
  bool style_centre = false;  ///< standardise as LMArena's notebook does, mean taken out
  /// Organisation of a competitor or of a voter (a judge model) by name: when there are any, the advantage of
  /// a competitor with a voter of its own organisation is estimated beside the style ("same organisation").
  std::map<std::string, std::string> organisations;
  bool compare_ties = true;  ///< fit the other tie models too, for their likelihoods
  int elo_shuffles = 0;      ///< above 0: online Elo too, and its spread over so many orders
};

/// One competitor. Matrices of the board have its place, from the top.
struct BoardRow {
  std::string name;
  std::uint32_t competitor = 0;      ///< number in the fit, in the graph and in Board::names
  Rating rating;                     ///< low and high at the board's level, of this competitor alone
  double low_all = 0, high_all = 0;  ///< the same for all competitors at once
  RankRange ranks, ranks_alone;      ///< for all at once, and for this one alone
  /// Sums of weights of the votes that were fitted: with drop_both_bad, both_bad is 0 and no part of votes.
  double votes = 0, wins = 0, losses = 0, ties = 0, both_bad = 0;
  /// Wins and half the ties over all votes; NaN without votes.
  [[nodiscard]] double win_rate() const {
    return votes > 0 ? (wins + (ties + both_bad) / 2) / votes : std::nan("");
  }
  std::optional<Rating> styled;  ///< with style control
  std::optional<EloSpread> elo;
};

struct TieComparison {
  TieModel model = TieModel::kHalf;
  double loss = 0;  ///< negative log-likelihood a vote, over the votes that it models
  double votes = 0;
  std::string parameter;  ///< "nu 0.548", in words
  std::string error;      ///< why it could not be fitted; then the rest is 0
  bool converged = false;
  int iterations = 0;
};

struct StyleEffect {
  std::string name;
  double value = 0, low = 0, high = 0, se = 0;  ///< log odds of winning for one standard deviation
};

struct Board {
  std::string name;  ///< "all", or a category
  BoardOptions options;
  std::vector<BoardRow> rows;       ///< by falling rating
  std::vector<std::string> names;   ///< of the competitors with votes, as the fit numbers them
  std::vector<std::uint32_t> kept;  ///< their numbers in the battle set
  std::string composite;            ///< "math 0.5, code 0.5" on a composite board, which has no fit
  PairedFit fit;
  std::uint64_t battles = 0;   ///< rows of the files
  std::uint64_t clusters = 0;  ///< behind clustered intervals
  double z = 1.96, z_all = 0;  ///< critical values of both kinds of intervals
  std::uint64_t failed_draws = 0;
  Matrix met;               ///< votes between the competitors of two rows
  Matrix won;               ///< of those, wins of the row's competitor plus half the ties
  Matrix better;            ///< confidence that the row's competitor is better than the column's, alone
  Matrix better_corrected;  ///< and corrected for all pairs
  GraphHealth graph;
  std::vector<TieComparison> ties;
  std::vector<StyleEffect> style;  ///< with style control; position and home effects among them
  std::optional<StyleEffect> position;
  bool style_converged = true;
  std::uint64_t style_left_out = 0;
  std::vector<std::string> warnings;  ///< in words for everyone
};

/// Fits a board from the set's pair counts or, where rows are chosen or needed (style, clusters, Elo), from
/// its rows. Competitors without a vote among them are left out. Errors are those of fit_paired, a cluster or
/// style column that is not there, an anchor that is not among the competitors.
///
/// `previous`, a board of the same set before it grew, is where the fit begins: a step or two then lead to
/// the optimum. It changes no figure beyond the last digits. `progress` is told "fit" before the fit and
/// "intervals" after it.
[[nodiscard]] Result<Board> make_board(const BattleSet& set, const BoardOptions& options,
                                       std::span<const std::uint32_t> rows = {}, std::string name = "all",
                                       const Progress& progress = {}, const Board* previous = nullptr);

/// Boards of every value of a code column, or of every tag "COLUMN.tag" that is set, largest first; those
/// with too few votes to rank are in `left_out` ("german: 12 votes, ...").
struct Categories {
  std::string column;
  std::vector<Board> boards;
  std::vector<std::vector<std::uint32_t>> rows;  ///< of each board, by the set's rows
  std::vector<std::string> left_out;
};
[[nodiscard]] Result<Categories> category_boards(const BattleSet& set, const std::string& column,
                                                 const BoardOptions& options, const Progress& progress = {});
/// One board as the weighted mean of categories' strengths, with a covariance that knows that they share
/// votes (and clusters, when the options name a column). Competitors that are on all of those boards.
/// `weights` names categories; a name that has no board is an Error.
[[nodiscard]] Result<Board> composite_of(const BattleSet& set, const Categories& categories,
                                         const std::vector<std::pair<std::string, double>>& weights,
                                         const BoardOptions& options);

/// Ratings by time: equal spans from the first vote to the last.
struct DriftPoint {
  std::int64_t begin = 0, end = 0;  ///< milliseconds since 1970
  Board board;
};
struct Drift {
  std::vector<DriftPoint> points;
  std::vector<std::string> left_out;  ///< spans with too few votes, and why
};
[[nodiscard]] Result<Drift> drift(const BattleSet& set, int windows, const BoardOptions& options);

}  // namespace agon
