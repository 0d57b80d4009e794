#include "agon/text/json.h"

#include <fmt/format.h>

#include <array>
#include <bit>
#include <cstring>

#include "agon/text/utf8.h"

#if defined(__SSE2__)
#include <emmintrin.h>
#endif

namespace agon {
namespace {

bool is_space(char c) { return c == ' ' || c == '\t' || c == '\n' || c == '\r'; }

/// Four hex digits at `at`, or -1.
int hex4(std::string_view text, std::size_t at) {
  if (at + 4 > text.size()) return -1;
  int value = 0;
  for (std::size_t i = at; i < at + 4; ++i) {
    const char c = text[i];
    const int digit = c >= '0' && c <= '9'   ? c - '0'
                      : c >= 'a' && c <= 'f' ? c - 'a' + 10
                      : c >= 'A' && c <= 'F' ? c - 'A' + 10
                                             : -1;
    if (digit < 0) return -1;
    value = value * 16 + digit;
  }
  return value;
}

bool is_high(int unit) { return unit >= 0xD800 && unit <= 0xDBFF; }
bool is_low(int unit) { return unit >= 0xDC00 && unit <= 0xDFFF; }

/// First byte from `at` on that ends a run of plain text: quote, backslash or control character.
std::size_t plain_end(std::string_view text, std::size_t at) {
#if defined(__SSE2__)
  const __m128i quote = _mm_set1_epi8('"'), slash = _mm_set1_epi8('\\'), limit = _mm_set1_epi8(0x1F);
  for (; at + 16 <= text.size(); at += 16) {
    const __m128i block = _mm_loadu_si128(reinterpret_cast<const __m128i*>(text.data() + at));
    const __m128i control = _mm_cmpeq_epi8(_mm_max_epu8(block, limit), limit);  // unsigned byte <= 0x1F
    const __m128i special =
        _mm_or_si128(control, _mm_or_si128(_mm_cmpeq_epi8(block, quote), _mm_cmpeq_epi8(block, slash)));
    const auto mask = static_cast<unsigned>(_mm_movemask_epi8(special));
    if (mask != 0) return at + static_cast<std::size_t>(std::countr_zero(mask));
  }
#endif
  while (at < text.size() && text[at] != '"' && text[at] != '\\' &&
         static_cast<unsigned char>(text[at]) >= 0x20)
    ++at;
  return at;
}

std::string what_is_at(std::string_view json, std::size_t at) {
  if (at >= json.size()) return "the end";
  const char c = json[at];
  if (c == '[') return "a list inside the list";
  if (c == '{') return "an object";
  if (c == '-' || (c >= '0' && c <= '9')) return "a number";
  if (json.substr(at, 4) == "true" || json.substr(at, 5) == "false") return "a boolean";
  if (static_cast<unsigned char>(c) < 0x20 || c == 0x7F)
    return fmt::format("control character 0x{:02X}", static_cast<unsigned char>(c));
  std::size_t end = at;
  (void)decode_utf8(json, end);
  return fmt::format("'{}'", json.substr(at, end - at));
}

std::unexpected<Error> bad(std::string_view json, std::size_t at, std::string expected) {
  Error error{.message = fmt::format("{} at byte {} of the cell", what_is_at(json, at), at)};
  error.expected = std::move(expected);
  return std::unexpected(std::move(error));
}

/// Appends the string whose opening quote is at `at`; moves `at` behind its closing quote.
Status append_string(std::string_view json, std::size_t& at, std::string& out, TextRepairs& repairs) {
  ++at;
  for (;;) {
    const std::size_t end = plain_end(json, at);
    out.append(json, at, end - at);
    at = end;
    if (at == json.size()) return bad(json, at, "the closing quote of a string");
    if (json[at] == '"') {
      ++at;
      return {};
    }
    if (json[at] != '\\') return bad(json, at, "it escaped inside a string, as \\n or \\u000a");
    const char kind = at + 1 < json.size() ? json[at + 1] : '\0';
    switch (kind) {
      case '"':
        out += '"';
        break;
      case '\\':
        out += '\\';
        break;
      case '/':
        out += '/';
        break;
      case 'b':
        out += '\b';
        break;
      case 'f':
        out += '\f';
        break;
      case 'n':
        out += '\n';
        break;
      case 'r':
        out += '\r';
        break;
      case 't':
        out += '\t';
        break;
      case 'u': {
        const int unit = hex4(json, at + 2);
        if (unit < 0) return bad(json, at + 1, "four hex digits after \\u");
        at += 6;
        if (is_high(unit) && json.substr(at, 2) == "\\u") {
          if (const int low = hex4(json, at + 2); is_low(low)) {
            append_utf8(out, 0x10000u + (static_cast<char32_t>(unit - 0xD800) << 10) +
                                 static_cast<char32_t>(low - 0xDC00));
            at += 6;
            continue;
          }
        }
        if (is_high(unit) || is_low(unit)) ++repairs.lone_surrogates;
        append_utf8(out, static_cast<char32_t>(unit));  // a surrogate becomes U+FFFD
        continue;
      }
      default:
        return bad(json, at + 1, "an escape: one of \" \\ / b f n r t u after a backslash");
    }
    at += 2;
  }
}

}  // namespace

Result<std::span<const JsonTextList::Item>> JsonTextList::parse(std::string_view json, TextRepairs& repairs) {
  if (!is_valid_utf8(json)) {
    repaired_.clear();
    repairs.invalid_utf8 += append_repaired_utf8(repaired_, json);
    json = repaired_;
  }
  items_.clear();
  buffer_.clear();
  // Unescaped text is never longer than its JSON, so the buffer never moves under the views into it.
  // (The longest growth is \ud800, six bytes, to U+FFFD, three.)
  buffer_.reserve(json.size());

  std::size_t at = 0;
  const auto skip_space = [&] {
    while (at < json.size() && is_space(json[at])) ++at;
  };
  skip_space();
  if (at == json.size() || json[at] != '[') return bad(json, at, "'[' and a list of strings");
  ++at;
  skip_space();
  if (at < json.size() && json[at] == ']') {
    ++at;
  } else {
    for (;;) {
      skip_space();
      if (at < json.size() && json[at] == '"') {
        const std::size_t begin = buffer_.size();
        AGON_TRY(append_string(json, at, buffer_, repairs));
        items_.push_back({std::string_view(buffer_).substr(begin), false});
      } else if (json.substr(at, 4) == "null") {
        at += 4;
        items_.push_back({{}, true});
      } else {
        return bad(json, at, "a string or null");
      }
      skip_space();
      if (at < json.size() && json[at] == ',') {
        ++at;
        continue;
      }
      if (at < json.size() && json[at] == ']') {
        ++at;
        break;
      }
      return bad(json, at, "',' or ']'");
    }
  }
  skip_space();
  if (at != json.size()) return bad(json, at, "nothing after the list");
  return std::span<const Item>(items_);
}

bool repair_json(std::string& json, TextRepairs& repairs) {
  const std::uint64_t invalid = repair_utf8(json);
  repairs.invalid_utf8 += invalid;
  bool changed = invalid != 0;
  // Every backslash outside a string is an error anyhow, so strings need not be told apart.
  for (std::size_t at = json.find('\\'); at != std::string::npos && at + 1 < json.size();
       at = json.find('\\', at)) {
    if (json[at + 1] != 'u') {
      at += 2;
      continue;
    }
    const int unit = hex4(json, at + 2);
    at += 2;
    if (unit < 0) continue;
    at += 4;
    if (is_high(unit) && json.compare(at, 2, "\\u") == 0 && is_low(hex4(json, at + 2))) {
      at += 6;
    } else if (is_high(unit) || is_low(unit)) {
      json.replace(at - 4, 4, "fffd");
      ++repairs.lone_surrogates;
      changed = true;
    }
  }
  return changed;
}

void append_json_string(std::string& out, std::string_view text) {
  std::string repaired;
  if (!is_valid_utf8(text)) {
    append_repaired_utf8(repaired, text);
    text = repaired;
  }
  out += '"';
  for (std::size_t at = 0;;) {
    const std::size_t end = plain_end(text, at);
    out.append(text.substr(at, end - at));
    if (end == text.size()) break;
    const char c = text[end];
    switch (c) {
      case '"':
        out += "\\\"";
        break;
      case '\\':
        out += "\\\\";
        break;
      case '\n':
        out += "\\n";
        break;
      case '\r':
        out += "\\r";
        break;
      case '\t':
        out += "\\t";
        break;
      default:
        out += fmt::format("\\u{:04x}", static_cast<unsigned char>(c));
    }
    at = end + 1;
  }
  out += '"';
}

}  // namespace agon
