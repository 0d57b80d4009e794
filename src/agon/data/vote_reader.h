// Votes from files: the competition's CSV, and JSON Lines flat or in the Arena's conversation form.
//
// CSV: a header with prompt, response_a and response_b in any order; id, model_a, model_b, weight and
// either winner_model_a, winner_model_b, winner_tie (0 or 1) or winner (a label) where there are any;
// all other columns are extras. A cell of text is a JSON list of turns (strings or nulls).
//
// JSON Lines, or one JSON array of the same objects: the same names, where prompt and responses are a
// string or a list; or conversation_a and conversation_b, lists of {role, content}. There an id may
// also be called question_id or conversation_id. Fields that are text, numbers or booleans are
// extras, those of an object under a dotted name ("category.code"); lists are left out.
//
// A cell that is empty, `null`, `[]` or `[null]` is one null turn: a Vote's turns are never empty.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "agon/base/error.h"
#include "agon/base/progress.h"
#include "agon/data/vote.h"

namespace agon {

struct ReadOptions {
  bool need_labels = true;  ///< An Error when the file has no winner columns at all.
  bool skip_bad = false;    ///< Count and list bad rows instead of stopping at the first.
  bool plain_text = false;  ///< Cells are one turn of plain text, not JSON lists.
  std::uint64_t max_row_bytes = std::uint64_t{32} << 20;  ///< A longer row is a bad row.
};

/// What was kept although it is odd, and what was skipped.
struct ReadCounts {
  std::uint64_t rows = 0;     ///< Votes delivered.
  std::uint64_t skipped = 0;  ///< Bad rows passed over (with skip_bad).
  std::uint64_t null_turns = 0;
  std::uint64_t lone_surrogates = 0;  ///< \ud800..\udfff without partner, replaced by U+FFFD.
  std::uint64_t invalid_utf8 = 0;     ///< Invalid byte sequences, replaced by U+FFFD.
  std::uint64_t turn_mismatches = 0;  ///< Votes whose prompt and answers differ in number of turns.
  std::vector<Error> skip_list;       ///< The first 100 reasons.
};

/// Streams one file in bounded memory.
class VoteReader {
 public:
  [[nodiscard]] static Result<std::unique_ptr<VoteReader>> open(const std::string& path,
                                                                const ReadOptions& options);
  /// The same from memory (tests, fuzzing); `name` stands for the path in errors.
  [[nodiscard]] static Result<std::unique_ptr<VoteReader>> open_from_memory(std::string bytes,
                                                                            const std::string& name,
                                                                            const ReadOptions& options);
  virtual ~VoteReader() = default;
  /// Appends up to `max_rows` votes (fewer once `max_bytes` of text is passed); 0 at the end.
  [[nodiscard]] virtual Result<std::size_t> read(std::vector<Vote>& out, std::size_t max_rows,
                                                 std::size_t max_bytes = std::size_t{64} << 20) = 0;
  /// Names of the columns that are none of the known ones, in file order. With JSON Lines the list
  /// grows while reading, and the extras of earlier votes are shorter than it.
  [[nodiscard]] virtual const std::vector<std::string>& extra_names() const = 0;
  /// With JSON Lines: whether any vote so far had a label.
  [[nodiscard]] virtual bool has_labels() const = 0;
  [[nodiscard]] virtual const ReadCounts& counts() const = 0;
  /// Share of the file read, 0 to 1, for progress.
  [[nodiscard]] virtual double fraction_read() const = 0;
};

/// A file with the weight its votes get: "votes.csv" or "votes.csv:0.15" (or ":auto" to let training choose).
struct VoteFile {
  std::string path;
  double weight = 1.0;
  bool auto_weight = false;
};
/// Splits "path:weight". A path that exists as written is never split.
[[nodiscard]] Result<VoteFile> parse_vote_file(const std::string& argument);

struct VoteSource {
  std::string path;
  double weight = 1.0;
  bool auto_weight = false;
  std::string sha256;
  std::uint64_t bytes = 0;
  ReadCounts counts;
};

/// Votes of several files in memory. extras are aligned to the union of the files' extra columns.
struct VoteSet {
  std::vector<Vote> votes;
  std::vector<std::string> extra_names;
  std::vector<VoteSource> sources;
};
/// Reads all files one after the other. A file without a single vote is an Error.
[[nodiscard]] Result<VoteSet> read_votes(const std::vector<VoteFile>& files, const ReadOptions& options,
                                         const Progress& progress = {});

}  // namespace agon
