#include "agon/llm/gguf/llama2c.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cmath>
#include <cstring>
#include <limits>

#include "agon/base/file.h"
#include "agon/llm/gguf/dequantize.h"

namespace agon::gguf {
namespace {

std::string data(const char* name) {
  auto bytes = read_file(std::string(AGON_TEST_DATA "/models/") + name);
  EXPECT_TRUE(bytes);
  return std::move(*bytes);
}

Result<Writer> convert(const std::string& model, const std::string& tokenizer,
                       TensorType type = TensorType::kF32) {
  return convert_llama2c(model, "m.bin", tokenizer, "t.bin", type);
}

float weight(const std::string& model, std::size_t index) {
  float value;
  std::memcpy(&value, model.data() + 28 + 4 * index, 4);
  return value;
}

// The shape of stories260K: 5 layers of 64 numbers, 8 heads and 4 of keys, 172 wide, 512 tokens.
constexpr std::size_t kE = 64, kF = 172, kL = 5, kKeys = 32, kV = 512;

TEST(Llama2c, EveryWeightOfStories260KIsWhereItBelongs) {
  const std::string model = data("stories260K.bin");
  const auto writer = convert(model, data("tok512.bin"));
  ASSERT_TRUE(writer) << writer.error().to_string();
  const std::vector<std::byte> bytes = writer->bytes();
  const auto file = File::parse(bytes, "s");
  ASSERT_TRUE(file) << file.error().to_string();
  EXPECT_EQ(file->tensors().size(), 2 + 9 * kL);
  // In the order of the file: what, columns, rows (0: a vector), and whether once for every layer.
  struct Part {
    const char* name;
    std::size_t columns, rows;
    bool layers;
  };
  const Part parts[] = {
      {"token_embd", kE, kV, false}, {"attn_norm", kE, 0, true},   {"attn_q", kE, kE, true},
      {"attn_k", kE, kKeys, true},   {"attn_v", kE, kKeys, true},  {"attn_output", kE, kE, true},
      {"ffn_norm", kE, 0, true},     {"ffn_gate", kE, kF, true},   {"ffn_down", kF, kE, true},
      {"ffn_up", kE, kF, true},      {"output_norm", kE, 0, false}};
  std::size_t at = 0, compared = 0;
  for (const Part& part : parts)
    for (std::size_t layer = 0; layer < (part.layers ? kL : 1); ++layer) {
      const std::string name =
          (part.layers ? "blk." + std::to_string(layer) + "." : std::string()) + part.name + ".weight";
      const Tensor* tensor = file->find(name);
      ASSERT_NE(tensor, nullptr) << name;
      EXPECT_EQ(tensor->shape, (part.rows == 0 ? std::vector<std::uint64_t>{part.columns}
                                               : std::vector<std::uint64_t>{part.columns, part.rows}));
      std::vector<float> values(tensor->elements());
      dequantize(tensor->type, tensor->bytes, values);
      for (const float value : values) ASSERT_EQ(value, weight(model, at++)) << name;
      ++compared;
    }
  EXPECT_EQ(compared, file->tensors().size());
  EXPECT_EQ(28 + 4 * (at + 512 * 8), model.size());  // the tables of cosines and sines are left
}

TEST(Llama2c, MetadataAndVocabularyAreLlamas) {
  const auto writer = convert(data("stories260K.bin"), data("tok512.bin"));
  ASSERT_TRUE(writer);
  const Metadata& m = writer->metadata;
  EXPECT_EQ(m.string("general.architecture").value(), "llama");
  EXPECT_EQ(m.integer("llama.block_count").value(), 5);
  EXPECT_EQ(m.integer("llama.attention.head_count").value(), 8);
  EXPECT_EQ(m.integer("llama.attention.head_count_kv").value(), 4);
  EXPECT_EQ(m.integer("llama.rope.dimension_count").value(), 8);
  EXPECT_EQ(m.integer("llama.context_length").value(), 512);
  const Strings& tokens = *m.strings("tokenizer.ggml.tokens");
  const Integers& types = *m.integers("tokenizer.ggml.token_type");
  ASSERT_EQ(tokens.size(), kV);
  EXPECT_EQ(tokens[0], "<unk>");
  EXPECT_EQ(tokens[1], "<s>");
  EXPECT_EQ(tokens[2], "</s>");
  EXPECT_EQ(tokens[3], "<0x00>");
  EXPECT_EQ(tokens[258], "<0xFF>");
  EXPECT_EQ((Integers{types[0], types[1], types[2], types[3], types[258], types[259]}),
            (Integers{2, 3, 3, 6, 6, 1}));
  EXPECT_THAT(tokens, testing::Contains("\u2581the"));
  for (const std::string& token : tokens) EXPECT_EQ(token.find(' '), std::string::npos) << token;
}

TEST(Llama2c, OtherFormatsAreRounded) {
  const auto writer = convert(data("stories260K.bin"), data("tok512.bin"), TensorType::kQ8_0);
  ASSERT_TRUE(writer);
  const std::vector<std::byte> bytes = writer->bytes();
  const auto file = File::parse(bytes, "s");
  ASSERT_TRUE(file);
  EXPECT_EQ(file->find("blk.2.attn_q.weight")->type, TensorType::kQ8_0);
  EXPECT_EQ(file->find("blk.2.ffn_down.weight")->type, TensorType::kF16);  // rows of 172
  EXPECT_EQ(file->find("blk.2.ffn_norm.weight")->type, TensorType::kF32);
}

TEST(Llama2c, AnOutputMatrixOfItsOwnIsTold) {
  // A negative vocabulary says so; the matrix comes last.
  std::string model = data("stories260K.bin");
  const std::int32_t vocabulary = -512;
  std::memcpy(model.data() + 20, &vocabulary, 4);
  const std::string tokenizer = data("tok512.bin");
  EXPECT_FALSE(convert(model, tokenizer));
  model.append(kE * kV * 4, '\0');
  const float last = 0.25f;
  std::memcpy(model.data() + model.size() - 4, &last, 4);
  const auto writer = convert(model, tokenizer);
  ASSERT_TRUE(writer) << writer.error().to_string();
  const std::vector<std::byte> bytes = writer->bytes();
  const auto file = File::parse(bytes, "s");
  std::vector<float> values(kE * kV);
  dequantize(TensorType::kF32, file->find("output.weight")->bytes, values);
  EXPECT_EQ(values.back(), 0.25f);
}

TEST(Llama2c, WhatDoesNotFitIsRefused) {
  const std::string model = data("stories260K.bin"), tokenizer = data("tok512.bin");
  const auto message = [](const Result<Writer>& result) {
    return result ? std::string("accepted") : result.error().to_string();
  };
  using testing::HasSubstr;
  for (const std::size_t size : {std::size_t{0}, std::size_t{27}})
    EXPECT_THAT(message(convert(model.substr(0, size), tokenizer)), HasSubstr("ends inside the seven sizes"));
  for (const std::size_t size : {std::size_t{28}, model.size() / 2, model.size() - 1})
    EXPECT_THAT(message(convert(model.substr(0, size), tokenizer)), HasSubstr("does not fit its sizes"));
  EXPECT_THAT(message(convert(model + "x", tokenizer)), HasSubstr("does not fit its sizes"));
  for (int field = 0; field < 7; ++field)
    for (const std::int32_t size : {0, -1, 1, 7, 65535, 1 << 20, INT32_MAX, INT32_MIN}) {
      std::string bad = model;
      std::memcpy(bad.data() + 4 * field, &size, 4);
      EXPECT_FALSE(convert(bad, tokenizer)) << field << " " << size;
    }
  std::string later = model;
  std::memcpy(later.data(), "24ka", 4);
  EXPECT_THAT(message(convert(later, tokenizer)), HasSubstr("later version"));
  std::string nan = model;
  const float no_number = std::numeric_limits<float>::quiet_NaN();
  std::memcpy(nan.data() + 28 + 4 * 100, &no_number, 4);
  EXPECT_EQ(message(convert(nan, tokenizer)),
            "m.bin: byte 428: token_embd.weight has a weight that is no number");

  for (std::size_t size = 0; size < tokenizer.size(); size += 7)
    EXPECT_THAT(message(convert(model, tokenizer.substr(0, size))), HasSubstr("t.bin: byte "));
  EXPECT_THAT(message(convert(model, tokenizer + "x")), HasSubstr("more than the 512 tokens"));
  for (const std::int32_t size : {-1, INT32_MAX, INT32_MIN}) {
    std::string bad = tokenizer;
    std::memcpy(bad.data() + 8, &size, 4);
    EXPECT_THAT(message(convert(model, bad)), HasSubstr("ends inside token 0"));
  }
}

}  // namespace
}  // namespace agon::gguf
