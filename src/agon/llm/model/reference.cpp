#include "agon/llm/model/reference.h"

#include <algorithm>
#include <cmath>
#include <numbers>

#include "agon/base/check.h"
#include "agon/base/parallel.h"
#include "agon/llm/model/reference_product.h"

namespace agon::llm {
namespace {

using Doubles = std::vector<double>;

// RMSNorm (arXiv 1910.07467): x / sqrt(mean(x^2) + epsilon) * weight, for every run of weight.size() values.
void rms_norm(std::span<double> x, std::span<const float> weight, double epsilon) {
  const std::size_t width = weight.size();
  for (std::size_t start = 0; start < x.size(); start += width) {
    const std::span<double> row = x.subspan(start, width);
    double squares = 0;
    for (const double value : row) squares += value * value;
    const double scale = 1.0 / std::sqrt(squares / static_cast<double>(width) + epsilon);
    for (std::size_t i = 0; i < width; ++i) row[i] = row[i] * scale * static_cast<double>(weight[i]);
  }
}

void add_bias(std::span<double> x, std::span<const float> bias) {
  if (bias.empty()) return;
  for (std::size_t i = 0; i < x.size(); ++i) x[i] += static_cast<double>(bias[i % bias.size()]);
}

void add(std::span<double> x, std::span<const double> y) {
  for (std::size_t i = 0; i < x.size(); ++i) x[i] += y[i];
}

double soft_cap(double x, double cap) { return cap == 0 ? x : cap * std::tanh(x / cap); }

double activate(double x, ModelConfig::Activation kind) {
  if (kind == ModelConfig::Activation::kSilu) return x / (1.0 + std::exp(-x));
  // GELU's tanh form (arXiv 1606.08415, section 2).
  return 0.5 * x * (1.0 + std::tanh(std::sqrt(2 / std::numbers::pi) * (x + 0.044715 * x * x * x)));
}

// Turns the leading dimensions of every head; row t stands at position t.
void turn(std::span<double> x, std::size_t tokens, std::size_t heads, std::size_t length,
          const RopeConfig& rope) {
  const std::vector<double> frequencies = rope.frequencies();
  const std::size_t pairs = frequencies.size();
  const bool adjacent = rope.pairing == RopeConfig::Pairing::kAdjacent;
  for (std::size_t t = 0; t < tokens; ++t)
    for (std::size_t i = 0; i < pairs; ++i) {
      const double angle = static_cast<double>(t) * frequencies[i];
      const double c = std::cos(angle) * rope.attention_factor, s = std::sin(angle) * rope.attention_factor;
      for (std::size_t h = 0; h < heads; ++h) {
        double* head = x.data() + (t * heads + h) * length;
        double& a = head[adjacent ? 2 * i : i];
        double& b = head[adjacent ? 2 * i + 1 : i + pairs];
        const double turned = a * c - b * s;
        b = a * s + b * c;
        a = turned;
      }
    }
}

// Softmax over scores[first..last], zero elsewhere.
void softmax_between(std::span<double> scores, std::size_t first, std::size_t last) {
  const std::span<double> seen = scores.subspan(first, last - first + 1);
  const double top = *std::ranges::max_element(seen);
  double sum = 0;
  for (double& score : seen) sum += score = std::exp(score - top);
  for (double& score : seen) score /= sum;
  std::ranges::fill(scores.first(first), 0.0);
  std::ranges::fill(scores.subspan(last + 1), 0.0);
}

// One head's keys and values, regrouped for tile_product.
struct HeadCache {
  Doubles keys;    ///< Tiles of 8 positions; in each, key_length groups of 8.
  Doubles values;  ///< Tiles of 8 dimensions; in each, one group of 8 a position.
};

HeadCache head_cache(std::span<const double> keys, std::span<const double> values, std::size_t tokens,
                     std::size_t head, std::size_t heads, const ModelConfig& config) {
  const std::size_t key_length = static_cast<std::size_t>(config.key_length),
                    value_length = static_cast<std::size_t>(config.value_length);
  Doubles own(tokens * key_length), across(tokens * value_length);
  for (std::size_t t = 0; t < tokens; ++t) {
    std::ranges::copy(keys.subspan((t * heads + head) * key_length, key_length),
                      own.begin() + static_cast<std::ptrdiff_t>(t * key_length));
    for (std::size_t d = 0; d < value_length; ++d)
      across[d * tokens + t] = values[(t * heads + head) * value_length + d];
  }
  return {.keys = tiles_of(own, key_length), .values = tiles_of(across, tokens)};
}

// The attention of one head at up to four positions from `t` on; writes their rows of `out`.
void attend_head(std::span<const double> queries, const HeadCache& cache, std::size_t t, std::size_t tokens,
                 std::size_t head, const ModelConfig& config, int window, std::span<double> out) {
  const std::size_t heads = static_cast<std::size_t>(config.heads),
                    key_length = static_cast<std::size_t>(config.key_length),
                    value_length = static_cast<std::size_t>(config.value_length);
  const std::size_t count = std::min(kTileRows, tokens - t);
  Doubles left(key_length * kTileRows, 0.0);
  for (std::size_t r = 0; r < count; ++r)
    for (std::size_t d = 0; d < key_length; ++d)
      left[d * kTileRows + r] = queries[((t + r) * heads + head) * key_length + d];
  double sums[kTileRows * kTileColumns];
  std::vector<Doubles> scores(kTileRows, Doubles(tokens + kTileColumns, 0.0));
  for (std::size_t key = 0; key < t + count; key += kTileColumns) {
    tile_product(left.data(), cache.keys.data() + key * key_length, key_length, sums);
    for (std::size_t r = 0; r < kTileRows; ++r)
      for (std::size_t c = 0; c < kTileColumns; ++c)
        scores[r][key + c] =
            soft_cap(sums[r * kTileColumns + c] * config.attention_scale, config.attention_softcap);
  }
  Doubles shares(tokens * kTileRows, 0.0);
  for (std::size_t r = 0; r < count; ++r) {
    const std::size_t last = t + r, width = static_cast<std::size_t>(window);
    softmax_between(scores[r], window > 0 && last + 1 > width ? last + 1 - width : 0, last);
    for (std::size_t key = 0; key <= last; ++key) shares[key * kTileRows + r] = scores[r][key];
  }
  for (std::size_t d = 0; d < value_length; d += kTileColumns) {
    tile_product(shares.data(), cache.values.data() + d * tokens, t + count, sums);
    for (std::size_t r = 0; r < count; ++r)
      for (std::size_t c = 0; c < std::min(kTileColumns, value_length - d); ++c)
        out[((t + r) * heads + head) * value_length + d + c] = sums[r * kTileColumns + c];
  }
}

}  // namespace

Result<ReferenceModel> ReferenceModel::load(const gguf::File& file, const ConfigOptions& options) {
  AGON_ASSIGN(ModelConfig config, ModelConfig::read(file, options));
  AGON_ASSIGN(ModelTensors tensors, ModelTensors::read(file, config));
  return ReferenceModel(std::move(config), std::move(tensors));
}

void ReferenceModel::attend(int layer, std::size_t tokens, std::span<double> hidden) const {
  const LayerTensors& weights = tensors_.layers[static_cast<std::size_t>(layer)];
  const LayerConfig& facts = config_.layers[static_cast<std::size_t>(layer)];
  const RopeConfig& rope = config_.ropes[static_cast<std::size_t>(facts.rope)];
  const std::size_t heads = static_cast<std::size_t>(config_.heads),
                    kv_heads = static_cast<std::size_t>(config_.kv_heads),
                    key_length = static_cast<std::size_t>(config_.key_length);
  Doubles x(hidden.begin(), hidden.end());
  rms_norm(x, weights.attention_norm, config_.norm_epsilon);

  Doubles queries(tokens * weights.query.rows), keys(tokens * weights.key.rows),
      values(tokens * weights.value.rows);
  multiply(weights.query, x, tokens, queries);
  multiply(weights.key, x, tokens, keys);
  multiply(weights.value, x, tokens, values);
  add_bias(queries, weights.query_bias);
  add_bias(keys, weights.key_bias);
  add_bias(values, weights.value_bias);
  if (config_.qk_norm) {
    rms_norm(queries, weights.query_norm, config_.norm_epsilon);
    rms_norm(keys, weights.key_norm, config_.norm_epsilon);
  }
  turn(queries, tokens, heads, key_length, rope);
  turn(keys, tokens, kv_heads, key_length, rope);

  std::vector<HeadCache> caches(kv_heads);
  parallel_for(kv_heads, [&](std::size_t head) {
    caches[head] = head_cache(keys, values, tokens, head, kv_heads, config_);
  });
  Doubles mixed(tokens * heads * static_cast<std::size_t>(config_.value_length));
  const std::size_t blocks = (tokens + kTileRows - 1) / kTileRows;
  parallel_for(heads * blocks, [&](std::size_t i) {
    const std::size_t head = i / blocks, t = i % blocks * kTileRows;
    attend_head(queries, caches[head / (heads / kv_heads)], t, tokens, head, config_, facts.window, mixed);
  });

  multiply(weights.output, mixed, tokens, x);
  add_bias(x, weights.output_bias);
  if (config_.post_norms) rms_norm(x, weights.post_attention_norm, config_.norm_epsilon);
  add(hidden, x);
}

void ReferenceModel::feed_forward(int layer, std::size_t tokens, std::span<double> hidden) const {
  const LayerTensors& weights = tensors_.layers[static_cast<std::size_t>(layer)];
  Doubles x(hidden.begin(), hidden.end());
  rms_norm(x, weights.feed_forward_norm, config_.norm_epsilon);
  Doubles gate(tokens * weights.gate.rows), up(tokens * weights.up.rows);
  multiply(weights.gate, x, tokens, gate);
  multiply(weights.up, x, tokens, up);
  for (std::size_t i = 0; i < gate.size(); ++i) gate[i] = activate(gate[i], config_.activation) * up[i];
  multiply(weights.down, gate, tokens, x);
  if (config_.post_norms) rms_norm(x, weights.post_feed_forward_norm, config_.norm_epsilon);
  add(hidden, x);
}

Doubles ReferenceModel::hidden(std::span<const std::int32_t> tokens, int layer) const {
  AGON_CHECK(layer >= 0 && layer <= config_.layer_count());
  const std::size_t width = static_cast<std::size_t>(config_.embedding);
  Doubles out;
  out.reserve(tokens.size() * width);
  std::vector<float> row(width);
  for (const std::int32_t token : tokens) {
    AGON_CHECK(token >= 0 && token < config_.vocabulary);
    expand_row(tensors_.token_embedding, static_cast<std::size_t>(token), row);
    for (const float value : row) out.push_back(static_cast<double>(value) * config_.embedding_scale);
  }
  for (int i = 0; i < layer; ++i) {
    attend(i, tokens.size(), out);
    feed_forward(i, tokens.size(), out);
  }
  return out;
}

Doubles ReferenceModel::head(std::span<const std::int32_t> tokens) const {
  AGON_CHECK(config_.head && !tokens.empty());
  const std::size_t width = static_cast<std::size_t>(config_.embedding);
  const Doubles states = hidden(tokens, config_.layer_count());
  Doubles x(states.end() - static_cast<std::ptrdiff_t>(width), states.end());
  rms_norm(x, tensors_.output_norm, config_.norm_epsilon);
  const HeadTensors& head = tensors_.head;
  if (head.dense) {
    Doubles inner(head.dense.rows);
    multiply(head.dense, x, 1, inner);
    add_bias(inner, head.dense_bias);
    for (double& value : inner) value = std::tanh(value);
    x = std::move(inner);
  }
  if (head.output) {
    Doubles outputs(head.output.rows);
    multiply(head.output, x, 1, outputs);
    add_bias(outputs, head.output_bias);
    x = std::move(outputs);
  }
  if (config_.head.softmax) softmax_between(x, 0, x.size() - 1);
  return x;
}

Doubles ReferenceModel::output(std::span<const double> hidden) const {
  AGON_CHECK(config_.causal);
  const std::size_t width = static_cast<std::size_t>(config_.embedding), tokens = hidden.size() / width;
  AGON_CHECK(hidden.size() % width == 0);
  Doubles x(hidden.begin(), hidden.end());
  rms_norm(x, tensors_.output_norm, config_.norm_epsilon);
  Doubles out(tokens * static_cast<std::size_t>(config_.vocabulary));
  multiply(tensors_.output, x, tokens, out);
  if (config_.final_softcap != 0)
    for (double& logit : out) logit = soft_cap(logit, config_.final_softcap);
  return out;
}

Doubles ReferenceModel::logits(std::span<const std::int32_t> tokens) const {
  return output(hidden(tokens, config_.layer_count()));
}

}  // namespace agon::llm
