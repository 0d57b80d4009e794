#include "agon/report/page_parts.h"

#include <fmt/format.h>

#include "agon/report/number.h"
#include "agon/report/visible.h"

namespace agon {

std::string bounded_line(const std::string& text, std::size_t max_bytes) {
  // The bound is on the escaped form: a quotation mark takes six bytes of the page.
  for (std::size_t bytes = max_bytes;; bytes /= 2) {
    bool cut = false;
    std::string out = visible_text(text, {.keep_lines = false, .max_bytes = bytes}, &cut);
    if (escape_html(out).size() <= max_bytes) return cut ? out + "…" : out;
  }
}

std::string bounded_html(const std::string& text, std::size_t max_bytes) {
  bool cut = false;
  std::string out = escape_html(text, max_bytes, &cut);
  return cut ? out + "…" : out;
}

void say_cut(HtmlPage& page, std::size_t all, std::size_t shown, std::string_view what) {
  if (all <= shown) return;
  page.paragraph(fmt::format("{} more {} are not shown here.", format_count(all - shown), what), "fineprint");
}

std::string html_tile(std::string_view name, std::string_view value, std::string_view range,
                      std::string_view gloss, std::string_view value_class) {
  return fmt::format(
      "<div class=\"tile\"><span class=\"name\">{}</span><span class=\"value {}\">{}</span>"
      "<span class=\"range\">{}</span><span class=\"gloss\">{}</span></div>\n",
      escape_html(name), value_class, escape_html(value), escape_html(range), escape_html(gloss));
}

std::string html_facts(std::span<const std::pair<std::string, std::string>> facts, std::size_t max_name,
                       std::size_t max_value) {
  std::string out = "<div class=\"scroll\"><table class=\"facts\">\n<tbody>\n";
  for (const auto& [name, value] : facts)
    out += fmt::format("<tr><td>{}</td><td><code>{}</code></td></tr>\n",
                       escape_html(bounded_line(name, max_name)), bounded_html(value, max_value));
  return out + "</tbody>\n</table></div>\n";
}

}  // namespace agon
