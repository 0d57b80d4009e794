// What kind of character a code point is for pre-tokenizers: general categories in one byte.
#pragma once

#include <array>
#include <cstdint>

namespace agon::llm {

/// Bits of a code point. Every code point has at least one, so that 0 can stand for "past the end".
enum CharClass : std::uint8_t {
  kLetter = 1,        ///< \p{L}
  kNumber = 2,        ///< \p{N}
  kSpace = 4,         ///< White_Space; beside the bit of the category.
  kMark = 8,          ///< \p{M}
  kPunctuation = 16,  ///< \p{P}
  kSymbol = 32,       ///< \p{S}
  kControl = 64,      ///< \p{C} but for unassigned code points: controls, formats, surrogates, private use.
  kNothing = 128,     ///< Separators and unassigned code points.
};

/// A two-stage table: blocks of 256 code points, equal blocks stored once (about 50 KB).
class CharClassTable {
 public:
  /// Made from ICU at first use (about 1 ms). Code points that Unicode 15.1 added to ICU 72's 15.0 are set
  /// by hand, as vocabularies are checked against a peer that knows them.
  static const CharClassTable& get();

  [[nodiscard]] std::uint8_t operator[](char32_t code) const {
    return code < 0x110000 ? blocks_[first_[code >> 8]][code & 255] : std::uint8_t{kNothing};
  }

 private:
  CharClassTable();
  std::array<std::uint16_t, 0x1100> first_;
  std::array<std::array<std::uint8_t, 256>, 512> blocks_;
};

}  // namespace agon::llm
