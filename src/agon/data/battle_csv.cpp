#include "agon/data/battle_csv.h"

#include <fmt/format.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <cerrno>
#include <cmath>
#include <cstring>
#include <limits>
#include <memory>
#include <unordered_set>

#include "agon/base/parallel.h"
#include "agon/data/battle_style.h"
#include "agon/data/vote_fields.h"
#include "agon/text/utf8.h"

namespace agon::battle_parts {
namespace {

constexpr std::size_t kNoColumn = BattleColumns::kNoColumn;
constexpr std::size_t npos = std::string_view::npos;
constexpr float kNan = std::numeric_limits<float>::quiet_NaN();
constexpr std::size_t kBlocksAtOnce = 64;
constexpr std::size_t kBuffer = BattleCsv::kBlock * kBlocksAtOnce;
constexpr std::size_t kMaxColumns = 100'000;

bool is_line_end(char c) { return c == '\n' || c == '\r'; }

/// Offset of the first line end from `at` on, or npos.
std::size_t next_line_end(std::string_view bytes, std::size_t at) {
  while (at < bytes.size() && !is_line_end(bytes[at])) ++at;
  return at < bytes.size() ? at : npos;
}

/// A record of a block without quotes, by the places of its separators. `padded`: behind each of its fields
/// the block goes on for 32 bytes.
template <bool padded>
struct LineFields {
  static constexpr bool kPadded = padded;
  const char* text;
  const std::uint32_t* separator;
  std::size_t begin;
  std::string_view operator()(std::size_t k) const {
    const std::size_t from = k == 0 ? begin : separator[k - 1] + std::size_t{1};
    return {text + from, separator[k] - from};
  }
};
struct SplitFields {
  static constexpr bool kPadded = false;
  const std::vector<std::string_view>& fields;
  std::string_view operator()(std::size_t k) const { return fields[k]; }
};

Error in_column(Error error, std::string_view column) {
  error.column = column;
  repair_utf8(error.column);
  return error;
}

/// A number of an answer; NAN for an empty cell or, with `number` set to false, for what is none.
float style_of(std::string_view cell, bool& number) {
  cell = trimmed(cell);
  if (cell.empty()) return kNan;
  if (cell.size() <= 7) {  // mostly counts
    std::uint32_t count = 0;
    std::size_t i = 0;
    for (; i < cell.size() && cell[i] >= '0' && cell[i] <= '9'; ++i)
      count = count * 10 + static_cast<unsigned>(cell[i] - '0');
    if (i == cell.size()) return static_cast<float>(count);
  }
  double value = 0;
  if (number_of(cell, value) && std::isfinite(value)) return static_cast<float>(value);
  number = false;
  return kNan;
}

}  // namespace

// ---- One row

/// The winner by the three flags; an Error when they do not tell one.
template <class Fields>
Result<BattleLabel> BattleCsv::read_flags(const Fields& field) const {
  int flags[3];
  for (std::size_t i = 0; i < 3; ++i) {
    const std::string_view cell = field(columns_.flag[i]);
    flags[i] = vote_fields::flag_of(cell);
    if (flags[i] < 0)
      return fail(trimmed(cell).empty() ? "no winner: a cell of the winner columns is empty"
                                        : fmt::format("'{}' is neither 0 nor 1", shown(cell)));
  }
  AGON_ASSIGN(const Outcome outcome, vote_fields::outcome_of(flags));
  return BattleLabel{outcome == Outcome::kA   ? BattleOutcome::kA
                     : outcome == Outcome::kB ? BattleOutcome::kB
                                              : BattleOutcome::kTie,
                     true};
}

/// Adds the record to the part; false when the reading of this block ends with it. What files mostly are,
/// competitors and a label and nothing else to keep, is read here; the rest and all Errors elsewhere, so
/// that this loop stays small.
template <class Fields>
bool BattleCsv::add_row(const Fields& field, BattlePart& part) const {
  if (!columns_.bare) return add_full_row(field, part);
  const BattleLabel label = part.label(field(columns_.winner), Fields::kPadded);
  if (!label.known || label.strong || part.error) [[unlikely]]
    return add_odd_row(field, label, part);
  return part.add(field(columns_.first), field(columns_.second), label.outcome, Fields::kPadded) ||
         add_odd_row(field, label, part);
}

/// A row that can't be taken as it is, or whose label has a weight.
template <class Fields>
bool BattleCsv::add_odd_row(const Fields& field, const BattleLabel& label, BattlePart& part) const {
  if (part.error) return true;  // stopped at an unknown label: see which others there are
  if (!label.known) {
    const bool go_on = part.bad_row(in_column(BattlePart::unknown_label(field(columns_.winner)), "winner"),
                                    options_.skip_bad);
    part.label_unknown = !go_on;
    return true;
  }
  const double weight = label.strong ? options_.strong_weight : 1;
  if (weight == 0) return true;
  const std::string_view first = field(columns_.first), second = field(columns_.second);
  if (!part.add(first, second, label.outcome))
    return part.bad_row(BattlePart::cannot_meet(first, second), options_.skip_bad);
  if (weight != 1) part.set_weight(weight);
  return true;
}

/// A row of which more is kept than who won.
template <class Fields>
bool BattleCsv::add_full_row(const Fields& field, BattlePart& part) const {
  BattleLabel label;
  if (columns_.winner != kNoColumn) {
    label = part.label(field(columns_.winner), Fields::kPadded);
    if (!label.known || part.error) [[unlikely]]
      return add_odd_row(field, label, part);
  } else {
    const auto flags = read_flags(field);
    if (!flags) return part.bad_row(flags.error(), options_.skip_bad);
    label = *flags;
  }
  double weight = label.strong ? options_.strong_weight : 1;
  if (columns_.weight != kNoColumn) {
    const std::string_view cell = field(columns_.weight);
    if (cell.size() == 1 && cell[0] >= '0' && cell[0] <= '9') {
      weight *= cell[0] - '0';
    } else {
      const auto value = battle_weight_of(cell);
      if (!value) return part.bad_row(in_column(value.error(), "weight"), options_.skip_bad);
      weight *= *value;
    }
  }
  // What can be wrong with the row is looked at before anything of it is added.
  std::int64_t time = BattleRows::kNoTime;
  if (columns_.time != kNoColumn) {
    const auto value = time_of(field(columns_.time));
    if (!value) return part.bad_row(in_column(value.error(), "time"), options_.skip_bad);
    time = *value;
  }
  for (const BattleColumns::Style& style : columns_.style) {
    for (const std::size_t at : {style.a, style.b}) {
      bool number = true;
      if (!style.asked || (style_of(field(at), number), number)) continue;
      Error error{.message = fmt::format("'{}' is no number", shown(field(at)))};
      return part.bad_row(in_column(std::move(error), style.name), options_.skip_bad);
    }
  }
  const std::string_view first = field(columns_.first), second = field(columns_.second);
  if (weight == 0) return true;
  if (!part.add(first, second, label.outcome, Fields::kPadded)) [[unlikely]]
    return part.bad_row(BattlePart::cannot_meet(first, second), options_.skip_bad);
  if (weight != 1) part.set_weight(weight);
  if (time != BattleRows::kNoTime) part.set_time(time);
  for (std::size_t k = 0; k < columns_.codes.size(); ++k)
    part.set_code(part.codes[k], field(columns_.codes[k].at));
  for (std::size_t k = 0; k < columns_.style.size(); ++k) {
    bool number = true;
    const float a = style_of(field(columns_.style[k].a), number);
    const float b = style_of(field(columns_.style[k].b), number);
    part.set_style(part.style[k], a, b);
    part.style[k].not_numbers += !number;
  }
  if (columns_.response_a != kNoColumn) {
    const TextStyle a = style_of_cell(field(columns_.response_a));
    const TextStyle b = style_of_cell(field(columns_.response_b));
    for (std::size_t k = 0; k < kTextStyles.size(); ++k)
      part.set_style(part.style[columns_.style.size() + k], a[k], b[k]);
  }
  return true;
}

bool BattleCsv::bad_width(std::size_t fields, std::uint64_t byte, BattlePart& part) const {
  Error error{.message = fmt::format("{} fields where the header has {}", fields, columns_.width)};
  error.byte = byte;
  error.has_byte = true;
  return part.bad_row(std::move(error), options_.skip_bad);
}

bool BattleCsv::too_long(std::size_t bytes, BattlePart& part) const {
  if (bytes <= options_.max_row_bytes) return false;
  part.bad_row({.message = fmt::format("longer than {} bytes", options_.max_row_bytes)}, options_.skip_bad);
  return true;
}

// ---- One block

/// Reads a block without quotes; false when it has some.
bool BattleCsv::read_plain(std::string_view block, std::uint64_t offset, BattlePart& part) const {
  thread_local std::vector<std::uint32_t> separators;
  separators.clear();
  if (!find_separators(block, separators)) return false;
  const std::size_t size = block.size(), width = columns_.width;
  if (size > 0 && !is_line_end(block[size - 1])) separators.push_back(static_cast<std::uint32_t>(size));
  const auto ends_line = [&](std::uint32_t at) { return at == size || block[at] != ','; };
  std::size_t begin = 0, next = 0;
  while (begin < size) {
    if (is_line_end(block[begin])) {  // a blank line, or the LF of a CRLF
      ++begin;
      ++next;
      continue;
    }
    ++part.records;
    // The record ends where separator next + width - 1 is the first to end a line.
    std::size_t end = next;
    const std::size_t limit = std::min(next + width, separators.size());
    while (end < limit && !ends_line(separators[end])) ++end;
    const bool whole = end + 1 == next + width && end < limit;
    if (!whole) [[unlikely]] {
      while (!ends_line(separators[end])) ++end;
    }
    const std::size_t record_end = separators[end];
    if (record_end - begin > options_.max_row_bytes) [[unlikely]] {
      if (!part.error && too_long(record_end - begin, part) && part.error) return true;
    } else if (!whole) [[unlikely]] {
      if (!part.error && !bad_width(end + 1 - next, offset + begin, part)) return true;
    } else {
      const std::uint32_t* separator = separators.data() + next;
      const bool go_on = record_end + ShortText::kMax <= size
                             ? add_row(LineFields<true>{block.data(), separator, begin}, part)
                             : add_row(LineFields<false>{block.data(), separator, begin}, part);
      if (!go_on) return true;
    }
    begin = record_end + 1;
    next = end + 1;
  }
  return true;
}

void BattleCsv::add_fault(const CsvSplit& split, std::string_view record, std::uint64_t offset,
                          BattlePart& part) const {
  Error error;
  error.has_byte = true;
  error.byte = offset + split.at;
  switch (split.fault) {
    case CsvFault::kTextAfterQuote:
      error.message = "text after a closing quote";
      error.expected = "a comma or the end of the line; quotes inside a field are doubled";
      break;
    case CsvFault::kUnterminated:
      error.message = "unterminated quote";
      break;
    default:
      error.message = "a NUL byte";
      error.byte = offset + record.find('\0');
      error.expected = "text in UTF-8";
  }
  part.bad_row(std::move(error), options_.skip_bad);
}

void BattleCsv::read_exact(std::string_view block, std::uint64_t offset, BattlePart& part) const {
  thread_local std::vector<std::string_view> fields;
  thread_local std::string unescaped;
  CsvRecordEnd record_end;
  for (std::size_t at = 0; at < block.size();) {
    if (is_line_end(block[at])) {
      ++at;
      continue;
    }
    std::size_t end = record_end.find(block, at);
    if (end == npos) end = block.size();
    std::string_view record = block.substr(at, end - at);
    const std::uint64_t byte = offset + at;
    at = end;
    ++part.records;
    if (is_line_end(record.back())) {
      // The quotes of a record that ends inside them are told by the split below.
      record.remove_suffix(1);
    }
    if (record.size() > options_.max_row_bytes) {
      if (!part.error && too_long(record.size(), part) && part.error) return;
      continue;
    }
    const CsvSplit split = split_record(record, columns_.wanted, fields, unescaped);
    if (split.fault != CsvFault::kNone) {
      if (part.error) continue;
      add_fault(split, record, byte, part);
      if (part.error) return;
      continue;
    }
    if (fields.size() != columns_.width) {
      if (!part.error && !bad_width(fields.size(), byte, part)) return;
      continue;
    }
    if (!add_row(SplitFields{fields}, part)) return;
  }
}

// ---- The file

Result<std::size_t> BattleCsv::read_header(std::string_view bytes, bool last) {
  const std::string& file = builder_.source().path;
  if (!last && bytes.size() < 3) return std::size_t{0};
  if (bytes.starts_with("\xFF\xFE") || bytes.starts_with("\xFE\xFF")) {
    auto error = fail("the file is UTF-16", file);
    error.error().expected = "UTF-8";
    return error;
  }
  std::size_t at = bytes.starts_with("\xEF\xBB\xBF") ? 3 : 0;
  while (at < bytes.size() && is_line_end(bytes[at])) ++at;
  CsvRecordEnd record_end;
  std::size_t end = at < bytes.size() ? record_end.find(bytes, at) : npos;
  if (end == npos) {
    if (bytes.size() - at > options_.max_row_bytes)
      return fail(fmt::format("in the header: longer than {} bytes", options_.max_row_bytes), file);
    if (!last) return std::size_t{0};
    if (at == bytes.size()) return fail("the file is empty", file);
    end = bytes.size();
  }
  std::string_view record = bytes.substr(at, end - at);
  if (is_line_end(record.back())) record.remove_suffix(1);
  std::vector<std::string_view> fields;
  std::string unescaped;
  // Every field is wanted; how many there are is at most one more than the commas.
  const std::vector<char> wanted(static_cast<std::size_t>(std::ranges::count(record, ',')) + 1, 1);
  const CsvSplit split = split_record(record, wanted, fields, unescaped);
  if (split.fault != CsvFault::kNone) {
    BattlePart part;
    add_fault(split, record, at, part);
    Error error = part.error ? std::move(*part.error) : std::move(part.skip_list.front());
    error.message = "in the header: " + error.message;
    error.file = file;
    return std::unexpected(std::move(error));
  }
  if (fields.size() > kMaxColumns) return fail(fmt::format("more than {} columns", kMaxColumns), file);
  std::vector<std::string> header;
  std::unordered_set<std::string_view> seen;
  for (const std::string_view field : fields) {
    const std::string_view name = trimmed(field);
    if (!seen.insert(name).second) return fail(fmt::format("two columns are named '{}'", shown(name)), file);
    header.emplace_back(name);
  }
  auto columns = find_columns(header, options_);
  if (!columns) {
    columns.error().file = file;
    return std::unexpected(std::move(columns.error()));
  }
  columns_ = std::move(*columns);
  builder_.saw_columns(header);
  has_header_ = true;
  parts_.resize(kBlocksAtOnce);
  for (BattlePart& part : parts_) {
    for (const auto& code : columns_.codes) part.codes.emplace_back().name = code.name;
    for (const auto& style : columns_.style) part.style.emplace_back().name = style.name;
    if (columns_.response_a == kNoColumn) continue;
    for (const std::string_view name : kTextStyles) part.style.emplace_back().name = name;
  }
  return end;
}

/// Blocks of whole lines, where there are no quotes.
std::vector<BattleCsv::Block> BattleCsv::line_blocks(std::string_view bytes, std::size_t at,
                                                     bool last) const {
  std::vector<Block> blocks;
  while (blocks.size() < kBlocksAtOnce && at < bytes.size()) {
    const std::uint64_t limit = ((offset_ + at) / block_ + 1) * block_ - offset_;
    std::size_t end = npos;
    if (limit <= bytes.size()) end = next_line_end(bytes, limit - 1);
    if (end == npos) {
      end = last ? bytes.size() - 1 : bytes.find_last_of("\r\n");
      if (end == npos || end < at) break;
    }
    blocks.push_back({at, end + 1});
    at = end + 1;
  }
  return blocks;
}

/// The same by following the grammar.
std::vector<BattleCsv::Block> BattleCsv::exact_blocks(std::string_view bytes, std::size_t at,
                                                      bool last) const {
  std::vector<Block> blocks;
  CsvRecordEnd record_end;
  std::size_t begin = at;
  while (blocks.size() < kBlocksAtOnce && at < bytes.size()) {
    std::size_t end = record_end.find(bytes, at);
    if (end == npos) {
      if (!last) break;
      end = bytes.size();
    }
    at = end;
    if ((offset_ + at) / block_ == (offset_ + begin) / block_) continue;
    blocks.push_back({begin, at});
    begin = at;
  }
  if (begin < at) blocks.push_back({begin, at});
  return blocks;
}

Result<std::size_t> BattleCsv::feed(std::string_view bytes, bool last) {
  std::size_t at = 0;
  if (!has_header_) {
    AGON_ASSIGN(at, read_header(bytes, last));
    if (!has_header_) return std::size_t{0};
  }
  std::vector<char> plain(kBlocksAtOnce);
  while (at < bytes.size()) {
    if (skipping_) {
      const std::size_t end = skip_.find(bytes, at);
      skipping_ = end == npos;
      at = skipping_ ? bytes.size() : end;
      continue;
    }
    const std::vector<Block> blocks = quoted_ ? exact_blocks(bytes, at, last) : line_blocks(bytes, at, last);
    if (blocks.empty()) {
      if (bytes.size() - at <= options_.max_row_bytes) break;
      // The record is too long already: its end is looked for in bytes that are let go of.
      BattlePart& part = parts_[0];
      part.clear();
      ++part.records;
      (void)too_long(bytes.size() - at, part);
      AGON_TRY(builder_.merge({&part, 1}));
      skipping_ = true;
      skip_.reset();
      continue;
    }
    parallel_for(blocks.size(), [&](std::size_t k) {
      const std::string_view block = bytes.substr(blocks[k].begin, blocks[k].end - blocks[k].begin);
      parts_[k].clear();
      plain[k] = 1;
      if (quoted_) {
        read_exact(block, offset_ + blocks[k].begin, parts_[k]);
      } else {
        plain[k] = read_plain(block, offset_ + blocks[k].begin, parts_[k]);
      }
    });
    const auto count = static_cast<std::size_t>(
        std::find(plain.begin(), plain.begin() + std::ssize(blocks), 0) - plain.begin());
    AGON_TRY(builder_.merge(std::span(parts_).first(count)));
    at = count < blocks.size() ? blocks[count].begin : blocks.back().end;
    const Block& newest = blocks.back();
    quoted_ = count < blocks.size() ||
              (quoted_ && bytes.substr(newest.begin, newest.end - newest.begin).find('"') != npos);
  }
  offset_ += at;
  return at;
}

Status BattleCsv::read_all(ByteSource& source, const Progress& progress) {
  // Grows with the file: one of a hundred rows needs no large buffer.
  std::vector<char> buffer(std::size_t{1} << 16);
  const std::string stage = "reading " + builder_.source().path;
  std::size_t have = 0;
  for (bool last = false; !last;) {
    while (have < buffer.size() && !last) {
      AGON_ASSIGN(const std::size_t got, source.read(buffer.data() + have, buffer.size() - have));
      have += got;
      last = got == 0;
    }
    AGON_ASSIGN(const std::size_t used, feed({buffer.data(), have}, last));
    std::memmove(buffer.data(), buffer.data() + used, have - used);
    have -= used;
    if (buffer.size() < kBuffer || have == buffer.size()) buffer.resize(2 * buffer.size());
    if (progress) progress(stage, source.raw_bytes_read(), source.raw_size());
  }
  return {};
}

Status BattleCsv::read_all(int fd, std::uint64_t size, const Progress& progress) {
  // Not mapped: a mapping of a file that another program cuts short ends this one (SIGBUS), and copying
  // through a buffer that stays in the cache costs no more than the page faults.
  const std::string& file = builder_.source().path;
  const std::string stage = "reading " + file;
  std::size_t capacity = std::min<std::uint64_t>(kBuffer, size + 1);
  auto buffer = std::make_unique_for_overwrite<char[]>(capacity);
  std::size_t have = 0;
  for (std::uint64_t at = 0; at < size || size == 0;) {
    if (have == capacity) {
      auto wider = std::make_unique_for_overwrite<char[]>(2 * capacity);
      std::memcpy(wider.get(), buffer.get(), have);
      buffer = std::move(wider);
      capacity *= 2;
    }
    const auto fresh = static_cast<std::size_t>(std::min<std::uint64_t>(capacity - have, size - at));
    std::atomic<int> failed = 0;  // errno, or -1 at an early end
    parallel_chunks(fresh, std::size_t{1} << 20, [&](std::size_t begin, std::size_t end) {
      while (begin < end) {
        const ssize_t got =
            ::pread(fd, buffer.get() + have + begin, end - begin, static_cast<off_t>(at + begin));
        if (got < 0 && errno == EINTR) continue;
        if (got <= 0) {
          failed = got < 0 ? errno : -1;
          return;
        }
        begin += static_cast<std::size_t>(got);
      }
    });
    if (failed > 0) return fail(std::string("cannot read: ") + std::strerror(failed), file);
    if (failed < 0) return fail("the file became shorter while it was read", file);
    at += fresh;
    have += fresh;
    AGON_ASSIGN(const std::size_t used, feed({buffer.get(), have}, at == size));
    std::memmove(buffer.get(), buffer.get() + used, have - used);
    have -= used;
    if (progress) progress(stage, at, size);
    if (size == 0) break;
  }
  return {};
}

}  // namespace agon::battle_parts
