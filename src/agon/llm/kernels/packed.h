// Weights laid out for the kernels: panels of 16 rows, so that one vector register holds one number of each
// row.
//
// A matrix of N rows and K columns becomes ceil(N/16) panels; a panel is a run of superblocks along K. Inside
// a block of 32 columns the codes are ordered [group of 4 columns][row][column in group]: 64 bytes are 16
// rows times 4 columns, which is what one byte-product instruction takes. Codes are unsigned with a constant
// offset per format; narrow codes are packed so that two shifts and masks unpack whole registers:
//   nibbles   4 x 64 bytes: low half is group g, high half group g+4 (g = 0..3)
//   pairs     2 x 64 bytes: bits 2s, 2s+1 of chunk c belong to group 4c+s
//   bits      8 x  8 bytes: bit j of mask g belongs to byte j of group g
// Scales follow as 16 numbers each, one a row. The bytes of a matrix are those of the file within 4 %.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>
#include <vector>

#include "agon/llm/gguf/types.h"
#include "agon/llm/kernels/memory.h"

namespace agon::llm {

constexpr int kPanelRows = 16;
constexpr int kBlock = 32;  ///< Columns that share one activation scale.

/// How the codes of a format become weights: w = scale * (code - offset) + minimum.
enum class PackedType : std::uint8_t {
  kF32,     ///< [column][row] float
  kF16,     ///< [column][row] half
  kBF16,    ///< [pair of columns][row][column in pair] bfloat16
  kQ4_0,    ///< f16 scale; nibbles; offset 8
  kQ4_1,    ///< f16 scale, f16 minimum; nibbles
  kQ5_0,    ///< f16 scale; nibbles, bits; offset 16
  kQ5_1,    ///< f16 scale, f16 minimum; nibbles, bits
  kQ8_0,    ///< f16 scale; bytes; offset 128
  kIQ4_NL,  ///< f16 scale; nibbles into a table of bytes; offset 128
  kQ2_K,    ///< f16 d, f16 dmin; 16 x u8 (low half scale, high half minimum); pairs
  kQ3_K,    ///< f16 d; 16 x i8 scale; pairs, bits; offset 4
  kQ4_K,    ///< f16 d, f16 dmin; 8 x u8 scale, 8 x u8 minimum; nibbles
  kQ5_K,    ///< the same with bits
  kQ6_K,    ///< f16 d; 16 x i8 scale; nibbles, pairs; offset 32
  kIQ4_XS,  ///< f16 d; 8 x i8 scale; nibbles into a table of bytes; offset 128
};

/// Columns and bytes of one superblock of 16 rows. Floats have superblocks of one block.
struct PackedTraits {
  int columns;
  std::size_t bytes;
};
[[nodiscard]] PackedTraits packed_traits(PackedType type);
[[nodiscard]] PackedType packed_type(gguf::TensorType type);
[[nodiscard]] inline bool is_float(PackedType type) { return type <= PackedType::kBF16; }

/// A matrix ready for the kernels. Rows beyond `rows` in the last panel are zero.
struct PackedMatrix {
  PackedType type = PackedType::kF32;
  int rows = 0;
  int columns = 0;
  int panels = 0;
  std::size_t panel_bytes = 0;
  AlignedBytes data;

  [[nodiscard]] const std::uint8_t* panel(int index) const {
    return data.data() + static_cast<std::size_t>(index) * panel_bytes;
  }
};

/// Where the rows of a matrix come from.
struct PackSource {
  gguf::TensorType type = gguf::TensorType::kF32;
  std::span<const std::byte> bytes;  ///< All rows of the stored matrix.
  int columns = 0;                   ///< Of the stored matrix.
  /// Row i is stored row row_order[i], or zeros where it is -1; empty: as stored.
  std::vector<int> row_order;
  /// The same for columns; only for float formats, as quantised ones cannot be taken apart.
  std::vector<int> column_order;
};

/// The sizes of a matrix of `rows`, without memory yet. Columns of float formats are filled up with zeros to
/// a multiple of 32.
[[nodiscard]] PackedMatrix plan_packed(const PackSource& source, int rows);
[[nodiscard]] inline std::size_t packed_bytes(const PackedMatrix& matrix) {
  return matrix.panel_bytes * static_cast<std::size_t>(matrix.panels);
}
/// Takes the memory of a planned matrix, all zero; its panels are then filled by pack_panel, by many threads
/// if wanted.
void reserve_packed(PackedMatrix& matrix);
void pack_panel(const PackSource& source, int panel, PackedMatrix& matrix);
/// Makes and fills on one thread.
[[nodiscard]] PackedMatrix pack(const PackSource& source, int rows);

}  // namespace agon::llm
