#include "agon/llm/model/config.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cmath>
#include <functional>
#include <numbers>

#include "agon/llm/model/test_models.h"

namespace agon::llm {
namespace {

using ::testing::AllOf;
using ::testing::HasSubstr;

Result<ModelConfig> config_of(const TestModel& model, const ConfigOptions& options = {}) {
  const std::vector<std::byte> bytes = model.bytes();
  AGON_ASSIGN(const gguf::File file, gguf::File::parse(bytes, "test.gguf"));
  return ModelConfig::read(file, options);
}

// What reading configuration and tensors says; empty when it is content.
std::string complaint(const TestModel& model) {
  const std::vector<std::byte> bytes = model.bytes();
  const auto file = gguf::File::parse(bytes, "test.gguf");
  if (!file) return "unreadable: " + file.error().to_string();
  const auto config = ModelConfig::read(*file);
  if (!config) return config.error().to_string();
  const auto tensors = ModelTensors::read(*file, *config);
  return tensors ? "" : tensors.error().to_string();
}

ModelConfig good(const TestModel& model, const ConfigOptions& options = {}) {
  auto config = config_of(model, options);
  EXPECT_TRUE(config) << config.error().to_string();
  return config ? *config : ModelConfig();
}

TEST(ModelConfig, ReadsSizesAndSwitches) {
  const ModelConfig config = good(read_test_model("gemma3"));
  EXPECT_EQ(config.architecture, "gemma3");
  EXPECT_EQ(config.embedding, 32);
  EXPECT_EQ(config.heads, 4);
  EXPECT_EQ(config.kv_heads, 1);
  EXPECT_EQ(config.key_length, 16);
  EXPECT_EQ(config.value_length, 16);
  EXPECT_EQ(config.query_width(), 64);
  EXPECT_EQ(config.feed_forward, 48);
  EXPECT_EQ(config.vocabulary, 64);
  EXPECT_EQ(config.context, 512);
  EXPECT_EQ(config.activation, ModelConfig::Activation::kGeluTanh);
  EXPECT_TRUE(config.qk_norm && config.post_norms && config.tied_output);
  EXPECT_EQ(config.embedding_scale, static_cast<double>(std::sqrt(32.0F)));
  EXPECT_EQ(config.attention_scale, 0.25);
  ASSERT_EQ(config.layer_count(), 7);
  for (int i = 0; i < 7; ++i) {
    EXPECT_EQ(config.layers[static_cast<std::size_t>(i)].window, i == 5 ? 0 : 6);
    EXPECT_EQ(config.layers[static_cast<std::size_t>(i)].rope, i == 5 ? 0 : 1);
  }
  EXPECT_EQ(config.ropes[0].scaling, RopeConfig::Scaling::kLinear);
  EXPECT_EQ(config.ropes[1].theta, 10000.0);
  EXPECT_EQ(config.ropes[1].scaling, RopeConfig::Scaling::kNone);
  EXPECT_EQ(good(read_test_model("llama")).ropes[0].pairing, RopeConfig::Pairing::kAdjacent);
  EXPECT_EQ(good(read_test_model("qwen2")).ropes[0].pairing, RopeConfig::Pairing::kHalves);
}

// query_pre_attn_scalar of the 27B models: 4608/32 in Gemma 2, 5376/32 in Gemma 3.
TEST(ModelConfig, TheLargeGemmasScaleByTheirWidth) {
  for (const auto& [name, layers] :
       std::vector<std::pair<std::string, std::int64_t>>{{"gemma2", 46}, {"gemma3", 62}}) {
    TestModel model = read_test_model(name);
    model.metadata.set(name + ".block_count", layers);
    EXPECT_EQ(good(model).attention_scale, 1 / std::sqrt(8.0));
    model.metadata.set(name + ".block_count", layers - 1);
    EXPECT_EQ(good(model).attention_scale, 1 / std::sqrt(16.0));
  }
}

TEST(ModelConfig, WindowPatternsMayBeListed) {
  TestModel model = read_test_model("gemma2");
  const auto windows = [&] {
    std::vector<int> out;
    for (const LayerConfig& layer : good(model).layers) out.push_back(layer.window);
    return out;
  };
  EXPECT_THAT(windows(), ::testing::ElementsAre(6, 0, 6));
  model.metadata.set("gemma2.attention.sliding_window_pattern", gguf::Integers{0, 1, 1});
  EXPECT_THAT(windows(), ::testing::ElementsAre(0, 6, 6));
  model.metadata.set("gemma2.attention.sliding_window_pattern", std::int64_t{3});
  EXPECT_THAT(windows(), ::testing::ElementsAre(6, 6, 0));
  model.metadata.set("gemma2.attention.sliding_window_pattern", gguf::Integers{0, 1});
  EXPECT_THAT(complaint(model), HasSubstr("lists 2 layers (expected 3, one flag a layer)"));
}

TEST(ModelConfig, RefusesWhatCannotBe) {
  using Change = std::function<void(TestModel&)>;
  const auto integer = [](const std::string& key, std::int64_t value) -> Change {
    return [=](TestModel& m) { m.metadata.set(key, value); };
  };
  const auto real = [](const std::string& key, double value) -> Change {
    return [=](TestModel& m) { m.metadata.set(key, value); };
  };
  const auto text = [](const std::string& key, const std::string& value) -> Change {
    return [=](TestModel& m) { m.metadata.set(key, value); };
  };
  const auto shape = [](const std::string& name, std::vector<std::uint64_t> to) -> Change {
    return [=](TestModel& m) { m.tensor(name).shape = to; };
  };
  const std::vector<std::pair<Change, std::string>> table = {
      {text("general.architecture", "mamba"),
       "architecture 'mamba' is not supported (expected llama, qwen2, qwen3, gemma2, gemma3, phi3)"},
      {integer("general.architecture", 1), "'general.architecture' is an integer (expected a string)"},
      {integer("llama.block_count", 0), "'llama.block_count' is 0 (expected 1 to 1024)"},
      {integer("llama.block_count", std::int64_t{1} << 40), "'llama.block_count' is 1099511627776"},
      {integer("llama.block_count", 3),
       "tensor 'blk.2.attn_norm.weight' is missing (expected, of shape [32])"},
      {integer("llama.block_count", 1), "tensor 'blk.1.attn_norm.weight' of shape [32] has no place"},
      {integer("llama.embedding_length", -32), "'llama.embedding_length' is -32"},
      {integer("llama.embedding_length", 48), "is 48 (expected a multiple of 32)"},
      {integer("llama.embedding_length", 64),
       "tensor 'token_embd.weight' has shape [32, 64] (expected [64, 64])"},
      {real("llama.embedding_length", 32.5),
       "'llama.embedding_length' is a real number (expected an integer)"},
      {integer("llama.attention.head_count", 0), "'llama.attention.head_count' is 0"},
      {integer("llama.attention.head_count", 5), "5 attention heads cannot share 2 key-value heads"},
      {integer("llama.attention.head_count", 6), "6 attention heads don't divide the embedding of 32"},
      {integer("llama.attention.head_count_kv", 3), "4 attention heads cannot share 3"},
      {integer("llama.attention.head_count_kv", 4),
       "tensor 'blk.0.attn_k.weight' has shape [32, 16] (expected [32, 32])"},
      {[](TestModel& m) { m.metadata.set("llama.attention.head_count", gguf::Integers{4, 2}); },
       "lists 2 (expected one number, 1 to 1024, for all layers)"},
      {integer("llama.attention.key_length", 7),
       "'llama.attention.key_length' is 7 (expected an even number"},
      {integer("llama.attention.key_length", 1024),
       "'llama.attention.key_length' is 1024 (expected 2 to 512)"},
      {integer("llama.feed_forward_length", 0), "'llama.feed_forward_length' is 0"},
      {integer("llama.context_length", 0), "'llama.context_length' is 0"},
      {integer("llama.expert_count", 8), "a mixture of 8 experts"},
      {real("llama.attention.layer_norm_rms_epsilon", -1.0), "layer_norm_rms_epsilon' is -1"},
      {real("llama.attention.layer_norm_rms_epsilon", std::nan("")), "layer_norm_rms_epsilon' is nan"},
      {integer("llama.rope.dimension_count", 10), "'llama.rope.dimension_count' is 10 (expected 2 to 8)"},
      {integer("llama.rope.dimension_count", 5),
       "'llama.rope.dimension_count' is 5 (expected an even number)"},
      {real("llama.rope.freq_base", 0.5), "rope theta is 0.5"},
      {real("llama.rope.freq_base", INFINITY), "'llama.rope.freq_base' is inf"},
      {real("llama.rope.scaling.factor", -2.0), "'llama.rope.scaling.factor' is -2"},
      {text("llama.rope.scaling.type", "spiral"), "is 'spiral' (expected none, linear, yarn or longrope)"},
      {integer("llama.attention.sliding_window", -1), "'llama.attention.sliding_window' is -1"},
      {[](TestModel& m) { m.metadata.set("tokenizer.ggml.tokens", gguf::Strings{"a", "b"}); },
       "the vocabulary has 2 words but tensor 'token_embd.weight' has 64 rows"},
      {[](TestModel& m) { m.tensor("token_embd.weight").name = "embedding"; },
       "'token_embd.weight' is missing"},
      {[](TestModel& m) { m.tensor("blk.1.ffn_down.weight").name = "blk.1.ffn_down.weights"; },
       "tensor 'blk.1.ffn_down.weight' is missing (expected, of shape [48, 32])"},
      {shape("blk.1.ffn_down.weight", {32, 48}), "has shape [32, 48] (expected [48, 32])"},
      {shape("blk.1.attn_q.weight", {32, 16, 2}), "has shape [32, 16, 2] (expected [32, 32])"},
      {shape("output.weight", {32, 63}), "tensor 'output.weight' has shape [32, 63] (expected [32, 64])"},
      {shape("output_norm.weight", {16, 2}), "tensor 'output_norm.weight' has shape [16, 2] (expected [32])"},
      {[](TestModel& m) { m.tensor("output_norm.weight").type = gguf::TensorType::kQ8_0; },
       "tensor 'output_norm.weight' is stored as Q8_0 (expected F32, F16 or BF16)"},
      {[](TestModel& m) {
         m.tensor("output_norm.weight").values = std::vector<float>(32, 1.0F);
         m.tensor("output_norm.weight").values[3] = NAN;
       },
       "tensor 'output_norm.weight' holds a number that is not finite, at index 3"},
      {[](TestModel& m) { m.tensors.push_back({.name = "blk.0.ffn_gate.bias", .shape = {48}}); },
       "tensor 'blk.0.ffn_gate.bias' of shape [48] has no place in a llama model"},
      {[](TestModel& m) { m.tensors.push_back({.name = "rope_freqs.weight", .shape = {4}}); },
       "tensor 'rope_freqs.weight' holds 0, not a positive divisor"},
      {[](TestModel& m) { m.tensors.push_back({.name = "rope_freqs.weight", .shape = {8}, .centre = 1}); },
       "tensor 'rope_freqs.weight' has shape [8] (expected [4])"},
  };
  EXPECT_EQ(complaint(read_test_model("llama")), "");
  for (const auto& [change, expected] : table) {
    TestModel model = read_test_model("llama");
    change(model);
    EXPECT_THAT(complaint(model), AllOf(HasSubstr("test.gguf"), HasSubstr(expected)));
  }
}

TEST(ModelTensors, FusedBiasesAreSplit) {
  TestModel model = read_test_model("phi3");
  std::vector<float> bias(64);
  for (std::size_t i = 0; i < 64; ++i) bias[i] = static_cast<float>(i);
  model.tensors.push_back({.name = "blk.1.attn_qkv.bias", .shape = {64}, .values = bias});
  const std::vector<std::byte> bytes = model.bytes();
  const auto file = gguf::File::parse(bytes, "test.gguf");
  const auto config = ModelConfig::read(*file);
  const auto tensors = ModelTensors::read(*file, *config);
  ASSERT_TRUE(tensors) << tensors.error().to_string();
  const LayerTensors& layer = tensors->layers[1];
  EXPECT_EQ(layer.query_bias, std::vector<float>(bias.begin(), bias.begin() + 32));
  EXPECT_EQ(layer.key_bias, std::vector<float>(bias.begin() + 32, bias.begin() + 48));
  EXPECT_EQ(layer.value_bias, std::vector<float>(bias.begin() + 48, bias.end()));
  EXPECT_EQ(layer.key.first_row, 32U);
  EXPECT_EQ(layer.value.first_row, 48U);
  EXPECT_EQ(layer.up.first_row, 48U);
  EXPECT_TRUE(tensors->layers[0].query_bias.empty());
}

RopeConfig rope_of(int dimensions, double theta) {
  RopeConfig rope;
  rope.dimensions = dimensions;
  rope.theta = theta;
  return rope;
}

TEST(Rope, PlainLinearAndNtk) {
  RopeConfig rope = rope_of(8, 10000);
  const std::vector<double> plain = rope.frequencies();
  ASSERT_EQ(plain.size(), 4U);
  for (std::size_t i = 0; i < 4; ++i) EXPECT_DOUBLE_EQ(plain[i], std::pow(10.0, -static_cast<double>(i)));
  rope.factor = 4;
  rope.scaling = RopeConfig::Scaling::kLinear;
  for (std::size_t i = 0; i < 4; ++i) EXPECT_DOUBLE_EQ(rope.frequencies()[i], plain[i] / 4);
  // NTK-aware: the fastest pair keeps its frequency, the slowest is divided by the factor.
  rope.scaling = RopeConfig::Scaling::kNtk;
  EXPECT_DOUBLE_EQ(rope.frequencies().front(), 1.0);
  EXPECT_NEAR(rope.frequencies().back(), plain.back() / 4, 1e-15);
  rope.scaling = RopeConfig::Scaling::kNone;
  rope.divisors = {1, 2, 3, 4};
  for (std::size_t i = 0; i < 4; ++i)
    EXPECT_DOUBLE_EQ(rope.frequencies()[i], plain[i] / static_cast<double>(i + 1));
}

// Pairs that turn more than 32 times within the original context keep their frequency, those that turn less
// than once are divided, and in between the share changes evenly (paper, equations 17 to 20), here up to
// rounding to whole pairs.
TEST(Rope, Yarn) {
  RopeConfig rope = rope_of(128, 10000);
  const std::vector<double> plain = rope.frequencies();
  rope.scaling = RopeConfig::Scaling::kYarn;
  rope.factor = 16;
  rope.original_context = 4096;
  const std::vector<double> scaled = rope.frequencies();
  // Pair i turns 4096 * 10000^(-i/64) / (2 pi) times: 32 times at i = 20.9, once at i = 45.03.
  for (std::size_t i = 0; i <= 20; ++i) EXPECT_EQ(scaled[i], plain[i]) << i;
  for (std::size_t i = 46; i < 64; ++i) EXPECT_DOUBLE_EQ(scaled[i], plain[i] / 16) << i;
  for (std::size_t i = 20; i <= 46; ++i) {
    const double ramp = static_cast<double>(i - 20) / 26;
    EXPECT_NEAR(scaled[i] / plain[i], 1 - ramp * 15 / 16, 1e-12) << i;
  }
}

// Llama 3.1's own numbers. The converter writes the same as divisors, from the other side: by wavelength.
TEST(Rope, Llama3) {
  RopeConfig rope = rope_of(128, 500000);
  const std::vector<double> plain = rope.frequencies();
  rope.scaling = RopeConfig::Scaling::kLlama3;
  rope.factor = 8;
  rope.original_context = 8192;
  const std::vector<double> scaled = rope.frequencies();
  int kept = 0, divided = 0;
  for (std::size_t i = 0; i < plain.size(); ++i) {
    const double wavelength = 2 * std::numbers::pi / plain[i];
    double divisor = 8;
    if (wavelength < 8192.0 / 4) {
      divisor = 1;
      ++kept;
    } else if (wavelength <= 8192.0) {
      const double smooth = (8192 / wavelength - 1) / 3;
      divisor = 1 / ((1 - smooth) / 8 + smooth);
    } else {
      ++divided;
    }
    EXPECT_NEAR(scaled[i] * divisor / plain[i], 1, 1e-12) << i;
  }
  // 2 pi * 500000^(i/64) is below 2048 up to i = 28.2 and above 8192 from i = 34.98.
  EXPECT_EQ(kept, 29);
  EXPECT_EQ(divided, 29);
  rope.divisors.assign(64, 1.0F);  // given divisors replace the formula
  EXPECT_EQ(rope.frequencies(), plain);
}

TEST(Rope, LongropeChoosesByTheContext) {
  const TestModel model = read_test_model("phi3_long");
  const ModelConfig is_short = good(model), is_long = good(model, {.context = 257});
  EXPECT_EQ(is_short.ropes[0].divisors, test_weights("rope_factors_short.weight", 4, 1.2F, 0.2F));
  EXPECT_EQ(is_short.context, 256);
  EXPECT_EQ(good(model, {.context = 256}).context, 256);
  EXPECT_EQ(is_long.ropes[0].divisors, test_weights("rope_factors_long.weight", 4, 4.0F, 2.0F));
  EXPECT_EQ(is_long.context, 512);
  EXPECT_EQ(is_long.ropes[0].attention_factor, 1.1875);
}

TEST(Rope, OptionsOverrideTheFile) {
  const TestModel model = read_test_model("llama_divisors");
  EXPECT_FALSE(good(model).ropes[0].divisors.empty());
  const ModelConfig yarn = good(model, {.rope_theta = 2e4,
                                        .rope_scaling = RopeConfig::Scaling::kYarn,
                                        .rope_factor = 4.0,
                                        .rope_original_context = 300});
  EXPECT_TRUE(yarn.ropes[0].divisors.empty());
  EXPECT_EQ(yarn.ropes[0].theta, 2e4);
  EXPECT_EQ(yarn.context, 1200);
  EXPECT_DOUBLE_EQ(yarn.ropes[0].attention_factor, 0.1 * std::log(4.0) + 1);
  EXPECT_EQ(good(model, {.rope_theta = 2e4}).ropes[0].divisors.size(), 4U);
  const auto bad = config_of(model, {.rope_factor = 0.0});
  ASSERT_FALSE(bad);
  EXPECT_THAT(bad.error().to_string(), HasSubstr("rope scaling factor is 0"));
  // Nothing in this file is scaled by a factor, so that one alone would do nothing.
  const auto alone = config_of(model, {.rope_factor = 4.0});
  ASSERT_FALSE(alone);
  EXPECT_THAT(alone.error().to_string(), HasSubstr("rope scaling factor is 4"));
  EXPECT_THAT(alone.error().to_string(), HasSubstr("--rope-scaling"));
  EXPECT_FALSE(config_of(model, {.rope_theta = std::nan("")}));
  EXPECT_FALSE(config_of(model, {.rope_original_context = 0}));
}

}  // namespace
}  // namespace agon::llm
