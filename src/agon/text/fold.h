// Text as it compares: case, width, accents' encoding, spaces and punctuation folded away; any script.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

namespace agon {

/// NFKC_Casefold (Unicode 15, UAX 31), then every run of characters that are not letters, marks or
/// numbers becomes one space; none at the ends. Empty when there is no letter or number at all.
/// Invalid UTF-8 counts as punctuation. "Hello,  WORLD!" and "hello world" fold to the same bytes.
[[nodiscard]] std::string folded(std::string_view utf8);

/// Hashes of all runs of `width` tokens of a folded text, sorted, each once. A token is a word between
/// spaces; in scripts written without spaces (Han, Kana, Thai, Lao, Khmer, Burmese ...) every letter
/// with its marks is a token of its own. Empty when the text has fewer than `width` tokens.
[[nodiscard]] std::vector<std::uint64_t> shingles(std::string_view folded_text, std::size_t width);

}  // namespace agon
