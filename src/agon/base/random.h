// One source of random draws: the same seed gives the same numbers on every machine and thread count.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <utility>

namespace agon {

/// SplitMix64 (Steele, Lea and Flood 2014, "Fast splittable pseudorandom number generators").
/// A stream of its own for every (seed, stream) pair, so that parallel work draws without sharing.
class Random {
 public:
  explicit Random(std::uint64_t seed, std::uint64_t stream = 0)
      : state_(mix(seed + 0x9e3779b97f4a7c15ULL) ^ mix(stream + 0xd1b54a32d192ed03ULL)) {}

  /// Uniform over all 64-bit values.
  std::uint64_t next() {
    state_ += 0x9e3779b97f4a7c15ULL;
    return mix(state_);
  }
  /// Uniform in [0, 1), 53 bits.
  double uniform() { return static_cast<double>(next() >> 11) * 0x1.0p-53; }
  /// Uniform in [0, n), n > 0; multiply-shift (Lemire 2019), bias below n / 2^64.
  std::uint64_t below(std::uint64_t n) {
    return static_cast<std::uint64_t>((static_cast<unsigned __int128>(next()) * n) >> 64);
  }
  /// Fisher-Yates.
  template <class T>
  void shuffle(std::span<T> items) {
    for (std::size_t i = items.size(); i > 1; --i) std::swap(items[i - 1], items[below(i)]);
  }

 private:
  static std::uint64_t mix(std::uint64_t z) {
    z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9ULL;
    z = (z ^ (z >> 27)) * 0x94d049bb133111ebULL;
    return z ^ (z >> 31);
  }
  std::uint64_t state_;
};

}  // namespace agon
