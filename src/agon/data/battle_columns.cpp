// Which columns of a CSV of battles mean what.
#include <fmt/format.h>

#include <algorithm>

#include "agon/data/battle_csv.h"

namespace agon::battle_parts {
namespace {

constexpr std::size_t kNoColumn = BattleColumns::kNoColumn;

std::size_t place(const std::vector<std::string>& header, std::string_view name) {
  const auto found = std::ranges::find(header, name);
  return found == header.end() ? kNoColumn : static_cast<std::size_t>(found - header.begin());
}

std::unexpected<Error> missing(std::string message, const std::vector<std::string>& header,
                               std::string expected, bool usage) {
  Error error{.message = std::move(message) + "; found " + listed(header)};
  error.expected = std::move(expected);
  error.kind = usage ? ErrorKind::kUsage : ErrorKind::kData;
  return std::unexpected(std::move(error));
}

struct Finder {
  const std::vector<std::string>& header;
  const RoleNames names;

  std::size_t operator()(Role role) const {
    for (const std::string& name : names[static_cast<std::size_t>(role)]) {
      if (const std::size_t at = place(header, name); at != kNoColumn) return at;
    }
    return kNoColumn;
  }
};

/// The two competitors: names that belong together, or those that options give.
Status find_competitors(const Finder& find, const ReadBattles& options, BattleColumns& columns) {
  if (!options.first_column.empty() || !options.second_column.empty()) {
    columns.first = find(Role::kFirst);
    columns.second = find(Role::kSecond);
  } else {
    const auto& first = find.names[static_cast<std::size_t>(Role::kFirst)];
    const auto& second = find.names[static_cast<std::size_t>(Role::kSecond)];
    for (std::size_t k = 0; k < first.size() && columns.first == kNoColumn; ++k) {
      const std::size_t a = place(find.header, first[k]), b = place(find.header, second[k]);
      if (a == kNoColumn || b == kNoColumn) continue;
      columns.first = a;
      columns.second = b;
    }
  }
  for (const auto& [at, option] :
       {std::pair(columns.first, options.first_column), std::pair(columns.second, options.second_column)}) {
    if (at == kNoColumn && !option.empty())
      return missing(fmt::format("no column '{}'", shown(option)), find.header, {}, true);
  }
  if (columns.first == kNoColumn || columns.second == kNoColumn)
    return missing(
        "no two columns name the competitors", find.header,
        "model_a and model_b, first_model and second_model, left and right, or names given by options",
        false);
  if (columns.first == columns.second) return fail("both competitors are in one column");
  return {};
}

Status find_winner(const Finder& find, const ReadBattles& options, BattleColumns& columns) {
  const std::size_t flag[3] = {find(Role::kFlagA), find(Role::kFlagB), find(Role::kFlagTie)};
  const auto given = std::ranges::count_if(flag, [](std::size_t at) { return at != kNoColumn; });
  if (given == 3) {
    std::ranges::copy(flag, columns.flag);
    return {};
  }
  columns.winner = find(Role::kWinner);
  if (columns.winner != kNoColumn) return {};
  if (!options.winner_column.empty())
    return missing(fmt::format("no column '{}'", shown(options.winner_column)), find.header, {}, true);
  return missing(given == 0 ? "no column tells the winner"
                            : "of winner_model_a, winner_model_b and winner_tie not all are there",
                 find.header, "winner, verdict or label, or winner_model_a, winner_model_b and winner_tie",
                 false);
}

void find_codes(const Finder& find, const ReadBattles& options, BattleColumns& columns) {
  const auto add = [&](std::string name, std::size_t at) {
    const auto same = [&](const BattleColumns::Code& code) { return code.name == name; };
    if (at != kNoColumn && std::ranges::none_of(columns.codes, same)) columns.codes.push_back({name, at});
  };
  for (const std::string& name : options.code_columns) {  // as asked, also where a role has that name
    const std::size_t at = place(find.header, name);
    if (at != kNoColumn) {
      add(name, at);
      continue;
    }
    for (std::size_t i = 0; i < find.header.size(); ++i) {
      if (find.header[i].starts_with(name + ".")) add(find.header[i], i);
    }
  }
  for (const Role role : {Role::kVoter, Role::kPrompt, Role::kLanguage, Role::kCategory})
    add(std::string(code_name(role)), find(role));
}

void find_style(const std::vector<std::string>& header, const ReadBattles& options, BattleColumns& columns) {
  std::vector<std::size_t> taken = {columns.first,   columns.second,  columns.winner, columns.flag[0],
                                    columns.flag[1], columns.flag[2], columns.weight, columns.time};
  const bool automatic = asks_style(options, "auto"), all = automatic || asks_style(options, "all");
  for (std::size_t i = 0; i < header.size(); ++i) {
    std::string other;
    const std::string name = paired_name(header[i], other);
    const std::size_t partner = name.empty() ? kNoColumn : place(header, other);
    if (partner == kNoColumn || std::ranges::find(taken, i) != taken.end()) continue;
    const bool asked = asks_style(options, name);
    const bool text = name == "response" || name == "conversation" || name == "model";
    if (!asked && (!all || text)) continue;
    taken.push_back(i);
    taken.push_back(partner);
    const bool swap = other < header[i];  // NAME_b came first
    columns.style.push_back({name, swap ? partner : i, swap ? i : partner, asked});
  }
  if (asks_style(options, "text") || (automatic && columns.style.empty())) {
    columns.response_a = place(header, "response_a");
    columns.response_b = place(header, "response_b");
    if (columns.response_b == kNoColumn) columns.response_a = kNoColumn;
    if (columns.response_a == kNoColumn) columns.response_b = kNoColumn;
  }
}

}  // namespace

Result<BattleColumns> find_columns(const std::vector<std::string>& header, const ReadBattles& options) {
  BattleColumns columns;
  columns.width = header.size();
  const Finder find{header, role_names(options)};
  AGON_TRY(find_competitors(find, options, columns));
  AGON_TRY(find_winner(find, options, columns));
  columns.weight = find(Role::kWeight);
  if (columns.weight == kNoColumn && !options.weight_column.empty())
    return missing(fmt::format("no column '{}'", shown(options.weight_column)), header, {}, true);
  if (keeps_rows(options)) {
    columns.time = find(Role::kTime);
    find_codes(find, options, columns);
    find_style(header, options, columns);
    for (const std::string* name : {&options.time_column, &options.voter_column, &options.prompt_column}) {
      if (!name->empty() && place(header, *name) == kNoColumn)
        return missing(fmt::format("no column '{}'", shown(*name)), header, {}, true);
    }
  }
  columns.bare = columns.winner != kNoColumn && columns.weight == kNoColumn && columns.time == kNoColumn &&
                 columns.codes.empty() && columns.style.empty() && columns.response_a == kNoColumn;
  columns.wanted.assign(header.size(), 0);
  const auto want = [&](std::size_t at) {
    if (at != kNoColumn) columns.wanted[at] = 1;
  };
  for (const std::size_t at :
       {columns.first, columns.second, columns.winner, columns.flag[0], columns.flag[1], columns.flag[2],
        columns.weight, columns.time, columns.response_a, columns.response_b})
    want(at);
  for (const auto& code : columns.codes) want(code.at);
  for (const auto& style : columns.style) {
    want(style.a);
    want(style.b);
  }
  return columns;
}

}  // namespace agon::battle_parts
