#include "agon/llm/gguf/writer.h"

#include <gtest/gtest.h>

#include <cmath>
#include <cstring>

#include "agon/llm/gguf/dequantize.h"

namespace agon::gguf {
namespace {

Writer example() {
  Writer writer;
  writer.metadata.set("general.architecture", std::string("llama"));
  writer.metadata.set("small", std::int64_t{4294967295});
  writer.metadata.set("large", std::int64_t{4294967296});
  writer.metadata.set("negative", std::int64_t{-1});
  writer.metadata.set("real", 0.5);
  writer.metadata.set("yes", true);
  writer.metadata.set("integers", Integers{1, -2});
  writer.metadata.set("large integers", Integers{1, std::int64_t{1} << 40});
  writer.metadata.set("reals", Reals{0.25, -1e30f});
  writer.metadata.set("strings", Strings{"", "a\0b"});
  std::vector<float> x(7 * 32);
  for (std::size_t i = 0; i < x.size(); ++i) x[i] = std::sin(static_cast<float>(i));
  writer.add("a", TensorType::kF32, {7, 1, 3}, std::span<const float>(x).first(21));
  writer.add("b", TensorType::kQ8_0, {32, 7}, x);
  writer.add("c", TensorType::kQ4_0, {32}, std::vector<std::byte>(18, std::byte{7}));
  writer.add("d", TensorType::kF16, {3}, [] { return std::vector<std::byte>(6, std::byte{9}); });
  return writer;
}

TEST(GgufWriter, WhatItWritesIsReadBack) {
  const Writer writer = example();
  EXPECT_EQ(writer.tensor_count(), 4u);
  EXPECT_EQ(writer.data_bytes(), 84u + 7 * 34 + 18 + 6);
  for (const int version : {2, 3}) {
    const std::vector<std::byte> bytes = writer.bytes(version);
    EXPECT_EQ(bytes.size() % 32, 0u);
    const auto file = File::parse(bytes, "w");
    ASSERT_TRUE(file) << file.error().to_string();
    EXPECT_EQ(file->version(), version);
    EXPECT_EQ(file->metadata().entries(), writer.metadata.entries());
    ASSERT_EQ(file->tensors().size(), 4u);
    EXPECT_EQ(file->find("a")->shape, (std::vector<std::uint64_t>{7, 1, 3}));
    std::vector<float> a(21);
    dequantize(TensorType::kF32, file->find("a")->bytes, a);
    EXPECT_EQ(a[20], std::sin(20.0f));
    std::vector<float> b(7 * 32);
    dequantize(TensorType::kQ8_0, file->find("b")->bytes, b);
    EXPECT_NEAR(b[200], std::sin(200.0f), 1 / 250.0);
    EXPECT_EQ(file->find("c")->bytes[17], std::byte{7});
    EXPECT_EQ(file->find("d")->bytes[5], std::byte{9});
  }
}

TEST(GgufWriter, AnotherAlignmentIsNotCopied) {
  Writer writer = example();
  writer.metadata.set("general.alignment", std::int64_t{4096});
  const std::vector<std::byte> bytes = writer.bytes();
  const auto file = File::parse(bytes, "w");
  ASSERT_TRUE(file) << file.error().to_string();
  EXPECT_FALSE(file->metadata().has("general.alignment"));
  EXPECT_TRUE(file->metadata().has("strings"));
}

TEST(GgufWriter, AFileReadAndWrittenAgainIsTheSame) {
  const std::vector<std::byte> bytes = example().bytes();
  const auto file = File::parse(bytes, "w");
  ASSERT_TRUE(file);
  Writer again;
  again.metadata = file->metadata();
  for (const Tensor& t : file->tensors())
    again.add(t.name, t.type, t.shape, std::vector<std::byte>(t.bytes.begin(), t.bytes.end()));
  EXPECT_EQ(again.bytes(), bytes);
}

}  // namespace
}  // namespace agon::gguf
