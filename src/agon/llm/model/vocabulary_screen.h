// The output matrix in four bits a weight, by which the most probable next token is found without reading
// all of the matrix: where the vocabulary is most of a small model, so is the time that greedy text takes.
#pragma once

#include <cstdint>
#include <memory>
#include <span>
#include <vector>

#include "agon/llm/kernels/kernels.h"
#include "agon/llm/kernels/team.h"
#include "agon/llm/model/config.h"

namespace agon::llm {

/// Immutable once made. See kernels/screen.h for what it is.
class VocabularyScreen {
 public:
  /// How far above its estimate a logit may be, in standard deviations. Words are compared with a logit that
  /// is known, so a token can be missed only where the error of the best word itself is larger: which word
  /// that is does not depend on the dither, so with a probability of at most exp(-9^2 / 2) = 3e-18.
  static constexpr double kDeviations = 9;

  /// The bytes of the screen of an output matrix, planned or filled; 0 where there is to be none: where it
  /// would not save a step a twentieth of the `step` bytes that it reads with all of the matrix; of floats;
  /// and where logits are capped, which makes equals of large ones, so that bounds do not tell which is
  /// first.
  [[nodiscard]] static std::size_t bytes_for(const ModelConfig& config, const PackedMatrix& output,
                                             std::size_t step);
  /// Of a quantised matrix. Null where a weight is not finite, or so large or small that squares would leave
  /// the range of floats. Throws std::bad_alloc.
  static std::unique_ptr<const VocabularyScreen> make(const PackedMatrix& output, Team& team);

  /// Panels of sixteen words; what is left of the vocabulary at its end is not in them.
  [[nodiscard]] int panels() const { return panels_; }
  [[nodiscard]] int blocks() const { return static_cast<int>(dither_.size()) / kBlock; }
  [[nodiscard]] std::size_t panel_bytes() const { return dither_.size() / kBlock * kScreenBlockBytes; }
  [[nodiscard]] const std::uint8_t* panel(int index) const {
    return data_.data() + static_cast<std::size_t>(index) * panel_bytes();
  }
  /// What the kernel needs of a row besides its blocks: `offsets` and `squares` of blocks() numbers each.
  /// False where the row's numbers are too large for bounds to stay inside floats.
  [[nodiscard]] bool prepare(const ActivationBlock* row, std::span<float> offsets,
                             std::span<float> squares) const;

 private:
  VocabularyScreen() = default;
  int panels_ = 0;
  std::vector<float> dither_;  // of each column
  AlignedBytes data_;
};

}  // namespace agon::llm
