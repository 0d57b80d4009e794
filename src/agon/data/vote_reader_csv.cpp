// The competition's CSV, as votes.
#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <array>
#include <optional>

#include "agon/data/vote_fields.h"
#include "agon/text/csv.h"
#include "agon/text/utf8.h"

namespace agon::vote_fields {
namespace {

enum Column : std::size_t {
  kId,
  kModelA,
  kModelB,
  kPrompt,
  kResponseA,
  kResponseB,
  kWinnerA,
  kWinnerB,
  kWinnerTie,
  kWinner,
  kWeight,
  kColumns
};
constexpr std::array<std::string_view, kColumns> kNames = {
    "id",         "model_a",    "model_b",        "prompt",
    "response_a", "response_b", "winner_model_a", "winner_model_b",
    "winner_tie", "winner",     "weight"};
constexpr std::size_t kNone = static_cast<std::size_t>(-1);

/// Levenshtein distance, for hints; both names are short.
std::size_t edit_distance(std::string_view a, std::string_view b) {
  std::vector<std::size_t> row(b.size() + 1);
  for (std::size_t j = 0; j <= b.size(); ++j) row[j] = j;
  for (std::size_t i = 1; i <= a.size(); ++i) {
    std::size_t corner = row[0];
    row[0] = i;
    for (std::size_t j = 1; j <= b.size(); ++j) {
      const std::size_t above = row[j];
      row[j] = std::min({above + 1, row[j - 1] + 1, corner + (a[i - 1] != b[j - 1])});
      corner = above;
    }
  }
  return row[b.size()];
}

/// Lower case, without spaces, dashes and underscores: "Response A" is nearly response_a.
std::string folded(std::string_view name) {
  std::string out;
  for (const char c : name) {
    if (c == ' ' || c == '_' || c == '-') continue;
    out += c >= 'A' && c <= 'Z' ? static_cast<char>(c - 'A' + 'a') : c;
  }
  return out;
}

/// The column of the header that is most likely meant by `wanted`, or empty.
std::string near_miss(std::string_view wanted, const std::vector<std::string>& header) {
  const std::string goal = folded(wanted);
  std::size_t best = goal.size() > 3 ? 3 : 1;  // distances below this are near
  std::string found;
  for (const std::string& name : header) {
    if (std::ranges::find(kNames, name) != kNames.end() || name.size() > 64) continue;
    const std::size_t distance = edit_distance(goal, folded(name));
    if (distance >= best) continue;
    best = distance;
    found = name;
  }
  return found;
}

class CsvVotes final : public RowReader {
 public:
  CsvVotes(CsvReader csv, const ReadOptions& options) : RowReader(options), csv_(std::move(csv)) {}

  Status read_header();
  bool has_labels() const override { return at_[kWinnerA] != kNone || at_[kWinner] != kNone; }

 protected:
  Result<bool> read_row(Vote& vote, TextRepairs& repairs) override;
  bool broken() const override { return csv_.broken(); }
  const ByteSource& source() const override { return csv_.source(); }

 private:
  Status read_turns(Column column, Turns& turns, TextRepairs& repairs);
  Status read_label(Vote& vote);
  std::string text(std::size_t index, TextRepairs& repairs) const {
    std::string out;
    repairs.invalid_utf8 += append_repaired_utf8(out, fields_[index]);
    return out;
  }
  /// Completes an Error of a cell with its place.
  std::unexpected<Error> in_cell(Error error, std::string_view column) const {
    Error placed = csv_.error_here(std::move(error.message), std::string(column));
    placed.expected = std::move(error.expected);
    return std::unexpected(std::move(placed));
  }

  CsvReader csv_;
  std::array<std::size_t, kColumns> at_{};
  std::vector<std::size_t> extras_;
  std::vector<std::string_view> fields_;
  JsonTextList list_;
};

Status CsvVotes::read_header() {
  at_.fill(kNone);
  const auto& header = csv_.header();
  for (std::size_t i = 0; i < header.size(); ++i) {
    const auto known = std::ranges::find(kNames, header[i]);
    if (known != kNames.end()) at_[static_cast<std::size_t>(known - kNames.begin())] = i;
  }
  std::vector<std::string_view> missing;
  const auto need = [&](Column column) {
    if (at_[column] == kNone) missing.push_back(kNames[column]);
  };
  for (const Column column : {kPrompt, kResponseA, kResponseB}) need(column);
  const int winners = (at_[kWinnerA] != kNone) + (at_[kWinnerB] != kNone) + (at_[kWinnerTie] != kNone);
  if (winners != 0 || (options_.need_labels && at_[kWinner] == kNone)) {
    for (const Column column : {kWinnerA, kWinnerB, kWinnerTie}) need(column);
  }
  // An id that is only misspelt must not silently become a row number.
  if (at_[kId] == kNone && !near_miss("id", header).empty()) missing.insert(missing.begin(), "id");
  if (!missing.empty()) {
    auto shown = header;
    for (std::string& name : shown) {
      if (name.size() > 40) name = name.substr(0, 40) + "...";
    }
    const std::size_t more = shown.size() > 20 ? shown.size() - 20 : 0;
    shown.resize(shown.size() - more);
    std::string message = fmt::format("missing column{} {}; found {}", missing.size() == 1 ? "" : "s",
                                      fmt::join(missing, ", "), fmt::join(shown, ", "));
    if (more != 0) message += fmt::format(" and {} more", more);
    for (const std::string_view name : missing) {
      const std::string near = near_miss(name, header);
      if (!near.empty()) message += fmt::format("; is '{}' meant to be {}?", near, name);
    }
    if (winners == 0 && options_.need_labels && missing.size() == 3 && missing[0] == "winner_model_a")
      message += "; these rows have no labels";
    repair_utf8(message);
    return std::unexpected(csv_.error_here(std::move(message)));
  }
  // With the three columns, a column named winner says nothing new and is an extra.
  if (winners != 0) at_[kWinner] = kNone;
  for (std::size_t i = 0; i < header.size(); ++i) {
    if (std::ranges::find(at_, i) != at_.end()) continue;
    extras_.push_back(i);
    extra_names_.push_back(header[i]);
    repair_utf8(extra_names_.back());
  }
  return {};
}

Result<bool> CsvVotes::read_row(Vote& vote, TextRepairs& repairs) {
  AGON_ASSIGN(const bool more, csv_.next(fields_));
  if (!more) return false;
  vote.row = csv_.record();
  vote.id = at_[kId] == kNone ? std::to_string(vote.row) : text(at_[kId], repairs);
  if (at_[kModelA] != kNone) vote.model_a = text(at_[kModelA], repairs);
  if (at_[kModelB] != kNone) vote.model_b = text(at_[kModelB], repairs);
  AGON_TRY(read_turns(kPrompt, vote.prompt, repairs));
  AGON_TRY(read_turns(kResponseA, vote.response_a, repairs));
  AGON_TRY(read_turns(kResponseB, vote.response_b, repairs));
  AGON_TRY(read_label(vote));
  if (at_[kWeight] != kNone) {
    auto weight = weight_of(fields_[at_[kWeight]]);
    if (!weight) return in_cell(std::move(weight.error()), "weight");
    vote.weight = *weight;
  }
  vote.extras.reserve(extras_.size());
  for (const std::size_t index : extras_) vote.extras.push_back(text(index, repairs));
  return true;
}

Status CsvVotes::read_turns(Column column, Turns& turns, TextRepairs& repairs) {
  const std::string_view cell = fields_[at_[column]];
  if (options_.plain_text) {
    turns.push_back({.text = text(at_[column], repairs)});
    return {};
  }
  if (cell.empty() || cell == "null") return {};  // becomes one null turn
  auto items = list_.parse(cell, repairs);
  if (!items) {
    if (cell.find_first_not_of(" \t\r\n") == std::string_view::npos ||
        cell[cell.find_first_not_of(" \t\r\n")] != '[') {
      Error error{.message = "not a JSON list of turns"};
      error.expected = "[\"turn\", ...]; with --plain-text a cell is one turn of plain text";
      return in_cell(std::move(error), kNames[column]);
    }
    items.error().message = "not a JSON list of turns: " + items.error().message;
    return in_cell(std::move(items.error()), kNames[column]);
  }
  turns.reserve(items->size());
  for (const auto& item : *items) turns.push_back({.text = std::string(item.text), .null = item.null});
  return {};
}

Status CsvVotes::read_label(Vote& vote) {
  if (at_[kWinner] != kNone) {
    const std::string_view cell = fields_[at_[kWinner]];
    if (cell.empty() && !options_.need_labels) return {};
    auto label = label_of(cell);
    if (!label) return in_cell(std::move(label.error()), "winner");
    vote.outcome = label->outcome;
    vote.both_bad = label->both_bad;
    return {};
  }
  if (at_[kWinnerA] == kNone) return {};
  int flags[3];
  bool all_empty = true;
  for (std::size_t i = 0; i < 3; ++i) {
    const auto column = static_cast<Column>(kWinnerA + i);
    const std::string_view cell = fields_[at_[column]];
    all_empty = all_empty && cell.empty();
    flags[i] = flag_of(cell);
  }
  if (all_empty && !options_.need_labels) return {};
  for (std::size_t i = 0; i < 3; ++i) {
    if (flags[i] >= 0) continue;
    const std::string_view column = kNames[kWinnerA + i];
    const std::string_view cell = fields_[at_[kWinnerA + i]];
    Error error{.message = cell.empty() ? "no winner: the cell is empty"
                                        : fmt::format("'{}' is neither 0 nor 1", cell.substr(0, 40))};
    repair_utf8(error.message);
    return in_cell(std::move(error), column);
  }
  auto outcome = outcome_of(flags);
  if (!outcome) return in_cell(std::move(outcome.error()), {});
  vote.outcome = *outcome;
  return {};
}

}  // namespace

Result<std::unique_ptr<VoteReader>> open_csv_votes(std::unique_ptr<ByteSource> source,
                                                   const std::string& name, const ReadOptions& options) {
  AGON_ASSIGN(auto csv, CsvReader::open(std::move(source), name, {.max_row_bytes = options.max_row_bytes}));
  auto votes = std::make_unique<CsvVotes>(std::move(csv), options);
  AGON_TRY(votes->read_header());
  return votes;
}

}  // namespace agon::vote_fields
