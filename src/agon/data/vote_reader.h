// Votes from files: the competition's CSV, and JSON Lines flat or in the Arena's conversation form.
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
  std::vector<Error> skip_list;       ///< The first 100 reasons.
};

/// Streams one file in bounded memory.
class VoteReader {
 public:
  [[nodiscard]] static Result<std::unique_ptr<VoteReader>> open(const std::string& path,
                                                                const ReadOptions& options);
  virtual ~VoteReader() = default;
  /// Appends up to `max_rows` votes (fewer once `max_bytes` of text is passed); 0 at the end.
  [[nodiscard]] virtual Result<std::size_t> read(std::vector<Vote>& out, std::size_t max_rows,
                                                 std::size_t max_bytes = std::size_t{64} << 20) = 0;
  /// Names of the columns that are none of the known ones, in file order.
  [[nodiscard]] virtual const std::vector<std::string>& extra_names() const = 0;
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
[[nodiscard]] Result<VoteSet> read_votes(const std::vector<VoteFile>& files, const ReadOptions& options,
                                         const Progress& progress = {});

}  // namespace agon
