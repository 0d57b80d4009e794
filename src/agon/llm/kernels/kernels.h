// The arithmetic of a forward pass: one table of functions for each level of instructions.
//
// Every function gives the same bits whatever else is in the batch, however the work is cut and on how many
// threads: each output number is one fixed chain of operations over its own inputs. The tables of all levels
// agree to the last bit too, as all use the same sixteen lanes, the same order of sums and the same fused
// products; but for BF16 matrices on machines with products of bfloat16 (CpuLevel::kBf16), which round the
// activations to it, and for the functions at the end, which only such machines have.
#pragma once

#include <cstddef>
#include <cstdint>

#include "agon/llm/kernels/packed.h"
#include "agon/llm/kernels/screen.h"

namespace agon::llm {

/// 32 activations as signed bytes with what the kernels need of them; one cache line. x = d * q.
struct alignas(64) ActivationBlock {
  std::int8_t q[kBlock];
  float d;                  ///< About the largest absolute value / 127.
  float sum;                ///< d times the sum of q.
  float half[2];            ///< d times the sums of the first and last 16 of q.
  std::int32_t minus8;      ///< -8 times the sum of q: the share of a format's offset.
  std::int32_t minus128;    ///< -128 times the sum.
  std::int32_t minus32[2];  ///< -32 times the sums of the halves.
};
static_assert(sizeof(ActivationBlock) == 64);

/// Rows that a matrix is applied to, in one or both forms. Blocks of sixteen rows lie side by
/// side: block(row, b) = blocks[(row / 16 * (columns / 32) + b) * 16 + row % 16].
struct Activations {
  static constexpr int kTile = 16;
  int rows = 0;
  int columns = 0;
  const ActivationBlock* blocks = nullptr;  ///< For quantised matrices.
  const float* values = nullptr;            ///< For float matrices and exact products; row stride `stride`.
  std::size_t stride = 0;
  /// How many blocks behind each block lies what its rounding left, rounded itself; products with it are
  /// added. 0: left out. Only for matmul.
  std::ptrdiff_t rest = 0;

  [[nodiscard]] static std::size_t block_count(int rows, int columns) {
    return static_cast<std::size_t>((rows + kTile - 1) / kTile) * kTile *
           static_cast<std::size_t>(columns / kBlock);
  }
  [[nodiscard]] static std::size_t block_index(int row, int block, int columns) {
    return (static_cast<std::size_t>(row / kTile) * static_cast<std::size_t>(columns / kBlock) +
            static_cast<std::size_t>(block)) *
               kTile +
           static_cast<std::size_t>(row % kTile);
  }
};

/// Formats of keys and values in the cache.
enum class CacheType : std::uint8_t { kF16, kBF16, kQ8_0, kF32 };

constexpr int kPageTokens = 16;  ///< Positions of one cache page; also the lanes of a register.

/// Bytes of one head's keys (or values; the same) of one page.
[[nodiscard]] constexpr std::size_t cache_page_bytes(CacheType type, int length) {
  const auto numbers = static_cast<std::size_t>(length) * kPageTokens;
  if (type == CacheType::kQ8_0) return numbers + numbers / kBlock * 2;
  return numbers * (type == CacheType::kF32 ? 4 : 2);
}

/// Queries that attend together: up to kRows rows of one sequence and one head of keys and values.
struct AttentionTile {
  static constexpr int kRows = 128;
  int rows = 0;
  const float* query[kRows];             ///< D floats each, already scaled.
  int position[kRows];                   ///< Absolute position of each query; it sees keys 0 to itself.
  float* out[kRows];                     ///< Dv floats each.
  const std::int32_t* pages = nullptr;   ///< Number of the page that holds positions 16p to 16p+15.
  const std::uint8_t* keys = nullptr;    ///< This head's keys in page 0 of the layer.
  const std::uint8_t* values = nullptr;  ///< This head's values in page 0.
  std::size_t page_stride = 0;           ///< Bytes from one page to the next.
  int key_length = 0;                    ///< D, a multiple of 16 (32 for kQ8_0).
  int value_length = 0;                  ///< Dv, likewise.
  int window = 0;                        ///< 0: none.
  float softcap = 0;                     ///< 0: none.
  CacheType type = CacheType::kF16;
};

/// What gates a feed-forward layer.
enum class Gate : std::uint8_t { kSilu, kGeluTanh };

struct Kernels {
  /// out[row * stride + 16 * p + lane] = product of panel `first_panel + p` with every row, for p < panels.
  /// `scratch` has kMatmulScratch bytes, 64-byte aligned, and is this thread's own. Quantised matrices read
  /// activations.blocks, float ones activations.values. At most kMatmulPanels panels.
  void (*matmul)(const PackedMatrix& matrix, int first_panel, int panels, const Activations& activations,
                 float* out, std::size_t stride, std::uint8_t* scratch);
  /// The same from activations.values with weights decoded to float: no rounding of activations.
  void (*matmul_exact)(const PackedMatrix& matrix, int first_panel, int panels,
                       const Activations& activations, float* out, std::size_t stride, std::uint8_t* scratch);
  /// `count` floats (a multiple of 32) to blocks; block i goes to out[i * Activations::kTile], and unless
  /// `rest` is 0 what its rounding left to `rest` blocks behind that.
  void (*quantize)(const float* x, int count, ActivationBlock* out, std::ptrdiff_t rest);
  /// out = x / rms(x) * weight, n a multiple of 16; out may be x.
  void (*rms_norm)(const float* x, const float* weight, int n, float epsilon, float* out);
  /// Turns dimensions i and i + pairs of x by the angles whose cosines and sines are given; pairs any number.
  void (*rope)(float* x, const float* cosines, const float* sines, int pairs);
  /// gate = act(gate) * up over n numbers, a multiple of 16.
  void (*gated)(Gate kind, float* gate, const float* up, int n);
  /// x += y, n a multiple of 16.
  void (*add)(float* x, const float* y, int n);
  /// Writes one panel of a screen: a block of kScreenBlockBytes for each of the matrix' blocks. `dither` has
  /// a number in [0, 1) for each column. False where a screen cannot be made: floats, and weights that are
  /// not finite or beyond kScreenLeast and kScreenMost.
  bool (*make_screen)(const PackedMatrix& matrix, int panel, const float* dither, std::uint8_t* to);
  /// Estimates the products of a screen's panel with a row, and bounds them.
  ScreenBounds (*screen)(const std::uint8_t* panel, int blocks, const ScreenedRow& row);
  /// Softmax-weighted mean of values for every row of the tile, online over groups of 64 keys that start at
  /// multiples of 64 whatever the window. Source: FlashAttention-2 (arXiv 2307.08691, algorithm 1).
  void (*attention)(const AttentionTile& tile, std::uint8_t* scratch);
  /// Stores one position's D numbers of one head into a page: keys transposed ([dimension][position]), values
  /// not.
  void (*store_key)(CacheType type, const float* key, int length, int slot, std::uint8_t* page);
  void (*store_value)(CacheType type, const float* value, int length, int slot, std::uint8_t* page);
  /// Largest of n numbers, the first place it is at, and, unless `sum` is null, the sum of exp(x - largest)
  /// in double. n a multiple of 16; NaNs are ignored. `cap` caps the numbers first (in place) when not 0.
  void (*summarize)(float* x, int n, float cap, float* largest, int* place, double* sum);

  // Of any n numbers, NaNs ignored.
  /// The largest; minus infinity when none is more.
  float (*largest)(const float* x, int n);
  /// Sum of exp((x - from) * factor), added up in float by 64 and then in double. What is NaN weighs nothing,
  /// and exponents are to be 0 or less; `from` and `factor` are finite.
  double (*weigh)(const float* x, int n, float from, float factor);
  /// Writes the places of those that are `floor` or more, ascending, and returns how many they are.
  int (*at_least)(const float* x, int n, float floor, std::int32_t* places);

  // How prompts are read in bfloat16: their attention on machines with products of it (CpuLevel::kBf16), all
  // of it on those with tile registers; null elsewhere, where matmul and attention do that. What these give
  // does not depend on the batch either.
  /// As matmul, for at most kPairPanels panels and from activations that round_pairs made; F32 and F16
  /// matrices as in matmul_exact.
  void (*matmul_pairs)(const PackedMatrix& matrix, int first_panel, int panels,
                       const Activations& activations, float* out, std::size_t stride,
                       std::uint8_t* scratch) = nullptr;
  /// `count` floats (a multiple of 32) to bfloat16, 32 of them in the place of each block.
  void (*round_pairs)(const float* x, int count, ActivationBlock* out) = nullptr;
  /// As attention.
  void (*attention_pairs)(const AttentionTile& tile, std::uint8_t* scratch) = nullptr;
};

constexpr int kMatmulPanels = 4;
constexpr int kPairPanels = 16;                   ///< At most, of matmul_pairs.
constexpr int kScratchBlocks = 64;                ///< Blocks of a panel decoded at once.
constexpr std::size_t kScratchBlockBytes = 2048;  ///< Enough for 32 x 16 floats, or bytes with their scales.
constexpr std::size_t kMatmulScratch = std::size_t{768} << 10;
static_assert(std::size_t{kMatmulPanels} * kScratchBlocks * kScratchBlockBytes <= kMatmulScratch);

/// The table of a level; kernels() is that of cpu_level().
[[nodiscard]] const Kernels& kernels();
[[nodiscard]] const Kernels& plain_kernels();
[[nodiscard]] const Kernels& avx2_kernels();
[[nodiscard]] const Kernels& avx512_kernels();
[[nodiscard]] const Kernels& vnni_kernels();
[[nodiscard]] const Kernels& bf16_kernels();
[[nodiscard]] const Kernels& amx_kernels();

}  // namespace agon::llm
