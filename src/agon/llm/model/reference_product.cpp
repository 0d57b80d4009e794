#include "agon/llm/model/reference_product.h"

#include <algorithm>
#include <cstring>

#include "agon/base/check.h"
#include "agon/base/parallel.h"
#include "agon/llm/gguf/dequantize.h"

namespace agon::llm {
namespace {

// Eight doubles, whatever registers the machine has. Lanes are separate sums, and products are rounded before
// they are added (the build has -ffp-contract=off), so all levels give the same bits.
using Lanes = double __attribute__((vector_size(kTileColumns * sizeof(double))));

[[gnu::always_inline]] inline void tile_body(const double* left, const double* right, std::size_t depth,
                                             double* out) {
  Lanes sum0 = {}, sum1 = {}, sum2 = {}, sum3 = {};
  for (std::size_t k = 0; k < depth; ++k) {
    Lanes r;
    std::memcpy(&r, right + k * kTileColumns, sizeof r);
    const double* l = left + k * kTileRows;
    sum0 += l[0] * r;
    sum1 += l[1] * r;
    sum2 += l[2] * r;
    sum3 += l[3] * r;
  }
  std::memcpy(out, &sum0, sizeof sum0);
  std::memcpy(out + kTileColumns, &sum1, sizeof sum1);
  std::memcpy(out + 2 * kTileColumns, &sum2, sizeof sum2);
  std::memcpy(out + 3 * kTileColumns, &sum3, sizeof sum3);
}

void tile_plain(const double* left, const double* right, std::size_t depth, double* out) {
  tile_body(left, right, depth, out);
}

using Tile = void (*)(const double*, const double*, std::size_t, double*);

#if defined(__x86_64__)
[[gnu::target("avx2")]] void tile_avx2(const double* left, const double* right, std::size_t depth,
                                       double* out) {
  tile_body(left, right, depth, out);
}
[[gnu::target("avx512f,prefer-vector-width=512")]] void tile_avx512(const double* left, const double* right,
                                                                    std::size_t depth, double* out) {
  tile_body(left, right, depth, out);
}
Tile best_tile() {
  if (__builtin_cpu_supports("avx512f")) return tile_avx512;
  return __builtin_cpu_supports("avx2") ? tile_avx2 : tile_plain;
}
#else
Tile best_tile() { return tile_plain; }
#endif

}  // namespace

void tile_product(const double* left, const double* right, std::size_t depth, double* out) {
  static const Tile tile = best_tile();
  tile(left, right, depth, out);
}

std::vector<double> tiles_of(std::span<const double> rows, std::size_t width) {
  const std::size_t count = rows.size() / width;
  std::vector<double> out((count + kTileColumns - 1) / kTileColumns * kTileColumns * width, 0.0);
  for (std::size_t row = 0; row < count; ++row) {
    double* tile = out.data() + row / kTileColumns * kTileColumns * width + row % kTileColumns;
    for (std::size_t k = 0; k < width; ++k) tile[k * kTileColumns] = rows[row * width + k];
  }
  return out;
}

void expand_row(const MatrixView& w, std::size_t row, std::span<float> out) {
  const gguf::TypeTraits traits = gguf::type_traits(w.tensor->type);
  const std::size_t bytes = w.tensor->columns() / traits.elements * traits.bytes;
  AGON_CHECK(row < w.rows && out.size() == w.tensor->columns());
  gguf::dequantize(w.tensor->type, w.tensor->bytes.subspan((w.first_row + row) * bytes, bytes), out);
}

void multiply(const MatrixView& w, std::span<const double> x, std::size_t tokens, std::span<double> out) {
  const std::size_t width = w.tensor->columns(), rows = w.rows;
  AGON_CHECK(x.size() == tokens * width && out.size() == tokens * rows);
  const std::vector<double> tiles = tiles_of(x, width);
  parallel_chunks(rows, 16 * kTileRows, [&](std::size_t begin, std::size_t end) {
    std::vector<float> weights(width);
    std::vector<double> left(width * kTileRows);
    double sums[kTileRows * kTileColumns];
    for (std::size_t row = begin; row < end; row += kTileRows) {
      const std::size_t height = std::min(kTileRows, end - row);
      std::ranges::fill(left, 0.0);
      for (std::size_t r = 0; r < height; ++r) {
        expand_row(w, row + r, weights);
        for (std::size_t k = 0; k < width; ++k) left[k * kTileRows + r] = static_cast<double>(weights[k]);
      }
      for (std::size_t t = 0; t < tokens; t += kTileColumns) {
        tile_product(left.data(), tiles.data() + t * width, width, sums);
        for (std::size_t c = 0; c < std::min(kTileColumns, tokens - t); ++c)
          for (std::size_t r = 0; r < height; ++r) out[(t + c) * rows + row + r] = sums[r * kTileColumns + c];
      }
    }
  });
}

}  // namespace agon::llm
