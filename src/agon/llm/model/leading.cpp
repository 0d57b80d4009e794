#include "agon/llm/model/leading.h"

#include <algorithm>
#include <array>
#include <cmath>
#include <limits>

#include "agon/llm/kernels/kernels.h"

namespace agon::llm {
namespace {

constexpr float kNever = -std::numeric_limits<float>::infinity();
constexpr float kLowest = std::numeric_limits<float>::lowest();
// Bands of half a nat from the largest logit down; the last one holds all that is lower.
constexpr std::size_t kBands = 64;
constexpr float kBandsPerNat = 2;

std::size_t band_of(float logit, float largest) {
  const float depth = (largest - logit) * kBandsPerNat;
  constexpr auto kLast = static_cast<float>(kBands - 1);
  return depth < kLast ? static_cast<std::size_t>(static_cast<int>(std::max(depth, 0.0F))) : kBands - 1;
}

/// Calls body(token) for every logit that is at least floor(), which may rise meanwhile: it is asked for
/// every so many tokens.
template <class Floor, class Body>
void for_each_at_least(std::span<const float> logits, const Floor& floor, const Body& body) {
  constexpr std::size_t kTogether = 1024;
  std::array<std::int32_t, kTogether> places;
  for (std::size_t begin = 0; begin < logits.size(); begin += kTogether) {
    const auto size = static_cast<int>(std::min(kTogether, logits.size() - begin));
    const int count = kernels().at_least(logits.data() + begin, size, floor(), places.data());
    for (int i = 0; i < count; ++i) {
      const std::size_t at = begin + static_cast<std::size_t>(places[static_cast<std::size_t>(i)]);
      body(TokenLogit{.logit = logits[at], .token = static_cast<std::int32_t>(at)});
    }
  }
}

double weight_of(std::span<const float> logits, const LogitTotal& total) {
  return kernels().weigh(logits.data(), static_cast<int>(logits.size()), total.largest, total.factor);
}

/// All tokens of the first `depth` bands, by id.
void find_down_to(std::size_t depth, std::span<const float> logits, float largest, Nucleus& nucleus) {
  // No logit of these bands is below it: rounding keeps the order of numbers.
  const float floor = depth < kBands ? largest - static_cast<float>(depth) / kBandsPerNat : kLowest;
  nucleus.found.clear();
  nucleus.logits.clear();
  for_each_at_least(
      logits, [floor] { return floor; },
      [&](const TokenLogit& one) {
        nucleus.found.push_back(one);
        nucleus.logits.push_back(one.logit);
      });
}

}  // namespace

float largest_of(std::span<const float> logits) {
  return kernels().largest(logits.data(), static_cast<int>(logits.size()));
}

// A heap of the best so far, the worst of them in front: most logits are below that.
std::vector<TokenLogit> most_probable(std::span<const float> logits, std::size_t count) {
  std::vector<TokenLogit> kept;
  if (count == 0) return kept;
  kept.reserve(std::min(count, logits.size()) + 1);
  float floor = kNever;
  for_each_at_least(
      logits, [&] { return floor; },
      [&](const TokenLogit& next) {
        // Ids ascend, so that an equal logit comes too late.
        if (!(next.logit > floor)) return;
        kept.push_back(next);
        std::ranges::push_heap(kept, more_probable);
        if (kept.size() > count) {
          std::ranges::pop_heap(kept, more_probable);
          kept.pop_back();
        }
        if (kept.size() == count) floor = kept.front().logit;
      });
  std::ranges::sort_heap(kept, more_probable);
  return kept;
}

std::vector<TokenLogit> tokens_from(std::span<const float> logits, float floor) {
  std::vector<TokenLogit> out;
  for_each_at_least(
      logits, [floor] { return std::max(floor, kLowest); },
      [&](const TokenLogit& one) { out.push_back(one); });
  return out;
}

void add_up(std::span<const float> logits, double scale, LogitTotal& total) {
  total.largest = largest_of(logits);
  total.sum = 0;
  total.parts.clear();
  if (!(total.largest > kNever)) return;
  // The largest weighs 1 whatever the scale is, which stays a finite float.
  total.factor = static_cast<float>(std::min(scale, static_cast<double>(std::numeric_limits<float>::max())));
  for (std::size_t begin = 0; begin < logits.size(); begin += LogitTotal::kPart) {
    const auto size = static_cast<int>(std::min(LogitTotal::kPart, logits.size() - begin));
    total.parts.push_back(kernels().weigh(logits.data() + begin, size, total.largest, total.factor));
    total.sum += total.parts.back();
  }
}

std::optional<std::int32_t> LogitTotal::token_at(std::span<const float> logits, double point) const {
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
  const std::size_t end = std::min(logits.size(), (part + 1) * kPart);
  for (std::size_t i = part * kPart; i < end; ++i) {
    const double weight = std::exp(static_cast<double>((logits[i] - largest) * factor));
    if (!(weight > 0)) continue;
    found = i;
    if ((upto += weight) > point) break;
  }
  return static_cast<std::int32_t>(found);
}

void find_nucleus(std::span<const float> logits, const LogitTotal& total, double target, Nucleus& nucleus) {
  // Most targets are reached a few nats below the largest, where few tokens are: the others need not be put
  // into bands.
  for (const std::size_t depth : {std::size_t{6}, std::size_t{16}, kBands}) {
    find_down_to(depth, logits, total.largest, nucleus);
    if (depth == kBands || weight_of(nucleus.logits, total) >= target) break;
  }
  std::array<std::size_t, kBands + 1> ends{};
  for (const TokenLogit& one : nucleus.found) ++ends[band_of(one.logit, total.largest) + 1];
  for (std::size_t band = 0; band < kBands; ++band) ends[band + 1] += ends[band];
  std::array<std::size_t, kBands> next;
  std::copy_n(ends.begin(), kBands, next.begin());
  std::vector<TokenLogit>& tokens = nucleus.tokens;
  tokens.resize(nucleus.found.size());
  for (const TokenLogit& one : nucleus.found) {
    const std::size_t place = next[band_of(one.logit, total.largest)]++;
    tokens[place] = one;
    nucleus.logits[place] = one.logit;
  }
  // Only the band in which the target is reached has to be in order.
  double upto = 0;
  for (std::size_t band = 0; band < kBands; ++band) {
    const std::size_t begin = ends[band], count = ends[band + 1] - begin;
    const double weight = weight_of(std::span(nucleus.logits).subspan(begin, count), total);
    if (upto + weight < target) {
      upto += weight;
      continue;
    }
    const auto first = tokens.begin() + static_cast<std::ptrdiff_t>(begin);
    std::sort(first, first + static_cast<std::ptrdiff_t>(count), more_probable);
    for (std::size_t i = begin; i < begin + count; ++i) {
      nucleus.logits[i] = tokens[i].logit;
      upto += std::exp(static_cast<double>((tokens[i].logit - total.largest) * total.factor));
      if (upto < target) continue;
      tokens.resize(i + 1);
      break;
    }
    // Where the two sums of one band round apart, the target is reached in the next one.
    if (upto >= target) break;
  }
  nucleus.logits.resize(tokens.size());
}

}  // namespace agon::llm
