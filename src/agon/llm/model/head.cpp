#include "agon/llm/model/head.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>

#include "agon/base/check.h"
#include "agon/llm/gguf/dequantize.h"
#include "agon/llm/model/architecture.h"
#include "agon/llm/model/vector_tensor.h"

namespace agon::llm {
namespace {

constexpr int kMaxLabels = 1 << 16;
constexpr int kRank = 4;  // llama.cpp's number of the pooling type "rank"

using Doubles = std::vector<double>;

Doubles product(const MatrixView& matrix, const std::vector<float>& bias, const Doubles& x) {
  const gguf::Tensor& tensor = *matrix.tensor;
  const gguf::TypeTraits traits = gguf::type_traits(tensor.type);
  const std::size_t bytes = x.size() / traits.elements * traits.bytes;
  std::vector<float> row(x.size());
  Doubles out(matrix.rows);
  for (std::size_t i = 0; i < out.size(); ++i) {
    gguf::dequantize(tensor.type, tensor.bytes.subspan((matrix.first_row + i) * bytes, bytes), row);
    double sum = 0;
    for (std::size_t k = 0; k < x.size(); ++k) sum += static_cast<double>(row[k]) * x[k];
    out[i] = sum + (bias.empty() ? 0.0 : static_cast<double>(bias[i]));
  }
  return out;
}

void softmax(Doubles& x) {
  const double largest = *std::ranges::max_element(x);
  double sum = 0;
  for (double& value : x) sum += value = std::exp(value - largest);
  for (double& value : x) value /= sum;
}

}  // namespace

Result<std::vector<float>> apply_head(const HeadConfig& config, const HeadTensors& head,
                                      std::span<const float> normed) {
  AGON_CHECK(config);
  Doubles x(normed.begin(), normed.end());
  if (config.dense) {
    x = product(head.dense, head.dense_bias, x);
    for (double& value : x) value = std::tanh(value);
  }
  if (config.output) x = product(head.output, head.output_bias, x);
  const auto finite = [](double value) { return std::isfinite(static_cast<float>(value)); };
  if (!std::ranges::all_of(x, finite))
    return fail("the model's classification head gives a number that is not finite");
  if (config.softmax) softmax(x);
  std::vector<float> out;
  for (const double value : x) out.push_back(static_cast<float>(value));
  return out;
}

Status read_head(const Keys& keys, ModelConfig& config) {
  const gguf::File& file = keys.file();
  const gguf::Tensor* dense = file.find("cls.weight");
  const gguf::Tensor* output = file.find("cls.output.weight");
  AGON_ASSIGN(const int pooling, keys.integer_or("pooling_type", -1, -1, 1 << 20));
  if (dense == nullptr && output == nullptr) {
    if (pooling != kRank) return {};
    Error error;
    error.message = fmt::format("metadata key '{}' is {} (rank), but there is no classification head",
                                keys.full("pooling_type"), pooling);
    error.file = file.path();
    error.expected = "tensor 'cls.output.weight' or 'cls.weight'";
    return std::unexpected(std::move(error));
  }
  const gguf::Tensor& last = output != nullptr ? *output : *dense;
  if (pooling != -1 && pooling != kRank) {
    Error error;
    error.message = fmt::format("metadata key '{}' is {}, but tensor '{}' is a classification head's",
                                keys.full("pooling_type"), pooling, last.name);
    error.file = file.path();
    error.expected = fmt::format("{} (rank)", kRank);
    return std::unexpected(std::move(error));
  }
  if (last.shape.size() > 2 || last.rows() > kMaxLabels) {
    Error error;
    error.message = fmt::format("tensor '{}' has shape {}", last.name, shape_text(last.shape));
    error.file = file.path();
    error.expected = fmt::format("[{}, n], a row for each of 1 to {} outputs", config.embedding, kMaxLabels);
    return std::unexpected(std::move(error));
  }
  HeadConfig& head = config.head;
  head.labels = static_cast<int>(last.rows());
  head.dense = dense != nullptr;
  head.output = output != nullptr;
  head.softmax = config.architecture == "qwen3" && head.labels > 1;
  constexpr std::string_view kNames = "classifier.output_labels";
  if (!keys.has(kNames)) return {};
  const gguf::Strings* names = file.metadata().strings(keys.full(kNames));
  if (names == nullptr || names->size() != static_cast<std::size_t>(head.labels)) {
    Error error;
    error.message = names == nullptr
                        ? fmt::format("metadata key '{}' is no list of strings", keys.full(kNames))
                        : fmt::format("metadata key '{}' lists {} names", keys.full(kNames), names->size());
    error.file = file.path();
    error.expected = fmt::format("{}, one for each row of tensor '{}'", head.labels, last.name);
    return std::unexpected(std::move(error));
  }
  head.names = *names;
  return {};
}

}  // namespace agon::llm
