// Numbers of an answer's text, for style control. Internal to the readers of battles.
#pragma once

#include <array>
#include <cstdint>
#include <string_view>

namespace agon::battle_parts {

/// Additive over the turns of an answer.
inline constexpr std::array<std::string_view, 5> kTextStyles = {"words", "headers", "list_items", "bold",
                                                                "code_blocks"};
using TextStyle = std::array<float, kTextStyles.size()>;
void add_text_style(TextStyle& style, std::string_view text);
/// The same of a cell: a JSON list of turns, or else plain text.
[[nodiscard]] TextStyle style_of_cell(std::string_view cell);

}  // namespace agon::battle_parts
