// Texts numbered in order of first appearance: competitors, voters, labels. Internal to the readers of
// battles.
#pragma once

#include <algorithm>
#include <array>
#include <cstdint>
#include <cstring>
#include <memory>
#include <string_view>
#include <vector>

#include "agon/base/hash.h"

#if defined(__SSE2__)
#include <emmintrin.h>
#endif

namespace agon::battle_parts {

/// A text of up to 32 bytes, filled up with zeros: names are mostly that short, and four words are hashed
/// and compared without asking for the length, which no branch predictor can guess.
struct alignas(16) ShortText {
  static constexpr std::size_t kMax = 32;
  std::uint64_t word[4];

  /// `padded`: 32 bytes from the text's first on may be read, whatever its length.
  static ShortText of(std::string_view text, bool padded) {
    ShortText out;
#if defined(__SSE2__)
    if (padded) {
      alignas(64) static constexpr auto kMask = [] {
        std::array<unsigned char, 64> mask{};
        std::fill_n(mask.begin(), kMax, static_cast<unsigned char>(0xFF));
        return mask;
      }();
      for (std::size_t k = 0; k < 2; ++k) {
        const auto* bytes = reinterpret_cast<const __m128i*>(text.data() + 16 * k);
        const auto* mask = reinterpret_cast<const __m128i*>(kMask.data() + kMax - text.size() + 16 * k);
        _mm_store_si128(reinterpret_cast<__m128i*>(out.word + 2 * k),
                        _mm_and_si128(_mm_loadu_si128(bytes), _mm_loadu_si128(mask)));
      }
      return out;
    }
#else
    (void)padded;
#endif
    std::memset(out.word, 0, sizeof out.word);
    if (!text.empty()) std::memcpy(out.word, text.data(), text.size());
    return out;
  }
  [[nodiscard]] bool operator==(const ShortText& other) const {
    return ((word[0] ^ other.word[0]) | (word[1] ^ other.word[1]) | (word[2] ^ other.word[2]) |
            (word[3] ^ other.word[3])) == 0;
  }
  /// Mixes by the folded 128-bit product. Not kept anywhere: numbers never depend on it.
  [[nodiscard]] std::uint64_t hash(std::size_t size) const {
    const auto fold = [](std::uint64_t x, std::uint64_t y) {
      const auto product = static_cast<unsigned __int128>(x) * y;
      return static_cast<std::uint64_t>(product) ^ static_cast<std::uint64_t>(product >> 64);
    };
    constexpr std::uint64_t k0 = 0x9e3779b97f4a7c15, k1 = 0xd1b54a32d192ed03;  // odd, bits well spread
    constexpr std::uint64_t k2 = 0x8cb92ba72f3d8dd7, k3 = 0xaef17502108ef2d9;
    return fold(word[0] ^ k0 ^ size, word[1] ^ k1) ^ fold(word[2] ^ k2, word[3] ^ k3);
  }
};

/// Open addressing over copies of the texts. clear() keeps the memory, so that one table serves many
/// blocks of a file.
class NameTable {
 public:
  static constexpr std::uint32_t kNone = 0xFFFFFFFF;

  [[nodiscard]] std::size_t size() const { return entries_.size(); }
  [[nodiscard]] std::string_view name(std::size_t i) const { return {entries_[i].at, entries_[i].size}; }

  /// A text with its hash, to look it up and then perhaps to add it.
  struct Key {
    std::string_view text;
    ShortText start;
    std::uint64_t hash;
  };
  [[nodiscard, gnu::always_inline]] static inline Key key(std::string_view text, bool padded = false) {
    if (text.size() > ShortText::kMax) [[unlikely]]
      return {text, ShortText::of(text.substr(0, ShortText::kMax), false), hash64(text)};
    const ShortText start = ShortText::of(text, padded);
    return {text, start, start.hash(text.size())};
  }
  [[nodiscard]] Key key(std::size_t i) const { return {name(i), entries_[i].start, entries_[i].hash}; }

  /// The number of a text, or kNone.
  [[nodiscard, gnu::always_inline]] inline std::uint32_t find(const Key& key) const {
    for (std::size_t i = key.hash & mask_;; i = (i + 1) & mask_) {
      const std::uint32_t slot = slots_[i];
      if (slot == 0) return kNone;
      const Entry& entry = entries_[slot - 1];
      if (entry.size == key.text.size() && entry.start == key.start &&
          (entry.size <= ShortText::kMax || std::memcmp(entry.at, key.text.data(), entry.size) == 0))
        return slot - 1;
    }
  }
  std::uint32_t add(const Key& key) {
    const std::uint32_t found = find(key);
    return found != kNone ? found : insert(key);
  }
  std::uint32_t add(std::string_view text) { return add(key(text)); }

  void clear() {
    if (entries_.empty()) return;
    std::ranges::fill(slots_, 0U);
    entries_.clear();
    if (chunks_.size() > 1) chunks_.resize(1);
    used_ = 0;
  }

 private:
  struct Entry {
    ShortText start;
    const char* at;
    std::uint64_t hash;
    std::uint32_t size;
  };
  std::uint32_t insert(const Key& key) {
    if (4 * (entries_.size() + 1) > slots_.size()) grow();
    std::size_t i = key.hash & mask_;
    while (slots_[i] != 0) i = (i + 1) & mask_;
    entries_.push_back({key.start, copy(key.text), key.hash, static_cast<std::uint32_t>(key.text.size())});
    slots_[i] = static_cast<std::uint32_t>(entries_.size());
    return static_cast<std::uint32_t>(entries_.size() - 1);
  }
  const char* copy(std::string_view text) {
    if (chunks_.empty() || used_ + text.size() > chunks_.back().size) {
      const std::size_t size = std::max(chunks_.empty() ? kFirst : kLater, text.size());
      chunks_.push_back({std::make_unique_for_overwrite<char[]>(size), size});
      used_ = 0;
    }
    char* to = chunks_.back().bytes.get() + used_;
    if (!text.empty()) std::memcpy(to, text.data(), text.size());
    used_ += text.size();
    return to;
  }
  void grow() {
    slots_.assign(2 * slots_.size(), 0);
    mask_ = slots_.size() - 1;
    for (std::size_t k = 0; k < entries_.size(); ++k) {
      std::size_t i = entries_[k].hash & mask_;
      while (slots_[i] != 0) i = (i + 1) & mask_;
      slots_[i] = static_cast<std::uint32_t>(k + 1);
    }
  }

  struct Chunk {
    std::unique_ptr<char[]> bytes;
    std::size_t size;
  };
  static constexpr std::size_t kFirst = std::size_t{1} << 12, kLater = std::size_t{1} << 16;
  std::vector<std::uint32_t> slots_ = std::vector<std::uint32_t>(64);
  std::size_t mask_ = 63;
  std::vector<Entry> entries_;
  std::vector<Chunk> chunks_;
  std::size_t used_ = 0;
};

}  // namespace agon::battle_parts
