// Text from strangers made fit to show: nothing in it can move the cursor, turn the line, or hide.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>

namespace agon {

struct VisibleOptions {
  bool keep_lines = true;            ///< Keep line breaks and tabs; otherwise they become "␊" and a space.
  std::size_t max_bytes = SIZE_MAX;  ///< Of the result; what is past it is left out.
};

/// Valid UTF-8 in which control characters show as pictures ("␀", "␛"), and directional overrides,
/// isolates, tag characters and C1 controls as "⟦U+202E⟧". Invalid bytes and noncharacters are
/// U+FFFD; CR LF is one line break. Sets `cut` when max_bytes left something out.
[[nodiscard]] std::string visible_text(std::string_view text, const VisibleOptions& options = {},
                                       bool* cut = nullptr);

/// The form of one code point in visible_text; empty when it stands for itself.
[[nodiscard]] std::string visible_form(std::int32_t code_point);

/// Terminal columns of one code point: 0 (combining, format), 1, or 2 (East-Asian wide and full width).
[[nodiscard]] int code_point_width(std::int32_t code_point);
/// Terminal columns of `text`, one line. A code point after a zero-width joiner joins the one before.
[[nodiscard]] int display_width(std::string_view text);
/// `text`, or its longest beginning with "…" that fits `width` columns; never splits a character
/// from its combining marks.
[[nodiscard]] std::string clip_to_width(std::string_view text, int width);

}  // namespace agon
