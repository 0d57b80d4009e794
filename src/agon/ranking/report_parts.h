// The sections of the leaderboard's page, one function each; internal to render_rank_report.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "agon/ranking/report.h"
#include "agon/report/html.h"
#include "agon/report/page_parts.h"

namespace agon::rank_report {

// Limits that keep the page readable and small; each cut is said on the page.
inline constexpr std::size_t kMaxName = 200;       ///< bytes of a name once escaped
inline constexpr std::size_t kMaxTipName = 60;     ///< and in the tip of a cell
inline constexpr std::size_t kMaxSentence = 1500;  ///< bytes of a warning or a provenance value
inline constexpr std::size_t kMaxListed = 60;      ///< warnings, sentences, provenance lines
inline constexpr std::size_t kMaxRows = 5000;      ///< rows of the table
inline constexpr std::size_t kOpenRows = 40;  ///< rows shown before the rest is folded; also of the chart
inline constexpr std::size_t kHeatWide = 30, kHeatNarrow = 12;
inline constexpr std::size_t kCountWide = 20, kCountNarrow = 10;
inline constexpr std::size_t kWarnings = 8;  ///< on the first screen; the others stand under the graph
inline constexpr std::size_t kBetter = 12;   ///< competitors of the table "is A better than B"
inline constexpr std::size_t kSlopeLines = 24;
inline constexpr std::size_t kMaxCategories = 40;  ///< columns of the full table of categories
inline constexpr std::size_t kCategoryRows = 400;
inline constexpr std::size_t kDriftLines = 8;
inline constexpr std::size_t kMaxWindows = 100;
inline constexpr double kWide = 780, kNarrow = 340;

/// A name on one line, at most `max_bytes` once escaped.
[[nodiscard]] std::string short_text(const std::string& text, std::size_t max_bytes = kMaxName);
/// The same escaped and kept from turning the text around it (names may run from right to left).
[[nodiscard]] std::string html_name(const std::string& name);
/// A sentence escaped and bounded.
[[nodiscard]] std::string html_sentence(const std::string& text);
/// Fixed decimals with a true minus; "n/a" for what is not finite.
[[nodiscard]] std::string number_text(double value, int decimals);
[[nodiscard]] std::string interval_text(double low, double high, int decimals);
/// "62.1 %", or "n/a" for what is not finite.
[[nodiscard]] std::string percent_text(double share);
/// "97.4 %", "> 99.9 %" and "< 0.1 %" at the ends.
[[nodiscard]] std::string confidence_text(double share);
/// "1", "1–3".
[[nodiscard]] std::string rank_span(const RankRange& ranks);
/// Decimals that suit the board's scale.
[[nodiscard]] int decimals_of(const Board& board);
/// The share of a win that the fit expects of row i against row j, both orders of show alike.
[[nodiscard]] double expected_share(const Board& board, std::size_t i, std::size_t j);
/// The name of a competitor by its number in the fit.
[[nodiscard]] std::string name_of(const Board& board, std::uint32_t competitor);
/// A matrix of this board's rows that is really there.
[[nodiscard]] bool fits(const Board& board, const Matrix& matrix);

void add_headline(HtmlPage& page, const RankReport& report);
void add_board(HtmlPage& page, const RankReport& report);
void add_pairs(HtmlPage& page, const RankReport& report);
void add_better(HtmlPage& page, const RankReport& report);
void add_style(HtmlPage& page, const RankReport& report);
void add_categories(HtmlPage& page, const RankReport& report);
void add_drift(HtmlPage& page, const RankReport& report);
void add_ties(HtmlPage& page, const RankReport& report);
void add_graph(HtmlPage& page, const RankReport& report);
void add_provenance(HtmlPage& page, const RankReport& report);

}  // namespace agon::rank_report
