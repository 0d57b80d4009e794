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
  return depth < kLast ? static_cast<std::size_t>(static_cast<int>(std::max(depth, 0.0F)))
                       : Bands::kCount - 1;
}

constexpr std::size_t kLanes = 16;

// In lanes, so that the compiler can take a register of them at a time; what is no number is never larger.
float largest_of(std::span<const float> logits) {
  std::array<float, kLanes> lanes;
  lanes.fill(kNever);
  std::size_t i = 0;
  for (; i + kLanes <= logits.size(); i += kLanes)
    for (std::size_t lane = 0; lane < kLanes; ++lane)
      lanes[lane] = logits[i + lane] > lanes[lane] ? logits[i + lane] : lanes[lane];
  for (; i < logits.size(); ++i) lanes[0] = logits[i] > lanes[0] ? logits[i] : lanes[0];
  return *std::ranges::max_element(lanes);
}

}  // namespace

LogitTotal total_of(std::span<const float> logits, double scale, std::vector<float>& scratch) {
  const float largest = largest_of(logits);
  if (!(largest > kNever)) return {.largest = kNever, .sum = 0};
  scratch.resize((logits.size() + kLanes - 1) / kLanes * kLanes);
  // The largest is 0 whatever the scale is, which stays a finite float: nothing becomes infinite minus
  // infinite.
  const auto factor =
      static_cast<float>(std::min(scale, static_cast<double>(std::numeric_limits<float>::max())));
  std::ranges::transform(logits, scratch.begin(), [&](float logit) { return (logit - largest) * factor; });
  std::fill(scratch.begin() + static_cast<std::ptrdiff_t>(logits.size()), scratch.end(), kNever);
  LogitTotal total{.largest = largest, .sum = 0};
  float zero = 0;
  int place = 0;
  kernels().summarize(scratch.data(), static_cast<int>(scratch.size()), 0, &zero, &place, &total.sum);
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
