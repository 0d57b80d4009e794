// The sections of the report page, one function each; internal to render_report.
#pragma once

#include <string>

#include "agon/preference/report_page.h"
#include "agon/report/html.h"

namespace agon::report_parts {

// Limits that keep the page below 2 MB whatever the data; each cut is said on the page.
inline constexpr double kWide = 760, kNarrow = 340;   ///< Pixels of a chart, on a screen and on a phone.
inline constexpr std::size_t kMaxShortText = 240;     ///< Bytes of a name or label once escaped.
inline constexpr std::size_t kMaxLongText = 1500;     ///< Bytes of a note or a provenance value once escaped.
inline constexpr std::size_t kMaxListed = 120;        ///< Notes, provenance lines, slices, learners.
inline constexpr std::size_t kMaxBars = 25;           ///< Importances drawn.
inline constexpr std::size_t kMaxEffects = 12;        ///< Effect curves drawn.
inline constexpr std::size_t kMaxEffectPoints = 100;  ///< Points of one curve.
inline constexpr std::size_t kMaxSurprisingRows = 40;     ///< Rows shown with their text.
inline constexpr std::size_t kSurprisingBytes = 700'000;  ///< All text of those rows, escaped.

/// A label's text on one line, at most kMaxShortText bytes once escaped.
[[nodiscard]] std::string short_text(const std::string& text);
/// Whether an estimate was filled in at all (a default one is all zeros).
[[nodiscard]] bool is_given(const Estimate& e);
/// "1.0192", "[1.004, 1.031]" with a true minus, or "n/a".
[[nodiscard]] std::string value_text(double value, int decimals);
[[nodiscard]] std::string interval_text(const Estimate& e, int decimals);
/// "95 %" of the report's intervals.
[[nodiscard]] std::string level_text(const ReportData& data);

void add_headline(HtmlPage& page, const ReportData& data);
void add_metrics(HtmlPage& page, const ReportData& data);
void add_reliability(HtmlPage& page, const ReportData& data);
void add_learning_curve(HtmlPage& page, const ReportData& data);
void add_importances(HtmlPage& page, const ReportData& data);
void add_learners(HtmlPage& page, const ReportData& data);
void add_language_model(HtmlPage& page, const ReportData& data);
void add_slices(HtmlPage& page, const ReportData& data);
void add_surprises(HtmlPage& page, const ReportData& data);
void add_notes(HtmlPage& page, const ReportData& data);
void add_provenance(HtmlPage& page, const ReportData& data);

}  // namespace agon::report_parts
