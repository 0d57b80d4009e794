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

/// Calls body(i) for every token that may be in the first `depth` bands.
template <class Body>
void for_each_above(std::span<const float> logits, float largest, std::size_t depth, const Body& body) {
  std::size_t i = 0;
  if (depth < Bands::kCount) {
    // No logit of these bands is below it: rounding keeps the order of numbers.
    const float floor = largest - static_cast<float>(depth) / kBandsPerNat;
    for (; i + kLanes <= logits.size(); i += kLanes) {
      int found = 0;
      for (std::size_t lane = 0; lane < kLanes; ++lane) found |= static_cast<int>(logits[i + lane] >= floor);
      if (found == 0) continue;
      for (std::size_t lane = 0; lane < kLanes; ++lane) body(i + lane);
    }
  }
  for (; i < logits.size(); ++i) body(i);
}

/// leading_bands(), if the first `depth` bands are enough or all there are.
bool bands_above(std::span<const float> logits, float largest, double scale, double target, std::size_t depth,
                 Bands& bands) {
  std::array<std::size_t, Bands::kCount> counts{};
  for_each_above(logits, largest, depth,
                 [&](std::size_t i) { counts[band_of(logits[i], largest)] += logits[i] > kNever ? 1 : 0; });
  // A token weighs at least what the lower end of its band does.
  double least = 0;
  std::size_t last = 0;
  for (; last + 1 < depth; ++last) {
    least += static_cast<double>(counts[last]) *
             std::exp(-static_cast<double>(last + 1) / static_cast<double>(kBandsPerNat) * scale);
    if (least >= target) break;
  }
  if (least < target && depth < Bands::kCount) return false;
  std::array<std::size_t, Bands::kCount> next{};
  bands.ends.clear();
  std::size_t end = 0;
  for (std::size_t band = 0; band <= last; ++band) {
    next[band] = end;
    end += counts[band];
    bands.ends.push_back(end);
  }
  bands.tokens.resize(end);
  for_each_above(logits, largest, last + 1, [&](std::size_t i) {
    const std::size_t band = band_of(logits[i], largest);
    if (band > last || !(logits[i] > kNever)) return;
    bands.tokens[next[band]++] = {.logit = logits[i], .token = static_cast<std::int32_t>(i)};
  });
  return true;
}

}  // namespace

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

void add_up(std::span<const float> logits, double scale, LogitTotal& total) {
  total.largest = largest_of(logits);
  total.sum = 0;
  total.parts.clear();
  if (!(total.largest > kNever)) return;
  std::vector<float>& scaled = total.scaled;
  scaled.resize((logits.size() + kLanes - 1) / kLanes * kLanes);
  // The largest is 0 whatever the scale is, which stays a finite float: nothing becomes infinite minus
  // infinite.
  const auto factor =
      static_cast<float>(std::min(scale, static_cast<double>(std::numeric_limits<float>::max())));
  const float largest = total.largest;
  std::ranges::transform(logits, scaled.begin(), [&](float logit) { return (logit - largest) * factor; });
  std::fill(scaled.begin() + static_cast<std::ptrdiff_t>(logits.size()), scaled.end(), kNever);
  for (std::size_t begin = 0; begin < scaled.size(); begin += LogitTotal::kPart) {
    const std::size_t size = std::min(LogitTotal::kPart, scaled.size() - begin);
    float top = 0;
    double sum = 0;
    int place = 0;
    kernels().summarize(scaled.data() + begin, static_cast<int>(size), 0, &top, &place, &sum);
    total.parts.push_back(top > kNever ? sum * std::exp(static_cast<double>(top)) : 0.0);
    total.sum += total.parts.back();
  }
}

std::optional<std::int32_t> LogitTotal::token_at(double point) const {
  if (parts.empty()) return std::nullopt;
  // Rounding may leave a point just behind the last weight: then the last token that has one is meant.
  std::size_t part = 0, last = 0;
  double upto = 0;
  for (; part < parts.size(); ++part) {
    if (parts[part] > 0) last = part;
    if (upto + parts[part] > point) break;
    upto += parts[part];
  }
  if (part == parts.size()) {
    part = last;
    upto -= parts[part];
  }
  std::size_t found = 0;
  const std::size_t end = std::min(scaled.size(), (part + 1) * kPart);
  for (std::size_t i = part * kPart; i < end; ++i) {
    const double weight = std::exp(static_cast<double>(scaled[i]));
    if (!(weight > 0)) continue;
    found = i;
    if ((upto += weight) > point) break;
  }
  return static_cast<std::int32_t>(found);
}

void leading_bands(std::span<const float> logits, float largest, double scale, double target, Bands& bands) {
  // Most targets are reached a few nats below the largest, where few tokens are: the others need not be put
  // into bands.
  for (const std::size_t depth : {std::size_t{8}, std::size_t{24}, Bands::kCount})
    if (bands_above(logits, largest, scale, target, depth, bands)) return;
}

}  // namespace agon::llm
