// BattlePart, and BattleBuilder, which puts the parts of files together.
#include <fmt/format.h>

#include <algorithm>
#include <bit>
#include <cmath>
#include <limits>

#include "agon/base/hash.h"
#include "agon/base/parallel.h"
#include "agon/data/battle_part.h"
#include "agon/data/battle_style.h"
#include "agon/text/utf8.h"

namespace agon::battle_parts {
namespace {

constexpr float kNan = std::numeric_limits<float>::quiet_NaN();
constexpr std::size_t kMaxLabels = 1000;  // told apart in counting; a file has a handful
constexpr std::size_t kMaxCode = 100;     // bytes of a code's value that are kept
constexpr std::size_t kMaxSkipList = 100;
constexpr std::uint64_t kMaxExpanded = 50'000'000;  // battles made from pair counts

/// Values of a column of codes are short; a text (a prompt, say) stands there by its beginning and hash.
std::string shortened(std::string_view value) {
  std::string out = shown(value.substr(0, 60));
  return out + fmt::format("... #{:016x}", hash64(value));
}

}  // namespace

// ---- PairCounter

PairCount& PairCounter::at_slow(std::uint32_t first, std::uint32_t second) {
  const std::uint32_t need = std::max(first, second) + 1;
  if (need <= kMaxStride && need > stride_) {
    stride_ = std::max(64U, std::bit_ceil(need));
    dense_.assign(std::size_t{stride_} * stride_, 0);
    for (std::size_t i = 0; i < pairs_.size(); ++i) {
      if (pairs_[i].first < stride_ && pairs_[i].second < stride_)
        dense_[std::size_t{pairs_[i].first} * stride_ + pairs_[i].second] = static_cast<std::uint32_t>(i + 1);
    }
    return at(first, second);
  }
  if (2 * (pairs_.size() + 1) > hashed_.size()) rehash();
  const std::size_t mask = hashed_.size() - 1;
  for (std::size_t i = (std::uint64_t{first} << 32 | second) * 0x9e3779b97f4a7c15 >> 20 & mask;;
       i = (i + 1) & mask) {
    if (hashed_[i] == 0) hashed_[i] = fresh(first, second);
    PairCount& pair = pairs_[hashed_[i] - 1];
    if (pair.first == first && pair.second == second) return pair;
  }
}

void PairCounter::rehash() {
  hashed_.assign(std::max<std::size_t>(4096, std::bit_ceil(4 * (pairs_.size() + 1))), 0);
  const std::size_t mask = hashed_.size() - 1;
  for (std::size_t k = 0; k < pairs_.size(); ++k) {
    std::size_t i =
        (std::uint64_t{pairs_[k].first} << 32 | pairs_[k].second) * 0x9e3779b97f4a7c15 >> 20 & mask;
    while (hashed_[i] != 0) i = (i + 1) & mask;
    hashed_[i] = static_cast<std::uint32_t>(k + 1);
  }
}

PairTable PairCounter::table() const {
  // Keys are sorted, and the entries, which are much larger, moved once.
  std::vector<std::pair<std::uint64_t, std::uint32_t>> order;
  order.reserve(pairs_.size());
  for (std::uint32_t k = 0; k < pairs_.size(); ++k)
    order.emplace_back(std::uint64_t{pairs_[k].first} << 32 | pairs_[k].second, k);
  std::ranges::sort(order);
  PairTable out;
  out.reserve(pairs_.size());
  for (const auto& [key, k] : order) out.push_back(pairs_[k]);
  return out;
}

// ---- BattlePart

void BattlePart::clear() {
  competitors.clear();
  a.clear();
  b.clear();
  outcome.clear();
  share.clear();
  weight.clear();
  time.clear();
  for (Codes& column : codes) {
    column.names.clear();
    column.code.clear();
  }
  for (Style& column : style) {
    column.a.clear();
    column.b.clear();
    column.not_numbers = 0;
  }
  records = skipped = other_labels = 0;
  skip_list.clear();
  error.reset();
  label_names.clear();
  labels.clear();
  label_unknown = false;
}

void BattlePart::set_share(double value) {
  if (share.size() < a.size()) share.resize(a.size(), kNan);
  share.back() = static_cast<float>(value);
}

void BattlePart::set_weight(double value) {
  if (weight.size() < a.size()) weight.resize(a.size(), 1.0);
  weight.back() = value;
}

void BattlePart::set_time(std::int64_t milliseconds) {
  if (time.size() < a.size()) time.resize(a.size(), BattleRows::kNoTime);
  time.back() = milliseconds;
}

void BattlePart::set_code(Codes& column, std::string_view value) {
  value = trimmed(value);
  if (value.empty()) return;
  if (column.code.size() < a.size()) column.code.resize(a.size(), CodeColumn::kNone);
  if (value.size() > kMaxCode) {
    column.code.back() = column.names.add(shortened(value));
    return;
  }
  const NameTable::Key key = NameTable::key(value);
  std::uint32_t code = column.names.find(key);
  if (code == NameTable::kNone) {
    std::string repaired;
    code = is_valid_utf8(value) ? column.names.add(key)
                                : (append_repaired_utf8(repaired, value), column.names.add(repaired));
  }
  column.code.back() = code;
}

void BattlePart::set_style(Style& column, float value_a, float value_b) {
  if (column.a.size() + 1 == a.size()) {
    column.a.push_back(value_a);
    column.b.push_back(value_b);
    return;
  }
  if (column.a.size() < a.size()) {
    column.a.resize(a.size(), kNan);
    column.b.resize(a.size(), kNan);
  }
  column.a.back() = value_a;
  column.b.back() = value_b;
}

BattlePart::Codes& BattlePart::code_column(std::string_view name) {
  for (Codes& column : codes) {
    if (column.name == name) return column;
  }
  codes.emplace_back().name = name;
  return codes.back();
}

BattlePart::Style& BattlePart::style_column(std::string_view name) {
  for (Style& column : style) {
    if (column.name == name) return column;
  }
  style.emplace_back().name = name;
  return style.back();
}

BattleLabel BattlePart::new_label(const NameTable::Key& key) {
  const BattleLabel label = battle_label_of(key.text);
  if (labels.size() == kMaxLabels || key.text.size() > kMaxName) {
    ++other_labels;
    return label;
  }
  label_names.add(key);
  labels.push_back({label, 1});
  return label;
}

Error BattlePart::unknown_label(std::string_view text) {
  Error error{.message = trimmed(text).empty() ? "no winner: the cell is empty"
                                               : fmt::format("unknown label '{}'", shown(text))};
  error.expected = kKnownBattleLabels;
  return error;
}

bool BattlePart::bad_row(Error bad, bool skip_bad) {
  bad.row = records;
  if (!skip_bad) {
    // Real logs have a few rows like a model against itself. A label that is not known is another matter: it
    // may be a whole column read wrongly, so passing over it is no advice.
    if (bad.expected != kKnownBattleLabels) {
      if (!bad.expected.empty()) bad.expected += "; ";
      bad.expected += "--skip-bad passes over such rows and counts them";
    }
    if (!error) error = std::move(bad);
    return false;
  }
  ++skipped;
  if (skip_list.size() < kMaxSkipList) skip_list.push_back(std::move(bad));
  return true;
}

void BattlePart::unjudged(std::string why) {
  ++skipped;
  if (skip_list.size() == kMaxSkipList) return;
  Error error{.message = std::move(why)};
  error.row = records;
  skip_list.push_back(std::move(error));
}

bool BattlePart::add_new(std::string_view first, std::string_view second, BattleOutcome how) {
  std::string repaired[2];
  for (const auto& [name, text] : {std::pair(&first, &repaired[0]), std::pair(&second, &repaired[1])}) {
    if (name->empty() || name->size() > kMaxName) return false;
    if (is_valid_utf8(*name)) continue;
    append_repaired_utf8(*text, *name);
    *name = *text;
  }
  if (first == second) return false;
  const std::uint32_t x = competitors.add(first);
  push(x, competitors.add(second), how);
  return true;
}

Error BattlePart::cannot_meet(std::string_view first, std::string_view second) {
  for (const std::string_view name : {trimmed(first), trimmed(second)}) {
    if (name.empty()) return {.message = "an empty name of a competitor"};
    if (name.size() > kMaxName)
      return {.message = fmt::format("the name '{}' is longer than {} bytes", shown(name), kMaxName)};
  }
  return {.message = fmt::format("'{}' against itself", shown(trimmed(first))),
          .expected = "two different competitors"};
}

// ---- BattleBuilder

BattleBuilder::BattleBuilder(const ReadBattles& options)
    : options_(options), keep_rows_(battle_parts::keeps_rows(options)) {}

BattleSource& BattleBuilder::begin_source(const std::string& path) {
  records_ = 0;
  BattleSource& source = set_.sources.emplace_back();
  source.path = path;
  return source;
}

std::uint32_t BattleBuilder::competitor(std::string_view name) { return competitors_.add(name); }

Status BattleBuilder::add_counts(std::uint32_t first, std::uint32_t second,
                                 const std::array<std::uint64_t, kBattleClasses>& counts) {
  const std::uint64_t sum = (counts[0] + counts[1]) + (counts[2] + counts[3]);
  if (sum == 0) return {};
  PairCount& pair = counter_.at(first, second);
  pair.battles += sum;
  for (std::size_t k = 0; k < kBattleClasses; ++k) {
    pair.weight[k] += static_cast<double>(counts[k]);
    pair.weight_sq[k] += static_cast<double>(counts[k]);
  }
  source().rows += sum;
  if (!keep_rows_) return {};
  BattleRows& rows = set_.rows;
  if (sum > kMaxExpanded || rows.size() + sum > kMaxExpanded)
    return fail(fmt::format("more than {} battles to be kept one by one", kMaxExpanded), source().path);
  rows.a.resize(rows.a.size() + sum, first);
  rows.b.resize(rows.b.size() + sum, second);
  for (std::size_t k = 0; k < kBattleClasses; ++k)
    rows.outcome.resize(rows.outcome.size() + counts[k], static_cast<BattleOutcome>(k));
  pad_to(rows.size());
  return {};
}

Status BattleBuilder::merge(std::span<BattlePart> parts) {
  renumber_.resize(std::max(renumber_.size(), parts.size()));
  BattleSource& from = source();
  for (std::size_t p = 0; p < parts.size(); ++p) {
    BattlePart& part = parts[p];
    if (part.error) return stopped(parts, p, records_ + part.error->row);
    for (Error& bad : part.skip_list) {
      if (from.skip_list.size() == kMaxSkipList) break;
      bad.row += records_;
      bad.file = from.path;
      from.skip_list.push_back(std::move(bad));
    }
    records_ += part.records;
    from.skipped += part.skipped;
    from.rows += part.size();

    std::vector<std::uint32_t>& number = renumber_[p];
    number.resize(part.competitors.size());
    for (std::size_t i = 0; i < number.size(); ++i) number[i] = competitors_.add(part.competitors.key(i));
    if (part.weight.empty() && part.share.empty()) {  // what files mostly are
      for (std::size_t i = 0; i < part.size(); ++i)
        counter_.add(number[part.a[i]], number[part.b[i]], part.outcome[i], 1, 0);
      continue;
    }
    if (!part.weight.empty()) part.weight.resize(part.size(), 1.0);
    if (!part.share.empty()) part.share.resize(part.size(), kNan);
    for (std::size_t i = 0; i < part.size(); ++i) {
      counter_.add(number[part.a[i]], number[part.b[i]], part.outcome[i],
                   part.weight.empty() ? 1 : part.weight[i], part.share.empty() ? 0 : double{part.share[i]});
    }
  }
  if (keep_rows_) merge_rows(parts);
  return {};
}

std::unexpected<Error> BattleBuilder::stopped(std::span<BattlePart> parts, std::size_t at,
                                              std::uint64_t row) {
  Error error = std::move(*parts[at].error);
  error.row = row;
  error.file = source().path;
  if (parts[at].label_unknown) {
    // Labels of this part and, for what came earlier, of the parts merged with it.
    NameTable names;
    std::vector<std::uint64_t> counts;
    std::uint64_t others = 0, all = 0;
    for (const BattlePart& part : parts.first(at + 1)) {
      for (std::size_t i = 0; i < part.labels.size(); ++i) {
        const std::uint32_t k = names.add(part.label_names.key(i));
        if (k == counts.size()) counts.push_back(0);
        counts[k] += part.labels[i].count;
        all += part.labels[i].count;
      }
      others += part.other_labels;
    }
    error.message += fmt::format("; the labels of {} rows there:", all + others);
    for (std::size_t k = 0; k < counts.size() && k < 10; ++k)
      error.message += fmt::format("{} '{}' {}", k == 0 ? "" : ",", shown(names.name(k)), counts[k]);
    if (counts.size() > 10) error.message += fmt::format(" and {} others", counts.size() - 10);
  }
  return std::unexpected(std::move(error));
}

std::size_t BattleBuilder::code_index(const std::string& name) {
  auto& codes = set_.rows.codes;
  for (std::size_t k = 0; k < codes.size(); ++k) {
    if (codes[k].name == name) return k;
  }
  codes.emplace_back().name = name;
  code_names_.emplace_back();
  return codes.size() - 1;
}

std::size_t BattleBuilder::style_index(const std::string& name) {
  auto& style = set_.rows.style;
  for (std::size_t k = 0; k < style.size(); ++k) {
    if (style[k].name == name) return k;
  }
  style.emplace_back().name = name;
  style_not_numbers_.push_back(0);
  return style.size() - 1;
}

/// Fills up the columns that have fewer entries than there are battles.
void BattleBuilder::pad_to(std::size_t size) {
  BattleRows& rows = set_.rows;
  if (!rows.share.empty()) rows.share.resize(size, kNan);
  if (!rows.weight.empty()) rows.weight.resize(size, 1.0);
  if (!rows.time.empty()) rows.time.resize(size, BattleRows::kNoTime);
  for (CodeColumn& column : rows.codes) column.code.resize(size, CodeColumn::kNone);
  for (PairedColumn& column : rows.style) {
    column.a.resize(size, kNan);
    column.b.resize(size, kNan);
  }
}

void BattleBuilder::merge_rows(std::span<BattlePart> parts) {
  BattleRows& rows = set_.rows;
  std::size_t size = rows.size();
  std::vector<std::size_t> begin(parts.size());
  bool any_share = !rows.share.empty(), any_weight = !rows.weight.empty(), any_time = !rows.time.empty();
  // Numbers of values first, part by part: they are by first appearance.
  struct Move {
    std::size_t column;
    std::vector<std::uint32_t> number;
  };
  std::vector<std::vector<Move>> codes(parts.size());
  std::vector<std::vector<std::size_t>> styles(parts.size());
  for (std::size_t p = 0; p < parts.size(); ++p) {
    const BattlePart& part = parts[p];
    begin[p] = size;
    size += part.size();
    any_share = any_share || !part.share.empty();
    any_weight = any_weight || !part.weight.empty();
    any_time = any_time || !part.time.empty();
    for (const BattlePart::Codes& from : part.codes) {
      const std::size_t column = code_index(from.name);
      std::vector<std::uint32_t> number(from.names.size());
      for (std::size_t i = 0; i < number.size(); ++i) number[i] = code_names_[column].add(from.names.key(i));
      codes[p].push_back({column, std::move(number)});
    }
    for (const BattlePart::Style& from : part.style) {
      styles[p].push_back(style_index(from.name));
      style_not_numbers_[styles[p].back()] += from.not_numbers;
    }
  }
  rows.a.resize(size);
  rows.b.resize(size);
  rows.outcome.resize(size);
  if (any_share) rows.share.resize(size, kNan);
  if (any_weight) rows.weight.resize(size, 1.0);
  if (any_time) rows.time.resize(size, BattleRows::kNoTime);
  pad_to(size);
  parallel_for(parts.size(), [&](std::size_t p) {
    const BattlePart& part = parts[p];
    const auto to = static_cast<std::ptrdiff_t>(begin[p]);
    const std::vector<std::uint32_t>& number = renumber_[p];
    std::ranges::transform(part.a, rows.a.begin() + to, [&](std::uint32_t i) { return number[i]; });
    std::ranges::transform(part.b, rows.b.begin() + to, [&](std::uint32_t i) { return number[i]; });
    std::ranges::copy(part.outcome, rows.outcome.begin() + to);
    std::ranges::copy(part.share, rows.share.begin() + to * (any_share ? 1 : 0));
    std::ranges::copy(part.weight, rows.weight.begin() + to * (any_weight ? 1 : 0));
    std::ranges::copy(part.time, rows.time.begin() + to * (any_time ? 1 : 0));
    for (std::size_t k = 0; k < part.codes.size(); ++k) {
      const Move& move = codes[p][k];
      std::ranges::transform(
          part.codes[k].code, rows.codes[move.column].code.begin() + to,
          [&](std::uint32_t code) { return code == CodeColumn::kNone ? code : move.number[code]; });
    }
    for (std::size_t k = 0; k < part.style.size(); ++k) {
      PairedColumn& column = rows.style[styles[p][k]];
      std::ranges::copy(part.style[k].a, column.a.begin() + to);
      std::ranges::copy(part.style[k].b, column.b.begin() + to);
    }
  });
}

const BattleSet& BattleBuilder::snapshot() {
  while (set_.competitors.size() < competitors_.size())
    set_.competitors.emplace_back(competitors_.name(set_.competitors.size()));
  set_.pairs = counter_.table();
  for (std::size_t k = 0; k < code_names_.size(); ++k) {
    auto& names = set_.rows.codes[k].names;
    while (names.size() < code_names_[k].size()) names.emplace_back(code_names_[k].name(names.size()));
  }
  return set_;
}

Result<BattleSet> BattleBuilder::finish() && {
  snapshot();
  BattleRows& rows = set_.rows;
  const auto is_flag = [](const std::string& value) {
    return value == "0" || value == "1" || value == "true" || value == "false" || value == "True" ||
           value == "False";
  };
  // Columns that no row filled say nothing; of those that came by the beginning of their name, only
  // tags were meant.
  std::erase_if(rows.codes, [&](const CodeColumn& column) {
    const auto named = [&](const std::string& name) { return column.name == name; };
    const bool asked =
        std::ranges::any_of(options_.code_columns, named) || column.name.find('.') == std::string::npos;
    return column.names.empty() || (!asked && !std::ranges::all_of(column.names, is_flag));
  });
  std::vector<PairedColumn> kept;
  for (std::size_t k = 0; k < rows.style.size(); ++k) {
    if (style_not_numbers_[k] == 0) kept.push_back(std::move(rows.style[k]));
  }
  const auto counted = [](const PairedColumn& column) {
    return std::ranges::find(kTextStyles, column.name) != kTextStyles.end();
  };
  // The file's own numbers come first: those counted from texts would say the same twice.
  if (asks_style(options_, "auto") && !std::ranges::all_of(kept, counted)) std::erase_if(kept, counted);
  rows.style = std::move(kept);

  const auto never_seen = [&](const std::string& name, const char* what) {
    Error error{.message = fmt::format("no {} '{}'; found {}", what, shown(name), listed(columns_seen_))};
    if (set_.sources.size() == 1) error.file = set_.sources[0].path;
    error.kind = ErrorKind::kUsage;
    return std::unexpected(std::move(error));
  };
  for (const std::string& name : options_.code_columns) {
    const auto fits = [&](const CodeColumn& column) {
      return column.name == name || column.name.starts_with(name + ".");
    };
    if (std::ranges::none_of(rows.codes, fits)) return never_seen(name, "values of a column");
  }
  for (const std::string& name : options_.style_columns) {
    const auto is = [&](const PairedColumn& column) {
      return column.name == (name == "text" ? kTextStyles[0] : std::string_view(name));
    };
    if (name == "all" || name == "auto" ? !rows.style.empty() : std::ranges::any_of(rows.style, is)) continue;
    if (name == "all") return never_seen("NAME_a and NAME_b", "pair of columns of numbers");
    if (name == "auto")
      return never_seen("NAME_a and NAME_b", "texts of answers and no pair of columns of numbers");
    if (name == "text") return never_seen("response_a and response_b", "texts of answers");
    return never_seen(name + "_a and " + name + "_b", "pair of columns");
  }
  return std::move(set_);
}

}  // namespace agon::battle_parts
