// From the row-wise blocks of a file to panels. What every format means is defined by gguf/dequantize; the
// tests compare both, weight by weight.
#include <emmintrin.h>

#include <algorithm>
#include <array>
#include <bit>
#include <cstring>

#include "agon/base/check.h"
#include "agon/llm/kernels/packed.h"

namespace agon::llm {
namespace {

using gguf::TensorType;

// The bits of one row's superblock, before they are interleaved with the other rows'.
struct RowBlock {
  std::array<std::uint8_t, 256> codes;  // unsigned, the format's width
  std::uint16_t d = 0, dmin = 0;        // halves as stored
  std::array<std::uint8_t, 16> scales;  // K formats: one a sub-block, bytes as the kernels want them
  std::array<std::uint8_t, 8> mins;
};

std::uint16_t half_at(const std::uint8_t* p) {
  std::uint16_t half;
  std::memcpy(&half, p, 2);
  return half;
}

// 16 bytes whose low halves are columns 0 to 15 and high halves 16 to 31.
void split_nibbles(const std::uint8_t* bytes, std::uint8_t* codes) {
  for (int i = 0; i < 16; ++i) {
    codes[i] = bytes[i] & 15;
    codes[i + 16] = bytes[i] >> 4;
  }
}

void add_fifth_bits(const std::uint8_t* bytes, std::uint8_t* codes) {
  std::uint32_t bits;
  std::memcpy(&bits, bytes, 4);
  for (int i = 0; i < 32; ++i) codes[i] |= static_cast<std::uint8_t>(((bits >> i) & 1) << 4);
}

// Six-bit scales and minima of Q4_K and Q5_K, packed in twelve bytes.
void unpack_scales_and_mins(const std::uint8_t* packed, RowBlock& out) {
  for (int j = 0; j < 4; ++j) {
    out.scales[j] = packed[j] & 63;
    out.mins[j] = packed[j + 4] & 63;
    out.scales[j + 4] = static_cast<std::uint8_t>((packed[j + 8] & 15) | ((packed[j] >> 6) << 4));
    out.mins[j + 4] = static_cast<std::uint8_t>((packed[j + 8] >> 4) | ((packed[j + 4] >> 6) << 4));
  }
}

// Columns 64j to 64j+31 are the low halves of 32 bytes, the next 32 columns the high halves.
void split_long_nibbles(const std::uint8_t* bytes, std::uint8_t* codes) {
  for (int j = 0; j < 4; ++j) {
    for (int l = 0; l < 32; ++l) {
      codes[64 * j + l] = bytes[32 * j + l] & 15;
      codes[64 * j + 32 + l] = bytes[32 * j + l] >> 4;
    }
  }
}

void unpack_q2_k(const std::uint8_t* p, RowBlock& out) {
  std::memcpy(out.scales.data(), p, 16);
  const std::uint8_t* qs = p + 16;
  for (int n = 0; n < 2; ++n) {
    for (int j = 0; j < 4; ++j) {
      for (int l = 0; l < 32; ++l) out.codes[128 * n + 32 * j + l] = (qs[32 * n + l] >> (2 * j)) & 3;
    }
  }
  out.d = half_at(p + 80);
  out.dmin = half_at(p + 82);
}

void unpack_q3_k(const std::uint8_t* p, RowBlock& out) {
  const std::uint8_t* high = p;
  const std::uint8_t* qs = p + 32;
  const std::uint8_t* packed = p + 96;
  for (int n = 0; n < 2; ++n) {
    for (int j = 0; j < 4; ++j) {
      for (int l = 0; l < 32; ++l) {
        const int bit = (high[l] >> (4 * n + j)) & 1;
        out.codes[128 * n + 32 * j + l] =
            static_cast<std::uint8_t>(((qs[32 * n + l] >> (2 * j)) & 3) | (bit << 2));
      }
    }
  }
  for (int i = 0; i < 16; ++i) {
    const int low = (packed[i % 8] >> (i < 8 ? 0 : 4)) & 15;
    const int top = (packed[8 + i % 4] >> (2 * (i / 4))) & 3;
    out.scales[i] = static_cast<std::uint8_t>((low | (top << 4)) - 32);
  }
  out.d = half_at(p + 108);
}

void unpack_q5_k(const std::uint8_t* p, RowBlock& out) {
  out.d = half_at(p);
  out.dmin = half_at(p + 2);
  unpack_scales_and_mins(p + 4, out);
  split_long_nibbles(p + 48, out.codes.data());
  for (int b = 0; b < 8; ++b) {
    for (int l = 0; l < 32; ++l) {
      out.codes[32 * b + l] |= static_cast<std::uint8_t>(((p[16 + l] >> b) & 1) << 4);
    }
  }
}

void unpack_q6_k(const std::uint8_t* p, RowBlock& out) {
  for (int n = 0; n < 2; ++n) {
    const std::uint8_t* low = p + 64 * n;
    const std::uint8_t* high = p + 128 + 32 * n;
    std::uint8_t* codes = out.codes.data() + 128 * n;
    for (int l = 0; l < 32; ++l) {
      codes[l] = static_cast<std::uint8_t>((low[l] & 15) | ((high[l] & 3) << 4));
      codes[l + 32] = static_cast<std::uint8_t>((low[l + 32] & 15) | (((high[l] >> 2) & 3) << 4));
      codes[l + 64] = static_cast<std::uint8_t>((low[l] >> 4) | (((high[l] >> 4) & 3) << 4));
      codes[l + 96] = static_cast<std::uint8_t>((low[l + 32] >> 4) | ((high[l] >> 6) << 4));
    }
  }
  std::memcpy(out.scales.data(), p + 192, 16);
  out.d = half_at(p + 208);
}

void unpack_iq4_xs(const std::uint8_t* p, RowBlock& out) {
  out.d = half_at(p);
  const int top = half_at(p + 2);
  for (int b = 0; b < 8; ++b) {
    const int low = (p[4 + b / 2] >> (4 * (b % 2))) & 15;
    out.scales[b] = static_cast<std::uint8_t>((low | (((top >> (2 * b)) & 3) << 4)) - 32);
    split_nibbles(p + 8 + 16 * b, out.codes.data() + 32 * b);
  }
}

void unpack(TensorType type, const std::uint8_t* p, RowBlock& out) {
  switch (type) {
    case TensorType::kQ4_0:
    case TensorType::kIQ4_NL:
      out.d = half_at(p);
      split_nibbles(p + 2, out.codes.data());
      break;
    case TensorType::kQ4_1:
      out.d = half_at(p);
      out.dmin = half_at(p + 2);
      split_nibbles(p + 4, out.codes.data());
      break;
    case TensorType::kQ5_0:
      out.d = half_at(p);
      split_nibbles(p + 6, out.codes.data());
      add_fifth_bits(p + 2, out.codes.data());
      break;
    case TensorType::kQ5_1:
      out.d = half_at(p);
      out.dmin = half_at(p + 2);
      split_nibbles(p + 8, out.codes.data());
      add_fifth_bits(p + 4, out.codes.data());
      break;
    case TensorType::kQ8_0:
      out.d = half_at(p);
      for (int i = 0; i < 32; ++i) out.codes[i] = p[2 + i] ^ 0x80;
      break;
    case TensorType::kQ2_K:
      unpack_q2_k(p, out);
      break;
    case TensorType::kQ3_K:
      unpack_q3_k(p, out);
      break;
    case TensorType::kQ4_K:
      out.d = half_at(p);
      out.dmin = half_at(p + 2);
      unpack_scales_and_mins(p + 4, out);
      split_long_nibbles(p + 16, out.codes.data());
      break;
    case TensorType::kQ5_K:
      unpack_q5_k(p, out);
      break;
    case TensorType::kQ6_K:
      unpack_q6_k(p, out);
      break;
    case TensorType::kIQ4_XS:
      unpack_iq4_xs(p, out);
      break;
    default:
      AGON_CHECK(false);
  }
}

// What a format keeps besides its codes, in the order of the bytes of a superblock.
struct Parts {
  int blocks = 1;     // blocks of 32 columns
  bool dmin = false;  // f16 minimum or its scale
  int scales = 0;     // bytes a row
  int mins = 0;       // bytes a row
  bool nibbles = false, pairs = false, bits = false, bytes = false;
};

Parts parts_of(PackedType type) {
  switch (type) {
    case PackedType::kQ4_0:
    case PackedType::kIQ4_NL:
      return {.nibbles = true};
    case PackedType::kQ4_1:
      return {.dmin = true, .nibbles = true};
    case PackedType::kQ5_0:
      return {.nibbles = true, .bits = true};
    case PackedType::kQ5_1:
      return {.dmin = true, .nibbles = true, .bits = true};
    case PackedType::kQ8_0:
      return {.bytes = true};
    case PackedType::kQ2_K:
      return {.blocks = 8, .dmin = true, .scales = 16, .pairs = true};
    case PackedType::kQ3_K:
      return {.blocks = 8, .scales = 16, .pairs = true, .bits = true};
    case PackedType::kQ4_K:
      return {.blocks = 8, .dmin = true, .scales = 8, .mins = 8, .nibbles = true};
    case PackedType::kQ5_K:
      return {.blocks = 8, .dmin = true, .scales = 8, .mins = 8, .nibbles = true, .bits = true};
    case PackedType::kQ6_K:
      return {.blocks = 8, .scales = 16, .nibbles = true, .pairs = true};
    case PackedType::kIQ4_XS:
      return {.blocks = 8, .scales = 8, .nibbles = true};
    default:
      return {};
  }
}

// One block's 512 codes, [group][row][4], into the packed streams that `parts` names.
std::uint8_t* write_codes(const Parts& parts, const std::uint8_t* codes, std::uint8_t* out) {
  if (parts.bytes) {
    std::memcpy(out, codes, 512);
    return out + 512;
  }
  if (parts.nibbles) {
    for (int g = 0; g < 4; ++g, out += 64) {
      for (int j = 0; j < 64; ++j) {
        out[j] = static_cast<std::uint8_t>((codes[64 * g + j] & 15) | ((codes[64 * (g + 4) + j] & 15) << 4));
      }
    }
  }
  if (parts.pairs) {
    const int shift = parts.nibbles ? 4 : 0;  // above the nibbles, or the lowest two bits
    for (int c = 0; c < 2; ++c, out += 64) {
      for (int j = 0; j < 64; ++j) {
        int byte = 0;
        for (int s = 0; s < 4; ++s) byte |= ((codes[64 * (4 * c + s) + j] >> shift) & 3) << (2 * s);
        out[j] = static_cast<std::uint8_t>(byte);
      }
    }
  }
  if (parts.bits) {
    // The wanted bit moves to the top of its byte, from where sixteen are gathered at once. Bits that come
    // along from the lower byte of a pair never reach the top.
    const int lift = parts.nibbles ? 3 : 5;
    for (int chunk = 0; chunk < 32; ++chunk, out += 2) {
      const __m128i bytes = _mm_load_si128(reinterpret_cast<const __m128i*>(codes + 16 * chunk));
      const int bits = _mm_movemask_epi8(_mm_slli_epi16(bytes, lift));
      const auto both = static_cast<std::uint16_t>(bits);
      std::memcpy(out, &both, 2);
    }
  }
  return out;
}

void write_superblock(const Parts& parts, const std::array<RowBlock, kPanelRows>& rows, std::uint8_t* out) {
  for (int r = 0; r < kPanelRows; ++r) std::memcpy(out + 2 * r, &rows[r].d, 2);
  out += 2 * kPanelRows;
  if (parts.dmin) {
    for (int r = 0; r < kPanelRows; ++r) std::memcpy(out + 2 * r, &rows[r].dmin, 2);
    out += 2 * kPanelRows;
  }
  for (int s = 0; s < parts.scales; ++s, out += kPanelRows) {
    for (int r = 0; r < kPanelRows; ++r) out[r] = rows[r].scales[s];
  }
  for (int s = 0; s < parts.mins; ++s, out += kPanelRows) {
    for (int r = 0; r < kPanelRows; ++r) out[r] = rows[r].mins[s];
  }
  alignas(64) std::array<std::uint8_t, 512> codes;
  for (int b = 0; b < parts.blocks; ++b) {
    for (int r = 0; r < kPanelRows; ++r) {
      const std::uint8_t* row = rows[r].codes.data() + 32 * b;
      for (int g = 0; g < 8; ++g) std::memcpy(codes.data() + 64 * g + 4 * r, row + 4 * g, 4);
    }
    out = write_codes(parts, codes.data(), out);
  }
}

template <class T, bool pairs>
void pack_floats(const PackSource& source, const std::uint8_t* const* rows, int columns, std::uint8_t* out) {
  T* to = reinterpret_cast<T*>(out);
  for (int r = 0; r < kPanelRows; ++r) {
    if (rows[r] == nullptr) continue;  // the memory is zero already
    for (int k = 0; k < columns; ++k) {
      int from = k;
      if (!source.column_order.empty()) {
        from = k < static_cast<int>(source.column_order.size())
                   ? source.column_order[static_cast<std::size_t>(k)]
                   : -1;
      }
      if (from < 0 || from >= source.columns) continue;
      const std::size_t place =
          pairs ? (static_cast<std::size_t>(k / 2) * kPanelRows + static_cast<std::size_t>(r)) * 2 +
                      static_cast<std::size_t>(k % 2)
                : static_cast<std::size_t>(k) * kPanelRows + static_cast<std::size_t>(r);
      std::memcpy(to + place, rows[r] + sizeof(T) * static_cast<std::size_t>(from), sizeof(T));
    }
  }
}

// A row of zeros in any format: scale zero, codes anything.
const RowBlock& zero_block() {
  static const RowBlock zero = [] {
    RowBlock block;
    block.codes.fill(0);
    block.scales.fill(0);
    block.mins.fill(0);
    return block;
  }();
  return zero;
}

}  // namespace

PackedType packed_type(TensorType type) {
  switch (type) {
    case TensorType::kF32:
      return PackedType::kF32;
    case TensorType::kF16:
      return PackedType::kF16;
    case TensorType::kBF16:
      return PackedType::kBF16;
    case TensorType::kQ4_0:
      return PackedType::kQ4_0;
    case TensorType::kQ4_1:
      return PackedType::kQ4_1;
    case TensorType::kQ5_0:
      return PackedType::kQ5_0;
    case TensorType::kQ5_1:
      return PackedType::kQ5_1;
    case TensorType::kQ8_0:
      return PackedType::kQ8_0;
    case TensorType::kIQ4_NL:
      return PackedType::kIQ4_NL;
    case TensorType::kQ2_K:
      return PackedType::kQ2_K;
    case TensorType::kQ3_K:
      return PackedType::kQ3_K;
    case TensorType::kQ4_K:
      return PackedType::kQ4_K;
    case TensorType::kQ5_K:
      return PackedType::kQ5_K;
    case TensorType::kQ6_K:
      return PackedType::kQ6_K;
    case TensorType::kIQ4_XS:
      return PackedType::kIQ4_XS;
  }
  AGON_CHECK(false);
  return PackedType::kF32;
}

PackedTraits packed_traits(PackedType type) {
  if (type == PackedType::kF32) return {kBlock, std::size_t{4} * kBlock * kPanelRows};
  if (is_float(type)) return {kBlock, std::size_t{2} * kBlock * kPanelRows};
  const Parts parts = parts_of(type);
  const std::size_t codes =
      (parts.bytes ? 512 : 0) + (parts.nibbles ? 256 : 0) + (parts.pairs ? 128 : 0) + (parts.bits ? 64 : 0);
  const std::size_t row = 2 + (parts.dmin ? 2 : 0) + static_cast<std::size_t>(parts.scales + parts.mins);
  return {kBlock * parts.blocks, row * kPanelRows + codes * static_cast<std::size_t>(parts.blocks)};
}

PackedMatrix plan_packed(const PackSource& source, int rows) {
  PackedMatrix matrix;
  matrix.type = packed_type(source.type);
  matrix.rows = rows;
  matrix.columns =
      source.column_order.empty() ? source.columns : static_cast<int>(source.column_order.size());
  if (is_float(matrix.type)) matrix.columns = (matrix.columns + kBlock - 1) / kBlock * kBlock;
  matrix.panels = (rows + kPanelRows - 1) / kPanelRows;
  const PackedTraits traits = packed_traits(matrix.type);
  AGON_CHECK(rows > 0 && matrix.columns > 0 && matrix.columns % traits.columns == 0);
  AGON_CHECK(source.column_order.empty() || is_float(matrix.type));
  matrix.panel_bytes = traits.bytes * static_cast<std::size_t>(matrix.columns / traits.columns);
  return matrix;
}

void reserve_packed(PackedMatrix& matrix) { matrix.data = AlignedBytes(packed_bytes(matrix)); }

void pack_panel(const PackSource& source, int panel, PackedMatrix& matrix) {
  const gguf::TypeTraits stored = gguf::type_traits(source.type);
  const std::size_t row_bytes = static_cast<std::size_t>(source.columns) / stored.elements * stored.bytes;
  std::array<const std::uint8_t*, kPanelRows> rows{};
  for (int r = 0; r < kPanelRows; ++r) {
    int row = panel * kPanelRows + r;
    if (row >= matrix.rows) continue;
    if (!source.row_order.empty()) row = source.row_order[static_cast<std::size_t>(row)];
    if (row < 0) continue;
    const auto index = static_cast<std::size_t>(row);
    AGON_CHECK((index + 1) * row_bytes <= source.bytes.size());
    rows[static_cast<std::size_t>(r)] =
        reinterpret_cast<const std::uint8_t*>(source.bytes.data()) + index * row_bytes;
  }
  std::uint8_t* out = matrix.data.data() + static_cast<std::size_t>(panel) * matrix.panel_bytes;
  if (matrix.type == PackedType::kF32)
    return pack_floats<std::uint32_t, false>(source, rows.data(), matrix.columns, out);
  if (matrix.type == PackedType::kBF16) {
    return pack_floats<std::uint16_t, true>(source, rows.data(), matrix.columns, out);
  }
  if (is_float(matrix.type))
    return pack_floats<std::uint16_t, false>(source, rows.data(), matrix.columns, out);

  const PackedTraits traits = packed_traits(matrix.type);
  const Parts parts = parts_of(matrix.type);
  std::array<RowBlock, kPanelRows> blocks;
  for (int s = 0; s < matrix.columns / traits.columns; ++s, out += traits.bytes) {
    for (std::size_t r = 0; r < kPanelRows; ++r) {
      if (rows[r] == nullptr) {
        blocks[r] = zero_block();
      } else {
        unpack(source.type, rows[r] + static_cast<std::size_t>(s) * stored.bytes, blocks[r]);
      }
    }
    write_superblock(parts, blocks, out);
  }
}

PackedMatrix pack(const PackSource& source, int rows) {
  PackedMatrix matrix = plan_packed(source, rows);
  reserve_packed(matrix);
  for (int panel = 0; panel < matrix.panels; ++panel) pack_panel(source, panel, matrix);
  return matrix;
}

}  // namespace agon::llm
