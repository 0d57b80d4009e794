#include "agon/llm/model/vocabulary_screen.h"

#include <algorithm>
#include <atomic>
#include <cmath>

#include "agon/base/check.h"
#include "agon/base/random.h"

namespace agon::llm {

std::size_t VocabularyScreen::bytes_for(const ModelConfig& config, const PackedMatrix& output,
                                        std::size_t step) {
  if (!config.causal || config.final_softcap != 0 || is_float(output.type)) return 0;
  const std::size_t screen = static_cast<std::size_t>(output.rows / kPanelRows) *
                             static_cast<std::size_t>(output.columns / kBlock) * kScreenBlockBytes;
  const std::size_t all = packed_bytes(output);
  return screen < all && 20 * (all - screen) >= step ? screen : 0;
}

std::unique_ptr<const VocabularyScreen> VocabularyScreen::make(const PackedMatrix& output, Team& team) {
  AGON_CHECK(!is_float(output.type));
  std::unique_ptr<VocabularyScreen> screen(new VocabularyScreen);
  screen->panels_ = output.rows / kPanelRows;
  screen->dither_.resize(static_cast<std::size_t>(output.columns));
  // The same in every run: that results repeat matters more than that nobody could know these numbers, who
  // would only spoil a model of their own.
  Random random(20261201);
  for (float& u : screen->dither_) u = static_cast<float>(random.below(1U << 24)) * 0x1p-24F;
  screen->data_ = AlignedBytes(static_cast<std::size_t>(screen->panels_) * screen->panel_bytes());
  std::atomic<bool> fine = true;
  team.run([&](Member& member) {
    constexpr int kGrain = 8;  // panels taken at a time
    const int pieces = (screen->panels_ + kGrain - 1) / kGrain;
    for (int piece = member.take(pieces); piece < pieces; piece = member.take(pieces)) {
      for (int p = piece * kGrain; p < std::min(screen->panels_, (piece + 1) * kGrain); ++p) {
        std::uint8_t* to = screen->data_.data() + static_cast<std::size_t>(p) * screen->panel_bytes();
        if (fine.load(std::memory_order_relaxed) &&
            !kernels().make_screen(output, p, screen->dither_.data(), to))
          fine.store(false, std::memory_order_relaxed);
      }
    }
  });
  if (!fine) return nullptr;
  return screen;
}

bool VocabularyScreen::prepare(const ActivationBlock* row, std::span<float> offsets,
                               std::span<float> squares) const {
  const auto n = static_cast<double>(blocks());
  // What arithmetic in floats may add to the estimate and to the logit, each a chain of at most two sums a
  // block: as many roundings of 2^-24 of the sum of |s x| times 24 (a weight is 7.5 scales at most, its code
  // and its minimum three times that), which is at most sqrt(columns) times the root of the squares. What
  // codes leave is 2^-18 of a scale beyond the half at most.
  const double columns = 32 * n;
  const double rounding = ((4 * n + 16) * 24 * 0x1p-24 + 0x1p-18) * std::sqrt(columns);
  const double bound = kDeviations / std::sqrt(12.0) + rounding;
  double total = 0;
  for (std::size_t b = 0; b < offsets.size(); ++b, row += Activations::kTile) {
    double offset = 0, square = 0;
    for (std::size_t k = 0; k < kBlock; ++k) {
      const double q = row->q[k];
      offset += q * (1 - static_cast<double>(dither_[kBlock * b + k]));
      square += q * q;
    }
    const double d = static_cast<double>(row->d);
    offsets[b] = static_cast<float>(d * offset);
    // Never so small that a product with a squared scale would vanish.
    squares[b] = static_cast<float>(1.00001 * bound * bound * d * d * square + 1e-10);
    total += d * d * square;
  }
  return total < 1e10;
}

}  // namespace agon::llm
