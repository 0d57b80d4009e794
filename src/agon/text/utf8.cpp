#include "agon/text/utf8.h"

#include <simdjson.h>

#include <algorithm>

namespace agon {

bool is_valid_utf8(std::string_view text) { return simdjson::validate_utf8(text.data(), text.size()); }

namespace {

// Length of the sequence at `at` when it is well-formed; else minus the length of the maximal subpart.
int sequence_length(std::string_view text, std::size_t at) {
  const auto byte = [&](std::size_t i) -> unsigned {
    return i < text.size() ? static_cast<unsigned char>(text[i]) : 0u;  // 0 continues nothing
  };
  const unsigned lead = byte(at);
  if (lead < 0x80) return 1;
  if (lead < 0xC2 || lead > 0xF4) return -1;
  // Only the second byte has limits of its own (no overlong forms, no surrogates, at most U+10FFFF).
  const unsigned low = lead == 0xE0 ? 0xA0 : lead == 0xF0 ? 0x90 : 0x80;
  const unsigned high = lead == 0xED ? 0x9F : lead == 0xF4 ? 0x8F : 0xBF;
  if (byte(at + 1) < low || byte(at + 1) > high) return -1;
  const int length = lead < 0xE0 ? 2 : lead < 0xF0 ? 3 : 4;
  for (int i = 2; i < length; ++i) {
    if ((byte(at + i) & 0xC0) != 0x80) return -i;
  }
  return length;
}

}  // namespace

char32_t decode_utf8(std::string_view text, std::size_t& at) {
  const auto lead = static_cast<unsigned char>(text[at]);
  if (lead < 0x80) {
    ++at;
    return lead;
  }
  const int length = sequence_length(text, at);
  if (length < 0) {
    at += static_cast<std::size_t>(-length);
    return kReplacement;
  }
  char32_t code = lead & (0x7Fu >> length);
  for (int i = 1; i < length; ++i) code = code << 6 | (static_cast<unsigned char>(text[at + i]) & 0x3F);
  at += static_cast<std::size_t>(length);
  return code;
}

void append_utf8(std::string& out, char32_t code) {
  if (code > 0x10FFFF || (code >= 0xD800 && code <= 0xDFFF)) code = kReplacement;
  if (code < 0x80) {
    out += static_cast<char>(code);
  } else if (code < 0x800) {
    out += static_cast<char>(0xC0 | code >> 6);
    out += static_cast<char>(0x80 | (code & 0x3F));
  } else if (code < 0x10000) {
    out += static_cast<char>(0xE0 | code >> 12);
    out += static_cast<char>(0x80 | (code >> 6 & 0x3F));
    out += static_cast<char>(0x80 | (code & 0x3F));
  } else {
    out += static_cast<char>(0xF0 | code >> 18);
    out += static_cast<char>(0x80 | (code >> 12 & 0x3F));
    out += static_cast<char>(0x80 | (code >> 6 & 0x3F));
    out += static_cast<char>(0x80 | (code & 0x3F));
  }
}

std::uint64_t append_repaired_utf8(std::string& out, std::string_view text) {
  if (is_valid_utf8(text)) {
    out.append(text);
    return 0;
  }
  std::uint64_t repaired = 0;
  std::size_t kept = 0;  // everything before `kept` is in `out`
  for (std::size_t at = 0; at < text.size();) {
    const int length = sequence_length(text, at);
    if (length > 0) {
      at += static_cast<std::size_t>(length);
      continue;
    }
    out.append(text.substr(kept, at - kept));
    append_utf8(out, kReplacement);
    ++repaired;
    at += static_cast<std::size_t>(-length);
    kept = at;
  }
  out.append(text.substr(kept));
  return repaired;
}

std::uint64_t repair_utf8(std::string& text) {
  if (is_valid_utf8(text)) return 0;
  std::string out;
  out.reserve(text.size() + 16);
  const std::uint64_t repaired = append_repaired_utf8(out, text);
  text = std::move(out);
  return repaired;
}

std::size_t count_code_points(std::string_view text) {
  return static_cast<std::size_t>(
      std::count_if(text.begin(), text.end(), [](char c) { return (c & '\xC0') != '\x80'; }));
}

}  // namespace agon
