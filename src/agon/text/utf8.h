// UTF-8: checked, repaired, and taken apart into code points.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>

namespace agon {

inline constexpr char32_t kReplacement = 0xFFFD;

/// True when every byte belongs to a well-formed sequence (Unicode 15, table 3-7).
[[nodiscard]] bool is_valid_utf8(std::string_view text);

/// Reads the code point at `at` and moves `at` behind it. An ill-formed sequence gives U+FFFD and
/// moves over its longest well-begun part, at least one byte (Unicode 15, section 3.9, "maximal
/// subpart"; the same as WHATWG's decoder). `at` must be below text.size().
[[nodiscard]] char32_t decode_utf8(std::string_view text, std::size_t& at);

/// Appends one code point; surrogates and values above U+10FFFF become U+FFFD.
void append_utf8(std::string& out, char32_t code);

/// Replaces every ill-formed sequence by U+FFFD and returns how many there were.
std::uint64_t repair_utf8(std::string& text);
/// The same from `text` to the end of `out`.
std::uint64_t append_repaired_utf8(std::string& out, std::string_view text);

/// Number of code points of valid UTF-8.
[[nodiscard]] std::size_t count_code_points(std::string_view text);

}  // namespace agon
