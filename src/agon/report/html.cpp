#include "agon/report/html.h"

#include <fmt/format.h>

#include <algorithm>

#include "agon/base/check.h"
#include "agon/report/visible.h"

namespace agon {
namespace {

std::string_view entity(char c) {
  switch (c) {
    case '&':
      return "&amp;";
    case '<':
      return "&lt;";
    case '>':
      return "&gt;";
    case '"':
      return "&quot;";
    case '\'':
      return "&#39;";
    case '`':
      return "&#96;";
    default:
      return {};
  }
}

bool is_anchor(std::string_view id) {
  return !id.empty() && std::all_of(id.begin(), id.end(), [](char c) {
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '-';
  });
}

// No scripts, no fonts, no pictures but those in the page itself: nothing leaves the reader's machine.
constexpr std::string_view kPolicy =
    "default-src 'none'; style-src 'unsafe-inline'; img-src data:; base-uri 'none'; form-action 'none'";

}  // namespace

std::string escape_html(std::string_view text) { return escape_html(text, SIZE_MAX, nullptr); }

std::string escape_html(std::string_view text, std::size_t max_bytes, bool* cut) {
  bool shortened = false;
  const std::string shown = visible_text(text, {.keep_lines = true, .max_bytes = max_bytes}, &shortened);
  std::string out;
  out.reserve(std::min(shown.size() + shown.size() / 16 + 16, max_bytes));
  std::size_t i = 0;
  while (i < shown.size()) {
    // One character at a time: a lead byte takes its continuation bytes along.
    std::size_t end = i + 1;
    while (end < shown.size() && (static_cast<unsigned char>(shown[end]) & 0xC0) == 0x80) ++end;
    const std::string_view escaped = entity(shown[i]);
    const std::string_view piece = escaped.empty() ? std::string_view(shown).substr(i, end - i) : escaped;
    if (out.size() + piece.size() > max_bytes) {
      shortened = true;
      break;
    }
    out += piece;
    i = end;
  }
  if (cut != nullptr) *cut = shortened;
  return out;
}

std::string_view ink_name(Ink ink) {
  switch (ink) {
    case Ink::kA:
      return "a";
    case Ink::kB:
      return "b";
    case Ink::kTie:
      return "tie";
    case Ink::kQuiet:
      return "quiet";
    case Ink::kMain:
      break;
  }
  return "main";
}

std::string html_legend(const std::vector<LegendItem>& items) {
  std::string out = "<p class=\"legend\">";
  for (const LegendItem& item : items) {
    out += fmt::format("<span><i class=\"key k-{}\"></i>{}</span> ", ink_name(item.ink),
                       escape_html(item.label));
  }
  return out + "</p>\n";
}

HtmlPage::HtmlPage(std::string_view title) : title_(escape_html(title)) {}

void HtmlPage::header(std::string_view html) { header_ += html; }

void HtmlPage::close_section() {
  if (open_) body_ += "</section>\n";
  open_ = false;
}

void HtmlPage::section(std::string_view id, std::string_view heading) {
  AGON_CHECK(is_anchor(id));
  close_section();
  const std::string text = escape_html(heading);
  contents_ += fmt::format("<li><a href=\"#{}\">{}</a></li>\n", id, text);
  body_ += fmt::format(
      "<section id=\"{0}\" aria-labelledby=\"{0}-h\">\n"
      "<h2 id=\"{0}-h\">{1}<a class=\"anchor\" href=\"#{0}\" aria-label=\"Link to this "
      "section\">#</a></h2>\n",
      id, text);
  open_ = true;
}

void HtmlPage::subsection(std::string_view id, std::string_view heading) {
  AGON_CHECK(is_anchor(id));
  body_ += fmt::format("<h3 id=\"{}\">{}</h3>\n", id, escape_html(heading));
}

void HtmlPage::paragraph(std::string_view text, std::string_view css_class) {
  body_ += css_class.empty() ? "<p>" : fmt::format("<p class=\"{}\">", css_class);
  body_ += escape_html(text);
  body_ += "</p>\n";
}

void HtmlPage::figure(std::string_view chart_html, std::string_view how_to_read, std::string_view css_class) {
  if (chart_html.empty()) return;
  body_ += css_class.empty() ? "<figure>\n" : fmt::format("<figure class=\"{}\">\n", css_class);
  body_ += chart_html;
  if (!how_to_read.empty()) {
    body_ += fmt::format("<figcaption><b>How to read it.</b> {}</figcaption>\n", escape_html(how_to_read));
  }
  body_ += "</figure>\n";
}

std::string HtmlPage::finish() {
  close_section();
  std::string out;
  out.reserve(body_.size() + header_.size() + contents_.size() + report_stylesheet().size() + 2000);
  out += "<!DOCTYPE html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n";
  out += fmt::format("<meta http-equiv=\"Content-Security-Policy\" content=\"{}\">\n", kPolicy);
  out += "<meta name=\"referrer\" content=\"no-referrer\">\n";
  out += "<meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\n";
  out += "<meta name=\"color-scheme\" content=\"light dark\">\n";
  out +=
      fmt::format("<title>{}</title>\n<style>\n{}</style>\n</head>\n<body>\n", title_, report_stylesheet());
  out += "<a class=\"skip\" href=\"#content\">Skip to the content</a>\n<div class=\"frame\">\n";
  out += fmt::format("<nav class=\"toc\" aria-label=\"Contents\">\n<p>Contents</p>\n<ul>\n{}</ul>\n</nav>\n",
                     contents_);
  out += fmt::format("<main id=\"content\">\n<header>\n{}</header>\n{}", header_, body_);
  if (!footer_.empty()) out += fmt::format("<footer>{}</footer>\n", footer_);
  out += "</main>\n</div>\n</body>\n</html>\n";
  return out;
}

}  // namespace agon
