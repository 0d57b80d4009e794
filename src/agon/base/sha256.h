// SHA-256 over bytes that come in pieces, with the processor's instructions for it where it has them.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>

namespace agon {

/// FIPS 180-4, section 6.2. A file read for its votes is hashed beside them, and libsodium's portable code
/// (0.35 GB/s) would take longer than the reading; the instructions do 1.8 GB/s on the same core.
class Sha256 {
 public:
  /// `portable` leaves the instructions unused, for tests.
  explicit Sha256(bool portable = false);
  void update(const void* bytes, std::size_t size);
  /// The digest; nothing may be added afterwards.
  [[nodiscard]] std::array<unsigned char, 32> finish();

 private:
  void blocks(const unsigned char* at, std::size_t count);

  std::array<std::uint32_t, 8> state_;
  std::array<unsigned char, 64> rest_{};
  std::uint64_t size_ = 0;
  bool instructions_;
};

}  // namespace agon
