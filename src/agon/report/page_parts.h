// Small pieces that more than one report is made of. Limits are the reports' own.
#pragma once

#include <span>
#include <string>
#include <string_view>
#include <utility>

#include "agon/report/html.h"

namespace agon {

/// Visible text on one line, at most `max_bytes` once escaped; "…" where it was cut. Not escaped.
[[nodiscard]] std::string bounded_line(const std::string& text, std::size_t max_bytes);
/// Escaped text of at most `max_bytes`; "…" where it was cut.
[[nodiscard]] std::string bounded_html(const std::string& text, std::size_t max_bytes);
/// "3 more names are not shown here.", when `all` is more than `shown`.
void say_cut(HtmlPage& page, std::size_t all, std::size_t shown, std::string_view what);
/// A headline figure with its name above and what it means beneath.
[[nodiscard]] std::string html_tile(std::string_view name, std::string_view value, std::string_view range,
                                    std::string_view gloss, std::string_view value_class = {});
/// A table of names and values; a name takes `max_name` bytes at the most, a value `max_value`.
[[nodiscard]] std::string html_facts(std::span<const std::pair<std::string, std::string>> facts,
                                     std::size_t max_name, std::size_t max_value);

}  // namespace agon
