// A screen of a matrix: its rows in four bits, to find the largest of a product's numbers without reading all
// of the matrix.
//
// Each block of 32 columns of a row has one scale s >= (largest weight) / 7.5, and the code of a weight w in
// column k is round(w / s + 7 + u_k), 0 to 15, where u_k is drawn evenly from [0, 1) once for each column.
// What the code leaves of the weight, s times (w / s + 7 + u_k - code), is then spread evenly over [-s/2,
// s/2] whatever the weights are: subtractive dither (Roberts 1962; Schuchman 1964). So the product with
// inputs x differs from its estimate by a sum of independent numbers, and by Chernoff's bound, as the moments
// of an even spread are below those of a normal one, by more than `deviations` times
// sqrt(sum of (s x)^2 / 12) with a probability of at most exp(-deviations^2 / 2) to either side.
#pragma once

#include <cstddef>

#include "agon/llm/kernels/packed.h"

namespace agon::llm {

struct ActivationBlock;

/// Sixteen bfloat16 scales, one a row, then the codes as nibbles (packed.h).
constexpr std::size_t kScreenBlockBytes = 2 * kPanelRows + kPanelRows * kBlock / 2;
/// Largest weights of blocks that a screen takes; zeros are fine too. Their squares stay inside floats.
constexpr float kScreenLeast = 1e-12F, kScreenMost = 1e12F;

/// One row of inputs. The arrays have a number for each block of 32 columns.
struct ScreenedRow {
  const ActivationBlock* blocks;  ///< Activations::kTile apart.
  const float* offsets;           ///< d times the sum of q (1 - u).
  const float* squares;           ///< The squared bound for a scale of 1.
};

/// Of the sixteen rows of a panel.
struct ScreenBounds {
  float most;      ///< The largest upper bound.
  float estimate;  ///< The largest estimate.
};

}  // namespace agon::llm
