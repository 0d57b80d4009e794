#include "agon/llm/model/leading.h"

#include <algorithm>
#include <array>
#include <cmath>
#include <limits>

#include "agon/llm/kernels/kernels.h"

namespace agon::llm {
namespace {

constexpr float kNever = -std::numeric_limits<float>::infinity();
constexpr float kBandsPerNat = 2;

std::size_t band_of(float logit, float largest) {
  const float depth = (largest - logit) * kBandsPerNat;
  constexpr auto kLast = static_cast<float>(Bands::kCount - 1);
  return depth < kLast ? static_cast<std::size_t>(static_cast<int>(depth)) : Bands::kCount - 1;
}

}  // namespace

LogitTotal total_of(std::span<const float> logits, double scale, std::vector<float>& scratch) {
  constexpr std::size_t kLanes = 16;
  scratch.resize((logits.size() + kLanes - 1) / kLanes * kLanes);
  const auto factor = static_cast<float>(scale);
  std::ranges::transform(logits, scratch.begin(), [&](float logit) { return logit * factor; });
  std::fill(scratch.begin() + static_cast<std::ptrdiff_t>(logits.size()), scratch.end(), kNever);
  LogitTotal total{};
  int place = 0;
  kernels().summarize(scratch.data(), static_cast<int>(scratch.size()), 0, &total.largest, &place,
                      &total.sum);
  // The unscaled one at that place, which is the largest too.
  if (total.largest > kNever) total.largest = logits[static_cast<std::size_t>(place)];
  return total;
}

void leading_bands(std::span<const float> logits, float largest, double scale, double target, Bands& bands) {
  std::array<std::size_t, Bands::kCount> counts{};
  for (const float logit : logits) counts[band_of(logit, largest)] += logit > kNever ? 1 : 0;
  // A token weighs at least what the lower end of its band does.
  double least = 0;
  std::size_t last = 0;
  for (; last + 1 < Bands::kCount; ++last) {
    least += static_cast<double>(counts[last]) *
             std::exp(-static_cast<double>(last + 1) / static_cast<double>(kBandsPerNat) * scale);
    if (least >= target) break;
  }
  std::array<std::size_t, Bands::kCount> next{};
  bands.ends.clear();
  std::size_t end = 0;
  for (std::size_t band = 0; band <= last; ++band) {
    next[band] = end;
    end += counts[band];
    bands.ends.push_back(end);
  }
  bands.tokens.resize(end);
  for (std::size_t i = 0; i < logits.size(); ++i) {
    const std::size_t band = band_of(logits[i], largest);
    if (band > last || !(logits[i] > kNever)) continue;
    bands.tokens[next[band]++] = {.logit = logits[i], .token = static_cast<std::int32_t>(i)};
  }
}

}  // namespace agon::llm
