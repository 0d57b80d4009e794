// What is in a file of votes, and what is wrong with it.
#pragma once

#include <array>
#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "agon/base/progress.h"
#include "agon/data/vote.h"
#include "agon/data/vote_reader.h"

namespace agon {

struct NamedCount {
  std::string name;
  std::uint64_t count = 0;
};

/// Order statistics (nearest rank) of one length over its texts.
struct LengthSummary {
  std::string name;  ///< "prompt, characters"
  std::uint64_t least = 0, p10 = 0, median = 0, p90 = 0, most = 0;
  double mean = 0;
};

/// One vote as a person finds it again.
struct RowRef {
  std::string file, id;
  std::uint64_t row = 0;
};

/// Something to know about the file. Rows that are kept as they are, are notes; what may spoil a figure
/// or a model is to be looked at.
struct Finding {
  enum class Level : std::uint8_t { kNote, kLook };
  Level level = Level::kNote;
  std::string code;  ///< "swapped-twins"; stable, for scripts
  std::uint64_t count = 0;
  std::string message;  ///< "3 rows repeat an earlier one with A and B exchanged"
  std::string advice;   ///< what to do about it, in plain words
  std::vector<RowRef> examples;
};

struct ClassShares {
  std::uint64_t a = 0, b = 0, tie = 0, unlabelled = 0, both_bad = 0;  ///< both_bad are ties too
  double prior_log_loss = 0;  ///< entropy of the shares: the score of always saying them; NaN unlabelled
  /// Of the decided votes whose answers differ in length, the share that the longer answer won; NaN
  /// when there are none.
  double longer_wins = 0;
  std::uint64_t longer_wins_of = 0;
};

/// The votes as a graph: models are points, every compared pair is a line.
struct ModelGraph {
  std::vector<NamedCount> votes_per_model;  ///< most first; a vote counts for both
  std::uint64_t pairs = 0;                  ///< different unordered pairs
  std::uint64_t rows_with_names = 0;
  std::vector<std::uint64_t> components;  ///< models in each connected part, largest first
};

struct PromptFacts {
  std::uint64_t different = 0;  ///< normalised, all turns
  std::uint64_t groups = 0;     ///< as prompt_groups() sees them
  std::uint64_t largest_group = 0;
  std::vector<NamedCount> most_repeated;  ///< groups of two or more rows, by an excerpt of their first prompt
};

/// What a second file shares with this one.
struct LeakFacts {
  std::string file;
  std::uint64_t rows = 0;
  std::uint64_t same_prompt = 0;      ///< rows whose normalised prompt is in this file
  std::uint64_t near_prompt = 0;      ///< rows whose prompt is nearly, but not quite, in this file
  std::uint64_t same_comparison = 0;  ///< rows whose prompt and both answers are in this file, up to swap
  std::uint64_t same_id = 0;
};

struct DataReport {
  std::vector<VoteSource> sources;
  std::uint64_t rows = 0;
  ClassShares classes;
  std::vector<LengthSummary> lengths;
  std::vector<NamedCount> turns;      ///< "1", "2" ... "10+"
  std::vector<NamedCount> languages;  ///< most first
  std::uint64_t rows_with_code = 0;
  ModelGraph models;
  PromptFacts prompts;
  std::optional<LeakFacts> leaks;
  std::vector<std::string> extra_columns;
  std::vector<Finding> findings;  ///< to look at first
};

struct CheckOptions {
  std::size_t examples = 5;       ///< rows named with each finding
  std::size_t most_repeated = 5;  ///< prompts named
};

/// Everything above, in about linear time. `against` is a second file (a test set) looked through for
/// what this one gives away; may be null.
[[nodiscard]] DataReport check_votes(const VoteSet& set, const VoteSet* against = nullptr,
                                     const CheckOptions& options = {}, const Progress& progress = {});

/// The report as a JSON document (two spaces of indent, a newline at the end).
[[nodiscard]] std::string to_json(const DataReport& report);

}  // namespace agon
