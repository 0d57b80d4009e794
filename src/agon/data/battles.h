// Battles: who met whom and who won, without the texts. What leaderboards are made from.
//
// A battle is one vote on two competitors in their order of show (a first, b second). Leaderboards
// mostly need no more than the counts of every ordered pair (PairTable); clusters, categories, time
// windows and style control also need the battles one by one (BattleRows).
#pragma once

#include <array>
#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "agon/base/error.h"
#include "agon/base/progress.h"

namespace agon {

/// kShare: a judge's graded preference; the battle's `share` in [0, 1] is what A gets of the win.
enum class BattleOutcome : std::uint8_t { kA = 0, kB = 1, kTie = 2, kBothBad = 3, kShare = 4 };
inline constexpr std::size_t kBattleClasses = 4;  ///< kA to kBothBad; a share is split over kA and kB

/// All battles in which `first` was shown as A and `second` as B.
struct PairCount {
  std::uint32_t first = 0, second = 0;             ///< numbers of competitors
  std::uint64_t battles = 0;                       ///< rows of the file
  std::array<double, kBattleClasses> weight{};     ///< sum of weights by outcome
  std::array<double, kBattleClasses> weight_sq{};  ///< sum of squared weights, for sandwich variances
  /// Sum of weight^2 * share * (1 - share): a graded vote is one observation in two classes.
  double cross = 0;

  [[nodiscard]] double total() const { return (weight[0] + weight[1]) + (weight[2] + weight[3]); }
};

/// Ordered pairs that met, ascending by (first, second).
using PairTable = std::vector<PairCount>;
/// One entry for each unordered pair, first < second: the other order's wins change sides.
[[nodiscard]] PairTable fold_order(const PairTable& pairs);

/// A column of small numbers standing for texts; `names` in order of first appearance. A battle
/// without a value has kNone.
struct CodeColumn {
  static constexpr std::uint32_t kNone = 0xFFFFFFFF;
  std::string name;
  std::vector<std::string> names;
  std::vector<std::uint32_t> code;  ///< one a battle
};
/// A number of each answer ("tokens": of A, of B); NAN where the file has none.
struct PairedColumn {
  std::string name;
  std::vector<float> a, b;  ///< one a battle
};

/// Battles in order of the files. Vectors are empty when the files have no such column or it was not
/// asked for, else all of one length.
struct BattleRows {
  std::vector<std::uint32_t> a, b;
  std::vector<BattleOutcome> outcome;
  std::vector<float> share;         ///< only with graded votes: of kShare rows, else NAN
  std::vector<double> weight;       ///< empty: all 1
  std::vector<std::int64_t> time;   ///< milliseconds since 1970-01-01 UTC; kNoTime where missing
  std::vector<CodeColumn> codes;    ///< voter, prompt, language, category and what else was asked for
  std::vector<PairedColumn> style;  ///< numbers of the answers
  static constexpr std::int64_t kNoTime = INT64_MIN;

  [[nodiscard]] std::size_t size() const { return a.size(); }
  /// The column of this name, or null.
  [[nodiscard]] const CodeColumn* find(std::string_view name) const;
};
/// Counts of the chosen rows (all when `rows` is empty).
[[nodiscard]] PairTable count_pairs(const BattleRows& battles, std::size_t competitors,
                                    std::span<const std::uint32_t> rows = {});

struct BattleSource {
  std::string path, sha256, form;  ///< form: "CSV battles", "pair counts", "arena-hard games", ...
  std::uint64_t bytes = 0;         ///< of the file on disk
  std::uint64_t rows = 0;          ///< battles it gave
  std::uint64_t skipped = 0;       ///< bad rows passed over, and battles that nobody decided
  std::vector<Error> skip_list;    ///< the first 100
};

struct BattleSet {
  std::vector<std::string> competitors;  ///< in order of first appearance, whatever the threads
  PairTable pairs;
  BattleRows rows;  ///< empty unless ReadBattles::keep_rows
  std::vector<BattleSource> sources;
  [[nodiscard]] std::uint64_t battles() const;
};

struct ReadBattles {
  std::string first_column, second_column, winner_column;  ///< empty: known names are tried
  std::string weight_column, time_column, voter_column, prompt_column;
  /// Further columns to keep as codes, by name ("language", "category"); implies keep_rows. With
  /// "X" absent and columns "X.y" of 0/1 or true/false there (tags), every tag becomes a column.
  std::vector<std::string> code_columns;
  /// Numbers of the answers to keep: "NAME" reads NAME_a and NAME_b (or where _a stands inside the
  /// name, "sum_assistant_a_tokens" as "sum_assistant_tokens"). "all" takes all there are; "text" counts
  /// tokens, headers, list items, bold and code from the texts of vote files; "auto" takes all, or counts
  /// from texts where there are none. Implies keep_rows.
  std::vector<std::string> style_columns;
  bool keep_rows = false;
  bool skip_bad = false;     ///< count and list bad rows instead of stopping at the first
  double strong_weight = 3;  ///< of A>>B in arena-hard games
  std::uint64_t max_row_bytes = std::uint64_t{32} << 20;
};

/// Reads any form of votes: battles and votes as CSV, JSON Lines or a JSON array, pair counts, arena-hard
/// games, alpaca_eval annotations; plain, .gz and .zst. A label that is not known is an Error that lists
/// those that are and those seen. So are: a competitor against itself, an empty name, a weight that is
/// negative or not finite (a weight of 0 drops the row).
[[nodiscard]] Result<BattleSet> read_battles(const std::vector<std::string>& paths,
                                             const ReadBattles& options, const Progress& progress = {});
/// The same of one file in memory (tests, fuzzing); `name` stands for the path in errors.
[[nodiscard]] Result<BattleSet> read_battles_from_memory(std::string bytes, const std::string& name,
                                                         const ReadBattles& options);

}  // namespace agon
