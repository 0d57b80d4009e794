// The normalisation that SentencePiece compiles into a vocabulary (precompiled_charsmap).
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "agon/base/error.h"
#include "agon/llm/gguf/file.h"

namespace agon::llm {

/// A map from byte sequences to replacements: a double array in the layout of the darts-clone library (BASE
/// in bits 10 to 30, shifted by 8 more when bit 9 is set; the byte that leads to a node in bits 0 to 7; bit 8
/// when a value hangs below), then the replacements, each ended by a zero byte. File layout: length of the
/// array in bytes (32 bits), the array, the replacements.
class Charsmap {
 public:
  /// From the bytes of tokenizer.ggml.precompiled_charsmap; empty bytes give a map without entries. Checks
  /// lengths and that the replacements end in a zero byte; a walk that leaves the array only ends.
  static Result<Charsmap> read(const gguf::Metadata& metadata);

  struct Match {
    std::size_t bytes;             ///< Of the text.
    std::string_view replacement;  ///< May be empty.
  };
  /// The longest entry that `text` begins with.
  [[nodiscard]] std::optional<Match> longest(std::string_view text) const;

 private:
  std::vector<std::uint32_t> nodes_;
  std::string replacements_;
};

}  // namespace agon::llm
