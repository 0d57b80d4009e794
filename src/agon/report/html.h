// Pages that stand alone: escaping, one embedded stylesheet, and a policy that forbids outside loading.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

namespace agon {

/// `text` as HTML text or attribute value in either kind of quotes (also well-formed XML). Controls
/// and directional overrides show as in visible_text; & < > " ' ` become entities.
[[nodiscard]] std::string escape_html(std::string_view text);
/// The same, stopped before the result passes `max_bytes`; entities and characters stay whole. Sets
/// `cut` when something was left out.
[[nodiscard]] std::string escape_html(std::string_view text, std::size_t max_bytes, bool* cut);

/// Colours of the stylesheet that charts and legends share. A, B and tie are told apart with every
/// common form of colour blindness (Okabe and Ito 2008, lightened for dark backgrounds).
enum class Ink : std::uint8_t { kMain, kA, kB, kTie, kQuiet };
/// "main", "a", "b", "tie", "quiet": the ending of the classes f-* (fill) and s-* (stroke).
[[nodiscard]] std::string_view ink_name(Ink ink);

struct LegendItem {
  Ink ink;
  std::string label;
};
/// A line of coloured squares with labels.
[[nodiscard]] std::string html_legend(const std::vector<LegendItem>& items);

/// The stylesheet that every page carries: light and dark by the reader's preference, print, phone.
[[nodiscard]] std::string_view report_stylesheet();

/// Builds one self-contained page of sections with a table of contents.
/// Arguments named `html` are taken as they are; all others are escaped here.
class HtmlPage {
 public:
  explicit HtmlPage(std::string_view title);

  /// The block above all sections.
  void header(std::string_view html);
  /// Starts a section with anchor `id` (letters, digits, '-'; unique); the one before is closed.
  void section(std::string_view id, std::string_view heading);
  /// A subheading with an anchor, not in the table of contents.
  void subsection(std::string_view id, std::string_view heading);
  void add(std::string_view html) { body_ += html; }
  void paragraph(std::string_view text, std::string_view css_class = {});
  /// A chart (or several) with its reading aid beneath. An empty chart adds nothing.
  void figure(std::string_view chart_html, std::string_view how_to_read, std::string_view css_class = {});
  /// The last line of the page.
  void footer(std::string_view html) { footer_ = html; }

  /// The whole document. The page is used up.
  [[nodiscard]] std::string finish();
  [[nodiscard]] std::size_t size() const { return body_.size(); }

 private:
  void close_section();
  std::string title_, header_, body_, contents_, footer_;
  bool open_ = false;
};

}  // namespace agon
