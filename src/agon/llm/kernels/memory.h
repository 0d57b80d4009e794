// Memory for weights and caches: aligned to cache lines, from huge pages where the system gives them.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <utility>

namespace agon::llm {

/// Bytes from the system, zero at first, 64-byte aligned; pages cost nothing until they are written.
class AlignedBytes {
 public:
  AlignedBytes() = default;
  /// Throws std::bad_alloc when the system refuses.
  explicit AlignedBytes(std::size_t size);
  /// Bytes of somebody else, to be read only, who keeps them longer than this.
  static AlignedBytes view(std::span<const std::byte> bytes);
  AlignedBytes(AlignedBytes&& other) noexcept
      : data_(std::exchange(other.data_, nullptr)),
        size_(std::exchange(other.size_, 0)),
        owned_(std::exchange(other.owned_, false)) {}
  AlignedBytes& operator=(AlignedBytes&& other) noexcept {
    std::swap(data_, other.data_);
    std::swap(size_, other.size_);
    std::swap(owned_, other.owned_);
    return *this;
  }
  ~AlignedBytes();

  [[nodiscard]] std::uint8_t* data() { return data_; }
  [[nodiscard]] const std::uint8_t* data() const { return data_; }
  [[nodiscard]] std::size_t size() const { return size_; }
  template <class T>
  [[nodiscard]] T* as() {
    return reinterpret_cast<T*>(data_);
  }

 private:
  std::uint8_t* data_ = nullptr;
  std::size_t size_ = 0;
  bool owned_ = false;
};

}  // namespace agon::llm
