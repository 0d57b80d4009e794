// JSON files of battles: records in batches on all threads, and pair counts.
#include <fmt/format.h>
#include <simdjson.h>

#include <algorithm>
#include <array>
#include <cmath>
#include <cstring>
#include <optional>

#include "agon/base/parallel.h"
#include "agon/data/battle_json.h"
#include "agon/text/json.h"

namespace agon::battle_parts {
namespace {

namespace dom = simdjson::dom;

constexpr std::size_t kBatchBytes = std::size_t{1} << 18;
constexpr std::size_t kBatches = 32;
constexpr std::size_t kMaxModels = 1'000'000;

/// Records that one thread reads.
struct Batch {
  std::string text;
  std::vector<std::size_t> ends;
  std::vector<std::pair<std::size_t, Error>> bad;  // records that could not be cut out, by their place
  void clear() {
    text.clear();
    ends.clear();
    bad.clear();
  }
};

void read_batch(const Batch& batch, BattleRecord& record, bool skip_bad, BattlePart& part) {
  std::size_t begin = 0, next_bad = 0;
  for (std::size_t i = 0; i < batch.ends.size(); ++i) {
    const std::string_view json = std::string_view(batch.text).substr(begin, batch.ends[i] - begin);
    begin = batch.ends[i];
    if (next_bad < batch.bad.size() && batch.bad[next_bad].first == i) {
      ++part.records;
      if (!part.error && !part.bad_row(batch.bad[next_bad].second, skip_bad)) return;
      ++next_bad;
      continue;
    }
    if (!record.read(json, part)) return;
  }
}

std::unexpected<Error> in_counts(const BattleBuilder& builder, std::string message, std::string field,
                                 std::string expected = {}) {
  Error error{.message = std::move(message), .file = builder.source().path, .column = std::move(field)};
  error.expected = std::move(expected);
  return std::unexpected(std::move(error));
}

/// A whole number from 0 to `limit`, also when it is written as 3.0.
bool whole(dom::element value, std::uint64_t limit, std::uint64_t& out) {
  double number = 0;
  if (value.get(out) == simdjson::SUCCESS) return out <= limit;
  if (!value.is_double() || value.get(number) != simdjson::SUCCESS) return false;
  if (!(number >= 0 && number <= 0x1p53) || number != std::floor(number)) return false;
  out = static_cast<std::uint64_t>(number);
  return out <= limit;
}

}  // namespace

Status read_pair_counts(std::string json, BattleBuilder& builder) {
  builder.source().form = "pair counts";
  TextRepairs repairs;
  repair_json(json, repairs);
  json.reserve(json.size() + simdjson::SIMDJSON_PADDING);
  dom::parser parser;
  dom::element document;
  const auto code = parser.parse(json.data(), json.size(), false).get(document);
  if (code != simdjson::SUCCESS)
    return in_counts(builder, fmt::format("not valid JSON: {}", simdjson::error_message(code)), {});
  if (!document.is_object()) return in_counts(builder, "not an object", {}, "models, X and Y");
  std::array<std::optional<dom::element>, 3> field;
  constexpr std::array<std::string_view, 3> kNames = {"models", "X", "Y"};
  for (const auto entry : dom::object(document)) {
    const auto k = static_cast<std::size_t>(std::ranges::find(kNames, entry.key) - kNames.begin());
    if (k == kNames.size()) continue;
    if (field[k]) return in_counts(builder, "occurs twice", std::string(entry.key));
    field[k] = entry.value;
  }
  std::array<dom::array, 3> list;
  for (std::size_t k = 0; k < 3; ++k) {
    if (!field[k]) return in_counts(builder, "missing", std::string(kNames[k]), "models, X and Y");
    if (field[k]->get(list[k]) != simdjson::SUCCESS)
      return in_counts(builder, "not a list", std::string(kNames[k]));
  }
  std::vector<std::uint32_t> number;
  NameTable names;
  for (const dom::element model : list[0]) {
    const std::string place = fmt::format("models[{}]", number.size());
    if (!model.is_string()) return in_counts(builder, "not a string", place, "the name of a model");
    const std::string_view name = trimmed(std::string_view(model));
    if (name.empty()) return in_counts(builder, "an empty name of a competitor", place);
    if (name.size() > kMaxName)
      return in_counts(builder, fmt::format("a name longer than {} bytes", kMaxName), place);
    if (number.size() == kMaxModels)
      return in_counts(builder, fmt::format("more than {} models", kMaxModels), place);
    if (names.add(name) != number.size())
      return in_counts(builder, fmt::format("'{}' occurs twice", shown(name)), place);
    number.push_back(builder.competitor(name));
  }
  auto x = list[1].begin();
  auto y = list[2].begin();
  for (std::uint64_t row = 0;; ++row, ++x, ++y) {
    const bool more_x = x != list[1].end(), more_y = y != list[2].end();
    if (!more_x && !more_y) break;
    if (!more_x || !more_y)
      return in_counts(
          builder,
          fmt::format("X and Y differ in length: {} has more than {} entries", more_x ? "X" : "Y", row), "Y");
    const std::string place_x = fmt::format("X[{}]", row), place_y = fmt::format("Y[{}]", row);
    std::array<std::uint64_t, 2> pair{};
    std::array<std::uint64_t, kBattleClasses> counts{};
    dom::array items;
    if ((*x).get(items) != simdjson::SUCCESS || items.size() != 2)
      return in_counts(builder, "not a list of two numbers", place_x);
    std::size_t k = 0;
    for (const dom::element item : items) {
      if (number.empty() || !whole(item, number.size() - 1, pair[k++]))
        return in_counts(builder, fmt::format("'{}' is no model's number", shown(simdjson::to_string(item))),
                         place_x, fmt::format("0 to {}", std::int64_t(number.size()) - 1));
    }
    if (pair[0] == pair[1])
      return in_counts(builder, fmt::format("'{}' against itself", shown(names.name(pair[0]))), place_x);
    if ((*y).get(items) != simdjson::SUCCESS || (items.size() != 4 && items.size() != 3))
      return in_counts(builder, "not a list of four numbers", place_y, "wins of each, ties, both bad");
    k = 0;
    for (const dom::element item : items) {
      // Sums stay far below 2^63 and whole in doubles.
      if (!whole(item, std::uint64_t{1} << 40, counts[k++]))
        return in_counts(builder, fmt::format("'{}' is no count", shown(simdjson::to_string(item))), place_y,
                         "a whole number of at least 0");
    }
    auto added = builder.add_counts(number[pair[0]], number[pair[1]], counts);
    if (!added) {
      added.error().column = place_y;
      return added;
    }
  }
  return {};
}

Status read_json_battles(std::unique_ptr<ByteSource> source, const ReadBattles& options,
                         BattleBuilder& builder, const Progress& progress) {
  const std::string& path = builder.source().path;
  const std::string stage = "reading " + path;
  JsonRecordReader records(std::move(source), path, options.max_row_bytes);
  std::vector<Batch> batches(kBatches);
  std::vector<BattlePart> parts(kBatches);
  BattleRecordPool pool(options);
  bool first = true, end = false;
  std::optional<Error> broken;
  while (!end) {
    std::size_t used = 0;
    for (Batch& batch : batches) {
      batch.clear();
      while (!end && batch.text.size() < kBatchBytes) {
        std::string_view json;
        auto got = records.next(json);
        if (!got) {
          if (records.broken()) {
            broken = std::move(got.error());
            end = true;
            break;
          }
          batch.bad.emplace_back(batch.ends.size(), std::move(got.error()));
          batch.ends.push_back(batch.text.size());
          continue;
        }
        if (!*got) {
          end = true;
          break;
        }
        if (first) {
          first = false;
          BattleRecord look(options);
          builder.source().form = look.form_of(json);
          if (builder.source().form == "pair counts") return read_pair_counts(std::string(json), builder);
          builder.saw_columns(look.fields_of(json));
        }
        batch.text.append(json);
        batch.ends.push_back(batch.text.size());
      }
      if (batch.ends.empty()) break;
      ++used;
    }
    parallel_for(used, [&](std::size_t k) {
      BattleRecord record = pool.borrow();
      parts[k].clear();
      read_batch(batches[k], record, options.skip_bad, parts[k]);
      pool.give_back(std::move(record));
    });
    AGON_TRY(builder.merge(std::span(parts).first(used)));
    if (progress) progress(stage, records.source().raw_bytes_read(), records.source().raw_size());
  }
  if (broken) return std::unexpected(std::move(*broken));
  return {};
}

}  // namespace agon::battle_parts
