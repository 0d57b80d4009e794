#include "agon/base/bytes.h"

#include <gtest/gtest.h>

#include <cmath>

namespace agon {
namespace {

std::string sample() {
  ByteWriter out;
  out.put<std::uint8_t>(7);
  out.put<std::int32_t>(-2);
  out.put(0.1);
  out.put(std::string_view("caf\xC3\xA9", 5));
  out.put(std::vector<float>{1.5F, -0.0F});
  out.put(std::vector<std::uint64_t>{});
  return out.take();
}

TEST(Bytes, WritesLittleEndianWithoutPadding) {
  ByteWriter out;
  out.put<std::uint8_t>(1);
  out.put<std::uint32_t>(0x04030201);
  out.put(std::string_view("ab"));
  EXPECT_EQ(out.bytes(), std::string("\x01\x01\x02\x03\x04\x02\0\0\0\0\0\0\0ab", 15));
}

TEST(Bytes, ReadsBackWhatWasWritten) {
  const std::string bytes = sample();
  ByteReader in(bytes);
  EXPECT_EQ(in.get<std::uint8_t>(), 7);
  EXPECT_EQ(in.position(), 1U);
  EXPECT_EQ(in.get<std::int32_t>(), -2);
  EXPECT_EQ(in.get<double>(), 0.1);
  EXPECT_EQ(in.get_string(), "caf\xC3\xA9");
  const auto floats = in.get_vector<float>();
  ASSERT_EQ(floats.size(), 2U);
  EXPECT_EQ(floats[0], 1.5F);
  EXPECT_TRUE(std::signbit(floats[1]));
  EXPECT_TRUE(in.get_vector<std::uint64_t>().empty());
  EXPECT_TRUE(in.ok());
  EXPECT_EQ(in.left(), 0U);
}

TEST(Bytes, EveryShortInputFailsAndStaysFailed) {
  const std::string bytes = sample();
  for (std::size_t n = 0; n < bytes.size(); ++n) {
    const std::string cut = bytes.substr(0, n);  // a copy of the exact size, for the address sanitizer
    ByteReader in(cut);
    (void)in.get<std::uint8_t>();
    (void)in.get<std::int32_t>();
    (void)in.get<double>();
    (void)in.get_string();
    (void)in.get_vector<float>();
    (void)in.get_vector<std::uint64_t>();
    EXPECT_FALSE(in.ok()) << n;
    EXPECT_EQ(in.get<double>(), 0) << n;
    EXPECT_EQ(in.get_string(), "") << n;
    EXPECT_TRUE(in.get_vector<double>().empty()) << n;
  }
}

TEST(Bytes, HugeSizesAreRefusedBeforeTheyAreAllocated) {
  for (const std::uint64_t count : {std::uint64_t{2}, std::uint64_t{1} << 61, ~std::uint64_t{0}}) {
    ByteWriter out;
    out.put(count);
    out.put<std::uint8_t>(0);
    ByteReader text(out.bytes()), numbers(out.bytes());
    EXPECT_EQ(text.get_string(), "");
    EXPECT_FALSE(text.ok());
    EXPECT_TRUE(numbers.get_vector<double>().empty());
    EXPECT_FALSE(numbers.ok());
  }
}

}  // namespace
}  // namespace agon
