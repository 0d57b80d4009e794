// One JSON record as battles.
#include "agon/data/battle_json.h"

#include <fmt/format.h>
#include <simdjson.h>

#include <algorithm>
#include <array>
#include <cmath>
#include <unordered_map>

#include "agon/base/check.h"
#include "agon/data/battle_style.h"
#include "agon/data/vote_fields.h"
#include "agon/text/json.h"
#include "agon/text/json_value.h"

namespace agon::battle_parts {
namespace {

namespace dom = simdjson::dom;
using simdjson::dom::element_type;

constexpr std::size_t kMaxDepth = 64;
constexpr std::size_t kMaxCandidates = 100'000;  // of one prompt
// What arena-hard-auto compares with where its files name nobody.
constexpr std::string_view kArenaHardBaseline = "gpt-4-0314";

bool is_scalar(dom::element value) { return !value.is_array() && !value.is_object(); }

/// Text of a scalar, in `scratch` when it has to be made; of a list or an object its JSON.
std::string_view text_of(dom::element value, std::string& scratch) {
  return is_scalar(value) ? json_scalar_text(value, scratch) : scratch = simdjson::to_string(value);
}

std::unexpected<Error> in_field(std::string_view field, std::string message, std::string expected = {}) {
  Error error{.message = std::move(message)};
  error.column = shown(field);
  error.expected = std::move(expected);
  return std::unexpected(std::move(error));
}
std::unexpected<Error> wrong_type(std::string_view field, dom::element value, std::string expected) {
  return in_field(field, std::string(json_type_name(value)), std::move(expected));
}

/// A field of an object; null counts as absent.
bool get(dom::object object, std::string_view name, dom::element& value) {
  return object[name].get(value) == simdjson::SUCCESS && !value.is_null();
}

/// The name of a competitor in a field that has to be there.
Result<std::string_view> name_in(dom::object object, std::string_view field) {
  dom::element value;
  if (!get(object, field, value)) return in_field(field, "missing");
  if (!value.is_string()) return wrong_type(field, value, "a name");
  return std::string_view(value);
}

/// The sum of an object's numbers, also of objects inside; NAN when there is something else.
double sum_of(dom::element value, int depth = 0) {
  if (value.is_number()) {
    double number = 0;
    return value.get(number) == simdjson::SUCCESS ? number : std::numeric_limits<double>::quiet_NaN();
  }
  if (!value.is_object() || depth == 3) return std::numeric_limits<double>::quiet_NaN();
  double sum = 0;
  for (const auto field : dom::object(value)) sum += sum_of(field.value, depth + 1);
  return sum;
}

/// Calls `use` with every text of an answer: a string, a list of strings, or the messages of a
/// conversation that are the assistant's (`role` "assistant") or the user's ("user").
template <class Use>
void for_each_text(dom::element value, std::string_view role, const Use& use) {
  if (value.is_string()) return use(std::string_view(value));
  if (!value.is_array()) return;
  for (const dom::element item : dom::array(value)) {
    if (item.is_string()) {
      use(std::string_view(item));
      continue;
    }
    dom::element said, content;
    if (!item.is_object() || item["role"].get(said) != simdjson::SUCCESS || !said.is_string() ||
        item["content"].get(content) != simdjson::SUCCESS)
      continue;
    const std::string_view by(said);
    const bool user = by == "user" || by == "human" || by == "system";
    if (user != (role == "user")) continue;
    if (content.is_string()) use(std::string_view(content));
    if (!content.is_array()) continue;
    for (const dom::element part : dom::array(content)) {  // [{"type": "text", "text": ...}, ...]
      dom::element text;
      if (part.is_string()) use(std::string_view(part));
      if (part.is_object() && part["text"].get(text) == simdjson::SUCCESS && text.is_string())
        use(std::string_view(text));
    }
  }
}

TextStyle style_of_answer(dom::element answer) {
  TextStyle style{};
  if (answer.is_string()) return style_of_cell(std::string_view(answer));
  for_each_text(answer, "assistant", [&](std::string_view text) { add_text_style(style, text); });
  return style;
}

}  // namespace

struct BattleRecord::Impl {
  explicit Impl(const ReadBattles& read) : options(read), names(role_names(read)), keep(keeps_rows(read)) {
    for (std::size_t role = 0; role < kRoles; ++role) {
      for (std::size_t rank = 0; rank < names[role].size(); ++rank)
        roles[names[role][rank]].push_back(
            {static_cast<std::uint8_t>(role), static_cast<std::uint8_t>(rank)});
    }
    const bool automatic = asks_style(options, "auto");
    all_style = automatic || asks_style(options, "all");
    text_style = automatic || asks_style(options, "text");
    some_style = !options.style_columns.empty();
  }

  struct Place {
    std::uint8_t role, rank;
  };
  struct Found {  // the fields of a record by what they mean
    std::array<std::array<dom::element, 16>, kRoles> value;
    std::array<std::uint16_t, kRoles> ranks{};  // a bit for each rank that is there

    bool best(Role role, dom::element& out) const {
      const auto r = static_cast<std::size_t>(role);
      if (ranks[r] == 0) return false;
      out = value[r][static_cast<std::size_t>(std::countr_zero(ranks[r]))];
      return true;
    }
  };

  Result<dom::object> parse(std::string_view json);
  Status sort_fields(dom::object record);
  Result<bool> read_vote(dom::object record, BattlePart& part);
  Result<BattleLabel> read_label(BattlePart& part);
  Status read_competitors(std::string_view& first, std::string_view& second);
  Status read_games(dom::object record, BattlePart& part);
  Status read_preference(dom::object record, BattlePart& part);
  Status read_candidates(dom::object record, BattlePart& part);
  Status graded(std::string_view first, std::string_view second, double share, double weight,
                BattlePart& part);
  Result<double> read_weight();
  Result<std::int64_t> read_time();
  void keep_rest(dom::object record, std::int64_t time, BattlePart& part);
  void keep_code(std::string_view name, dom::element value, BattlePart& part, int depth);
  void keep_style(dom::object record, BattlePart& part);
  void keep_text_style(dom::object record, std::string_view a, std::string_view b, BattlePart& part);
  void keep_text_style(const TextStyle& a, const TextStyle& b, BattlePart& part);

  const ReadBattles options;
  const RoleNames names;
  const bool keep;
  bool all_style = false, text_style = false, some_style = false;
  std::unordered_map<std::string_view, std::vector<Place>> roles;
  dom::parser parser;
  std::string padded, scratch, scratch2;
  std::vector<std::string_view> keys;
  Found found;
  bool unknown_label = false;
};

BattleRecord::BattleRecord(const ReadBattles& options) : impl_(std::make_unique<Impl>(options)) {}
BattleRecord::~BattleRecord() = default;
BattleRecord::BattleRecord(BattleRecord&&) noexcept = default;

Result<dom::object> BattleRecord::Impl::parse(std::string_view json) {
  TextRepairs repairs;
  padded.assign(json);
  repair_json(padded, repairs);
  padded.reserve(padded.size() + simdjson::SIMDJSON_PADDING);
  if (parser.capacity() < padded.size() || parser.max_depth() != kMaxDepth) {
    if (parser.allocate(std::max(parser.capacity(), padded.size()), kMaxDepth) != simdjson::SUCCESS)
      return fail("out of memory for JSON");
  }
  dom::element document;
  const auto code = parser.parse(padded.data(), padded.size(), false).get(document);
  if (code == simdjson::DEPTH_ERROR)
    return fail(fmt::format("not valid JSON: nested deeper than {} levels", kMaxDepth));
  if (code != simdjson::SUCCESS)
    return fail(fmt::format("not valid JSON: {}", simdjson::error_message(code)));
  if (!document.is_object()) return wrong_type({}, document, "an object with one vote");
  return dom::object(document);
}

/// Finds the fields that mean something; no name may occur twice.
Status BattleRecord::Impl::sort_fields(dom::object record) {
  found.ranks.fill(0);
  keys.clear();
  for (const auto field : record) {
    keys.push_back(field.key);
    if (field.value.is_null()) continue;
    const auto meant = roles.find(field.key);
    if (meant == roles.end()) continue;
    for (const Place place : meant->second) {
      found.value[place.role][place.rank] = field.value;
      found.ranks[place.role] = static_cast<std::uint16_t>(found.ranks[place.role] | 1U << place.rank);
    }
  }
  std::ranges::sort(keys);
  const auto twice = std::ranges::adjacent_find(keys);
  if (twice != keys.end()) return in_field(*twice, "occurs twice");
  return {};
}

Result<double> BattleRecord::Impl::read_weight() {
  dom::element value;
  if (!found.best(Role::kWeight, value)) return 1.0;
  auto weight = battle_weight_of(is_scalar(value) ? text_of(value, scratch) : json_type_name(value));
  if (!weight) weight.error().column = "weight";
  return weight;
}

Result<std::int64_t> BattleRecord::Impl::read_time() {
  dom::element value;
  if (!keep || !found.best(Role::kTime, value)) return BattleRows::kNoTime;
  auto time = time_of(is_scalar(value) ? text_of(value, scratch) : json_type_name(value));
  if (!time) time.error().column = "time";
  return time;
}

Result<BattleLabel> BattleRecord::Impl::read_label(BattlePart& part) {
  unknown_label = false;
  constexpr std::array<Role, 3> kFlags = {Role::kFlagA, Role::kFlagB, Role::kFlagTie};
  constexpr std::array<std::string_view, 3> kNames = {"winner_model_a", "winner_model_b", "winner_tie"};
  dom::element value;
  if (std::ranges::any_of(kFlags, [&](Role role) { return found.best(role, value); })) {
    int flags[3];
    for (std::size_t i = 0; i < 3; ++i) {
      if (!found.best(kFlags[i], value))
        return in_field(kNames[i], "missing, where other winner fields are there");
      const std::string_view text = is_scalar(value) ? text_of(value, scratch) : json_type_name(value);
      flags[i] = vote_fields::flag_of(text);
      if (flags[i] < 0) return in_field(kNames[i], fmt::format("'{}' is neither 0 nor 1", shown(text)));
    }
    AGON_ASSIGN(const Outcome outcome, vote_fields::outcome_of(flags));
    return BattleLabel{outcome == Outcome::kA   ? BattleOutcome::kA
                       : outcome == Outcome::kB ? BattleOutcome::kB
                                                : BattleOutcome::kTie,
                       true};
  }
  if (!found.best(Role::kWinner, value)) {
    Error error{.message = "no winner"};
    error.expected = "winner, verdict or label, or winner_model_a, winner_model_b and winner_tie";
    return std::unexpected(std::move(error));
  }
  if (!is_scalar(value)) return wrong_type("winner", value, std::string(kKnownBattleLabels));
  const std::string_view text = text_of(value, scratch);
  const BattleLabel label = part.label(text);
  if (label.known) return label;
  unknown_label = true;
  Error error = BattlePart::unknown_label(text);
  error.column = "winner";
  return std::unexpected(std::move(error));
}

Status BattleRecord::Impl::read_competitors(std::string_view& first, std::string_view& second) {
  const auto r1 = static_cast<std::size_t>(Role::kFirst), r2 = static_cast<std::size_t>(Role::kSecond);
  unsigned a = found.ranks[r1], b = found.ranks[r2];
  if (options.first_column.empty() && options.second_column.empty())
    a = b = a & b;  // names that belong together
  if (a == 0 || b == 0) {
    const std::string& wanted = a == 0 ? options.first_column : options.second_column;
    if (!wanted.empty()) return in_field(wanted, "missing");
    Error error{.message = "no two fields name the competitors"};
    error.expected =
        "model_a and model_b, first_model and second_model, left and right, or names given by options";
    return std::unexpected(std::move(error));
  }
  const dom::element x = found.value[r1][static_cast<std::size_t>(std::countr_zero(a))];
  const dom::element y = found.value[r2][static_cast<std::size_t>(std::countr_zero(b))];
  for (const dom::element value : {x, y}) {
    if (!value.is_string() && !value.is_number())
      return wrong_type("model", value, "the name of a competitor");
  }
  first = text_of(x, scratch);
  second = text_of(y, scratch2);
  return {};
}

Result<bool> BattleRecord::Impl::read_vote(dom::object record, BattlePart& part) {
  AGON_ASSIGN(const BattleLabel label, read_label(part));
  AGON_ASSIGN(double weight, read_weight());
  if (label.strong) weight *= options.strong_weight;
  AGON_ASSIGN(const std::int64_t time, read_time());
  std::string_view first, second;
  AGON_TRY(read_competitors(first, second));
  if (weight == 0) return true;
  if (!part.add(first, second, label.outcome)) return std::unexpected(BattlePart::cannot_meet(first, second));
  if (weight != 1) part.set_weight(weight);
  if (!keep) return true;
  keep_rest(record, time, part);
  if (some_style) keep_style(record, part);
  dom::element a;
  if (text_style && get(record, "conversation_a", a)) {
    keep_text_style(record, "conversation_a", "conversation_b", part);
  } else if (text_style) {
    keep_text_style(record, "response_a", "response_b", part);
  }
  return true;
}

void BattleRecord::Impl::keep_rest(dom::object record, std::int64_t time, BattlePart& part) {
  if (time != BattleRows::kNoTime) part.set_time(time);
  for (const Role role : {Role::kVoter, Role::kLanguage, Role::kCategory, Role::kPrompt}) {
    const std::string_view name = code_name(role);
    if (std::ranges::find(options.code_columns, name) != options.code_columns.end()) continue;
    dom::element value;
    if (role == Role::kPrompt && options.prompt_column.empty() && get(record, "conversation_a", value)) {
      // An id is of the conversation there; a prompt is what the user said.
      scratch.clear();
      for_each_text(value, "user", [&](std::string_view text) { (scratch += text) += '\n'; });
      part.set_code(part.code_column(name), scratch);
      continue;
    }
    if (!found.best(role, value) || (role != Role::kPrompt && !is_scalar(value))) continue;
    part.set_code(part.code_column(name), text_of(value, scratch));
  }
  for (const std::string& name : options.code_columns) {
    dom::element value;
    if (get(record, name, value)) {
      keep_code(name, value, part, 0);
      continue;
    }
    // "a.b.c" may be a field inside others.
    dom::object inside = record;
    std::string_view path = name;
    for (std::size_t dot = path.find('.'); dot != std::string_view::npos; dot = path.find('.')) {
      if (!get(inside, path.substr(0, dot), value) || !value.is_object()) break;
      inside = dom::object(value);
      path.remove_prefix(dot + 1);
      if (get(inside, path, value)) {
        keep_code(name, value, part, 0);
        break;
      }
    }
  }
}

void BattleRecord::Impl::keep_code(std::string_view name, dom::element value, BattlePart& part, int depth) {
  if (value.is_object() && depth < 4) {
    for (const auto field : dom::object(value))
      keep_code(fmt::format("{}.{}", name, field.key), field.value, part, depth + 1);
  } else if (is_scalar(value) && !value.is_null() && part.codes.size() < 1000) {
    part.set_code(part.code_column(name), text_of(value, scratch));
  }
}

void BattleRecord::Impl::keep_style(dom::object record, BattlePart& part) {
  std::array<dom::object, 2> objects = {record};
  const std::size_t count = record["conv_metadata"].get(objects[1]) == simdjson::SUCCESS ? 2 : 1;
  for (const dom::object& object : std::span(objects).first(count)) {
    for (const auto field : object) {
      std::string other;
      const std::string name = paired_name(field.key, other);
      dom::element partner;
      if (name.empty() || other < field.key || object[other].get(partner) != simdjson::SUCCESS) continue;
      const bool asked = asks_style(options, name);
      if ((!asked && !all_style) || (!asked && roles.contains(field.key))) continue;
      const double a = sum_of(field.value), b = sum_of(partner);
      if (!asked && std::isnan(a) && std::isnan(b)) continue;  // no numbers, such as the texts
      if (part.style.size() >= 1000) break;
      part.set_style(part.style_column(name), static_cast<float>(a), static_cast<float>(b));
    }
  }
}

void BattleRecord::Impl::keep_text_style(const TextStyle& a, const TextStyle& b, BattlePart& part) {
  for (std::size_t k = 0; k < kTextStyles.size(); ++k)
    part.set_style(part.style_column(kTextStyles[k]), a[k], b[k]);
}

void BattleRecord::Impl::keep_text_style(dom::object record, std::string_view a, std::string_view b,
                                         BattlePart& part) {
  dom::element x, y;
  if (!get(record, a, x) || !get(record, b, y)) return;
  keep_text_style(style_of_answer(x), style_of_answer(y), part);
}

/// arena-hard-auto: two games a question, the baseline first as A and then as B.
Status BattleRecord::Impl::read_games(dom::object record, BattlePart& part) {
  unknown_label = false;
  AGON_ASSIGN(const std::string_view model, name_in(record, "model"));
  std::string_view baseline = kArenaHardBaseline;
  dom::element value;
  if (get(record, "baseline", value)) {
    if (!value.is_string()) return wrong_type("baseline", value, "a name");
    baseline = std::string_view(value);
  }
  AGON_ASSIGN(const std::int64_t time, read_time());
  dom::array games;
  if (record["games"].get(games) != simdjson::SUCCESS)
    return in_field("games", "not a list", "a list of two games");
  if (games.size() > 2) return in_field("games", fmt::format("{} games", games.size()), "two games");
  // All scores before any battle is added: a record is taken whole or not at all.
  struct Game {
    bool judged = false;
    BattleLabel label;
  };
  std::array<Game, 2> played;
  std::size_t count = 0;
  for (const dom::element game : games) {
    Game& one = played[count++];
    if (game.is_null()) continue;
    dom::element score;
    if (!game.is_object()) return wrong_type("games", game, "an object with a score");
    if (!get(dom::object(game), "score", score)) continue;
    if (!score.is_string()) return wrong_type("score", score, "A>>B, A>B, A=B, B>A or B>>A");
    one.judged = true;
    one.label = part.label(std::string_view(score));
    if (one.label.known) continue;
    unknown_label = true;
    Error error = BattlePart::unknown_label(std::string_view(score));
    error.column = "score";
    return std::unexpected(std::move(error));
  }
  for (std::size_t i = 0; i < count; ++i) {
    if (!played[i].judged) {
      part.unjudged(i == 0 ? "the first game has no score" : "the second game has no score");
      continue;
    }
    const double weight = played[i].label.strong ? options.strong_weight : 1;
    if (weight == 0) continue;
    if (!part.add(i == 0 ? baseline : model, i == 0 ? model : baseline, played[i].label.outcome))
      return std::unexpected(BattlePart::cannot_meet(baseline, model));
    if (weight != 1) part.set_weight(weight);
    if (keep) keep_rest(record, time, part);
  }
  return {};
}

Status BattleRecord::Impl::graded(std::string_view first, std::string_view second, double share,
                                  double weight, BattlePart& part) {
  const BattleOutcome outcome = share == 1     ? BattleOutcome::kA
                                : share == 0   ? BattleOutcome::kB
                                : share == 0.5 ? BattleOutcome::kTie
                                               : BattleOutcome::kShare;
  if (!part.add(first, second, outcome)) return std::unexpected(BattlePart::cannot_meet(first, second));
  if (outcome == BattleOutcome::kShare) part.set_share(share);
  if (weight != 1) part.set_weight(weight);
  return {};
}

/// alpaca_eval: preference is 1 for the first, 2 for the second, 1.5 (or 0) for neither, or between.
Status BattleRecord::Impl::read_preference(dom::object record, BattlePart& part) {
  unknown_label = false;
  AGON_ASSIGN(const std::string_view first, name_in(record, "generator_1"));
  AGON_ASSIGN(const std::string_view second, name_in(record, "generator_2"));
  AGON_ASSIGN(const double weight, read_weight());
  AGON_ASSIGN(const std::int64_t time, read_time());
  dom::element value;
  if (!get(record, "preference", value)) {
    part.unjudged("no preference");
    return {};
  }
  double preference = 0;
  if (value.get(preference) != simdjson::SUCCESS ||
      !((preference >= 1 && preference <= 2) || preference == 0)) {
    return in_field("preference", fmt::format("'{}' is no preference", shown(text_of(value, scratch))),
                    "a number from 1 (the first is better) to 2, or null");
  }
  if (preference == 0) preference = 1.5;
  if (weight == 0) return {};
  AGON_TRY(graded(first, second, 2 - preference, weight, part));
  if (!keep) return {};
  keep_rest(record, time, part);
  if (some_style) keep_style(record, part);
  if (text_style) keep_text_style(record, "output_1", "output_2", part);
  return {};
}

/// One prompt, a baseline's answer, and candidates with the probability that each beats it.
Status BattleRecord::Impl::read_candidates(dom::object record, BattlePart& part) {
  unknown_label = false;
  AGON_ASSIGN(const std::string_view baseline, name_in(record, "baseline"));
  dom::array candidates;
  if (record["candidates"].get(candidates) != simdjson::SUCCESS)
    return in_field("candidates", "not a list", "a list of answers");
  struct Candidate {
    std::string_view model;
    double share = 0;
    dom::element output;
    bool has_output = false;
  };
  std::vector<Candidate> graded_ones;
  for (const dom::element item : candidates) {
    if (!item.is_object()) return wrong_type("candidates", item, "an object with model and p_candidate_wins");
    if (graded_ones.size() == kMaxCandidates)
      return in_field("candidates", fmt::format("more than {}", kMaxCandidates));
    const dom::object candidate(item);
    AGON_ASSIGN(const std::string_view model, name_in(candidate, "model"));
    if (trimmed(model) == trimmed(baseline)) {  // as alpaca_eval's own sets have it; it says nothing
      part.unjudged(fmt::format("'{}' against itself", shown(model)));
      continue;
    }
    if (trimmed(model).empty() || trimmed(model).size() > kMaxName)
      return in_field("model", "no name of a competitor");
    dom::element value;
    if (!get(candidate, "p_candidate_wins", value)) {
      part.unjudged("a candidate has no p_candidate_wins");
      continue;
    }
    double wins = 0;
    if (value.get(wins) != simdjson::SUCCESS || !(wins >= 0 && wins <= 1))
      return in_field("p_candidate_wins",
                      fmt::format("'{}' is no probability", shown(text_of(value, scratch))),
                      "a number from 0 to 1");
    Candidate& one = graded_ones.emplace_back();
    one.model = model;
    one.share = 1 - wins;
    one.has_output = get(candidate, "output", one.output);
  }
  AGON_ASSIGN(const std::int64_t time, read_time());
  dom::element output;
  const bool has_output = text_style && get(record, "baseline_output", output);
  const TextStyle style = has_output ? style_of_answer(output) : TextStyle{};
  for (const Candidate& one : graded_ones) {
    AGON_TRY(graded(baseline, one.model, one.share, 1, part));
    if (!keep) continue;
    keep_rest(record, time, part);
    if (has_output && one.has_output) keep_text_style(style, style_of_answer(one.output), part);
  }
  return {};
}

bool BattleRecord::read(std::string_view json, BattlePart& part) {
  Impl& impl = *impl_;
  const bool stopped = part.error.has_value();  // at an unknown label: see which others there are
  ++part.records;
  const std::size_t before = part.size();
  const auto bad = [&](Error error) {
    AGON_CHECK(part.size() == before);
    const bool unknown = impl.unknown_label;
    const bool go_on = part.bad_row(std::move(error), impl.options.skip_bad);
    part.label_unknown = part.label_unknown || (unknown && !go_on);
    return go_on || unknown;
  };
  impl.unknown_label = false;
  auto record = impl.parse(json);
  if (!record) return stopped || bad(record.error());
  if (auto sorted = impl.sort_fields(*record); !sorted) return stopped || bad(sorted.error());
  if (stopped) {
    (void)impl.read_label(part);
    return true;
  }
  Status status;
  const auto has = [&](std::string_view name) { return std::ranges::binary_search(impl.keys, name); };
  if (has("games") && has("model")) {
    status = impl.read_games(*record, part);
  } else if (has("generator_1") && has("generator_2")) {
    status = impl.read_preference(*record, part);
  } else if (has("candidates") && has("baseline")) {
    status = impl.read_candidates(*record, part);
  } else if (auto vote = impl.read_vote(*record, part); !vote) {
    status = std::unexpected(std::move(vote.error()));
  }
  return status || bad(std::move(status.error()));
}

std::string_view BattleRecord::form_of(std::string_view json) {
  auto record = impl_->parse(json);
  if (!record || !impl_->sort_fields(*record)) return {};
  const auto has = [&](std::string_view name) { return std::ranges::binary_search(impl_->keys, name); };
  if (has("models") && has("X") && has("Y")) return "pair counts";
  if (has("games") && has("model")) return "arena-hard games";
  if (has("generator_1") && has("generator_2")) return "alpaca_eval preferences";
  if (has("candidates") && has("baseline")) return "graded candidates";
  if (has("conversation_a")) return "JSON conversations";
  return "JSON votes";
}

std::vector<std::string> BattleRecord::fields_of(std::string_view json) {
  std::vector<std::string> names;
  if (auto record = impl_->parse(json)) {
    for (const auto field : *record) names.emplace_back(field.key);
  }
  return names;
}

}  // namespace agon::battle_parts
