// Memory for weights and caches: aligned to cache lines, from huge pages where the system gives them.
#pragma once

#include <cstddef>
#include <cstdint>
#include <utility>

namespace agon::llm {

/// Bytes from the system, zero at first, 64-byte aligned; pages cost nothing until they are written.
class AlignedBytes {
 public:
  AlignedBytes() = default;
  /// Throws std::bad_alloc when the system refuses.
  explicit AlignedBytes(std::size_t size);
  /// Bytes of an open file from `offset`, a multiple of 4096, to be read only; empty when the system refuses.
  static AlignedBytes map(int file, std::size_t offset, std::size_t size);
  AlignedBytes(AlignedBytes&& other) noexcept
      : data_(std::exchange(other.data_, nullptr)), size_(std::exchange(other.size_, 0)) {}
  AlignedBytes& operator=(AlignedBytes&& other) noexcept {
    std::swap(data_, other.data_);
    std::swap(size_, other.size_);
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
};

}  // namespace agon::llm
