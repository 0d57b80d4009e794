#include "agon/base/sha256.h"

#include <gtest/gtest.h>
#include <sodium.h>

#include <vector>

#include "agon/base/random.h"

namespace agon {
namespace {

// libsodium's is the independent reference; the two ways of ours have to agree with it.
TEST(Sha256, EqualsLibsodiumAtEverySizeAndCut) {
  Random random(7);
  std::vector<unsigned char> bytes(3000);
  for (unsigned char& byte : bytes) byte = static_cast<unsigned char>(random.next());
  for (std::size_t size = 0; size <= 300; ++size) {
    std::array<unsigned char, 32> expected;
    crypto_hash_sha256(expected.data(), bytes.data(), size);
    for (const bool portable : {false, true}) {
      Sha256 whole(portable);
      whole.update(bytes.data(), size);
      EXPECT_EQ(whole.finish(), expected) << size;
      Sha256 pieces(portable);
      for (std::size_t at = 0; at < size;) {
        const std::size_t n = std::min<std::size_t>(size - at, random.below(90));
        pieces.update(bytes.data() + at, n);
        at += n;
      }
      EXPECT_EQ(pieces.finish(), expected) << size;
    }
  }
  std::array<unsigned char, 32> expected;
  crypto_hash_sha256(expected.data(), bytes.data(), bytes.size());
  Sha256 large;
  large.update(bytes.data(), bytes.size());
  EXPECT_EQ(large.finish(), expected);
}

}  // namespace
}  // namespace agon
