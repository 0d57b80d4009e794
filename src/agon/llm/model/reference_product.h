// Products in double precision for the reference model, summed in order whatever the machine.
#pragma once

#include <cstddef>
#include <span>
#include <vector>

#include "agon/llm/model/config.h"

namespace agon::llm {

inline constexpr std::size_t kTileRows = 4;     ///< Rows of the left factor that one call takes.
inline constexpr std::size_t kTileColumns = 8;  ///< Columns of the right one.

/// out[r][c] = sum over k, in order, of left[k][r] * right[k][c]: 4 by 8 sums over `depth` terms.
void tile_product(const double* left, const double* right, std::size_t depth, double* out);

/// Rows of doubles (row-major, `width` each), regrouped for tile_product's right side: tiles of 8 rows, in
/// each of which the 8 values of one column lie together; the last tile is filled up with zeros.
[[nodiscard]] std::vector<double> tiles_of(std::span<const double> rows, std::size_t width);

/// out[t][n] = sum over k of x[t][k] * w[n][k]: `tokens` rows of x through the matrix, on all threads. `out`
/// has tokens * rows doubles.
void multiply(const MatrixView& w, std::span<const double> x, std::size_t tokens, std::span<double> out);

/// Dequantises row `row` of a view.
void expand_row(const MatrixView& w, std::size_t row, std::span<float> out);

}  // namespace agon::llm
