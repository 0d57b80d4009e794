#include "agon/llm/gguf/dequantize.h"

#include <gtest/gtest.h>

#include <bit>
#include <cstring>

#include "agon/llm/gguf/file.h"

namespace agon::gguf {
namespace {

// tests/scripts/make_gguf_golden.py: random blocks of every format, decoded by the Python package gguf.
TEST(Dequantize, EqualsThePythonPackageBitForBit) {
  const auto file = File::open(AGON_TEST_DATA "/gguf/golden.gguf");
  ASSERT_TRUE(file) << file.error().to_string();
  int formats = 0;
  for (const Tensor& tensor : file->tensors()) {
    if (tensor.name.ends_with(".f32")) continue;
    ++formats;
    EXPECT_EQ(type_traits(tensor.type).name, tensor.name);
    const Tensor* expected = file->find(tensor.name + ".f32");
    ASSERT_NE(expected, nullptr) << tensor.name;
    ASSERT_EQ(expected->type, TensorType::kF32);
    std::vector<float> weights(tensor.elements());
    ASSERT_EQ(expected->elements(), weights.size());
    dequantize(tensor.type, tensor.bytes, weights);
    for (std::size_t i = 0; i < weights.size(); ++i) {
      std::uint32_t bits;
      std::memcpy(&bits, expected->bytes.data() + i * 4, 4);
      ASSERT_EQ(std::bit_cast<std::uint32_t>(weights[i]), bits) << tensor.name << " weight " << i;
    }
  }
  EXPECT_EQ(formats, 14);  // and F32:
  const std::vector<float> values = {0.0f, -0.0f, 1.5f, -1e-42f, 3e38f};
  std::vector<float> copy(values.size());
  dequantize(TensorType::kF32, std::as_bytes(std::span(values)), copy);
  EXPECT_EQ(std::memcmp(values.data(), copy.data(), values.size() * 4), 0);
}

TEST(Dequantize, TakesBytesAtAnyAddress) {
  const auto file = File::open(AGON_TEST_DATA "/gguf/golden.gguf");
  ASSERT_TRUE(file);
  for (const Tensor& tensor : file->tensors()) {
    std::vector<std::byte> shifted(tensor.bytes.size() + 1);
    std::memcpy(shifted.data() + 1, tensor.bytes.data(), tensor.bytes.size());
    std::vector<float> first(tensor.elements()), second(tensor.elements());
    dequantize(tensor.type, tensor.bytes, first);
    dequantize(tensor.type, std::span(shifted).subspan(1), second);
    EXPECT_EQ(std::memcmp(first.data(), second.data(), first.size() * 4), 0) << tensor.name;
  }
}

}  // namespace
}  // namespace agon::gguf
