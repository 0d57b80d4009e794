// Texts numbered in order of first appearance: competitors, voters, labels. Internal to the readers of
// battles.
#pragma once

#include <algorithm>
#include <cstdint>
#include <cstring>
#include <memory>
#include <string_view>
#include <vector>

namespace agon::battle_parts {

/// 64 bits of a short text. Stays within the text, needs no call, and mixes by the folded 128-bit
/// product. Not kept anywhere: numbers never depend on it.
inline std::uint64_t text_hash(std::string_view text) {
  const auto load8 = [](const char* at) {
    std::uint64_t value;
    std::memcpy(&value, at, 8);
    return value;
  };
  const auto load4 = [](const char* at) {
    std::uint32_t value;
    std::memcpy(&value, at, 4);
    return std::uint64_t{value};
  };
  const auto fold = [](std::uint64_t x, std::uint64_t y) {
    const auto product = static_cast<unsigned __int128>(x) * y;
    return static_cast<std::uint64_t>(product) ^ static_cast<std::uint64_t>(product >> 64);
  };
  constexpr std::uint64_t k0 = 0x9e3779b97f4a7c15, k1 = 0xd1b54a32d192ed03;  // odd, bits well spread
  const char* at = text.data();
  const std::size_t n = text.size();
  std::uint64_t x = 0, y = 0, state = n * k1;
  if (n >= 8) {
    for (std::size_t i = 0; i + 16 < n; i += 8) state = fold(state ^ load8(at + i), k1);
    x = load8(at + (n > 16 ? n - 16 : 0));
    y = load8(at + n - 8);
  } else if (n >= 4) {
    x = load4(at);
    y = load4(at + n - 4);
  } else if (n > 0) {
    x = static_cast<unsigned char>(at[0]);
    y = static_cast<std::uint64_t>(static_cast<unsigned char>(at[n / 2])) << 8 |
        static_cast<unsigned char>(at[n - 1]);
  }
  return fold(x ^ state ^ k0, y ^ k1);
}

/// Whether `n` bytes at two places are the same: by words, since names are too short for a call.
inline bool same_bytes(const char* x, const char* y, std::size_t n) {
  const auto differ8 = [&](std::size_t at) {
    std::uint64_t a, b;
    std::memcpy(&a, x + at, 8);
    std::memcpy(&b, y + at, 8);
    return a ^ b;
  };
  if (n >= 8) {
    std::uint64_t differ = differ8(n - 8);
    for (std::size_t i = 0; i + 8 < n; i += 8) differ |= differ8(i);
    return differ == 0;
  }
  if (n >= 4) {
    std::uint32_t a, b, c, d;
    std::memcpy(&a, x, 4);
    std::memcpy(&b, y, 4);
    std::memcpy(&c, x + n - 4, 4);
    std::memcpy(&d, y + n - 4, 4);
    return ((a ^ b) | (c ^ d)) == 0;
  }
  for (std::size_t i = 0; i < n; ++i) {
    if (x[i] != y[i]) return false;
  }
  return true;
}

/// Open addressing over copies of the texts. clear() keeps the memory, so that one table serves many
/// blocks of a file.
class NameTable {
 public:
  static constexpr std::uint32_t kNone = 0xFFFFFFFF;

  [[nodiscard]] std::size_t size() const { return entries_.size(); }
  [[nodiscard]] std::string_view name(std::size_t i) const { return {entries_[i].at, entries_[i].size}; }
  [[nodiscard]] std::uint64_t hash(std::size_t i) const { return entries_[i].hash; }

  /// The number of `text`, or kNone.
  [[nodiscard]] std::uint32_t find(std::string_view text, std::uint64_t hash) const {
    for (std::size_t i = hash & mask_;; i = (i + 1) & mask_) {
      const std::uint32_t slot = slots_[i];
      if (slot == 0) return kNone;
      const Entry& entry = entries_[slot - 1];
      if (entry.hash == hash && entry.size == text.size() && same_bytes(entry.at, text.data(), text.size()))
        return slot - 1;
    }
  }
  [[nodiscard]] std::uint32_t find(std::string_view text) const { return find(text, text_hash(text)); }
  std::uint32_t add(std::string_view text, std::uint64_t hash) {
    const std::uint32_t found = find(text, hash);
    return found != kNone ? found : insert(text, hash);
  }
  std::uint32_t add(std::string_view text) { return add(text, text_hash(text)); }

  void clear() {
    if (entries_.empty()) return;
    std::ranges::fill(slots_, 0U);
    entries_.clear();
    if (chunks_.size() > 1) chunks_.resize(1);
    used_ = 0;
  }

 private:
  struct Entry {
    const char* at;
    std::uint32_t size;
    std::uint64_t hash;
  };
  std::uint32_t insert(std::string_view text, std::uint64_t hash) {
    if (2 * (entries_.size() + 1) > slots_.size()) grow();
    std::size_t i = hash & mask_;
    while (slots_[i] != 0) i = (i + 1) & mask_;
    entries_.push_back({copy(text), static_cast<std::uint32_t>(text.size()), hash});
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
