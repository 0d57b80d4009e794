// Whatever a file of battles holds, reading ends in a set that keeps its promises or in an Error; and a CSV
// gives the same by tiny blocks fed in pieces as it does whole.
#include <cmath>
#include <string>

#include "agon/base/check.h"
#include "agon/data/battle_csv.h"
#include "agon/data/battles.h"
#include "agon/text/utf8.h"

using namespace agon;

namespace {

bool same(double x, double y) { return x == y; }

void check_pairs(const PairTable& x, const PairTable& y) {
  AGON_CHECK(x.size() == y.size());
  for (std::size_t i = 0; i < x.size(); ++i) {
    AGON_CHECK(x[i].first == y[i].first && x[i].second == y[i].second && x[i].battles == y[i].battles);
    for (std::size_t k = 0; k < kBattleClasses; ++k)
      AGON_CHECK(same(x[i].weight[k], y[i].weight[k]) && same(x[i].weight_sq[k], y[i].weight_sq[k]));
    AGON_CHECK(same(x[i].cross, y[i].cross));
  }
}

void check_set(const BattleSet& set, const ReadBattles& options) {
  const std::size_t n = set.competitors.size();
  for (const std::string& name : set.competitors) AGON_CHECK(!name.empty() && is_valid_utf8(name));
  for (std::size_t i = 0; i < set.pairs.size(); ++i) {
    const PairCount& pair = set.pairs[i];
    AGON_CHECK(pair.first < n && pair.second < n && pair.first != pair.second && pair.battles > 0);
    AGON_CHECK(!(pair.total() < 0) && !std::isnan(pair.total()));
    if (i > 0)
      AGON_CHECK(std::pair(set.pairs[i - 1].first, set.pairs[i - 1].second) <
                 std::pair(pair.first, pair.second));
  }
  AGON_CHECK(set.battles() == set.sources.at(0).rows);
  const BattleRows& rows = set.rows;
  if (!battle_parts::keeps_rows(options)) {
    AGON_CHECK(rows.size() == 0);
    return;
  }
  AGON_CHECK(rows.size() == set.battles() && rows.b.size() == rows.size() &&
             rows.outcome.size() == rows.size());
  for (const std::size_t size : {rows.share.size(), rows.weight.size(), rows.time.size()})
    AGON_CHECK(size == 0 || size == rows.size());
  for (const CodeColumn& column : rows.codes) {
    AGON_CHECK(column.code.size() == rows.size());
    for (const std::uint32_t code : column.code)
      AGON_CHECK(code == CodeColumn::kNone || code < column.names.size());
    // 100 bytes of the file, each at worst three of U+FFFD.
    for (const std::string& name : column.names) AGON_CHECK(is_valid_utf8(name) && name.size() <= 300);
  }
  for (const PairedColumn& column : rows.style)
    AGON_CHECK(column.a.size() == rows.size() && column.b.size() == rows.size());
  for (std::size_t i = 0; i < rows.size(); ++i) {
    if (rows.outcome[i] != BattleOutcome::kShare) continue;
    AGON_CHECK(rows.share[i] >= 0 && rows.share[i] <= 1);
  }
  check_pairs(count_pairs(rows, n), set.pairs);
}

/// The file by blocks of a few bytes; compared with what it gave whole.
void check_blocks(const std::string& bytes, const ReadBattles& options, std::size_t block,
                  const Result<BattleSet>& whole) {
  using namespace battle_parts;
  BattleBuilder builder(options);
  builder.begin_source("f");
  BattleCsv csv(options, builder, block);
  std::size_t at = 0;
  for (std::size_t given = 0; given < bytes.size() || given == 0;) {
    given = std::min(bytes.size(), given + 1 + 3 * block);
    const auto used = csv.feed(std::string_view(bytes).substr(at, given - at), given == bytes.size());
    if (!used) {
      AGON_CHECK(!whole && whole.error().row == used.error().row);
      return;
    }
    at += *used;
    if (bytes.empty()) break;
  }
  if (builder.source().rows == 0) {
    AGON_CHECK(!whole);
    return;
  }
  const auto set = std::move(builder).finish();
  AGON_CHECK(set.has_value() == whole.has_value());
  if (!set) return;
  AGON_CHECK(set->competitors == whole->competitors && set->rows.a == whole->rows.a &&
             set->rows.b == whole->rows.b);
  AGON_CHECK(set->rows.outcome == whole->rows.outcome &&
             set->sources[0].skipped == whole->sources[0].skipped);
  check_pairs(set->pairs, whole->pairs);
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  if (size == 0) return 0;
  const std::string bytes(reinterpret_cast<const char*>(data) + 1, size - 1);
  ReadBattles options;
  options.skip_bad = (data[0] & 1) != 0;
  if ((data[0] & 4) != 0) options.style_columns = {"all", "text"};
  if ((data[0] & 8) != 0) options.code_columns = {"tag"};
  options.keep_rows = (data[0] & 2) != 0;
  // Pair counts may stand for more rows than there is time for; escapes hide their names.
  if (bytes.find("X\"") != std::string::npos || bytes.find("\\u") != std::string::npos) {
    options.keep_rows = false;
    options.style_columns = options.code_columns = {};
  }
  options.max_row_bytes = 500;
  const auto set = read_battles_from_memory(bytes, "f", options);
  if (set) {
    check_set(*set, options);
  } else {
    AGON_CHECK(is_valid_utf8(set.error().to_string()));
  }
  // Archives and JSON are told by their first bytes.
  const std::size_t start = bytes.find_first_not_of("\xEF\xBB\xBF \t\r\n");
  const bool csv = start == std::string::npos || (bytes[start] != '{' && bytes[start] != '[');
  const bool archive =
      bytes.starts_with("\x1f\x8b") || bytes.starts_with("\x28\xb5\x2f\xfd") ||
      (bytes.size() >= 4 && (bytes[0] & 0xf0) == 0x50 && bytes.substr(1, 3) == "\x2a\x4d\x18");
  if (csv && !archive) check_blocks(bytes, options, 1 + data[0] / 16, set);
  return 0;
}
