// What the forms of battles share: which names mean what, labels, weights, times. Internal to the
// readers of battles.
#pragma once

#include <array>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "agon/base/error.h"
#include "agon/data/battles.h"

namespace agon::battle_parts {

enum class Role : std::uint8_t {
  kFirst,
  kSecond,
  kWinner,
  kFlagA,
  kFlagB,
  kFlagTie,
  kWeight,
  kTime,
  kVoter,
  kPrompt,
  kLanguage,
  kCategory,
};
inline constexpr std::size_t kRoles = 12;

/// The names by which a role's column is known, best first; one name when an option gives it.
using RoleNames = std::array<std::vector<std::string>, kRoles>;
[[nodiscard]] RoleNames role_names(const ReadBattles& options);
/// Is `name` among the style columns asked for?
[[nodiscard]] bool asks_style(const ReadBattles& options, std::string_view name);
/// The names of the roles that become code columns; empty for the others.
[[nodiscard]] std::string_view code_name(Role role);

inline constexpr std::string_view kKnownBattleLabels =
    "model_a, model_b, left, right, first, second, a, b, A>B, B>A, tie, draw, tie (bothbad) or both_bad";
struct BattleLabel {
  BattleOutcome outcome = BattleOutcome::kTie;
  bool known = false;
  bool strong = false;  ///< A>>B and B>>A
};
/// Whatever its case and punctuation; `known` is false when it is none.
[[nodiscard]] BattleLabel battle_label_of(std::string_view text);

/// A text without the spaces and tabs around it.
[[nodiscard]] inline std::string_view trimmed(std::string_view text) {
  while (!text.empty() && (text.front() == ' ' || text.front() == '\t')) text.remove_prefix(1);
  while (!text.empty() && (text.back() == ' ' || text.back() == '\t')) text.remove_suffix(1);
  return text;
}
/// At most 60 bytes of a text, for a message: valid UTF-8, cut at a whole character.
[[nodiscard]] std::string shown(std::string_view text);
/// "a, b, c and 4 more".
[[nodiscard]] std::string listed(const std::vector<std::string>& names);

/// A number in decimal notation with nothing but spaces around it.
[[nodiscard]] bool number_of(std::string_view text, double& value);
/// A finite number of at least 0.
[[nodiscard]] Result<double> battle_weight_of(std::string_view text);
/// Milliseconds since 1970 UTC: from ISO 8601 ("2024-08-14", "2024-08-14T12:30:00.5+02:00"; UTC when no
/// zone is given) or a number of seconds, milli-, micro- or nanoseconds since then, told by its size
/// (below 1e11 seconds, which is the year 5138; then below 1e14; then below 1e17). kNoTime when empty.
[[nodiscard]] Result<std::int64_t> time_of(std::string_view text);

/// NAME of a pair of columns NAME_a and NAME_b: the part "a" between underscores or dots is left out, as
/// "tokens" of "tokens_a" and "sum_assistant_tokens" of "sum_assistant_a_tokens". Empty when the name has
/// no such part; `other` becomes the name of the other side. The last part that fits counts.
[[nodiscard]] std::string paired_name(std::string_view name, std::string& other);

}  // namespace agon::battle_parts
