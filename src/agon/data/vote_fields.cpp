#include "agon/data/vote_fields.h"

#include <fmt/format.h>

#include <charconv>
#include <cmath>

namespace agon::vote_fields {
namespace {

char lower(char c) { return c >= 'A' && c <= 'Z' ? static_cast<char>(c - 'A' + 'a') : c; }

std::string_view trimmed(std::string_view text) {
  while (!text.empty() && (text.front() == ' ' || text.front() == '\t')) text.remove_prefix(1);
  while (!text.empty() && (text.back() == ' ' || text.back() == '\t')) text.remove_suffix(1);
  return text;
}

bool parse_number(std::string_view text, double& value) {
  text = trimmed(text);
  if (text.starts_with('+')) text.remove_prefix(1);
  const auto [end, code] = std::from_chars(text.data(), text.data() + text.size(), value);
  return code == std::errc() && end == text.data() + text.size() && !text.empty();
}

/// At most 40 bytes of a cell, for a message; cut at a whole character.
std::string shown(std::string_view cell) {
  if (cell.size() <= 40) return std::string(cell);
  std::size_t end = 40;
  while (end > 0 && (cell[end] & '\xC0') == '\x80') --end;
  return std::string(cell.substr(0, end)) + "...";
}

}  // namespace

Result<Label> label_of(std::string_view winner) {
  std::string folded;  // "Tie (both bad)" and "tie_bothbad" are one label
  for (const char c : winner.substr(0, 100)) {
    const char l = lower(c);
    if ((l >= 'a' && l <= 'z') || (l >= '0' && l <= '9')) folded += l;
  }
  if (folded == "modela" || folded == "a") return Label{Outcome::kA};
  if (folded == "modelb" || folded == "b") return Label{Outcome::kB};
  if (folded == "tie") return Label{Outcome::kTie};
  if (folded == "tiebothbad" || folded == "bothbad") return Label{Outcome::kTie, true};
  auto error = fail(fmt::format("unknown label '{}'", shown(winner)));
  error.error().expected = kKnownLabels;
  return error;
}

int flag_of(std::string_view cell) {
  cell = trimmed(cell);
  if (cell == "0") return 0;
  if (cell == "1") return 1;
  double value = 0;
  if (parse_number(cell, value)) return value == 0 ? 0 : value == 1 ? 1 : -1;
  std::string folded;
  for (const char c : cell.substr(0, 6)) folded += lower(c);
  return folded == "true" ? 1 : folded == "false" ? 0 : -1;
}

Result<Outcome> outcome_of(const int (&flags)[3]) {
  static constexpr std::string_view kNames[] = {"winner_model_a", "winner_model_b", "winner_tie"};
  const int sum = flags[0] + flags[1] + flags[2];
  if (sum == 1) return flags[0] == 1 ? Outcome::kA : flags[1] == 1 ? Outcome::kB : Outcome::kTie;
  if (sum == 0) return fail("no winner: winner_model_a, winner_model_b and winner_tie are all 0");
  if (sum == 3) return fail("three winners: winner_model_a, winner_model_b and winner_tie are all 1");
  const int first = flags[0] == 1 ? 0 : 1;
  const int second = flags[2] == 1 ? 2 : 1;
  return fail(fmt::format("two winners: {} and {} are both 1", kNames[first], kNames[second]));
}

Result<double> weight_of(std::string_view cell) {
  double value = 0;
  if (parse_number(cell, value) && std::isfinite(value) && value > 0) return value;
  auto error = fail(fmt::format("'{}' is no weight", shown(cell)));
  error.error().expected = "a finite number above 0";
  return error;
}

void finish_vote(Vote& vote, ReadCounts& counts) {
  for (Turns* turns : {&vote.prompt, &vote.response_a, &vote.response_b}) {
    if (turns->empty()) turns->push_back({.text = {}, .null = true});
    for (const Turn& turn : *turns) counts.null_turns += turn.null;
  }
  counts.turn_mismatches +=
      vote.prompt.size() != vote.response_a.size() || vote.prompt.size() != vote.response_b.size();
}

std::size_t text_bytes(const Vote& vote) {
  std::size_t bytes = 0;
  for (const Turns* turns : {&vote.prompt, &vote.response_a, &vote.response_b}) {
    for (const Turn& turn : *turns) bytes += turn.text.size();
  }
  return bytes;
}

Result<std::size_t> RowReader::read(std::vector<Vote>& out, std::size_t max_rows, std::size_t max_bytes) {
  std::size_t rows = 0, bytes = 0;
  while (rows < max_rows && bytes < max_bytes) {
    Vote vote;
    TextRepairs repairs;
    auto got = read_row(vote, repairs);
    if (!got) {
      if (!options_.skip_bad || broken()) return std::unexpected(std::move(got.error()));
      ++counts_.skipped;
      if (counts_.skip_list.size() < 100) counts_.skip_list.push_back(std::move(got.error()));
      continue;
    }
    if (!*got) break;
    finish_vote(vote, counts_);
    counts_.lone_surrogates += repairs.lone_surrogates;
    counts_.invalid_utf8 += repairs.invalid_utf8;
    ++counts_.rows;
    bytes += text_bytes(vote);
    out.push_back(std::move(vote));
    ++rows;
  }
  return rows;
}

double RowReader::fraction_read() const {
  const auto size = static_cast<double>(source().raw_size());
  return size > 0 ? std::min(1.0, static_cast<double>(source().raw_bytes_read()) / size) : 0.0;
}

}  // namespace agon::vote_fields
