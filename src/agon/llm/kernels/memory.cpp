#include "agon/llm/kernels/memory.h"

#include <sys/mman.h>

#include <new>

namespace agon::llm {
namespace {
constexpr std::size_t kHugePage = std::size_t{2} << 20;
}

AlignedBytes::AlignedBytes(std::size_t size) : size_(size) {
  if (size == 0) return;
  void* map = mmap(nullptr, size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
  if (map == MAP_FAILED) throw std::bad_alloc();
  data_ = static_cast<std::uint8_t*>(map);
  owned_ = true;
  // Streaming weights through 4 KiB pages misses the TLB once a page; advice only, a refusal costs speed
  // alone.
  if (size >= kHugePage) madvise(map, size, MADV_HUGEPAGE);
}

AlignedBytes AlignedBytes::view(std::span<const std::byte> bytes) {
  AlignedBytes result;
  result.data_ = reinterpret_cast<std::uint8_t*>(const_cast<std::byte*>(bytes.data()));
  result.size_ = bytes.size();
  return result;
}

AlignedBytes::~AlignedBytes() {
  if (owned_) munmap(data_, size_);
}

}  // namespace agon::llm
