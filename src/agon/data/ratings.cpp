#include "agon/data/ratings.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <charconv>
#include <cmath>
#include <vector>

#include "agon/text/csv.h"
#include "agon/text/utf8.h"

namespace agon {

Result<Ratings> read_ratings(const std::string& path) {
  AGON_ASSIGN(auto source, open_bytes(path));
  AGON_ASSIGN(auto csv, CsvReader::open(std::move(source), path));
  const auto& header = csv.header();
  const auto model = std::ranges::find(header, "model");
  auto rating = header.end();
  for (const char* name : {"rating", "score", "elo"}) {
    if (rating == header.end()) rating = std::ranges::find(header, name);
  }
  if (model == header.end() || rating == header.end()) {
    auto error = csv.error_here(fmt::format(
        "missing column {}; found {}", model == header.end() ? "model" : "rating",
        fmt::join(header.begin(), header.begin() + std::min<std::ptrdiff_t>(20, std::ssize(header)), ", ")));
    repair_utf8(error.message);
    error.expected = "model and one of rating, score, elo";
    return std::unexpected(std::move(error));
  }
  const auto model_at = static_cast<std::size_t>(model - header.begin());
  const auto rating_at = static_cast<std::size_t>(rating - header.begin());
  const std::string rating_name = *rating;
  // `agon rank --by` writes several boards into one file: the first, of all votes, is the one that counts.
  const auto board = std::ranges::find(header, "board");
  std::string first_board;

  Ratings ratings;
  std::vector<std::string_view> fields;
  for (;;) {
    AGON_ASSIGN(const bool more, csv.next(fields));
    if (!more) break;
    if (board != header.end()) {
      const std::string_view own = fields[static_cast<std::size_t>(board - header.begin())];
      if (csv.record() == 1) first_board = own;
      if (own != first_board) continue;
    }
    std::string name(fields[model_at]);
    repair_utf8(name);
    if (name.empty()) return std::unexpected(csv.error_here("empty model name", "model"));
    const std::string_view cell = fields[rating_at];
    double value = 0;
    const auto [end, code] = std::from_chars(cell.data(), cell.data() + cell.size(), value);
    if (code != std::errc() || end != cell.data() + cell.size() || !std::isfinite(value)) {
      std::string shown(cell.substr(0, 40));
      repair_utf8(shown);
      auto error = csv.error_here(fmt::format("'{}' is no rating", shown), rating_name);
      error.expected = "a finite number";
      return std::unexpected(std::move(error));
    }
    if (!ratings.emplace(name, value).second)
      return std::unexpected(csv.error_here(fmt::format("model '{}' occurs twice", name), "model"));
  }
  if (ratings.empty()) return fail("no ratings in the file", path);
  return ratings;
}

}  // namespace agon
