// Reading of predictions, for measuring a file that anyone may have written.
#include <fmt/format.h>
#include <simdjson.h>

#include <algorithm>
#include <array>
#include <charconv>
#include <cmath>
#include <unordered_set>

#include "agon/data/submission.h"
#include "agon/text/csv.h"
#include "agon/text/json.h"
#include "agon/text/utf8.h"

namespace agon {
namespace {

using Row = std::pair<std::string, Prediction>;
constexpr std::array<std::string_view, 4> kNames = {"id", "winner_model_a", "winner_model_b", "winner_tie"};
constexpr double kTolerance = 1e-3;

/// Collects rows and refuses what is no prediction. `Place` makes an Error at the current row.
class Collector {
 public:
  template <class Place>
  Status add(std::string id, const std::array<double, 3>& p, Place&& place) {
    for (std::size_t i = 0; i < 3; ++i) {
      if (std::isfinite(p[i]) && p[i] >= 0 && p[i] <= 1) continue;
      Error error = place(fmt::format("{} is no probability", p[i]), std::string(kNames[i + 1]));
      error.expected = "a number from 0 to 1";
      return std::unexpected(std::move(error));
    }
    const double sum = (p[0] + p[1]) + p[2];
    if (std::abs(sum - 1) > kTolerance) {
      Error error = place(fmt::format("the three probabilities sum to {:.6g}", sum), {});
      error.expected = "1, within 0.001";
      return std::unexpected(std::move(error));
    }
    if (!seen_.insert(id).second)
      return std::unexpected(place(fmt::format("id '{}' occurs twice", id.substr(0, 80)), "id"));
    rows.emplace_back(std::move(id), Prediction{p[0] / sum, p[1] / sum, p[2] / sum});
    return {};
  }
  std::vector<Row> rows;

 private:
  std::unordered_set<std::string> seen_;
};

Result<std::vector<Row>> read_csv(std::unique_ptr<ByteSource> source, const std::string& path) {
  AGON_ASSIGN(auto csv, CsvReader::open(std::move(source), path));
  std::array<std::size_t, 4> at{};
  for (std::size_t i = 0; i < 4; ++i) {
    const auto found = std::ranges::find(csv.header(), kNames[i]);
    if (found == csv.header().end()) {
      auto error = csv.error_here(fmt::format("missing column {}", kNames[i]));
      error.expected = "id, winner_model_a, winner_model_b, winner_tie";
      return std::unexpected(std::move(error));
    }
    at[i] = static_cast<std::size_t>(found - csv.header().begin());
  }
  Collector collector;
  std::vector<std::string_view> fields;
  for (;;) {
    AGON_ASSIGN(const bool more, csv.next(fields));
    if (!more) break;
    const auto place = [&](std::string message, std::string column) {
      return csv.error_here(std::move(message), std::move(column));
    };
    std::array<double, 3> p{};
    for (std::size_t i = 0; i < 3; ++i) {
      const std::string_view cell = fields[at[i + 1]];
      const auto [end, code] = std::from_chars(cell.data(), cell.data() + cell.size(), p[i]);
      if (code == std::errc() && end == cell.data() + cell.size() && !cell.empty()) continue;
      std::string shown(cell.substr(0, 40));
      repair_utf8(shown);
      Error error = place(fmt::format("'{}' is no probability", shown), std::string(kNames[i + 1]));
      error.expected = "a number from 0 to 1";
      return std::unexpected(std::move(error));
    }
    std::string id(fields[at[0]]);
    repair_utf8(id);
    AGON_TRY(collector.add(std::move(id), p, place));
  }
  return std::move(collector.rows);
}

Result<std::vector<Row>> read_jsonl(std::unique_ptr<ByteSource> source, const std::string& path) {
  JsonRecordReader records(std::move(source), path, std::uint64_t{1} << 20);
  simdjson::dom::parser parser;
  Collector collector;
  for (;;) {
    std::string_view json;
    AGON_ASSIGN(const bool more, records.next(json));
    if (!more) break;
    const auto place = [&](std::string message, std::string field) {
      return records.error_here(std::move(message), std::move(field));
    };
    std::string text(json);
    TextRepairs repairs;
    repair_json(text, repairs);
    simdjson::dom::object object;
    if (parser.parse(text).get(object) != simdjson::SUCCESS)
      return std::unexpected(place("not a JSON object", {}));
    std::array<double, 3> p{};
    for (std::size_t i = 0; i < 3; ++i) {
      if (object[kNames[i + 1]].get(p[i]) == simdjson::SUCCESS) continue;
      Error error = place("missing, or not a number", std::string(kNames[i + 1]));
      error.expected = "a number from 0 to 1";
      return std::unexpected(std::move(error));
    }
    simdjson::dom::element id;
    if (object["id"].get(id) != simdjson::SUCCESS) return std::unexpected(place("missing", "id"));
    std::string name;
    if (id.is_string()) {
      name = std::string_view(id);
    } else if (id.is_int64() || id.is_uint64()) {
      name = simdjson::minify(id);
    } else {
      return std::unexpected(place("neither a string nor a whole number", "id"));
    }
    AGON_TRY(collector.add(std::move(name), p, place));
  }
  return std::move(collector.rows);
}

}  // namespace

Result<std::vector<Row>> read_submission(const std::string& path) {
  // A submission is small (some 50 bytes a row): read whole, so that its first byte can be looked at.
  AGON_ASSIGN(std::string bytes, read_file(path));
  const std::size_t first = bytes.find_first_not_of("\xEF\xBB\xBF \t\r\n");
  const bool json = first != std::string::npos && (bytes[first] == '{' || bytes[first] == '[');
  AGON_ASSIGN(auto source, open_memory(std::move(bytes), path));
  return json ? read_jsonl(std::move(source), path) : read_csv(std::move(source), path);
}

}  // namespace agon
