// How much of a conversation a language model reads: one rule, whether it takes tokens or plain text.
#pragma once

#include <cstddef>
#include <string_view>
#include <vector>

namespace agon {

/// The rule: every prompt keeps its start; every answer keeps both ends, its middle replaced by kGap; the
/// turns that are read share a budget equally, and what short ones leave goes to the longer ones. Of more
/// than kMostTurns turns the first and the latest are read. White space around a text is none of it.
struct ReadingBudget {
  int prompt_tokens = 128;  ///< Of all prompts together.
  int answer_tokens = 384;  ///< Of one side's answers together.
  static constexpr std::size_t kMostTurns = 8;
  static constexpr std::string_view kGap = " ... ";

  bool operator==(const ReadingBudget&) const = default;
};

/// Numbers of the turns that are read, ascending: all, or the first and the latest. At least one.
[[nodiscard]] std::vector<std::size_t> turns_read(std::size_t turns);

/// What each may keep of a budget: all of them alike, what short ones leave shared by the others.
[[nodiscard]] std::vector<std::size_t> share_out(const std::vector<std::size_t>& wanted, std::size_t budget);

/// Of `room` that an answer may keep, what its start gets; its end gets the others.
[[nodiscard]] constexpr std::size_t head_of(std::size_t room) { return (room + 1) / 2; }

/// Without the white space around it.
[[nodiscard]] std::string_view trimmed(std::string_view text);

}  // namespace agon
