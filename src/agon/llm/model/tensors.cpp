// Finds and checks the weights of a model.
#include <fmt/format.h>

#include <cmath>
#include <set>
#include <string>

#include "agon/llm/gguf/dequantize.h"
#include "agon/llm/model/architecture.h"
#include "agon/llm/model/vector_tensor.h"

namespace agon::llm {
namespace {

std::unexpected<Error> shape_error(const gguf::File& file, const gguf::Tensor& tensor,
                                   std::span<const std::uint64_t> expected) {
  Error error;
  error.message = fmt::format("tensor '{}' has shape {}", tensor.name, shape_text(tensor.shape));
  error.file = file.path();
  error.expected = shape_text(expected);
  return std::unexpected(std::move(error));
}

// Looks tensors up and remembers which ones the model uses.
class Finder {
 public:
  explicit Finder(const gguf::File& file) : file_(&file) {}

  [[nodiscard]] bool has(const std::string& name) const { return file_->find(name) != nullptr; }

  Status vector(const std::string& name, std::uint64_t size, std::vector<float>& out) {
    AGON_ASSIGN(out, vector_tensor(*file_, name, size));
    used_.insert(name);
    return {};
  }
  Status optional_vector(const std::string& name, std::uint64_t size, std::vector<float>& out) {
    return has(name) ? vector(name, size, out) : Status();
  }
  Status matrix(const std::string& name, std::uint64_t columns, std::uint64_t rows, MatrixView& out) {
    const gguf::Tensor* tensor = file_->find(name);
    const std::uint64_t expected[] = {columns, rows};
    if (tensor == nullptr)
      return fail(fmt::format("tensor '{}' is missing (expected, of shape {})", name, shape_text(expected)),
                  file_->path());
    if (tensor->shape.size() > 2 || tensor->columns() != columns || tensor->rows() != rows)
      return shape_error(*file_, *tensor, expected);
    used_.insert(name);
    out = {.tensor = tensor, .first_row = 0, .rows = rows};
    return {};
  }
  void use(const std::string& name) { used_.insert(name); }

  [[nodiscard]] Status check_all_used(std::string_view architecture) const {
    for (const gguf::Tensor& tensor : file_->tensors())
      if (!used_.contains(tensor.name))
        return fail(fmt::format("tensor '{}' of shape {} has no place in a {} model as known here",
                                tensor.name, shape_text(tensor.shape), architecture),
                    file_->path());
    return {};
  }

 private:
  const gguf::File* file_;
  std::set<std::string> used_;
};

using Width = std::uint64_t;

Status read_attention(Finder& find, const std::string& block, const ModelConfig& config,
                      LayerTensors& layer) {
  const Width embedding = static_cast<Width>(config.embedding),
              query = static_cast<Width>(config.query_width()), key = static_cast<Width>(config.key_width()),
              value = static_cast<Width>(config.value_width());
  AGON_TRY(find.vector(block + "attn_norm.weight", embedding, layer.attention_norm));
  if (find.has(block + "attn_qkv.weight")) {
    MatrixView fused;
    AGON_TRY(find.matrix(block + "attn_qkv.weight", embedding, query + key + value, fused));
    layer.query = {.tensor = fused.tensor, .first_row = 0, .rows = query};
    layer.key = {.tensor = fused.tensor, .first_row = query, .rows = key};
    layer.value = {.tensor = fused.tensor, .first_row = query + key, .rows = value};
    std::vector<float> bias;
    AGON_TRY(find.optional_vector(block + "attn_qkv.bias", query + key + value, bias));
    if (!bias.empty()) {
      const auto at = [&](Width offset) { return bias.begin() + static_cast<std::ptrdiff_t>(offset); };
      layer.query_bias.assign(at(0), at(query));
      layer.key_bias.assign(at(query), at(query + key));
      layer.value_bias.assign(at(query + key), bias.end());
    }
  } else {
    AGON_TRY(find.matrix(block + "attn_q.weight", embedding, query, layer.query));
    AGON_TRY(find.matrix(block + "attn_k.weight", embedding, key, layer.key));
    AGON_TRY(find.matrix(block + "attn_v.weight", embedding, value, layer.value));
    AGON_TRY(find.optional_vector(block + "attn_q.bias", query, layer.query_bias));
    AGON_TRY(find.optional_vector(block + "attn_k.bias", key, layer.key_bias));
    AGON_TRY(find.optional_vector(block + "attn_v.bias", value, layer.value_bias));
  }
  AGON_TRY(find.matrix(block + "attn_output.weight", static_cast<Width>(config.heads * config.value_length),
                       embedding, layer.output));
  AGON_TRY(find.optional_vector(block + "attn_output.bias", embedding, layer.output_bias));
  if (config.qk_norm) {
    AGON_TRY(
        find.vector(block + "attn_q_norm.weight", static_cast<Width>(config.key_length), layer.query_norm));
    AGON_TRY(
        find.vector(block + "attn_k_norm.weight", static_cast<Width>(config.key_length), layer.key_norm));
  }
  return {};
}

Status read_feed_forward(Finder& find, const std::string& block, const ModelConfig& config, bool fused,
                         LayerTensors& layer) {
  const Width embedding = static_cast<Width>(config.embedding),
              width = static_cast<Width>(config.feed_forward);
  AGON_TRY(find.vector(block + "ffn_norm.weight", embedding, layer.feed_forward_norm));
  if (fused) {
    MatrixView both;
    AGON_TRY(find.matrix(block + "ffn_up.weight", embedding, 2 * width, both));
    layer.gate = {.tensor = both.tensor, .first_row = 0, .rows = width};
    layer.up = {.tensor = both.tensor, .first_row = width, .rows = width};
  } else {
    AGON_TRY(find.matrix(block + "ffn_gate.weight", embedding, width, layer.gate));
    AGON_TRY(find.matrix(block + "ffn_up.weight", embedding, width, layer.up));
  }
  AGON_TRY(find.matrix(block + "ffn_down.weight", width, embedding, layer.down));
  if (config.post_norms) {
    AGON_TRY(find.vector(block + "post_attention_norm.weight", embedding, layer.post_attention_norm));
    AGON_TRY(find.vector(block + "post_ffw_norm.weight", embedding, layer.post_feed_forward_norm));
  }
  return {};
}

Status read_head_tensors(Finder& find, const ModelConfig& config, HeadTensors& head) {
  const Width embedding = static_cast<Width>(config.embedding),
              labels = static_cast<Width>(config.head.labels);
  if (config.head.dense) {
    const Width rows = config.head.output ? embedding : labels;
    AGON_TRY(find.matrix("cls.weight", embedding, rows, head.dense));
    AGON_TRY(find.optional_vector("cls.bias", rows, head.dense_bias));
  }
  if (config.head.output) {
    AGON_TRY(find.matrix("cls.output.weight", embedding, labels, head.output));
    AGON_TRY(find.optional_vector("cls.output.bias", labels, head.output_bias));
  }
  return {};
}

}  // namespace

std::string shape_text(std::span<const std::uint64_t> shape) {
  return fmt::format("[{}]", fmt::join(shape, ", "));
}

Result<std::vector<float>> vector_tensor(const gguf::File& file, std::string_view name, std::uint64_t size) {
  const gguf::Tensor* tensor = file.find(name);
  if (tensor == nullptr)
    return fail(fmt::format("tensor '{}' is missing (expected, of shape [{}])", name, size), file.path());
  const std::uint64_t expected[] = {size};
  if (tensor->elements() != size || tensor->columns() != size) return shape_error(file, *tensor, expected);
  const gguf::TypeTraits traits = gguf::type_traits(tensor->type);
  if (traits.elements != 1)
    return fail(fmt::format("tensor '{}' is stored as {} (expected F32, F16 or BF16)", name, traits.name),
                file.path());
  std::vector<float> out(size);
  gguf::dequantize(tensor->type, tensor->bytes, out);
  for (std::size_t i = 0; i < out.size(); ++i)
    if (!std::isfinite(out[i]))
      return fail(fmt::format("tensor '{}' holds a number that is not finite, at index {}", name, i),
                  file.path());
  return out;
}

Result<ModelTensors> ModelTensors::read(const gguf::File& file, const ModelConfig& config) {
  AGON_TRY(file.check_not_truncated());
  const Architecture* architecture = find_architecture(config.architecture);
  if (architecture == nullptr) return fail("architecture is not supported", file.path());
  const Width embedding = static_cast<Width>(config.embedding),
              vocabulary = static_cast<Width>(config.vocabulary);
  ModelTensors tensors;
  Finder find(file);
  AGON_TRY(find.matrix("token_embd.weight", embedding, vocabulary, tensors.token_embedding));
  if (config.tied_output) {
    tensors.output = tensors.token_embedding;
  } else if (config.causal) {
    AGON_TRY(find.matrix("output.weight", embedding, vocabulary, tensors.output));
  }
  AGON_TRY(find.vector("output_norm.weight", embedding, tensors.output_norm));
  AGON_TRY(read_head_tensors(find, config, tensors.head));
  tensors.layers.resize(config.layers.size());
  for (std::size_t i = 0; i < tensors.layers.size(); ++i) {
    const std::string block = fmt::format("blk.{}.", i);
    AGON_TRY(read_attention(find, block, config, tensors.layers[i]));
    AGON_TRY(read_feed_forward(find, block, config, architecture->fused_gate_up, tensors.layers[i]));
  }
  // Read with the configuration.
  for (const char* name : {"rope_freqs.weight", "rope_factors_long.weight", "rope_factors_short.weight"})
    find.use(name);
  AGON_TRY(find.check_all_used(config.architecture));
  return tensors;
}

}  // namespace agon::llm
