// Small models for tests, built in memory from a description: see tests/scripts/make_model_golden.py.
#pragma once

#include <gtest/gtest.h>

#include <cstddef>
#include <cstdint>
#include <fstream>
#include <nlohmann/json.hpp>
#include <string>
#include <string_view>
#include <vector>

#include "agon/llm/gguf/file.h"
#include "agon/llm/gguf/writer.h"

namespace agon::llm {

/// The weights that the script calls weights(name, count, centre, spread), to the bit.
inline std::vector<float> test_weights(std::string_view name, std::size_t count, float centre, float spread) {
  std::uint64_t seed = 0xcbf29ce484222325ULL;
  for (const char c : name) seed = (seed ^ static_cast<unsigned char>(c)) * 0x100000001b3ULL;
  std::vector<float> out(count);
  for (std::size_t i = 0; i < count; ++i) {
    std::uint64_t z = seed + (i + 1) * 0x9e3779b97f4a7c15ULL;
    z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9ULL;
    z = (z ^ (z >> 27)) * 0x94d049bb133111ebULL;
    z ^= z >> 31;
    const float v = static_cast<float>(z >> 40) * 0x1.0p-23F - 1.0F;
    const float scaled = spread * v;
    out[i] = centre + scaled;
  }
  return out;
}

struct TestTensor {
  std::string name;
  std::vector<std::uint64_t> shape;
  float centre = 0, spread = 0;
  std::vector<float> values = {};  ///< Instead of centre and spread when not empty.
  gguf::TensorType type = gguf::TensorType::kF32;

  [[nodiscard]] std::vector<float> floats() const {
    if (!values.empty()) return values;
    std::size_t count = 1;
    for (const std::uint64_t size : shape) count *= size;
    return test_weights(name, count, centre, spread);
  }
};

struct TestModel {
  gguf::Metadata metadata;
  std::vector<TestTensor> tensors;
  int context = 0;
  std::vector<std::int32_t> tokens;
  std::vector<std::size_t> positions;       ///< Of which logits are known.
  std::vector<std::vector<double>> logits;  ///< As llama.cpp gives them with F32 weights and cache.

  [[nodiscard]] TestTensor& tensor(std::string_view name) {
    for (TestTensor& t : tensors)
      if (t.name == name) return t;
    ADD_FAILURE() << "no tensor " << name;
    return tensors.front();
  }
  [[nodiscard]] std::vector<std::byte> bytes() const {
    gguf::Writer writer;
    writer.metadata = metadata;
    for (const TestTensor& t : tensors) writer.add(t.name, t.type, t.shape, t.floats());
    return writer.bytes();
  }
};

/// Names of the descriptions in tests/data/models.
inline std::vector<std::string> test_model_names() {
  return {"llama",  "llama_divisors", "llama_linear", "llama_yarn", "qwen2",    "qwen3",
          "gemma2", "gemma3",         "phi3",         "phi3_short", "phi3_long"};
}

/// The description in `folder` of that name.
inline TestModel read_test_model(const std::string& folder, const std::string& name) {
  std::ifstream in(folder + "/" + name + ".json");
  const nlohmann::json json = nlohmann::json::parse(in);
  TestModel model;
  for (const auto& [key, value] : json.at("metadata").items()) {
    if (value.is_string()) {
      model.metadata.set(key, value.get<std::string>());
    } else if (value.is_number_integer()) {
      model.metadata.set(key, value.get<std::int64_t>());
    } else {
      model.metadata.set(key, value.get<double>());
    }
  }
  for (const auto& t : json.at("tensors"))
    model.tensors.push_back({.name = t.at(0),
                             .shape = t.at(1).get<std::vector<std::uint64_t>>(),
                             .centre = t.at(2).get<float>(),
                             .spread = t.at(3).get<float>()});
  model.context = json.at("context");
  model.tokens = json.at("tokens").get<std::vector<std::int32_t>>();
  model.positions = json.at("positions").get<std::vector<std::size_t>>();
  model.logits = json.at("logits").get<std::vector<std::vector<double>>>();
  return model;
}

#ifdef AGON_TEST_DATA
inline TestModel read_test_model(const std::string& name) {
  return read_test_model(std::string(AGON_TEST_DATA) + "/models", name);
}
#endif

}  // namespace agon::llm
