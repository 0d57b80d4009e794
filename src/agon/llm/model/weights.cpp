#include "agon/llm/model/weights.h"

#include <algorithm>
#include <new>
#include <numeric>

#include "agon/base/check.h"
#include "agon/llm/gguf/dequantize.h"
#include "agon/llm/model/kv_cache.h"
#include "agon/llm/model/packer.h"

namespace agon::llm {
namespace {

// Where each number of a head comes from: turned neighbours moved apart, then zeros up to the padded length.
std::vector<int> head_order(int heads, int length, const RopeConfig* rope) {
  const int padded = padded_head(length);
  std::vector<int> order(static_cast<std::size_t>(heads) * static_cast<std::size_t>(padded), -1);
  for (int head = 0; head < heads; ++head) {
    int* to = order.data() + static_cast<std::ptrdiff_t>(head) * padded;
    for (int i = 0; i < length; ++i) to[i] = head * length + i;
    if (rope != nullptr && rope->pairing == RopeConfig::Pairing::kAdjacent) {
      const int half = rope->dimensions / 2;
      for (int i = 0; i < half; ++i) {
        to[i] = head * length + 2 * i;
        to[half + i] = head * length + 2 * i + 1;
      }
    }
  }
  return order;
}

std::vector<float> reorder(const std::vector<float>& values, const std::vector<int>& order) {
  if (values.empty()) return {};
  std::vector<float> result(order.size(), 0.0F);
  for (std::size_t i = 0; i < order.size(); ++i) {
    if (order[i] >= 0) result[i] = values[static_cast<std::size_t>(order[i])];
  }
  return result;
}

Status check_heads(const ModelConfig& config, const ModelTensors& tensors) {
  const bool padded = config.key_length != padded_head(config.key_length) ||
                      config.value_length != padded_head(config.value_length);
  if (!padded) return {};
  if (config.qk_norm) return fail("heads that are no multiple of 16 numbers cannot be normed");
  for (const LayerTensors& layer : tensors.layers) {
    if (!is_float(packed_type(layer.output.tensor->type))) {
      return fail("quantised models need heads of a multiple of 16 numbers");
    }
  }
  return {};
}

}  // namespace

Result<std::unique_ptr<Weights>> Weights::load(const gguf::File& file, Team& team,
                                               const std::string& packed_path, const ConfigOptions& options) {
  auto weights = std::make_unique<Weights>();
  AGON_ASSIGN(weights->config_, ModelConfig::read(file, options));
  const ModelConfig& config = weights->config_;
  AGON_ASSIGN(ModelTensors tensors, ModelTensors::read(file, config));
  AGON_TRY(check_heads(config, tensors));
  AGON_TRY(file.check_not_truncated());
  Packer packer;
  try {
    weights->layers_.resize(config.layers.size());
    for (std::size_t i = 0; i < config.layers.size(); ++i) {
      const RopeConfig& rope = config.ropes[static_cast<std::size_t>(config.layers[i].rope)];
      const std::vector<int> queries = head_order(config.heads, config.key_length, &rope);
      const std::vector<int> keys = head_order(config.kv_heads, config.key_length, &rope);
      const std::vector<int> values = head_order(config.kv_heads, config.value_length, nullptr);
      LayerTensors& from = tensors.layers[i];
      LayerWeights& to = weights->layers_[i];
      packer.add(from.query, to.query, queries);
      packer.add(from.key, to.key, keys);
      packer.add(from.value, to.value, values);
      packer.add(from.output, to.output, {}, head_order(config.heads, config.value_length, nullptr));
      packer.add(from.gate, to.gate);
      packer.add(from.up, to.up);
      packer.add(from.down, to.down);
      const std::vector<int> one_head = head_order(1, config.key_length, &rope);
      to.attention_norm = std::move(from.attention_norm);
      to.query_norm = reorder(from.query_norm, one_head);
      to.key_norm = reorder(from.key_norm, one_head);
      to.post_attention_norm = std::move(from.post_attention_norm);
      to.feed_forward_norm = std::move(from.feed_forward_norm);
      to.post_feed_forward_norm = std::move(from.post_feed_forward_norm);
      to.query_bias = reorder(from.query_bias, queries);
      to.key_bias = reorder(from.key_bias, keys);
      to.value_bias = reorder(from.value_bias, values);
      to.output_bias = std::move(from.output_bias);
    }
    if (tensors.output) packer.add(tensors.output, weights->output_);
    AGON_ASSIGN(weights->packed_, packer.run(file, team, packed_path));
  } catch (const std::bad_alloc&) {
    return fail("not enough memory for the weights", file.path());
  }
  weights->output_norm_ = std::move(tensors.output_norm);
  weights->file_ = &file;
  weights->embedding_ = tensors.token_embedding;
  weights->head_ = std::move(tensors.head);
  return weights;
}

void Weights::embed(std::int32_t token, std::span<float> out) const {
  AGON_CHECK(token >= 0 && token < config_.vocabulary &&
             out.size() == static_cast<std::size_t>(config_.embedding));
  const gguf::TypeTraits traits = gguf::type_traits(embedding_.tensor->type);
  const std::size_t row_bytes = out.size() / traits.elements * traits.bytes;
  std::vector<std::byte> row(row_bytes);
  file_->read(embedding_.tensor->bytes.subspan(
                  (embedding_.first_row + static_cast<std::size_t>(token)) * row_bytes, row_bytes),
              row);
  gguf::dequantize(embedding_.tensor->type, row, out);
  if (config_.embedding_scale != 1.0) {
    const auto scale = static_cast<float>(config_.embedding_scale);
    for (float& x : out) x *= scale;
  }
}

bool Weights::floats_only() const {
  const auto is = [](const PackedMatrix& matrix) {
    return matrix.type == PackedType::kF32 || matrix.type == PackedType::kF16;
  };
  return is(output_) && std::ranges::all_of(layers_, [&](const LayerWeights& layer) {
           return std::ranges::all_of(layer.matrices(),
                                      [&](const PackedMatrix* matrix) { return is(*matrix); });
         });
}

std::size_t Weights::bytes() const {
  std::size_t total = output_.data.size();
  for (const LayerWeights& layer : layers_) {
    for (const PackedMatrix* matrix : layer.matrices()) total += matrix->data.size();
  }
  return total;
}

std::size_t Weights::screen_bytes() const { return VocabularyScreen::bytes_for(config_, output_, bytes()); }

const VocabularyScreen* Weights::screen(Team& team) const {
  std::call_once(screen_once_, [&] {
    if (screen_bytes() == 0) return;
    try {
      screen_ = VocabularyScreen::make(output_, team);
    } catch (const std::bad_alloc&) {
      return;  // slower, and no less right
    }
  });
  return screen_.get();
}

}  // namespace agon::llm
