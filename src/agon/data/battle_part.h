// How battles are put together, whatever their form. Internal to the readers of battles.
//
//   reader > BattlePart, one a block of the file, filled on any thread, numbers of its own
//          > BattleBuilder::merge, one part after the other in order of the file
//          > BattleSet
//
// Numbers of competitors, sums of weights and the first Error are those of reading row by row: where
// the blocks' borders lie and which thread read them leaves no trace.
#pragma once

#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "agon/base/error.h"
#include "agon/data/battle_fields.h"
#include "agon/data/battle_names.h"
#include "agon/data/battles.h"

namespace agon::battle_parts {

/// Counts of ordered pairs, in any order of arrival.
class PairCounter {
 public:
  void add(std::uint32_t first, std::uint32_t second, BattleOutcome outcome, double weight, double share) {
    PairCount& pair = at(first, second);
    ++pair.battles;
    if (outcome != BattleOutcome::kShare) {
      const auto k = static_cast<std::size_t>(outcome);
      pair.weight[k] += weight;
      pair.weight_sq[k] += weight * weight;
      return;
    }
    const double a = weight * share, b = weight * (1 - share);
    pair.weight[0] += a;
    pair.weight[1] += b;
    pair.weight_sq[0] += a * a;
    pair.weight_sq[1] += b * b;
    pair.cross += a * b;
  }
  /// The entry of an ordered pair, made when it is new. Holds until the next call.
  PairCount& at(std::uint32_t first, std::uint32_t second) {
    if (first < stride_ && second < stride_) {
      std::uint32_t& slot = dense_[std::size_t{first} * stride_ + second];
      if (slot == 0) slot = fresh(first, second);
      return pairs_[slot - 1];
    }
    return at_slow(first, second);
  }
  /// Ascending by (first, second).
  [[nodiscard]] PairTable table() const;

 private:
  std::uint32_t fresh(std::uint32_t first, std::uint32_t second) {
    pairs_.push_back({.first = first, .second = second});
    return static_cast<std::uint32_t>(pairs_.size());
  }
  PairCount& at_slow(std::uint32_t first, std::uint32_t second);
  void rehash();

  // Indices into pairs_, plus 1: in a square table while there are few competitors, else hashed.
  static constexpr std::uint32_t kMaxStride = 1024;
  std::uint32_t stride_ = 0;
  std::vector<std::uint32_t> dense_, hashed_;
  PairTable pairs_;
};

/// What was read from one block, in numbers of its own.
class BattlePart {
 public:
  struct Codes {
    std::string name;
    NameTable names;
    std::vector<std::uint32_t> code;
  };
  struct Style {
    std::string name;
    std::vector<float> a, b;
    std::uint64_t not_numbers = 0;
  };

  NameTable competitors;
  std::vector<std::uint32_t> a, b;
  std::vector<BattleOutcome> outcome;
  std::vector<float> share;        ///< empty, or one a battle (NAN unless kShare)
  std::vector<double> weight;      ///< empty: all 1
  std::vector<std::int64_t> time;  ///< empty: none
  std::vector<Codes> codes;        ///< each filled up to the last battle that has a value
  std::vector<Style> style;        ///< likewise
  std::uint64_t records = 0;       ///< rows seen, also bad ones and those of weight 0
  std::uint64_t skipped = 0;
  std::vector<Error> skip_list;  ///< rows count from 1 within this part, as in `error`
  std::optional<Error> error;    ///< the first bad row, when it stops the reading

  void clear();
  [[nodiscard]] std::size_t size() const { return a.size(); }

  /// Adds a battle between competitors by name; false when they can't have met. `padded`: at least 32 bytes
  /// from the beginning of each name on may be read.
  [[nodiscard]] bool add(std::string_view first, std::string_view second, BattleOutcome how,
                         bool padded = false) {
    first = name_of(first);
    second = name_of(second);
    const std::uint32_t x = competitors.find(NameTable::key(first, padded));
    const std::uint32_t y = competitors.find(NameTable::key(second, padded));
    if (x == y || x == NameTable::kNone || y == NameTable::kNone) [[unlikely]]
      return add_new(first, second, how);
    push(x, y, how);
    return true;
  }
  /// Why they can't.
  [[nodiscard]] static Error cannot_meet(std::string_view first, std::string_view second);
  /// The parts of the battle last added that aren't those of every battle.
  void set_share(double value);
  void set_weight(double value);
  void set_time(std::int64_t milliseconds);
  void set_code(Codes& column, std::string_view value);
  void set_style(Style& column, float value_a, float value_b);
  /// The column of this name, made when it is new.
  Codes& code_column(std::string_view name);
  Style& style_column(std::string_view name);

  /// The label of a cell; counts it.
  BattleLabel label(std::string_view text, bool padded = false) {
    const NameTable::Key key = NameTable::key(text, padded);
    const std::uint32_t found = label_names.find(key);
    if (found == NameTable::kNone) [[unlikely]]
      return new_label(key);
    ++labels[found].count;
    return labels[found].label;
  }
  /// Counts without using.
  struct LabelCount {
    BattleLabel label;
    std::uint64_t count = 0;
  };
  NameTable label_names;
  std::vector<LabelCount> labels;
  std::uint64_t other_labels = 0;  ///< beyond the number that is told apart
  bool label_unknown = false;      ///< `error` is about a label: the labels seen belong to it

  /// Takes in a bad row: counted and listed with `skip_bad`, else it becomes `error`.
  /// Its row is the current record. Returns whether to go on.
  bool bad_row(Error error, bool skip_bad);
  /// A battle that nobody decided: counted among the skipped, whatever the options.
  void unjudged(std::string why);
  [[nodiscard]] static Error unknown_label(std::string_view text);

 private:
  static std::string_view name_of(std::string_view cell) {
    const bool plain = !cell.empty() && cell.front() > ' ' && cell.back() > ' ';
    return plain ? cell : trimmed(cell);
  }
  void push(std::uint32_t x, std::uint32_t y, BattleOutcome how) {
    a.push_back(x);
    b.push_back(y);
    outcome.push_back(how);
  }
  BattleLabel new_label(const NameTable::Key& key);
  /// Names that are new, or those that can't meet: the latter are not numbered.
  bool add_new(std::string_view first, std::string_view second, BattleOutcome how);
};

/// The longest name of a competitor in bytes.
inline constexpr std::size_t kMaxName = 1000;

class BattleBuilder {
 public:
  explicit BattleBuilder(const ReadBattles& options);

  /// Begins a file; merge() adds to its BattleSource.
  BattleSource& begin_source(const std::string& path);
  [[nodiscard]] BattleSource& source() { return set_.sources.back(); }
  [[nodiscard]] const BattleSource& source() const { return set_.sources.back(); }
  /// The rows of the current file taken in so far.
  [[nodiscard]] std::uint64_t records() const { return records_; }
  /// Takes in parts in order; the first Error among them, with its place in the file.
  [[nodiscard]] Status merge(std::span<BattlePart> parts);
  /// For pair counts: the number of a competitor.
  [[nodiscard]] std::uint32_t competitor(std::string_view name);
  /// Adds `counts` (by outcome) battles of weight 1; an Error (without a file) when rows are kept and
  /// there would be too many of them.
  [[nodiscard]] Status add_counts(std::uint32_t first, std::uint32_t second,
                                  const std::array<std::uint64_t, kBattleClasses>& counts);
  /// Names of columns or fields that a file has, for messages.
  void saw_columns(const std::vector<std::string>& names) {
    for (std::size_t i = 0; i < names.size() && columns_seen_.size() < 100; ++i)
      columns_seen_.push_back(names[i]);
  }

  /// Brings competitors and pairs of the set up to date and returns it.
  const BattleSet& snapshot();
  /// The finished set: columns that turn out not to be numbers are dropped ("all"), and columns that
  /// were asked for and never seen are an Error.
  [[nodiscard]] Result<BattleSet> finish() &&;

 private:
  void merge_rows(std::span<BattlePart> parts);
  std::size_t code_index(const std::string& name);
  std::size_t style_index(const std::string& name);
  std::unexpected<Error> stopped(std::span<BattlePart> parts, std::size_t at, std::uint64_t row);
  void pad_to(std::size_t size);

  ReadBattles options_;
  bool keep_rows_;
  BattleSet set_;
  PairCounter counter_;
  NameTable competitors_;
  std::vector<NameTable> code_names_;             // of set_.rows.codes
  std::vector<std::uint64_t> style_not_numbers_;  // of set_.rows.style
  std::uint64_t records_ = 0;
  std::vector<std::string> columns_seen_;
  std::vector<std::vector<std::uint32_t>> renumber_;  // of each part's competitors
};

/// Whether `options` ask for the battles one by one.
[[nodiscard]] inline bool keeps_rows(const ReadBattles& options) {
  return options.keep_rows || !options.code_columns.empty() || !options.style_columns.empty();
}

}  // namespace agon::battle_parts
