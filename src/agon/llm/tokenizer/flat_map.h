// Hash tables that are filled once and then only read: open addressing, one cache line a look-up.
#pragma once

#include <bit>
#include <cstdint>
#include <vector>

#include "agon/llm/tokenizer/byte_text.h"

namespace agon::llm {

/// 64-bit keys to small values. The key ~0 is not allowed.
template <class Value>
class FlatMap {
 public:
  explicit FlatMap(std::size_t expected = 8) { slots_.resize(std::bit_ceil(2 * expected + 8)); }

  /// The value of `key`, null when there is none.
  [[nodiscard]] const Value* find(std::uint64_t key) const {
    const std::size_t mask = slots_.size() - 1;
    for (std::size_t i = mix64(key, 0) & mask;; i = (i + 1) & mask) {
      if (slots_[i].key == key) return &slots_[i].value;
      if (slots_[i].key == kEmpty) return nullptr;
    }
  }
  /// Adds a value unless the key is there. True when it was added.
  bool insert(std::uint64_t key, const Value& value) {
    if (2 * (size_ + 1) > slots_.size()) grow();
    const std::size_t mask = slots_.size() - 1;
    for (std::size_t i = mix64(key, 0) & mask;; i = (i + 1) & mask) {
      if (slots_[i].key == key) return false;
      if (slots_[i].key == kEmpty) {
        slots_[i] = {key, value};
        ++size_;
        return true;
      }
    }
  }
  [[nodiscard]] std::size_t size() const { return size_; }

 private:
  static constexpr std::uint64_t kEmpty = ~std::uint64_t{0};
  struct Slot {
    std::uint64_t key = kEmpty;
    Value value{};
  };
  void grow() {
    std::vector<Slot> old(2 * slots_.size());
    old.swap(slots_);
    size_ = 0;
    for (const Slot& slot : old)
      if (slot.key != kEmpty) insert(slot.key, slot.value);
  }
  std::vector<Slot> slots_;
  std::size_t size_ = 0;
};

}  // namespace agon::llm
