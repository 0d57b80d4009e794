// What a model is: the sizes and switches that the forward pass reads, whatever the architecture's name.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "agon/base/error.h"
#include "agon/llm/gguf/file.h"

namespace agon::llm {

/// How positions turn queries and keys.
struct RopeConfig {
  enum class Pairing : std::uint8_t {
    kAdjacent,  ///< Dimensions 2i and 2i+1 turn together (llama; "norm" in ggml).
    kHalves,    ///< Dimensions i and i + dimensions/2 (qwen, gemma, phi; "neox" in ggml).
  };
  enum class Scaling : std::uint8_t { kNone, kLinear, kNtk, kYarn, kLlama3 };
  int dimensions = 0;  ///< How many leading dimensions of a head turn; even.
  Pairing pairing = Pairing::kAdjacent;
  double theta = 10000.0;  ///< Base of the frequencies: theta^(-2i/dimensions).
  Scaling scaling = Scaling::kNone;
  double factor = 1.0;            ///< How many times longer than trained.
  int original_context = 0;       ///< Trained context, for YaRN and llama3.
  double beta_fast = 32.0;        ///< YaRN.
  double beta_slow = 1.0;         ///< YaRN.
  double low_frequency = 1.0;     ///< kLlama3: wavelengths above original_context / this are divided fully,
  double high_frequency = 4.0;    ///< those below original_context / this not at all.
  double attention_factor = 1.0;  ///< Both cosine and sine are multiplied by it (YaRN, longrope).
  /// dimensions/2 divisors of the frequencies ("rope_freqs.weight" of Llama 3.1, rope_factors of Phi 3);
  /// empty when the file has none. They replace the formula of `scaling` kLlama3 and come before the others.
  std::vector<float> divisors;

  /// Angle per position for every pair, radians; dimensions/2 values. Sources: RoFormer (arXiv 2104.09864),
  /// YaRN (arXiv 2309.00071, section 3.2), kNtk: theta times factor^(d/(d-2)) (bloc97, "NTK-aware scaled
  /// RoPE"), kLlama3: wavelengths as in Meta's reference model code for Llama 3.1.
  [[nodiscard]] std::vector<double> frequencies() const;
};

/// What a run may choose instead of what the file says. The overrides reach the layers that see the whole
/// context (all but gemma3's windowed ones).
struct ConfigOptions {
  /// The longest sequence that will be read; 0: as long as the file is meant for. Matters to files with two
  /// sets of rope divisors ("longrope"), where it chooses the set once for the whole run: the short one is
  /// for up to the original context, and is what 0 means.
  int context = 0;
  std::optional<double> rope_theta = {};
  std::optional<RopeConfig::Scaling> rope_scaling = {};  ///< Replaces the file's scaling, divisors included.
  std::optional<double> rope_factor = {};                ///< The context grows by it, from the original one.
  std::optional<int> rope_original_context = {};         ///< Default: the file's, else its trained context.
};

/// The facts that may differ from layer to layer.
struct LayerConfig {
  int window = 0;  ///< Sliding window: a position sees itself and the window-1 before it. 0: all before it.
  int rope = 0;    ///< Index into ModelConfig::ropes.
};

/// The outputs of a reward model or a reranker: a small classifier on the last token's hidden state, behind
/// the final norm. llama.cpp's pooling type "rank", with its tensors cls.* and cls.output.*.
struct HeadConfig {
  int labels = 0;                  ///< Outputs; 0: the model has no head.
  std::vector<std::string> names;  ///< Of the outputs, if the file gives them.
  bool dense = false;              ///< tanh(W x + b) comes first (cls.weight).
  bool output = false;  ///< The last matrix is cls.output.weight; else the dense layer's are the outputs.
  /// The outputs are shares of one: rerankers that were trained to say yes or no (qwen3). As in llama.cpp;
  /// elsewhere outputs are given as they are.
  bool softmax = false;
  explicit operator bool() const { return labels > 0; }
};

/// One description for all decoder-only architectures here. Shapes: embedding E, heads H, KV heads G, key and
/// value length D per head, feed-forward F, vocabulary V, layers L.
struct ModelConfig {
  enum class Activation : std::uint8_t { kSilu, kGeluTanh };

  std::string architecture;  ///< general.architecture: "llama", "qwen2", ...
  int embedding = 0;
  int heads = 0;
  int kv_heads = 0;
  int key_length = 0;
  int value_length = 0;
  int feed_forward = 0;
  int vocabulary = 0;
  int context = 0;  ///< The longest sequence that it is meant for, with its scaling.
  double norm_epsilon = 1e-5;
  Activation activation = Activation::kSilu;
  bool qk_norm = false;      ///< RMS norm of every query and key head before rope (qwen3, gemma3).
  bool post_norms = false;   ///< RMS norm of each block's output before it is added (gemma2, gemma3).
  bool tied_output = false;  ///< The output matrix is the token embedding.
  /// It gives probabilities of next tokens. Not so with a head and no output matrix: that the token embedding
  /// would be one is then nowhere said.
  bool causal = true;
  HeadConfig head;
  double embedding_scale = 1.0;  ///< Token embeddings are multiplied by it (gemma: sqrt(E)).
  double attention_scale = 1.0;  ///< Scores are q.k times this; usually 1/sqrt(D).
  double attention_softcap = 0;  ///< c * tanh(score / c) when not 0 (gemma2).
  double final_softcap = 0;      ///< The same for logits.
  std::vector<RopeConfig> ropes;
  std::vector<LayerConfig> layers;

  [[nodiscard]] int layer_count() const { return static_cast<int>(layers.size()); }
  [[nodiscard]] int query_width() const { return heads * key_length; }
  [[nodiscard]] int key_width() const { return kv_heads * key_length; }
  [[nodiscard]] int value_width() const { return kv_heads * value_length; }

  /// Reads the configuration from a file's metadata by the file's architecture; refuses unknown ones by name
  /// and lists those known. Refused too: sizes beyond the bounds in config.cpp, an embedding that is no
  /// multiple of 32, heads that the KV heads don't divide, odd key or value lengths or ones above 512, more
  /// turning dimensions than the key has, mixtures of experts, heads that differ from layer to layer,
  /// epsilons, scales and frequencies that are not finite and positive.
  static Result<ModelConfig> read(const gguf::File& file, const ConfigOptions& options = {});
};

/// A matrix of the model as stored: `rows` outputs from `columns` inputs, perhaps a slice of rows of a fused
/// tensor (phi3's attn_qkv and ffn_up).
struct MatrixView {
  const gguf::Tensor* tensor = nullptr;  ///< Null when the model has none.
  std::uint64_t first_row = 0;
  std::uint64_t rows = 0;
  explicit operator bool() const { return tensor != nullptr; }
};

/// Weights of one layer, by role; vectors are finite, empty when the file has none.
struct LayerTensors {
  std::vector<float> attention_norm, query_bias, key_bias, value_bias, query_norm, key_norm, output_bias;
  std::vector<float> post_attention_norm, feed_forward_norm, post_feed_forward_norm;
  MatrixView query, key, value, output, gate, up, down;
};

/// Weights of a classification head.
struct HeadTensors {
  MatrixView dense, output;  ///< Null as HeadConfig says.
  std::vector<float> dense_bias, output_bias;
};

/// All weights of a model, every name, type and shape checked against the configuration.
struct ModelTensors {
  MatrixView token_embedding;  ///< V rows of E.
  MatrixView output;           ///< The same view as token_embedding when tied; null when it is not causal.
  std::vector<float> output_norm;
  HeadTensors head;
  std::vector<LayerTensors> layers;

  /// Finds every tensor; a missing or misshapen one is an error that names it and the shape expected. So is
  /// a tensor that the architecture has no use for: such a file computes something else than this would.
  static Result<ModelTensors> read(const gguf::File& file, const ModelConfig& config);
};

}  // namespace agon::llm
