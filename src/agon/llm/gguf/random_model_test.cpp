#include "agon/llm/gguf/random_model.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cmath>
#include <cstring>
#include <set>

#include "agon/base/parallel.h"
#include "agon/llm/gguf/dequantize.h"
#include "agon/llm/gguf/random_weights.h"

namespace agon::gguf {
namespace {

std::vector<std::byte> made(const RandomModelOptions& options) {
  const auto writer = random_model(options);
  EXPECT_TRUE(writer) << writer.error().to_string();
  return writer->bytes();
}

std::set<std::string> names(const File& file) {
  std::set<std::string> out;
  for (const Tensor& tensor : file.tensors()) out.insert(tensor.name);
  return out;
}

constexpr TensorType kAll[] = {TensorType::kF32,  TensorType::kF16,    TensorType::kBF16,  TensorType::kQ4_0,
                               TensorType::kQ4_1, TensorType::kQ5_0,   TensorType::kQ5_1,  TensorType::kQ8_0,
                               TensorType::kQ2_K, TensorType::kQ3_K,   TensorType::kQ4_K,  TensorType::kQ5_K,
                               TensorType::kQ6_K, TensorType::kIQ4_NL, TensorType::kIQ4_XS};

TEST(RandomWeights, AreNormalInEveryFormatAndSize) {
  for (const TensorType type : kAll)
    for (const std::uint64_t count : {std::uint64_t{1} << 17, std::uint64_t{1} << 20}) {
      const std::vector<std::byte> bytes = random_weights(type, count, 0, 0.02, 7);
      std::vector<float> x(count);
      dequantize(type, bytes, x);
      double sum = 0, squares = 0, fourth = 0;
      for (const float v : x) {
        sum += v;
        squares += double{v} * v;
        fourth += std::pow(v, 4);
      }
      const auto n = static_cast<double>(count);
      const double variance = squares / n;
      // Two-bit weights spread more, as a third of a unit of noise is added.
      EXPECT_NEAR(std::sqrt(variance) / 0.02, type == TensorType::kQ2_K ? 1.05 : 1.0, 0.03)
          << type_traits(type).name;
      EXPECT_NEAR(sum / n / 0.02, 0, 0.02) << type_traits(type).name;
      EXPECT_NEAR(fourth / n / (variance * variance), 3, 0.3) << type_traits(type).name;
    }
}

TEST(RandomModel, HasTheSameBytesOnAnyNumberOfThreads) {
  // The embedding is drawn from a pool, the rest one by one.
  const RandomModelOptions options = {.embedding = 256, .vocabulary = 3000, .format = "Q4_K_M"};
  const int before = thread_count();
  set_thread_count(1);
  const std::vector<std::byte> one = made(options);
  set_thread_count(4);
  EXPECT_EQ(made(options), one);
  set_thread_count(before);
  RandomModelOptions other = options;
  other.seed = 2;
  EXPECT_NE(made(other), one);
}

struct Family {
  const char* name;
  std::vector<std::string> more, fewer;  ///< In each layer, beside or without what llama has.
};

TEST(RandomModel, HasTheTensorsOfItsArchitecture) {
  const std::vector<std::string> llama = {"attn_norm", "attn_q",   "attn_k", "attn_v",  "attn_output",
                                          "ffn_norm",  "ffn_gate", "ffn_up", "ffn_down"};
  const Family families[] = {
      {"llama", {}, {}},
      {"qwen2", {"attn_q.bias", "attn_k.bias", "attn_v.bias"}, {}},
      {"qwen3", {"attn_q_norm", "attn_k_norm"}, {}},
      {"gemma2", {"post_attention_norm", "post_ffw_norm"}, {}},
      {"gemma3", {"post_attention_norm", "post_ffw_norm", "attn_q_norm", "attn_k_norm"}, {}},
      {"phi3", {"attn_qkv"}, {"attn_q", "attn_k", "attn_v", "ffn_gate"}},
  };
  for (const Family& family : families) {
    const std::vector<std::byte> bytes = made({.architecture = family.name, .layers = 3});
    const auto file = File::parse(bytes, "r");
    ASSERT_TRUE(file) << file.error().to_string();
    std::set<std::string> expected = {"token_embd.weight", "output_norm.weight"};
    for (int i = 0; i < 3; ++i) {
      const std::string block = "blk." + std::to_string(i) + ".";
      for (const std::string& name : llama) expected.insert(block + name + ".weight");
      for (const std::string& name : family.more)
        expected.insert(block + name + (name.ends_with(".bias") ? "" : ".weight"));
      for (const std::string& name : family.fewer) expected.erase(block + name + ".weight");
    }
    EXPECT_EQ(names(*file), expected) << family.name;
    EXPECT_EQ(file->metadata().integer(std::string(family.name) + ".block_count").value(), 3);
    for (const Tensor& tensor : file->tensors()) EXPECT_EQ(tensor.type, TensorType::kF32) << tensor.name;
  }
}

TEST(RandomModel, ShapesFollowTheOptions) {
  const std::vector<std::byte> bytes = made({.architecture = "phi3",
                                             .embedding = 96,
                                             .heads = 6,
                                             .kv_heads = 2,
                                             .feed_forward = 160,
                                             .vocabulary = 400,
                                             .tied = false,
                                             .rope_scaling = "longrope",
                                             .format = "Q8_0"});
  const auto file = File::parse(bytes, "r");
  ASSERT_TRUE(file);
  const auto shape = [&](const char* name) { return file->find(name)->shape; };
  using Shape = std::vector<std::uint64_t>;
  EXPECT_EQ(shape("output.weight"), (Shape{96, 400}));
  EXPECT_EQ(shape("blk.1.attn_qkv.weight"), (Shape{96, 96 + 2 * 32}));
  EXPECT_EQ(shape("blk.1.attn_output.weight"), (Shape{96, 96}));
  EXPECT_EQ(shape("blk.1.ffn_up.weight"), (Shape{96, 320}));
  EXPECT_EQ(shape("blk.1.ffn_down.weight"), (Shape{160, 96}));
  EXPECT_EQ(shape("rope_factors_long.weight"), (Shape{8}));
  EXPECT_EQ(file->find("blk.1.ffn_up.weight")->type, TensorType::kQ8_0);
}

TEST(RandomModel, MixesGiveSensitiveMatricesMoreBits) {
  const std::vector<std::byte> bytes = made(
      {.layers = 16, .embedding = 256, .heads = 8, .kv_heads = 8, .feed_forward = 256, .format = "Q4_K_M"});
  const auto file = File::parse(bytes, "r");
  ASSERT_TRUE(file);
  EXPECT_EQ(file->find("token_embd.weight")->type, TensorType::kQ6_K);
  std::string better;
  for (int i = 0; i < 16; ++i) {
    const std::string block = "blk." + std::to_string(i) + ".";
    EXPECT_EQ(file->find(block + "attn_q.weight")->type, TensorType::kQ4_K);
    EXPECT_EQ(file->find(block + "ffn_down.weight")->type, file->find(block + "attn_v.weight")->type);
    better += file->find(block + "attn_v.weight")->type == TensorType::kQ6_K ? '6' : '4';
  }
  EXPECT_EQ(better, "6644644644644666");
}

TEST(RandomModel, RowsThatAreNoWholeBlocksGetAFormatThatFits) {
  EXPECT_EQ(fitting_type(TensorType::kQ4_K, 512), TensorType::kQ4_K);
  EXPECT_EQ(fitting_type(TensorType::kQ4_K, 640), TensorType::kQ5_0);
  EXPECT_EQ(fitting_type(TensorType::kQ5_K, 640), TensorType::kQ5_1);
  EXPECT_EQ(fitting_type(TensorType::kQ6_K, 640), TensorType::kQ8_0);
  EXPECT_EQ(fitting_type(TensorType::kIQ4_XS, 32), TensorType::kIQ4_NL);
  EXPECT_EQ(fitting_type(TensorType::kQ3_K, 72), TensorType::kF16);
  EXPECT_EQ(fitting_type(TensorType::kQ8_0, 72), TensorType::kF16);
  EXPECT_EQ(fitting_type(TensorType::kBF16, 7), TensorType::kBF16);
}

TEST(RandomModel, Llama3DivisorsFollowItsRule) {
  const std::vector<std::byte> bytes = made({.embedding = 128,
                                             .heads = 2,
                                             .rope_theta = 500000,
                                             .rope_scaling = "llama3",
                                             .rope_factor = 8,
                                             .rope_original = 8192});
  const auto file = File::parse(bytes, "r");
  ASSERT_TRUE(file);
  std::vector<float> divisors(32);
  dequantize(TensorType::kF32, file->find("rope_freqs.weight")->bytes, divisors);
  // Computed apart, by wavelengths as Hugging Face's transformers does: fast frequencies stay, slow ones are
  // divided by 8, few lie between.
  EXPECT_EQ(divisors[0], 1.0f);
  EXPECT_EQ(divisors[14], 1.0f);
  EXPECT_NEAR(divisors[15], 1.5534, 1e-4);
  EXPECT_NEAR(divisors[16], 2.6945, 1e-4);
  EXPECT_NEAR(divisors[17], 5.2573, 1e-4);
  EXPECT_EQ(divisors[18], 8.0f);
  EXPECT_EQ(divisors[31], 8.0f);
}

TEST(RandomModel, TheMadeUpVocabularyIsWhole) {
  for (const int size : {320, 1000, 32000}) {
    const Metadata m = made_up_vocabulary(size);
    const Strings& tokens = *m.strings("tokenizer.ggml.tokens");
    const auto count = static_cast<std::size_t>(size);
    ASSERT_EQ(tokens.size(), count);
    EXPECT_EQ(m.reals("tokenizer.ggml.scores")->size(), count);
    EXPECT_EQ(m.integers("tokenizer.ggml.token_type")->size(), count);
    EXPECT_EQ(std::set<std::string>(tokens.begin(), tokens.end()).size(), count);  // all different
    EXPECT_EQ(tokens[3 + 0x0A], "<0x0A>");
  }
  const Metadata m = made_up_vocabulary(32000);
  const Strings& tokens = *m.strings("tokenizer.ggml.tokens");
  for (const char* piece : {"\u2581", "a", "Z", "~", "\u2581a", "\u2581zz", "zz", "\u2581abc"})
    EXPECT_THAT(tokens, testing::Contains(piece));
}

TEST(RandomModel, ContradictionsAreRefused) {
  const auto message = [](const RandomModelOptions& options) {
    const auto writer = random_model(options);
    if (writer) return std::string("accepted");
    EXPECT_EQ(writer.error().exit_code(), 2);
    return writer.error().to_string();
  };
  using testing::HasSubstr;
  EXPECT_THAT(message({.architecture = "mamba"}), HasSubstr("architecture 'mamba'"));
  EXPECT_THAT(message({.layers = 0}), HasSubstr("sizes"));
  EXPECT_THAT(message({.heads = 4, .kv_heads = 3}), HasSubstr("no multiple of the key-value heads"));
  EXPECT_THAT(message({.embedding = 66, .heads = 4}), HasSubstr("no key length"));
  EXPECT_THAT(message({.key_length = 15}), HasSubstr("even"));
  EXPECT_THAT(message({.architecture = "phi3", .key_length = 32}), HasSubstr("phi3"));
  EXPECT_THAT(message({.vocabulary = 100}), HasSubstr("from 320"));
  EXPECT_THAT(message({.rope_scaling = "longrope"}),
              HasSubstr("'longrope' is not for random models of llama"));
  EXPECT_THAT(message({.format = "Q4_K_X"}), HasSubstr("no format 'Q4_K_X'; there are F32, F16"));
}

}  // namespace
}  // namespace agon::gguf
