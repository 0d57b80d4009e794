// Are these votes fit to rank from, and what should a reader of the board know? Everything that
// `agon rank check` says, as numbers and in plain words.
//
// Whatever needs ratings takes Bradley-Terry with ties as half wins. When no finite ratings exist, the
// largest group of competitors that has some stands in, and the finding that says so comes first.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "agon/base/error.h"
#include "agon/base/progress.h"
#include "agon/data/battles.h"
#include "agon/ranking/best_of.h"
#include "agon/ranking/duplicates.h"
#include "agon/ranking/graph.h"
#include "agon/ranking/paired_model.h"
#include "agon/ranking/removals.h"
#include "agon/ranking/voters.h"

namespace agon {

enum class HealthGrade : std::uint8_t {
  kCannotRank,  ///< nothing finite can be estimated
  kSerious,     ///< the board can mislead
  kWarning,     ///< say it beside the board
  kNote,        ///< good to know
  kGood,        ///< looked at, and well
};
/// "cannot rank", "serious", "warning", "note", "good".
[[nodiscard]] const char* grade_name(HealthGrade grade);

struct HealthFinding {
  HealthGrade grade = HealthGrade::kNote;
  std::string topic;   ///< graph, leverage, first place, voters, position, duplicates, variants
  std::string code;    ///< for programs: "not-connected", "bridge", ...
  std::string what;    ///< one sentence or two for everyone; names are as in the file
  std::string advice;  ///< what to do; may be empty
  std::vector<std::pair<std::string, double>> numbers;
  std::vector<std::string> names;  ///< competitors or voters it is about
};

struct HealthOptions {
  double thin_votes = 10;      ///< a pair that met with fewer is thin
  double few_votes = 100;      ///< a competitor with fewer is hardly known
  double lean_widening = 1.5;  ///< interval without a link over that with it, from which it is told of
  bool drop_both_bad = false;  ///< leave them out instead of reading them as ties
  VoterOptions voters;
  std::vector<VariantGroup> variants;
  std::string voter_column = "voter", prompt_column = "prompt";
  std::string id_column;  ///< of `rows.codes`; empty: ids are not looked at
  std::uint64_t seed = 1;
};

struct VoteHealth {
  std::vector<std::string> names;     ///< competitors with votes; all numbers below are theirs
  std::uint64_t battles = 0;          ///< rows of the files
  double votes = 0;                   ///< sum of weights
  bool rankable = false;              ///< finite ratings of all of them exist
  std::vector<std::uint32_t> ranked;  ///< who is in `fit`, ascending: all, or the largest group that can be
  GraphHealth graph;
  std::optional<PairedFit> fit;        ///< numbered by places in `ranked`
  std::vector<ModelRemoval> removals;  ///< of the models that were tried
  std::vector<Lean> leans;
  std::optional<FirstPlace> first;
  double position = 0, position_se = 0;  ///< log odds of being shown first
  std::optional<VoterReport> voters;
  std::string no_voters;  ///< why there is no report on voters
  /// The largest change of a strength when the flagged voters' votes are left out (log odds), and whose.
  std::optional<std::pair<std::uint32_t, double>> without_flagged;
  Duplicates duplicates, duplicate_ids;
  std::vector<BestOf> variants;
  std::vector<HealthFinding> findings;  ///< by grade, then by topic
};

/// Examines a set; voters and duplicates need its rows. Errors: fewer than two competitors with votes, a
/// variant or column that is not there.
[[nodiscard]] Result<VoteHealth> examine_votes(const BattleSet& set, const HealthOptions& options = {},
                                               const Progress& progress = {});

/// The findings in words, from the numbers; part of examine_votes.
[[nodiscard]] std::vector<HealthFinding> describe_health(const BattleSet& set, const VoteHealth& health,
                                                         const HealthOptions& options);

}  // namespace agon
