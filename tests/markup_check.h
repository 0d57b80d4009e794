// A small reader of tags for tests: are they balanced, and which are there?
#pragma once

#include <algorithm>
#include <array>
#include <string>
#include <string_view>
#include <vector>

namespace agon::testing {

struct Tag {
  std::string name;
  std::string attributes;  ///< All between the name and '>'.
  bool closing = false, self_closing = false;
};

/// What is wrong with the markup, or empty. Strict as XML within SVG: every element closed in order,
/// every attribute in double quotes, no stray '<', '&' only in entities. HTML's void elements may
/// stay open. The contents of <style> are skipped.
inline std::string markup_fault(std::string_view text, std::vector<Tag>* tags = nullptr) {
  constexpr std::array<std::string_view, 4> kVoid = {"meta", "br", "img", "hr"};
  std::vector<std::string> open;
  std::size_t i = 0;
  while (i < text.size()) {
    if (text[i] == '&') {
      const std::size_t end = text.find(';', i);
      if (end == std::string_view::npos || end - i > 8) return "bare & at " + std::to_string(i);
    }
    if (text[i] == '>') return "stray > at " + std::to_string(i);
    if (text[i] != '<') {
      ++i;
      continue;
    }
    if (text.substr(i, 9) == "<!DOCTYPE") {
      i = text.find('>', i) + 1;
      continue;
    }
    Tag tag;
    std::size_t k = i + 1;
    if (k < text.size() && text[k] == '/') tag.closing = true, ++k;
    while (k < text.size() && (std::isalnum(static_cast<unsigned char>(text[k])) != 0)) tag.name += text[k++];
    if (tag.name.empty()) return "stray < at " + std::to_string(i);
    bool quoted = false;
    while (k < text.size() && (quoted || text[k] != '>')) {
      if (text[k] == '"') {
        if (!quoted && text[k - 1] != '=') return "quote without = at " + std::to_string(k);
        quoted = !quoted;
      } else if (text[k] == '<') {
        return "< within a tag at " + std::to_string(k);
      } else if (!quoted && text[k] == '\'') {
        return "single quote within a tag at " + std::to_string(k);
      }
      tag.attributes += text[k++];
    }
    if (k == text.size()) return "unfinished tag at " + std::to_string(i);
    tag.self_closing = tag.attributes.ends_with('/');
    i = k + 1;
    const bool is_void = std::find(kVoid.begin(), kVoid.end(), tag.name) != kVoid.end();
    if (tag.closing) {
      if (open.empty() || open.back() != tag.name) return "</" + tag.name + "> closes nothing";
      open.pop_back();
    } else if (!tag.self_closing && !is_void) {
      open.push_back(tag.name);
      if (tag.name == "style") i = text.find("</style>", i);
    }
    if (tags != nullptr) tags->push_back(std::move(tag));
  }
  return open.empty() ? std::string() : "<" + open.back() + "> is never closed";
}

}  // namespace agon::testing
