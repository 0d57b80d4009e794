#include "agon/data/vote_facts.h"

#include <algorithm>
#include <initializer_list>

#include "agon/text/language.h"

namespace agon {
namespace {

bool is_space(char c) { return c == ' ' || (c >= '\t' && c <= '\r'); }

std::string_view trimmed(std::string_view text) {
  while (!text.empty() && is_space(text.front())) text.remove_prefix(1);
  while (!text.empty() && is_space(text.back())) text.remove_suffix(1);
  return text;
}

bool looks_like_code(std::string_view line) {
  line = trimmed(line);
  if (line.empty()) return false;
  if (line.ends_with(';') || line.ends_with('{') || line == "}" || line == "};") return true;
  for (const std::string_view start :
       {"def ", "import ", "#include", "return ", "class ", "public ", "const ", "var ", "let ", "SELECT ",
        "function ", "using ", "elif ", "</", "fn "})
    if (line.starts_with(start) && !line.ends_with('.')) return true;
  return false;
}

bool has_fence(const Turns& turns) {
  return std::any_of(turns.begin(), turns.end(), [](const Turn& turn) {
    for (const std::string_view fence : {"```", "~~~"}) {
      const std::size_t open = turn.text.find(fence);
      if (open != std::string::npos && turn.text.find('\n', open) != std::string::npos) return true;
    }
    return false;
  });
}

}  // namespace

std::size_t count_characters(std::string_view utf8) {
  return static_cast<std::size_t>(std::count_if(
      utf8.begin(), utf8.end(), [](char c) { return (static_cast<unsigned char>(c) & 0xC0) != 0x80; }));
}

std::size_t count_words(std::string_view utf8) {
  std::size_t words = 0;
  bool inside = false;
  for (const char c : utf8) {
    const bool space = is_space(c);
    words += !space && !inside;
    inside = !space;
  }
  return words;
}

std::string joined(const Turns& turns) {
  std::string out;
  for (const Turn& turn : turns) {
    if (!out.empty()) out += '\n';
    out += turn.text;
  }
  return out;
}

bool is_blank(const Turns& turns) {
  return std::all_of(turns.begin(), turns.end(), [](const Turn& turn) {
    return std::all_of(turn.text.begin(), turn.text.end(), is_space);
  });
}

bool same_text(const Turns& a, const Turns& b) {
  return std::equal(a.begin(), a.end(), b.begin(), b.end(),
                    [](const Turn& x, const Turn& y) { return x.text == y.text; });
}

std::string_view language_of(const Vote& vote) {
  constexpr std::string_view kUndetermined = "und";
  const std::string_view prompt = guess_language(joined(vote.prompt));
  if (prompt != kUndetermined) return prompt;
  const std::string_view a = guess_language(joined(vote.response_a));
  const std::string_view b = guess_language(joined(vote.response_b));
  if (a == kUndetermined) return b;
  return a == b || b == kUndetermined ? a : kUndetermined;
}

bool has_code(const Vote& vote) {
  if (has_fence(vote.prompt) || has_fence(vote.response_a) || has_fence(vote.response_b)) return true;
  for (const Turn& turn : vote.prompt) {
    int lines = 0;
    for (std::string_view rest = turn.text; !rest.empty();) {
      const std::size_t end = std::min(rest.find('\n'), rest.size());
      if (looks_like_code(rest.substr(0, end)) && ++lines == 3) return true;
      rest.remove_prefix(std::min(end + 1, rest.size()));
    }
  }
  return false;
}

std::size_t answer_characters(const Vote& vote) {
  std::size_t characters = 0;
  for (const Turns* turns : {&vote.response_a, &vote.response_b})
    for (const Turn& turn : *turns) characters += count_characters(turn.text);
  return characters;
}

}  // namespace agon
