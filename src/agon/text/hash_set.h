// A set of 64-bit hashes that is emptied in constant time, for counting distinct words and n-grams.
#pragma once

#include <cstddef>
#include <cstdint>
#include <vector>

namespace agon {

/// Open addressing with a stamp per slot: clear() only bumps the stamp, so one set serves a whole
/// file without touching its memory between rows. Keys are assumed to be well mixed.
class HashSet {
 public:
  void clear() {
    size_ = 0;
    if (++stamp_ == 0) {  // after 2^32 rows
      slots_.assign(slots_.size(), Slot{});
      stamp_ = 1;
    }
  }
  /// True when the key was not there before.
  bool insert(std::uint64_t key) {
    if (2 * (size_ + 1) > slots_.size()) grow();
    for (std::size_t i = key & (slots_.size() - 1);; i = (i + 1) & (slots_.size() - 1)) {
      if (slots_[i].stamp != stamp_) {
        slots_[i] = {key, stamp_};
        ++size_;
        return true;
      }
      if (slots_[i].key == key) return false;
    }
  }
  [[nodiscard]] bool contains(std::uint64_t key) const {
    for (std::size_t i = key & (slots_.size() - 1);; i = (i + 1) & (slots_.size() - 1)) {
      if (slots_[i].stamp != stamp_) return false;
      if (slots_[i].key == key) return true;
    }
  }
  [[nodiscard]] std::size_t size() const { return size_; }

 private:
  struct Slot {
    std::uint64_t key = 0;
    std::uint32_t stamp = 0;
  };
  void grow() {
    std::vector<Slot> old(slots_.size() * 2);
    old.swap(slots_);
    const std::uint32_t live = stamp_;
    size_ = 0;
    for (const Slot& slot : old)
      if (slot.stamp == live) insert(slot.key);
  }
  std::vector<Slot> slots_ = std::vector<Slot>(1024);
  std::size_t size_ = 0;
  std::uint32_t stamp_ = 1;
};

}  // namespace agon
