#include "agon/base/hash.h"

#include <gtest/gtest.h>
#include <sodium.h>

#include <array>
#include <string>

#include "agon/base/random.h"

namespace agon {
namespace {

TEST(Hash, Sha256OfPublishedVectors) {
  // FIPS 180-4 examples, and the empty string.
  EXPECT_EQ(sha256_hex("abc"), "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
  EXPECT_EQ(sha256_hex("abcdbcdecdefdefgefghfghighijhijkijkljklmklmnlmnomnopnopq"),
            "248d6a61d20638b8e5c026930c3e6039a33ce45964ff2167f6ecedd419db06c1");
  EXPECT_EQ(sha256_hex(""), "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855");
}

// libsodium's is an independent reference.
TEST(Hash, Sha256EqualsLibsodiumAtEverySize) {
  Random random(7);
  std::string bytes(3000, 0);
  for (char& byte : bytes) byte = static_cast<char>(random.next());
  for (std::size_t size = 0; size <= bytes.size(); size += size < 300 ? 1 : 900) {
    std::array<unsigned char, 32> expected;
    crypto_hash_sha256(expected.data(), reinterpret_cast<const unsigned char*>(bytes.data()), size);
    std::array<char, 65> hex;
    sodium_bin2hex(hex.data(), hex.size(), expected.data(), expected.size());
    EXPECT_EQ(sha256_hex(std::string_view(bytes).substr(0, size)), hex.data()) << size;
  }
}

TEST(Hash, Sha256OfAFileIsOfItsBytesOnDisk) {
  // As `sha256sum` prints it: of the archive, not of what is in it.
  const auto plain = sha256_file(std::string(AGON_TEST_DATA) + "/votes/lmsys_small.csv");
  const auto archive = sha256_file(std::string(AGON_TEST_DATA) + "/votes/lmsys_small.csv.gz");
  ASSERT_TRUE(plain && archive);
  EXPECT_EQ(*plain, "dce0e86d230a25137203a693b63f8fd1a5a0829ac2993d857db334d8390328ea");
  EXPECT_EQ(*archive, "d28506e161a7454f988e01460295d89c0cfd0206fc652cdd3309ce3bb715a44e");
  EXPECT_FALSE(sha256_file("/no/such/file"));
  EXPECT_FALSE(sha256_file("/"));
}

TEST(Hash, Xxh3OfPublishedVectors) {
  EXPECT_EQ(hash64(""), 0x2d06800538d394c2ULL);
  EXPECT_EQ(hash64("abc"), 0x78af5f94892f3950ULL);
  EXPECT_NE(hash64("abc", 1), hash64("abc", 2));
}

}  // namespace
}  // namespace agon
