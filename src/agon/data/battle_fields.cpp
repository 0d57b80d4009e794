#include "agon/data/battle_fields.h"

#include <fmt/format.h>

#include <algorithm>
#include <charconv>
#include <chrono>
#include <cmath>

#include "agon/data/vote_fields.h"
#include "agon/text/utf8.h"

namespace agon::battle_parts {
namespace {

/// Digits at `at`, `count` of them, as a number; -1 when there are others. Moves `at` behind them.
int digits(std::string_view text, std::size_t& at, std::size_t count) {
  if (at + count > text.size()) return -1;
  int value = 0;
  for (std::size_t i = 0; i < count; ++i) {
    const char c = text[at + i];
    if (c < '0' || c > '9') return -1;
    value = value * 10 + (c - '0');
  }
  at += count;
  return value;
}

bool take(std::string_view text, std::size_t& at, char c) {
  if (at >= text.size() || text[at] != c) return false;
  ++at;
  return true;
}

/// ISO 8601 in its extended form; false when it is something else.
bool iso_time(std::string_view text, std::int64_t& milliseconds) {
  using namespace std::chrono;
  std::size_t at = 0;
  const int y = digits(text, at, 4);
  if (y < 0 || !take(text, at, '-')) return false;
  const int m = digits(text, at, 2);
  if (m < 1 || !take(text, at, '-')) return false;
  const int d = digits(text, at, 2);
  const year_month_day date{year(y), month(static_cast<unsigned>(m)),
                            day(d < 0 ? 0U : static_cast<unsigned>(d))};
  if (!date.ok()) return false;
  std::int64_t ms = std::int64_t{sys_days(date).time_since_epoch().count()} * 86'400'000;
  if (at < text.size()) {
    if (text[at] != 'T' && text[at] != 't' && text[at] != ' ') return false;
    ++at;
    const int hours = digits(text, at, 2);
    if (hours < 0 || hours > 24 || !take(text, at, ':')) return false;
    const int minutes = digits(text, at, 2);
    if (minutes < 0 || minutes > 59) return false;
    ms += hours * std::int64_t{3'600'000} + minutes * std::int64_t{60'000};
    if (take(text, at, ':')) {
      const int seconds = digits(text, at, 2);
      if (seconds < 0 || seconds > 60) return false;
      ms += seconds * std::int64_t{1000};
      if (at < text.size() && (text[at] == '.' || text[at] == ',')) {
        ++at;
        int scale = 100, any = 0;
        for (; at < text.size() && text[at] >= '0' && text[at] <= '9'; ++at, scale /= 10, any = 1)
          ms += (text[at] - '0') * scale;
        if (any == 0) return false;
      }
    }
    take(text, at, ' ');
    if (at < text.size() && (text[at] == 'Z' || text[at] == 'z')) {
      ++at;
    } else if (text.substr(at) == "UTC") {
      at += 3;
    } else if (at < text.size() && (text[at] == '+' || text[at] == '-')) {
      const int sign = text[at++] == '+' ? 1 : -1;
      const int zone_hours = digits(text, at, 2);
      int zone_minutes = 0;
      if (at < text.size()) {
        take(text, at, ':');
        zone_minutes = digits(text, at, 2);
      }
      if (zone_hours < 0 || zone_hours > 23 || zone_minutes < 0 || zone_minutes > 59) return false;
      ms -= sign * (zone_hours * std::int64_t{3'600'000} + zone_minutes * std::int64_t{60'000});
    }
  }
  milliseconds = ms;
  return at == text.size();
}

}  // namespace

bool asks_style(const ReadBattles& options, std::string_view name) {
  return std::ranges::find(options.style_columns, name) != options.style_columns.end();
}

RoleNames role_names(const ReadBattles& options) {
  RoleNames names;
  const auto at = [&](Role role) -> std::vector<std::string>& {
    return names[static_cast<std::size_t>(role)];
  };
  at(Role::kFirst) = {"model_a",  "first_model",  "model_1", "model1", "model_left",
                      "player_a", "competitor_a", "left",    "first",  "a"};
  at(Role::kSecond) = {"model_b",  "second_model", "model_2", "model2", "model_right",
                       "player_b", "competitor_b", "right",   "second", "b"};
  at(Role::kWinner) = {"winner", "verdict", "label", "outcome", "result", "vote", "preferred"};
  at(Role::kFlagA) = {"winner_model_a"};
  at(Role::kFlagB) = {"winner_model_b"};
  at(Role::kFlagTie) = {"winner_tie"};
  at(Role::kWeight) = {"weight"};
  at(Role::kTime) = {"timestamp", "tstamp", "time", "created_at", "datetime", "date"};
  at(Role::kVoter) = {"voter",     "voter_id", "judge",     "judge_hash",   "evaluation_session_id",
                      "user",      "user_id",  "annotator", "annotator_id", "worker",
                      "worker_id", "rater"};
  at(Role::kPrompt) = {"prompt_id", "question_id", "prompt_hash", "prompt", "instruction"};
  at(Role::kLanguage) = {"language", "lang"};
  at(Role::kCategory) = {"category"};
  const auto set = [&](Role role, const std::string& name) {
    if (!name.empty()) at(role) = {name};
  };
  set(Role::kFirst, options.first_column);
  set(Role::kSecond, options.second_column);
  set(Role::kWinner, options.winner_column);
  if (!options.winner_column.empty()) {  // then the flags are not asked
    for (const Role role : {Role::kFlagA, Role::kFlagB, Role::kFlagTie}) at(role).clear();
  }
  set(Role::kWeight, options.weight_column);
  set(Role::kTime, options.time_column);
  set(Role::kVoter, options.voter_column);
  set(Role::kPrompt, options.prompt_column);
  return names;
}

std::string_view code_name(Role role) {
  switch (role) {
    case Role::kVoter:
      return "voter";
    case Role::kPrompt:
      return "prompt";
    case Role::kLanguage:
      return "language";
    case Role::kCategory:
      return "category";
    default:
      return {};
  }
}

BattleLabel battle_label_of(std::string_view text) {
  // Arena-hard's signs first: they differ in punctuation only.
  std::string signs;
  for (const char c : text.substr(0, 40)) {
    if (c != ' ' && c != '[' && c != ']') signs += c;
  }
  struct Sign {
    std::string_view text;
    BattleOutcome outcome;
    bool strong;
  };
  static constexpr Sign kSigns[] = {{"A>>B", BattleOutcome::kA, true},   {"B<<A", BattleOutcome::kA, true},
                                    {"A>B", BattleOutcome::kA, false},   {"B<A", BattleOutcome::kA, false},
                                    {"A=B", BattleOutcome::kTie, false}, {"B=A", BattleOutcome::kTie, false},
                                    {"B>A", BattleOutcome::kB, false},   {"A<B", BattleOutcome::kB, false},
                                    {"B>>A", BattleOutcome::kB, true},   {"A<<B", BattleOutcome::kB, true}};
  for (const Sign& sign : kSigns) {
    if (signs == sign.text) return {sign.outcome, true, sign.strong};
  }
  if (text.find_first_of("<>=") != std::string_view::npos) return {};
  if (const auto label = vote_fields::label_of(text)) {
    if (label->both_bad) return {BattleOutcome::kBothBad, true};
    return {label->outcome == Outcome::kA   ? BattleOutcome::kA
            : label->outcome == Outcome::kB ? BattleOutcome::kB
                                            : BattleOutcome::kTie,
            true};
  }
  std::string folded;
  for (const char c : text.substr(0, 40)) {
    if (c >= 'A' && c <= 'Z') folded += static_cast<char>(c - 'A' + 'a');
    if ((c >= 'a' && c <= 'z') || (c >= '0' && c <= '9')) folded += c;
  }
  for (const std::string_view a : {"left", "first", "firstmodel", "modelleft", "model1", "responsea",
                                   "answera", "assistanta", "awins", "winsa", "leftvote", "avote"}) {
    if (folded == a) return {BattleOutcome::kA, true};
  }
  for (const std::string_view b : {"right", "second", "secondmodel", "modelright", "model2", "responseb",
                                   "answerb", "assistantb", "bwins", "winsb", "rightvote", "bvote"}) {
    if (folded == b) return {BattleOutcome::kB, true};
  }
  for (const std::string_view tie : {"draw", "equal", "tied", "tievote"}) {
    if (folded == tie) return {BattleOutcome::kTie, true};
  }
  for (const std::string_view bad : {"bothbadvote", "neither", "botharebad"}) {
    if (folded == bad) return {BattleOutcome::kBothBad, true};
  }
  return {};
}

std::string shown(std::string_view text) {
  std::string out(text.substr(0, 60));
  if (text.size() > 60) {
    while (!out.empty() && (static_cast<unsigned char>(out.back()) & 0xC0) == 0x80) out.pop_back();
    if (!out.empty() && (static_cast<unsigned char>(out.back()) & 0x80) != 0) out.pop_back();
    out += "...";
  }
  repair_utf8(out);
  return out;
}

std::string listed(const std::vector<std::string>& names) {
  std::string out;
  for (std::size_t i = 0; i < names.size() && i < 20; ++i) out += (i == 0 ? "" : ", ") + shown(names[i]);
  if (names.size() > 20) out += fmt::format(" and {} more", names.size() - 20);
  return out;
}

bool number_of(std::string_view text, double& value) {
  text = trimmed(text);
  if (text.starts_with('+')) text.remove_prefix(1);
  const auto [end, code] = std::from_chars(text.data(), text.data() + text.size(), value);
  return code == std::errc() && end == text.data() + text.size() && !text.empty();
}

Result<double> battle_weight_of(std::string_view text) {
  double value = 0;
  if (number_of(text, value) && std::isfinite(value) && value >= 0) return value;
  auto error = fail(fmt::format("'{}' is no weight", shown(text)));
  error.error().expected = "a finite number of at least 0";
  return error;
}

Result<std::int64_t> time_of(std::string_view text) {
  text = trimmed(text);
  if (text.empty()) return BattleRows::kNoTime;
  std::int64_t milliseconds = 0;
  if (iso_time(text, milliseconds)) return milliseconds;
  double value = 0;
  if (number_of(text, value) && std::abs(value) < 1e20) {
    const double size = std::abs(value);
    const double ms = size < 1e11   ? value * 1e3
                      : size < 1e14 ? value
                      : size < 1e17 ? value / 1e3
                                    : value / 1e6;
    return std::int64_t{std::llround(ms)};
  }
  auto error = fail(fmt::format("'{}' is no time", shown(text)));
  error.error().expected = "seconds or milliseconds since 1970, or ISO 8601 as 2024-08-14T12:30:00Z";
  return error;
}

std::string paired_name(std::string_view name, std::string& other) {
  const auto is_part = [&](std::size_t i) {
    if (name[i] != 'a' && name[i] != 'b') return false;
    const bool opens = i == 0 || name[i - 1] == '_' || name[i - 1] == '.';
    const bool closes = i + 1 == name.size() || name[i + 1] == '_' || name[i + 1] == '.';
    return opens && closes && name.size() > 1;
  };
  for (std::size_t i = name.size(); i-- > 0;) {
    if (!is_part(i)) continue;
    other = name;
    other[i] = name[i] == 'a' ? 'b' : 'a';
    std::string base(name);
    base.erase(i == 0 ? 0 : i - 1, 2);
    return base;
  }
  return {};
}

}  // namespace agon::battle_parts
