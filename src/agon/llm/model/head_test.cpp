#include "agon/llm/model/head.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cmath>
#include <functional>
#include <limits>

#include "agon/llm/model/description.h"
#include "agon/llm/model/reference.h"
#include "agon/llm/model/test_models.h"

namespace agon::llm {
namespace {

using ::testing::HasSubstr;

constexpr std::size_t kWidth = 32;  // of all models in tests/data/models

/// A model with a head whose outputs are the logits of two tokens: their rows of the output matrix.
struct TwoTokens {
  explicit TwoTokens(const std::string& name) : model(read_test_model(name)) {
    const bool tied = std::ranges::none_of(model.tensors, [](auto& t) { return t.name == "output.weight"; });
    const std::vector<float> words = model.tensor(tied ? "token_embd.weight" : "output.weight").floats();
    std::vector<float> rows;
    for (const std::ptrdiff_t token : {kFirst, kSecond})
      rows.insert(rows.end(), words.begin() + token * std::ptrdiff_t{kWidth},
                  words.begin() + (token + 1) * std::ptrdiff_t{kWidth});
    model.tensors.push_back({.name = "cls.output.weight", .shape = {kWidth, 2}, .values = rows});
    model.metadata.set(name + ".pooling_type", std::int64_t{4});
  }
  static constexpr std::ptrdiff_t kFirst = 3, kSecond = 41;
  TestModel model;
};

// llama.cpp's logits of the same files are what the head must give.
TEST(Head, OutputsAreLogitsWhereItsRowsAreThoseOfTokens) {
  int checked = 0;
  for (const std::string name : {"llama", "qwen2", "qwen3", "gemma3", "phi3"}) {
    const TwoTokens two(name);
    const std::vector<std::byte> bytes = two.model.bytes();
    const auto file = gguf::File::parse(bytes, "test");
    ASSERT_TRUE(file) << file.error().to_string();
    const auto reference = ReferenceModel::load(*file, {.context = two.model.context});
    ASSERT_TRUE(reference) << name << ": " << reference.error().to_string();
    ASSERT_EQ(reference->config().final_softcap, 0);
    for (std::size_t i = 0; i < two.model.positions.size(); ++i) {
      const std::vector<double>& logits = two.model.logits[i];
      double first = logits[TwoTokens::kFirst], second = logits[TwoTokens::kSecond];
      if (name == "qwen3") {  // shares of one
        first = 1 / (1 + std::exp(second - first));
        second = 1 - first;
      }
      const std::vector<double> outputs =
          reference->head(std::span(two.model.tokens).first(two.model.positions[i] + 1));
      ASSERT_EQ(outputs.size(), 2u);
      const double tolerance = name == "gemma3" ? 1e-2 : 5e-5;  // llama.cpp's own rounding (reference_test)
      EXPECT_NEAR(outputs[0], first, tolerance) << name;
      EXPECT_NEAR(outputs[1], second, tolerance) << name;
      ++checked;
    }
  }
  EXPECT_GT(checked, 10);
}

// W1 = 2 I and b1 = 0.5, then (1, 1, ...) with bias -1, on (1, 0, -1, 0, 0, ...).
TEST(Head, TheDenseLayerComesFirst) {
  TestModel model = read_test_model("llama");
  std::vector<float> twice(kWidth * kWidth, 0.0F);
  for (std::size_t i = 0; i < kWidth; ++i) twice[i * kWidth + i] = 2;
  model.tensors.push_back({.name = "cls.weight", .shape = {kWidth, kWidth}, .values = twice});
  model.tensors.push_back(
      {.name = "cls.bias", .shape = {kWidth}, .values = std::vector<float>(kWidth, 0.5F)});
  model.tensors.push_back(
      {.name = "cls.output.weight", .shape = {kWidth}, .values = std::vector<float>(kWidth, 1.0F)});
  model.tensors.push_back({.name = "cls.output.bias", .shape = {1}, .values = {-1.0F}});
  const std::vector<std::byte> bytes = model.bytes();
  const auto file = gguf::File::parse(bytes, "test");
  ASSERT_TRUE(file);
  const auto config = ModelConfig::read(*file);
  ASSERT_TRUE(config) << config.error().to_string();
  const auto tensors = ModelTensors::read(*file, *config);
  ASSERT_TRUE(tensors) << tensors.error().to_string();
  std::vector<float> state(kWidth, 0.0F);
  state[0] = 1;
  state[2] = -1;
  const auto outputs = apply_head(config->head, tensors->head, state);
  ASSERT_TRUE(outputs);
  ASSERT_EQ(outputs->size(), 1u);
  EXPECT_NEAR(outputs->front(), std::tanh(2.5) + std::tanh(-1.5) + (kWidth - 2) * std::tanh(0.5) - 1, 1e-5);
  state[1] = std::numeric_limits<float>::quiet_NaN();
  EXPECT_FALSE(apply_head(config->head, tensors->head, state));
}

TEST(Head, WithoutAnOutputMatrixTheModelIsNotCausal) {
  TestModel tied = TwoTokens("gemma3").model, untied = TwoTokens("llama").model;
  const auto config_of = [](const TestModel& model) {
    const std::vector<std::byte> bytes = model.bytes();
    return *ModelConfig::read(*gguf::File::parse(bytes, "test"));
  };
  const bool llama_has_output =
      std::ranges::any_of(untied.tensors, [](auto& t) { return t.name == "output.weight"; });
  EXPECT_FALSE(config_of(tied).causal);
  EXPECT_FALSE(config_of(tied).tied_output);
  EXPECT_EQ(config_of(untied).causal, llama_has_output);
  EXPECT_TRUE(config_of(read_test_model("gemma3")).causal);
  EXPECT_FALSE(config_of(read_test_model("gemma3")).head);
}

TEST(Head, RefusesWhatCannotBe) {
  using Change = std::function<void(TestModel&)>;
  const auto shape = [](const std::string& name, std::vector<std::uint64_t> to) -> Change {
    return [=](TestModel& m) {
      TestTensor& tensor = m.tensor(name);
      tensor.shape = to;
      tensor.values.clear();
    };
  };
  const auto more = [](const std::string& name, std::vector<std::uint64_t> to) -> Change {
    return [=](TestModel& m) { m.tensors.push_back({.name = name, .shape = to}); };
  };
  const auto set = [](const std::string& key, gguf::Value value) -> Change {
    return [=](TestModel& m) { m.metadata.set("llama." + key, value); };
  };
  const std::vector<std::pair<Change, std::string>> table = {
      {[](TestModel& m) { m.tensors.pop_back(); },
       "'llama.pooling_type' is 4 (rank), but there is no classification head (expected tensor "
       "'cls.output.weight' or 'cls.weight')"},
      {set("pooling_type", std::int64_t{1}),
       "'llama.pooling_type' is 1, but tensor 'cls.output.weight' is a classification head's (expected 4 "
       "(rank))"},
      {set("pooling_type", std::string("rank")), "'llama.pooling_type' is a string (expected an integer)"},
      {set("pooling_type", std::int64_t{-7}), "'llama.pooling_type' is -7"},
      {shape("cls.output.weight", {64, 2}), "'cls.output.weight' has shape [64, 2] (expected [32, 2])"},
      {shape("cls.output.weight", {32, 2, 2}), "'cls.output.weight' has shape [32, 2, 2]"},
      {shape("cls.output.weight", {32, 65537}), "a row for each of 1 to 65536 outputs"},
      {shape("cls.output.weight", {2}), "'cls.output.weight' has shape [2] (expected [32, 1])"},
      {more("cls.output.bias", {3}), "'cls.output.bias' has shape [3] (expected [2])"},
      {more("cls.bias", {32}), "tensor 'cls.bias' of shape [32] has no place"},
      {more("cls.weight", {32, 2}), "'cls.weight' has shape [32, 2] (expected [32, 32])"},
      {more("cls.norm.weight", {32}), "tensor 'cls.norm.weight' of shape [32] has no place"},
      {[](TestModel& m) {
         m.tensors.push_back({.name = "cls.output.bias",
                              .shape = {2},
                              .values = {1, std::numeric_limits<float>::infinity()}});
       },
       "'cls.output.bias' holds a number that is not finite, at index 1"},
      {set("classifier.output_labels", gguf::Strings{"yes"}),
       "'llama.classifier.output_labels' lists 1 names (expected 2, one for each row"},
      {set("classifier.output_labels", std::int64_t{2}),
       "'llama.classifier.output_labels' is no list of strings"},
  };
  for (const auto& [change, expected] : table) {
    TestModel model = TwoTokens("llama").model;
    change(model);
    const std::vector<std::byte> bytes = model.bytes();
    const auto file = gguf::File::parse(bytes, "test.gguf");
    ASSERT_TRUE(file) << file.error().to_string();
    std::string said;
    if (const auto config = ModelConfig::read(*file); !config) {
      said = config.error().to_string();
    } else if (const auto tensors = ModelTensors::read(*file, *config); !tensors) {
      said = tensors.error().to_string();
    }
    EXPECT_THAT(said, HasSubstr(expected));
    EXPECT_THAT(said, HasSubstr("test.gguf"));
  }
}

TEST(Head, IsDescribed) {
  TestModel model = TwoTokens("qwen3").model;
  model.metadata.set("qwen3.classifier.output_labels", gguf::Strings{"yes", "no\x1b"});
  const std::vector<std::byte> bytes = model.bytes();
  const Description description = describe(*gguf::File::parse(bytes, "test.gguf"));
  std::string facts;
  for (const auto& [fact, value] : description.facts) facts += fact + ": " + value + "\n";
  EXPECT_THAT(facts, HasSubstr("classification head: 2 outputs (yes, no"));
  EXPECT_THAT(facts, HasSubstr("as shares of one"));
  EXPECT_EQ(facts.find('\x1b'), std::string::npos);
}

}  // namespace
}  // namespace agon::llm
