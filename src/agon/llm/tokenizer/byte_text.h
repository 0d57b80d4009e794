// Bytes as tokenizers see them: characters by their first byte, hashes of short texts.
#pragma once

#include <cstdint>
#include <cstring>
#include <string>
#include <string_view>

namespace agon::llm {

/// U+2581, which stands for a space inside SentencePiece vocabularies.
inline constexpr std::string_view kEscapedSpace = "\xE2\x96\x81";

/// Bytes of a character as its first byte says; 1 for a byte that starts none. Nothing else is checked.
[[nodiscard]] inline std::size_t char_bytes(char first) {
  const auto byte = static_cast<std::uint8_t>(first);
  return byte < 0xC0 ? 1 : byte < 0xE0 ? 2 : byte < 0xF0 ? 3 : 4;
}

struct LenientChar {
  char32_t code;
  std::uint8_t bytes;
  bool valid;  ///< False: `code` is U+FFFD for one byte.
};

/// Decodes as the tokenizers of llama.cpp do: continuation bytes must be there, but overlong forms,
/// surrogates and (for the caller to refuse) values past U+10FFFF pass. `at` must be below text.size().
[[nodiscard]] inline LenientChar decode_lenient(std::string_view text, std::size_t at) {
  const auto byte = [&](std::size_t i) { return static_cast<std::uint8_t>(text[at + i]); };
  const std::uint8_t first = byte(0);
  if (first < 0x80) return {first, 1, true};
  const auto follows = [&](std::size_t i) { return at + i < text.size() && (byte(i) & 0xC0) == 0x80; };
  const auto low = [&](std::size_t i) { return char32_t(byte(i) & 0x3F); };
  if (first >= 0xC0 && first < 0xE0 && follows(1)) return {char32_t(first & 0x1F) << 6 | low(1), 2, true};
  if (first >= 0xE0 && first < 0xF0 && follows(1) && follows(2))
    return {char32_t(first & 0x0F) << 12 | low(1) << 6 | low(2), 3, true};
  if (first >= 0xF0 && first < 0xF8 && follows(1) && follows(2) && follows(3))
    return {char32_t(first & 0x07) << 18 | low(1) << 12 | low(2) << 6 | low(3), 4, true};
  return {0xFFFD, 1, false};
}

/// Appends a code point, surrogates too. At most U+10FFFF.
template <class String>
void append_code(String& out, char32_t code) {
  const auto put = [&](char32_t byte) { out.push_back(static_cast<char>(byte)); };
  if (code < 0x80) {
    put(code);
  } else if (code < 0x800) {
    put(0xC0 | code >> 6);
    put(0x80 | (code & 0x3F));
  } else if (code < 0x10000) {
    put(0xE0 | code >> 12);
    put(0x80 | (code >> 6 & 0x3F));
    put(0x80 | (code & 0x3F));
  } else {
    put(0xF0 | code >> 18);
    put(0x80 | (code >> 12 & 0x3F));
    put(0x80 | (code >> 6 & 0x3F));
    put(0x80 | (code & 0x3F));
  }
}

/// Appends a token of a SentencePiece vocabulary with its escaped spaces turned back.
inline void append_unescaped(std::string_view token_text, std::string& out) {
  for (std::size_t begin = 0;;) {
    const std::size_t space = token_text.find(kEscapedSpace, begin);
    out.append(token_text.substr(begin, space - begin));
    if (space == std::string_view::npos) return;
    out.push_back(' ');
    begin = space + kEscapedSpace.size();
  }
}

[[nodiscard]] inline std::uint64_t load64(const char* from) {
  std::uint64_t value;
  std::memcpy(&value, from, sizeof value);
  return value;
}

/// Mixes two words by a 64 x 64 > 128 bit product; the sum keeps a zero factor from hiding the other word.
[[nodiscard]] inline std::uint64_t mix64(std::uint64_t a, std::uint64_t b) {
  const auto product = static_cast<unsigned __int128>(a ^ 0x9E3779B97F4A7C15u) * (b ^ 0xD1B54A32D192ED03u);
  return (static_cast<std::uint64_t>(product) ^ static_cast<std::uint64_t>(product >> 64)) +
         (a ^ b * 0xA24BAED4963EE407u) * 0x9FB21C651E98DF25u;
}

/// A hash of bytes that is fast for short ones. Not stable between versions: never store it.
[[nodiscard]] inline std::uint64_t hash_text(std::string_view text) {
  const char* p = text.data();
  std::size_t left = text.size();
  std::uint64_t hash = left * 0xC2B2AE3D27D4EB4Fu;
  for (; left > 16; left -= 16, p += 16) hash = mix64(load64(p) ^ hash, load64(p + 8));
  std::uint64_t a = 0, b = 0;
  if (left >= 8) {
    a = load64(p);
    b = load64(p + left - 8);
  } else if (left >= 4) {
    std::uint32_t low, high;
    std::memcpy(&low, p, 4);
    std::memcpy(&high, p + left - 4, 4);
    a = low | std::uint64_t{high} << 32;
  } else if (left > 0) {
    const auto byte = [&](std::size_t i) { return std::uint64_t{static_cast<std::uint8_t>(p[i])}; };
    a = byte(0) | byte(left / 2) << 8 | byte(left - 1) << 16;
  }
  return mix64(a ^ hash, b);
}

}  // namespace agon::llm
