// What the CSV and the JSON reader of votes share: winners, weights, turns. Not for use elsewhere.
#pragma once

#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "agon/base/error.h"
#include "agon/base/file.h"
#include "agon/data/vote.h"
#include "agon/data/vote_reader.h"
#include "agon/text/json.h"

namespace agon::vote_fields {

struct Label {
  Outcome outcome = Outcome::kUnknown;
  bool both_bad = false;
};

/// The labels that label_of() knows, for messages.
inline constexpr std::string_view kKnownLabels = "model_a, model_b, tie, tie (bothbad) or both_bad";
/// A `winner` label, whatever its case and punctuation; kUnknown with an Error's message when it is none.
[[nodiscard]] Result<Label> label_of(std::string_view winner);

/// 0 or 1 from "0", "1.0", "true", "FALSE"; -1 for anything else.
[[nodiscard]] int flag_of(std::string_view cell);
/// Exactly one of the three flags is 1; else an Error that says which are.
[[nodiscard]] Result<Outcome> outcome_of(const int (&flags)[3]);

/// A finite number above 0, or an Error.
[[nodiscard]] Result<double> weight_of(std::string_view cell);

/// The text of the turns and the turns themselves counted; makes empty turns one null turn.
void finish_vote(Vote& vote, ReadCounts& counts);
/// Bytes of text in a vote.
[[nodiscard]] std::size_t text_bytes(const Vote& vote);

/// The reading loop with its skipping of bad rows; `Derived` reads one row.
class RowReader : public VoteReader {
 public:
  explicit RowReader(const ReadOptions& options) : options_(options) {}
  Result<std::size_t> read(std::vector<Vote>& out, std::size_t max_rows, std::size_t max_bytes) final;
  const std::vector<std::string>& extra_names() const final { return extra_names_; }
  const ReadCounts& counts() const final { return counts_; }
  double fraction_read() const final;

 protected:
  /// Fills `vote`; false at the end.
  virtual Result<bool> read_row(Vote& vote, TextRepairs& repairs) = 0;
  /// True when no later row can be read after the last Error.
  [[nodiscard]] virtual bool broken() const = 0;
  [[nodiscard]] virtual const ByteSource& source() const = 0;

  ReadOptions options_;
  ReadCounts counts_;
  std::vector<std::string> extra_names_;
};

[[nodiscard]] Result<std::unique_ptr<VoteReader>> open_csv_votes(std::unique_ptr<ByteSource> source,
                                                                 const std::string& name,
                                                                 const ReadOptions& options);
[[nodiscard]] Result<std::unique_ptr<VoteReader>> open_json_votes(std::unique_ptr<ByteSource> source,
                                                                  const std::string& name,
                                                                  const ReadOptions& options);

}  // namespace agon::vote_fields
